// Exported and imported again, a store is the same store: state, history, links and chain.
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';

import { systemClock } from '../../src/clock.ts';
import { OPERATIONS } from '../../src/engine/operations.ts';
import { MimirError } from '../../src/errors.ts';
import { OWNER } from '../../src/memory/scope.ts';
import type { Scope } from '../../src/memory/types.ts';
import { openReader, openWriter, prepareStore, type OpenOptions, type StoreWriter } from '../../src/storage/open.ts';
import { restoreStore } from '../../src/storage/restore.ts';
import type { Writer } from '../../src/storage/store.ts';
import { startMimir, temporaryFolder } from '../support/processes.ts';

const scopeIn = (workspace: string | null): Scope => ({ principal: OWNER, workspace, actor: 'owner', client: 'test' });
const STEPS = 2_000;
const WORDS = ['heron', 'harbour', '東京', 'zażółć', '"quoted"', 'line\nbreak', '🗝️', 'e\u0301', '\\'];

function options(path: string, key: Uint8Array | null = null): OpenOptions {
  return { path, key, clock: systemClock, busyTimeoutMs: 1_000 };
}

/** One random operation through the engine, as the writer would run it. */
function randomJob(pick: (below: number) => number): {
  kind: string;
  workspace: string;
  run: (tx: Writer) => Promise<unknown>;
} {
  const one = <T>(all: readonly T[]): T => all[pick(all.length)] as T;
  const workspace = one(['', '', 'w']);
  const scope = scopeIn(workspace);
  const name = { category: one(['a', 'b']), key: `k${pick(40)}` };
  const text = (): string => Array.from({ length: 1 + pick(6) }, () => one(WORDS)).join(' ');
  const { remember, forget, link, unlink, state_set: set, state_delete: drop, journal, score, supersede } = OPERATIONS;
  const other = { category: one(['a', 'b']), key: `k${pick(40)}` };
  const kinds: Readonly<Record<string, (tx: Writer) => Promise<unknown>>> = {
    remember: (tx) =>
      remember.run(tx, scope, {
        ...name,
        bodyJson: JSON.stringify({ content: text(), n: pick(9) }),
        recallWhen: [],
        tags: [one(WORDS)],
      }),
    turn: (tx) =>
      remember.run(tx, scope, {
        ...name,
        bodyJson: JSON.stringify({ content: text(), session: 's', turn: pick(30), speaker: 'ana' }),
        recallWhen: [],
      }),
    forget: (tx) => forget.run(tx, scope, { ...name, reason: '' }),
    link: async (tx) => {
      const to = await tx.entityAt(scope, workspace, other.category, other.key);
      return to === undefined ? null : await link.run(tx, scope, { ...name, toId: to.id, relationship: one(WORDS) });
    },
    unlink: async (tx) => {
      const to = await tx.entityAt(scope, workspace, other.category, other.key);
      return to === undefined ? null : await unlink.run(tx, scope, { ...name, toId: to.id });
    },
    state_set: (tx) =>
      set.run(tx, scope, {
        key: `s${pick(9)}`,
        valueJson: JSON.stringify(text()),
        ...(pick(3) === 0 && { ttlSeconds: pick(2) }),
      }),
    state_delete: (tx) => drop.run(tx, scope, { key: `s${pick(9)}` }),
    journal: (tx) =>
      journal.run(tx, scope, {
        ...name,
        eventType: 'decision',
        evaluatedJson: JSON.stringify(text()),
        actedJson: 'null',
        forwardJson: 'null',
        entityId: '',
        agentId: '',
      }),
    score: (tx) => score.run(tx, scope, { ...name, score: pick(100) / 100 }),
    supersede: (tx) =>
      supersede.run(tx, scope, {
        fromCategory: name.category,
        fromKey: name.key,
        toCategory: other.category,
        toKey: other.key,
        reason: text(),
        relationship: 'supersedes',
      }),
  };
  const kind = one([...Object.keys(kinds), 'remember', 'remember', 'turn']);
  return { kind, workspace, run: kinds[kind] ?? (async () => null) };
}

