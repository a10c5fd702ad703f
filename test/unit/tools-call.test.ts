import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MimirError } from '../../src/errors.ts';
import { LIMITS } from '../../src/limits.ts';
import { TOOLS } from '../../src/tools/table.ts';
import { BOUND, jsonOf, setUp, type Answer, type Shown } from '../support/tool-table.ts';
import { temporaryFolder } from '../support/processes.ts';

describe('the table', () => {
  it('lists lean schemas that clients can read', () => {
    const { table } = setUp();
    const json = JSON.stringify(table.all);
    assert.doesNotMatch(json, /anyOf|\$schema|additionalProperties|9007199254740991/);
    for (const { inputSchema, name } of table.all) {
      const properties = inputSchema['properties'] as Record<string, { description?: string }>;
      for (const [field, schema] of Object.entries(properties)) assert.ok(schema.description, `${name}.${field}`);
    }
  });

  it('knows what a tool needs', () => {
    const { table } = setUp();
    assert.equal(table.access('mimir_remember'), 'write');
    assert.equal(table.access('mimir_recall'), 'read');
    assert.equal(table.access('nothing'), undefined);
  });

  it('answers an unknown tool, an error and a bug', async () => {
    const { call, store, bugs } = setUp();
    await assert.rejects(call('nothing'), { code: 'unknown_tool' });
    store.entityById = () => {
      throw new MimirError('queue_full', 'Full.', { retryAfterMs: 50 });
    };
    const full = await call('health');
    assert.deepEqual(
      [full['isError'], full['code'], full['retryAfterMs'], full['status']],
      [true, 'queue_full', 50, 'unhealthy'],
    );
    store.entityById = () => {
      throw new TypeError('secret');
    };
    await assert.rejects(call('get_entity', { id: 'x' }), {
      code: 'bug',
      message: 'Internal error, incident abababab.',
      hint: undefined,
    });
    assert.equal(bugs.length, 1);
  });
});

describe('the examples of docs/tools.md', () => {
  it('are taken by their tools', async (t) => {
    const folder = temporaryFolder({ after: (run) => t.after(run) });
    const { call } = setUp(undefined, { atHome: (path) => path, vault: () => folder });
    for (const { listing, example } of TOOLS) {
      const { code } = await call(listing.name.replace('mimir_', ''), example);
      // The ids in them are made up, there is no model here, and this caller may name no file.
      assert.ok(
        [undefined, 'not_found', 'no_model', 'no_connectors', 'forbidden'].includes(code as string | undefined),
        `${listing.name}: ${String(code)}`,
      );
    }
  });
});

