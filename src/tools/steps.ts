import { monotonicMs } from '../clock.ts';
import { countLive } from '../engine/counting.ts';
import type { CallOptions } from '../engine/operation.ts';
import type { Execute, InputOf, OutputOf } from '../engine/operations.ts';
import type { StepInput, StepOutput } from '../engine/upkeep.ts';
import { errorToData, MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { isDue, type Due } from '../memory/retention.ts';
import type { Scope, TellProgress } from '../memory/types.ts';
import type { ToolDeps } from './define.ts';

/** Who asks, and how it is carried out: the same for every step of one call. */
export interface Steps {
  readonly execute: Execute;
  readonly scope: Scope;
  readonly options: CallOptions;
}

/** Ids of the rows that are due, oldest first, and how many were looked at. What this process has used a moment ago counts. */
export async function findDue(
  { execute, scope, options }: Steps,
  { usage, clock }: ToolDeps,
  filter: { readonly archived: boolean; readonly category?: string },
  due: Due,
): Promise<{ readonly looked: number; readonly ids: readonly string[] }> {
  const ids: string[] = [];
  let looked = 0;
  for (let after: number | null = 0; after !== null;) {
    const stretch: OutputOf<'survey'> = await execute('survey', scope, { filter, due, after }, options);
    looked += stretch.looked;
    options.progress?.(looked);
    const nowMs = clock.nowMs();
    for (const row of stretch.found) {
      if (isDue({ ...row, usage: usage.overlay(row.row, row.usage) }, due, nowMs)) ids.push(row.id);
    }
    after = stretch.next;
  }
  return { looked, ids };
}

/** Between two steps: what others have sent meanwhile is written on its own, and need not wait for the next step. */
const GIVE_WAY_MS = 2;

async function giveWay(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, GIVE_WAY_MS));
}

/** What became of many rows: those that time was too short for are `left`. */
export interface Stepped {
  readonly changed: number;
  readonly left: number;
}

/**
 * Carries out a change of many rows in short transactions, so that others get their turn in between. When one fails, what was
 * done before stays done, and the error says how much that is.
 */
export async function inSteps(
  ids: readonly string[],
  step: (input: StepInput) => Promise<StepOutput>,
  progress?: TellProgress,
): Promise<Stepped> {
  const untilMs = monotonicMs() + LIMITS.upkeepMs;
  let done = 0;
  let changed = 0;
  while (done < ids.length && monotonicMs() < untilMs) {
    try {
      const made = await step({ ids: ids.slice(done, done + LIMITS.stepRows), maxMs: LIMITS.stepMs });
      done += made.handled;
      changed += made.changed;
      progress?.(done, ids.length);
      if (done < ids.length) await giveWay();
    } catch (thrown) {
      if (!(thrown instanceof MimirError) || thrown.code === 'bug' || changed === 0) throw thrown;
      const { code, message, extras } = errorToData(thrown);
      throw new MimirError(code, `${message} Before that, ${changed} of ${ids.length} were done.`, {
        ...extras,
        facts: { ...extras.facts, changed, remaining: ids.length - done },
      });
    }
  }
  return { changed, left: ids.length - done };
}

/** What an answer says when time was too short. */
export function remainder({ left }: Stepped): { readonly remaining?: number; readonly hint?: string } {
  return left === 0 ? {} : { remaining: left, hint: 'Call it again for the rest.' };
}

/** What was given back to the file system, and whether nothing of deleted memories is left in the file. */
export interface Reclaimed {
  readonly bytes: number;
  readonly erased: boolean;
}

/** Leaves nothing of purged memories behind and gives free pages back. Only the owner may. */
export async function reclaim(steps: Steps): Promise<Reclaimed> {
  const { execute, scope, options } = steps;
  const complete = await eraseFrom(steps, 'answers');
  const { bytesBefore, bytesAfter, erased } = await execute('vacuum', scope, {}, options);
  return { bytes: bytesBefore - bytesAfter, erased: erased && complete };
}

/** Erases what was deleted, from this part on; false when time was too short. */
async function eraseFrom(
  { execute, scope, options }: Steps,
  part: InputOf<'erase'>['stage']['part'],
): Promise<boolean> {
  const untilMs = monotonicMs() + LIMITS.upkeepMs;
  let stage: OutputOf<'erase'> = { part, after: 0 };
  while (stage !== null && monotonicMs() < untilMs) {
    stage = await execute('erase', scope, { stage }, options);
    await giveWay();
  }
  return stage === null;
}

/**
 * Makes the text index anew while the store answers; answers how many live rows stand in it. An index that is damaged is
 * made from nothing in one transaction, and writes wait for it.
 */
export async function reindexAll(steps: Steps): Promise<number> {
  const { execute, scope, options } = steps;
  try {
    let rows = 0;
    const total = options.progress && (await countLive(execute, scope));
    for (let after: number | null = 0; after !== null;) {
      const step: OutputOf<'reindex'> = await execute('reindex', scope, { after, maxMs: LIMITS.stepMs }, options);
      if (step.damaged) return await reindexWhole(steps);
      rows += step.rows;
      after = step.next;
      options.progress?.(rows, total);
      await giveWay();
    }
    // What was there before is only marked as deleted. Leaving it out reads all of it, and so finds what is damaged.
    await eraseFrom(steps, 'text');
    return rows;
  } catch (thrown) {
    if (!(thrown instanceof MimirError) || thrown.code !== 'corrupt') throw thrown;
    return await reindexWhole(steps);
  }
}

async function reindexWhole({ execute, scope, options }: Steps): Promise<number> {
  return (await execute('reindex', scope, { whole: true }, options)).rows;
}

/** Journal entries and links that name an entity which is not there. */
export async function countOrphans({ execute, scope, options }: Steps): Promise<OutputOf<'orphans'>['found']> {
  let total = { journal: 0, links: 0 };
  for (let after: number | null = 0; after !== null;) {
    const { found, next }: OutputOf<'orphans'> = await execute('orphans', scope, { after }, options);
    total = { journal: total.journal + found.journal, links: total.links + found.links };
    after = next;
  }
  return total;
}
