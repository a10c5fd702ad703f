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

const source = fc.constantFrom('connector:a', 'connector:a', 'connector:b', 'agent');

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
    recallWhen: fc.oneof(
      fc.constant([]),
      fc.array(
        text.map((words) => words.join(' ')),
        { maxLength: 2 },
      ),
    ),
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
/** Along an axis, so that a byte a dimension loses nothing. */
function axis(n: number): Float32Array {
  const vector = new Float32Array(3);
  vector[n % 3] = 1;
  return vector;
}

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
  optional(
    'meaning',
    fc.record({
      near: fc.record({ space: fc.constantFrom(1, 1, 2), vector: fc.constantFrom(0, 1, 2).map(axis) }),
      weight: fc.constantFrom(0.5, 0.5, 0),
      only: fc.constantFrom(false, false, true),
      unrelated: fc.constantFrom(Float64Array.of(), Float64Array.of(0, 0.1, -0.1)),
    }),
  ),
);

const due = merged(
  optional('belowStrength', fc.constantFrom(0.3, 0.6, 2)),
  optional('createdUpToMs', fc.constantFrom(1_800_000_000_000, 1_800_000_090_000)),
);
const someIds = fc.array(someId, { maxLength: 6 });
const someNotes = fc.array(fc.record({ row: fc.nat(4), times: fc.constant(2), atMs: fc.constant(1_800_000_000_000) }), {
  maxLength: 3,
});
/** However slow the machine: a step gets through all that it was given. */
const maxMs = fc.constant(Number.MAX_SAFE_INTEGER);
/** A source of its own, since the one of a copy has an id in it, and digests are made of it. */
const vaultFile = merged(
  fc.record({
    category,
    key,
    bodyJson: text.map((words) => JSON.stringify({ content: words.join(' ') })),
    stated: fc.constantFrom({ source: 's' }, { source: 's', tags: ['heron'], verified: true }),
    atFirst: fc.constantFrom({}, { importance: 0.9 }),
    past: fc.constant([]),
  }),
  optional('id', someId),
  optional('workspace', fc.constantFrom('', 'w')),
  optional('mark', fc.constant('0123456789abcdef')),
  optional(
    'links',
    fc.array(fc.record({ targetId: someId, relationship: fc.constant('about'), weight: fc.constant(1) })),
  ),
  optional('createdAtMs', fc.constant(1_700_000_000_000)),
  optional('usage', fc.constant({ count: 7, lastAtMs: 1_750_000_000_000 })),
);
/** Two ids share what the key is made of. */
const early = fc.record({
  entity: fc.record({
    id: fc.constantFrom('old-1', 'old-memory-with-a-long-id-1', 'old-memory-with-a-long-id-2'),
    workspace: fc.constantFrom('', 'w'),
    category: fc.constant('general'),
    bodyJson: text.map((words) => JSON.stringify({ content: words.join(' '), summary: '' })),
    status: fc.constant('active'),
    type: fc.constant('insight'),
    tags: fc.constant(['workspace:w']),
    importance: fc.constantFrom(0.2, 1),
    layer: fc.constantFrom('buffer', 'core'),
    topicPath: fc.constant(''),
    archived: fc.constant(false),
    archiveReason: fc.constant(''),
    verified: fc.boolean(),
    source: fc.constant('mimir'),
    alwaysOn: fc.constant(false),
    certainty: fc.constant(0.5),
    agentId: fc.constant(''),
    visibility: fc.constant('workspace'),
    createdAtMs: fc.constant(1_700_000_000_000),
  }),
  usage: fc.record({ count: fc.constantFrom(0, 3), lastAtMs: fc.constant(1_700_000_100_000) }),
  links: fc.constantFrom([], [{ targetId: 'old-1', relationship: 'old', weight: 0.9 }]),
  notes: fc.constant([]),
});