describe('arguments', () => {
  it('are read leniently', async () => {
    const { call, put } = setUp();
    for (let i = 0; i < 12; i++) await put(`k${i}`);
    const totals = [
      { query: '', limit: '1e1' },
      { query: '', limit: 10.0, category: null, nonsense: [] },
      { query: '', limit: '10', category: '' },
      { query: '', mode: '' },
    ];
    for (const args of totals) assert.equal((await call('recall', args))['total'], 10, JSON.stringify(args));
    assert.equal((await call('recall', { query: '', limit: 1e300 }))['total'], 12);
    assert.equal((await call('recall', { query: '', limit: -5 }))['total'], 0);
    assert.equal((await call('recall', { query: '', include_archived: 'true' }))['isError'], false);
    assert.equal((await call('stats', null))['isError'], false);
  });

  const BASE = { category: 'c', key: 'k', body_json: '{}' };
  const deep = '['.repeat(200) + ']'.repeat(200);
  const cases: [string, unknown, string][] = [
    ['remember', { key: 'k', body_json: '{}' }, 'category'],
    ['remember', { ...BASE, category: 7 }, 'category'],
    ['remember', { ...BASE, key: 'a\0b' }, 'key'],
    ['remember', { ...BASE, key: '\ud800' }, 'key'],
    ['remember', { ...BASE, key: 'é'.repeat(LIMITS.nameMaxBytes / 2) + 'x' }, 'key'],
    ['remember', { ...BASE, body_json: 'SECRET' }, 'body_json'],
    ['remember', { ...BASE, body_json: deep }, 'body_json'],
    ['remember', { ...BASE, body_json: '"'.padEnd(LIMITS.bodyJsonMaxBytes + 5, 'x') + '"' }, 'body_json'],
    ['remember', { ...BASE, body_json: '{"a":"\\ud83d"}' }, 'body_json'],
    ['remember', { ...BASE, body_json: '[1e400]' }, 'body_json'],
    ['remember', { ...BASE, tags: 'a' }, 'tags'],
    ['remember', { ...BASE, tags: ['a', null] }, 'tags[1]'],
    ['remember', { ...BASE, tags: Array.from({ length: 65 }, String) }, 'tags'],
    ['remember', { ...BASE, importance: 'SECRET' }, 'importance'],
    ['remember', { ...BASE, always_on: 1 }, 'always_on'],
    ['remember', ['c', 'k', '{}'], 'arguments'],
    ['remember', 'SECRET', 'arguments'],
    ['recall', {}, 'query'],
    ['recall', { query: 'x', limit: 1.5 }, 'limit'],
    ['recall', { query: 'x', mode: 'SECRET' }, 'mode'],
    ['recall', { query: 'x', expansion: { n_variants: 'SECRET' } }, 'expansion.n_variants'],
    ['recall', { query: 'x', expansion: [] }, 'expansion'],
    ['journal', { acted: JSON.parse(deep) as unknown }, 'acted'],
    ['journal', { acted: 'x'.repeat(LIMITS.journalFieldMaxBytes) }, 'acted'],
    ['state_set', { key: 'k' }, 'value_json'],
  ];
  for (const [tool, args, field] of cases) {
    it(`refuses ${tool} with a wrong ${field} and names it`, async () => {
      const { call, store } = setUp();
      const answer = await call(tool, args);
      assert.deepEqual(
        [answer['isError'], answer['code'], answer['kind'], answer['field']],
        [true, 'invalid_argument', 'invalid', field],
      );
      assert.match(answer.text, new RegExp(`^Invalid ${tool} arguments: .*must be `));
      assert.doesNotMatch(answer.text, /SECRET/);
      assert.ok(answer.text.length < 300);
      assert.equal(store.entities.length, 0);
    });
  }

  it('says what is allowed', async () => {
    const { call } = setUp();
    const { error } = await call('remember', {});
    assert.equal(error, 'Invalid remember arguments: `category` is missing; it must be text of at most 2048 bytes.');
  });
});

