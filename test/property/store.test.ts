import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';

import Database from 'better-sqlite3-multiple-ciphers';
import fc from 'fast-check';

import type { Clock } from '../../src/clock.ts';
import { OPERATIONS } from '../../src/engine/operations.ts';
import { rank, WEIGHTS } from '../../src/memory/rank.ts';
import { OWNER } from '../../src/memory/scope.ts';
import { analyseQuery } from '../../src/memory/query.ts';
import type { Principal, Scope } from '../../src/memory/types.ts';
import { makeSharedMemory, openReader, openWriter, prepareStore, type StoreWriter } from '../../src/storage/open.ts';
import type { Reader } from '../../src/storage/store.ts';
import { temporaryFolder } from '../support/processes.ts';

/** A clock that a test moves, and random bytes that count. */
function testClock(): Clock & { now: number } {
  let next = 1;
  return {
    now: 1_800_000_000_000,
    nowMs() {
      return this.now;
    },
    randomBytes: (count) => {
      const bytes = Buffer.alloc(count);
      bytes.writeUIntBE(next++, count >= 6 ? count - 6 : 0, Math.min(6, count));
      return bytes;
    },
  };
}

const scopeOf = (workspace: string | null, principal: Principal = OWNER): Scope => ({
  principal,
  workspace,
  actor: 't',
  client: 't',
});

let opened = 0;
function open(folder: string, clock: Clock): { writer: StoreWriter; path: string } {
  const path = join(folder, `s${opened++}.db`);
  const options = { path, key: null, clock, busyTimeoutMs: 100, shared: makeSharedMemory() };
  prepareStore(options);
  const writer = openWriter(options);
  while (writer.cold) writer.warmUp();
  return { writer, path };
}

let operations = 0;
const write = <T>(store: StoreWriter, scope: Scope, run: Parameters<typeof store.transaction<T>>[1]): Promise<T> =>
  store.transaction({ id: `op-${operations++}`, kind: 'test', scope }, run);

const words = fc.constantFrom('heron', 'staging', 'deploy', 'key', 'the', 'café', '東京', 'not', 'a:b', 'run');
const text = fc.array(words, { maxLength: 8 }).map((list) => list.join(' '));
const place = fc.record({
  workspace: fc.constantFrom('', 'w', 'w:x'),
  category: fc.constantFrom('', 'c', 'c:k'),
  key: fc.constantFrom('', 'k', 'k:k', 'ключ'),
});
const step = fc.oneof(
  fc.record({
    kind: fc.constant('remember' as const),
    place,
    body: text,
    tags: fc.option(fc.array(words, { maxLength: 2 }), { nil: undefined }),
  }),
  fc.record({ kind: fc.constant('forget' as const), place }),
  fc.record({ kind: fc.constant('clock' as const), by: fc.integer({ min: -5_000, max: 5_000 }) }),
  fc.record({ kind: fc.constant('fail' as const), place, body: text }),
);

const spot = (p: { workspace: string; category: string; key: string }): string =>
  JSON.stringify([p.workspace, p.category, p.key]);

