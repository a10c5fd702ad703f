import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { LIMITS } from '../../src/limits.ts';
import { BOUND, jsonOf, setUp, type Answer } from '../support/tool-table.ts';

type Call = ReturnType<typeof setUp>['call'];
const DAY_MS = 24 * 60 * 60 * 1_000;

const keysOf = (answer: Answer): string[] => answer.items.map(({ key }) => key);
const recallAll = (call: Call, more: object = {}) => call('recall', { query: '', limit: 1_000, ...more });

describe('arguments that are not right', () => {
  const lesson = { wrong_approach: 'a', user_correction: 'b', task_context: 'c' };
  const task = { task_description: 't', turns_taken: 1, tokens_used: 2, memory_recall_used: true };
  const ends = { from_category: 'c', from_key: 'a', to_category: 'c', to_key: 'b' };
  const large = 'x'.repeat(LIMITS.lessonTextMaxBytes + 1);
  const long = 'x'.repeat(LIMITS.nameMaxBytes + 1);
  const cases: [string, object, string][] = [
    ['workspace_list', { workspace_hash: 7 }, 'workspace_hash'],
    ['recall_when', {}, 'context'],
    ['recall_when', { context: ['SECRET'] }, 'context'],
    ['recall_when', { context: 'x', limit: 2.5 }, 'limit'],
    ['recall_when', { context: 'x'.repeat(LIMITS.bodyJsonMaxBytes + 1) }, 'context'],
    ['score', { category: 'c', key: 'k' }, 'score'],
    ['score', { category: 'c', key: 'k', score: 'SECRET' }, 'score'],
    ['score', { category: 'c', key: 'k', score: '1e999' }, 'score'],
    ['score', { category: 'c', key: null, score: 1 }, 'key'],
    ['conflicts', {}, 'category'],
    ['conflicts', { category: 'c', threshold: [] }, 'threshold'],
    ['conflicts', { category: 'c', limit: {} }, 'limit'],
    ['conflicts', { category: 'c', offset: 0.5 }, 'offset'],
    ['supersede', { ...ends, to_key: undefined }, 'to_key'],
    ['supersede', { ...ends, from_category: 7 }, 'from_category'],
    ['supersede', { ...ends, reason: 'a\0b' }, 'reason'],
    ['supersede', { ...ends, relationship: long }, 'relationship'],
    ['correct', { ...lesson, wrong_approach: undefined }, 'wrong_approach'],
    ['correct', { ...lesson, user_correction: large }, 'user_correction'],
    ['correct', { ...lesson, task_context: '\ud800' }, 'task_context'],
    ['correct', { ...lesson, tags: 'a,b' }, 'tags'],
    ['correct', { ...lesson, tags: ['a', 1] }, 'tags[1]'],
    ['correct', { ...lesson, visibility: true }, 'visibility'],
    ['bench', { ...task, turns_taken: 2.5 }, 'turns_taken'],
    ['bench', { ...task, tokens_used: 1e300 }, 'tokens_used'],
    ['bench', { ...task, memory_recall_used: 0 }, 'memory_recall_used'],
    ['bench', { ...task, task_success: {} }, 'task_success'],
    ['bench', { ...task, task_description: large }, 'task_description'],
    ['share', { category: 'c', key: 'k' }, 'to_workspace'],
    ['share', { category: 'c', key: 'k', to_workspace: ['SECRET'] }, 'to_workspace'],
    ['cohere', { dry_run: 1 }, 'dry_run'],
    ['cohere', { max_links: 2.5 }, 'max_links'],
    ['cohere', { promote_threshold: {} }, 'promote_threshold'],
    ['cohere', { archive_threshold: 'SECRET' }, 'archive_threshold'],
    ['autocohere', { dry_run: 'SECRET' }, 'dry_run'],
  ];
  for (const [tool, args, field] of cases) {
    it(`of ${tool} are refused for ${field}: ${JSON.stringify(args).slice(0, 80)}`, async () => {
      const { call, put, store } = setUp();
      await put('a');
      await put('b');
      const before = JSON.stringify([store.entities, [...store.links], store.journal]);
      const answer = await call(tool, args);
      assert.deepEqual([answer.isError, answer['code'], answer['field']], [true, 'invalid_argument', field]);
      assert.match(answer.text, new RegExp(`^Invalid ${tool} arguments: .*must be `));
      assert.doesNotMatch(answer.text, /SECRET/);
      assert.equal(JSON.stringify([store.entities, [...store.links], store.journal]), before);
    });
  }
});

