import { z } from 'zod';
import { MimirError, sentenceOf } from '../errors.ts';
import { FADED, FADED_BELOW, type Due } from '../memory/retention.ts';
import { DAY_MS } from '../memory/dates.ts';
import { defineTool, optionsOf, REMOVES, scopeOf, SETS, type ToolDeps } from './define.ts';
import { flag, name, number, within } from './fields.ts';
import { countOrphans, findDue, inSteps, reclaim, reindexAll, remainder, type Steps } from './steps.ts';
import type { Caller } from './types.ts';

const workspaceOnly = name('Only this one.').optional();
const dryRun = flag('Only count.').default(false);

function stepsOf(caller: Caller, workspace: string | undefined, { execute }: ToolDeps): Steps {
  return { execute, scope: scopeOf(caller, workspace), options: optionsOf(caller) };
}

async function archiveAll({ execute, scope, options }: Steps, ids: readonly string[], due: Due, reason: string) {
  return await inSteps(ids, (step) => execute('archive', scope, { ...step, due, reason }, options), options.progress);
}

/** Archives what has faded. */
export const decay = defineTool({
  name: 'mimir_decay',
  title: 'Archive what has faded',
  description: `Use from time to time to archive memories whose decay_score has fallen below ${FADED_BELOW}. Pinned and verified ones stay.`,
  input: z.object({ workspace_hash: workspaceOnly }),
  about:
    'Archives what has faded: memories whose strength, computed from importance, last use and now, is below ' +
    'the threshold of the original. Pinned and verified ones never fade. It works in short steps, so others ' +
    'are not held up.',
  example: {},
  annotations: REMOVES,
  profile: 'all',
  operation: 'several',
  run: async ({ workspace_hash: workspace }, caller, deps) => {
    const steps = stepsOf(caller, workspace, deps);
    const due: Due = { belowStrength: FADED_BELOW };
    const { looked, ids } = await findDue(steps, deps, { archived: false }, due);
    const archived = await archiveAll(steps, ids, due, FADED);
    return JSON.stringify({
      entities_checked: looked,
      // Strength is computed when it is read, so no other row needs a new one.
      entities_updated: archived.changed,
      auto_archived: archived.changed,
      completed_at_unix_ms: deps.clock.nowMs(),
      ...remainder(archived),
    });
  },
});

/** Archives what is weak. */
export const compact = defineTool({
  name: 'mimir_compact',
  title: 'Archive the weak',
  description: 'Use to archive memories whose decay_score is below a threshold. Pinned and verified ones stay.',
  input: z.object({
    min_decay: number('Archive below this.').default(0.1),
    dry_run: dryRun,
    workspace_hash: workspaceOnly,
  }),
  about:
    'Archives memories that are weaker than `min_decay`; a dry run only counts them. Pinned and verified ones ' +
    'are spared.',
  example: { min_decay: 0.2, dry_run: true },
  annotations: REMOVES,
  profile: 'all',
  operation: 'several',
  run: async ({ min_decay: belowStrength, dry_run: dry, workspace_hash: workspace }, caller, deps) => {
    const steps = stepsOf(caller, workspace, deps);
    const { looked, ids } = await findDue(steps, deps, { archived: false }, { belowStrength });
    const archived = dry ? { changed: ids.length, left: 0 } : await archiveAll(steps, ids, { belowStrength }, FADED);
    return JSON.stringify({
      entities_archived: archived.changed,
      entities_examined: looked,
      dry_run: dry,
      completed_at_unix_ms: deps.clock.nowMs(),
      ...remainder(archived),
    });
  },
});

/** Days that the original can be told. */
const DAYS_MOST = 4_294_967_295;

