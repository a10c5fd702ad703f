import { sortedJson } from '../memory/json.ts';
import type { Entity, NewEntity, Scope, SimilarEntity } from '../memory/types.ts';
import type { Lesson } from '../provider/prompts.ts';
import type { Writer } from '../storage/store.ts';
import { agentOf, homeOf, requireWrite } from './lookup.ts';
import { writes } from './operation.ts';

/** What went wrong, what is right, and when it matters. */
export interface CorrectInput {
  readonly wrongApproach: string;
  readonly userCorrection: string;
  readonly taskContext: string;
  readonly sessionId: string;
  readonly tags: readonly string[];
  readonly category: string;
  readonly visibility: string;
}

/** The memory and the journal entry that were made. */
export interface CorrectOutput {
  readonly entityId: string;
  readonly journalId: string;
  readonly key: string;
  readonly createdAtMs: number;
  /** Rows that are nearly the same: it may have been said before. Only when there are any. */
  readonly similar?: readonly SimilarEntity[];
}

/** Stores a correction as a memory that is certain, and notes it in the journal. Each is a row of its own. */
export const correct = writes<CorrectInput, CorrectOutput>(async (tx, scope, input) => {
  const { wrongApproach, userCorrection, taskContext, sessionId, tags, category, visibility } = input;
  const entity = await record(tx, scope, ['cor-', 'correction-'], {
    category,
    bodyJson: sortedJson({
      wrong_approach: wrongApproach,
      user_correction: userCorrection,
      task_context: taskContext,
      session_id: sessionId,
      lesson: `When ${taskContext}: do NOT ${wrongApproach}. Instead: ${userCorrection}`,
    }),
    type: 'correction',
    tags,
    importance: 1,
    certainty: 1,
    source: 'mimir_correct',
    visibility,
  });
  const journalId = tx.newId('jrn-');
  await tx.appendJournal(scope, {
    id: journalId,
    eventType: 'correction',
    evaluatedJson: sortedJson({ wrong_approach: wrongApproach }),
    actedJson: sortedJson({ user_correction: userCorrection }),
    forwardJson: sortedJson({ lesson_learned: true, task_context: taskContext }),
    workspace: entity.workspace,
    category,
    key: entity.key,
    entityId: entity.id,
    agentId: entity.agentId,
    createdAtMs: tx.nowMs,
  });
  const similar = await tx.similar(scope, entity);
  return {
    entityId: entity.id,
    journalId,
    key: entity.key,
    createdAtMs: entity.createdAtMs,
    ...(similar.length > 0 && { similar }),
  };
});

/** What a task took. */
export interface BenchInput {
  readonly taskDescription: string;
  readonly turnsTaken: number;
  readonly tokensUsed: number;
  readonly memoryRecallUsed: boolean;
  readonly recallCount: number;
  readonly taskSuccess: boolean;
  readonly sessionId: string;
  readonly tags: readonly string[];
}

/** The memory that was made. */
export interface BenchOutput {
  readonly entityId: string;
  readonly createdAtMs: number;
}

/** Writes down what a task took, as a memory of its own; it measures nothing itself. */
export const bench = writes<BenchInput, BenchOutput>(async (tx, scope, input) => {
  const { turnsTaken, tokensUsed } = input;
  const { id, createdAtMs } = await record(tx, scope, ['bch-', 'bench-'], {
    category: 'benchmark',
    bodyJson: sortedJson({
      task_description: input.taskDescription,
      turns_taken: turnsTaken,
      tokens_used: tokensUsed,
      // The original divides integers.
      tokens_per_turn: turnsTaken > 0 ? Math.trunc(tokensUsed / turnsTaken) : 0,
      memory_recall_used: input.memoryRecallUsed,
      recall_count: input.recallCount,
      task_success: input.taskSuccess,
      session_id: input.sessionId,
    }),
    type: 'benchmark',
    tags: input.tags,
    importance: 0.5,
    certainty: 0.5,
    source: 'mimir_bench',
    visibility: 'workspace',
  });
  return { entityId: id, createdAtMs };
});

/** What a session has taught, and which session that was. */
export interface SynthesizeInput {
  readonly lessons: readonly Lesson[];
  readonly sessionId: string;
  /** Of the record that they were drawn from, in UTF-8. */
  readonly contentBytes: number;
  readonly tags: readonly string[];
  readonly visibility: string;
}

/** The memories and the journal entry that were made. */
export interface SynthesizeOutput {
  /** One for each lesson, in their order; with the rows that are nearly the same: it may have been learned before. */
  readonly made: readonly { readonly id: string; readonly similar?: readonly SimilarEntity[] }[];
  readonly journalId: string;
  readonly createdAtMs: number;
}

/** Stores lessons, each as a memory of its own, and notes in the journal that they were drawn; without any, only that. */
export const synthesize = writes<SynthesizeInput, SynthesizeOutput>(async (tx, scope, input) => {
  const { lessons, sessionId, contentBytes, tags, visibility } = input;
  const workspace = homeOf(scope);
  requireWrite(scope, workspace);
  const made: { id: string; similar?: readonly SimilarEntity[] }[] = [];
  for (const { type, summary, evidence, confidence } of lessons) {
    const source = 'mimir_synthesize';
    const entity = await record(tx, scope, ['syn-', `${type}-`], {
      category: 'synthesis',
      bodyJson: sortedJson({ lesson_type: type, summary, evidence, confidence, session_id: sessionId, source }),
      type: 'lesson',
      tags,
      importance: confidence,
      certainty: confidence,
      source,
      visibility,
    });
    const similar = await tx.similar(scope, entity);
    made.push({ id: entity.id, ...(similar.length > 0 && { similar }) });
  }
  const journalId = tx.newId('jrn-');
  await tx.appendJournal(scope, {
    id: journalId,
    eventType: 'synthesis',
    evaluatedJson: sortedJson({ content_length: contentBytes, session_id: sessionId }),
    actedJson: sortedJson({ entities_created: made.length, lessons_found: lessons.length }),
    forwardJson: sortedJson({ lesson_types: lessons.map(({ type }) => type) }),
    workspace,
    category: 'synthesis',
    key: `session-${sessionId}`,
    entityId: '',
    agentId: agentOf(scope, undefined) ?? '',
    createdAtMs: tx.nowMs,
  });
  return { made, journalId, createdAtMs: tx.nowMs };
});

type Recorded = Pick<
  NewEntity,
  'category' | 'bodyJson' | 'type' | 'tags' | 'importance' | 'certainty' | 'source' | 'visibility'
>;

/** A new memory whose key the server makes; the prefixes are those of its id and of its key. */
async function record(
  tx: Writer,
  scope: Scope,
  [idPrefix, keyPrefix]: readonly [string, string],
  fields: Recorded,
): Promise<Entity> {
  const workspace = homeOf(scope);
  requireWrite(scope, workspace);
  const id = tx.newId(idPrefix);
  return tx.create(scope, {
    ...fields,
    id,
    workspace,
    key: keyPrefix + id.slice(idPrefix.length),
    status: 'active',
    layer: 'working',
    topicPath: '',
    archived: false,
    archiveReason: '',
    verified: false,
    alwaysOn: false,
    agentId: agentOf(scope, undefined) ?? '',
  });
}
