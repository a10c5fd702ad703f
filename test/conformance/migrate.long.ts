import assert from 'node:assert/strict';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';

import Database from 'better-sqlite3-multiple-ciphers';

import { makeOriginal, recorded, rowsOf, withoutFiles } from '../support/original.ts';
import { callText, http, startHttp, startMimir, temporaryFolder } from '../support/processes.ts';

type Report = Readonly<Record<string, unknown>>;

async function run(args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const { ended, printed } = startMimir(args);
  return { code: await ended, ...printed };
}

async function migrate(from: string, to: string, ...more: readonly string[]): Promise<Report> {
  const { code, stdout, stderr } = await run(['migrate', '--from', from, '--to', to, ...more]);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as Report;
}

function makeEarly(path: string, rows: readonly Readonly<Record<string, unknown>>[]): void {
  const db = new Database(path);
  db.exec(
    `CREATE TABLE memories(id TEXT PRIMARY KEY, content TEXT, type TEXT DEFAULT 'insight', summary TEXT DEFAULT '', relevance REAL DEFAULT 0,
       decay_score REAL DEFAULT 1, retrieval_count INTEGER DEFAULT 0, layer TEXT DEFAULT 'working', topic_path TEXT DEFAULT '',
       created_at_unix_ms INTEGER DEFAULT 1700000000000, last_accessed_unix_ms INTEGER DEFAULT 1700000000000,
       workspace_hash TEXT DEFAULT '', tags TEXT DEFAULT '{}', links TEXT DEFAULT '[]', source TEXT DEFAULT 'mimir', verified INTEGER DEFAULT 0)`,
  );
  db.exec('BEGIN');
  for (const row of rows) {
    const names = Object.keys(row);
    db.prepare(`INSERT INTO memories(${names.join()}) VALUES (${names.map(() => '?').join()})`).run(
      ...Object.values(row),
    );
  }
  db.exec('COMMIT');
  db.close();
}

const COLUMNS =
  'id, category, key, body_json, type, tags, links, layer, retrieval_count, verified, workspace_hash, created_at_unix_ms, last_accessed_unix_ms';

test(
  'the recorded file of version 0.1 comes in, and its two unreadable rows are named',
  { skip: withoutFiles },
  async (t) => {
    const folder = temporaryFolder(t);
    const [from, to] = [join(folder, 'v01.db'), join(folder, 'new.db')];
    copyFileSync(recorded('v01.db'), from);
    const before = readFileSync(from);
    const dry = await migrate(from, to, '--dry-run');
    assert.deepEqual([dry['entities_created'], dry['dry_run']], [6, true]);
    assert.ok(!existsSync(to), 'a dry run makes no store');
    const first = await migrate(from, to);
    assert.deepEqual(
      [first['total_old_memories'], first['entities_created'], first['entities_updated'], first['already_there']],
      [8, 6, 0, undefined],
    );
    assert.deepEqual(first['errors'], [
      'Row 6 read error: column type holds Null, text is due',
      'Row 8 read error: column decay_score holds Text, number is due',
    ]);
    assert.deepEqual(first['mended'], [
      'the tags of mem-0004 could not be read; left out',
      'the links of mem-0004 could not be read; left out',
    ]);
    assert.deepEqual(readFileSync(from), before, 'the old file is only read');
    const rows = new Map(rowsOf(to, `SELECT ${COLUMNS} FROM entities`).map((row) => [row['id'], row]));
    assert.equal(rows.size, 6, 'two ids that share 20 bytes are two memories');
    const long = 'mem-0002-with-a-very-long-identifier-';
    assert.deepEqual(rows.get(`${long}x`), {
      id: `${long}x`,
      category: 'general',
      key: 'migrated-mem-0002-with-a-very',
      body_json: '{"content":"長い記憶 🗝️","summary":""}',
      type: 'decision',
      tags: '["workspace:wsX"]',
      links: '[{"target_id":"mem-0001","relationship":"old","weight":0.9}]',
      layer: 'core',
      retrieval_count: 25,
      verified: 1,
      workspace_hash: 'wsX',
      created_at_unix_ms: 1_730_000_000_001,
      last_accessed_unix_ms: 1_730_000_000_001,
    });
    assert.equal(rows.get('mem-0003')?.['workspace_hash'], 'wsY');
    const second = await migrate(from, to);
    assert.deepEqual([second['entities_created'], second['already_there']], [0, 6], 'a second run changes nothing');
    const found = await run(['recall', 'alpha', '--db', to, '--json']);
    assert.match(found.stdout, /old memory about alpha/);
    assert.match((await run(['verify', '--db', to])).stdout, /operations of .* agree/);
  },
);

