import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';

import Database from 'better-sqlite3-multiple-ciphers';
import fc from 'fast-check';

import { systemClock } from '../../src/clock.ts';
import { OPERATIONS } from '../../src/engine/operations.ts';
import { OWNER } from '../../src/memory/scope.ts';
import type { Scope } from '../../src/memory/types.ts';
import {
  makeSharedMemory,
  openReader,
  openWriter,
  prepareStore,
  type StoreReader,
  type StoreWriter,
} from '../../src/storage/open.ts';
import type { EraseStage } from '../../src/storage/store.ts';
import { temporaryFolder } from '../support/processes.ts';

const SCOPE: Scope = { principal: OWNER, workspace: null, actor: 'o', client: 't' };
const ALL_TIME = Number.MAX_SAFE_INTEGER;

interface Opened {
  readonly path: string;
  readonly writer: StoreWriter;
  readonly another: () => { writer: StoreWriter; reader: StoreReader; main: StoreReader };
}

let opened = 0;
function open(folder: string): Opened {
  const path = join(folder, `p${opened++}.db`);
  const optionsOf = () => ({ path, key: null, clock: systemClock, busyTimeoutMs: 1_000, shared: makeSharedMemory() });
  prepareStore(optionsOf());
  const writer = openWriter(optionsOf());
  while (writer.cold) writer.warmUp();
  return {
    path,
    writer,
    another: () => ({
      writer: openWriter(optionsOf()),
      reader: openReader(optionsOf(), 'searches'),
      main: openReader(optionsOf()),
    }),
  };
}

let operations = 0;
const write = <T>(store: StoreWriter, run: Parameters<typeof store.transaction<T>>[1]): Promise<T> =>
  store.transaction({ id: `op-${operations++}`, kind: 'test', scope: SCOPE }, run);

async function remember(store: StoreWriter, key: string, body: unknown, more: object = {}): Promise<string> {
  const input = { category: 'c', key, bodyJson: JSON.stringify(body), recallWhen: [], ...more };
  return (await write(store, (tx) => OPERATIONS.remember.run(tx, SCOPE, input))).id;
}

const forget = (store: StoreWriter, key: string) =>
  write(store, (tx) => OPERATIONS.forget.run(tx, SCOPE, { category: 'c', key, reason: '' }));

async function purge(store: StoreWriter, ids: readonly string[]): Promise<number> {
  const { changed, handled } = await write(store, (tx) => OPERATIONS.purge.run(tx, SCOPE, { ids, maxMs: ALL_TIME }));
  assert.equal(handled, ids.length);
  return changed;
}

async function erase(store: StoreWriter): Promise<void> {
  for (let stage: EraseStage | null = { part: 'answers', after: 0 }; stage !== null;) {
    const at: EraseStage = stage;
    stage = await write(store, (tx) => OPERATIONS.erase.run(tx, SCOPE, { stage: at }));
  }
}

/** What a connection answers and counts: equal for one that followed everything and one that begins now. */
async function knowledge(store: StoreReader, words: readonly string[]): Promise<unknown> {
  while (store.cold && store.warmUp());
  return await store.snapshot(async (tx) => {
    const found: unknown[] = [];
    for (const query of words) {
      const input = { query, filters: {}, limit: 50, offset: 0, minDecay: 0, minConfidence: 0 };
      found.push((await OPERATIONS.recall.run(tx, SCOPE, input)).hits.text);
    }
    return { found, statistics: await tx.termStatistics(words) };
  });
}

const COLUMNS = `SELECT m.name AS "table", i.name AS "column" FROM sqlite_schema m JOIN pragma_table_info(m.name) i
  WHERE m.type = 'table' AND i.name IN ('entity', 'body', 'row', 'before')`;