async function scores(tx: Reader, query: string): Promise<[string, number][]> {
  const asked = analyseQuery(query, 64, tx.nowMs);
  const statistics = await tx.termStatistics(asked.terms);
  // What is newer depends on the order of writing, which the fresh index does not share.
  const weights = { ...WEIGHTS, newerNearly: Infinity, changeNearly: Infinity };
  const candidates = await tx.candidates(scopeOf(null), asked, {}, 200);
  const ranked = rank(candidates, asked, statistics, { weights }).rows.take(200);
  const items = await tx.items(
    scopeOf(null),
    ranked.map((one) => one.body),
  );
  return ranked
    .map((one, i): [string, number] => [items[i]?.twin ?? '', Math.round(one.score * 1e9)])
    .toSorted((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}

test('every acknowledged place holds exactly what was last written, whatever the order and the clock; scores are those of a fresh index', async (t) => {
  const folder = temporaryFolder(t);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const clock = testClock();
      const { writer } = open(folder, clock);
      const model = new Map<
        string,
        { body: string; tags: readonly string[]; archived: boolean; where: (typeof steps)[number] & { place: unknown } }
      >();
      for (const one of steps) {
        if (one.kind === 'clock') clock.now += one.by;
        else if (one.kind === 'remember') {
          const scope = scopeOf(one.place.workspace);
          const bodyJson = JSON.stringify({ content: one.body });
          const input = { ...one.place, bodyJson, recallWhen: [], ...(one.tags !== undefined && { tags: one.tags }) };
          const before = model.get(spot(one.place));
          const answer = await write(writer, scope, (tx) => OPERATIONS.remember.run(tx, scope, input));
          assert.equal(answer.action, before === undefined ? 'created' : 'updated');
          model.set(spot(one.place), {
            body: bodyJson,
            tags: one.tags ?? before?.tags ?? [],
            archived: false,
            where: one,
          });
        } else if (one.kind === 'forget') {
          const scope = scopeOf(one.place.workspace);
          const known = model.get(spot(one.place));
          const answer = await write(writer, scope, (tx) =>
            OPERATIONS.forget.run(tx, scope, { category: one.place.category, key: one.place.key, reason: 'test' }),
          );
          assert.equal(answer.found, known !== undefined && !known.archived);
          if (known !== undefined) known.archived = true;
        } else {
          const scope = scopeOf(one.place.workspace);
          const failing = write(writer, scope, async (tx) => {
            await OPERATIONS.remember.run(tx, scope, {
              ...one.place,
              bodyJson: JSON.stringify(one.body),
              recallWhen: [],
            });
            throw new RangeError('on purpose');
          });
          await assert.rejects(failing, RangeError);
        }
      }
      const fresh = open(folder, clock).writer;
      for (const [where, held] of model) {
        const [workspace = '', category = '', key = ''] = JSON.parse(where) as string[];
        const entity = await writer.snapshot(async (tx) => tx.entityAt(scopeOf(null), workspace, category, key));
        assert.equal(entity?.bodyJson, held.body);
        assert.deepEqual(entity.tags, held.tags);
        assert.equal(entity.archived, held.archived);
        if (held.archived) continue;
        const scope = scopeOf(workspace);
        const input = { category, key, bodyJson: held.body, tags: held.tags, recallWhen: [] };
        await write(fresh, scope, (tx) => OPERATIONS.remember.run(tx, scope, input));
      }
      for (const query of ['heron deploy', 'café the', '東京', 'k', 'a:b not']) {
        const [updated, anew] = await Promise.all([
          writer.snapshot((tx) => scores(tx, query)),
          fresh.snapshot((tx) => scores(tx, query)),
        ]);
        assert.deepEqual(updated, anew, query);
      }
      assert.deepEqual(writer.verify(), []);
      writer.close();
      fresh.close();
    }),
    { numRuns: 60 },
  );
});

