import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';

const CHILD = new URL('./child/one-write.ts', import.meta.url).pathname;

function canTrace(): boolean {
  return spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0;
}

test('an acknowledged write was synced to the write-ahead log between request and answer', (t) => {
  if (!canTrace()) return t.skip('needs strace and the right to trace (Debian package strace)');
  const folder = mkdtempSync(join(tmpdir(), 'mimir-sync-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const trace = join(folder, 'trace');
  const args = [
    '-f',
    '-y',
    '-e',
    'trace=fsync,fdatasync,write',
    '-s',
    '40',
    '-o',
    trace,
    process.execPath,
    CHILD,
    join(folder, 'm.db'),
  ];
  const run = spawnSync('strace', args, { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
  const lines = readFileSync(trace, 'utf8').split('\n');
  const asked = lines.findIndex((line) => line.includes('MARK asked'));
  const acknowledged = lines.findIndex((line) => line.includes('MARK acknowledged'));
  assert.ok(asked !== -1 && acknowledged > asked, 'both marks stand in the trace');
  const synced = lines.slice(asked, acknowledged).filter((line) => /f(data)?sync\(\d+<[^>]*-wal>/.test(line));
  assert.ok(synced.length > 0, 'a sync of the -wal lies between them');
});