test('nothing of a purged entity is left in any table, and its place is free', async (t) => {
  const { path, writer } = open(temporaryFolder(t));
  const other = await remember(writer, 'other', 'something else');
  const id = await remember(writer, 'k', { content: 'first zyxquartz', session: 's', speaker: 'Bo', turn: 1 });
  await remember(
    writer,
    'k',
    { content: 'second vlimtorp', session: 's', speaker: 'Bo', turn: 1 },
    { tags: ['tagword'] },
  );
  await remember(writer, 'later', { content: 'and then', session: 's', speaker: 'Al', turn: 2 });
  for (const [key, toId] of [
    ['k', other],
    ['other', id],
    ['k', other],
  ] as const) {
    await write(writer, (tx) => OPERATIONS.link.run(tx, SCOPE, { category: 'c', key, toId, relationship: 'r' }));
  }
  await write(writer, (tx) => OPERATIONS.unlink.run(tx, SCOPE, { category: 'c', key: 'k', toId: other }));
  await write(writer, async (tx) => tx.noteUse(2, 3, 5));
  assert.equal(await purge(writer, [id]), 0, 'a live one is not purged');
  await forget(writer, 'k');
  assert.equal(await purge(writer, [id, id]), 1);

  const raw = new Database(path);
  const count = (sql: string): unknown => raw.prepare(sql).pluck().get();
  // Whatever table refers to entities or bodies, now or in a later schema: its rows of this one must be gone.
  const columns = raw.prepare(COLUMNS).all() as { table: string; column: string }[];
  const looked: string[] = [];
  for (const { table, column } of columns) {
    if (table === 'changes' || table === 'journal') continue;
    const of =
      column === 'body' || column === 'before' || (table === 'body' && column !== 'entity') ? 'body' : 'entity';
    const there = of === 'entity' ? 'SELECT row FROM entity' : 'SELECT id FROM body';
    assert.equal(count(`SELECT count(*) FROM ${table} WHERE ${column} NOT IN (${there})`), 0, `${table}.${column}`);
    looked.push(`${table}.${column}`);
  }
  assert.ok(looked.includes('turn.entity') && looked.includes('body.before') && looked.length >= 9, looked.join());
  assert.equal(count('SELECT count(*) FROM entity'), 2);
  assert.equal(count('SELECT count(*) FROM version'), 2);
  assert.equal(count('SELECT count(*) FROM link'), 0);
  assert.equal(count('SELECT links FROM entity WHERE row = 1'), 0);
  raw.close();
  assert.deepEqual(writer.verify(), []);

  // A recall of this or another process counted it a moment before: there is nothing left to count for.
  const stored = await writer.batch([], { usage: [{ row: 2, times: 1, atMs: 9 }] });
  assert.equal(stored.usageStored, true);
  const again = new Database(path);
  assert.equal(again.prepare('SELECT count(*) FROM usage WHERE entity = 2').pluck().get(), 0);
  again.close();
  assert.notEqual(await remember(writer, 'k', 'anew'), id);
  assert.deepEqual(writer.verify(), []);
  writer.close();
});

test('verify proves the rest after a purge, and notices a purged entity that comes back', async (t) => {
  const { path, writer } = open(temporaryFolder(t));
  const ids = [];
  for (let i = 0; i < 5; i++) ids.push(await remember(writer, `k${i}`, `memory ${i}`));
  const raw = new Database(path);
  const log = (): unknown[] => raw.prepare('SELECT seq, id, digest, hash FROM operations WHERE seq <= 5').all();
  const before = log();
  raw.exec('CREATE TABLE copy AS SELECT * FROM entity WHERE row = 2');
  await forget(writer, 'k1');
  await purge(writer, ids.slice(1, 2));
  assert.deepEqual(log(), before, 'operations and digests stay');
  assert.deepEqual(writer.verify(), []);
  raw.exec('INSERT INTO entity SELECT * FROM copy; DROP TABLE copy');
  assert.match(writer.verify().join('\n'), /its entity row 2 was to be erased[\s\S]*its purged row 2 is missing/);
  raw.exec('DELETE FROM entity WHERE row = 2; UPDATE version SET importance = 0.9 WHERE entity = 3');
  assert.match(writer.verify().join('\n'), /version row 3 was changed afterwards/);
  raw.close();
  writer.close();
});

