import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { bringIn, type BringInOptions } from '../../src/engine/ingesting.ts';
import type { Log } from '../../src/log.ts';
import { OWNER } from '../../src/memory/scope.ts';
import type { BroughtIn, Source } from '../../src/memory/sourced.ts';
import type { Entity, Scope } from '../../src/memory/types.ts';
import type { FileSettings } from '../../src/sources/files.ts';
import { ModelStore } from './model-store.ts';

/** Says nothing. */
export const SILENT: Log = { banner: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** The settings of one folder, as a file that names only its path has them. */
export function folderSettings(path: string, more: Partial<FileSettings> = {}): FileSettings {
  return {
    paths: [path],
    extensions: ['.md', '.txt'],
    include: [],
    exclude: [],
    gitignore: true,
    maxBytes: 100_000,
    watch: true,
    debounceMs: 20,
    ...more,
  };
}

/** Writes files by their names below a folder. */
export function writeFiles(folder: string, files: Readonly<Record<string, string | Buffer>>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
}

/** The plainest store, and a way to bring a source into it. */
export function ingestInto(store: ModelStore = new ModelStore()) {
  const scope: Scope = { principal: OWNER, workspace: '', actor: 'owner', client: 'test' };
  const run = (source: Source, options: Partial<BringInOptions> = {}): Promise<BroughtIn> =>
    bringIn(store.execute, scope, source, { dryRun: false, signal: new AbortController().signal, ...options });
  const live = (): Entity[] => store.entities.filter((entity) => !entity.archived);
  /** What is live: its keys and bodies, in the order of the keys. */
  const stored = (): [string, unknown][] =>
    live()
      .map(({ key, bodyJson }): [string, unknown] => [key, JSON.parse(bodyJson)])
      .toSorted(([a], [b]) => (a < b ? -1 : 1));
  return { store, run, live, stored };
}
