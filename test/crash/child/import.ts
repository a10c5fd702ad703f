// Imports a database of the original and ends at one moment, as a power failure would end it. The moment: `progress N` at the
// N-th report, `change N` at the N-th row that is written, `before NAME N` or `after NAME N` at the N-th call of a function of
// node:fs, or `never`, which prints how many rows were written.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

import { systemClock } from '../../../src/clock.ts';
import { prepareOrImport } from '../../../src/storage/original/import.ts';

const [path = '', when = 'never', what = '', at = '1'] = process.argv.slice(2);
const die = (): void => void process.kill(process.pid, 'SIGKILL');

type Seam = (this: void, ...args: unknown[]) => unknown;
if (when === 'before' || when === 'after') {
  const functions = fs as unknown as Record<string, Seam>;
  const real = functions[what];
  if (real === undefined) throw new Error(`node:fs has no ${what}`);
  let calls = 0;
  functions[what] = (...args) => {
    calls += 1;
    if (when === 'before' && calls === Number(at)) die();
    const value = real(...args);
    if (when === 'after' && calls === Number(at)) die();
    return value;
  };
  syncBuiltinESMExports();
}

let reports = 0;
let changes = 0;
// Every row that the log notes asks for a salt.
const randomBytes = (count: number): Uint8Array => {
  changes += 1;
  if (when === 'change' && changes === Number(what)) die();
  return systemClock.randomBytes(count);
};
await prepareOrImport(
  { path, key: null, clock: { ...systemClock, randomBytes }, busyTimeoutMs: 1_000 },
  {
    progress: () => {
      reports += 1;
      if (when === 'progress' && reports === Number(what)) die();
    },
    ended: () => undefined,
  },
);
process.stdout.write(String(changes));
