import { MimirError } from '../errors.ts';
import type { OriginalExport } from '../storage/store.ts';
import { reads } from './operation.ts';

/** Names the file that is made. */
export interface ExportInput {
  readonly path: string;
}

/** Writes the current state into a new file of the original's form. The store itself stays as it is. */
export const exportOriginal = reads<ExportInput, OriginalExport>('scan', async (tx, { principal }, { path }) => {
  if (principal.kind !== 'owner') throw new MimirError('forbidden', 'Only the owner may export the whole store.');
  return await tx.exportOriginal(path);
});
