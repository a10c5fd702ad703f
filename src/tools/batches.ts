import { z } from 'zod';
import { LIMITS } from '../limits.ts';
import { headOfChars } from '../memory/item.ts';
import { ADDS, defineTool, optionsOf, READS, scopeOf } from './define.ts';
import { clamped, filter, idempotencyKey, name, objects, RULES, workspaceHash } from './fields.ts';
import { meaningsOf } from './meaning.ts';
import { MEMORY, momentOf, toMemory, triggerMembers } from './memories.ts';
import { emptyMembers, renderRecall } from './render.ts';

/** Stores many memories at once. */
export const rememberMany = defineTool({
  name: 'mimir_remember_many',
  title: 'Remember many',
  description: 'Use when several things are worth knowing later: one transaction, a result for each in order.',
  input: z.object({
    memories: objects('Each as for mimir_remember.', LIMITS.rememberManyMax, z.object(MEMORY)),
    workspace_hash: workspaceHash,
    idempotency_key: idempotencyKey,
  }),
  about:
    'Stores up to 500 memories in one transaction, with a result for each in order; one that is refused keeps ' +
    'no other from being stored.',
  example: {
    memories: [
      { category: 'note', key: 'a', body_json: '"the staging host is heron"' },
      { category: 'note', key: 'b', body_json: '"the production host is egret"' },
    ],
  },
  annotations: ADDS,
  profile: 'all',
  operation: 'remember_many',
  run: async (args, caller, { execute }) => {
    const memories = args.memories.map((memory) => toMemory(memory, caller));
    const done = await execute(
      'remember_many',
      scopeOf(caller, args.workspace_hash),
      { memories },
      optionsOf(caller, args.idempotency_key),
    );
    const results = done.map((one, i) => {
      const memory = memories[i];
      const { category, key } = memory ?? { category: '', key: '' };
      if ('refused' in one) return { error: one.refused.message, code: one.refused.code, category, key };
      return {
        id: one.id,
        action: one.action,
        category,
        key,
        ...(one.similar !== undefined && { similar: one.similar }),
        ...(memory !== undefined && triggerMembers(memory)),
      };
    });
    return JSON.stringify({ results, stored: done.filter((one) => !('refused' in one)).length });
  },
});

/** Finds memories for several questions at once. */
export const recallMany = defineTool({
  name: 'mimir_recall_many',
  title: 'Recall for several questions',
  description: 'Use when a task raises several questions at once: a result for each in order.',
  input: z.object({
    queries: z
      .array(z.string())
      .describe('Each as for mimir_recall.')
      .register(RULES, { itemsMax: LIMITS.recallManyMax, maxBytes: LIMITS.bodyJsonMaxBytes }),
    category: filter('Only this category.'),
    limit: clamped('Hits for each, at most 100.', 0, 100).default(5),
    workspace_hash: name('Only this workspace, "" too.').optional(),
    now: filter('As for mimir_recall.'),
  }),
  about: 'Answers up to 32 questions from one snapshot of the store, each as `mimir_recall` would.',
  example: { queries: ['which host is staging?', 'which host is production?'], limit: 3 },
  annotations: READS,
  profile: 'all',
  operation: 'recall_many',
  run: async ({ queries, category, limit, workspace_hash: workspace, now }, caller, deps) => {
    const { execute, usage, clock, meaning } = deps;
    const filters = category === undefined ? {} : { category };
    const at = now === undefined ? {} : { nowMs: momentOf('recall_many', now) };
    const meanings = await meaningsOf(meaning, queries, undefined);
    const asked = queries.map((query, i) => {
      const meant = meanings.meant[i];
      return { query, filters, limit, offset: 0, minDecay: 0, ...at, ...(meant !== undefined && { meaning: meant }) };
    });
    const found = await execute('recall_many', scopeOf(caller, workspace), { asked }, optionsOf(caller));
    const nowMs = clock.nowMs();
    const rendered = found.map((one, i) =>
      renderRecall(one, usage, nowMs, {
        query: headOfChars(queries[i] ?? '', LIMITS.queryMaxChars),
        ...meanings.members(one.agreement !== undefined),
        ...emptyMembers(one, 0, meaning?.behind),
      }),
    );
    // Each counts as one use, however many questions brought it up.
    usage.note(new Map(rendered.flatMap(({ rows }) => [...rows])), nowMs);
    return `{"results":[${rendered.map(({ json }) => json).join(',')}]}`;
  },
});