describe('workspace_list', () => {
  it('lists categories as the original does, and workspaces, of what is not forgotten', async () => {
    const { call, put } = setUp();
    assert.deepEqual(jsonOf(await call('workspace_list')), { categories: [], total: 0, workspaces: [] });
    await put('a', 1, { workspace_hash: 'w' });
    await put('b', 1, { category: '東' });
    await put('c', 1, { category: 'gone', workspace_hash: 'gone' });
    await call('forget', { category: 'gone', key: 'c' });
    assert.deepEqual(jsonOf(await call('workspace_list')), {
      categories: ['c', '東'],
      total: 2,
      workspaces: ['', 'w'],
    });
    assert.deepEqual(jsonOf(await call('workspace_list', { workspace_hash: 'w' })), {
      categories: ['c'],
      total: 1,
      workspaces: ['w'],
    });
  });
});

describe('recall_when', () => {
  it('brings up memories whose triggers have a word of the situation', async () => {
    const { call, put, store } = setUp();
    await put('t0', { content: 'a' }, { recall_when: ['deploying the cluster'], importance: 0.2 });
    await put('t1', { content: 'b' }, { recall_when: ['before lunch', 'AFTER dinner'], importance: 0.3 });
    await put('t2', { content: 'meeting at dinner', note: 'recall_when' });
    await put('t3', { content: 'c', recall_when: 'dinner' });
    await put('t4', { content: 'd' }, { recall_when: ['a long dinner'], importance: 0.9 });
    const { context, total, items } = await call('recall_when', { context: 'DINNER!' });
    assert.deepEqual([context, total], ['DINNER!', 2]);
    assert.deepEqual(
      items.map(({ key }) => key),
      ['t4', 't1'],
      'the more important one first',
    );
    const [first] = items;
    assert.deepEqual(first?.['recall_when'], ['a long dinner']);
    assert.deepEqual([first?.['retrieval_count'], first?.['decay_score'], first?.['layer']], [0, 0.9, 'buffer']);
    const most = await call('recall_when', { context: 'lunch or dinner', limit: 1 });
    assert.deepEqual(keysOf(most), ['t1'], 'more of its words come first');
    assert.ok(store.entities.every(({ usage }) => usage.count === 0));
    assert.equal((await recallAll(call)).items[0]?.['retrieval_count'], 0, 'it is no use');
  });

  it('finds none for nothing, none of the forgotten, and what came back', async () => {
    const { call, put } = setUp();
    await put('a', { content: 'x' }, { recall_when: ['dinner'] });
    for (const args of [{ context: '' }, { context: 'x' }, { context: 'dinner', limit: 0 }, { context: 'lunch' }])
      assert.deepEqual(jsonOf(await call('recall_when', args)), { items: [], total: 0, context: args.context });
    await call('forget', { category: 'c', key: 'a' });
    assert.equal((await call('recall_when', { context: 'dinner' })).total, 0);
    await put('a', { content: 'x' }, { recall_when: ['dinner'] });
    assert.equal((await call('recall_when', { context: 'dinner' })).total, 1);
    await put('a', { content: 'no triggers any more' });
    assert.equal((await call('recall_when', { context: 'dinner' })).total, 0);
  });

  it('stays inside its workspace, and inside a token', async () => {
    const { call, put } = setUp();
    const when = { recall_when: ['dinner'] };
    await put('here', { n: 1 }, { ...when, workspace_hash: 'w' });
    await put('hidden', { n: 2 }, { ...when, workspace_hash: 'w', visibility: 'private', agent_id: 'other' });
    await put('there', { n: 3 }, { ...when, workspace_hash: 'x' });
    assert.deepEqual(keysOf(await call('recall_when', { context: 'dinner' }, BOUND)), ['here']);
    assert.deepEqual(keysOf(await call('recall_when', { context: 'dinner', workspace_hash: 'x' })), ['there']);
    assert.equal((await call('recall_when', { context: 'dinner' })).total, 3);
  });

  it('shows equal memories once, and says when there was no room for all', async () => {
    const { call, put } = setUp();
    for (let i = 0; i < 3; i++) await put(`k${i}`, { content: 'same' }, { recall_when: ['dinner'] });
    const { items } = await call('recall_when', { context: 'dinner' });
    assert.deepEqual([items.length, items[0]?.also?.length], [1, 2]);
    for (let i = 0; i < 12; i++)
      await put(`large${i}`, { x: `${i}`.padEnd(900_000, 'x') }, { recall_when: ['supper'] });
    const many = await call('recall_when', { context: 'supper', limit: 100 });
    assert.equal(many['truncated'], true);
    assert.ok(many.total > 0 && many.total < 12);
    assert.equal(many.total, many.items.length);
  });
});

