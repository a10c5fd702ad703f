import { z } from 'zod';
import { LIMITS } from '../limits.ts';
import { ADDS, defineTool, optionsOf, scopeOf } from './define.ts';
import { filter, flag, idempotencyKey, names, text, workspaceHash } from './fields.ts';

const prose = (description: string): z.ZodString => text(description, { maxBytes: LIMITS.lessonTextMaxBytes });

/** Keeps what a user corrected. */
export const correct = defineTool({
  name: 'mimir_correct',
  title: 'Correct',
  description: 'Use when the user corrects you.',
  input: z.object({
    wrong_approach: prose('Mistake.'),
    user_correction: prose('What is right.'),
    task_context: prose('When it matters.'),
    session_id: filter('Session.'),
    tags: names('Tags.', LIMITS.tagsMax).optional(),
    category: filter('Default correction.'),
    visibility: filter('Default workspace.'),
    workspace_hash: workspaceHash,
    idempotency_key: idempotencyKey,
  }),
  about:
    'Keeps what a user corrected as a memory that is certain, with when it matters, and notes it in the ' + 'journal.',
  example: {
    wrong_approach: 'push to main',
    user_correction: 'open a pull request',
    task_context: 'a change is ready',
  },
  annotations: ADDS,
  profile: 'core',
  operation: 'correct',
  run: async (args, caller, { execute }) => {
    const { category = 'correction', visibility = 'workspace', tags = [] } = args;
    const made = await execute(
      'correct',
      scopeOf(caller, args.workspace_hash),
      {
        wrongApproach: args.wrong_approach,
        userCorrection: args.user_correction,
        taskContext: args.task_context,
        sessionId: args.session_id ?? '',
        tags,
        category,
        visibility,
      },
      optionsOf(caller, args.idempotency_key),
    );
    return JSON.stringify({
      entity_id: made.entityId,
      journal_id: made.journalId,
      category,
      key: made.key,
      created_at_unix_ms: made.createdAtMs,
      ...(made.similar !== undefined && { similar: made.similar }),
    });
  },
});

const count = (description: string): z.ZodInt => z.int().describe(description);

/** Writes down what a task took. */
export const bench = defineTool({
  name: 'mimir_bench',
  title: 'Record a benchmark',
  description:
    'Use after a task to note what it took, to compare work with and without recall. Measures nothing itself.',
  input: z.object({
    task_description: prose('What was done.'),
    turns_taken: count('Turns it took.'),
    tokens_used: count('Tokens it took.'),
    memory_recall_used: flag('Whether recall was used.'),
    recall_count: count('How often.').optional(),
    task_success: flag('Whether it succeeded.').optional(),
    session_id: filter('Session.'),
    tags: names('Tags.', LIMITS.tagsMax).optional(),
    workspace_hash: workspaceHash,
    idempotency_key: idempotencyKey,
  }),
  about:
    'Notes what a task took, as a memory of the category `benchmark`, so that work with and without recall can ' +
    'be compared. It measures nothing itself.',
  example: {
    task_description: 'fix the flaky test',
    turns_taken: 6,
    tokens_used: 12000,
    memory_recall_used: true,
    recall_count: 2,
    task_success: true,
  },
  annotations: ADDS,
  profile: 'all',
  operation: 'bench',
  run: async (args, caller, { execute }) => {
    const { entityId, createdAtMs } = await execute(
      'bench',
      scopeOf(caller, args.workspace_hash),
      {
        taskDescription: args.task_description,
        turnsTaken: args.turns_taken,
        tokensUsed: args.tokens_used,
        memoryRecallUsed: args.memory_recall_used,
        recallCount: args.recall_count ?? 0,
        taskSuccess: args.task_success ?? false,
        sessionId: args.session_id ?? '',
        tags: args.tags ?? [],
      },
      optionsOf(caller, args.idempotency_key),
    );
    return JSON.stringify({ entity_id: entityId, created_at_unix_ms: createdAtMs });
  },
});
