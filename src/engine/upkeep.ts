import { monotonicMs } from '../clock.ts';
import { mayWrite } from '../memory/scope.ts';
import { isDue, type Due } from '../memory/retention.ts';
import type { Entity, Scope } from '../memory/types.ts';
import type {
  EraseStage,
  KeptFilter,
  KeptRow,
  Orphans,
  Reindexed,
  Stretch,
  Vacuumed,
  Writer,
} from '../storage/store.ts';
import { requireOwner } from './lookup.ts';
import { reads, runsAlone, writes } from './operation.ts';
import type { NoInput } from './status.ts';

/** Which rows, and from where on. */
export interface SurveyInput {
  readonly filter: KeptFilter;
  readonly due: Due;
  /** 0, then `next` of the answer before. */
  readonly after: number;
}

/** The rows of this stretch that are due, and how many there were. */
export interface SurveyOutput extends Stretch<readonly KeptRow[]> {
  readonly looked: number;
}

/** Looks for rows that are due, one bounded stretch of the store at a time, among those that the scope may change. */
export const survey = reads<SurveyInput, SurveyOutput>('scan', async (tx, scope, { filter, due, after }) => {
  const { found, next } = await tx.kept(scope, filter, after);
  return { looked: found.length, found: found.filter((row) => isDue(row, due, tx.nowMs)), next };
});

/** Rows by their ids, and how long to go on with them. */
export interface StepInput {
  readonly ids: readonly string[];
  readonly maxMs: number;
}

/** How far a step came: it dealt with the first `handled` rows, and changed some of them. */
export interface StepOutput {
  readonly handled: number;
  readonly changed: number;
}

/** Rows to be archived, if they still are as they were found. */
export interface ArchiveInput extends StepInput {
  readonly due: Due;
  readonly reason: string;
}

/** Archives what is still live and still due; nothing is deleted. */
export const archive = writes<ArchiveInput, StepOutput>((tx, scope, input) =>
  inStep(tx, scope, input, async (entity) => {
    const lasting = entity.alwaysOn || entity.verified;
    if (entity.archived || !isDue({ ...entity, lasting }, input.due, tx.nowMs)) return false;
    return tx.revise(scope, entity, { archived: true, archiveReason: input.reason });
  }),
);

/** Erases rows that are still archived; see `Writer.purge`. */
export const purge = writes<StepInput, StepOutput>((tx, scope, input) =>
  inStep(tx, scope, input, async (entity) => {
    if (!entity.archived) return false;
    await tx.purge(scope, entity);
    return true;
  }),
);

/** One row after the other, as long as there is time; at least one. */
async function inStep(
  tx: Writer,
  scope: Scope,
  { ids, maxMs }: StepInput,
  change: (entity: Entity) => Promise<boolean>,
): Promise<StepOutput> {
  const untilMs = monotonicMs() + maxMs;
  let handled = 0;
  let changed = 0;
  for (const id of ids) {
    const entity = await tx.entityById(scope, id);
    if (entity !== undefined && mayWrite(scope, entity.workspace) && (await change(entity))) changed += 1;
    handled += 1;
    if (monotonicMs() > untilMs) break;
  }
  return { handled, changed };
}

/** Erases what purged rows left behind, one step at a time: after the first, `stage` is what the step before answered. */
export const erase = writes<{ readonly stage: EraseStage }, EraseStage | null>(async (tx, scope, { stage }) => {
  requireOwner(scope);
  return tx.eraseLeftovers(stage);
});

/** Counts references that lead nowhere, one bounded stretch at a time. */
export const orphans = reads<{ readonly after: number }, Stretch<Orphans>>('scan', async (tx, scope, { after }) =>
  tx.orphans(scope, after),
);

/** How to make the text index anew: from behind a body on for about so long, or all of it in one transaction. */
export type ReindexInput = { readonly after: number; readonly maxMs: number } | { readonly whole: true };

/** Makes the text index anew, one step at a time; see `Writer.reindex`. */
export const reindex = writes<ReindexInput, Reindexed>(async (tx, scope, input) => {
  requireOwner(scope);
  return tx.reindex('whole' in input ? 'whole' : input);
});

/** Gives free pages back to the file system; see `Exclusive.vacuum`. */
export const vacuum = runsAlone<NoInput, Vacuumed>(async (store, scope) => {
  requireOwner(scope);
  return store.vacuum();
});
