// Upkeep through the tools over a real store, while others use it.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';

import Database from 'better-sqlite3-multiple-ciphers';

import { systemClock } from '../../src/clock.ts';
import { OWNER } from '../../src/memory/scope.ts';
import { openPool, type Pool } from '../../src/pool/pool.ts';
import { openWriter, prepareStore } from '../../src/storage/open.ts';
import { createTable } from '../../src/tools/table.ts';
import type { Caller } from '../../src/tools/types.ts';
import { callText, http, startHttp, startMimir, temporaryFolder } from '../support/processes.ts';
import { NO_FOLDERS } from '../support/tool-table.ts';

const CALLER: Caller = { principal: OWNER, client: 'test' };
const SILENT = { banner: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

type Answer = Record<string, unknown> & { readonly items: readonly { readonly key: string }[] };

interface Served {
  readonly pool: Pool;
  readonly call: (name: string, args?: object) => Promise<Answer>;
  readonly put: (key: string, content: string) => Promise<Answer>;
}

function serve(t: TestContext, path: string, more: Partial<Parameters<typeof openPool>[0]> = {}): Served {
  const pool = openPool({
    dbPath: path,
    makeFolder: false,
    keyFile: null,
    poolMax: 16,
    busyTimeoutMs: 3_000,
    cores: 4,
    clock: systemClock,
    log: SILENT,
    ...more,
  });
  t.after(() => pool.close());
  const bugs: unknown[] = [];
  const facts = { dbPath: path, encrypted: false, version: '9' };
  const table = createTable({
    folders: NO_FOLDERS,
    execute: pool.execute,
    usage: pool.usage,
    clock: systemClock,
    facts,
    onBug: (bug) => bugs.push(bug),
  });
  const call: Served['call'] = async (name, args = {}) => {
    const { json, isError } = await table.call(`mimir_${name}`, args, CALLER);
    assert.deepEqual(bugs, []);
    return { ...(JSON.parse(json) as Answer), isError };
  };
  const put: Served['put'] = (key, content) =>
    call('remember', { category: 'c', key, body_json: JSON.stringify({ content }) });
  return { pool, call, put };
}

function verified(path: string, key: Uint8Array | null = null): readonly string[] {
  const options = { path, key, clock: systemClock, busyTimeoutMs: 1_000 };
  prepareStore(options);
  const writer = openWriter(options);
  try {
    return writer.verify();
  } finally {
    writer.close();
  }
}

/** A clean end, and a store in which everything agrees. */
async function endWell({ pool }: Served, path: string): Promise<void> {
  await pool.close();
  assert.deepEqual(verified(path), []);
}

async function keysOf(served: Served, query: string): Promise<string[]> {
  return (await served.call('recall', { query, limit: 1_000 })).items.map(({ key }) => key).toSorted();
}

test('a dry run writes nothing', async (t) => {
  const path = join(temporaryFolder(t), 'm.db');
  const served = serve(t, path);
  for (let i = 0; i < 5; i++) await served.put(`k${i}`, `heron ${i}`);
  await served.call('forget', { category: 'c', key: 'k0' });
  const raw = new Database(path);
  // Changes with every commit of anybody else, an empty one too.
  const state = () => [
    raw.pragma('data_version', { simple: true }),
    raw.prepare('SELECT max(seq) FROM operations').pluck().get(),
  ];
  const before = state();
  const dry = { dry_run: true };
  assert.equal((await served.call('prune', { purge_all: true, ...dry }))['examined'], 4);
  assert.equal((await served.call('compact', { min_decay: 2, ...dry }))['entities_archived'], 4);
  assert.equal((await served.call('purge', dry))['entities_deleted'], 1);
  await served.call('maintenance', { all: true, ...dry });
  assert.deepEqual(state(), before);
  raw.close();
  await endWell(served, path);
});

test('many rows are archived and erased in short steps, and others go on meanwhile', async (t) => {
  const path = join(temporaryFolder(t), 'm.db');
  const [served, foreign] = [serve(t, path), serve(t, path)];
  for (let i = 0; i < 2; i++) {
    const memories = Array.from({ length: 500 }, (_, j) => ({
      category: 'c',
      key: `old-${i}-${j}`,
      body_json: JSON.stringify({ content: `heron number ${i * 500 + j} of the old flock` }),
    }));
    assert.equal((await served.call('remember_many', { memories }))['stored'], 500);
  }
  let done = false;
  let written = 0;
  const work = (who: Served, name: string) => async (): Promise<void> => {
    for (let i = 0; !done || i < 5; i++) {
      const made = await who.put(`${name}-${i}`, `swan ${name} ${i}`);
      assert.equal(made['action'], 'created', JSON.stringify(made));
      written += 1;
      const { items } = await who.call('recall', { query: `swan ${name} ${i}`, limit: 1 });
      assert.equal(items[0]?.key, `${name}-${i}`);
    }
  };
  const others = Promise.all([work(served, 'lagoon')(), work(foreign, 'harbour')()]);
  const pruned = await served.call('prune', { older_than_days: 0, category: 'c', limit: 1_000 });
  assert.equal(pruned['archived'], 1_000, JSON.stringify(pruned));
  assert.deepEqual(await keysOf(served, 'flock'), []);
  const purged = await foreign.call('purge');
  done = true;
  await others;
  assert.equal(purged['entities_deleted'], 1_000, JSON.stringify(purged));
  const raw = new Database(path);
  const steps = raw.prepare(`SELECT kind, count(*) AS n FROM operations WHERE kind IN ('archive', 'purge') GROUP BY 1`);
  for (const { kind, n } of steps.all() as { kind: string; n: number }[]) assert.ok(n >= 2, `${kind}: ${n} steps`);
  raw.close();
  // Whoever looks by memory (reader threads) and by disk: all of the new ones, none of the old.
  for (const one of [served, foreign]) {
    assert.equal((await one.call('stats'))['total_entities'], written);
    assert.deepEqual(await keysOf(one, 'flock'), []);
    assert.equal((await keysOf(one, 'swan')).length, Math.min(written, 1_000));
  }
  await foreign.pool.close();
  await endWell(served, path);
});

test('making the file compact runs alone, and loses nothing of what others write and read meanwhile', async (t) => {
  for (const poolMax of [1, 2, 16]) {
    const path = join(temporaryFolder(t), 'm.db');
    const [served, foreign] = [serve(t, path, { poolMax }), serve(t, path, { poolMax })];
    const clients = [served, foreign].flatMap((who, w) =>
      [0, 1, 2].map(async (c) => {
        for (let i = 0; i < 15; i++) {
          const made = await who.put(`k-${w}-${c}-${i}`, `memory ${w} ${c} ${i}`);
          assert.equal(made['action'], 'created', JSON.stringify(made));
          await who.call('recall', { query: `memory ${i}` });
        }
      }),
    );
    for (let i = 0; i < 3; i++) {
      for (const answer of await Promise.all([1, 2].map(() => served.call('maintenance', { vacuum: true }))))
        assert.deepEqual(answer['errors'], [], JSON.stringify(answer));
    }
    await Promise.all(clients);
    assert.equal((await foreign.call('stats'))['total_entities'], 90);
    await foreign.pool.close();
    await endWell(served, path);
  }
});

test('another process in the way is named, and what was done is not undone', async (t) => {
  const path = join(temporaryFolder(t), 'm.db');
  const served = serve(t, path, { busyTimeoutMs: 100 });
  await served.put('a', 'heron');
  await served.put('b', 'swan');
  const raw = new Database(path);
  raw.exec('BEGIN IMMEDIATE');
  const locked = await served.call('maintenance', { vacuum: true, orphans: true });
  assert.match(String(locked['errors']), /^vacuum: Another process is writing to the store/);
  assert.equal((await served.call('decay'))['auto_archived'], 0, 'there is nothing to write');
  assert.equal((await served.call('prune', { purge_all: true }))['code'], 'locked');
  raw.exec('COMMIT');

  raw.exec('BEGIN');
  raw.prepare('SELECT count(*) FROM body').get();
  await served.call('forget', { category: 'c', key: 'a' });
  const purged = await served.call('purge');
  assert.deepEqual([purged['entities_deleted'], purged['erased']], [1, false]);
  assert.match(String(purged['hint']), /Another process still reads .* mimir_maintenance with vacuum: true/);
  raw.exec('COMMIT');
  assert.equal((await served.call('maintenance', { vacuum: true }))['erased'], true);
  assert.deepEqual(await keysOf(served, 'swan'), ['b']);
  raw.close();
  await endWell(served, path);
});

/** Everything that lies beside the store, read by this process, which has it not open. */
function bytesOf(path: string): Buffer {
  const parts = ['', '-wal'].map((ending) => {
    try {
      return readFileSync(path + ending);
    } catch {
      return Buffer.alloc(0);
    }
  });
  return Buffer.concat(parts);
}

for (const encrypted of [false, true]) {
  test(`purged text is nowhere in the file of a running server${encrypted ? ', an encrypted one too' : ''}`, async (t) => {
    const folder = temporaryFolder(t);
    const path = join(folder, 'm.db');
    const key = Buffer.alloc(32, 7);
    writeFileSync(join(folder, 'key'), key.toString('base64'));
    const server = await startHttp(['--db', path, ...(encrypted ? ['--encryption-key', join(folder, 'key')] : [])]);
    const call = async (name: string, args: object): Promise<Answer> => {
      const { body } = await http(server.port, { body: callText(1, `mimir_${name}`, args) });
      return (JSON.parse(body) as { result: { structuredContent: Answer } }).result.structuredContent;
    };
    const secret = 'Zyxquartz vlimtorp';
    const body = (content: string, turn: number): string =>
      JSON.stringify({ content, speaker: 'Bo', session: 'qwhnsession', turn });
    const put = (key: string, body_json: string, more: object = {}) =>
      call('remember', { category: 'c', key, body_json, ...more });
    for (let i = 0; i < 30; i++) await put(`other-${i}`, body(`An everyday note about herons, number ${i}`, 100 + i));
    const { id } = await put('jkvzname', body(secret, 1), { tags: ['wqptag'], idempotency_key: 'r1' });
    await put('jkvzname', body(`${secret} again, xvkearlier`, 1), { idempotency_key: 'r2' });
    await put('jkvzname', body(`${secret} at last`, 1));
    await put('answer', body('Yes, fine.', 2));
    await put('twin', body(`${secret} at last`, 1), { idempotency_key: 'r3' });
    await call('link', { from_category: 'c', from_key: 'answer', to_id: id, relationship: 'gqzrelation' });
    await call('recall', { query: secret });
    for (const key of ['jkvzname', 'twin']) await call('forget', { category: 'c', key, reason: 'fwqreason' });
    const words = ['zyxquartz', 'vlimtorp', 'jkvzname', 'wqptag', 'xvkearlier', 'gqzrelation', 'fwqreason', String(id)];
    // A term that stands behind a similar one in the index is stored without its beginning.
    const here = (): string[] => {
      const text = bytesOf(path).toString('latin1').toLowerCase();
      return words.filter((word) => text.includes(word.slice(1)));
    };
    if (!encrypted) assert.deepEqual(here(), words, 'they are there before');
    const purged = await call('purge', {});
    assert.deepEqual([purged['entities_deleted'], purged['erased']], [2, true], JSON.stringify(purged));
    assert.deepEqual(here(), []);
    assert.equal(bytesOf(path).includes('everyday note'), !encrypted, 'the file is read, and encrypted if it was');
    assert.equal((await call('recall', { query: 'everyday herons' })).items.length, 10);
    server.child.kill('SIGTERM');
    await server.ended;
    const raw = new Database(path);
    if (encrypted) raw.key(Buffer.concat([Buffer.from('raw:'), key]));
    for (const table of ['text', 'text_past']) {
      raw.exec(`CREATE VIRTUAL TABLE temp.words_${table} USING fts5vocab(main, ${table}, row)`);
      const terms = raw.prepare(`SELECT term FROM temp.words_${table}`).pluck().all() as string[];
      assert.ok(!terms.some((term) => words.some((word) => term.includes(word.slice(0, 6)))), terms.join(' '));
    }
    raw.close();
    assert.deepEqual(verified(path, encrypted ? key : null), []);
  });
}

test('purging and archiving keep the order in which a client on stdio sent things', async (t) => {
  const path = join(temporaryFolder(t), 'm.db');
  const running = startMimir(['--db', path]);
  const calls: [string, object][] = [
    ['mimir_remember', { category: 'c', key: 'a', body_json: '"heron"' }],
    ['mimir_forget', { category: 'c', key: 'a' }],
    ['mimir_purge', {}],
    ['mimir_remember', { category: 'c', key: 'b', body_json: '"swan"', importance: 0.01 }],
    ['mimir_decay', {}],
    ['mimir_purge', {}],
    ['mimir_stats', {}],
  ];
  running.child.stdin.end(calls.map(([name, args], i) => `${callText(i, name, args)}\n`).join(''));
  assert.equal(await running.ended, 0);
  const answers = running.printed.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { id: number; result: { structuredContent: Answer } });
  const of = (id: number): Answer | undefined => answers.find((one) => one.id === id)?.result.structuredContent;
  assert.deepEqual(
    [of(2)?.['entities_deleted'], of(4)?.['auto_archived'], of(5)?.['entities_deleted'], of(6)?.['total_entities']],
    [1, 1, 1, 0],
  );
});

