import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'node:test';

import { systemClock } from '../../src/clock.ts';
import { openWriter } from '../../src/storage/open.ts';
import { prepareOrImport } from '../../src/storage/original/import.ts';
import { addEntity, makeOriginal, rowsOf } from '../support/original.ts';
import { temporaryFolder } from '../support/processes.ts';

const CHILD = new URL('child/import.ts', import.meta.url).pathname;
const ROWS = 700;

function makeLarge(path: string): void {
  const db = makeOriginal(path);
  db.exec('BEGIN');
  for (let i = 0; i < ROWS; i++) {
    const links = i === 0 ? '[]' : `[{"target_id":"mem-${i - 1}","relationship":"after","weight":0.5}]`;
    const body = JSON.stringify({ content: `entry ${i} of the harbour log, written at hour ${i % 24}` });
    addEntity(db, { id: `mem-${i}`, category: 'log', key: `k${i}`, body_json: body, links });
  }
  db.exec('COMMIT');
  db.close();
}

/** Small steps of a seed; the seed is printed, so that a failure can be had again. */
function numbersFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

async function importIn(
  path: string,
  moment: readonly string[],
): Promise<{ signal: NodeJS.Signals | null; said: string }> {
  const child = spawn(process.execPath, [CHILD, path, ...moment], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  return await new Promise((resolve) => child.on('close', (_, signal) => resolve({ signal, said })));
}

const SEAMS: readonly (readonly string[])[] = [
  // The new store: made, and prepared.
  ['after', 'openSync', '1'],
  ['progress', '1'],
  ['progress', '3'],
  ['before', 'linkSync'],
  ['after', 'linkSync'],
  ['before', 'fsyncSync'],
  ['after', 'fsyncSync', '1'],
  ['before', 'renameSync'],
  ['after', 'renameSync'],
  ['before', 'fsyncSync', '2'],
];

test('an import that is cut off at any moment leaves all that was there, and the next open finishes it', async (t) => {
  const folder = temporaryFolder(t);
  const model = join(folder, 'model.db');
  makeLarge(model);
  const SQL = 'SELECT id, category, key, body_json, links FROM entities ORDER BY key';
  const wanted = rowsOf(model, SQL);
  const seed = randomInt(2 ** 31);
  t.diagnostic(`seed ${seed}`);
  const next = numbersFrom(seed);
  const measured = join(folder, 'measured.db');
  copyFileSync(model, measured);
  const whole = await importIn(measured, ['never']);
  const changes = Number(whole.said);
  assert.ok(whole.signal === null && changes > 2 * ROWS, whole.said);
  const moments = [...SEAMS, ...Array.from({ length: 10 }, () => ['change', String(1 + Math.floor(next() * changes))])];
  for (const [i, moment] of moments.entries()) {
    const path = join(folder, String(i), 'm.db');
    const name = moment.join(' ');
    mkdirSync(dirname(path));
    copyFileSync(model, path);
    assert.equal((await importIn(path, moment)).signal, 'SIGKILL', `${name} was never reached`);
    // The table of the original or the view of ours: under its name lies one or the other, whole.
    assert.deepEqual(rowsOf(path, SQL), wanted, name);
    const options = { path, key: null, clock: systemClock, busyTimeoutMs: 2_000 };
    await prepareOrImport(options, { progress: () => undefined, ended: () => undefined });
    const store = openWriter(options);
    assert.deepEqual(store.verify(), [], name);
    store.close();
    assert.deepEqual(rowsOf(path, SQL), wanted, name);
    assert.deepEqual(rowsOf(`${path}.mimir-2.1`, SQL), wanted, `${name}: the original is kept`);
    assert.deepEqual(
      readdirSync(dirname(path)).toSorted(),
      ['m.db', 'm.db.mimir-2.1'],
      `${name}: nothing else is left`,
    );
  }
});
