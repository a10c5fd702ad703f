import { z } from 'zod';
import { LIMITS } from '../limits.ts';
import { defineTool, optionsOf, READS, REMOVES, scopeOf } from './define.ts';
import { idempotencyKey, name, RULES, text } from './fields.ts';

const where = name('Default "".').optional();

/** Sets a key. */
export const stateSet = defineTool({
  name: 'mimir_state_set',
  title: 'Set a state key',
  description:
    'Use for a small working value that is looked up by its exact key and may expire; not searchable. Replaces an older value.',
  input: z.object({
    key: name('Its name.'),
    value_json: text('The value, best as JSON text.', { maxBytes: LIMITS.stateValueMaxBytes, alias: 'value' }),
    ttl_seconds: z
      .int()
      .describe('Expires after this; absent: never.')
      .register(RULES, { roundUp: true, alias: 'ttl' })
      .optional(),
    workspace_hash: where,
    idempotency_key: idempotencyKey,
  }),
  about:
    'Keeps a small value under a key, for as long as it is told: a cursor, a lock, what an agent is doing now. ' +
    'It is not searched; memories are.',
  example: { key: 'crawler/cursor', value_json: '{"page":17}', ttl_seconds: 3600 },
  annotations: REMOVES,
  profile: 'all',
  operation: 'state_set',
  run: async ({ key, value_json: valueJson, ttl_seconds: ttlSeconds, ...rest }, caller, { execute }) => {
    const input = { key, valueJson, ...(ttlSeconds !== undefined && { ttlSeconds }) };
    const { expiresAtMs } = await execute(
      'state_set',
      scopeOf(caller, rest.workspace_hash),
      input,
      optionsOf(caller, rest.idempotency_key),
    );
    return JSON.stringify({ key, ttl_seconds: ttlSeconds ?? null, expires_at_unix_ms: expiresAtMs });
  },
});

/** Reads a key. */
export const stateGet = defineTool({
  name: 'mimir_state_get',
  title: 'Get a state key',
  description: 'Use to read a value that mimir_state_set stored.',
  input: z.object({ key: name('Its name.'), workspace_hash: where }),
  about: 'Reads a value; one that has expired is not there.',
  example: { key: 'crawler/cursor' },
  annotations: READS,
  profile: 'all',
  operation: 'state_get',
  run: async ({ key, workspace_hash: workspace }, caller, { execute }) => {
    const { entry } = await execute('state_get', scopeOf(caller, workspace), { key }, optionsOf(caller));
    if (entry === null) return JSON.stringify({ found: false, key });
    const { valueJson, expiresAtMs, createdAtMs } = entry;
    return JSON.stringify({
      found: true,
      key,
      value: valueJson,
      expires_at_unix_ms: expiresAtMs,
      created_at_unix_ms: createdAtMs,
    });
  },
});

/** Deletes a key. */
export const stateDelete = defineTool({
  name: 'mimir_state_delete',
  title: 'Delete a state key',
  description: 'Use when a state value is no longer needed.',
  input: z.object({ key: name('Its name.'), workspace_hash: where, idempotency_key: idempotencyKey }),
  about: 'Deletes a value, and says whether it was there.',
  example: { key: 'crawler/cursor' },
  annotations: REMOVES,
  profile: 'all',
  operation: 'state_delete',
  run: async ({ key, workspace_hash: workspace, idempotency_key: retryKey }, caller, { execute }) => {
    const { found } = await execute('state_delete', scopeOf(caller, workspace), { key }, optionsOf(caller, retryKey));
    return JSON.stringify({ found, key });
  },
});

/** Lists keys. */
export const stateList = defineTool({
  name: 'mimir_state_list',
  title: 'List state keys',
  description: 'Use to see which state keys exist.',
  input: z.object({
    prefix: name('Only keys that begin so.').default(''),
    workspace_hash: name('Only this workspace.').optional(),
  }),
  about: 'Lists the keys that begin with a text, in order.',
  example: { prefix: 'crawler/' },
  annotations: READS,
  profile: 'all',
  operation: 'state_list',
  run: async ({ prefix, workspace_hash: workspace }, caller, { execute }) => {
    const { keys, total } = await execute('state_list', scopeOf(caller, workspace), { prefix }, optionsOf(caller));
    return JSON.stringify({ keys, total, ...(keys.length < total && { truncated: true }) });
  },
});