describe('memories', () => {
  it('are created, changed where said, and found', async () => {
    const { call, put, store } = setUp();
    const made = await put('k', { content: 'red apples' }, { tags: ['t'], importance: 0.9 });
    assert.deepEqual([made['action'], made['category'], made['key']], ['created', 'c', 'k']);
    const again = await put('k', { content: 'green apples' });
    assert.deepEqual([again['action'], again['id']], ['updated', made['id']]);
    const [entity] = store.entities;
    assert.deepEqual([entity?.tags, entity?.importance, entity?.usage.count], [['t'], 0.9, 1]);
    const found = await call('recall', { query: 'green' });
    assert.equal(found['total'], 1);
    const [item] = found.items;
    assert.ok(item);
    assert.deepEqual(Object.keys(item).toSorted(), [
      'agent_id',
      'always_on',
      'archive_reason',
      'archived',
      'body_json',
      'category',
      'certainty',
      'confidence',
      'content',
      'created_at_unix_ms',
      'decay_score',
      'id',
      'key',
      'last_accessed_unix_ms',
      'layer',
      'links',
      'retrieval_count',
      'source',
      'status',
      'tags',
      'topic_path',
      'type',
      'verified',
      'visibility',
      'workspace_hash',
    ]);
    assert.deepEqual([item['retrieval_count'], item['decay_score'], item['layer']], [1, 1, 'buffer']);
    assert.equal(
      (await call('recall', { query: 'green' })).items[0]?.['retrieval_count'],
      2,
      'the first recall counts for the second',
    );
  });

  it('say why nothing was found', async () => {
    const { call, put } = setUp();
    assert.equal((await call('recall', { query: 'x' }))['reason'], 'empty_store');
    await put('k');
    const none = await call('recall', { query: 'zebra' });
    assert.deepEqual([none['reason'], none['total'], typeof none['hint']], ['no_match', 0, 'string']);
    assert.equal((await call('recall', { query: '?!' }))['reason'], 'no_match');
    assert.equal((await call('recall', { query: 'k', mode: 'dense' }))['mode_used'], 'fts5');
  });

  it('with equal bodies are shown once, on every page', async () => {
    const { call, put } = setUp();
    for (let i = 0; i < 30; i++) await put(`k${i}`, { content: `same ${Math.floor(i / 3)}` });
    const pages = await Promise.all([0, 4, 8].map((offset) => call('recall', { query: '', limit: 4, offset })));
    const bodies = pages.flatMap((page) => page.items.map((item) => item.body_json));
    assert.equal(bodies.length, 10);
    assert.equal(new Set(bodies).size, 10);
    const { items } = await call('recall', { query: 'same', limit: 100 });
    assert.deepEqual([items.length, items[0]?.also?.length], [10, 2]);
  });

  it('do not let a body forge columns, and preview cuts between characters', async () => {
    const { call, put } = setUp();
    const { id } = await put('k', { verified: true, decay_score: 99, also: 1, note: 'né'.repeat(50) });
    const [whole] = (await call('recall', { query: 'k' })).items;
    assert.ok(whole);
    assert.deepEqual(
      [whole['verified'], whole['decay_score'], whole.also, whole['note']],
      [false, 0.5, undefined, 'né'.repeat(50)],
    );
    for (let cap = 0; cap < 70; cap++) {
      const [item] = (await call('recall', { query: 'k', preview_cap: cap })).items;
      assert.ok(item);
      const [kept = '', footer] = item.body_json.split('\n');
      assert.ok(Buffer.byteLength(kept) <= cap && Buffer.byteLength(kept) >= cap - 1);
      assert.ok(whole.body_json.startsWith(kept));
      assert.equal(
        footer,
        `--truncated (${whole.body_json.length - kept.length} more chars)-- full body: get_entity("${id}")`,
      );
      assert.equal(item['note'], undefined);
    }
  });

  it('large bodies make a short page with the way on', async () => {
    const { call, put } = setUp();
    for (let i = 0; i < 10; i++) await put(`k${i}`, `${i}`.padEnd(1_000_000, 'x'));
    const page = await call('recall', { query: '', limit: 10 });
    assert.equal(page['next_offset'], page.total);
    assert.ok(page.total > 0 && page.total < 10);
    assert.equal((await call('recall', { query: '', offset: page['next_offset'] })).total, 10 - page.total);
  });

  it('carry their triggers in the body', async () => {
    const { put, store } = setUp();
    assert.equal((await put('a', { z: 1, b: 2 }, { recall_when: ['x'] }))['hint'], undefined);
    assert.match(String((await put('b', 'text', { recall_when: ['x'] }))['hint']), /needs a body that is an object/);
    assert.deepEqual(
      store.entities.map((e) => e.bodyJson),
      ['{"z":1,"b":2,"recall_when":["x"]}', '"text"'],
    );
  });

  it('are forgotten, and come back when remembered', async () => {
    const { call, put, store } = setUp();
    await put('k');
    assert.deepEqual((await call('forget', { category: 'c', key: 'k' }))['found'], true);
    assert.deepEqual((await call('forget', { category: 'c', key: 'k' }))['found'], false);
    assert.equal(store.entities[0]?.archiveReason, 'manual');
    assert.equal((await call('recall', { query: 'k' }))['reason'], 'no_match');
    assert.equal((await call('recall', { query: 'k', include_archived: true }))['total'], 1);
    await put('k');
    assert.deepEqual([store.entities[0]?.archived, store.entities[0]?.archiveReason], [false, '']);
  });

  it('of several workspaces are not guessed', async () => {
    const { call, put } = setUp();
    await put('k', 1, { workspace_hash: 'a' });
    assert.equal((await call('forget', { category: 'c', key: 'k' }))['found'], true);
    await put('k', 1, { workspace_hash: 'b' });
    const answer = await call('forget', { category: 'c', key: 'k' });
    assert.deepEqual([answer['code'], answer['workspaces']], ['ambiguous', ['a', 'b']]);
    assert.equal((await call('forget', { category: 'c', key: 'k', workspace_hash: 'b' }))['found'], true);
  });

  it('stay inside a bound token', async () => {
    const { call, put, store } = setUp();
    await put('mine', 1, { workspace_hash: 'w', agent_id: 'other', visibility: 'private' });
    const asBound = (args: object) => call('remember', { category: 'c', key: 'n', body_json: '1', ...args }, BOUND);
    assert.equal((await asBound({}))['action'], 'created');
    assert.deepEqual([store.entities[1]?.workspace, store.entities[1]?.agentId], ['w', 'ag']);
    assert.equal((await asBound({ key: 'mine' }))['code'], 'forbidden');
    assert.equal((await asBound({ workspace_hash: 'x' }))['code'], 'forbidden');
    assert.equal((await asBound({ agent_id: 'other' }))['code'], 'forbidden');
    assert.equal('db_path' in (await call('stats', {}, BOUND)), false);
    assert.equal((await call('stats'))['db_path'], '/tmp/x.db');
  });

  it('verify is for the owner, and says how much agrees', async () => {
    const { call, put, store } = setUp();
    await put('k');
    assert.equal((await call('verify', {}, BOUND))['code'], 'forbidden');
    assert.deepEqual(jsonOf(await call('verify'))['problems'], []);
    const some = { problems: ['problem 1'], problemCount: 300 };
    store.examine = () => ({ ...some, operations: 1, newestMs: null, indexIsCurrent: true });
    const { ok, problems, problem_count: count } = await call('verify');
    assert.deepEqual([ok, problems, count], [false, some.problems, 300]);
  });

  it('stats names the largest groups only, and says how many it leaves out', async () => {
    const { call, put } = setUp();
    for (let i = 0; i < LIMITS.statsGroupsMax + 2; i++) await put('k', {}, { category: `c${i}`, type: 'fact' });
    await put('k2', {}, { category: 'c7', type: 'fact' });
    const { by_category: groups, not_shown: left } = await call('stats');
    const names = Object.keys(groups as object);
    assert.deepEqual(
      [names.length, names.includes('c7'), left],
      [LIMITS.statsGroupsMax, true, { categories: 2, types: 0 }],
    );
    assert.deepEqual(names, names.toSorted());
  });
});