describe('score', () => {
  it('sets the strength and whether it is verified, and answers the value as it came', async () => {
    const { call, put, store } = setUp();
    const { id } = await put('k');
    const scored = async (value: number, key = 'k') =>
      jsonOf(await call('score', { category: 'c', key, score: value }));
    for (const [value, strength, verified] of [
      [0.7, 0.7, true],
      [0.69999, 0.69999, false],
      [-1, 0, false],
      [5, 1, true],
    ] as const) {
      store.nowMs += DAY_MS;
      assert.deepEqual(await scored(value), { found: true, category: 'c', key: 'k', score: value });
      const { decay_score: now, last_accessed_unix_ms: last } = await call('get_entity', { id });
      assert.deepEqual([now, last, store.entities[0]?.verified], [strength, store.nowMs, verified]);
    }
    assert.equal(store.entities[0]?.usage.count, 0, 'it is no use');
    assert.deepEqual(await scored(1, 'nope'), { found: false, category: 'c', key: 'nope', score: 1 });
    await call('forget', { category: 'c', key: 'k' });
    assert.equal((await scored(0.2))['found'], true);
    assert.deepEqual([store.entities[0]?.archived, store.entities[0]?.importance], [true, 0.2]);
  });

  it('guesses no workspace, and reaches no other one than that of a token', async () => {
    const { call, put } = setUp();
    await put('k', 1, { workspace_hash: 'a' });
    await put('k', 1, { workspace_hash: 'b', visibility: 'public' });
    const args = { category: 'c', key: 'k', score: 1 };
    const answer = await call('score', args);
    assert.deepEqual([answer['code'], answer['workspaces']], ['ambiguous', ['a', 'b']]);
    assert.equal((await call('score', { ...args, workspace_hash: 'b' }))['found'], true);
    assert.equal((await call('score', args, BOUND))['code'], 'forbidden');
    assert.equal((await call('score', { ...args, workspace_hash: 'a' }, BOUND))['found'], false);
  });
});

