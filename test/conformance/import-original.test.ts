import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';

import Database from 'better-sqlite3-multiple-ciphers';

import { systemClock } from '../../src/clock.ts';
import { MimirError } from '../../src/errors.ts';
import { keepUnderOtherName, readKeyFile, replaceFile } from '../../src/storage/files.ts';
import { openWriter } from '../../src/storage/open.ts';
import { importCopy, prepareOrImport, type ImportReport } from '../../src/storage/original/import.ts';
import { takeOriginal } from '../../src/storage/sqlite/original.ts';
import {
  addEntity,
  dumpOf,
  makeOriginal,
  recorded,
  rowsOf,
  withoutFiles,
  type DumpedRow,
} from '../support/original.ts';
import { startMimir, temporaryFolder, until } from '../support/processes.ts';

interface Opened {
  readonly report: ImportReport | null;
  readonly problems: readonly string[];
}

async function open(path: string, key: Uint8Array | null = null, busyTimeoutMs = 200): Promise<Opened> {
  let report: ImportReport | null = null;
  const options = { path, key, clock: systemClock, busyTimeoutMs };
  await prepareOrImport(options, { progress: () => undefined, ended: (found) => (report = found) });
  const store = openWriter(options);
  const problems = store.verify();
  store.close();
  return { report, problems };
}

function copyOf(t: Parameters<typeof temporaryFolder>[0], name: string): string {
  const path = join(temporaryFolder(t), 'm.db');
  copyFileSync(recorded(name), path);
  chmodSync(path, 0o644);
  return path;
}

function hashOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

async function refusal(work: Promise<unknown>): Promise<MimirError> {
  const thrown: unknown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  assert.ok(thrown instanceof MimirError, String(thrown));
  return thrown;
}

/** What our tables hold, in the original's words; read beside the program. */
function entitiesOf(path: string, key?: Uint8Array): Map<unknown, DumpedRow> {
  const db = new Database(path);
  if (key !== undefined) db.key(Buffer.concat([Buffer.from('raw:'), key]));
  const rows = db
    .prepare(
      `SELECT s.*, (SELECT v.data FROM vector v JOIN entity e ON e.body = v.body WHERE e.id = s.id) AS embedding FROM entities s`,
    )
    .all() as DumpedRow[];
  db.close();
  return new Map(rows.map((row) => [row['id'], row]));
}

function without(row: DumpedRow, ...names: readonly string[]): DumpedRow {
  return Object.fromEntries(Object.entries(row).filter(([name]) => !names.includes(name)));
}

const LAYERS = ['buffer', 'working', 'core'];

for (const { file, keyFile } of [
  { file: 'plain' },
  { file: 'encrypted', keyFile: 'encrypted.key' },
  { file: 'empty' },
  { file: 'v02' },
]) {
  test(`${file}.db opens and holds what was recorded of it`, { skip: withoutFiles }, async (t) => {
    const path = copyOf(t, `${file}.db`);
    const key = keyFile === undefined ? null : readKeyFile(recorded(keyFile));
    const { report, problems } = await open(path, key);
    assert.ok(report !== null);
    assert.deepEqual(problems, []);
    const dump = dumpOf(file);
    // Bodies of the encrypted file were the same calls as those of the plain one.
    const plain = new Map(dumpOf(file === 'encrypted' ? 'plain' : file).entities.map((row) => [row['_rowid'], row]));
    const found = entitiesOf(path, key ?? undefined);
    assert.equal(found.size, dump.entities.length);
    for (const { _rowid: rowid, embedding, ...row } of dump.entities) {
      const ours: Record<string, unknown> = { ...found.get(row['id']) };
      const wanted: Record<string, unknown> = { ...row };
      if (keyFile !== undefined && plain.get(rowid)?.['key'] === row['key']) {
        wanted['body_json'] = plain.get(rowid)?.['body_json'];
      } else if (keyFile !== undefined) {
        assert.ok(
          typeof ours['body_json'] === 'string' && JSON.parse(ours['body_json']) !== undefined,
          String(row['key']),
        );
        wanted['body_json'] = ours['body_json'];
      }
      for (const name of ['links', 'tags']) ours[name] = JSON.parse(String(ours[name]));
      wanted['links'] = row['links'] === 'not links' ? [] : JSON.parse(String(row['links']));
      wanted['tags'] = row['tags'] === '{}' ? [] : JSON.parse(String(row['tags']));
      if (!LAYERS.includes(String(row['layer']))) wanted['layer'] = 'buffer';
      const vector = ours['embedding'] instanceof Uint8Array ? Buffer.from(ours['embedding']).toString('base64') : null;
      assert.equal(vector, (embedding as { $base64: string } | null)?.$base64 ?? null);
      delete ours['embedding'];
      assert.deepEqual(ours, wanted);
    }
    if (key === null) {
      const journal = rowsOf(path, 'SELECT * FROM journal ORDER BY row');
      assert.deepEqual(
        journal.map((row) => without(row, 'row', 'seq', 'workspace')),
        dump.journal.map((row) => without(row, '_rowid')),
      );
      const columns = 'key, value_json, expires_at_unix_ms, created_at_unix_ms';
      assert.deepEqual(
        rowsOf(path, `SELECT ${columns} FROM state WHERE seq_to IS NULL ORDER BY id`),
        dump.state.map((row) => without(row, '_rowid')),
      );
    }
    assert.equal(report.originalPath, `${path}.mimir-2.1`);
    assert.deepEqual(
      rowsOf(report.originalPath, 'SELECT rowid AS _rowid, * FROM entities ORDER BY rowid'),
      dump.entities,
      'the original is kept as it was',
    );
    assert.deepEqual(readdirSync(join(path, '..')).toSorted(), ['m.db', 'm.db.mimir-2.1']);
    assert.equal(lstatSync(path).mode & 0o777, 0o600);
    const before = hashOf(path);
    assert.equal((await open(path, key)).report, null, 'a second open does nothing');
    assert.equal(hashOf(path), before);
  });
}