test('a large file comes in steps, and a key whose place is taken is made longer', async (t) => {
  const folder = temporaryFolder(t);
  const [from, to] = [join(folder, 'v01.db'), join(folder, 'new.db')];
  const rows = Array.from({ length: 350 }, (_, i) => ({
    id: `a-memory-with-a-long-id-${i}`,
    content: `memory ${i}`,
    type: i === 340 ? 7 : 'fact',
  }));
  // A number in a text column becomes a text; what is no text at all is bytes.
  makeEarly(
    from,
    rows.map((row) => (row.type === 7 ? { ...row, type: Buffer.from([1]) } : row)),
  );
  const report = await migrate(from, to);
  assert.deepEqual([report['total_old_memories'], report['entities_created']], [350, 349]);
  assert.deepEqual(report['errors'], ['Row 341 read error: column type holds Blob, text is due']);
  const keys = rowsOf(to, 'SELECT key FROM entity ORDER BY row').map(({ key }) => key);
  assert.equal(new Set(keys).size, 349);
  assert.deepEqual(keys.slice(0, 2), ['migrated-a-memory-with-a-long', 'migrated-a-memory-with-a-long-id-1']);
});

test('what a user has changed since is not written over by a second run', async (t) => {
  const folder = temporaryFolder(t);
  const [from, to] = [join(folder, 'v01.db'), join(folder, 'new.db')];
  makeEarly(from, [{ id: 'one', content: 'as it was' }]);
  await migrate(from, to);
  const body = '{"content":"as it is"}';
  assert.equal(
    (await run(['write', '--db', to, '--category', 'general', '--key', 'migrated-one', '--body', body])).code,
    0,
  );
  await migrate(from, to);
  assert.deepEqual(rowsOf(to, 'SELECT body_json FROM entities'), [{ body_json: body }]);
});

for (const { name, make, code, says } of [
  { name: 'that is not there', make: () => undefined, code: 1, says: /no file at .*old\.db/ },
  {
    name: 'that is text',
    make: (f: string) => writeFileSync(f, 'no database '.repeat(100)),
    code: 1,
    says: /no database/,
  },
  { name: 'of version 2', make: (f: string) => void makeOriginal(f).close(), code: 0, says: /Mimir 2.*--db/ },
  {
    name: 'of another program',
    make: (f: string) => void new Database(f).exec('CREATE TABLE x(y)').close(),
    code: 0,
    says: /No table/,
  },
]) {
  test(`a source ${name} is told as what it is, and is not made or changed`, async (t) => {
    const folder = temporaryFolder(t);
    const from = join(folder, 'old.db');
    make(from);
    const before = existsSync(from) ? readFileSync(from) : null;
    const done = await run(['migrate', '--from', from, '--to', join(folder, 'new.db')]);
    assert.equal(done.code, code, done.stderr);
    assert.match(done.stdout + done.stderr, says);
    assert.deepEqual(existsSync(from) ? readFileSync(from) : null, before);
  });
}

test('a source in a folder that is not there is told as that', async (t) => {
  const folder = temporaryFolder(t);
  const done = await run(['migrate', '--from', join(folder, 'no', 'old.db'), '--to', join(folder, 'new.db')]);
  assert.equal(done.code, 1);
  assert.match(done.stderr, /^mimir: There is no file at .*no.old\.db/);
});

test('over HTTP no file of the server can be named', async (t) => {
  const folder = temporaryFolder(t);
  const server = await startHttp(['--db', join(folder, 'm.db')]);
  t.after(() => server.child.kill('SIGKILL'));
  const from = join(folder, 'old.db');
  makeEarly(from, [{ id: 'one', content: 'secret' }]);
  const answer = await http(server.port, { body: callText(1, 'mimir_migrate', { from_path: from }) });
  assert.match(answer.body, /Over HTTP no file can be named/);
  assert.equal(answer.body.includes('secret'), false);
});