describe('conflicts', () => {
  interface Pair {
    readonly entity_a: { readonly key: string };
    readonly entity_b: { readonly key: string };
    readonly similarity: number;
    readonly conflict_likely: boolean;
    readonly certainty_boosted: boolean;
  }
  const pairs = (answer: Answer) =>
    (answer['conflicts'] as readonly Pair[]).map((one) =>
      [one.entity_a.key + one.entity_b.key, one.similarity, one.conflict_likely, one.certainty_boosted].join(' '),
    );
  const fill = async () => {
    const made = setUp();
    const { call } = made;
    const put = (key: string, body: string, certainty?: number) =>
      call('remember', { category: 'claims', key, body_json: body, ...(certainty !== undefined && { certainty }) });
    // Trigrams: abc bcd cde ef. | abc bcd cdx | 1 each of quotes.
    await put('a', '"abcdefgh"');
    await put('b', '"abcdefxy"', 0.35);
    await put('c', '"zzzzzzzz"', 0.2);
    return { ...made, put };
  };

  it('are the pairs below the threshold, most alike first', async () => {
    const { call } = await fill();
    // a and b share 5 of 11 trigrams; whoever is uncertain raises the threshold to .6.
    const alike = 5 / 11;
    const answer = await call('conflicts', { category: 'claims' });
    assert.deepEqual(pairs(answer), [`ba ${alike} false true`, 'cb 0 true true', 'ca 0 true true']);
    assert.deepEqual(
      [answer['category'], answer['entities_compared'], answer['conflicts_found'], answer['threshold']],
      ['claims', 3, 3, 0.4],
    );
    assert.deepEqual(Object.keys((answer['conflicts'] as readonly object[])[0] ?? {}), [
      'entity_a',
      'entity_b',
      'similarity',
      'conflict_likely',
      'certainty_boosted',
    ]);
    assert.deepEqual(pairs(await call('conflicts', { category: 'claims', threshold: 0.3 })).length, 2);
    assert.deepEqual(pairs(await call('conflicts', { category: 'claims', threshold: 0 })), []);
    assert.deepEqual(pairs(await call('conflicts', { category: 'claims', limit: 1 })), [`ba ${alike} false true`]);
    assert.deepEqual(pairs(await call('conflicts', { category: 'claims', limit: 0 })), []);
    assert.equal((await call('conflicts', { category: 'claims', offset: 2 }))['entities_compared'], 1);
    assert.equal((await call('conflicts', { category: 'none' }))['entities_compared'], 0);
  });

  it('leave out what was superseded, and what is too long to compare', async () => {
    const { call, put } = await fill();
    const ends = { from_category: 'claims', from_key: 'c', to_category: 'claims', to_key: 'a' };
    await call('supersede', ends);
    assert.deepEqual(pairs(await call('conflicts', { category: 'claims' })), [`ba ${5 / 11} false true`]);
    await put('long', JSON.stringify('y'.repeat(LIMITS.similarBodyMaxChars)));
    assert.equal((await call('conflicts', { category: 'claims' }))['entities_compared'], 3);
  });

  it('compare no more than their bound', async () => {
    const { call, put } = await fill();
    for (let i = 0; i < LIMITS.conflictRowsMax; i++) await put(`k${i}`, JSON.stringify(`${i}`));
    assert.equal((await call('conflicts', { category: 'claims' }))['entities_compared'], LIMITS.conflictRowsMax);
    const body = (i: number): string => JSON.stringify(`${i}`.padEnd(LIMITS.similarBodyMaxChars - 10, 'x'));
    for (let i = 0; i < 20; i++) await put(`k${i}`, body(i));
    const compared = (await call('conflicts', { category: 'claims' }))['entities_compared'];
    assert.equal(compared, Math.floor(LIMITS.conflictMaxChars / (LIMITS.similarBodyMaxChars - 8)));
  });
});