async function fillAtRandom(store: StoreWriter, pick: (below: number) => number): Promise<number> {
  let done = 0;
  for (let step = 0; step < STEPS; step += 50) {
    const jobs = Array.from({ length: 50 }, (_, i) => {
      const { kind, workspace, run } = randomJob(pick);
      return { id: `op-${step + i}`, kind, scope: scopeIn(workspace), input: null, run };
    });
    for (let at = 0; at < jobs.length;) {
      const { outcomes } = await store.batch(jobs.slice(at), {
        usage: [{ row: 1 + pick(20), times: 1 + pick(3), atMs: 1_800_000_000_000 + step }],
      });
      for (const outcome of outcomes) {
        if (outcome.ok) done += 1;
        else assert.ok(outcome.error instanceof MimirError && outcome.error.kind === 'refused', String(outcome.error));
      }
      at += outcomes.length;
    }
  }
  // What was purged is not in an export; its numbers, also the highest ones, must not be given again all the same.
  const last = { category: 'z', key: 'last', reason: '' };
  await store.transaction({ id: 'last', kind: 'remember', scope: scopeIn('') }, async (tx) => {
    await OPERATIONS.remember.run(tx, scopeIn(''), { ...last, bodyJson: '"last"', recallWhen: [] });
    await OPERATIONS.forget.run(tx, scopeIn(''), last);
  });
  const archived = await store.snapshot(async (tx) => (await tx.kept(scopeIn(null), { archived: true }, 0)).found);
  const ids = archived.filter(({ row }) => row === archived.at(-1)?.row || pick(2) === 0).map(({ id }) => id);
  await store.transaction({ id: 'purge', kind: 'purge', scope: scopeIn(null) }, (tx) =>
    OPERATIONS.purge.run(tx, scopeIn(null), { ids, maxMs: 60_000 }),
  );
  await store.transaction({ id: 'vectors', kind: 'embedding_put', scope: scopeIn(null) }, async (tx) => {
    const { id } = await tx.openSpace('m', 3, '');
    await tx.putVectors(
      id,
      9,
      [1, 2, 3].map((body) => ({ body, vector: Float32Array.of(1, 0.1, body) })),
    );
  });
  return done;
}

async function exported(from: OpenOptions, to: string): Promise<string> {
  const store = openReader(from);
  await store.snapshot(async (tx) => tx.exportLines(to));
  store.close();
  return readFileSync(to, 'utf8');
}

test('export, import and export again are the same bytes, after 2,000 random operations', async (t) => {
  const seed = randomInt(2 ** 31);
  t.diagnostic(`seed ${seed}`);
  let state = seed;
  const pick = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const folder = temporaryFolder(t);
  const [a, b] = [join(folder, 'a.db'), join(folder, 'b.db')];
  prepareStore(options(a));
  const store = openWriter(options(a));
  assert.ok((await fillAtRandom(store, pick)) > STEPS / 2);
  store.close();
  const first = await exported(options(a), join(folder, 'a.jsonl'));
  const key = new Uint8Array(32).fill(9);
  const rows = await restoreStore(options(b, key), join(folder, 'a.jsonl'));
  assert.equal(first.split('\n').length - 3, rows);
  assert.equal(await exported(options(b, key), join(folder, 'b.jsonl')), first);
  const again = openWriter(options(b, key));
  assert.deepEqual(again.verify(), []);
  const query = { query: 'heron harbour', filters: {}, limit: 20, offset: 0, minDecay: 0 };
  const before = openReader(options(a));
  const answer = async (from: typeof before) =>
    (await from.snapshot((tx) => OPERATIONS.recall.run(tx, scopeIn(null), query))).hits.text;
  assert.equal(await answer(again), await answer(before));
  before.close();
  // What comes after takes its place in the log behind all that was there, with numbers that nothing had before.
  for (let n = 0; n < 20; n++) {
    await again.transaction({ id: `later-${n}`, kind: 'remember', scope: scopeIn('') }, (tx) =>
      OPERATIONS.remember.run(tx, scopeIn(''), { category: 'a', key: `later-${n}`, bodyJson: '"x"', recallWhen: [] }),
    );
  }
  assert.deepEqual(again.verify(), []);
  again.close();
  await exported(options(b, key), join(folder, 'c.jsonl'));
  assert.ok((await restoreStore(options(join(folder, 'c.db')), join(folder, 'c.jsonl'))) > rows);
});

const WHOLE = [
  'meta',
  'operations',
  'changes',
  'body',
  'version',
  'entity',
  'key',
  'link',
  'turn',
  'usage',
  'journal',
  'state',
  'space',
  'vector',
];

