import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

import type { Caller } from '../../src/tools/types.ts';
import { temporaryFolder } from './processes.ts';
import { OWNER, setUp, type Answer } from './tool-table.ts';

/** Who may name any folder. */
export const HERE: Caller = { ...OWNER, anyFolder: true };

/** A store, a folder, and short ways to do things to both. */
export function both(t: TestContext) {
  const made = setUp();
  const vault = join(temporaryFolder(t), 'vault');
  const { store, call } = made;
  const get = (key: string, workspace = '') =>
    store.entities.find((one) => one.key === key && one.workspace === workspace);
  const nameOf = (key: string): string => `${get(key)?.id ?? 'none'}.md`;
  const read = (name: string): string => readFileSync(join(vault, name), 'utf8');
  const write = (name: string, text: string): void => {
    mkdirSync(vault, { recursive: true });
    writeFileSync(join(vault, name), text);
  };
  return {
    ...made,
    vault,
    get,
    nameOf,
    read,
    write,
    edit: (name: string, from: string | RegExp, to: string): void => {
      const before = read(name);
      const after = before.replace(from, to);
      assert.notEqual(after, before, 'the edit changes something');
      write(name, after);
    },
    files: () => readdirSync(vault).toSorted(),
    bring: (more: object = {}, caller = HERE) => call('vault_import', { vault_dir: vault, ...more }, caller),
    take: (more: object = {}, caller = HERE) => call('vault_export', { vault_dir: vault, ...more }, caller),
  };
}

/** Created and updated files, errors. */
export const counts = ({ files_created: created, files_updated: updated, errors }: Answer): unknown[] => [
  created,
  updated,
  errors,
];
