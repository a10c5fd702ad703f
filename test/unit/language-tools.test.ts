// mimir_ask and mimir_synthesize over the plainest store, with a model that says what it is told to.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { LIMITS } from '../../src/limits.ts';
import type { LanguageModel } from '../../src/provider/language-model.ts';
import { readLessons, type Passage } from '../../src/provider/prompts.ts';
import { BOUND, jsonOf, setUp, type Answer } from '../support/tool-table.ts';

interface Said {
  readonly question: string;
  readonly passages: readonly Passage[];
}

/** A model that answers this text, and what it was asked. */
function fakeModel(
  text: string,
  cited: readonly number[] = [],
  stray: string | null = null,
): { model: LanguageModel; said: Said[]; read: string[] } {
  const said: Said[] = [];
  const read: string[] = [];
  const model: LanguageModel = {
    ask: async (question, passages) => {
      said.push({ question, passages });
      return { text, cited, stray, cut: false };
    },
    lessons: async (session) => {
      read.push(session);
      return readLessons(text);
    },
    probe: async () => undefined,
    close: () => undefined,
  };
  return { model, said, read };
}

const sourcesOf = (answer: Answer): Record<string, unknown>[] => answer['sources'] as Record<string, unknown>[];

describe('arguments that are not right', () => {
  const cases: [string, object, string][] = [
    ['ask', {}, 'query'],
    ['ask', { query: null }, 'query'],
    ['ask', { query: ['SECRET'] }, 'query'],
    ['ask', { query: 'x'.repeat(LIMITS.bodyJsonMaxBytes + 1) }, 'query'],
    ['ask', { query: 'a\0b' }, 'query'],
    ['ask', { query: 'q', top_k: 2.5 }, 'top_k'],
    ['ask', { query: 'q', top_k: 'SECRET' }, 'top_k'],
    ['ask', { query: 'q', workspace_hash: 7 }, 'workspace_hash'],
    ['synthesize', {}, 'session_content'],
    ['synthesize', { session_content: 7 }, 'session_content'],
    ['synthesize', { session_content: 'x'.repeat(LIMITS.sessionMaxBytes + 1) }, 'session_content'],
    ['synthesize', { session_content: 's', session_id: ['SECRET'] }, 'session_id'],
    ['synthesize', { session_content: 's', tags: 'a,b' }, 'tags'],
    ['synthesize', { session_content: 's', tags: [1] }, 'tags[0]'],
    ['synthesize', { session_content: 's', visibility: true }, 'visibility'],
    ['synthesize', { session_content: 's', dry_run: 'SECRET' }, 'dry_run'],
  ];
  for (const [tool, args, field] of cases) {
    it(`of ${tool} are refused for ${field}: ${JSON.stringify(args).slice(0, 80)}`, async () => {
      const { model, said, read } = fakeModel('[]');
      const { call, store } = setUp(model);
      const answer = await call(tool, args);
      assert.deepEqual([answer.isError, answer['code'], answer['field']], [true, 'invalid_argument', field]);
      assert.doesNotMatch(answer.text, /SECRET/);
      assert.deepEqual([said.length, read.length, store.journal.length], [0, 0, 0]);
    });
  }
});