/** Archives many at once. */
export const prune = defineTool({
  name: 'mimir_prune',
  title: 'Archive many',
  description: 'Use to archive many: give min_decay, older_than_days or purge_all.',
  input: z.object({
    category: name('Only this one.').optional(),
    min_decay: number('Below this decay_score.').optional(),
    older_than_days: within('Age.', 0, DAYS_MOST).optional(),
    limit: within('Oldest first; 0: all.', 0, Number.MAX_SAFE_INTEGER).default(100),
    dry_run: dryRun,
    purge_all: flag('Without those two.').default(false),
    workspace_hash: workspaceOnly,
  }),
  about:
    'Archives many memories at once, by category, strength and age, the oldest first when `limit` cuts. ' +
    'Without a strength or an age it refuses, unless `purge_all` says that all are meant.',
  example: { category: 'note', older_than_days: 90, dry_run: true },
  annotations: REMOVES,
  profile: 'all',
  operation: 'several',
  run: async (args, caller, deps) => {
    const { category, min_decay: belowStrength, older_than_days: days, limit, dry_run: dry } = args;
    if (belowStrength === undefined && days === undefined && !args.purge_all) {
      throw new MimirError('invalid_argument', 'prune requires min_decay, older_than_days, or purge_all: true.', {
        hint: 'With purge_all alone it archives the whole category.',
        facts: { field: 'min_decay' },
      });
    }
    const steps = stepsOf(caller, args.workspace_hash, deps);
    const due: Due = {
      ...(belowStrength !== undefined && { belowStrength }),
      ...(days !== undefined && { createdUpToMs: deps.clock.nowMs() - days * DAY_MS }),
    };
    const filter = { archived: false, ...(category !== undefined && { category }) };
    const { ids } = await findDue(steps, deps, filter, due);
    const reason = pruneReason(category, belowStrength, days);
    const chosen = dry ? [] : limit === 0 ? ids : ids.slice(0, limit);
    const archived = await archiveAll(steps, chosen, due, reason);
    return JSON.stringify({
      archived: archived.changed,
      examined: ids.length,
      dry_run: dry,
      reason,
      ...remainder(archived),
    });
  },
});

/** What the original writes into `archive_reason`, letter for letter: scripts look for it. */
function pruneReason(
  category: string | undefined,
  belowStrength: number | undefined,
  days: number | undefined,
): string {
  const some = (text: string | undefined): string => (text === undefined ? 'None' : `Some(${text})`);
  const float =
    belowStrength !== undefined && Number.isInteger(belowStrength)
      ? belowStrength.toFixed(1)
      : belowStrength?.toString();
  const quoted = category === undefined ? undefined : JSON.stringify(category);
  return `prune: cat=${some(quoted)} decay<${some(float)} age>${some(days?.toString())}d`;
}

/** Erases archived memories for good. */
export const purge = defineTool({
  name: 'mimir_purge',
  title: 'Erase the archived',
  description:
    'Use to erase archived (forgotten) memories for good, with all their versions, from the file. Nothing brings them back; try dry_run first.',
  input: z.object({ dry_run: dryRun, workspace_hash: workspaceOnly }),
  about:
    'Erases archived memories for good: all versions, words, links and vectors, from the file and its log. ' +
    'That they were there stays in the operation log as digests, from which nothing can be told. `erased` says ' +
    'whether anything is left because another process still reads an older state.',
  example: { dry_run: true },
  annotations: REMOVES,
  profile: 'all',
  operation: 'several',
  run: async ({ dry_run: dry, workspace_hash: workspace }, caller, deps) => {
    const steps = stepsOf(caller, workspace, deps);
    const { execute, scope, options } = steps;
    const { ids } = await findDue(steps, deps, { archived: true }, {});
    const purged = dry
      ? { changed: ids.length, left: 0 }
      : await inSteps(ids, (step) => execute('purge', scope, step, options), options.progress);
    const answer = (more: object): string =>
      JSON.stringify({
        entities_deleted: purged.changed,
        ...more,
        dry_run: dry,
        completed_at_unix_ms: deps.clock.nowMs(),
      });
    if (dry || purged.changed === 0) return answer({ bytes_freed: 0, ...remainder(purged) });
    if (purged.left > 0) return answer({ bytes_freed: 0, erased: false, ...remainder(purged) });
    return answer(await reclaimedOrWhyNot(steps));
  },
});