const inputs: Record<
  Exclude<OperationName, 'health' | 'examine' | 'probe_write' | 'migrate_read' | 'export_original' | 'export_lines'>,
  fc.Arbitrary<Record<string, unknown>>
> = {
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
  embedding_open: fc.record({
    model: fc.constantFrom('m', 'm', 'm', 'n'),
    dimensions: fc.constant(3),
    prefix: fc.constant(''),
    mayTakeOver: fc.constantFrom(true, true, false),
  }),
  embedding_next: fc.record({ space: fc.constantFrom(1, 1, 2), count: fc.constantFrom(1, 3, 50) }),
  // What is put is what was next last, along axes that begin with this one.
  embedding_put: fc.record({ space: fc.constantFrom(1, 1, 2), first: fc.nat(2) }),
  embedding_texts: fc.oneof(
    fc.record({ space: fc.constantFrom(1, 2), category, key }),
    fc.record({ space: fc.constantFrom(1, 2), category, limit: fc.constantFrom(0, 1, 50) }),
  ),
  embedding_status: fc.constant({}),
  score: fc.record({ category, key, score: fc.constantFrom(-1, 0.2, 0.7, 5) }),
  conflicts: fc.record({
    category,
    threshold: fc.constantFrom(0.2, 0.4, 1.1),
    limit: fc.constantFrom(2, 50),
    offset: fc.constantFrom(0, 1),
  }),
  supersede: fc.record({
    fromCategory: category,
    fromKey: key,
    toCategory: category,
    toKey: key,
    reason: fc.constantFrom('', 'newer'),
    relationship: fc.constantFrom('supersedes', 'about'),
  }),
  correct: fc.record({
    wrongApproach: text.map((words) => words.join(' ')),
    userCorrection: fc.constant('heron'),
    taskContext: fc.constantFrom('deploy', 'staging'),
    sessionId: fc.constant(''),
    tags: fc.constant(['heron']),
    category,
    visibility: fc.constantFrom('private', 'workspace', 'public'),
  }),
  synthesize: fc.record({
    lessons: fc.array(
      fc.record({
        type: fc.constantFrom('insight', 'failure'),
        summary: fc.constantFrom('heron runs', 'staging needs a key'),
        evidence: fc.constantFrom('', 'deploy'),
        confidence: fc.constantFrom(0, 0.4, 1),
      }),
      { maxLength: 2 },
    ),
    sessionId: fc.constantFrom('', 's'),
    contentBytes: fc.constant(3),
    tags: fc.constantFrom([], ['heron']),
    visibility: fc.constantFrom('private', 'workspace', 'public'),
  }),
  bench: fc.record({
    taskDescription: fc.constantFrom('deploy', 'run'),
    turnsTaken: fc.constantFrom(-2, 0, 4),
    tokensUsed: fc.constantFrom(-7, 1_001),
    memoryRecallUsed: fc.boolean(),
    recallCount: fc.constant(1),
    taskSuccess: fc.boolean(),
    sessionId: fc.constant(''),
    tags: fc.constant([]),
  }),
  share: fc.record({ category, key, toWorkspace: fc.constantFrom('', 'w', 'v') }),
  federate: fc.record({
    fromWorkspace: fc.constantFrom('', 'w'),
    toWorkspace: fc.constantFrom('', 'w', 'v'),
    afterRow: fc.constantFrom(0, 2),
  }),
  vault_page: fc.record({ afterRow: fc.constantFrom(0, 2) }),
  vault_standing: fc.record({ file: vaultFile }),
  vault_meant: fc.record({ targets: fc.array(vaultFile, { maxLength: 2 }) }),
  vault_take: fc.record({ files: fc.array(vaultFile, { maxLength: 3 }) }),
  workspace_list: fc.constant({}),
  recall_when: fc.record({
    context: fc.constantFrom('heron', 'the deployments', '東京', 'stag', 'run key_one'),
    limit: fc.constantFrom(0, 1, 50),
  }),
  cohere_survey: fc.record({
    after: fc.constantFrom(0, 2),
    promoteFrom: fc.constantFrom(0, 1, 3),
    archiveBelow: fc.constantFrom(0.05, 0.3, 0.6),
    noted: fc.record({ sent: someNotes, kept: someNotes }),
  }),
  cohere_related: fc.record({ offset: fc.constantFrom(0, 2), max: fc.constantFrom(1, 20) }),
  cohere: fc.record({
    promote: fc.array(someId, { maxLength: 2 }),
    archive: fc.array(someId, { maxLength: 2 }),
    archiveBelow: fc.constantFrom(0.3, 0.6),
    links: fc.array(
      fc.record({
        fromId: someId,
        fromKey: fc.constant('k'),
        toId: someId,
        toKey: fc.constant('k'),
        shared: fc.constant(1),
      }),
      { maxLength: 2 },
    ),
  }),
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
  ingest_known: fc.record({ source, category, archived: fc.boolean(), afterVersion: fc.constantFrom(0, 0, 2) }),
  ingest_link: fc.record({
    maxMs: fc.constant(Number.MAX_SAFE_INTEGER),
    source,
    category,
    links: fc.array(fc.record({ from: key, to: key, relationship: fc.constantFrom('about', 'is') }), { maxLength: 3 }),
  }),
  ingest_put: fc.record({
    maxMs: fc.constant(Number.MAX_SAFE_INTEGER),
    source,
    category,
    documents: fc.array(
      fc.record({
        put: fc.array(
          fc.record({
            key,
            tags: fc.constantFrom([], ['heron']),
            bodyJson: fc.constantFrom(
              '{"content":"heron","path":"/a"}',
              '{"content":"staging","updated_at":"2026"}',
              '["x"]',
            ),
          }),
          { maxLength: 2 },
        ),
        gone: fc.array(someId, { maxLength: 2 }),
      }),
      { maxLength: 2 },
    ),
  }),
  migrate_write: fc.record({
    memories: fc.array(early, { maxLength: 2 }),
    dryRun: fc.constantFrom(false, false, true),
  }),
};

