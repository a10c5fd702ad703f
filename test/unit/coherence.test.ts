import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { bringInOrder } from '../../src/engine/cohering.ts';
import type { Execute } from '../../src/engine/operations.ts';
import { MimirError } from '../../src/errors.ts';
import { LIMITS } from '../../src/limits.ts';
import { NO_NOTES } from '../../src/memory/retention.ts';
import { BOUND, jsonOf, OWNER, setUp, type Answer } from '../support/tool-table.ts';

const DAY_MS = 24 * 60 * 60 * 1_000;
const FIELDS = ['promoted', 'decayed', 'linked', 'archived', 'entities_examined', 'dry_run'] as const;
const numbers = (answer: Answer): unknown[] => FIELDS.map((name) => answer[name]);
const pairs = (answer: Answer): string[] =>
  (answer['links'] as readonly { from_key: string; to_key: string }[]).map((one) => `${one.from_key} ${one.to_key}`);

/** A store with something to do of every kind: two memories about one thing, one used much, one weak, one pinned. */
async function fill() {
  const made = setUp();
  const { put, call, store } = made;
  await put('host', { content: 'the staging host is called heron and runs postgres' });
  await put('weak', { content: 'nobody wanted this' }, { importance: 0.04 });
  await put('pinned', { content: 'always here' }, { importance: 0.01, always_on: true });
  await put('used', { content: 'lunch is at noon' }, { tags: ['team'] });
  for (let i = 0; i < 3; i++) await call('recall', { query: 'lunch noon' });
  await put('port', { content: 'postgres on the staging host heron listens on 5433' });
  const state = () => JSON.stringify([store.entities, [...store.links]]);
  return { ...made, state, get: (key: string) => store.entities.find((one) => one.key === key) };
}