test('a bound principal meets nothing of others through any reading function', async (t) => {
  const { writer } = open(temporaryFolder(t), testClock());
  const owner = (workspace: string): Scope => scopeOf(workspace);
  const rows: [string, string, string, string][] = [
    ['mine', 'own', 'workspace', 'me'],
    ['mine', 'ownprivate', 'private', 'me'],
    ['mine', 'sentinelprivate', 'private', 'other'],
    ['theirs', 'sentineltheirs', 'workspace', 'other'],
    ['theirs', 'sentinelprivatethere', 'private', 'me'],
    ['theirs', 'shared', 'public', 'other'],
  ];
  for (const [workspace, word, visibility, agentId] of rows) {
    const input = {
      category: 'c',
      key: word,
      bodyJson: JSON.stringify({ content: `${word} memory` }),
      recallWhen: ['memory'],
      visibility,
      agentId,
      tags: [word],
      alwaysOn: true,
    };
    await write(writer, owner(workspace), (tx) => OPERATIONS.remember.run(tx, owner(workspace), input));
    await write(writer, owner(workspace), (tx) =>
      OPERATIONS.journal.run(tx, owner(workspace), {
        eventType: word,
        evaluatedJson: 'null',
        actedJson: 'null',
        forwardJson: 'null',
        category: 'c',
        key: word,
        entityId: '',
        agentId,
      } as never),
    );
  }
  const bound = scopeOf(null, { kind: 'bound', workspace: 'mine', agentId: 'me' });
  const seen = await writer.snapshot(async (tx) => {
    const all: unknown[] = [];
    for (const [workspace, word] of rows) {
      const { terms, keyText } = analyseQuery(`${word} memory`, 64, tx.nowMs);
      const found = await tx.candidates(bound, { terms, keyText }, { includeArchived: true }, 200);
      all.push(
        await tx.items(
          bound,
          found.map((one) => one.body),
        ),
      );
      all.push(await tx.entityAt(bound, workspace, 'c', word), await tx.workspacesOf(bound, 'c', word));
    }
    all.push(
      await tx.recent(bound, {}, 100, 0),
      await tx.recent(bound, { alwaysOn: true }, 100, 0),
      await tx.counts(bound),
      await tx.names(bound),
      await tx.kept(bound, { archived: false }, 0),
      await tx.items(bound, await tx.triggered(bound, { words: ['memory'], beginnings: ['mem'] }, 100)),
    );
    assert.equal((await tx.triggered(bound, { words: ['memori'], beginnings: [] }, 100)).length, 3);
    // Upkeep looks at what it may change: the public memory of the other workspace is not among them.
    assert.equal((await tx.kept(bound, { archived: false }, 0)).found.length, 2);
    assert.deepEqual((await tx.names(bound)).workspaces, ['mine', 'theirs']);
    all.push(await tx.timeline(scopeOf('mine', bound.principal), {}, 100, 0));
    return JSON.stringify(all);
  });
  for (const word of ['sentinelprivate"', 'sentineltheirs', 'sentinelprivatethere']) {
    // The journal of the own workspace is shared by its agents; everything else of another agent stays hidden.
    const shown = seen
      .replaceAll('"eventType":"sentinelprivate"', '')
      .replaceAll('"key":"sentinelprivate","entityId"', '');
    assert.ok(!shown.includes(word), `${word} was shown`);
  }
  for (const word of ['own', 'ownprivate', 'shared']) assert.ok(seen.includes(`"${word}"`), `${word} is visible`);
  writer.close();
});

test('two thousand templated memories keep two thousand rows, and the most alike are named', async (t) => {
  const { writer } = open(temporaryFolder(t), testClock());
  const scope = scopeOf('');
  let named = 0;
  for (let i = 0; i < 2_000; i++) {
    const input = {
      category: 'log',
      key: `k${i}`,
      bodyJson: `{"content":"backup number ${i} finished without any error on host heron"}`,
      recallWhen: [],
    };
    const answer = await write(writer, scope, (tx) => OPERATIONS.remember.run(tx, scope, input));
    assert.equal(answer.action, 'created');
    if ((answer.similar?.length ?? 0) > 0) named += 1;
    for (const other of answer.similar ?? []) assert.ok(other.similarity >= 0.7);
  }
  assert.ok(named > 1_900, `only ${named} named a look-alike`);
  const counts = await writer.snapshot(async (tx) => tx.counts(scope));
  assert.equal(counts.entities, 2_000);
  writer.close();
});

test('verify notices a version that was changed afterwards, also when its salt was taken away', async (t) => {
  const { writer, path } = open(temporaryFolder(t), testClock());
  const scope = scopeOf('');
  await write(writer, scope, (tx) =>
    OPERATIONS.remember.run(tx, scope, { category: 'c', key: 'k', bodyJson: '"x"', recallWhen: [] }),
  );
  assert.deepEqual(writer.verify(), []);
  const raw = new Database(path);
  raw.exec('UPDATE version SET importance = 0.9');
  assert.match(writer.verify().join('\n'), /version row 1 was changed afterwards/);
  raw.exec('UPDATE changes SET salt = NULL');
  assert.match(writer.verify().join('\n'), /version row 1 was to be erased/);
  raw.exec('UPDATE operations SET at_ms = at_ms + 1');
  assert.match(writer.verify().join('\n'), /chain is broken/);
  raw.close();
  writer.close();
});