const stepOf = (name: keyof typeof inputs): fc.Arbitrary<Step> =>
  fc.record({
    name: fc.constant(name),
    input: inputs[name],
    workspace: fc.constantFrom(null, null, '', 'w'),
    principal: fc.constantFrom<Principal>(OWNER, OWNER, OWNER, { kind: 'bound', workspace: 'w', agentId: 'me' }),
    later: fc.constantFrom(0, 0, 1, 1_500, 90_000),
  });

const step: fc.Arbitrary<Step> = fc
  .constantFrom(
    ...(Object.keys(inputs) as (keyof typeof inputs)[]),
    'remember' as const,
    'remember' as const,
    'recall' as const,
    'recall' as const,
  )
  .chain(stepOf);

/** Some memories with vectors: by chance alone hardly any sequence comes to that. */
const embedded = fc.tuple(
  ...(['remember', 'remember', 'remember_many', 'embedding_open', 'embedding_next', 'embedding_put'] as const).map(
    stepOf,
  ),
);
const steps = fc
  .tuple(fc.oneof(fc.constant([]), embedded), fc.array(step, { maxLength: 30 }))
  .map(([first, then]) => [...first, ...then]);

/** Members that may differ: sizes, look-alikes, numbers of bodies, what is computed of bytes, and digests of what ids are in. */
const MAY_DIFFER = new Set([
  'bytes',
  'bytesBefore',
  'bytesAfter',
  'similar',
  'body',
  'upTo',
  'of',
  'waiting',
  'agreement',
  'past',
]);

/** Replaces ids by the order in which they were first seen, and drops what may differ. */
function stable(answer: unknown, ids: string[]): string {
  const kept = JSON.stringify({ answer }, (name: string, value: unknown) => (MAY_DIFFER.has(name) ? undefined : value));
  const written = canonicalJson(kept);
  return written.replace(/(?:mem|jrn|cor|bch|syn|ingest|correction|bench|insight|failure)-[0-9a-f]{12}/g, (id) => {
    if (!ids.includes(id)) ids.push(id);
    return `id${ids.indexOf(id)}`;
  });
}

