import { LIMITS } from '../limits.ts';
import type { Noted, StoreCounts } from '../memory/types.ts';
import type { Examination } from '../storage/store.ts';
import { requireOwner } from './lookup.ts';
import { reads, writes } from './operation.ts';

/** Asks for nothing in particular. */
export type NoInput = Readonly<Record<string, never>>;

/** Reads from the store; that it answers is the answer. */
export const health = reads<NoInput, true>('point', async (tx, scope) => {
  await tx.entityById(scope, '');
  return true;
});

/** Counts, with the largest groups only. */
export interface StatsOutput extends StoreCounts {
  /** Groups that are left out, by the name of the grouping; absent when none is. */
  readonly left?: Readonly<Record<'categories' | 'types', number>>;
}

/** What the store may not know yet. */
export interface StatsInput {
  readonly noted?: Noted;
}

/** Counts what the scope may see. */
export const stats = reads<StatsInput, StatsOutput>('scan', async (tx, scope, { noted }) => {
  const counts = await tx.counts(scope, noted);
  const [byCategory, byType] = [largest(counts.byCategory), largest(counts.byType)];
  const left = {
    categories: Object.keys(counts.byCategory).length - Object.keys(byCategory).length,
    types: Object.keys(counts.byType).length - Object.keys(byType).length,
  };
  return { ...counts, byCategory, byType, ...(left.categories + left.types > 0 && { left }) };
});

/** The groups with the most rows, by name; all of them when there are few. */
function largest(groups: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  const all = Object.entries(groups);
  if (all.length <= LIMITS.statsGroupsMax) return groups;
  const kept = all.toSorted((a, b) => b[1] - a[1]).slice(0, LIMITS.statsGroupsMax);
  return Object.fromEntries(kept.toSorted((a, b) => (a[0] < b[0] ? -1 : 1)));
}

/** Reads the whole store and computes it again. For the owner: it speaks of all workspaces. */
export const examine = reads<NoInput, Examination>('scan', async (tx, scope, _input, progress) => {
  requireOwner(scope);
  return tx.examine(progress);
});

/** Takes the write lock and gives it back, without a trace in the log: fails exactly as a write would. */
export const probeWrite = writes<NoInput, true>(async () => true);