/** The rows are gone, whatever becomes of their bytes: that those could not be erased is no failure of the call, but must be said. */
async function reclaimedOrWhyNot(steps: Steps): Promise<object> {
  const mend = 'mimir_maintenance with vacuum: true erases it.';
  if (steps.scope.principal.kind !== 'owner') {
    return { bytes_freed: 0, erased: false, hint: `What they held is still in the file: the owner's ${mend}` };
  }
  try {
    const { bytes, erased } = await reclaim(steps);
    const hint = `Another process still reads what they held: when it has ended, ${mend}`;
    return { bytes_freed: Math.max(0, bytes), erased, ...(!erased && { hint }) };
  } catch (thrown) {
    if (!(thrown instanceof MimirError) || thrown.code === 'bug') throw thrown;
    return {
      bytes_freed: 0,
      erased: false,
      hint: `What they held is still in the file. ${sentenceOf(thrown)} Then ${mend}`,
    };
  }
}

/** Makes the text index anew. */
export const reindex = defineTool({
  name: 'mimir_reindex',
  title: 'Make the text index anew',
  description: 'Use when recall does not find what is there. Everything can be found meanwhile.',
  input: z.object({}),
  about:
    'Makes the text index anew, in steps, while everything can be found. It is needed only when `mimir verify` ' +
    'says so.',
  example: {},
  annotations: SETS,
  profile: 'all',
  operation: 'several',
  run: async (_args, caller, deps) => JSON.stringify({ reindexed: await reindexAll(stepsOf(caller, undefined, deps)) }),
});

/** Several kinds of upkeep in one call. */
export const maintenance = defineTool({
  name: 'mimir_maintenance',
  title: 'Maintenance',
  description: 'Use now and then to look after the store; each step when asked for.',
  input: z.object({
    dedup: flag('0: keys are unique.').default(false),
    orphans: flag('Count dead references.').default(false),
    vacuum: flag('Shrink the file; writes wait.').default(false),
    reindex: flag('As mimir_reindex.').default(false),
    all: flag('All four.').default(false),
    dry_run: dryRun,
  }),
  about:
    'Counts references that lead nowhere, gives free pages back, and makes the index anew: all of it, or what ' +
    'is asked for.',
  example: { orphans: true, dry_run: true },
  annotations: SETS,
  profile: 'all',
  operation: 'several',
  run: async ({ all, dry_run: dry, ...asked }, caller, deps) => {
    const steps = stepsOf(caller, undefined, deps);
    const errors: string[] = [];
    // One step that fails keeps none of the others from being done, as in the original.
    const step = async <T>(what: string, wanted: boolean, run: () => Promise<T>): Promise<T | undefined> => {
      if (!wanted && !all) return undefined;
      try {
        return await run();
      } catch (thrown) {
        if (!(thrown instanceof MimirError) || thrown.code === 'bug') throw thrown;
        errors.push(`${what}: ${sentenceOf(thrown)}`);
        return undefined;
      }
    };
    const orphans = await step('orphans', asked.orphans, () => countOrphans(steps));
    const reclaimed = dry ? undefined : await step('vacuum', asked.vacuum, () => reclaim(steps));
    const reindexed = dry ? undefined : await step('reindex', asked.reindex, () => reindexAll(steps));
    return JSON.stringify({
      // An index of the store allows no second row of one workspace, category and key.
      dedup_archived: 0,
      orphan_journal_entries_found: orphans?.journal ?? 0,
      orphan_links_found: orphans?.links ?? 0,
      vacuum_reclaimed_bytes: reclaimed?.bytes ?? 0,
      reindex_rows_affected: reindexed ?? 0,
      dry_run: dry,
      errors,
      ...(reclaimed !== undefined && { erased: reclaimed.erased }),
    });
  },
});
