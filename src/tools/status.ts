import { z } from 'zod';
import { errorToData, MimirError } from '../errors.ts';
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
  about: 'Says whether the store answers, which file it is, and whether it is encrypted.',
  example: {},
  annotations: READS,
  profile: 'all',
  operation: 'health',
  run: async (_args, caller, { execute, facts }) => {
    try {
      await execute('health', scopeOf(caller, undefined), {}, optionsOf(caller));
    } catch (error) {
      if (!(error instanceof MimirError) || error.code === 'bug') throw error;
      const { code, message, extras } = errorToData(error);
      throw new MimirError(code, message, { ...extras, facts: { ...extras.facts, status: 'unhealthy' } });
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
  about:
    'Counts memories by category, type and layer, journal entries and values, and the size of the file; with ' +
    'an embedding model, how far embedding has come.',
  example: {},
  annotations: READS,
  profile: 'core',
  operation: 'stats',
  run: async (_args, caller, { execute, usage, facts, meaning }) => {
    const scope = scopeOf(caller, undefined);
    const counts = await execute('stats', scope, { noted: usage.noted() }, optionsOf(caller));
    const vectors = meaning === undefined ? null : await execute('embedding_status', scope, {}, optionsOf(caller));
    return JSON.stringify({
      total_entities: counts.entities,
      by_category: counts.byCategory,
      by_type: counts.byType,
      by_layer: counts.byLayer,
      ...(counts.left !== undefined && { not_shown: counts.left }),
      total_journal_events: counts.journal,
      total_state_entries: counts.state,
      db_file_size_bytes: counts.bytes,
      oldest_unix_ms: counts.oldestMs,
      newest_unix_ms: counts.newestMs,
      ...(vectors !== null && {
        embedding: {
          model: vectors.model,
          dimensions: vectors.dimensions,
          embedded: vectors.embedded,
          waiting: vectors.waiting,
        },
      }),
      ...factsFor(caller, facts),
    });
  },
});

/** Computes the whole store again. */
export const verify = defineTool({
  name: 'mimir_verify',
  title: 'Verify the store',
  description: 'Use when a disk or a backup is in doubt: is what is stored still what was written?',
  about:
    'Reads the whole store and computes its hash chain, its indexes and its references again, from one snapshot and without ' +
    'stopping writers. It is for the owner of the store, and takes a second for some ten thousand memories.',
  example: {},
  input: z.object({}),
  annotations: READS,
  profile: 'all',
  operation: 'examine',
  run: async (_args, caller, { execute }) => {
    const found = await execute('examine', scopeOf(caller, undefined), {}, optionsOf(caller));
    const { problems, problemCount, operations, indexIsCurrent } = found;
    return JSON.stringify({
      ok: problemCount === 0,
      operations,
      problems,
      problem_count: problemCount,
      index_is_current: indexIsCurrent,
    });
  },
});