describe('supersede', () => {
  const ends = { from_category: 'c', from_key: 'old', to_category: 'c', to_key: 'new' };

  it('links the new one to the old, which stays to be found and is marked', async () => {
    const { call, put, store } = setUp();
    const { id: oldId } = await put('old');
    const { id: newId } = await put('new');
    assert.deepEqual(jsonOf(await call('supersede', { ...ends, reason: 'newer facts' })), {
      from_entity_id: oldId,
      from_entity_category: 'c',
      from_entity_key: 'old',
      to_entity_id: newId,
      to_entity_category: 'c',
      to_entity_key: 'new',
      relationship: 'supersedes',
      status_updated: 'deprecated',
    });
    const links = async () => (await call('get_entity', { id: newId })).links;
    assert.deepEqual(await links(), [{ target_id: oldId, relationship: 'supersedes', weight: 0.5 }]);
    const old = store.entities.find(({ id }) => id === oldId);
    assert.deepEqual([old?.status, old?.archiveReason, old?.archived], ['deprecated', 'newer facts', false]);
    assert.equal((await recallAll(call)).total, 2);
    assert.equal((await call('supersede', { ...ends, relationship: 'replaces' }))['relationship'], 'replaces');
    assert.deepEqual(await links(), [{ target_id: oldId, relationship: 'replaces', weight: 0.5 }], 'one link');
  });

  it('says which end is not there, and changes nothing then', async () => {
    const { call, put, store } = setUp();
    await put('old');
    const noTo = await call('supersede', ends);
    assert.deepEqual([noTo['code'], noTo['kind']], ['not_found', 'refused']);
    assert.match(noTo.text, /^'To' entity not found: .*`to_key`/);
    assert.match((await call('supersede', { ...ends, from_key: 'x' })).text, /^'From' entity not found/);
    assert.equal(store.entities[0]?.status, 'active');
  });

  it('writes into no workspace that is not the own one', async () => {
    const { call, put, store } = setUp();
    await put('old', 1, { workspace_hash: 'x', visibility: 'public' });
    await put('new', 1, { workspace_hash: 'w' });
    assert.equal((await call('supersede', ends, BOUND))['code'], 'forbidden');
    assert.equal(store.entities[0]?.status, 'active');
    assert.equal((await call('supersede', { ...ends, workspace_hash: 'w' }))['code'], 'not_found');
    assert.equal((await call('supersede', ends))['status_updated'], 'deprecated', 'each end where it is');
  });
});

describe('correct', () => {
  const said = {
    wrong_approach: 'guessed the name',
    user_correction: 'read the table',
    task_context: 'naming columns',
  };

  it('keeps a memory that is certain and a journal entry, in one go', async () => {
    const { call, store } = setUp();
    const made = jsonOf(await call('correct', { ...said, session_id: 's', tags: ['x'] }));
    const { entity_id: id, journal_id: journalId, key, ...rest } = made;
    assert.deepEqual(rest, { category: 'correction', created_at_unix_ms: store.nowMs });
    assert.match(`${String(id)} ${String(journalId)}`, /^cor-[0-9a-f]{12} jrn-[0-9a-f]{12}$/);
    assert.equal(key, String(id).replace('cor-', 'correction-'));
    const [item] = (await recallAll(call)).items;
    assert.equal(
      item?.body_json,
      '{"lesson":"When naming columns: do NOT guessed the name. Instead: read the table","session_id":"s",' +
        '"task_context":"naming columns","user_correction":"read the table","wrong_approach":"guessed the name"}',
    );
    const { type, certainty, decay_score: strength, layer, source, tags, visibility } = item;
    assert.deepEqual(
      [type, certainty, strength, layer, source, tags, visibility],
      ['correction', 1, 1, 'working', 'mimir_correct', ['x'], 'workspace'],
    );
    const [entry] = (await call('timeline')).items;
    assert.deepEqual(
      ['event_type', 'evaluated_json', 'acted_json', 'forward_json', 'category', 'key', 'entity_id'].map(
        (member) => entry?.[member],
      ),
      [
        'correction',
        '{"wrong_approach":"guessed the name"}',
        '{"user_correction":"read the table"}',
        '{"lesson_learned":true,"task_context":"naming columns"}',
        'correction',
        key,
        id,
      ],
    );
  });

  it('is never merged with an older one, but names it', async () => {
    const { call, store } = setUp();
    const first = await call('correct', { ...said, category: '', visibility: '', session_id: '' });
    const again = await call('correct', said);
    assert.equal(store.entities.length, 2);
    assert.deepEqual(again['similar'], [{ id: first['entity_id'], key: first['key'], similarity: 1 }]);
    assert.deepEqual([store.entities[0]?.category, store.entities[0]?.visibility], ['correction', 'workspace']);
  });

  it('belongs to the workspace and agent of a token', async () => {
    const { call, store } = setUp();
    await call('correct', said, BOUND);
    assert.deepEqual([store.entities[0]?.workspace, store.entities[0]?.agentId], ['w', 'ag']);
    assert.deepEqual([store.journal[0]?.workspace, store.journal[0]?.agentId], ['w', 'ag']);
    assert.equal((await call('correct', { ...said, workspace_hash: 'x' }, BOUND))['code'], 'forbidden');
    await call('correct', { ...said, workspace_hash: 'x' });
    assert.equal(store.entities[1]?.workspace, 'x');
  });
});

