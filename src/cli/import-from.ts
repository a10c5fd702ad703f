import { resolve } from 'node:path';

import { expandHome, readStoreConfig, usage } from '../config.ts';
import { EXIT_CODES } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { print, printError } from '../log.ts';
import { monotonicMs } from '../clock.ts';
import type { Call, Host, Imported } from './command.ts';
import { warnOfEarlyStore } from './early.ts';
import { showProgress } from './progress.ts';
import { harmless } from './show.ts';

const PARTS: ReadonlySet<string> = new Set(['content', 'key', 'title', 'tags']);

/** `mimir import --from FORMAT PATH`: what another program left. Exit code 4 when something could not be stored. */
export async function importFrom({ values, words, environment }: Call, host: Host): Promise<number> {
  const [path = ''] = words;
  const map = mapOf(values['map']);
  const category = values['category'];
  const config = readStoreConfig(values, environment);
  warnOfEarlyStore(config, environment);
  const isDry = values['dry-run'] === true;
  const store = await host.open({ ...config, isDry });
  const progress = showProgress('Importing', process.stderr, monotonicMs);
  let done: Imported;
  try {
    const asked = {
      from: String(values['from']),
      path: resolve(expandHome(path, environment)),
      map,
      ...(typeof category === 'string' && { category }),
    };
    done = await store.bringIn(asked, isDry, progress.update);
  } finally {
    progress.end();
    await store.close();
  }
  if (values['json'] === true) {
    print(JSON.stringify({ ...done, dry_run: isDry }));
  } else {
    const lines = [
      `${isDry ? 'would import' : 'imported'} ${done.changed.length}, ${isDry ? 'would forget' : 'forgot'} ${done.forgotten.length}, unchanged ${done.unchanged}`,
      ...(isDry ? listed('new or changed:', done.examples) : []),
      ...listed('left out:', done.notes),
    ];
    print(lines.join('\n'));
  }
  for (const error of some(done.errors)) printError(harmless(error));
  return done.errors.length === 0 ? 0 : EXIT_CODES.unavailable;
}

function listed(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [title, ...some(lines).map((line) => `  ${harmless(line)}`)];
}

/** As many as somebody reads; `--json` has all. */
function some(lines: readonly string[]): readonly string[] {
  const rest = lines.length - LIMITS.printedProblems;
  return rest <= 0 ? lines : [...lines.slice(0, LIMITS.printedProblems), `and ${rest} more; --json has all`];
}

/** `content=text,key=id` as a map. */
function mapOf(pairs: unknown): Record<string, string> {
  const map: Record<string, string> = {};
  for (const pair of Array.isArray(pairs) ? pairs.map(String) : []) {
    const at = pair.indexOf('=');
    const part = pair.slice(0, at);
    if (at < 1 || !PARTS.has(part)) {
      throw usage('--map must name parts: content, key, title or tags.', 'Such as --map content=text,key=id');
    }
    map[part] = pair.slice(at + 1);
  }
  return map;
}
