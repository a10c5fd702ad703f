import { z } from 'zod';
import { LIMITS } from '../limits.ts';
import { defineTool, optionsOf, READS, REMOVES, scopeOf, SETS } from './define.ts';
import { clamped, idempotencyKey, name } from './fields.ts';
import { renderTraversal } from './render.ts';

const where = name('Which one, if several have the key.').optional();

/** Links two memories. */
export const link = defineTool({
  name: 'mimir_link',
  title: 'Link two memories',
  description: 'Use when one memory depends on, explains or belongs to another.',
  input: z.object({
    from_category: name('Category of the source.'),
    from_key: name('Key of the source.'),
    to_id: name('Id of the target.'),
    relationship: name('e.g. depends_on.').default('related'),
    workspace_hash: where,
    idempotency_key: idempotencyKey,
  }),
  about: 'Connects one memory to another, with a word for how. Two memories may be linked in several ways.',
  example: { from_category: 'decision', from_key: 'use-sqlite', to_id: 'mem-0123456789ab', relationship: 'depends_on' },
  annotations: SETS,
  profile: 'core',
  operation: 'link',
  run: async (args, caller, { execute }) => {
    const { from_category: category, from_key: key, to_id: toId } = args;
    const input = { category, key, toId, relationship: args.relationship };
    const { relationship } = await execute(
      'link',
      scopeOf(caller, args.workspace_hash),
      input,
      optionsOf(caller, args.idempotency_key),
    );
    return JSON.stringify({ success: true, from: `${category}/${key}`, to: toId, relationship });
  },
});

/** Takes a link away. */
export const unlink = defineTool({
  name: 'mimir_unlink',
  title: 'Unlink two memories',
  description: 'Use when a link between two memories is wrong. No link is no error.',
  input: z.object({
    from_category: name('Category of the source.'),
    from_key: name('Key of the source.'),
    to_id: name('Id of the target.'),
    workspace_hash: where,
    idempotency_key: idempotencyKey,
  }),
  about: 'Takes all links from one memory to another away. That there is none is no error.',
  example: { from_category: 'decision', from_key: 'use-sqlite', to_id: 'mem-0123456789ab' },
  annotations: REMOVES,
  profile: 'all',
  operation: 'unlink',
  run: async (args, caller, { execute }) => {
    const { from_category: category, from_key: key, to_id: toId } = args;
    await execute(
      'unlink',
      scopeOf(caller, args.workspace_hash),
      { category, key, toId },
      optionsOf(caller, args.idempotency_key),
    );
    return JSON.stringify({ success: true, from: `${category}/${key}`, to: toId });
  },
});

/** Follows links. */
export const traverse = defineTool({
  name: 'mimir_traverse',
  title: 'Follow links',
  description: 'Use to see what a memory is linked to, directly and further on.',
  input: z.object({
    category: name('Category to begin at.'),
    key: name('Key to begin at.'),
    max_depth: clamped(`Links to follow, at most ${LIMITS.traverseDepthMax}.`, 0, LIMITS.traverseDepthMax).default(3),
    max_nodes: clamped(`At most ${LIMITS.traverseNodesMax}.`, 0, LIMITS.traverseNodesMax).default(100),
    workspace_hash: where,
  }),
  about: 'Follows links from a memory, directly and further on, each memory once, however the links run.',
  example: { category: 'decision', key: 'use-sqlite', max_depth: 2 },
  annotations: READS,
  profile: 'core',
  operation: 'traverse',
  run: async (
    { category, key, max_depth: maxDepth, max_nodes: maxNodes, workspace_hash: workspace },
    caller,
    { execute },
  ) =>
    renderTraversal(
      await execute('traverse', scopeOf(caller, workspace), { category, key, maxDepth, maxNodes }, optionsOf(caller)),
    ),
});