test('scripts of the original read the view entities, and its program is refused loudly', async (t) => {
  const { writer, path } = open(temporaryFolder(t), testClock());
  const scope = scopeOf('');
  await write(writer, scope, (tx) =>
    OPERATIONS.remember.run(tx, scope, { category: 'c', key: 'k', bodyJson: '{"content":"x"}', recallWhen: [] }),
  );
  const raw = new Database(path);
  assert.equal(raw.prepare("SELECT count(*) FROM entities WHERE category = 'c'").pluck().get(), 1);
  assert.throws(() =>
    raw.exec('CREATE UNIQUE INDEX IF NOT EXISTS idx_entities_category_key ON entities(category, key)'),
  );
  raw.close();
  writer.close();
});

test('the statements that every call runs use an index', async (t) => {
  const { writer, path } = open(temporaryFolder(t), testClock());
  const raw = new Database(path);
  const plan = (sql: string): string =>
    (raw.prepare(`EXPLAIN QUERY PLAN ${sql}`).all() as { detail: string }[]).map((row) => row.detail).join('; ');
  const hot = [
    'SELECT e.row FROM entity e WHERE e.archived = 0 ORDER BY e.version DESC LIMIT 10',
    'SELECT e.row FROM entity e INDEXED BY entity_pinned WHERE e.archived = 0 AND e.always_on = 1 ORDER BY e.version DESC LIMIT 50',
    "SELECT entity FROM key WHERE category = 'c' AND key = 'k' AND workspace = '' AND seq_to IS NULL",
    "SELECT 1 FROM operations WHERE id = 'x'",
    'SELECT target FROM link WHERE entity = 1 AND seq_to IS NULL ORDER BY id',
    "SELECT value_json FROM state WHERE key = 'k' AND workspace = '' AND seq_to IS NULL",
    'SELECT e.row FROM entity e WHERE e.row > 7 AND +e.archived = 0 ORDER BY e.row LIMIT 10',
    'SELECT id FROM journal ORDER BY created_at_unix_ms DESC, row DESC LIMIT 50',
  ];
  for (const sql of hot) assert.doesNotMatch(plan(sql), /SCAN (?!\w+ USING)|TEMP B-TREE/, `${sql}: ${plan(sql)}`);
  raw.close();
  writer.close();
});

test('no foreign key makes a write look through a whole table', async (t) => {
  // A deferred reference from a column without an index cost 0.4 ms a write at 12,000 rows, and grew with them.
  const { writer, path } = open(temporaryFolder(t), testClock());
  const raw = new Database(path);
  const tables = raw.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'table'").all() as {
    name: string;
    sql: string;
  }[];
  for (const { name, sql } of tables.filter((table) => /DEFERR/i.test(table.sql))) {
    const first = new Set(
      (raw.pragma(`index_list(${name})`) as { name: string }[]).map(
        (index) => (raw.pragma(`index_info(${index.name})`) as { name: string }[])[0]?.name,
      ),
    );
    for (const { from } of raw.pragma(`foreign_key_list(${name})`) as { from: string }[]) {
      assert.ok(first.has(from), `${name}.${from} has no index: ${sql}`);
    }
  }
  raw.close();
  writer.close();
});

test('a reader sees what another connection committed, also through a kept browse and a kept spelling', async (t) => {
  const clock = testClock();
  const { writer, path } = open(temporaryFolder(t), clock);
  const reader = openReader({ path, key: null, clock, busyTimeoutMs: 100 });
  const scope = scopeOf('');
  const browse = () => reader.snapshot(async (tx) => (await tx.recent(scope, {}, 10, 0)).map((item) => item.key));
  for (const [i, key] of ['a', 'b', 'c'].entries()) {
    assert.equal((await browse()).length, i);
    await write(writer, scope, (tx) =>
      OPERATIONS.remember.run(tx, scope, { category: 'c', key, bodyJson: '1', recallWhen: [] }),
    );
    assert.deepEqual((await browse())[0], key);
  }
  const spelt = () => reader.snapshot(async (tx) => Array.from(await tx.vocabulary('hreon'), ({ term }) => term));
  assert.deepEqual(await spelt(), []);
  const heron = { category: 'c', key: 'd', bodyJson: '"heron"', recallWhen: [] };
  await write(writer, scope, (tx) => OPERATIONS.remember.run(tx, scope, heron));
  assert.deepEqual(await spelt(), ['heron']);
  reader.close();
  writer.close();
});