/** A packed answer holds offsets into its text, and ids have one length, so it compares as it is. */
const withId = (input: Record<string, unknown>, ids: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(Object.entries(input).map(([name, value]) => [name, namedIn(value, ids)]));

function namedIn(value: unknown, ids: readonly string[]): unknown {
  if (typeof value === 'string' && /^#\d$/.test(value)) return ids[Number(value.slice(1))] ?? 'mem-ffffffffffff';
  if (Array.isArray(value)) return value.map((one) => namedIn(one, ids));
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  return withId(value as Record<string, unknown>, ids);
}

interface Next {
  readonly items: readonly { readonly body: number }[];
  readonly upTo: number;
}

/** What a store is to be given where an input names bodies by what it said last. */
function withBodies(one: Step, input: Record<string, unknown>, { items, upTo }: Next): Record<string, unknown> {
  if (one.name !== 'embedding_put') return input;
  const first = Number(input['first']);
  return { space: input['space'], upTo, vectors: items.map(({ body }, i) => ({ body, vector: axis(first + i) })) };
}

function nextOf(one: Step, answer: unknown, before: Next): Next {
  if (one.name !== 'embedding_next' || typeof answer !== 'object' || answer === null) return before;
  return 'value' in answer ? (answer.value as Next) : before;
}

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
    fc.asyncProperty(steps, async (taken) => {
      let now = 1_800_000_000_000;
      let random = 0;
      const clock: Clock = {
        nowMs: () => now,
        // Digits only: keys are made of it, and must have as many words as those of the model.
        randomBytes: (count) => Buffer.from(String(++random).padStart(2 * count, '0'), 'hex'),
      };
      const { store: sqlite, searching } = openSqlite(folder, clock);
      const model = new ModelStore();
      const ids: { sqlite: string[]; model: string[] } = { sqlite: [], model: [] };
      const next: { sqlite: Next; model: Next } = { sqlite: { items: [], upTo: 0 }, model: { items: [], upTo: 0 } };
      for (const one of taken) {
        now += one.later;
        model.nowMs = now;
        const scope: Scope = { principal: one.principal, workspace: one.workspace, actor: 't', client: 't' };
        const operation = OPERATIONS[one.name];
        const forSqlite = withBodies(one, withId(one.input, ids.sqlite), next.sqlite);
        const forModel = withBodies(one, withId(one.input, ids.model), next.model);
        const inSqlite = await outcome(() => {
          switch (operation.access) {
            case 'read':
              return sqlite.snapshot((tx) => (operation.run as unknown as Run<Reader>)(tx, scope, forSqlite));
            case 'write':
              return sqlite.transaction({ id: `w${written++}`, kind: one.name, scope }, (tx) =>
                (operation.run as unknown as Run<Writer>)(tx, scope, forSqlite),
              );
            case 'exclusive':
              return (operation.run as unknown as Run<Exclusive>)(sqlite.exclusive, scope, forSqlite);
          }
        });
        const inModel = await outcome(() =>
          model.transaction((tx) => (operation.run as unknown as Run<ModelStore>)(tx, scope, forModel)),
        );
        // How far erasing came is the store's own matter.
        if (one.name !== 'erase') assert.equal(stable(inSqlite, ids.sqlite), stable(inModel, ids.model), one.name);
        next.sqlite = nextOf(one, inSqlite, next.sqlite);
        next.model = nextOf(one, inModel, next.model);
        if (operation.access !== 'read') continue;
        // A step behind for some steps, so that filling and following meet.
        if (one.later > 0 && searching.cold) searching.warmUp();
        const inMemory = await outcome(() =>
          searching.snapshot((tx) => (operation.run as unknown as Run<Reader>)(tx, scope, forSqlite)),
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
