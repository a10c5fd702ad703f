import { existsSync } from 'node:fs';

import { earlyStorePath, type Environment, type StoreConfig } from '../config.ts';
import { MimirError } from '../errors.ts';
import { printError } from '../log.ts';

/**
 * Early versions of the original kept their store at `~/mimir.db`. Who has one and starts with a new, empty default store would
 * believe that everything is lost, so it is said. Call it before the store is opened.
 */
export function warnOfEarlyStore({ dbPath, dbIsDefault }: StoreConfig, environment: Environment | undefined): void {
  if (!dbIsDefault || existsSync(dbPath)) return;
  const early = earlyStorePath(environment);
  if (early === null || !existsSync(early)) return;
  printError(`there is an older store at ${early}, and ${dbPath} is new and empty. To use the old one: --db ${early}`);
}

/** Throws `cannot_open` when there is no store: opening would make an empty one. */
export function demandStore({ dbPath }: StoreConfig): void {
  if (existsSync(dbPath)) return;
  throw new MimirError('cannot_open', `There is no store at ${dbPath}.`, { hint: 'Name another file with --db.' });
}
