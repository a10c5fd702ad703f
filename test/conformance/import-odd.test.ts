import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';

import { systemClock } from '../../src/clock.ts';
import { MimirError } from '../../src/errors.ts';
import { openWriter, type OpenOptions } from '../../src/storage/open.ts';
import { importCopy, prepareOrImport, type ImportReport } from '../../src/storage/original/import.ts';
import { restoreStore } from '../../src/storage/restore.ts';
import { addEntity, makeOriginal, rowsOf } from '../support/original.ts';
import { startMimir, temporaryFolder, until } from '../support/processes.ts';

function optionsFor(path: string, key: Uint8Array | null = null): OpenOptions {
  return { path, key, clock: systemClock, busyTimeoutMs: 200 };
}

async function open(path: string, key: Uint8Array | null = null): Promise<ImportReport> {
  const found: ImportReport[] = [];
  await prepareOrImport(optionsFor(path, key), {
    progress: () => undefined,
    ended: (report) => found.push(...(report === null ? [] : [report])),
  });
  const [report] = found;
  assert.ok(report !== undefined, 'nothing was imported');
  const store = openWriter(optionsFor(path, key));
  assert.deepEqual(store.verify(), []);
  store.close();
  return report;
}

function hashOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

async function codeOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
  } catch (thrown) {
    assert.ok(thrown instanceof MimirError, String(thrown));
    return thrown.code;
  }
  return 'none';
}

/** Makes a small original; answers its path. */
function smallOriginal(folder: string, name: string): string {
  const path = join(folder, name);
  const db = makeOriginal(path);
  addEntity(db, { id: 'mem-1', category: 'a', key: 'k', body_json: '{"content":"heron"}' });
  db.close();
  return path;
}

test('a file that has the name of a copy or of a half made store is read or left alone, never cleared away', async (t) => {
  const folder = temporaryFolder(t);
  const target = join(folder, 'm.db');
  for (const name of ['m.db.copy', 'm.db.new', 'm.db.trial']) {
    const from = smallOriginal(folder, name);
    const before = hashOf(from);
    for (const isDry of [true, false]) {
      const path = join(folder, `${name}.target`);
      await importCopy(optionsFor(path), from, isDry, () => undefined);
      assert.equal(hashOf(from), before);
    }
  }
  const others = ['m.db.copy', 'm.db.new', 'm.db.trial'].map((name) => [name, hashOf(join(folder, name))] as const);
  smallOriginal(folder, 'm.db');
  await open(target);
  for (const [name, before] of others) assert.equal(hashOf(join(folder, name)), before, name);
});

test('a source with a name that is cleared first is refused, and stays', async (t) => {
  const folder = temporaryFolder(t);
  const target = join(folder, 'm.db');
  for (const name of ['m.db.mimir-copy', 'm.db.mimir-building']) {
    const from = smallOriginal(folder, name);
    assert.equal(await codeOf(() => importCopy(optionsFor(target), from, false, () => undefined)), 'exists');
    assert.equal(await codeOf(() => restoreStore(optionsFor(target), from)), 'exists');
    assert.equal(rowsOf(from, 'SELECT id FROM entities').length, 1);
  }
  mkdirSync(join(folder, 'n.db.mimir-building'));
  const from = smallOriginal(folder, 'source.db');
  assert.equal(
    await codeOf(() => importCopy(optionsFor(join(folder, 'n.db')), from, false, () => undefined)),
    'cannot_open',
  );
});

test('an import that fails leaves every byte of the original, its mode and its log as they were', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'm.db');
  const db = makeOriginal(path);
  for (let n = 0; n < 40; n++) {
    const sealed = Buffer.from(createHash('sha512').update(`${n}`).digest())
      .subarray(0, 60)
      .toString('base64');
    addEntity(db, { id: `mem-${n}`, category: 'c', key: `k${n}`, body_json: sealed }, false);
    db.prepare('INSERT INTO entities_fts(rowid, body_json) SELECT rowid, ? FROM entities WHERE id = ?').run(
      '{}',
      `mem-${n}`,
    );
  }
  db.close();
  const [before, names] = [hashOf(path), readdirSync(folder)];
  for (const key of [null, new Uint8Array(32).fill(5)]) {
    assert.equal(await codeOf(() => open(path, key)), 'wrong_key');
    assert.deepEqual([hashOf(path), readdirSync(folder)], [before, names]);
  }
});

