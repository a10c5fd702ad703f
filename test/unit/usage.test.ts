// Uses that were noted a moment ago and are not on disk yet: every number that follows from them has them.
import assert from 'node:assert/strict';
import test from 'node:test';

import { UsageNotes } from '../../src/engine/usage.ts';
import { OWNER } from '../../src/memory/scope.ts';
import { createTable } from '../../src/tools/table.ts';
import { ModelStore } from '../support/model-store.ts';
import { NO_FOLDERS } from '../support/tool-table.ts';

test('a use counts once, whether a snapshot is older or newer than the flush that stored it', () => {
  const notes = new UsageNotes();
  const [before, after] = [
    { count: 0, lastAtMs: 10 },
    { count: 1, lastAtMs: 20 },
  ];
  const counts = (): number[] => [before, after].map((stored) => notes.overlay(1, stored).count);
  notes.note(new Map([[1, 0]]), 20);
  assert.equal(notes.overlay(1, before).count, 1);
  assert.deepEqual(notes.take(), [{ row: 1, times: 1, atMs: 20, seen: 0 }]);
  assert.deepEqual(counts(), [1, 1], 'while it is being stored');
  notes.flushed(true);
  assert.deepEqual(counts(), [1, 1], 'when it has been stored');
  notes.note(new Map([[1, 1]]), 20);
  assert.deepEqual(counts(), [2, 2], 'a second use in the same millisecond');
  notes.take();
  notes.flushed(false);
  assert.equal(notes.overlay(1, after).count, 2, 'what could not be stored is kept');
  assert.deepEqual(notes.overlay(2, before), before, 'another row');
});

test('uses on their way count beside an update that was stored before them', () => {
  const notes = new UsageNotes();
  for (let atMs = 10; atMs < 18; atMs++) notes.note(new Map([[1, 0]]), atMs);
  notes.take();
  const updated = { count: 1, lastAtMs: 20 };
  assert.deepEqual(notes.overlay(1, updated), { count: 9, lastAtMs: 20 }, 'the snapshot has only the update');
  const both = { count: 9, lastAtMs: 20 };
  assert.deepEqual(notes.overlay(1, both), both, 'it has both');
  notes.flushed(true);
  assert.deepEqual([notes.overlay(1, updated), notes.overlay(1, both)], [both, both]);
});

test('min_decay and the layers of stats see uses that are not stored yet', async () => {
  const store = new ModelStore();
  const deps = {
    folders: NO_FOLDERS,
    execute: store.execute,
    usage: new UsageNotes(),
    clock: { nowMs: () => store.nowMs, randomBytes: (count: number) => new Uint8Array(count) },
    facts: { dbPath: '/tmp/x.db', encrypted: false, version: '1' },
    onBug: (error: unknown) => assert.fail(String(error)),
  };
  const table = createTable(deps);
  const call = async (name: string, args: object): Promise<Record<string, unknown>> =>
    JSON.parse((await table.call(name, args, { principal: OWNER, client: 'test' })).json) as Record<string, unknown>;
  await call('mimir_remember', { category: 'c', key: 'k', body_json: '{"content":"heron"}', importance: 0.1 });
  const strong = async (): Promise<unknown> =>
    (await call('mimir_recall', { query: 'heron', min_decay: 0.5 }))['total'];
  assert.equal(await strong(), 0);
  for (let i = 0; i < 5; i++) await call('mimir_recall', { query: 'heron' });
  assert.equal(await strong(), 1);
  assert.deepEqual((await call('mimir_stats', {}))['by_layer'], { working: 1 });
});