describe('many questions about large memories', () => {
  it('share one bound, and each says where it was cut', async () => {
    const { call } = setUp();
    const large = JSON.stringify({ content: `apple ${'x'.repeat(900_000)}` });
    for (let i = 0; i < 4; i++)
      await call('remember', { category: 'c', key: `k${i}`, body_json: large.replace('xx', `x${i}`) });
    const answer = await call('recall_many', { queries: Array<string>(12).fill('apple') });
    const results = answer['results'] as readonly (Answer & { next_offset?: number })[];
    assert.ok(JSON.stringify(results).length < 3 * LIMITS.answerMaxChars);
    assert.equal(results[0]?.items.length, 4);
    assert.deepEqual([results[11]?.items.length, results[11]?.next_offset], [0, 0]);
  });
});

describe('how sure a recall is', () => {
  type Sure = Shown & { readonly confidence: number; readonly why?: string };
  const MANY_WORDS = 'heron ' + Array.from({ length: 26 }, (_, i) => `zebra${String.fromCodePoint(97 + i)}`).join(' ');

  it('stands in each hit, and falls from one to the next', async () => {
    const { call, put } = setUp();
    await put('a', 'the heron stands in the pond');
    await put('b', 'a heron');
    await put('c', 'a pond, far away from all that was ever said of anything by anybody');
    const { items } = await call('recall', { query: 'heron pond' });
    const sure = (items as readonly Sure[]).map(({ confidence }) => confidence);
    assert.equal(sure.length, 3);
    assert.ok(sure.every((one) => one > 0 && one < 1));
    assert.deepEqual(
      sure,
      sure.toSorted((a, b) => b - a),
    );
    assert.equal(((await call('recall', { query: 'b' })).items[0] as Sure).confidence, 1, 'its key is the query');
    assert.equal(
      'confidence' in ((await call('recall', { query: '' })).items[0] ?? {}),
      false,
      'a browse asks nothing',
    );
  });
  it('holds back what hardly answers, says how many, and shows them when asked to', async () => {
    const { call, put } = setUp();
    for (let i = 0; i < 50; i++) await put(`other-${i}`);
    await put('a', 'a heron');
    const answer = await call('recall', { query: MANY_WORDS });
    assert.deepEqual([answer.items.length, answer['reason'], answer['below_min_confidence']], [0, 'below_floor', 1]);
    assert.match(String(answer['hint']), /min_confidence: 0/);
    assert.equal((await call('recall', { query: MANY_WORDS, min_confidence: 0 })).items.length, 1);
    const strict = await call('recall', { query: 'heron body', min_confidence: 0.5, limit: 100 });
    assert.equal(strict.items.length + Number(strict['below_min_confidence']), 51);
  });
  it('finds an archived memory by its word, however short the others are', async () => {
    const { call, put } = setUp();
    await put('a', `a heron stands in ${'the long reeds of the quiet pond and waits '.repeat(8)}`);
    await call('forget', { category: 'c', key: 'a', reason: 'over' });
    const archived = async () => (await call('recall', { query: 'heron', include_archived: true })).items.length;
    assert.equal(await archived(), 1, 'it is the only one');
    for (let i = 0; i < 5; i++) await put(`other-${i}`, 'ok');
    assert.equal(await archived(), 1, 'the live ones are two words long');
  });
  it('finds what a mistyped word was meant to be, also where the ending is wrong', async () => {
    const { call, put } = setUp();
    await put('a', 'the staging host is called heron');
    await put('b', 'the production cluster');
    const { items } = await call('recall', { query: 'which hsot is stagign?' });
    assert.deepEqual(
      items.map(({ key }) => key),
      ['a'],
    );
    assert.match(
      String((await call('recall', { query: 'stagign', explain: true })).items[0]?.['why']),
      /^stage \(body\)/,
    );
  });
  it('says when filters are what leaves nothing', async () => {
    const { call, put } = setUp();
    await put('a', 'a heron');
    for (const query of ['heron', '']) {
      assert.equal((await call('recall', { query, category: 'other' }))['reason'], 'filtered_out');
    }
    assert.equal((await call('recall', { query: 'swan', category: 'other' }))['reason'], 'no_match');
    assert.equal((await call('recall', { query: 'heron', offset: 5 }))['reason'], 'no_match');
  });
  it('says why each hit came, in one line', async () => {
    const { call, put } = setUp();
    await put('pond', { content: 'The heron came yesterday', speaker: 'user' }, { tags: ['bird'] });
    const { items } = await call('recall', { query: 'when did my heron come to the pond, bird?', explain: true });
    assert.equal(
      (items[0] as Sure).why,
      'heron (body); come (body); pond (key); bird (tags); said by the user; tells a time',
    );
    assert.equal('why' in ((await call('recall', { query: 'heron' })).items[0] ?? {}), false);
  });
});