test('no table of a store is left out of an export, but for what is made anew or ends by itself', async (t) => {
  const path = join(temporaryFolder(t), 'm.db');
  prepareStore(options(path));
  const { default: Database } = await import('better-sqlite3-multiple-ciphers');
  const db = new Database(path);
  const tables = db
    .prepare(
      `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'text%' AND name NOT LIKE 'sqlite_%' ORDER BY name`,
    )
    .pluck()
    .all();
  db.close();
  assert.deepEqual(
    tables,
    [...WHOLE, 'idempotency'].toSorted(),
    'put a new table into TABLES of dump.ts, or say here why not',
  );
});

for (const { name, spoil, says } of [
  {
    name: 'cut off',
    spoil: (text: string) => text.slice(0, text.lastIndexOf('\n', text.length - 2) + 1),
    says: /cut off/,
  },
  {
    name: 'with a line less',
    spoil: (text: string) => text.replace(/\n\{"table":"usage"[^\n]*/, ''),
    says: /rows, there were/,
  },
  {
    name: 'that was changed',
    spoil: (text: string) => text.replace('"importance":0.5', '"importance":0.6'),
    says: /changed afterwards/,
  },
  {
    name: 'in which a memory was brought back by hand',
    spoil: (text: string) => text.replace(/("table":"entity".*"archived":)0/, '$11'),
    says: /something else than their version/,
  },
  {
    name: 'in which a name was changed by hand',
    spoil: (text: string) => text.replace(/("table":"key".*"key":)"k"/, '$1"other"'),
    says: /do not have their name/,
  },
  {
    name: 'with a value of another kind',
    spoil: (text: string) => text.replace('"importance":0.5', '"importance":"much"'),
    says: /does not fit the table version/,
  },
  { name: 'of something else', spoil: () => '{"a":1}\n', says: /Line 1 .*does not say/ },
  { name: 'with a line that is no JSON', spoil: (text: string) => text.replace('\n{', '\n'), says: /Line 2 .*no JSON/ },
  {
    name: 'of a newer version',
    spoil: (text: string) => text.replace(/"schema":\d+/, '"schema":99'),
    says: /schema 99/,
  },
]) {
  test(`an export ${name} makes no store`, async (t) => {
    const folder = temporaryFolder(t);
    const [a, b, lines] = [join(folder, 'a.db'), join(folder, 'b.db'), join(folder, 'x.jsonl')];
    prepareStore(options(a));
    const store = openWriter(options(a));
    await store.transaction({ id: 'one', kind: 'remember', scope: scopeIn('') }, async (tx) => {
      await OPERATIONS.remember.run(tx, scopeIn(''), {
        category: 'a',
        key: 'k',
        bodyJson: '{"content":"heron"}',
        recallWhen: [],
      });
      await tx.noteUse(1, 1, 5);
    });
    store.close();
    const text = await exported(options(a), lines);
    const spoilt = spoil(text);
    assert.notEqual(spoilt, text);
    writeFileSync(lines, spoilt);
    await assert.rejects(
      () => restoreStore(options(b), lines),
      (error) => error instanceof MimirError && says.test(error.message),
    );
    assert.deepEqual(readdirSync(folder).toSorted(), ['a.db', 'x.jsonl']);
  });
}

test('the commands write one file and make one store, and never over what is there', async (t) => {
  const folder = temporaryFolder(t);
  const [a, b, lines] = [join(folder, 'a.db'), join(folder, 'b.db'), join(folder, 'all.jsonl')];
  const run = async (...args: readonly string[]): Promise<{ code: number | null; said: string }> => {
    const { ended, printed } = startMimir(args);
    return { code: await ended, said: printed.stdout + printed.stderr };
  };
  await run('write', '--db', a, '--category', 'c', '--key', 'k', '--body', '{"content":"lighthouse"}');
  const out = await run('export', lines, '--db', a);
  assert.equal(out.code, 0, out.said);
  assert.equal(lstatSync(lines).mode & 0o777, 0o600);
  assert.deepEqual([(await run('export', lines, '--db', a)).code, (await run('export', '--db', a)).code], [3, 2]);
  const into = await run('import', lines, '--db', b);
  assert.equal(into.code, 0, into.said);
  assert.match((await run('recall', 'lighthouse', '--db', b)).said, /c\/k/);
  const over = await run('import', lines, '--db', b);
  assert.equal(over.code, 3);
  assert.match(over.said, /is there already/);
  assert.equal((await run('import', join(folder, 'none.jsonl'), '--db', join(folder, 'c.db'))).code, 5);
  assert.equal(existsSync(join(folder, 'c.db')), false);
});
