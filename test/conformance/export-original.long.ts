import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, existsSync, lstatSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';

import { layerOf } from '../../src/memory/retention.ts';
import { dumpOf, recorded, rowsOf, withoutFiles, type DumpedRow } from '../support/original.ts';
import { startMimir, temporaryFolder } from '../support/processes.ts';

async function run(args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const { ended, printed } = startMimir(args);
  return { code: await ended, ...printed };
}

interface Recorded {
  readonly user_version: number;
  readonly indexes: readonly string[];
  readonly tables: Readonly<Record<string, { columns?: readonly DumpedRow[] }>>;
}

test('what came from the original goes back to it row by row, in its own schema', { skip: withoutFiles }, async (t) => {
  const folder = temporaryFolder(t);
  const [path, back] = [join(folder, 'm.db'), join(folder, 'back.db')];
  copyFileSync(recorded('plain.db'), path);
  chmodSync(path, 0o644);
  assert.equal((await run(['stats', '--db', path])).code, 0);
  const done = await run(['export', '--original', back, '--db', path]);
  assert.deepEqual([done.code, done.stderr], [0, '']);
  assert.equal(done.stdout, `57 memories, 6 journal entries and 4 state keys are in ${back}.\n`);
  assert.equal(lstatSync(back).mode & 0o777, 0o600);

  const dump = dumpOf('plain');
  const bySort = (rows: readonly DumpedRow[]): DumpedRow[] =>
    rows.toSorted((a, b) => (String(a['id']) < String(b['id']) ? -1 : 1));
  const wanted = dump.entities.map(({ _rowid, ...row }) => ({
    ...row,
    layer: layerOf(String(row['layer']), Number(row['retrieval_count'])),
  }));
  assert.deepEqual(bySort(rowsOf(back, 'SELECT * FROM entities')), bySort(wanted));
  for (const table of ['journal', 'state'] as const) {
    assert.deepEqual(rowsOf(back, `SELECT rowid AS _rowid, * FROM ${table} ORDER BY rowid`), dump[table]);
  }
  const unindexed = rowsOf(
    back,
    `SELECT e.id FROM entities e LEFT JOIN entities_fts_content f ON f.id = e.rowid AND f.c0 = e.body_json WHERE e.archived <> (f.id IS NULL)`,
  );
  assert.deepEqual(unindexed, [], 'live rows are in the index under their own number, archived ones are not');

  const {
    user_version: version,
    indexes,
    tables,
  } = JSON.parse(readFileSync(recorded('plain.json'), 'utf8')) as Recorded;
  assert.deepEqual(rowsOf(back, 'PRAGMA user_version'), [{ user_version: version }]);
  assert.deepEqual(rowsOf(back, 'PRAGMA journal_mode'), [{ journal_mode: 'wal' }]);
  assert.deepEqual(
    rowsOf(back, `SELECT name FROM sqlite_schema WHERE type = 'index' ORDER BY name`).map(({ name }) => name),
    indexes,
  );
  for (const table of ['entities', 'journal', 'state', 'entities_fts_content']) {
    const columns = rowsOf(back, `PRAGMA table_info(${table})`).map((column) => ({
      name: column['name'],
      type: column['type'],
      not_null: column['notnull'] === 1,
      default: column['dflt_value'],
      pk: column['pk'],
    }));
    assert.deepEqual(columns, tables[table]?.columns, table);
  }
  const again = await run(['stats', '--db', back]);
  assert.match(again.stderr, /imported from .*57 memories, 6 journal entries, 4 state keys, 8 vectors/);
  assert.equal(again.stderr.includes('mended'), false);
});

test('equal names of two workspaces both go out, and only what is current', async (t) => {
  const folder = temporaryFolder(t);
  const [path, back, key] = [join(folder, 'm.db'), join(folder, 'back.db'), join(folder, 'k')];
  writeFileSync(key, Buffer.alloc(32, 5).toString('base64'), { mode: 0o600 });
  const write = (body: string, ...more: readonly string[]) =>
    run(['write', '--db', path, '--encryption-key', key, '--category', 'c', '--key', 'k', '--body', body, ...more]);
  for (const one of [await write('{"n":1}', '--workspace-hash', 'w'), await write('{"n":2}'), await write('{"n":3}')]) {
    assert.equal(one.code, 0, one.stderr);
  }
  const done = await run(['export', '--original', back, '--db', path, '--encryption-key', key]);
  assert.equal(done.code, 0);
  assert.match(done.stdout, /^2 memories.*\n1 have the name of their workspace/);
  assert.match(done.stderr, /the store is encrypted; the texts in .* are not/);
  assert.deepEqual(rowsOf(back, 'SELECT key, workspace_hash, body_json FROM entities ORDER BY rowid'), [
    { key: 'k', workspace_hash: '', body_json: '{"n":3}' },
    { key: 'k (w)', workspace_hash: 'w', body_json: '{"n":1}' },
  ]);
});

test('a file that is there is never written over, and a store that is not there is not made', async (t) => {
  const folder = temporaryFolder(t);
  const [path, back] = [join(folder, 'm.db'), join(folder, 'back.db')];
  const missing = await run(['export', '--original', back, '--db', path]);
  assert.equal(missing.code, 5);
  assert.match(missing.stderr, /There is no store at/);
  assert.deepEqual(readdirSync(folder), []);
  await run(['write', '--db', path, '--category', 'c', '--key', 'k', '--body', '{}']);
  writeFileSync(back, 'mine');
  const taken = await run(['export', '--original', back, '--db', path]);
  assert.equal(taken.code, 3);
  assert.match(taken.stderr, /is there already/);
  assert.equal(readFileSync(back, 'utf8'), 'mine');
  const nowhere = await run(['export', '--original', join(folder, 'no', 'b.db'), '--db', path]);
  assert.equal(nowhere.code, 5);
  assert.equal(existsSync(join(folder, 'no')), false);
});