describe('many at once', () => {
  const memory = (key: string, more: object = {}) => ({
    category: 'c',
    key,
    body_json: '{"content":"heron"}',
    ...more,
  });

  it('are stored in order, each with its own result', async () => {
    const { call } = setUp();
    await call('remember', memory('mine', { visibility: 'private', agent_id: 'other', workspace_hash: 'w' }));
    const answer = await call(
      'remember_many',
      { memories: [memory('a'), memory('mine'), memory('a', { tags: ['x'] })] },
      BOUND,
    );
    const results = answer['results'] as Answer[];
    assert.deepEqual(
      results.map(({ key, action, error }) => [key, action ?? typeof error]),
      [
        ['a', 'created'],
        ['mine', 'string'],
        ['a', 'updated'],
      ],
    );
    assert.equal(results[1]?.['code'], 'forbidden');
    assert.equal(answer['stored'], 2);
  });
  it('are refused together when one of them cannot be read, by its place, and nothing is stored', async () => {
    const { call, store } = setUp();
    for (const [memories, field] of [
      [[memory('a'), memory('b', { body_json: 'no' })], 'memories[1].body_json'],
      [[memory('a'), 'text'], 'memories[1]'],
      [[memory('a', { tags: [7] })], 'memories[0].tags[0]'],
      [Array.from({ length: LIMITS.rememberManyMax + 1 }, (_, i) => memory(`k${i}`)), 'memories'],
      [{ a: 1 }, 'memories'],
      [undefined, 'memories'],
    ] as const) {
      const answer = await call('remember_many', { memories });
      assert.deepEqual([answer.isError, answer['field']], [true, field]);
    }
    assert.equal(store.entities.length, 0);
  });
  it('are found each for its own question, as one by one', async () => {
    const { call, put } = setUp();
    await put('a', 'heron');
    await put('b', 'swan');
    const { results } = (await call('recall_many', { queries: ['heron', 'swan', 'nothing'] })) as unknown as {
      results: readonly (Answer & { query: string; reason?: string })[];
    };
    assert.deepEqual(
      results.map(({ query, items, reason }) => [query, items.map(({ key }) => key), reason]),
      [
        ['heron', ['a'], undefined],
        ['swan', ['b'], undefined],
        ['nothing', [], 'no_match'],
      ],
    );
    for (const now of ['soon', '-271821-04-20', '+275760-09-13']) {
      assert.equal((await call('recall', { query: 'what was yesterday', now }))['field'], 'now');
    }
    assert.equal((await call('recall_many', { queries: [7] }))['field'], 'queries[0]');
    assert.equal((await call('recall_many', { queries: ['a'], now: 'soon' }))['field'], 'now');
  });
});