test('the encrypted file lands in a store that is encrypted as a whole', { skip: withoutFiles }, async (t) => {
  const path = copyOf(t, 'encrypted.db');
  await open(path, readKeyFile(recorded('encrypted.key')));
  const bytes = readFileSync(path);
  assert.notEqual(bytes.subarray(0, 15).toString(), 'SQLite format 3');
  for (const word of ['storage team', 'SQLite with WAL', 'use-sqlite']) assert.equal(bytes.includes(word), false, word);
});

for (const { name, key } of [
  { name: 'without its key', key: null },
  { name: 'with another key', key: new Uint8Array(32).fill(7) },
]) {
  test(`the encrypted file ${name} is one clear error, and nothing is written`, { skip: withoutFiles }, async (t) => {
    const path = copyOf(t, 'encrypted.db');
    const error = await refusal(open(path, key));
    assert.equal(error.code, 'wrong_key');
    assert.match(error.message, /56 encrypted memories|encrypted memories \(56\)/);
    assert.match(error.hint ?? '', /--encryption-key/);
    assert.deepEqual(readdirSync(join(path, '..')), ['m.db']);
    assert.deepEqual(
      rowsOf(path, 'SELECT rowid AS _rowid, * FROM entities ORDER BY rowid'),
      dumpOf('encrypted').entities,
    );
  });
}

test('a plain file with a key becomes an encrypted store', async (t) => {
  const path = join(temporaryFolder(t), 'm.db');
  const db = makeOriginal(path);
  addEntity(db, { id: 'mem-1', category: 'a', key: 'k', body_json: '{"content":"harbour"}' });
  db.close();
  const key = new Uint8Array(32).fill(3);
  assert.equal((await open(path, key)).report?.entities, 1);
  assert.equal(readFileSync(path).includes('harbour'), false);
  assert.equal((await refusal(open(path, null))).code, 'not_a_store');
});

