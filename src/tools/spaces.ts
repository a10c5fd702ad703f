import { z } from 'zod';
import { ADDS, defineTool, optionsOf, READS, scopeOf } from './define.ts';
import { idempotencyKey, name } from './fields.ts';

/** Lists what memories are filed under. */
export const workspaceList = defineTool({
  name: 'mimir_workspace_list',
  title: 'List workspaces',
  description: 'Use to see which categories and workspaces there are.',
  input: z.object({ workspace_hash: name('Only this workspace.').optional() }),
  about: 'Names the workspaces that have memories, and the categories.',
  example: {},
  annotations: READS,
  profile: 'all',
  operation: 'workspace_list',
  run: async ({ workspace_hash: workspace }, caller, { execute }) => {
    const found = await execute('workspace_list', scopeOf(caller, workspace), {}, optionsOf(caller));
    const { categories, workspaces, total, cut } = found;
    return JSON.stringify({ categories, total, workspaces, ...(cut && { truncated: true }) });
  },
});

/** Copies a memory to another workspace. */
export const share = defineTool({
  name: 'mimir_share',
  title: 'Share with a workspace',
  description: 'Use to copy a memory to another workspace. The original stays; sharing again updates the copy.',
  input: z.object({
    category: name('Its category.'),
    key: name('Its key.'),
    to_workspace: name('Where the copy goes.'),
    workspace_hash: name('Where it is, if several have the key.').optional(),
    idempotency_key: idempotencyKey,
  }),
  about:
    'Copies a memory to another workspace; the original stays. What that workspace has of its own there, or has ' +
    'written into its copy, is not written over (`exists`).',
  example: { category: 'decision', key: 'use-sqlite', to_workspace: 'team' },
  annotations: ADDS,
  profile: 'all',
  operation: 'share',
  run: async (args, caller, { execute }) => {
    const { category, key, to_workspace: toWorkspace } = args;
    const { id, action, fromWorkspace } = await execute(
      'share',
      scopeOf(caller, args.workspace_hash),
      { category, key, toWorkspace },
      optionsOf(caller, args.idempotency_key),
    );
    return JSON.stringify({ shared_id: id, action, from_workspace: fromWorkspace, to_workspace: toWorkspace });
  },
});
