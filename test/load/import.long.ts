// The recorded database of 10,000 rows: taken over in time, and its rows are found by what they say.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { gunzipSync } from 'node:zlib';

import { systemClock } from '../../src/clock.ts';
import { OWNER } from '../../src/memory/scope.ts';
import type { Scope } from '../../src/memory/types.ts';
import { openPool } from '../../src/pool/pool.ts';
import { openWriter } from '../../src/storage/open.ts';
import { dumpOf, recorded, withoutFiles } from '../support/original.ts';
import { temporaryFolder } from '../support/processes.ts';

const SCOPE: Scope = { principal: OWNER, workspace: null, actor: 'test', client: 'test' };
const SILENT = { banner: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
/** Of this process, so that other work on the machine does not count. */
const CPU_MAX_MS = 10_000;

test('10,000 rows come in within ten seconds, and are found by what they say', { skip: withoutFiles }, async (t) => {
  const path = join(temporaryFolder(t), 'm.db');
  writeFileSync(path, gunzipSync(readFileSync(recorded('rows10k.db.gz'))));
  let mended: readonly string[] = ['not imported'];
  const pool = openPool({
    dbPath: path,
    makeFolder: false,
    keyFile: null,
    poolMax: 16,
    busyTimeoutMs: 1_000,
    cores: 2,
    clock: systemClock,
    log: SILENT,
    importing: { progress: () => undefined, ended: (report) => (mended = report?.mended ?? ['failed']) },
  });
  t.after(() => pool.close());
  const before = process.cpuUsage();
  const started = performance.now();
  assert.equal((await pool.execute('stats', SCOPE, {})).entities, 10_000);
  const { user, system } = process.cpuUsage(before);
  const cpuMs = (user + system) / 1_000;
  t.diagnostic(`${Math.round(performance.now() - started)} ms, of which ${Math.round(cpuMs)} ms of the processor`);
  assert.ok(cpuMs < CPU_MAX_MS, `${cpuMs} ms`);
  assert.deepEqual(mended, []);
  const missed: unknown[] = [];
  for (const row of dumpOf('rows10k').entities) {
    const { content } = JSON.parse(String(row['body_json'])) as { content: string };
    const found = await pool.execute('recall', SCOPE, {
      query: content,
      filters: {},
      limit: 10,
      offset: 0,
      minDecay: 0,
    });
    if (!JSON.stringify(found).includes(String(row['id']))) missed.push(row['key']);
  }
  assert.deepEqual(missed, []);
  await pool.close();
  const store = openWriter({ path, key: null, clock: systemClock, busyTimeoutMs: 1_000 });
  assert.deepEqual(store.verify(), []);
  store.close();
});
