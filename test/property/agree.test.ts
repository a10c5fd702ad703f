import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';

import fc from 'fast-check';

import type { Clock } from '../../src/clock.ts';
import { OPERATIONS, type OperationName } from '../../src/engine/operations.ts';
import { errorToData } from '../../src/errors.ts';
import { canonicalJson } from '../../src/memory/canonical.ts';
import { OWNER } from '../../src/memory/scope.ts';
import type { Principal, Scope } from '../../src/memory/types.ts';
import {
  makeSharedMemory,
  openReader,
  openWriter,
  prepareStore,
  type StoreReader,
  type StoreWriter,
} from '../../src/storage/open.ts';
import type { Exclusive, Reader, Writer } from '../../src/storage/store.ts';
import { ModelStore } from '../support/model-store.ts';
import { temporaryFolder } from '../support/processes.ts';

type Run<Tx> = (tx: Tx, scope: Scope, input: unknown) => Promise<unknown>;

interface Step {
  readonly name: OperationName;
  readonly input: Record<string, unknown>;
  readonly workspace: string | null;
  readonly principal: Principal;
  readonly later: number;
}

const text = fc.array(
  fc.constantFrom('heron', 'staging', 'deploy', 'the', 'café', '東京', 'not', 'run', 'a:b', 'key_one'),
  {
    maxLength: 6,
  },
);
const category = fc.constantFrom('c', 'd', 'c:k');
const key = fc.constantFrom('k', 'k:k', 'ключ', 'heron');
const agentId = fc.constantFrom('me', 'other');
const optional = <T>(name: string, values: fc.Arbitrary<T>) =>
  fc.oneof(
    fc.constant({}),
    values.map((value) => ({ [name]: value })),
  );
const merged = (...parts: fc.Arbitrary<object>[]): fc.Arbitrary<Record<string, unknown>> =>
  fc.tuple(...parts).map((objects) => Object.assign({}, ...objects) as Record<string, unknown>);

/** Ids are random in each store; a step names one by its place among those seen so far. */
const someId = fc.nat(8).map((n) => `#${n}`);
const filters = merged(
  optional('category', category),
  optional('type', fc.constantFrom('insight', 'fact')),
  optional('includeArchived', fc.boolean()),
);

/** What makes a memory a turn of a conversation. */
const said = fc.record({
  speaker: fc.constantFrom('user', 'heron'),
  session: fc.constantFrom('s', 't'),
  turn: fc.integer({ min: 1, max: 4 }),
});
const memory = merged(
  fc.record({
    category,
    key,
    recallWhen: fc.constant([]),
    bodyJson: fc
      .tuple(text, fc.option(said, { freq: 1, nil: {} }))
      .map(([words, more]) => JSON.stringify({ content: words.join(' '), ...more })),
  }),
  optional(
    'tags',
    text.map((words) => words.slice(0, 2)),
  ),
  optional('type', fc.constantFrom('insight', 'fact')),
  optional('importance', fc.constantFrom(0.1, 0.9)),
  optional('alwaysOn', fc.boolean()),
  optional('visibility', fc.constantFrom('private', 'workspace', 'public')),
  optional('agentId', agentId),
);
const search = merged(
  fc.record({
    query: text.map((words) => words.join(' ')),
    filters,
    limit: fc.constantFrom(1, 5, 50),
    offset: fc.constantFrom(0, 1),
    minDecay: fc.constantFrom(0, 0.3),
  }),
  optional('minConfidence', fc.constantFrom(0, 0.4)),
  optional('explain', fc.boolean()),
);

const due = merged(
  optional('belowStrength', fc.constantFrom(0.3, 0.6, 2)),
  optional('createdUpToMs', fc.constantFrom(1_800_000_000_000, 1_800_000_090_000)),
);
const someIds = fc.array(someId, { maxLength: 6 });
/** However slow the machine: a step gets through all that it was given. */
const maxMs = fc.constant(Number.MAX_SAFE_INTEGER);