describe('bench', () => {
  it('writes down what a task took, each a row of its own', async () => {
    const { call, store } = setUp();
    const task = { task_description: 'sort', turns_taken: 4, tokens_used: 1_001, memory_recall_used: true };
    const { entity_id: id, ...rest } = jsonOf(await call('bench', task));
    assert.match(String(id), /^bch-[0-9a-f]{12}$/);
    assert.deepEqual(rest, { created_at_unix_ms: store.nowMs });
    await call('bench', { ...task, tokens_used: 1_002 });
    for (const [turns, tokens, each] of [
      [0, 5, 0],
      [-2, -7, 0],
      [2, -7, -3],
    ] as const) {
      await call('bench', { ...task, turns_taken: turns, tokens_used: tokens });
      assert.match(store.entities[store.entities.length - 1]?.bodyJson ?? '', new RegExp(`"tokens_per_turn":${each},`));
    }
    assert.equal(store.entities.length, 5);
    const [first] = store.entities;
    assert.equal(
      first?.bodyJson,
      '{"memory_recall_used":true,"recall_count":0,"session_id":"","task_description":"sort","task_success":false,' +
        '"tokens_per_turn":250,"tokens_used":1001,"turns_taken":4}',
    );
    assert.deepEqual(
      [first.category, first.type, first.key, first.importance, first.certainty, first.layer, first.source],
      ['benchmark', 'benchmark', String(id).replace('bch-', 'bench-'), 0.5, 0.5, 'working', 'mimir_bench'],
    );
  });
});