describe('context for a prompt', () => {
  const rows = (markdown: string): string[] => [...markdown.matchAll(/\*\*([^*]+)\*\*/g)].map(([, key = '']) => key);

  it('shows whole memories that a query needs, pinned ones first, and no moving numbers', async () => {
    const { call, put } = setUp();
    await put('old', { content: `The heron is the staging host. ${'It has much to tell. '.repeat(20)}The end.` });
    await put('pinned', { content: 'Never deploy on Friday.' }, { always_on: true });
    for (let i = 0; i < 20; i++) await put(`other-${i}`);
    const { markdown } = await call('context', { query: 'which host is staging?', limit: 3 });
    assert.deepEqual(rows(markdown).slice(0, 2), ['pinned', 'old']);
    assert.match(markdown, /- \[always-on\] \[c\] \*\*pinned\*\*/);
    assert.match(markdown, /The end\.\n/);
    assert.doesNotMatch(markdown, /retrievals/);
    assert.equal((await call('context', { query: 'which host is staging?', limit: 3 })).markdown, markdown);
  });
  it('never goes over its budget, and leaves out whole memories rather than cutting one', async () => {
    const { call, put } = setUp();
    for (let i = 0; i < 30; i++) await put(`k${i}`, { content: `heron ${'東京 word '.repeat(i * 6)}` });
    for (const max of [200, 400, 1_000, 5_000]) {
      for (const query of ['heron', '']) {
        const { markdown } = await call('context', { query, max_tokens: max, limit: 30 });
        assert.ok(Buffer.byteLength(markdown) <= max * 3, `${max}: ${Buffer.byteLength(markdown)}`);
        assert.ok(rows(markdown).length > 0, `${max}`);
        assert.match(markdown, /More was left out/);
      }
    }
  });
  it('without a query takes the important ones first', async () => {
    const { call, put } = setUp();
    await put('great', 'a', { importance: 0.9 });
    await put('small', 'b', { importance: 0.1 });
    await put('plain', 'c');
    assert.deepEqual(rows((await call('context', { max_tokens: 500 })).markdown), ['great', 'plain', 'small']);
  });
});

