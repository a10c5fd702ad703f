import { z } from 'zod';
import { LIMITS } from '../limits.ts';
import { sortedJson } from '../memory/json.ts';
import type { TimelineFilter } from '../memory/types.ts';
import { ADDS, defineTool, optionsOf, READS, scopeOf } from './define.ts';
import { anyJson, clamped, filter, idempotencyKey, name } from './fields.ts';
import { journalMembers } from './render.ts';

/** The range of times that a date can name. */
const TIME_MAX_MS = 8_640_000_000_000_000;

/** Writes an event down. */
export const journal = defineTool({
  name: 'mimir_journal',
  title: 'Write to the journal',
  description: 'Use to record what was weighed, done and left to do, when the course of events matters.',
  input: z.object({
    event_type: name('e.g. decision.').default('decision'),
    evaluated: anyJson('What was considered.', LIMITS.journalFieldMaxBytes).optional(),
    acted: anyJson('What was done.', LIMITS.journalFieldMaxBytes).optional(),
    forward: anyJson('What comes next.', LIMITS.journalFieldMaxBytes).optional(),
    category: name('Category it is about.').default(''),
    key: name('Key it is about.').default(''),
    entity_id: name('Id it is about.').default(''),
    agent_id: name('Who acted.').default(''),
    workspace_hash: name('Default "".').optional(),
    idempotency_key: idempotencyKey,
  }),
  about:
    'Notes an event: what was evaluated, what was done, and what should be done next. Entries are never ' +
    'changed; `mimir_timeline` reads them.',
  example: {
    event_type: 'decision',
    evaluated: { options: ['sqlite', 'postgres'] },
    acted: { chosen: 'sqlite' },
    category: 'decision',
    key: 'use-sqlite',
  },
  annotations: ADDS,
  profile: 'all',
  operation: 'journal',
  run: async (args, caller, { execute }) => {
    const { id, createdAtMs } = await execute(
      'journal',
      scopeOf(caller, args.workspace_hash),
      {
        eventType: args.event_type,
        evaluatedJson: sortedJson(args.evaluated ?? null),
        actedJson: sortedJson(args.acted ?? null),
        forwardJson: sortedJson(args.forward ?? null),
        category: args.category,
        key: args.key,
        entityId: args.entity_id,
        agentId: args.agent_id,
      },
      optionsOf(caller, args.idempotency_key),
    );
    return JSON.stringify({ id, event_type: args.event_type, created_at_unix_ms: createdAtMs });
  },
});

/** Reads the journal. */
export const timeline = defineTool({
  name: 'mimir_timeline',
  title: 'Read the journal',
  description: 'Use to see what happened and when: journal entries, newest first.',
  input: z.object({
    from_ms: clamped('Earliest, Unix ms.', -TIME_MAX_MS, TIME_MAX_MS).optional(),
    to_ms: clamped('Latest, Unix ms.', -TIME_MAX_MS, TIME_MAX_MS).optional(),
    event_type: filter('Only this type.'),
    category: filter('Only this category.'),
    entity_id: filter('Only about this id.'),
    limit: clamped(`At most ${LIMITS.timelineLimitMax}.`, 0, LIMITS.timelineLimitMax).default(50),
    offset: clamped('Entries to skip.', 0, LIMITS.offsetMax).default(0),
    workspace_hash: name('Only this workspace.').optional(),
  }),
  about: 'Reads the journal, newest first, narrowed by time, kind, category or memory.',
  example: { event_type: 'decision', limit: 20 },
  annotations: READS,
  profile: 'all',
  operation: 'timeline',
  run: async (args, caller, { execute }) => {
    const timeFilter: TimelineFilter = {
      ...(args.from_ms !== undefined && { fromMs: args.from_ms }),
      ...(args.to_ms !== undefined && { toMs: args.to_ms }),
      ...(args.event_type !== undefined && { eventType: args.event_type }),
      ...(args.category !== undefined && { category: args.category }),
      ...(args.entity_id !== undefined && { entityId: args.entity_id }),
    };
    const { limit, offset } = args;
    const found = await execute(
      'timeline',
      scopeOf(caller, args.workspace_hash),
      { filter: timeFilter, limit, offset },
      optionsOf(caller),
    );
    const items = found.entries.map(journalMembers);
    return JSON.stringify({
      items,
      total: items.length,
      ...(found.nextOffset !== undefined && { next_offset: found.nextOffset }),
    });
  },
});