test('times beyond all numbers, values of another kind and odd links are mended and told', async (t) => {
  const path = join(temporaryFolder(t), 'm.db');
  const db = makeOriginal(path);
  const link = (relationship: string, weight: string): string =>
    `{"target_id":"a","relationship":"${relationship}","weight":${weight}}`;
  addEntity(db, { id: 'a', category: 'c', key: 'a', body_json: '{}' });
  addEntity(db, {
    id: 'b',
    category: 'c',
    key: 'b',
    body_json: '{}',
    links: `[${link('zero', '-0.0')},${link('\\ud800', '1')},${link('large', '1e999')}]`,
    retrieval_count: 2n ** 60n,
  });
  db.exec(
    `INSERT INTO state VALUES ('far', '1', 9223372036854775807, 4), ('text', '2', 'soon', 4), ('blob', x'00', NULL, 4)`,
  );
  db.close();
  const { mended } = await open(path);
  assert.deepEqual(mended, [
    '4 rows had a column that could not be read; it got its default (b, far, text, blob)',
    'the links of 1 memory could not be read; left out (b)',
  ]);
  assert.deepEqual(rowsOf(path, 'SELECT relationship, weight FROM link'), [{ relationship: 'zero', weight: 0 }]);
  assert.deepEqual(rowsOf(path, 'SELECT key, value_json AS value, expires_at_unix_ms AS ends FROM state ORDER BY id'), [
    { key: 'far', value: '1', ends: null },
    { key: 'text', value: '2', ends: null },
    { key: 'blob', value: '{}', ends: null },
  ]);
});

test('one text that looks encrypted, in no index, shuts nobody out of the file, with a key or without', async (t) => {
  for (const key of [null, new Uint8Array(32).fill(3)]) {
    const path = join(temporaryFolder(t), 'm.db');
    const db = makeOriginal(path);
    for (let n = 0; n < 20; n++) addEntity(db, { id: `m${n}`, category: 'c', key: `k${n}`, body_json: '{"n":1}' });
    const base64 = Buffer.from('a text that somebody stored as base64, nothing more').toString('base64');
    addEntity(db, { id: 'odd', category: 'c', key: 'odd', body_json: base64, archived: 1 });
    db.close();
    const { entities, mended } = await open(path, key);
    assert.equal(entities, 21);
    assert.match(mended.join('\n'), /1 body (looks encrypted|was encrypted with another key).*\(odd\)/);
  }
});

test('thousands of journal entries of one moment are compared in a moment', async (t) => {
  const path = join(temporaryFolder(t), 'm.db');
  const db = makeOriginal(path);
  db.exec(
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
     INSERT INTO journal SELECT 'j' || i, 'decision', '{}', '{}', '{}', '', '', '', '', '', 9 FROM n`,
  );
  db.close();
  const from = performance.now();
  assert.equal((await open(path)).journal, 3_000);
  const ms = performance.now() - from;
  assert.ok(ms < 8_000, `${Math.round(ms)} ms; entry by entry it took 26,000`);
});

test('a database for the original has its name only when it is whole: a kill before leaves none, and it can be made again', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'm.db');
  const db = makeOriginal(path);
  db.exec('BEGIN');
  for (let n = 0; n < 4_000; n++)
    addEntity(db, { id: `m${n}`, category: 'c', key: `k${n}`, body_json: `{"content":"heron ${n}"}` });
  db.exec('COMMIT');
  db.close();
  await open(path);
  const back = join(folder, 'back.db');
  const run = (): ReturnType<typeof startMimir> => startMimir(['export', '--original', back, '--db', path]);
  const { child, ended } = run();
  await until(() => (existsSync(`${back}.mimir-building`) ? true : undefined));
  child.kill('SIGKILL');
  await ended;
  assert.equal(existsSync(back), false);
  assert.equal(await run().ended, 0);
  assert.equal(rowsOf(back, 'SELECT id FROM entities').length, 4_000);
  assert.deepEqual(readdirSync(folder).toSorted(), ['back.db', 'm.db', 'm.db.mimir-2.1']);
});

const asRoot = process.getuid?.() === 0 ? 'root may write anywhere' : false;
test('a file in a folder where nothing may be made is imported all the same', { skip: asRoot }, async (t) => {
  const folder = temporaryFolder(t);
  const path = join(temporaryFolder(t), 'new.db');
  const from = smallOriginal(folder, 'm.db');
  chmodSync(folder, 0o555);
  t.after(() => chmodSync(folder, 0o755));
  for (const isDry of [true, false]) await importCopy(optionsFor(path), from, isDry, () => undefined);
  assert.deepEqual([readdirSync(folder), readdirSync(join(path, '..'))], [['m.db'], ['new.db']]);
});