test('where archived rows are asked for, the mean length is that of all rows', async (t) => {
  const clock = testClock();
  const { writer, path } = open(temporaryFolder(t), clock);
  const scope = scopeOf('');
  const put = (key: string, content: string) =>
    write(writer, scope, (tx) =>
      OPERATIONS.remember.run(tx, scope, { category: 'c', key, bodyJson: JSON.stringify(content), recallWhen: [] }),
    );
  await put('long', 'heron '.repeat(97));
  await put('short', 'heron');
  const before = await writer.snapshot(async (tx) => tx.termStatistics(['heron']));
  await write(writer, scope, (tx) => OPERATIONS.forget.run(tx, scope, { category: 'c', key: 'long', reason: 'over' }));
  const searches = openReader({ path, key: null, clock, busyTimeoutMs: 100 }, 'searches');
  while (searches.cold && searches.warmUp());
  for (const reader of [writer, searches]) {
    const all = await reader.snapshot(async (tx) => tx.termStatistics(['heron'], true));
    const live = await reader.snapshot(async (tx) => tx.termStatistics(['heron']));
    assert.equal(all.meanLength, before.meanLength);
    assert.ok(live.meanLength < 10, `${live.meanLength}`);
    assert.deepEqual([all.rows, all.frequencies], [1, [1]]);
  }
  searches.close();
  writer.close();
});

test('what is called similar is live, and is what its memory says now', async (t) => {
  const { writer } = open(temporaryFolder(t), testClock());
  const scope = scopeOf('');
  const text = 'the grey heron stands in the reeds of the quiet pond and waits for a small fish';
  const put = (key: string, content: string) =>
    write(writer, scope, (tx) =>
      OPERATIONS.remember.run(tx, scope, { category: 'c', key, bodyJson: JSON.stringify(content), recallWhen: [] }),
    );
  await put('archived', text);
  await write(writer, scope, (tx) =>
    OPERATIONS.forget.run(tx, scope, { category: 'c', key: 'archived', reason: 'over' }),
  );
  await put('rewritten', text);
  await put('rewritten', 'something else altogether, about swans');
  assert.equal((await put('new', text)).similar, undefined);
  assert.deepEqual(
    (await put('newer', text)).similar?.map(({ key }) => key),
    ['new'],
  );
  writer.close();
});

test('large memories are taken into memory a few at a time', async (t) => {
  const { writer, path } = open(temporaryFolder(t), testClock());
  const words = Array.from({ length: 60_000 }, (_, i) => `w${i}`).join(' ');
  for (let i = 0; i < 6; i++) {
    const input = { category: 'c', key: `k${i}`, bodyJson: JSON.stringify(`${words} ${i}`), recallWhen: [] };
    await write(writer, scopeOf(''), (tx) => OPERATIONS.remember.run(tx, scopeOf(''), input));
  }
  const options = { path, key: null, clock: testClock(), busyTimeoutMs: 100 };
  const reader = openReader(options, 'searches');
  let steps = 0;
  while (reader.cold && reader.warmUp()) steps += 1;
  assert.ok(steps >= 2, `${steps} steps`);
  assert.equal((await reader.snapshot((tx) => scores(tx, 'w59999'))).length, 6);
  reader.close();
  writer.close();
});

test('a connection that searches in memory sees a text index on disk that was emptied', async (t) => {
  const { writer, path } = open(temporaryFolder(t), testClock());
  const input = { category: 'c', key: 'k', bodyJson: '"heron"', recallWhen: [] };
  await write(writer, scopeOf(''), (tx) => OPERATIONS.remember.run(tx, scopeOf(''), input));
  writer.close();
  const reader = openReader({ path, key: null, clock: testClock(), busyTimeoutMs: 100 }, 'searches');
  while (reader.cold && reader.warmUp());
  const look = async () => (await reader.snapshot(async (tx) => tx.examine())).problems;
  assert.deepEqual(await look(), []);
  const db = new Database(path);
  db.exec("INSERT INTO text(text) VALUES('delete-all')");
  db.close();
  assert.match((await look()).join('\n'), /text index: it counts 0 rows, there are 1/);
  reader.close();
});

