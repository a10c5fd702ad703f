import { z } from 'zod';
import { MimirError } from '../errors.ts';
import { defineTool, optionsOf, READS, scopeOf, type ServerFacts } from './define.ts';
import type { Caller } from './types.ts';

/** The server's facts as far as the caller may know them: a path tells about the machine. */
function factsFor(caller: Caller, { dbPath, encrypted, version }: ServerFacts): Record<string, unknown> {
  return { ...(caller.principal.kind === 'owner' && { db_path: dbPath }), encrypted, version };
}

/** Says whether the store answers. */
export const health = defineTool({
  name: 'mimir_health',
  title: 'Health',
  description: 'Use to check that the memory answers.',
  input: z.object({}),
  annotations: READS,
  profile: 'all',
  operation: 'health',
  run: async (_args, caller, { execute, facts }) => {
    try {
      await execute('health', scopeOf(caller, undefined), {}, optionsOf(caller));
    } catch (error) {
      if (!(error instanceof MimirError) || error.code === 'bug') throw error;
      const { code, message, hint, retryAfterMs } = error;
      throw new MimirError(code, message, {
        ...(hint !== undefined && { hint }),
        ...(retryAfterMs !== undefined && { retryAfterMs }),
        facts: { ...error.facts, status: 'unhealthy' },
      });
    }
    return JSON.stringify({ status: 'healthy', ...factsFor(caller, facts) });
  },
});

/** Counts what is stored. */
export const stats = defineTool({
  name: 'mimir_stats',
  title: 'Statistics',
  description: 'Use to see how much is stored, by category, type and layer; forgotten memories are counted.',
  input: z.object({}),
  annotations: READS,
  profile: 'core',
  operation: 'stats',
  run: async (_args, caller, { execute, usage, facts }) => {
    const counts = await execute('stats', scopeOf(caller, undefined), { noted: usage.noted() }, optionsOf(caller));
    return JSON.stringify({
      total_entities: counts.entities,
      by_category: counts.byCategory,
      by_type: counts.byType,
      by_layer: counts.byLayer,
      total_journal_events: counts.journal,
      total_state_entries: counts.state,
      db_file_size_bytes: counts.bytes,
      oldest_unix_ms: counts.oldestMs,
      newest_unix_ms: counts.newestMs,
      ...factsFor(caller, facts),
    });
  },
});
