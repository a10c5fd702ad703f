import type { Scope } from '../memory/types.ts';
import { cohere, cohereRelated, cohereSurvey } from './coherence.ts';
import { context } from './context.ts';
import { embeddingNext, embeddingOpen, embeddingPut, embeddingStatus, embeddingTexts } from './embedding.ts';
import { forget, getEntity, remember, rememberMany } from './entities.ts';
import { ingestKnown, ingestLink, ingestPut } from './ingest.ts';
import { exportLines, exportOriginal } from './exporting.ts';
import { journal, timeline } from './journal.ts';
import { conflicts, score, supersede } from './judging.ts';
import { bench, correct, synthesize } from './lessons.ts';
import { link, traverse, unlink } from './links.ts';
import { migrateRead, migrateWrite } from './migrating.ts';
import type { CallOptions } from './operation.ts';
import { recall, recallMany } from './recall.ts';
import { recallWhen } from './recall-when.ts';
import { federate, share, workspaceList } from './spaces.ts';
import { stateDelete, stateGet, stateList, stateSet } from './state.ts';
import { examine, health, probeWrite, stats } from './status.ts';
import { archive, erase, orphans, purge, reindex, survey, vacuum } from './upkeep.ts';
import { vaultMeant, vaultPage, vaultStanding, vaultTake } from './vault.ts';

/** Everything the server can do. How and where each runs stands in its own row. */
export const OPERATIONS = Object.freeze({
  remember,
  remember_many: rememberMany,
  recall,
  recall_many: recallMany,
  context,
  get_entity: getEntity,
  forget,
  link,
  unlink,
  traverse,
  journal,
  timeline,
  state_set: stateSet,
  state_get: stateGet,
  state_delete: stateDelete,
  state_list: stateList,
  health,
  stats,
  examine,
  probe_write: probeWrite,
  embedding_open: embeddingOpen,
  embedding_next: embeddingNext,
  embedding_put: embeddingPut,
  embedding_texts: embeddingTexts,
  embedding_status: embeddingStatus,
  score,
  conflicts,
  supersede,
  correct,
  bench,
  synthesize,
  share,
  workspace_list: workspaceList,
  recall_when: recallWhen,
  cohere_survey: cohereSurvey,
  cohere_related: cohereRelated,
  cohere,
  survey,
  archive,
  purge,
  erase,
  orphans,
  reindex,
  vacuum,
  vault_page: vaultPage,
  vault_standing: vaultStanding,
  vault_meant: vaultMeant,
  vault_take: vaultTake,
  federate,
  ingest_known: ingestKnown,
  ingest_put: ingestPut,
  ingest_link: ingestLink,
  migrate_read: migrateRead,
  migrate_write: migrateWrite,
  export_original: exportOriginal,
  export_lines: exportLines,
});

/** Name of an operation. */
export type OperationName = keyof typeof OPERATIONS;

/** What an operation is told; can be cloned to another thread. */
export type InputOf<N extends OperationName> = Parameters<(typeof OPERATIONS)[N]['run']>[2];

/** What an operation answers; can be cloned to another thread, and a write's answer is plain JSON. */
export type OutputOf<N extends OperationName> = Awaited<ReturnType<(typeof OPERATIONS)[N]['run']>>;

/** Runs an operation where its connection is, and rejects with a `MimirError`. */
export type Execute = <N extends OperationName>(
  name: N,
  scope: Scope,
  input: InputOf<N>,
  options?: CallOptions,
) => Promise<OutputOf<N>>;