describe('share', () => {
  const copy = { category: 'c', key: 'k', to_workspace: 'x' };

  it('copies a memory and leaves it where it is; again brings the copy up to date', async () => {
    const { call, put, store } = setUp();
    const { id } = await put('k', { n: 1 }, { workspace_hash: 'w', tags: ['t'], importance: 0.9, certainty: 0.8 });
    const { shared_id: sharedId, ...rest } = jsonOf(await call('share', copy));
    assert.deepEqual(rest, { action: 'created', from_workspace: 'w', to_workspace: 'x' });
    assert.match(String(sharedId), /^mem-/);
    assert.notEqual(sharedId, id);
    const [original, made] = store.entities;
    assert.deepEqual([original?.workspace, original?.bodyJson], ['w', '{"n":1}']);
    const { workspace, category, key, bodyJson, tags, importance, certainty, layer, usage } = made ?? assert.fail();
    assert.deepEqual(
      [workspace, category, key, bodyJson, tags, importance, certainty, layer, usage.count],
      ['x', 'c', 'k', '{"n":1}', ['t'], 0.9, 0.8, 'buffer', 0],
    );
    await put('k', { n: 2 }, { workspace_hash: 'w' });
    // Two workspaces have the key by now, and only one of them is not where it goes.
    assert.deepEqual(jsonOf(await call('share', copy)), { shared_id: sharedId, ...rest, action: 'updated' });
    assert.deepEqual(
      store.entities.map((e) => e.bodyJson),
      ['{"n":2}', '{"n":2}'],
    );
    await call('forget', { category: 'c', key: 'k', workspace_hash: 'x' });
    assert.equal((await call('share', copy))['action'], 'updated');
    assert.equal(store.entities[1]?.archived, false);
    const home = { ...copy, to_workspace: 'w', workspace_hash: 'w' };
    assert.deepEqual(jsonOf(await call('share', home)), {
      shared_id: id,
      action: 'updated',
      from_workspace: 'w',
      to_workspace: 'w',
    });
  });

  it('writes over no copy that somebody has written to since', async () => {
    const { call, put, store } = setUp();
    await put('k', { n: 1 }, { workspace_hash: 'w' });
    await call('share', copy);
    await put('k', { n: 'edited' }, { workspace_hash: 'x' });
    await put('k', { n: 2 }, { workspace_hash: 'w' });
    assert.equal((await call('share', { ...copy, workspace_hash: 'w' }))['code'], 'exists');
    const federated = jsonOf(await call('federate', { from_workspace: 'w', to_workspace: 'x' }));
    assert.equal(federated['imported'], 0);
    assert.match(JSON.stringify(federated['import_errors']), /c\/k: .*of its own/);
    assert.equal(store.entities[1]?.bodyJson, '{"n":"edited"}');
    await put('k', { n: 2 }, { workspace_hash: 'x' });
    assert.equal(
      (await call('share', { ...copy, workspace_hash: 'w' }))['action'],
      'updated',
      'both say the same again',
    );
  });

  it('brings back a copy that was forgotten only when that one is shared, not with all others', async () => {
    const { call, put, store } = setUp();
    await put('k', { n: 1 }, { workspace_hash: 'w' });
    await call('federate', { from_workspace: 'w', to_workspace: 'x' });
    await call('forget', { category: 'c', key: 'k', workspace_hash: 'x' });
    const again = jsonOf(await call('federate', { from_workspace: 'w', to_workspace: 'x' }));
    assert.deepEqual([again['imported'], store.entities[1]?.archived], [0, true]);
    assert.match(JSON.stringify(again['import_errors']), /c\/k: .*forgotten/);
    assert.equal((await call('share', copy))['action'], 'updated');
    assert.equal(store.entities[1]?.archived, false);
  });

  it('writes over nothing that is not its copy', async () => {
    const { call, put, store } = setUp();
    await put('k', { n: 1 });
    const { id } = await put('k', { n: 'own' }, { workspace_hash: 'x', importance: 0.1 });
    const answer = await call('share', copy);
    assert.deepEqual([answer['code'], answer['kind'], answer['id']], ['exists', 'refused', id]);
    assert.equal(store.entities[1]?.bodyJson, '{"n":"own"}');
    await put('k', { n: 1 }, { workspace_hash: 'x' });
    assert.deepEqual([(await call('share', copy))['action'], store.entities[1].importance], ['updated', 0.1]);
  });

  it('refuses what is not there, what is forgotten, what could be several, and foreign workspaces', async () => {
    const { call, put } = setUp();
    assert.equal((await call('share', copy))['code'], 'not_found');
    await put('k', 1, { workspace_hash: 'a', visibility: 'public' });
    assert.equal((await call('share', copy, BOUND))['code'], 'forbidden');
    assert.equal((await call('share', { ...copy, to_workspace: 'w' }, BOUND))['action'], 'created');
    await put('k', 2, { workspace_hash: 'b' });
    assert.equal((await call('share', copy))['code'], 'ambiguous');
    await call('forget', { category: 'c', key: 'k', workspace_hash: 'b' });
    assert.equal((await call('share', { ...copy, workspace_hash: 'b' }))['code'], 'not_found');
  });

  it('says nothing of a private memory in the place where the copy should go', async () => {
    const { call, put } = setUp();
    await put('k', 1, { workspace_hash: 'a', visibility: 'public' });
    await put('k', 'SECRET', { workspace_hash: 'w', visibility: 'private', agent_id: 'other' });
    const answer = await call('share', { ...copy, to_workspace: 'w' }, BOUND);
    assert.equal(answer['code'], 'forbidden');
    assert.doesNotMatch(answer.text, /SECRET/);
  });
});