const inputs: Record<Exclude<OperationName, 'health'>, fc.Arbitrary<Record<string, unknown>>> = {
  remember: memory,
  remember_many: fc.record({ memories: fc.array(memory, { maxLength: 4 }) }),
  forget: fc.record({ category, key, reason: fc.constantFrom('manual', 'old') }),
  recall: search,
  recall_many: fc.record({ asked: fc.array(search, { maxLength: 3 }) }),
  context: merged(
    fc.record({ categories: fc.array(category, { maxLength: 2 }), limit: fc.constantFrom(0, 2, 10) }),
    optional('query', fc.constantFrom('heron', 'the', 'hreon key')),
    optional('maxTokens', fc.constantFrom(200, 1_000)),
  ),
  get_entity: fc.record({ id: someId }),
  link: fc.record({ category, key, toId: someId, relationship: fc.constantFrom('related', 'about') }),
  unlink: fc.record({ category, key, toId: someId }),
  traverse: fc.record({ category, key, maxDepth: fc.constantFrom(1, 3), maxNodes: fc.constantFrom(2, 100) }),
  journal: fc.record({
    eventType: fc.constantFrom('decision', 'note'),
    evaluatedJson: fc.constant('{"a":1}'),
    actedJson: fc.constant('null'),
    forwardJson: fc.constant('null'),
    category,
    key,
    entityId: someId,
    agentId,
  }),
  timeline: fc.record({
    filter: merged(optional('category', category), optional('eventType', fc.constantFrom('decision', 'note'))),
    limit: fc.constantFrom(2, 50),
    offset: fc.constantFrom(0, 1),
  }),
  state_set: merged(
    fc.record({ key, valueJson: fc.constantFrom('1', '"x"') }),
    optional('ttlSeconds', fc.constantFrom(-1, 0, 2, 60)),
  ),
  state_get: fc.record({ key }),
  state_delete: fc.record({ key }),
  state_list: fc.record({ prefix: fc.constantFrom('', 'k', 'K', '%', 'k:') }),
  stats: fc.constant({}),
  survey: fc.record({
    filter: merged(fc.record({ archived: fc.boolean() }), optional('category', category)),
    due,
    after: fc.constant(0),
  }),
  archive: fc.record({ ids: someIds, due, reason: fc.constant('faded'), maxMs }),
  purge: fc.record({ ids: someIds, maxMs }),
  erase: fc.constant({ stage: { part: 'text_past', after: 0 } }),
  orphans: fc.record({ after: fc.constant(0) }),
  reindex: fc.constantFrom({ after: 0, maxMs: Number.MAX_SAFE_INTEGER }, { whole: true }),
  vacuum: fc.constant({}),
};

const step: fc.Arbitrary<Step> = fc
  .constantFrom(
    ...(Object.keys(inputs) as (keyof typeof inputs)[]),
    'remember' as const,
    'remember' as const,
    'recall' as const,
  )
  .chain((name) =>
    fc.record({
      name: fc.constant(name),
      input: inputs[name],
      workspace: fc.constantFrom(null, null, '', 'w'),
      principal: fc.constantFrom<Principal>(OWNER, OWNER, OWNER, { kind: 'bound', workspace: 'w', agentId: 'me' }),
      later: fc.constantFrom(0, 0, 1, 1_500, 90_000),
    }),
  );

/** Replaces ids by the order in which they were first seen, and drops what may differ: sizes, and look-alikes. */
function stable(answer: unknown, ids: string[]): string {
  const kept = JSON.stringify({ answer }, (name: string, value: unknown) =>
    ['bytes', 'bytesBefore', 'bytesAfter', 'similar'].includes(name) ? undefined : value,
  );
  const written = canonicalJson(kept);
  return written.replace(/(?:mem|jrn)-[0-9a-f]{12}/g, (id) => {
    if (!ids.includes(id)) ids.push(id);
    return `id${ids.indexOf(id)}`;
  });
}