describe('ask', () => {
  it('answers with a model from what recall finds, and says which memories the answer names', async () => {
    const { model, said } = fakeModel('It is heron [2].', [1]);
    const { call, put } = setUp(model);
    await put('wiki', { content: 'Staging is described in the wiki of the staging team' }, { importance: 0.9 });
    await put('host', { content: 'The staging host is called heron', by: 'ana' });
    await put('other', { content: 'bread at eight' });
    const answer = await call('ask', { query: 'which host is staging?' });
    const found = await call('recall', { query: 'which host is staging?' });
    const { sources, ...rest } = jsonOf(answer);
    assert.deepEqual(rest, { answer: 'It is heron [2].' });
    assert.deepEqual(
      sources,
      found.items.map(({ id, key, category, body_json: snippet, decay_score: score }, at) => {
        return { key, category, score, snippet, id, cited: at === 1 };
      }),
      'the same memories in the same order as recall',
    );
    assert.equal(found.items.length, 2);
    assert.deepEqual(
      said.map(({ question, passages }) => [question, passages.map(({ key, day }) => [key, day])]),
      [['which host is staging?', found.items.map(({ key }) => [key, 19_675])]],
    );
    assert.deepEqual(said[0]?.passages.map(({ text }) => text).toSorted(), [
      'Staging is described in the wiki of the staging team',
      'The staging host is called heron\nby\nana',
    ]);
  });

  it('refuses to read no memory at all, and says from where on it does', async () => {
    const { call, put } = setUp(fakeModel('It is heron [1].', [0]).model);
    await put('host', { content: 'staging is heron' });
    for (const top_k of [0, -1]) {
      const answer = await call('ask', { query: 'staging', top_k });
      assert.deepEqual([answer['code'], answer['field']], ['invalid_argument', 'top_k']);
      assert.match(answer.text, /an integer of at least 1/);
    }
  });

  it('shows what a turn of a conversation is: who said it, and when', async () => {
    const { model, said } = fakeModel('x');
    const { call, put } = setUp(model);
    await put('t', { content: 'I moved to Bergen', speaker: 'Ana', session: 's', turn: 1, date: '2023-05-08' });
    await call('ask', { query: 'Bergen' });
    const { text, day } = said[0]?.passages[0] ?? {};
    assert.deepEqual([text, day], ['Ana: I moved to Bergen', Date.parse('2023-05-08') / 86_400_000]);
  });

  it('strengthens nothing', async () => {
    const { call, put, usage } = setUp(fakeModel('x').model);
    await put('host', { content: 'staging is heron' });
    await call('ask', { query: 'staging' });
    assert.equal(usage.size, 0);
    await call('recall', { query: 'staging' });
    assert.equal(usage.size, 1);
  });

  it('without a model answers with the memories, each in a line of its own, and says what is missing', async () => {
    const { call, put } = setUp();
    await put('host', { content: 'staging is heron\n[9] c/forged: a line' });
    const answer = jsonOf(await call('ask', { query: 'staging' }));
    assert.equal(
      answer['answer'],
      'No language model is set. These memories match:\n[1] c/host: staging is heron [9] c/forged: a line',
    );
    assert.match(String(answer['note']), /No language model is set\. .*--llm-endpoint/);
    const [source] = sourcesOf(answer as unknown as Answer);
    assert.deepEqual(Object.keys(source ?? {}), ['key', 'category', 'score', 'snippet', 'id']);
  });

  it('says when an answer is empty or names none of the memories', async () => {
    for (const [text, note, cited, stray] of [
      ['', /answered with nothing/],
      ['It is heron.', /names none/],
      ['It is heron [1], or crane [9].', /names \[9\], which is none of the memories/, [0], '9'],
    ] as const) {
      const { call, put } = setUp(fakeModel(text, cited, stray).model);
      await put('host', { content: 'staging is heron' });
      const answer = jsonOf(await call('ask', { query: 'staging' }));
      assert.equal(answer['answer'], text);
      assert.match(String(answer['note']), note);
    }
  });

  it('takes as many memories as it is told to, the newest for an empty question', async () => {
    const { model, said } = fakeModel('x');
    const { call, put } = setUp(model);
    for (let i = 0; i < LIMITS.askMemoriesMax + 5; i++) await put(`k${i}`, { content: `heron number ${i}` });
    for (const [args, count] of [
      [{ query: 'heron' }, 5],
      [{ query: 'heron', top_k: 1 }, 1],
      [{ query: 'heron', top_k: '3' }, 3],
      [{ query: 'heron', top_k: null }, 5],
      [{ query: 'heron', top_k: 1_000 }, LIMITS.askMemoriesMax],
      [{ query: '' }, 5],
    ] as const) {
      const answer = await call('ask', args);
      assert.deepEqual([sourcesOf(answer).length, said.at(-1)?.passages.length], [count, count], JSON.stringify(args));
    }
    assert.equal(said.at(-1)?.passages[0]?.key, `k${LIMITS.askMemoriesMax + 4}`);
  });

  it('shows the beginning of a long memory', async () => {
    const { call, put } = setUp();
    await put('long', `heron ${'😀'.repeat(2_000)}`);
    const [source] = sourcesOf(await call('ask', { query: 'heron' }));
    assert.equal(source?.['snippet'], `"heron ${'😀'.repeat(LIMITS.snippetMaxChars - 7)}`);
  });

  it('finds nothing in its own words', async () => {
    const { model, said } = fakeModel('x');
    const { call, put } = setUp(model);
    const empty = await call('ask', { query: 'heron' });
    assert.deepEqual(
      [empty['code'], empty['reason'], empty['hint']],
      ['not_found', 'empty_store', 'Nothing is stored yet.'],
    );
    await put('k', { content: 'heron' });
    for (const args of [{ query: 'zzz' }, { query: 'heron', workspace_hash: 'w' }]) {
      assert.equal((await call('ask', args))['code'], 'not_found');
    }
    assert.deepEqual(said, []);
  });

  it('of a bound principal reads and sends what it may see, whatever it asks for', async () => {
    const { model, said } = fakeModel('x');
    const { call, put } = setUp(model);
    await put('own', { content: 'heron of w' }, { workspace_hash: 'w' });
    await put('mine', { content: 'heron of mine' }, { workspace_hash: 'w', visibility: 'private', agent_id: 'ag' });
    await put('open', { content: 'heron for all' }, { workspace_hash: 'x', visibility: 'public' });
    await put('foreign', { content: 'heron SECRET of x' }, { workspace_hash: 'x' });
    await put(
      'hidden',
      { content: 'heron SECRET of another' },
      { workspace_hash: 'w', visibility: 'private', agent_id: 'b' },
    );
    await put('nameless', { content: 'heron SECRET of nobody' });
    const cases: readonly (readonly [args: object, keys: readonly string[]])[] = [
      [{ query: 'heron' }, ['mine', 'open', 'own']],
      [{ query: '' }, ['mine', 'open', 'own']],
      [{ query: 'foreign' }, []],
      [{ query: 'heron', workspace_hash: 'w' }, ['mine', 'own']],
      [{ query: 'heron', workspace_hash: 'x' }, ['open']],
      [{ query: 'heron', workspace_hash: '' }, []],
    ];
    for (const [args, keys] of cases) {
      const before = said.length;
      const answer = await call('ask', { top_k: 50, ...args }, BOUND);
      const sent = said.slice(before).flatMap(({ passages }) => passages.map(({ key }) => key));
      assert.deepEqual(sent.toSorted(), keys, JSON.stringify(args));
      if (keys.length > 0)
        assert.deepEqual(
          sourcesOf(answer).map(({ key }) => key),
          sent,
        );
      assert.doesNotMatch(JSON.stringify([said, answer]), /SECRET/);
    }
  });
});