test('many rows of one operation of another process are counted as many, and taken over anew', async (t) => {
  const { writer, path } = open(temporaryFolder(t), testClock());
  const options = { path, key: null, clock: testClock(), busyTimeoutMs: 100 };
  const reader = openReader(options, 'searches');
  while (reader.cold && reader.warmUp());
  for (let many = 0; many < 5; many++) {
    const memories = Array.from({ length: 500 }, (_, i) => ({
      category: 'c',
      key: `k${many}-${i}`,
      bodyJson: `"heron ${many} ${i}"`,
      recallWhen: [],
    }));
    await write(writer, scopeOf(''), (tx) => OPERATIONS.remember_many.run(tx, scopeOf(''), { memories }));
  }
  assert.equal((await reader.snapshot((tx) => scores(tx, 'heron'))).length, 200);
  assert.equal(reader.cold, true, 'it fills anew instead of following 2,500 changes');
  while (reader.cold && reader.warmUp());
  assert.equal((await reader.snapshot(async (tx) => tx.termStatistics(['heron']))).frequencies[0], 2_500);
  reader.close();
  writer.close();
});

test('a private turn is no context for what another agent says next', async (t) => {
  const { writer } = open(temporaryFolder(t), testClock());
  const say = async (turn: number, agentId: string, visibility: string, content: string): Promise<void> => {
    const bodyJson = JSON.stringify({ content, speaker: agentId, session: 's', turn });
    const input = { category: 'c', key: `t${turn}`, bodyJson, recallWhen: [], agentId, visibility };
    await write(writer, scopeOf(''), (tx) => OPERATIONS.remember.run(tx, scopeOf(''), input));
  };
  await say(1, 'x', 'private', 'Will the merger with Globex come?');
  await say(2, 'y', 'workspace', 'Yes, fine.');
  await say(3, 'y', 'private', 'Who pays the plumber?');
  await say(4, 'y', 'workspace', 'Me.');
  const found = async (query: string): Promise<number> => (await writer.snapshot((tx) => scores(tx, query))).length;
  assert.equal(await found('globex'), 1, 'only the private turn itself');
  assert.equal(await found('plumber'), 2, "the agent's own words are context for it");
  writer.close();
});

test('a store counts layers with the uses that are noted, and state entries until they expire', async (t) => {
  const clock = testClock();
  const { writer } = open(temporaryFolder(t), clock);
  const scope = scopeOf('');
  const input = { category: 'c', key: 'k', bodyJson: '{}', recallWhen: [] };
  await write(writer, scope, (tx) => OPERATIONS.remember.run(tx, scope, input));
  for (const [key, ttlSeconds] of [
    ['short', 1],
    ['long', 100],
  ] as const)
    await write(writer, scope, (tx) => OPERATIONS.state_set.run(tx, scope, { key, valueJson: '1', ttlSeconds }));
  const counted = async (times: number, sent: boolean): Promise<[object, number]> => {
    const note = { row: 1, times, atMs: clock.now + 1, seen: 0 };
    const noted = { sent: sent ? [note] : [], kept: sent ? [] : [note] };
    const { byLayer, state } = await writer.snapshot((tx) => OPERATIONS.stats.run(tx, scope, { noted }));
    return [byLayer, state];
  };
  assert.deepEqual(await counted(4, false), [{ buffer: 1 }, 2]);
  assert.deepEqual(await counted(5, true), [{ working: 1 }, 2]);
  clock.now += 1_001;
  assert.deepEqual(await counted(20, false), [{ core: 1 }, 1]);
  const elsewhere = scopeOf('other');
  const note = { row: 1, times: 20, atMs: clock.now, seen: 0 };
  const { byLayer } = await writer.snapshot(async (tx) => tx.counts(elsewhere, { sent: [], kept: [note] }));
  assert.deepEqual(byLayer, {}, 'a row of another workspace is not counted');
  writer.close();
});
