import { LIMITS } from '../limits.ts';
import { headOfBytes } from '../memory/item.ts';
import type { EarlyMemory, EarlyPage, Scope } from '../memory/types.ts';
import type { Writer } from '../storage/store.ts';
import { requireOwner, widened } from './lookup.ts';
import { reads, writes } from './operation.ts';

/** Which memories of an old file are read. */
export interface MigrateReadInput {
  readonly path: string;
  /** Where the page begins, as the page before says; null for the first one. */
  readonly after: number | null;
  /** Rows of the pages before. */
  readonly seen: number;
}

/** Reads a step's worth of memories from a file of version 0.1. */
export const migrateRead = reads<MigrateReadInput, EarlyPage>('scan', async (tx, scope, { path, after, seen }) => {
  requireOwner(scope);
  return await tx.earlyMemories(path, after, seen, LIMITS.migrateStepRows);
});

/** Memories on their way in. */
export interface MigrateWriteInput {
  readonly memories: readonly EarlyMemory[];
  /** Only say what would be done. */
  readonly dryRun: boolean;
}

/** What became of them. */
export interface MigrateWriteOutput {
  readonly created: number;
  /** Those whose id the store had already; they stay as they are, since somebody may have changed them. */
  readonly present: number;
  /** What was left out, a sentence each. */
  readonly notes: readonly string[];
}

/** Stores memories of version 0.1 with their ids, times, uses and links; what is there already stays as it is. */
export const migrateWrite = writes<MigrateWriteInput, MigrateWriteOutput>(async (tx, narrow, input) => {
  requireOwner(narrow);
  const { memories, dryRun } = input;
  // Memories say themselves which workspace they belong to.
  const scope = widened(narrow);
  const notes: string[] = [];
  let [created, present] = [0, 0];
  for (const memory of memories) {
    const { entity, usage, links } = memory;
    if ((await tx.entityById(scope, entity.id)) !== undefined) {
      present += 1;
      continue;
    }
    notes.push(...memory.notes);
    created += 1;
    if (dryRun) continue;
    const made = await tx.create(scope, { ...entity, key: await freeKey(tx, scope, entity) });
    if (usage.count > 0 || usage.lastAtMs !== entity.createdAtMs) {
      await tx.noteUse(made.row, usage.count, usage.lastAtMs);
    }
    for (const { targetId, relationship, weight } of links) {
      await tx.openLink(scope, made.row, targetId, relationship, weight);
    }
  }
  return { created, present, notes };
});

/** The original's key has 20 bytes of the id, and takes the place of another one that begins so. */
async function freeKey(tx: Writer, scope: Scope, { id, workspace, category }: EarlyMemory['entity']): Promise<string> {
  const short = `migrated-${headOfBytes(id, 20)}`;
  for (let n = 0; ; n++) {
    const key = n === 0 ? short : `migrated-${id}${n === 1 ? '' : ` (${n})`}`;
    if ((await tx.entityAt(scope, workspace, category, key)) === undefined) return key;
  }
}