test('the words of a purged turn leave the turn behind it, for everybody who had them in memory', async (t) => {
  const { path, writer, another } = open(temporaryFolder(t));
  const others = another();
  const ids = [];
  for (const [turn, content] of ['Will the merger with zyxquartz come?', 'Yes, fine.'].entries())
    ids.push(await remember(writer, `t${turn}`, { content, speaker: 'Bo', session: 's', turn }));
  // An earlier text of the answer: in no index, but its list is still there.
  await remember(writer, 't1', { content: 'Yes, surely.', speaker: 'Bo', session: 's', turn: 1 });
  const everybody = [writer, ...Object.values(others)];
  const known = async (): Promise<number[]> => {
    const counts: number[] = [];
    for (const store of everybody) {
      while (store.cold && store.warmUp());
      const input = { query: 'zyxquartz', filters: {}, limit: 5, offset: 0, minDecay: 0, minConfidence: 0 };
      counts.push(
        [...(await store.snapshot((tx) => OPERATIONS.recall.run(tx, SCOPE, input))).hits.text.matchAll(/"key":/g)]
          .length,
      );
    }
    return counts;
  };
  assert.deepEqual(await known(), [2, 2, 2, 2], 'an answer is found by its question');
  await forget(writer, 't0');
  await purge(writer, ids.slice(0, 1));
  assert.deepEqual(await known(), [0, 0, 0, 0]);
  const raw = new Database(path);
  assert.equal(raw.prepare("SELECT count(*) FROM body WHERE tokens LIKE '%zyxquartz%'").pluck().get(), 0);
  raw.close();
  assert.deepEqual(writer.verify(), []);
  for (const store of everybody) store.close();
});

const step = fc.oneof(
  fc.record({ kind: fc.constant('say' as const), turn: fc.nat(4), word: fc.nat(5) }),
  fc.record({ kind: fc.constant('note' as const), turn: fc.nat(4), word: fc.nat(5) }),
  fc.record({ kind: fc.constant('forget' as const), turn: fc.nat(4) }),
  fc.record({ kind: fc.constant('purge' as const) }),
  fc.record({ kind: fc.constant('reindex' as const) }),
  fc.record({ kind: fc.constant('look' as const), who: fc.nat(2) }),
);
const WORDS = ['heron', 'staging', 'deploy', 'luna', 'harbour', 'merger'];

test('whoever keeps the live rows in memory hears of a purge, however late it looks', async (t) => {
  const folder = temporaryFolder(t);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
      const { writer, another } = open(folder);
      // As in another process, and as the reader threads of this one: they look now and then.
      const { writer: foreign, reader, main } = another();
      const keepers = [reader, main, foreign];
      for (const keeper of keepers) await knowledge(keeper, []);
      for (const one of steps) {
        switch (one.kind) {
          case 'say':
            await remember(writer, `t${one.turn}`, {
              content: `${WORDS[one.word]} ${one.turn}`,
              speaker: 'Bo',
              session: 's',
              turn: one.turn,
            });
            break;
          case 'note':
            await remember(writer, `t${one.turn}`, `${WORDS[one.word]}`);
            break;
          case 'forget':
            await forget(writer, `t${one.turn}`);
            break;
          case 'purge': {
            const { found } = await writer.snapshot(async (tx) => tx.kept(SCOPE, { archived: true }, 0));
            await purge(
              writer,
              found.map(({ id }) => id),
            );
            break;
          }
          case 'reindex':
            await write(writer, (tx) => OPERATIONS.reindex.run(tx, SCOPE, { after: 0, maxMs: ALL_TIME }));
            break;
          case 'look': {
            const keeper = keepers[one.who];
            if (keeper !== undefined) await knowledge(keeper, WORDS);
            break;
          }
        }
      }
      const fresh = another();
      assert.deepEqual(await knowledge(reader, WORDS), await knowledge(fresh.reader, WORDS));
      assert.deepEqual(await knowledge(main, WORDS), await knowledge(fresh.main, WORDS));
      const counted = await knowledge(fresh.writer, WORDS);
      for (const keeper of [writer, foreign]) {
        // A writer takes over what others did when it writes or fills: so it does here.
        await write(keeper as StoreWriter, async () => undefined);
        assert.deepEqual(await knowledge(keeper, WORDS), counted);
      }
      assert.deepEqual(writer.verify(), []);
      for (const store of [...keepers, writer, ...Object.values(fresh)]) store.close();
    }),
    { numRuns: Number(process.env['MIMIR_TEST_RUNS'] ?? 25) },
  );
});

