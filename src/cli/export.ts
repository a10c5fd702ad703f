import { resolve } from 'node:path';

import { monotonicMs } from '../clock.ts';
import { expandHome, readStoreConfig, usage } from '../config.ts';
import { print, printError } from '../log.ts';
import type { TellProgress } from '../memory/types.ts';
import type { BroughtOver, Call, Host } from './command.ts';
import { demandStore } from './early.ts';
import { showProgress, type Progress } from './progress.ts';
import { harmless } from './show.ts';

/** `mimir export FILE`, or with `--original FILE`. Exit code 0, or that of the error. */
export async function exportStore(call: Call, host: Host): Promise<number> {
  const config = readStoreConfig(call.values, call.environment);
  demandStore(config);
  const [lines] = call.words;
  const original = call.values['original'];
  if ((lines === undefined) === (original === undefined)) {
    throw usage('Name one file to write.', 'mimir export FILE.jsonl, or mimir export --original FILE.db');
  }
  const store = await host.open({ ...config, importOriginal: false });
  const progress = showProgress('Exporting', process.stderr, monotonicMs);
  try {
    if (lines !== undefined) {
      const path = resolve(expandHome(lines, call.environment));
      const count = await store.exportLines(path, progress.update);
      progress.end();
      print(`The whole store is in ${path}, in ${count} lines.`);
      if (config.keyFile !== null) printError(`the store is encrypted; ${path} is not`);
      return 0;
    }
    const path = String(original);
    const { entities, journal, state, renamed } = await store.exportOriginal(path, progress.update);
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

/** Throws when flags are given that this form of the command does not know. */
function refuseStray({ values }: Call, flags: readonly string[], why: (flag: string) => string): void {
  const stray = flags.find((name) => values[name] !== undefined);
  if (stray !== undefined) throw usage(why(`--${stray}`), 'See mimir import --help.');
}

/** `mimir import FILE`: makes a new store of an export. */
export async function importStore(call: Call, host: Host): Promise<number> {
  refuseStray(call, ['category', 'map', 'dry-run', 'json'], (flag) => `${flag} goes with --from FORMAT only.`);
  const config = readStoreConfig(call.values, call.environment);
  const reading = showProgress('Importing', process.stderr, monotonicMs);
  let checking: Progress | null = null;
  const checked: TellProgress = (done, total) => {
    checking ??= showProgress('Checking', process.stderr, monotonicMs);
    checking.update(done, total);
  };
  let rows: number;
  try {
    rows = await host.restore(config, importedPath(call), { read: reading.update, checked });
  } finally {
    reading.end();
  }
  print(`${config.dbPath} has all ${rows} rows of the export, and agrees with itself.`);
  return 0;
}

/** `mimir import --from original FILE`: makes a new store of a database of the original, or only tries. */
export async function importOriginal(call: Call, host: Host): Promise<number> {
  refuseStray(
    call,
    ['category', 'map'],
    (flag) => `${flag} does not go with --from original: all comes over as it is.`,
  );
  const config = readStoreConfig(call.values, call.environment);
  const isDry = call.values['dry-run'] === true;
  const progress = showProgress('Importing', process.stderr, monotonicMs);
  let done: BroughtOver;
  try {
    done = await host.bringOver(config, importedPath(call), isDry, progress.update);
  } finally {
    progress.end();
  }
  const { entities, journal, state, vectors, mended, lines } = done;
  const facts = { entities, journal, state, vectors, mended, dry_run: isDry };
  print(call.values['json'] === true ? JSON.stringify(facts) : lines.map(harmless).join('\n'));
  return 0;
}

function importedPath({ words, environment }: Call): string {
  return resolve(expandHome(String(words[0]), environment));
}