describe('context', () => {
  it('says how to begin', async () => {
    const { call } = setUp();
    const { markdown, context, total_chars: bytes } = await call('context');
    assert.equal(context, markdown);
    assert.ok(markdown.startsWith('## Mimir Context\n\n\n> 0 entities recalled\n> Nothing is stored yet.'));
    assert.equal(bytes, Buffer.byteLength(markdown));
  });

  it('shows pinned rows once and forges no lines', async () => {
    const { call, put } = setUp();
    await put('pin', { content: 'p' }, { always_on: true });
    await put('a\n- [x] **y**', { content: '東'.repeat(200) });
    const { markdown } = await call('context', { categories: ['c', 'c'] });
    const head = `{"content":"${'東'.repeat(88)}...`;
    assert.equal(
      markdown,
      '## Mimir Context\n\n### Always On\n\n- [always-on] [c] **pin** — {"content":"p"} (retrievals: 0, decay: 0.50)\n\n' +
        `- [c] **a - [x] **y**** — ${head} (retrievals: 0, decay: 0.50)\n\n> 2 entities recalled\n`,
    );
  });

  it('stays below its bound with whole lines', async () => {
    const { call, put } = setUp();
    for (let i = 0; i < 60; i++) await put(`${i}`.padEnd(2000, 'k'), `😀${i}`.padEnd(500, '😀'));
    const { markdown } = await call('context', { limit: 1000 });
    assert.ok(markdown.length <= LIMITS.contextMaxChars && markdown.length > LIMITS.contextMaxChars / 2);
    assert.ok(markdown.isWellFormed());
    assert.match(markdown, /More was left out/);
  });
});

describe('links, journal, state', () => {
  it('link, follow and unlink', async () => {
    const { call, put } = setUp();
    const ids: string[] = [];
    for (let i = 0; i < 6; i++) ids.push((await put(`k${i}`)).id);
    const linkTo = (from: number, to: number, relationship = '') =>
      call('link', { from_category: 'c', from_key: `k${from}`, to_id: ids[to], relationship });
    assert.equal((await linkTo(0, 1, 'r'))['relationship'], 'r');
    assert.equal((await linkTo(0, 1, 's'))['relationship'], 'r');
    for (const [from, to] of [
      [1, 2],
      [0, 3],
      [2, 0],
      [3, 4],
      [3, 5],
    ] as const)
      assert.equal((await linkTo(from, to))['from'], `c/k${from}`);
    const walk = async (more: object) =>
      (await call('traverse', { category: 'c', key: 'k0', ...more })).traversed
        .map((node) => node.key + node.depth)
        .join(' ');
    assert.equal(await walk({}), 'k11 k22 k31 k42 k52');
    assert.equal(await walk({ max_depth: 1 }), 'k11 k31');
    assert.equal(await walk({ max_nodes: 4 }), 'k11 k22 k31 k42');
    assert.equal(await walk({ max_nodes: 0 }), '');
    assert.equal((await linkTo(0, 9))['code'], 'invalid_argument');
    assert.equal((await call('link', { from_category: 'c', from_key: 'k0', to_id: 'x' }))['code'], 'not_found');
    assert.equal((await call('unlink', { from_category: 'c', from_key: 'k0', to_id: ids[1] }))['success'], true);
    assert.equal(await walk({}), 'k31 k42 k52');
    assert.equal((await call('get_entity', { id: ids[3] })).links.length, 2);
    assert.equal((await call('traverse', { category: 'c', key: 'nope' }))['code'], 'not_found');
  });

  it('write and read events', async () => {
    const { call } = setUp();
    const made = await call('journal', { evaluated: { b: 1, a: [2] }, acted: 'text' });
    assert.match(made.id, /^jrn-[0-9a-f]{12}$/);
    const { items, total } = await call('timeline');
    assert.equal(total, 1);
    assert.deepEqual(
      ['evaluated_json', 'acted_json', 'forward_json', 'event_type'].map((name) => items[0]?.[name]),
      ['{"a":[2],"b":1}', '"text"', 'null', 'decision'],
    );
  });

  it('keep state, with the aliases of other clients', async () => {
    const { call, store } = setUp();
    assert.deepEqual((await call('state_set', { key: 'k', value_json: 'x' }))['expires_at_unix_ms'], null);
    const set = await call('state_set', { key: 'l', value: { a: 1 }, ttl: 1.2 });
    assert.deepEqual([set['ttl_seconds'], set['expires_at_unix_ms']], [2, store.nowMs + 2000]);
    assert.equal((await call('state_get', { key: 'l' }))['value'], '{"a":1}');
    assert.deepEqual((await call('state_list'))['keys'], ['k', 'l']);
    store.nowMs += 2001;
    assert.deepEqual((await call('state_get', { key: 'l' }))['found'], false);
    assert.equal((await call('state_delete', { key: 'k' }))['found'], true);
    assert.equal((await call('state_delete', { key: 'k' }))['found'], false);
  });
});
