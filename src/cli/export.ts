import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

import { monotonicMs } from '../clock.ts';
import { readStoreConfig, usage } from '../config.ts';
import { MimirError } from '../errors.ts';
import { print, printError } from '../log.ts';
import type { Call, Host } from './command.ts';
import { showProgress } from './progress.ts';

/** `mimir export FILE`, or with `--original FILE`. Exit code 0, or that of the error. */
export async function exportStore(call: Call, host: Host): Promise<number> {
  const config = readStoreConfig(call.values, call.environment);
  // Opening would make an empty one.
  if (!existsSync(config.dbPath)) {
    throw new MimirError('cannot_open', `There is no store at ${config.dbPath}.`, {
      hint: 'Name another file with --db.',
    });
  }
  const [lines] = call.words;
  const original = call.values['original'];
  if ((lines === undefined) === (original === undefined)) {
    throw usage('Name one file to write.', 'mimir export FILE.jsonl, or mimir export --original FILE.db');
  }
  const store = await host.open({ ...config, importOriginal: false });
  const progress = showProgress('Exporting', process.stderr, monotonicMs);
  try {
    if (lines !== undefined) {
      const path = resolve(lines);
      const count = await store.exportLines(path);
      progress.end();
      print(`The whole store is in ${path}, in ${count} lines.`);
      if (config.keyFile !== null) printError(`the store is encrypted; ${path} is not`);
      return 0;
    }
    const path = String(original);
    const { entities, journal, state, renamed } = await store.exportOriginal(path);
    progress.end();
    print(`${entities} memories, ${journal} journal entries and ${state} state keys are in ${path}.`);
    if (renamed > 0)
      print(`${renamed} have the name of their workspace behind their key: the original knows a key once.`);
    if (config.keyFile !== null) printError(`the store is encrypted; the texts in ${path} are not`);
  } finally {
    progress.end();
    await store.close();
  }
  return 0;
}

/** `mimir import FILE`: makes a new store of an export. */
export async function importStore(call: Call, host: Host): Promise<number> {
  const config = readStoreConfig(call.values, call.environment);
  const progress = showProgress('Importing', process.stderr, monotonicMs);
  let rows: number;
  try {
    rows = await host.restore(config, resolve(String(call.words[0])));
  } finally {
    progress.end();
  }
  print(`${config.dbPath} has all ${rows} rows of the export, and agrees with itself.`);
  return 0;
}