describe('cohere', () => {
  it('promotes what is used, links what is about the same thing, archives what is weak', async () => {
    const { call, get, store } = await fill();
    const answer = await call('cohere');
    assert.deepEqual(numbers(answer), [1, 0, 1, 1, 5, false]);
    assert.equal(answer['completed_at_unix_ms'], store.nowMs);
    assert.deepEqual(pairs(answer), ['port host'], 'from the newer one');
    assert.deepEqual([get('used')?.layer, get('host')?.layer], ['working', 'buffer']);
    assert.deepEqual([get('weak')?.archived, get('pinned')?.archived], [true, false]);
    assert.equal(get('weak')?.archiveReason, 'cohere: strength below 0.05');
    assert.deepEqual(store.links.get(get('port')?.row ?? 0), [
      { targetId: get('host')?.id, relationship: 'auto-related', weight: 0.5 },
    ]);
    assert.deepEqual(numbers(await call('cohere')), [0, 0, 0, 0, 4, false], 'nothing is left to do');
  });

  it('writes nothing in a dry run, and says what it would do', async () => {
    const { call, state } = await fill();
    const before = state();
    const dry = await call('cohere', { dry_run: true });
    assert.deepEqual(numbers(dry), [1, 0, 1, 1, 5, true]);
    assert.deepEqual(pairs(dry), ['port host']);
    assert.equal(dry['left'], undefined);
    assert.equal(state(), before);
    assert.deepEqual(numbers(await call('cohere')), [1, 0, 1, 1, 5, false]);
  });

  it('honours its thresholds', async () => {
    const dry = async (more: object) => numbers(await (await fill()).call('cohere', { dry_run: true, ...more }));
    assert.deepEqual(await dry({ promote_threshold: 4 }), [0, 0, 1, 1, 5, true]);
    assert.deepEqual(await dry({ promote_threshold: 0 }), [4, 0, 1, 1, 5, true]);
    assert.deepEqual(await dry({ archive_threshold: 0 }), [1, 0, 1, 0, 5, true]);
    assert.deepEqual(await dry({ archive_threshold: 0.6 }), [1, 0, 0, 3, 5, true], 'nothing is linked that goes');
    assert.deepEqual(await dry({ max_links: 0 }), [1, 0, 0, 1, 5, true]);
  });

  it('does not link what is linked already, what is elsewhere, or what another agent keeps private', async () => {
    const body = (n: number): object => ({ content: `the staging host heron runs postgres number ${n}` });
    const { call, put } = setUp();
    const { id } = await put('a', body(1));
    await put('b', body(2));
    await call('link', { from_category: 'c', from_key: 'b', to_id: id, relationship: 'about' });
    await put('else', body(3), { workspace_hash: 'x' });
    await put('private', body(4), { visibility: 'private', agent_id: 'other' });
    await put('forgotten', body(5));
    await call('forget', { category: 'c', key: 'forgotten' });
    assert.deepEqual(pairs(await call('cohere', { dry_run: true })), []);
    await put('private2', body(6), { visibility: 'private', agent_id: 'other' });
    assert.deepEqual(pairs(await call('cohere', { dry_run: true })), ['private2 private']);
  });

  it('gives a memory few links, and one call at most as many as asked for', async () => {
    const { call, put } = setUp();
    for (let i = 0; i < 12; i++) await put(`k${i}`, { content: `the staging host heron runs postgres number ${i}` });
    const all = await call('cohere', { dry_run: true, max_links: 100 });
    const from = Map.groupBy(pairs(all), (pair) => pair.split(' ')[0]);
    assert.ok([...from.values()].every((some) => some.length <= 3));
    assert.ok(pairs(all).length > 20);
    const some = await call('cohere', { max_links: 5 });
    assert.deepEqual([some['linked'], pairs(some).length], [5, 5]);
    assert.ok(pairs(await call('cohere', { max_links: 100 })).every((pair) => !pairs(some).includes(pair)));
  });

  it('keeps to the workspace of a token, and to the one that is named', async () => {
    const { call, put, store } = setUp();
    await put('mine', 1, { workspace_hash: 'w', importance: 0.01 });
    await put('hidden', 2, { workspace_hash: 'w', importance: 0.01, visibility: 'private', agent_id: 'other' });
    await put('theirs', 3, { workspace_hash: 'x', importance: 0.01, visibility: 'public' });
    assert.deepEqual(numbers(await call('cohere', {}, BOUND)), [0, 0, 0, 1, 1, false]);
    assert.equal((await call('cohere', { workspace_hash: 'x' }, BOUND))['code'], 'forbidden');
    assert.deepEqual(
      store.entities.map(({ archived }) => archived),
      [true, false, false],
    );
    assert.deepEqual(numbers(await call('cohere', { workspace_hash: 'x' })), [0, 0, 0, 1, 1, false]);
  });

  it('archives large memories a few in a transaction', async () => {
    const { call, put, store } = setUp();
    for (let i = 0; i < 9; i++) await put(`k${i}`, `${i}`.padEnd(100_000, 'x'), { importance: 0.01 });
    const archive = store.entities.map(({ id }) => id);
    const scope = { principal: OWNER.principal, workspace: null, actor: 't', client: 't' };
    const step = await store.execute('cohere', scope, { promote: [], links: [], archiveBelow: 1, archive });
    assert.deepEqual([step.archived, step.looked], [3, 3]);
    assert.equal((await call('cohere', { max_links: 0 }))['archived'], 6);
  });

  it('tells what was done when it could not go on, and fails only when nothing was', async () => {
    const { store, put } = setUp();
    for (let i = 0; i < 100; i++) await put(`k${i}`, i, { importance: 0.01 });
    const scope = { principal: OWNER.principal, workspace: null, actor: 't', client: 't' };
    const order = {
      dryRun: false,
      linksMax: 0,
      promoteFrom: 3,
      archiveBelow: 0.05,
      compactBelow: 0,
      noted: () => NO_NOTES,
    };
    const failingAt = (step: number): Execute => {
      let steps = 0;
      return (name, ...rest) =>
        name === 'cohere' && ++steps === step
          ? Promise.reject(new MimirError('deadline', 'Waited too long.'))
          : store.execute(name, ...rest);
    };
    await assert.rejects(bringInOrder(failingAt(1), scope, order, {}), { code: 'deadline' });
    const done = await bringInOrder(failingAt(2), scope, order, {});
    assert.deepEqual([done.archived, done.left], [LIMITS.cohereStepChanges, 100 - LIMITS.cohereStepChanges]);
    assert.equal(store.entities.filter(({ archived }) => archived).length, done.archived);
  });

  it('changes a bounded number of memories in a call, and says what is left', async () => {
    const { call, put, store } = setUp();
    const count = LIMITS.cohereChangesMax + 70;
    for (let i = 0; i < count; i++) await put(`k${i}`, i, { importance: 0.01 });
    const first = await call('cohere', { max_links: 0 });
    assert.deepEqual([first['archived'], first['left']], [LIMITS.cohereChangesMax, 70]);
    const second = await call('cohere', { max_links: 0 });
    assert.deepEqual([second['archived'], second['left']], [70, undefined]);
    assert.ok(store.entities.every(({ archived }) => archived));
  });
});

describe('autocohere', () => {
  it('does all of it, really links, and archives below 0.1', async () => {
    const { call, put, get, state } = await fill();
    await put('faint', { content: 'hardly wanted' }, { importance: 0.08 });
    const before = state();
    const expected = {
      promoted_entities: 1,
      links_created: 1,
      archived_entities: 2,
      decay_updates: 0,
      compact_archived_count: 1,
      db_size_delta_bytes: 0,
    };
    const shown = (answer: Answer) => ({ ...jsonOf(answer), links: answer.links.length });
    assert.deepEqual(shown(await call('autocohere', { dry_run: true })), { ...expected, dry_run: true, links: 1 });
    assert.equal(state(), before);
    assert.deepEqual(shown(await call('autocohere')), { ...expected, dry_run: false, links: 1 });
    assert.deepEqual([get('faint')?.archived, get('weak')?.archived, get('pinned')?.archived], [true, true, false]);
  });

  it('archives what has faded, and nothing that is used or lasting', async () => {
    const { call, put, store, get } = await fill();
    await call('score', { category: 'c', key: 'host', score: 0.9 });
    store.nowMs += 60 * DAY_MS;
    await put('new', { content: 'written today' });
    await call('recall', { query: 'lunch noon' });
    await call('autocohere');
    const going = ['host', 'pinned', 'used', 'new', 'port', 'weak'].map((key) => get(key)?.archived);
    assert.deepEqual(going, [false, false, false, false, true, true]);
  });
});
