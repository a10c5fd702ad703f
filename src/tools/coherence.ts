import { z } from 'zod';
import { bringInOrder, type Ordered } from '../engine/cohering.ts';
import { LIMITS } from '../limits.ts';
import { FADED_BELOW } from '../memory/retention.ts';
import { defineTool, optionsOf, REMOVES, scopeOf } from './define.ts';
import { clamped, flag, name, number, RULES } from './fields.ts';

const where = name('Only this workspace.').optional();
const dryRun = flag('Only say what would be done.').default(false);

/** The original's steps. */
const PROMOTE_FROM = 3;
const COMPACT_BELOW = 0.1;
const LINKS_DEFAULT = 20;

/** What both tools say beside the original's fields. */
function more({ links, left }: Ordered): Record<string, unknown> {
  return {
    links: links.map(({ fromId, fromKey, toId, toKey, shared }) => ({
      from_id: fromId,
      from_key: fromKey,
      to_id: toId,
      to_key: toKey,
      shared,
    })),
    ...(left > 0 && { left, hint: 'There was no room or time for all of it: call it again.' }),
  };
}

/** Brings memories in order. */
export const cohere = defineTool({
  name: 'mimir_cohere',
  title: 'Bring memories in order',
  description: 'Use now and then: promotes the much used, links what is about the same thing, archives the weak.',
  input: z.object({
    dry_run: dryRun,
    max_links: clamped(`Links to make, at most ${LIMITS.cohereLinksMax}.`, 0, LIMITS.cohereLinksMax).default(
      LINKS_DEFAULT,
    ),
    promote_threshold: z
      .int()
      .describe('Uses from which one is promoted.')
      .register(RULES, { clamp: [0, Number.MAX_SAFE_INTEGER], roundUp: true })
      .default(PROMOTE_FROM),
    archive_threshold: number('Strength below which one is archived.').default(FADED_BELOW),
    workspace_hash: where,
  }),
  about:
    'Looks through the store: promotes what is used, links new memories that are about the same thing, and ' +
    'archives what has become weak. Pinned and verified memories are never archived; a dry run says what it ' +
    'would do.',
  example: { dry_run: true },
  annotations: REMOVES,
  profile: 'all',
  operation: 'several',
  run: async (args, caller, { execute, usage, clock }) => {
    const done = await bringInOrder(
      execute,
      scopeOf(caller, args.workspace_hash),
      {
        dryRun: args.dry_run,
        linksMax: args.max_links,
        promoteFrom: args.promote_threshold,
        archiveBelow: args.archive_threshold,
        compactBelow: 0,
        noted: () => usage.noted(),
      },
      optionsOf(caller),
    );
    return JSON.stringify({
      promoted: done.promoted,
      // Strength is computed when it is read, so there is nothing to lower.
      decayed: 0,
      linked: done.links.length,
      archived: done.archived,
      entities_examined: done.examined,
      dry_run: args.dry_run,
      completed_at_unix_ms: clock.nowMs(),
      ...more(done),
    });
  },
});

/** Does all upkeep of memories at once. */
export const autocohere = defineTool({
  name: 'mimir_autocohere',
  title: 'Regular upkeep',
  description: 'Use for regular upkeep: mimir_cohere with its defaults; also archives what is weaker than 0.1.',
  input: z.object({ dry_run: dryRun, workspace_hash: where }),
  about: '`mimir_cohere` with its defaults, for a timer; it also archives what is weaker than 0.1.',
  example: { dry_run: true },
  annotations: REMOVES,
  profile: 'all',
  operation: 'several',
  run: async ({ dry_run: isDry, workspace_hash: workspace }, caller, { execute, usage }) => {
    const done = await bringInOrder(
      execute,
      scopeOf(caller, workspace),
      {
        dryRun: isDry,
        linksMax: LINKS_DEFAULT,
        promoteFrom: PROMOTE_FROM,
        archiveBelow: FADED_BELOW,
        compactBelow: COMPACT_BELOW,
        noted: () => usage.noted(),
      },
      optionsOf(caller),
    );
    return JSON.stringify({
      promoted_entities: done.promoted,
      links_created: done.links.length,
      archived_entities: done.archived + done.compacted,
      decay_updates: 0,
      compact_archived_count: done.compacted,
      db_size_delta_bytes: done.grownBytes,
      dry_run: isDry,
      ...more(done),
    });
  },
});
