import { MimirError } from '../errors.ts';
import type { StoreCounts } from '../memory/types.ts';
import type { Examination } from '../storage/store.ts';
import { reads, writes } from './operation.ts';

/** Asks for nothing in particular. */
export type NoInput = Readonly<Record<string, never>>;

/** Reads from the store; that it answers is the answer. */
export const health = reads<NoInput, true>('point', async (tx, scope) => {
  await tx.entityById(scope, '');
  return true;
});

/** Counts what the scope may see. */
export const stats = reads<NoInput, StoreCounts>('point', async (tx, scope) => tx.counts(scope));

/** Reads the whole store and computes it again. For the owner: it speaks of all workspaces. */
export const examine = reads<NoInput, Examination>('scan', async (tx, scope) => {
  if (scope.principal.kind !== 'owner')
    throw new MimirError('forbidden', 'Only the owner may look at the whole store.');
  return tx.examine();
});

/** Takes the write lock and gives it back, without a trace in the log: fails exactly as a write would. */
export const probeWrite = writes<NoInput, true>(async () => true);
