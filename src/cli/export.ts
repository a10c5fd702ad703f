import { existsSync } from 'node:fs';

import { monotonicMs } from '../clock.ts';
import { readStoreConfig } from '../config.ts';
import { MimirError } from '../errors.ts';
import { print, printError } from '../log.ts';
import type { Call, Host } from './command.ts';
import { showProgress } from './progress.ts';

/** `mimir export --original FILE`. Exit code 0, or that of the error. */
export async function exportOriginal(call: Call, host: Host): Promise<number> {
  const config = readStoreConfig(call.values, call.environment);
  // Opening would make an empty one.
  if (!existsSync(config.dbPath)) {
    throw new MimirError('cannot_open', `There is no store at ${config.dbPath}.`, {
      hint: 'Name another file with --db.',
    });
  }
  const path = String(call.values['original']);
  const store = await host.open({ ...config, importOriginal: false });
  const progress = showProgress('Exporting', process.stderr, monotonicMs);
  try {
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
