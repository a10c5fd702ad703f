import type { OriginalExport } from '../storage/store.ts';
import { requireOwner } from './lookup.ts';
import { reads } from './operation.ts';

/** Names the file that is made. */
export interface ExportInput {
  readonly path: string;
}

/** Writes the current state into a new file of the original's form. The store itself stays as it is. */
export const exportOriginal = reads<ExportInput, OriginalExport>('scan', async (tx, scope, { path }, progress) => {
  requireOwner(scope);
  return await tx.exportOriginal(path, progress);
});

/** Writes the whole store, history included, into a new file of JSON lines; answers how many. */
export const exportLines = reads<ExportInput, number>('scan', async (tx, scope, { path }, progress) => {
  requireOwner(scope);
  return await tx.exportLines(path, progress);
});