/** Encrypts as the original does. */
function seal(text: string, key: Uint8Array, aad: string): string {
  const nonce = createHash('sha256').update(aad).digest().subarray(0, 12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(Buffer.from(aad, 'utf8'));
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return Buffer.concat([nonce, sealed, cipher.getAuthTag()]).toString('base64');
}

test('a file with bodies in plain, under this key and under another one comes in whole', async (t) => {
  const path = join(temporaryFolder(t), 'm.db');
  const [key, other] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
  const db = makeOriginal(path);
  const add = (id: string, body: string, indexed: string | null): void => {
    addEntity(db, { id, category: 'c', key: id, body_json: body, archived: indexed === null ? 1 : 0 }, false);
    if (indexed === null) return;
    db.prepare('INSERT INTO entities_fts(rowid, body_json) VALUES ((SELECT rowid FROM entities WHERE id = ?), ?)').run(
      id,
      indexed,
    );
  };
  const lost = seal('{"n":4}', other, 'c:lost');
  add('plain', '{"n":1}', '{"n":1}');
  add('sealed', seal('{"n":2}', key, 'c:sealed'), '{"n":2}');
  add('other', seal('{"n":3}', other, 'c:other'), '{"n":3}');
  add('lost', lost, null);
  db.close();
  const { report, problems } = await open(path, key);
  assert.deepEqual(problems, []);
  assert.deepEqual(report?.mended, [
    '1 body was encrypted with another key; taken from the text index (other)',
    '1 body was encrypted with another key and could not be read; kept as they stood, encrypted (lost)',
  ]);
  const bodies = [...entitiesOf(path, key).values()].map((row) => row['body_json']);
  assert.deepEqual(bodies, ['{"n":1}', '{"n":2}', '{"n":3}', lost]);
});

test('whatever the file has wrong is mended and told, and nothing of it is lost', async (t) => {
  const path = join(temporaryFolder(t), 'm.db');
  const db = makeOriginal(path, { loose: true });
  const row = (id: string | null, more: DumpedRow = {}): DumpedRow => ({
    id,
    category: 'c',
    key: id,
    body_json: '{"a":1}',
    ...more,
  });
  addEntity(db, row('unindexed'), false);
  addEntity(db, row('text', { body_json: '# Not JSON\n\nA page.' }));
  addEntity(db, row('deep', { body_json: '['.repeat(50_000) + ']'.repeat(50_000) }));
  addEntity(db, row('tags', { tags: 'a,b' }));
  addEntity(db, row('links', { links: 'x' }));
  addEntity(
    db,
    row('nowhere', { links: '[{"target_id":"gone","relationship":"r","weight":0.4},{"target_id":"tags"}]' }),
  );
  addEntity(
    db,
    row('nulls', {
      status: null,
      type: null,
      decay_score: null,
      layer: null,
      source: null,
      last_accessed_unix_ms: null,
    }),
  );
  addEntity(db, row('blob', { retrieval_count: -3, topic_path: Buffer.from('x'), certainty: 'high', verified: 2 }));
  addEntity(db, row('twice-1', { key: 'same', body_json: '{"a":"older"}' }));
  addEntity(db, row('twice-2', { key: 'same', body_json: '{"a":"newer"}' }));
  addEntity(db, row(null, { key: 'no id' }));
  addEntity(db, row('vector', { embedding: Buffer.from([0, 0, 0x80, 0x3f, 0, 0, 0xc0, 0x7f]) }));
  addEntity(db, row('vector-2', { embedding: Buffer.from([0, 0, 0x80, 0x3f, 9]) }));
  addEntity(db, row('archived', { archived: 1, archive_reason: 'old' }), true);
  db.exec('CREATE TABLE memories(id TEXT); INSERT INTO memories VALUES (1), (2)');
  db.exec(`INSERT INTO state VALUES ('past', '1', 5, 4), ('now', 'x', NULL, 7), ('gone', '2', 6, 4)`);
  db.exec(`INSERT INTO journal(id, created_at_unix_ms, audit_hash) VALUES ('j1', 9, 'abc'), ('j2', 9, NULL)`);
  db.close();
  const { report, problems } = await open(path);
  assert.deepEqual(problems, []);
  assert.equal(report?.entities, 14);
  const found = entitiesOf(path);
  assert.equal(found.size, 14);
  const unnamed = [...found.keys()].find((id) => /^mem-[0-9a-f]{12}$/.test(String(id)));
  assert.deepEqual(report?.mended, [
    '1 live memory was missing in the text index; found again (unindexed)',
    '1 entry of the text index belonged to no live memory; left behind',
    '1 body is no JSON; kept as text, byte for byte (text)',
    '1 body nests too deep; kept as a JSON text of the same characters (deep)',
    `1 row without a usable id got one (${String(unnamed)})`,
    '1 memory with the category and key of another got a longer key (twice-2)',
    '4 rows had a column that could not be read; it got its default (nulls, blob, j1, j2)',
    'the tags of 1 memory could not be read; left out (tags)',
    'the links of 1 memory could not be read; left out (links)',
    '1 link led to no memory; left out (nowhere to gone)',
    '1 vector could not be read; left out (vector)',
    '2 memories of version 0.1 lie there as well, not taken over: mimir migrate --from brings them',
  ]);
  assert.equal(found.get('text')?.['body_json'], '# Not JSON\n\nA page.');
  assert.equal(JSON.parse(String(found.get('deep')?.['body_json'])).length, 100_000);
  assert.equal(found.get('nowhere')?.['links'], '[{"target_id":"tags","relationship":"","weight":0.5}]');
  assert.equal(found.get('twice-1')?.['key'], 'same');
  assert.equal(found.get('twice-2')?.['key'], 'same (10)');
  assert.equal(found.get('blob')?.['verified'], 1);
  assert.equal(found.get('blob')?.['retrieval_count'], 0);
  assert.equal(found.get('archived')?.['archived'], 1);
  assert.deepEqual(rowsOf(path, 'SELECT key FROM state WHERE seq_to IS NULL ORDER BY id'), [
    { key: 'past' },
    { key: 'now' },
    { key: 'gone' },
  ]);
  assert.deepEqual(rowsOf(path, 'SELECT id, audit_hash FROM journal'), [
    { id: 'j1', audit_hash: 'abc' },
    { id: 'j2', audit_hash: null },
  ]);
});

test('a file of the first release, without the later columns and tables, comes in with their defaults', async (t) => {
  const path = join(temporaryFolder(t), 'm.db');
  const db = makeOriginal(path, { old: true });
  addEntity(db, { id: 'mem-1', category: 'a', key: 'k', body_json: '{}', decay_score: 0.25 });
  db.close();
  const { report, problems } = await open(path);
  assert.deepEqual([report?.mended, problems], [[], []]);
  const { certainty, visibility, decay_score: score } = entitiesOf(path).get('mem-1') ?? {};
  assert.deepEqual([certainty, visibility, score], [0.5, 'workspace', 0.25]);
});

test('what stands only in the write-ahead log of a killed original is taken in', async (t) => {
  const folder = temporaryFolder(t);
  const [from, path] = [join(folder, 'from.db'), join(folder, 'm.db')];
  const db = makeOriginal(from);
  addEntity(db, { id: 'mem-1', category: 'a', key: 'k', body_json: '{"content":"in the file"}' });
  db.pragma('wal_checkpoint(TRUNCATE)');
  addEntity(db, { id: 'mem-2', category: 'a', key: 'l', body_json: '{"content":"in the log"}' });
  // A copy of both while they are open is what a killed process leaves.
  copyFileSync(from, path);
  copyFileSync(`${from}-wal`, `${path}-wal`);
  db.close();
  const { report } = await open(path);
  assert.equal(report?.entities, 2);
  assert.equal(entitiesOf(path).size, 2);
  assert.equal(
    rowsOf(`${path}.mimir-2.1`, 'SELECT id FROM entities').length,
    2,
    'the kept file is whole without its log',
  );
  assert.equal(existsSync(`${path}-wal`), false);
});

test('a file that another program has open is left alone until it is closed', async (t) => {
  const path = join(temporaryFolder(t), 'm.db');
  const db = makeOriginal(path);
  addEntity(db, { id: 'mem-1', category: 'a', key: 'k', body_json: '{}' });
  db.close();
  const holder = spawn(process.execPath, [
    '-e',
    `const D = require('better-sqlite3-multiple-ciphers'); const d = new D(process.argv[1]); d.prepare('SELECT * FROM entities').all();
     console.log('open'); setInterval(() => undefined, 1000)`,
    path,
  ]);
  t.after(() => holder.kill('SIGKILL'));
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  const error = await refusal(open(path));
  assert.deepEqual([error.code, error.kind], ['locked', 'unavailable']);
  assert.match(error.hint ?? '', /Stop the original server.*lsof/);
  assert.equal(existsSync(`${path}.mimir-2.1`), false);
  assert.equal(rowsOf(path, 'SELECT id FROM entities').length, 1);
  holder.kill('SIGKILL');
  await new Promise((resolve) => holder.once('exit', resolve));
  assert.equal((await open(path)).report?.entities, 1);
});

test('an original that waited for the import and goes on with the old file is refused by SQLite', async (t) => {
  const path = join(temporaryFolder(t), 'm.db');
  makeOriginal(path).close();
  const taken = takeOriginal(path);
  assert.ok(typeof taken !== 'string');
  const waiting = spawn(process.execPath, [
    '-e',
    `const D = require('better-sqlite3-multiple-ciphers'); const d = new D(process.argv[1], { timeout: 20_000 }); console.log('connected');
     try { d.pragma('journal_mode = WAL'); d.exec("INSERT INTO state VALUES ('x', '1', NULL, 1)"); console.log('wrote'); }
     catch (error) { console.log(error.code); }`,
    path,
  ]);
  let said = '';
  waiting.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await until(() => (said.includes('connected') ? true : undefined));
  // Long enough for its first statement, which then waits for the lock.
  await new Promise((resolve) => setTimeout(resolve, 300));
  const fresh = join(path, '..', 'fresh.db');
  makeOriginal(fresh).close();
  const before = hashOf(fresh);
  taken.seal();
  keepUnderOtherName(path, `${path}.kept`);
  replaceFile(fresh, path);
  taken.close();
  await new Promise((resolve) => waiting.once('exit', resolve));
  assert.match(said, /SQLITE_READONLY_DBMOVED/);
  assert.equal(hashOf(path), before);
  assert.deepEqual(readdirSync(join(path, '..')).toSorted(), ['m.db', 'm.db.kept']);
});

test('a file of a later version of the original says that only a part of it came along', async (t) => {
  const path = join(temporaryFolder(t), 'm.db');
  const db = makeOriginal(path);
  db.pragma('user_version = 16');
  addEntity(db, { id: 'mem-1', category: 'a', key: 'k', body_json: '{}' });
  db.close();
  assert.deepEqual((await open(path)).report?.mended, [
    'the file is of a later version: only its memories, journal and state were taken over (schema 16)',
  ]);
});

test('of processes that open it at the same moment one imports, and all of them answer', async (t) => {
  const path = join(temporaryFolder(t), 'm.db');
  const db = makeOriginal(path);
  db.exec('BEGIN');
  for (let i = 0; i < 600; i++) {
    addEntity(db, {
      id: `mem-${i}`,
      category: 'a',
      key: `k${i}`,
      body_json: JSON.stringify({ content: `memory ${i} of many` }),
    });
  }
  db.exec('COMMIT');
  db.close();
  const all = [0, 1, 2].map(() => startMimir(['stats', '--db', path]));
  for (const { ended, printed } of all) {
    assert.equal(await ended, 0, printed.stderr);
    assert.match(printed.stdout, /"total_entities": 600,/);
  }
  assert.equal(all.filter(({ printed }) => printed.stderr.includes('imported from')).length, 1);
  assert.deepEqual(
    readdirSync(join(path, '..')).filter((name) => name !== 'm.db'),
    ['m.db.mimir-2.1'],
  );
});

test('a link to the file is followed: the file is replaced, not the link', async (t) => {
  const folder = temporaryFolder(t);
  const [path, link] = [join(folder, 'real.db'), join(folder, 'm.db')];
  const db = makeOriginal(path);
  addEntity(db, { id: 'mem-1', category: 'a', key: 'k', body_json: '{}' });
  db.close();
  symlinkSync(path, link);
  assert.equal((await open(link)).report?.originalPath, `${path}.mimir-2.1`);
  assert.equal(lstatSync(link).isSymbolicLink(), true);
  assert.equal(entitiesOf(link).size, 1);
});

test('an original that was kept before is never written over', async (t) => {
  const path = join(temporaryFolder(t), 'm.db');
  const make = (id: string): void => {
    const db = makeOriginal(path);
    addEntity(db, { id, category: 'a', key: 'k', body_json: '{}' });
    db.close();
  };
  make('first');
  await open(path);
  const kept = hashOf(`${path}.mimir-2.1`);
  unlinkSync(path);
  make('second');
  assert.equal((await open(path)).report?.originalPath, `${path}.mimir-2.1-2`);
  assert.equal(hashOf(`${path}.mimir-2.1`), kept);
});

test('a server over stdio imports with its first call, and says on stderr what became of the original', async (t) => {
  const path = join(temporaryFolder(t), 'm.db');
  const db = makeOriginal(path);
  addEntity(db, { id: 'mem-1', category: 'a', key: 'k', body_json: '{"content":"the lighthouse is red"}' });
  db.close();
  const { child, printed, ended } = startMimir(['serve', '--db', path]);
  const call = { name: 'mimir_recall', arguments: { query: 'lighthouse' } };
  child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: call })}\n`);
  await until(() => (printed.stdout.includes('lighthouse') ? true : undefined));
  child.stdin.end();
  assert.equal(await ended, 0);
  assert.match(
    printed.stderr,
    /mimir: importing the database of the original\n[^]*mimir: imported from the original's database .*: 1 memories/,
  );
  assert.match(printed.stderr, /mimir: the original is kept as .*m\.db\.mimir-2\.1; when all is well: rm '/);
  assert.equal(printed.stderr.includes('\u001b'), false, 'no progress where nobody looks');
});

/** Each file of a folder with a hash of what is in it; the index of a log in use is not content. */
function hashesOf(folder: string): string[] {
  const names = readdirSync(folder).filter((name) => !name.endsWith('-shm'));
  return names.toSorted().map((name) => `${name} ${hashOf(join(folder, name))}`);
}

test('a dry run says what the import then does, beside a server that goes on, and leaves nothing', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'm.db');
  const db = makeOriginal(path);
  for (let n = 0; n < 300; n++) {
    addEntity(db, { id: `mem-${n}`, category: 'a', key: `k${n}`, body_json: '{}', links: n === 7 ? 'none' : '[]' });
  }
  db.exec('BEGIN IMMEDIATE');
  const before = hashesOf(folder);
  const options = { path: join(folder, 'never.db'), key: null, clock: systemClock, busyTimeoutMs: 200 };
  const steps: number[] = [];
  const dry = await importCopy(options, path, true, (done, total) => steps.push(done / total));
  assert.deepEqual(hashesOf(folder), before);
  assert.equal(steps.at(-1), 1);
  assert.match(dry.lines[0] ?? '', /^would import from .*m\.db: 300 memories, each compared/);
  db.exec('COMMIT');
  db.close();
  const { report } = await open(path);
  assert.ok(report !== null);
  assert.equal(dry.mended.length, 1);
  assert.deepEqual({ ...dry, originalPath: '', lines: [] }, { ...report, originalPath: '', lines: [] });
});

test(
  'an import of a copy makes the store that an open makes, and the original stays',
  { skip: withoutFiles },
  async (t) => {
    const from = copyOf(t, 'plain.db');
    const [opened, path] = [copyOf(t, 'plain.db'), join(temporaryFolder(t), 'new.db')];
    await open(opened);
    const [before, folder] = [hashOf(from), join(from, '..')];
    const options = { path, key: null, clock: systemClock, busyTimeoutMs: 200 };
    const { originalPath } = await importCopy(options, from, false, () => undefined);
    assert.equal(originalPath, from);
    assert.deepEqual(entitiesOf(path), entitiesOf(opened));
    assert.deepEqual([readdirSync(folder), hashOf(from)], [['m.db'], before]);
    assert.deepEqual(readdirSync(join(path, '..')), ['new.db']);
    assert.equal((await open(path)).report, null);
    assert.equal((await refusal(importCopy(options, from, false, () => undefined))).code, 'exists');
  },
);

test('what is none of the original is refused in one sentence, and nothing is made', async (t) => {
  const folder = temporaryFolder(t);
  const early = join(folder, 'early.db');
  new Database(early).exec('CREATE TABLE memories(id TEXT PRIMARY KEY, content TEXT)').close();
  await open(join(folder, 'ours.db'));
  const before = readdirSync(folder);
  const options = { path: join(folder, 'new.db'), key: null, clock: systemClock, busyTimeoutMs: 200 };
  for (const [name, code] of [
    ['early.db', 'original_store'],
    ['ours.db', 'not_a_store'],
    ['nothing.db', 'cannot_open'],
    ['.', 'cannot_open'],
  ] as const) {
    for (const isDry of [true, false]) {
      const error = await refusal(importCopy(options, join(folder, name), isDry, () => undefined));
      assert.equal(error.code, code, `${name}: ${error.message}`);
      assert.deepEqual(readdirSync(folder), before, name);
    }
  }
});

test('the command tries it, then does it, and says so to people and programs', async (t) => {
  const folder = temporaryFolder(t);
  const [path, target] = [join(folder, 'm.db'), join(folder, 'new.db')];
  const db = makeOriginal(path);
  addEntity(db, { id: 'mem-1', category: 'a', key: 'k', body_json: '{"content":"the lighthouse is red"}' });
  db.close();
  const run = async (...args: string[]): Promise<[number | null, string, string]> => {
    const { child, printed, ended } = startMimir(['import', '--from', 'original', path, '--db', target, ...args]);
    child.stdin.end();
    const code = await ended;
    return [code, printed.stdout, printed.stderr];
  };
  const [, json] = await run('--dry-run', '--json');
  const facts = { entities: 1, journal: 0, state: 0, vectors: 0, mended: [] };
  assert.deepEqual(JSON.parse(json), { ...facts, dry_run: true });
  const [code, said, stderr] = await run();
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(
    said,
    /^imported from .*m\.db into .*new\.db: 1 memories, each compared with the original\n.*m\.db is as it was\n$/,
  );
  assert.match((await run())[2], /new\.db is there already/);
  assert.match((await run('--category', 'x'))[2], /--category does not go with --from original/);
});