test('an index that has lost rows, or cannot be read, is made anew from the memories', async (t) => {
  const damages = [
    `INSERT INTO text(text) VALUES ('delete-all')`,
    `INSERT INTO text(text, rowid, terms, scope) VALUES ('delete', 3, 'heron', '')`,
    'UPDATE text_data SET block = zeroblob(8) WHERE id > 10',
    `INSERT INTO text_past(rowid, terms, scope) VALUES (99, 'ghost', '')`,
  ];
  for (const damage of damages) {
    const path = join(temporaryFolder(t), 'm.db');
    const served = serve(t, path, { poolMax: 2 });
    for (let i = 0; i < 20; i++) await served.put(`k${i}`, `heron ${i}`);
    await served.call('forget', { category: 'c', key: 'k0' });
    const raw = new Database(path);
    raw.unsafeMode(true);
    raw.exec(damage);
    raw.close();
    const answer = await served.call('reindex');
    assert.equal(answer['reindexed'], 19, `${damage}: ${JSON.stringify(answer)}`);
    assert.equal((await keysOf(served, 'heron')).length, 19, damage);
    await endWell(served, path);
  }
});

test('everything can be found while the index is made anew, and what is written then stays', async (t) => {
  const path = join(temporaryFolder(t), 'm.db');
  const [served, foreign] = [serve(t, path, { poolMax: 2 }), serve(t, path, { poolMax: 2 })];
  for (let i = 0; i < 300; i++) await served.put(`k${i}`, `heron number ${i} of ${'many words '.repeat(40)}`);
  let done = false;
  const others = (async (): Promise<number> => {
    let i = 0;
    for (; !done || i < 3; i++) {
      assert.equal((await foreign.call('recall', { query: `heron number ${i}`, limit: 1 })).items[0]?.key, `k${i}`);
      await foreign.put(`k${i}`, `heron number ${i} anew`);
      await foreign.put(`more-${i}`, `swan ${i}`);
    }
    return i;
  })();
  for (let i = 0; i < 3; i++) assert.ok(Number((await served.call('reindex'))['reindexed']) >= 300);
  done = true;
  const count = await others;
  assert.equal((await keysOf(served, 'anew')).length, count);
  assert.equal((await keysOf(served, 'swan')).length, count);
  await foreign.pool.close();
  await endWell(served, path);
});
