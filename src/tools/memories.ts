import { z } from 'zod';
import { LIMITS } from '../limits.ts';
import type { RememberInput } from '../engine/entities.ts';
import { isObjectText } from '../memory/json.ts';
import type { Filters } from '../memory/types.ts';
import { ADDS, defineTool, optionsOf, READS, REMOVES, scopeOf } from './define.ts';
import {
  clamped,
  filter,
  flag,
  idempotencyKey,
  name,
  names,
  number,
  RULES,
  text,
  withoutEffect,
  workspaceHash,
} from './fields.ts';
import { invalidArgument } from './input.ts';
import { meaningsOf } from './meaning.ts';
import { emptyMembers, renderContext, renderEntity, renderRecall } from './render.ts';
import type { Caller } from './types.ts';

/** What can be said of a memory. */
export const MEMORY = {
  category: name('Kind of memory, e.g. decision.'),
  key: name('Unique name within the category.'),
  body_json: text('The content as JSON text, e.g. {"content":"..."}.', {
    maxBytes: LIMITS.bodyJsonMaxBytes,
    json: true,
  }),
  status: name('Default active.').optional(),
  type: name('Default insight.').optional(),
  tags: names('Words to find it by.', LIMITS.tagsMax).optional(),
  importance: number('0 to 1, default 0.5.').optional(),
  topic_path: name('Path such as arch/storage.').optional(),
  agent_id: name('Agent it belongs to.').optional(),
  recall_when: names('Situations in which to recall it.', LIMITS.tagsMax).optional(),
  always_on: flag('Show in every context.').optional(),
  certainty: number('0 to 1, default 0.5.').optional(),
  visibility: name('private, workspace (default) or public.').optional(),
};

/** A memory as the operation wants it. */
export function toMemory(args: z.output<z.ZodObject<typeof MEMORY>>, { origin }: Caller): RememberInput {
  return {
    category: args.category,
    key: args.key,
    bodyJson: args.body_json,
    recallWhen: args.recall_when ?? [],
    ...(args.status !== undefined && { status: args.status }),
    ...(args.type !== undefined && { type: args.type }),
    ...(args.tags !== undefined && { tags: args.tags }),
    ...(args.importance !== undefined && { importance: args.importance }),
    ...(args.topic_path !== undefined && { topicPath: args.topic_path }),
    ...(args.agent_id !== undefined && { agentId: args.agent_id }),
    ...(args.always_on !== undefined && { alwaysOn: args.always_on }),
    ...(args.certainty !== undefined && { certainty: args.certainty }),
    ...(args.visibility !== undefined && { visibility: args.visibility }),
    ...(origin !== undefined && { origin }),
  };
}

/** Says so when triggers had no place; nothing otherwise. */
export function triggerMembers({ recallWhen, bodyJson }: RememberInput): { readonly hint?: string } {
  if (recallWhen.length === 0 || isObjectText(bodyJson)) return {};
  return { hint: '`recall_when` needs a body that is an object, such as {"content":"..."}: it was not kept.' };
}

/** Stores or changes a memory. */
export const remember = defineTool({
  name: 'mimir_remember',
  title: 'Remember',
  description:
    'Use when something is worth knowing in a later session: a decision, fact, preference or lesson. An existing category ' +
    'and key is updated and keeps what is left out. `similar` names near-duplicates.',
  input: z.object({ ...MEMORY, workspace_hash: workspaceHash, idempotency_key: idempotencyKey }),
  about:
    'Stores one memory. Workspace, category and key are its identity: a second call with the same three ' +
    'updates it, keeps every field that is left out, and adds a version, so nothing is lost. Nothing is ' +
    'merged: a new memory that is nearly the same as others of its category is stored, and the answer names ' +
    'them in `similar`. Conversations are handed over turn by turn (docs/conversations.md).',
  example: {
    category: 'decision',
    key: 'use-sqlite',
    body_json: '{"content":"We chose SQLite because one file is easy to back up"}',
    tags: ['storage'],
    importance: 0.8,
  },
  annotations: ADDS,
  profile: 'core',
  operation: 'remember',
  run: async (args, caller, { execute }) => {
    const { category, key } = args;
    const memory = toMemory(args, caller);
    const done = await execute(
      'remember',
      scopeOf(caller, args.workspace_hash),
      memory,
      optionsOf(caller, args.idempotency_key),
    );
    return JSON.stringify({
      id: done.id,
      action: done.action,
      category,
      key,
      ...(done.similar !== undefined && { similar: done.similar }),
      ...triggerMembers(memory),
    });
  },
});