test('answers that are kept for retries go when they name what was purged, and no others', async (t) => {
  const { path, writer } = open(temporaryFolder(t));
  const keyed = async (key: string): Promise<void> => {
    const input = { category: 'c', key, bodyJson: '"the backup of the heron host went well"', recallWhen: [] };
    const { outcomes } = await writer.batch([
      {
        id: `keyed-${key}`,
        kind: 'remember',
        scope: SCOPE,
        input,
        idempotencyKey: key,
        run: (tx) => OPERATIONS.remember.run(tx, SCOPE, input),
      },
    ]);
    assert.equal(outcomes[0]?.ok, true);
  };
  const kept = (): unknown[] => {
    const raw = new Database(path);
    try {
      return raw.prepare('SELECT key FROM idempotency ORDER BY key').pluck().all();
    } finally {
      raw.close();
    }
  };
  await keyed('mine');
  await keyed('look-alike'); // its answer names "mine" by its key
  await forget(writer, 'mine');
  await keyed('third'); // its answer names "look-alike" only
  await writer.batch([
    {
      id: 'j',
      kind: 'journal',
      scope: SCOPE,
      input: {},
      idempotencyKey: 'zz-journal',
      run: async (tx) => ({ id: tx.newId('jrn-') }),
    },
  ]);
  const { found } = await writer.snapshot(async (tx) => tx.kept(SCOPE, { archived: true }, 0));
  await purge(
    writer,
    found.map(({ id }) => id),
  );
  await erase(writer);
  assert.deepEqual(kept(), ['third']);
  writer.close();
});

test('words leave a large index in several steps, whatever is written in between', async (t) => {
  const { path, writer } = open(temporaryFolder(t));
  const text = (i: number): string =>
    Array.from({ length: 300 }, (_, j) => `w${(i * 7_919 + j * 104_729) % 9_973}`).join(' ');
  const many = (from: number, count: number) =>
    write(writer, (tx) =>
      OPERATIONS.remember_many.run(tx, SCOPE, {
        memories: Array.from({ length: count }, (_, i) => ({
          category: 'c',
          key: `k${from + i}`,
          bodyJson: JSON.stringify(text(from + i)),
          recallWhen: [],
        })),
      }),
    );
  const id = await remember(writer, 'secret', 'zyxquartz vlimtorp');
  for (let i = 0; i < 2_000; i += 100) await many(i, 100);
  await forget(writer, 'secret');
  await many(2_000, 100);
  await purge(writer, [id]);
  const inIndex = (): boolean => {
    const raw = new Database(path);
    const blocks = raw.prepare('SELECT block FROM text_data UNION ALL SELECT block FROM text_past_data').pluck().all();
    raw.close();
    return (blocks as Buffer[]).some((block) => block.includes('yxquartz') || block.includes('limtorp'));
  };
  assert.equal(inIndex(), true, 'a deleted word is only marked');
  let steps = 0;
  for (let stage: EraseStage | null = { part: 'text', after: 0 }; stage !== null; steps++) {
    const at: EraseStage = stage;
    stage = await write(writer, async (tx) => OPERATIONS.erase.run(tx, SCOPE, { stage: at }));
    if (steps < 20) await many(3_000 + steps, 1);
  }
  assert.ok(steps > 4, `${steps} steps`);
  assert.equal(inIndex(), false);
  assert.deepEqual(writer.verify(), []);
  writer.close();
});

test('no statement of a purge looks through a whole table', async (t) => {
  const { path, writer } = open(temporaryFolder(t));
  const raw = new Database(path);
  const plan = (sql: string): string =>
    (raw.prepare(`EXPLAIN QUERY PLAN ${sql}`).all() as { detail: string }[]).map((row) => row.detail).join('; ');
  const hot = [
    ...['key', 'usage', 'turn', 'version'].map((table) => `DELETE FROM ${table} WHERE entity = 1`),
    'DELETE FROM entity WHERE row = 1',
    'DELETE FROM body WHERE id = 1',
    'SELECT id FROM body WHERE before = 1',
    "SELECT seq FROM changes WHERE kind = 'repacked' ORDER BY seq DESC LIMIT 1",
    'SELECT id FROM version WHERE body = 1', // what the reference from a version asks when its body goes
    'SELECT id FROM link WHERE entity = 1 UNION SELECT id FROM link WHERE target = 1',
    "UPDATE changes SET salt = NULL WHERE seq = 1 AND kind || row IN (SELECT value FROM json_each('[]'))",
    'SELECT e.row FROM entity e CROSS JOIN version v ON v.id = e.version WHERE e.row > 1 AND e.row <= 9 ORDER BY e.row',
  ];
  for (const sql of hot) assert.doesNotMatch(plan(sql), /SCAN (?!\w+ USING|json_each)/, `${sql}: ${plan(sql)}`);
  raw.close();
  writer.close();
});