/** A packed answer holds offsets into its text, and ids have one length, so it compares as it is. */
const withId = (input: Record<string, unknown>, ids: readonly string[]): Record<string, unknown> => {
  const named = (value: unknown): unknown =>
    typeof value === 'string' && /^#\d$/.test(value) ? (ids[Number(value.slice(1))] ?? 'mem-ffffffffffff') : value;
  return Object.fromEntries(
    Object.entries(input).map(([name, value]) => [name, Array.isArray(value) ? value.map(named) : named(value)]),
  );
};

async function outcome(run: () => Promise<unknown>): Promise<unknown> {
  try {
    return { value: await run() };
  } catch (thrown) {
    const { code, message, extras } = errorToData(thrown);
    // A bug of either store must show as itself and not as "both failed".
    if (code === 'bug') throw thrown;
    return { code, message, facts: extras.facts };
  }
}

let opened = 0;
let written = 0;
function openSqlite(folder: string, clock: Clock): { store: StoreWriter; searching: StoreReader } {
  const options = {
    path: join(folder, `a${opened++}.db`),
    key: null,
    clock,
    busyTimeoutMs: 100,
    shared: makeSharedMemory(),
  };
  prepareStore(options);
  const store = openWriter(options);
  while (store.cold) store.warmUp();
  return { store, searching: openReader(options, 'searches') };
}

test('SQLite and the plainest store answer every sequence of operations alike', async (t) => {
  const folder = temporaryFolder(t);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      let now = 1_800_000_000_000;
      let random = 0;
      const clock: Clock = {
        nowMs: () => now,
        randomBytes: (count) => {
          const bytes = Buffer.alloc(count);
          bytes.writeUInt32BE(++random, count - 4 < 0 ? 0 : count - 4);
          return bytes;
        },
      };
      const { store: sqlite, searching } = openSqlite(folder, clock);
      const model = new ModelStore();
      const ids: { sqlite: string[]; model: string[] } = { sqlite: [], model: [] };
      for (const one of steps) {
        now += one.later;
        model.nowMs = now;
        const scope: Scope = { principal: one.principal, workspace: one.workspace, actor: 't', client: 't' };
        const operation = OPERATIONS[one.name];
        const input = withId(one.input, ids.sqlite);
        const inSqlite = await outcome(() => {
          switch (operation.access) {
            case 'read':
              return sqlite.snapshot((tx) => (operation.run as unknown as Run<Reader>)(tx, scope, input));
            case 'write':
              return sqlite.transaction({ id: `w${written++}`, kind: one.name, scope }, (tx) =>
                (operation.run as unknown as Run<Writer>)(tx, scope, input),
              );
            case 'exclusive':
              return (operation.run as unknown as Run<Exclusive>)(sqlite.exclusive, scope, input);
          }
        });
        const inModel = await outcome(() =>
          model.transaction((tx) =>
            (operation.run as unknown as Run<ModelStore>)(tx, scope, withId(one.input, ids.model)),
          ),
        );
        // How far erasing came is the store's own matter.
        if (one.name !== 'erase') assert.equal(stable(inSqlite, ids.sqlite), stable(inModel, ids.model), one.name);
        if (operation.access !== 'read') continue;
        // A step behind for some steps, so that filling and following meet.
        if (one.later > 0 && searching.cold) searching.warmUp();
        const inMemory = await outcome(() =>
          searching.snapshot((tx) =>
            (operation.run as unknown as Run<Reader>)(tx, scope, withId(one.input, ids.sqlite)),
          ),
        );
        assert.equal(stable(inMemory, ids.sqlite), stable(inModel, ids.model), `${one.name}, rows in memory`);
      }
      searching.close();
      assert.deepEqual(sqlite.verify(), []);
      sqlite.close();
    }),
    { numRuns: Number(process.env['MIMIR_TEST_RUNS'] ?? 150) },
  );
});