const FIRST_MOMENT_MS = Date.parse('0001-01-01T00:00:00Z');
const LAST_MOMENT_MS = Date.parse('9999-12-31T23:59:59Z');

/** A moment as a client writes it, in Unix milliseconds. */
export function momentOf(tool: string, text: string): number {
  const ms = Date.parse(text);
  // What lies outside of four-digit years is a mistake, and no calendar below would take it.
  if (!(ms >= FIRST_MOMENT_MS && ms <= LAST_MOMENT_MS))
    throw invalidArgument(tool, 'now', 'is no date', 'an ISO 8601 date, such as 2026-03-01');
  return ms;
}

/** Finds memories. */
export const recall = defineTool({
  name: 'mimir_recall',
  title: 'Recall',
  description: 'Use before answering or deciding, to find what was stored about a subject. Most relevant first.',
  input: z.object({
    query: text('Words or a key; "" for the newest.', { maxBytes: LIMITS.bodyJsonMaxBytes }),
    category: filter('Only this category.'),
    type: filter('Only this type.'),
    limit: clamped(`At most ${LIMITS.recallLimitMax}.`, 0, LIMITS.recallLimitMax).default(10),
    offset: clamped('Hits to skip.', 0, LIMITS.offsetMax).default(0),
    min_decay: number('Leave out weaker ones, 0 to 1.').default(0),
    topic_path: filter('Only topics that begin so.'),
    mode: z
      .enum(['fts5', 'dense', 'hybrid'])
      .describe('fts5: by words. dense: by meaning. Default both, if a model is set.')
      .register(RULES, { emptyIsAbsent: true })
      .optional(),
    include_archived: flag('Forgotten ones too.').default(false),
    // Stemming is in the index and relevance is the order, so these three have nothing left to do.
    expansion: z
      .object({
        enabled: z.boolean().optional(),
        n_variants: z
          .int()
          .register(RULES, { clamp: [0, 1_000] })
          .optional(),
      })
      .describe('No effect: word forms always match.')
      .register(RULES, { unlisted: true })
      .optional(),
    preview_cap: clamped('Bytes of body_json to show of each.', -1, Number.MAX_SAFE_INTEGER).optional(),
    content_weight: withoutEffect(),
    trust_weight: number('Prefer verified and certain ones, 0 to 1.', [0, 1]).optional(),
    diversity_halving: withoutEffect(),
    workspace_hash: name('Only this workspace, "" too.').optional(),
    now: filter('ISO date that "yesterday" counts from.'),
    min_confidence: number('Hold back less likely hits, 0 to 1.', [0, 1]).optional(),
    explain: flag('Say of each hit why it came.').optional(),
    agent_id: name('Only this agent, "" too.').optional(),
    always_on: flag('Only pinned (true) or others (false).').optional(),
  }),
  about:
    'Finds memories by words, and by meaning where a model is set; an empty query lists the newest. Each hit ' +
    'has a `confidence`; an empty answer says why it is empty (`reason`). Memories with equal bodies are one ' +
    'hit that names the others in `also`. Dates in the query are understood from `now` on.',
  example: { query: 'why did we choose SQLite?', limit: 5 },
  annotations: READS,
  profile: 'core',
  operation: 'recall',
  run: async (args, caller, { execute, usage, clock, meaning }) => {
    const filters: Filters = {
      ...(args.category !== undefined && { category: args.category }),
      ...(args.type !== undefined && { type: args.type }),
      ...(args.topic_path !== undefined && { topicPrefix: args.topic_path }),
      ...(args.agent_id !== undefined && { agentId: args.agent_id }),
      ...(args.always_on !== undefined && { alwaysOn: args.always_on }),
      ...(args.include_archived && { includeArchived: true }),
    };
    const { query, limit, offset, preview_cap: previewCap = -1 } = args;
    const meanings = await meaningsOf(meaning, [query], args.mode);
    const [meant] = meanings.meant;
    const found = await execute(
      'recall',
      scopeOf(caller, args.workspace_hash),
      {
        query,
        filters,
        limit,
        offset,
        minDecay: args.min_decay,
        ...(args.min_decay > 0 && { noted: usage.noted() }),
        ...(args.trust_weight !== undefined && { trustWeight: args.trust_weight }),
        ...(args.now !== undefined && { nowMs: momentOf('recall', args.now) }),
        ...(args.min_confidence !== undefined && { minConfidence: args.min_confidence }),
        ...(args.explain === true && { explain: true }),
        ...(previewCap >= 0 && { previewCap }),
        ...(meant !== undefined && { meaning: meant }),
      },
      optionsOf(caller),
    );
    meaning?.agreed(found.agreement);
    const nowMs = clock.nowMs();
    const rendered = renderRecall(found, usage, nowMs, {
      ...meanings.members(found.agreement !== undefined),
      // The original counts the queries that it ran: here one.
      ...(args.expansion?.enabled === true && { variants: 1 }),
      ...emptyMembers(found, offset, meaning?.behind),
    });
    usage.note(rendered.rows, nowMs);
    return rendered.json;
  },
});