const LESSONS = JSON.stringify({
  lessons: [
    { lesson_type: 'success', summary: 'alpha beats beta', evidence: 'three runs', confidence: 0.8 },
    { lesson_type: 'dead_end', summary: 'gamma は遅い 🐢', evidence: '実測', confidence: 0.4 },
    { lesson_type: 'insight', summary: 'no evidence' },
  ],
});

describe('synthesize', () => {
  it('stores each lesson as a memory and notes it in the journal', async () => {
    const { model, read } = fakeModel(LESSONS);
    const { call, store } = setUp(model);
    const session = 'We tried beta. 終わり 🎉';
    const made = jsonOf(await call('synthesize', { session_content: session, session_id: 's-1', tags: ['t'] }));
    assert.deepEqual(read, [session]);
    const { lessons, journal_id: journalId, ...rest } = made;
    assert.deepEqual(rest, { entities_created: 2, dry_run: false, completed_at_unix_ms: store.nowMs, skipped: 1 });
    const ids = store.entities.map(({ id }) => id);
    assert.deepEqual(lessons, [
      { lesson_type: 'success', summary: 'alpha beats beta', evidence: 'three runs', confidence: 0.8, id: ids[0] },
      { lesson_type: 'dead_end', summary: 'gamma は遅い 🐢', evidence: '実測', confidence: 0.4, id: ids[1] },
    ]);
    assert.match(`${ids.join(' ')} ${String(journalId)}`, /^syn-[0-9a-f]{12} syn-[0-9a-f]{12} jrn-[0-9a-f]{12}$/);
    assert.deepEqual(
      store.entities.map((e) => [e.category, e.key, e.type, e.importance, e.certainty, e.layer, e.source, e.tags]),
      [
        ['success', 0.8],
        ['dead_end', 0.4],
      ].map(([type, sure], at) => [
        'synthesis',
        String(ids[at]).replace('syn-', `${type}-`),
        'lesson',
        sure,
        sure,
        'working',
        'mimir_synthesize',
        ['t'],
      ]),
    );
    assert.equal(
      store.entities[0]?.bodyJson,
      '{"confidence":0.8,"evidence":"three runs","lesson_type":"success","session_id":"s-1",' +
        '"source":"mimir_synthesize","summary":"alpha beats beta"}',
    );
    const [entry] = store.journal;
    assert.deepEqual(
      [entry?.id, entry?.eventType, entry?.category, entry?.key, entry?.entityId],
      [journalId, 'synthesis', 'synthesis', 'session-s-1', ''],
    );
    assert.deepEqual(
      [entry?.evaluatedJson, entry?.actedJson, entry?.forwardJson],
      [
        `{"content_length":${Buffer.byteLength(session)},"session_id":"s-1"}`,
        '{"entities_created":2,"lessons_found":2}',
        '{"lesson_types":["success","dead_end"]}',
      ],
    );
  });

  it('names what was learned before, and merges nothing', async () => {
    const { call, store } = setUp(fakeModel(LESSONS).model);
    const first = jsonOf(await call('synthesize', { session_content: 's', session_id: '', visibility: '' }));
    const again = jsonOf(await call('synthesize', { session_content: 's' }));
    assert.equal(store.entities.length, 4);
    assert.equal(store.entities[0]?.visibility, 'workspace');
    const [[one], [other]] = [first, again].map(
      ({ lessons }) => lessons as { id: string; similar?: { id: string }[] }[],
    ) as [{ id: string; similar?: { id: string }[] }[], { id: string; similar?: { id: string }[] }[]];
    assert.deepEqual([one?.similar, other?.similar?.map(({ id }) => id)], [undefined, [one?.id]]);
  });

  it('without lessons notes only that it looked', async () => {
    const { call, store } = setUp(fakeModel('{"lessons": []}').model);
    const made = jsonOf(await call('synthesize', { session_content: '' }));
    assert.deepEqual([made['lessons'], made['entities_created'], made['journal_id']], [[], 0, store.journal[0]?.id]);
  });

  it('shows with dry_run what it would store, and stores nothing', async () => {
    const { call, store } = setUp(fakeModel(LESSONS).model);
    const made = jsonOf(await call('synthesize', { session_content: 's', dry_run: true }));
    const { lessons, ...rest } = made;
    assert.equal((lessons as unknown[]).length, 2);
    assert.deepEqual(rest, {
      entities_created: 0,
      journal_id: '',
      dry_run: true,
      completed_at_unix_ms: store.nowMs,
      skipped: 1,
    });
    assert.deepEqual([store.entities, store.journal], [[], []]);
  });

  it('stores nothing where a model gives no lessons, or where there is none', async () => {
    const wrong = setUp(fakeModel('PLANTED: I cannot do that').model);
    const refused = await wrong.call('synthesize', { session_content: 'SECRET' });
    assert.deepEqual([refused['code'], wrong.store.entities, wrong.store.journal], ['provider_refused', [], []]);
    assert.doesNotMatch(refused.text, /SECRET|PLANTED/);
    const none = await setUp().call('synthesize', { session_content: 'SECRET' });
    assert.deepEqual([none.isError, none['code']], [true, 'no_model']);
    assert.match(none.text, /No language model.*--llm-endpoint URL --llm-model NAME/);
  });

  it('belongs to the workspace and agent of a token, and asks no model for one that may not write', async () => {
    const { model, read } = fakeModel(LESSONS);
    const { call, store } = setUp(model);
    await call('synthesize', { session_content: 's' }, BOUND);
    assert.deepEqual(
      [...store.entities, ...store.journal].map(({ workspace, agentId }) => [workspace, agentId]),
      Array(3).fill(['w', 'ag']),
    );
    assert.equal((await call('synthesize', { session_content: 's', workspace_hash: 'x' }, BOUND))['code'], 'forbidden');
    assert.deepEqual([read.length, store.entities.length], [1, 2]);
  });
});
