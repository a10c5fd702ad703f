import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';

import { systemClock } from '../../src/clock.ts';
import { OPERATIONS } from '../../src/engine/operations.ts';
import { MimirError } from '../../src/errors.ts';
import type { Vault } from '../../src/files/reading.ts';
import { exportVault } from '../../src/files/vault.ts';
import { OWNER } from '../../src/memory/scope.ts';
import type { Scope } from '../../src/memory/types.ts';
import { openPool } from '../../src/pool/pool.ts';
import { openWriter, prepareStore } from '../../src/storage/open.ts';
import { prepareOrImport } from '../../src/storage/original/import.ts';
import { readVaultFile } from '../../src/tools/vault-file.ts';
import { ModelStore } from '../support/model-store.ts';
import { addEntity, makeOriginal, rowsOf } from '../support/original.ts';

const SCOPE: Scope = { principal: OWNER, workspace: null, actor: 'test', client: 'test' };
const SILENT = { banner: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** A folder on a disk of 6 MB until the end of the test; null where mounting is not allowed, and the test is skipped. */
function smallDisk(t: TestContext): string | null {
  const folder = mkdtempSync(join(tmpdir(), 'mimir-full-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', folder], { stdio: 'ignore' });
  } catch {
    rmSync(folder, { recursive: true });
    t.skip('needs the right to mount a small tmpfs');
    return null;
  }
  t.after(() => {
    execFileSync('umount', ['-l', folder]);
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

test('a disk that fills up under load loses nothing acknowledged, and writing goes on once there is room', async (t) => {
  const folder = smallDisk(t);
  if (folder === null) return;
  const path = join(folder, 'm.db');
  const filler = join(folder, 'filler');
  writeFileSync(filler, Buffer.alloc(1_500_000));
  const pool = openPool({
    dbPath: path,
    makeFolder: false,
    keyFile: null,
    poolMax: 4,
    busyTimeoutMs: 1_000,
    cores: 2,
    clock: systemClock,
    log: SILENT,
  });
  const acknowledged = new Map<string, string>();
  const errors: MimirError[] = [];
  const write = async (key: string): Promise<boolean> => {
    const bodyJson = JSON.stringify({ content: `${key} ${'a few words that need room on the disk '.repeat(20)}` });
    try {
      await pool.execute('remember', SCOPE, { category: 'full', key, bodyJson, recallWhen: [] });
      acknowledged.set(key, bodyJson);
      return true;
    } catch (error) {
      assert.ok(error instanceof MimirError, String(error));
      errors.push(error);
      return false;
    }
  };
  let round = 0;
  while (errors.length < 40 && round < 400) {
    await Promise.all(Array.from({ length: 8 }, (_, i) => write(`r${round}-${i}`)));
    round += 1;
  }
  assert.ok(errors.length >= 40, 'the disk did fill up');
  for (const error of errors) {
    assert.equal(error.kind, 'damaged');
    assert.ok((error.hint ?? '').length > 0);
  }
  assert.ok(acknowledged.size > 50);
  const found = await pool.execute('recall', SCOPE, {
    query: 'words room disk',
    filters: {},
    limit: 5,
    offset: 0,
    minDecay: 0,
  });
  assert.ok(found.hits.numbers.length > 0, 'reading goes on');

  unlinkSync(filler);
  assert.equal(await write('after'), true, 'writing goes on by itself');
  await pool.close();

  const options = { path, key: null, clock: systemClock, busyTimeoutMs: 1_000 };
  prepareStore(options);
  const store = openWriter(options);
  for (const [key, bodyJson] of acknowledged) {
    const entity = await store.snapshot(async (tx) => tx.entityAt(SCOPE, '', 'full', key));
    assert.equal(entity?.bodyJson, bodyJson, `${key} is there as it was written`);
  }
  assert.deepEqual(store.verify(), []);
  store.close();
});

test('a disk without room for a compact copy fails alone: writing goes on, and once there is room it succeeds', async (t) => {
  const folder = smallDisk(t);
  if (folder === null) return;
  const path = join(folder, 'm.db');
  const filler = join(folder, 'filler');
  const options = { path, key: null, clock: systemClock, busyTimeoutMs: 1_000 };
  prepareStore(options);
  const writer = openWriter(options);
  for (let i = 0; i < 160; i++) {
    const bodyJson = JSON.stringify({ content: `${i} ${'a few words that need room on the disk '.repeat(80)}` });
    const input = { category: 'full', key: `k${i}`, bodyJson, recallWhen: [] };
    await writer.transaction({ id: `w${i}`, kind: 'remember', scope: SCOPE }, (tx) =>
      OPERATIONS.remember.run(tx, SCOPE, input),
    );
    // Empties the log, so that it does not fill the disk before its time.
    if (i % 5 === 0) await writer.exclusive.vacuum();
  }
  const { bytesAfter, erased } = await writer.exclusive.vacuum();
  assert.ok(erased && bytesAfter > 1_000_000, `${bytesAfter} bytes`);
  const { bavail, bsize } = statfsSync(folder);
  writeFileSync(filler, Buffer.alloc(bavail * bsize - 600_000));
  await assert.rejects(async () => writer.exclusive.vacuum(), { code: 'disk_full' });
  await writer.transaction({ id: 'after', kind: 'forget', scope: SCOPE }, (tx) =>
    OPERATIONS.forget.run(tx, SCOPE, { category: 'full', key: 'k0', reason: '' }),
  );
  assert.deepEqual(writer.verify(), []);
  unlinkSync(filler);
  assert.equal((await writer.exclusive.vacuum()).erased, true);
  assert.deepEqual(writer.verify(), []);
  writer.close();
});

test('an import that meets a full disk leaves the original as it was, and goes through once there is room', async (t) => {
  const folder = smallDisk(t);
  if (folder === null) return;
  const path = join(folder, 'm.db');
  const db = makeOriginal(path);
  db.exec('BEGIN');
  for (let i = 0; i < 600; i++) {
    const body = JSON.stringify({ content: `memory ${i} ${'of the harbour and its many boats '.repeat(6)}` });
    addEntity(db, { id: `mem-${i}`, category: 'c', key: `k${i}`, body_json: body });
  }
  db.exec('COMMIT');
  db.close();
  const SQL = 'SELECT id, body_json FROM entities ORDER BY id';
  const wanted = rowsOf(path, SQL);
  const before = readFileSync(path);
  const filler = join(folder, 'filler');
  writeFileSync(filler, Buffer.alloc(4_600_000));
  const options = { path, key: null, clock: systemClock, busyTimeoutMs: 1_000 };
  const watch = { progress: () => undefined, ended: () => undefined };
  await assert.rejects(
    prepareOrImport(options, watch),
    (error) => error instanceof MimirError && error.code === 'disk_full' && /no room for .*m\.db/.test(error.message),
  );
  assert.deepEqual(readdirSync(folder).toSorted(), ['filler', 'm.db'], 'nothing half made is left');
  assert.ok(readFileSync(path).equals(before), 'byte for byte');
  assert.deepEqual(rowsOf(path, SQL), wanted);
  unlinkSync(filler);
  await prepareOrImport(options, watch);
  assert.deepEqual(rowsOf(path, SQL), wanted);
  assert.deepEqual(readdirSync(folder).toSorted(), ['m.db', 'm.db.mimir-2.1']);
});

test('a vault on a disk that fills up says how far it came, and goes on once there is room', async (t) => {
  const folder = smallDisk(t);
  if (folder === null) return;
  const store = new ModelStore();
  const count = 800;
  for (let i = 0; i < count; i++) {
    const memory = { category: 'c', key: `k${i}`, bodyJson: JSON.stringify({ content: 'x'.repeat(3_000) }) };
    await store.execute('remember', SCOPE, { ...memory, recallWhen: [] });
  }
  const filler = join(folder, 'filler');
  writeFileSync(filler, Buffer.alloc(4_000_000));
  const vault: Vault = {
    folder: join(folder, 'vault'),
    execute: store.execute,
    scope: SCOPE,
    options: {},
    overlay: (_row, stored) => stored,
    read: (text) => readVaultFile(text, store.nowMs),
  };
  const first = await exportVault(vault, { prune: true });
  const written = readdirSync(vault.folder).length;
  assert.ok(written > 10 && written < count, `${written}`);
  assert.deepEqual([first.created, first.exported, first.pruned], [written, written, 0]);
  assert.deepEqual(first.errors, [
    `Stopped after ${written} memories: There is no room for it. Run it again for the rest.`,
  ]);
  unlinkSync(filler);
  const second = await exportVault(vault, { prune: true });
  assert.deepEqual([second.created, second.updated, second.errors], [count - written, 0, []]);

  // With no room for the first one there is nothing to tell but that.
  assert.throws(() => writeFileSync(filler, Buffer.alloc(6_000_000)), { code: 'ENOSPC' });
  const none = exportVault({ ...vault, folder: join(folder, 'other') }, { prune: false });
  await assert.rejects(none, (error) => error instanceof MimirError && error.code === 'disk_full');
});
