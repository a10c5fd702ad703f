import { z } from 'zod';
import { LIMITS } from '../limits.ts';
import { SUPERSEDED, type Side } from '../engine/judging.ts';
import { defineTool, optionsOf, READS, scopeOf, SETS } from './define.ts';
import { clamped, idempotencyKey, name, number } from './fields.ts';

const where = name('Which one, if several have the key.').optional();

/** Says what a memory is worth. */
export const score = defineTool({
  name: 'mimir_score',
  title: 'Score a memory',
  description: 'Use when a memory proved right or wrong. From 0.7 on it is verified and does not fade.',
  input: z.object({
    category: name('Its category.'),
    key: name('Its key.'),
    score: number('0 (worthless) to 1 (right).'),
    workspace_hash: where,
    idempotency_key: idempotencyKey,
  }),
  about:
    'Says what a memory is worth, 0 to 1: what its strength starts from. From 0.7 on it is verified, and does ' +
    'not fade.',
  example: { category: 'decision', key: 'use-sqlite', score: 0.9 },
  annotations: SETS,
  profile: 'all',
  operation: 'score',
  run: async ({ category, key, score: value, workspace_hash: workspace, ...rest }, caller, { execute }) => {
    const input = { category, key, score: value };
    const { found } = await execute(
      'score',
      scopeOf(caller, workspace),
      input,
      optionsOf(caller, rest.idempotency_key),
    );
    return JSON.stringify({ found, category, key, score: value });
  },
});

/** Finds memories that may contradict each other. */
export const conflicts = defineTool({
  name: 'mimir_conflicts',
  title: 'Find conflicts',
  description: 'Use to look for memories of a category that say different things: pairs less alike than `threshold`.',
  input: z.object({
    category: name('Category to look through.'),
    threshold: number('Likeness below which two conflict, 0 to 1.').default(0.4),
    limit: clamped('Pairs.', 0, LIMITS.recallLimitMax).default(10),
    offset: clamped('Memories to skip, newest first.', 0, LIMITS.offsetMax).default(0),
    workspace_hash: name('Only this workspace.').optional(),
  }),
  about:
    'Compares the memories of a category that were changed last, each with each, and shows pairs that differ, ' +
    'the most alike first: they are likeliest about the same thing. `mimir_supersede` settles one.',
  example: { category: 'decision', threshold: 0.4 },
  annotations: READS,
  profile: 'all',
  operation: 'conflicts',
  run: async ({ category, threshold, limit, offset, workspace_hash: workspace }, caller, { execute }) => {
    const found = await execute(
      'conflicts',
      scopeOf(caller, workspace),
      { category, threshold, limit, offset },
      optionsOf(caller),
    );
    const side = ({ id, key, certainty }: Side) => ({ id, key, certainty });
    return JSON.stringify({
      category,
      entities_compared: found.compared,
      conflicts_found: found.conflicts.length,
      threshold,
      conflicts: found.conflicts.map(({ a, b, similarity, likely, boosted }) => ({
        entity_a: side(a),
        entity_b: side(b),
        similarity,
        conflict_likely: likely,
        certainty_boosted: boosted,
      })),
    });
  },
});

/** Says that one memory replaces another. */
export const supersede = defineTool({
  name: 'mimir_supersede',
  title: 'Supersede a memory',
  description: 'Use when one memory replaces another: links the new to the old, which becomes deprecated.',
  input: z.object({
    from_category: name('Category of the old one.'),
    from_key: name('Key of the old one.'),
    to_category: name('Category of the new one.'),
    to_key: name('Key of the new one.'),
    reason: name('Why.').optional(),
    relationship: name('Name of the link.').default('supersedes'),
    workspace_hash: where,
    idempotency_key: idempotencyKey,
  }),
  about:
    'Says that one memory replaces another: the old one is marked and linked, still found, and conflicts with ' +
    'nothing any more.',
  example: {
    from_category: 'decision',
    from_key: 'use-sqlite',
    to_category: 'decision',
    to_key: 'use-postgres',
    reason: 'more than one machine',
  },
  annotations: SETS,
  profile: 'all',
  operation: 'supersede',
  run: async (args, caller, { execute }) => {
    const { reason = '', relationship } = args;
    const names = {
      fromCategory: args.from_category,
      fromKey: args.from_key,
      toCategory: args.to_category,
      toKey: args.to_key,
    };
    const { fromId, toId } = await execute(
      'supersede',
      scopeOf(caller, args.workspace_hash),
      { ...names, reason, relationship },
      optionsOf(caller, args.idempotency_key),
    );
    return JSON.stringify({
      from_entity_id: fromId,
      from_entity_category: names.fromCategory,
      from_entity_key: names.fromKey,
      to_entity_id: toId,
      to_entity_category: names.toCategory,
      to_entity_key: names.toKey,
      relationship,
      status_updated: SUPERSEDED,
    });
  },
});
