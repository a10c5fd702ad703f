import { resolve } from 'node:path';

import { z } from 'zod';

import type { FederateOutput } from '../engine/spaces.ts';
import type { Scope } from '../memory/types.ts';
import { confined } from '../files/confined.ts';
import type { Vault } from '../files/reading.ts';
import { LIMITS } from '../limits.ts';
import { ADDS, defineTool, optionsOf, scopeOf, SETS, type ToolDeps } from './define.ts';
import { filter, flag, name } from './fields.ts';
import { firstOf } from './render.ts';
import type { Caller } from './types.ts';

/** Reading YAML takes much code, which a server that starts does not wait for. */
const vaults = () => import('../files/vault.ts');

const vaultDir = filter('The folder.');

/** The folder that a caller means: any for who starts programs here, one below the allowed folder for the others. */
async function folderOf(asked: string | undefined, caller: Caller, { folders }: ToolDeps): Promise<string> {
  if (caller.anyFolder === true) return asked === undefined ? folders.vault() : resolve(folders.atHome(asked));
  return confined(asked === undefined ? '.' : folders.atHome(asked), folders.vault());
}

async function vaultOf(asked: string | undefined, caller: Caller, scope: Scope, deps: ToolDeps): Promise<Vault> {
  const folder = await folderOf(asked, caller, deps);
  const { execute, clock, usage } = deps;
  const { readVaultFile } = await import('./vault-file.ts');
  return {
    folder,
    execute,
    scope,
    options: optionsOf(caller),
    overlay: (row, stored) => usage.overlay(row, stored),
    read: (text) => readVaultFile(text, clock.nowMs()),
  };
}

/** Members for lists that are not empty. */
function lists(named: Readonly<Record<string, readonly string[]>>): Record<string, readonly string[]> {
  const some = Object.entries(named).filter(([, names]) => names.length > 0);
  return Object.fromEntries(some.map(([member, names]) => [member, firstOf(names, LIMITS.vaultNamedMax)]));
}

/** Writes memories to a folder. */
export const vaultExport = defineTool({
  name: 'mimir_vault_export',
  title: 'Export to a vault',
  description: 'Use to write memories as Markdown files, for Obsidian or a copy. Only what changed is written again.',
  input: z.object({
    vault_dir: vaultDir,
    workspace_hash: name('Only this workspace.').optional(),
    prune: flag('Remove files of forgotten memories, unless edited.').default(false),
  }),
  about:
    'Writes memories as Markdown files with YAML front matter, one each, with wikilinks between linked ones, ' +
    'so that Obsidian shows the graph. A second export writes only what has changed; files of memories that ' +
    "are gone are reported, and removed only with `prune`. Over HTTP only below the server's vault folder.",
  example: { vault_dir: 'notes' },
  annotations: SETS,
  profile: 'all',
  operation: 'several',
  run: async ({ vault_dir: asked, workspace_hash: workspace, prune }, caller, deps) => {
    const vault = await vaultOf(asked, caller, scopeOf(caller, workspace), deps);
    const { exportVault } = await vaults();
    const done = await exportVault(vault, { prune });
    return JSON.stringify({
      files_created: done.created,
      files_updated: done.updated,
      errors: firstOf(done.errors, LIMITS.vaultNamedMax),
      vault_dir: vault.folder,
      completed_at_unix_ms: deps.clock.nowMs(),
      exported: done.exported,
      ...lists({ edited: done.edited, conflicts: done.aside, stale: done.stale }),
      ...(prune && { pruned: done.pruned }),
    });
  },
});

/** Reads memories from a folder. */
export const vaultImport = defineTool({
  name: 'mimir_vault_import',
  title: 'Import a vault',
  description: 'Use to read Markdown files into memory. What changed on both sides is kept twice.',
  input: z.object({ vault_dir: vaultDir }),
  about:
    "Reads a folder of such Markdown files, or of the original's. A file that was edited updates its memory; " +
    "where both sides were changed, the file's words become a memory of their own, linked with `conflicts_with`. Over HTTP only below the server's vault " +
    'folder.',
  example: { vault_dir: 'notes' },
  annotations: SETS,
  profile: 'all',
  operation: 'several',
  run: async ({ vault_dir: asked }, caller, deps) => {
    const vault = await vaultOf(asked, caller, scopeOf(caller, undefined), deps);
    const { importVault } = await vaults();
    const done = await importVault(vault);
    return JSON.stringify({
      files_created: done.created + done.keptBoth.length,
      files_updated: done.updated,
      errors: firstOf(done.errors, LIMITS.vaultNamedMax),
      vault_dir: vault.folder,
      completed_at_unix_ms: deps.clock.nowMs(),
      files_unchanged: done.unchanged,
      ...lists({ forgotten: done.forgotten, conflicts: done.keptBoth.map(({ file, key }) => `${file}: ${key}`) }),
    });
  },
});

/** Copies a workspace. */
export const federate = defineTool({
  name: 'mimir_federate',
  title: 'Copy a workspace',
  description: 'Use to copy all memories of a workspace to another one, as mimir_share does each.',
  input: z.object({
    from_workspace: name('Where they are.'),
    to_workspace: name('Where the copies go.'),
    vault_dir: filter('Write the copies as Markdown there, too.'),
  }),
  about:
    'Copies the memories of one workspace to another, each as `mimir_share` does; the originals stay where they are. ' +
    'With `vault_dir` the copies are written as Markdown there, too.',
  example: { from_workspace: 'mine', to_workspace: 'team' },
  annotations: ADDS,
  profile: 'all',
  operation: 'several',
  run: async ({ from_workspace: fromWorkspace, to_workspace: toWorkspace, vault_dir: asked }, caller, deps) => {
    const scope = scopeOf(caller, undefined);
    // A folder that is not allowed is said before anything is copied.
    const vault = asked === undefined ? undefined : await vaultOf(asked, caller, scopeOf(caller, toWorkspace), deps);
    const copies = new Set<string>();
    const errors: string[] = [];
    let exported = 0;
    for (let afterRow: number | null = 0; afterRow !== null;) {
      const input = { fromWorkspace, toWorkspace, afterRow };
      const done: FederateOutput = await deps.execute('federate', scope, input, optionsOf(caller));
      for (const id of done.copies) copies.add(id);
      errors.push(...done.refused);
      exported += done.examined;
      afterRow = done.nextRow;
    }
    if (vault !== undefined) {
      const { exportVault } = await vaults();
      errors.push(...(await exportVault(vault, { prune: false, only: copies })).errors);
    }
    return JSON.stringify({
      exported,
      remapped: copies.size,
      imported: copies.size,
      import_errors: firstOf(errors, LIMITS.vaultNamedMax),
      ...(vault !== undefined && { vault_dir: vault.folder }),
    });
  },
});
