import type { Noted, StoreCounts } from '../memory/types.ts';
import { reads } from './operation.ts';

/** Asks for nothing in particular. */
export type NoInput = Readonly<Record<string, never>>;

/** Reads from the store; that it answers is the answer. */
export const health = reads<NoInput, true>('point', async (tx, scope) => {
  await tx.entityById(scope, '');
  return true;
});

/** What the store may not know yet. */
export interface StatsInput {
  readonly noted?: Noted;
}

/** Counts what the scope may see. */
export const stats = reads<StatsInput, StoreCounts>('point', async (tx, scope, { noted }) => tx.counts(scope, noted));
