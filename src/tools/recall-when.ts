import { z } from 'zod';
import { LIMITS } from '../limits.ts';
import { defineTool, optionsOf, READS, scopeOf } from './define.ts';
import { clamped, name, text } from './fields.ts';
import { renderRecall } from './render.ts';

/** Finds memories by their triggers. */
export const recallWhen = defineTool({
  name: 'mimir_recall_when',
  title: 'Recall by situation',
  description: 'Use when a situation comes up, for memories stored with a `recall_when` that has a word of it.',
  input: z.object({
    context: text('The situation in words.', { maxBytes: LIMITS.bodyJsonMaxBytes }),
    limit: clamped(`At most ${LIMITS.recallWhenLimitMax}.`, 0, LIMITS.recallWhenLimitMax).default(10),
    workspace_hash: name('Only this workspace, "" too.').optional(),
  }),
  about:
    'Memories that were stored with `recall_when` come up when the situation has one of these words, in any ' +
    'form: for reminders that no search would ask for.',
  example: { context: 'the CI is red again', limit: 5 },
  annotations: READS,
  profile: 'all',
  operation: 'recall_when',
  run: async ({ context, limit, workspace_hash: workspace }, caller, { execute, usage, clock }) => {
    const found = await execute('recall_when', scopeOf(caller, workspace), { context, limit }, optionsOf(caller));
    // Being brought up is no use: as in the original, nothing is strengthened by it.
    return renderRecall(found, usage, clock.nowMs(), { context, ...(found.cut && { truncated: true }) }).json;
  },
});