/** Reads one memory. */
export const getEntity = defineTool({
  name: 'mimir_get_entity',
  title: 'Get one memory',
  description: 'Use when you have an id and need the whole memory, archived or not.',
  input: z.object({
    id: name('Id such as mem-0123456789ab.'),
    workspace_hash: name('Only in this workspace.').optional(),
  }),
  about: 'Reads one memory by its id, archived or not, with its links.',
  example: { id: 'mem-0123456789ab' },
  annotations: READS,
  profile: 'core',
  operation: 'get_entity',
  run: async ({ id, workspace_hash: workspace }, caller, { execute, usage, clock }) =>
    renderEntity(
      await execute('get_entity', scopeOf(caller, workspace), { id }, optionsOf(caller)),
      usage,
      clock.nowMs(),
    ),
});

/** Archives a memory. */
export const forget = defineTool({
  name: 'mimir_forget',
  title: 'Forget',
  description:
    'Use when a memory is wrong or no longer wanted. It is archived; remembering the key again brings it back.',
  input: z.object({
    category: name('Its category.'),
    key: name('Its key.'),
    reason: name('Why.').default(''),
    workspace_hash: name('Which one, if several have the key.').optional(),
    idempotency_key: idempotencyKey,
  }),
  about:
    'Archives a memory: recall and context leave it out from then on, `include_archived` shows it, and ' +
    'remembering its key again brings it back. `mimir_purge` erases.',
  example: { category: 'decision', key: 'use-sqlite', reason: 'we moved to PostgreSQL' },
  annotations: REMOVES,
  profile: 'core',
  operation: 'forget',
  run: async ({ category, key, reason, workspace_hash: workspace, idempotency_key: retryKey }, caller, { execute }) => {
    const { found } = await execute(
      'forget',
      scopeOf(caller, workspace),
      { category, key, reason },
      optionsOf(caller, retryKey),
    );
    return JSON.stringify({ found, category, key });
  },
});

/** Briefs an agent. */
export const context = defineTool({
  name: 'mimir_context',
  title: 'Briefing',
  description:
    'Use at the start of a session for a short briefing: pinned memories, then the newest, or what a query needs.',
  input: z.object({
    categories: names('Only these, in this order.', LIMITS.categoriesMax).optional(),
    limit: clamped('Lines per category.', 0, LIMITS.recallLimitMax).default(10),
    query: text('What the work is about: whole memories that matter for it.', {
      maxBytes: LIMITS.bodyJsonMaxBytes,
      emptyIsAbsent: true,
    }).optional(),
    max_tokens: clamped('Most tokens, 200 to 10000.', 200, 10_000).optional(),
    now: filter('As for mimir_recall.'),
    workspace_hash: name('Only this workspace.').optional(),
  }),
  about:
    'A briefing in Markdown for the beginning of a session: pinned memories, then the newest of each category. ' +
    'With `query` or `max_tokens` it has whole memories that fit a budget, in an order that does not change ' +
    'while they do not, so that a prompt can be cached.',
  example: { query: 'moving the database', max_tokens: 1000 },
  annotations: READS,
  profile: 'core',
  operation: 'context',
  run: async (args, caller, { execute, usage, clock, meaning }) => {
    const { categories = [], limit, query, max_tokens: maxTokens, now } = args;
    const [meant] = (await meaningsOf(meaning, query === undefined ? [] : [query], undefined)).meant;
    const gathered = await execute(
      'context',
      scopeOf(caller, args.workspace_hash),
      {
        categories,
        limit,
        ...(query !== undefined && { query }),
        ...(maxTokens !== undefined && { maxTokens }),
        ...(now !== undefined && { nowMs: momentOf('context', now) }),
        ...(meant !== undefined && { meaning: meant }),
      },
      optionsOf(caller),
    );
    const markdown = renderContext(gathered, usage, clock.nowMs());
    const quoted = JSON.stringify(markdown);
    const text = `{"markdown":${quoted},"total_chars":${Buffer.byteLength(markdown)}}`;
    // Some adapters of the original read `context`. A model that reads the text need not see it twice.
    return { json: `${text.slice(0, -1)},"context":${quoted}}`, text };
  },
});
