import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { UsageNotes } from '../../src/engine/usage.ts';
import { MimirError } from '../../src/errors.ts';
import { DAY_MS } from '../../src/memory/dates.ts';
import { isDue } from '../../src/memory/retention.ts';
import { inSteps } from '../../src/tools/steps.ts';
import { createTable } from '../../src/tools/table.ts';
import type { Caller } from '../../src/tools/types.ts';
import { ModelStore } from '../support/model-store.ts';
import { NO_FOLDERS } from '../support/tool-table.ts';

const OWNER: Caller = { principal: { kind: 'owner' }, client: 'test' };
const BOUND: Caller = { principal: { kind: 'bound', workspace: 'w', agentId: 'ag' }, client: 'test' };
const UPKEEP = ['decay', 'compact', 'prune', 'purge', 'reindex', 'maintenance'].map((name) => `mimir_${name}`);

type Answer = Record<string, unknown> & { readonly isError: boolean; readonly text: string };

function setUp() {
  const store = new ModelStore();
  const usage = new UsageNotes();
  const clock = { nowMs: () => store.nowMs, randomBytes: (count: number) => new Uint8Array(count).fill(0xab) };
  const facts = { dbPath: '/tmp/x.db', encrypted: false, version: '9.9.9' };
  const bugs: unknown[] = [];
  const table = createTable({
    folders: NO_FOLDERS,
    execute: store.execute,
    usage,
    clock,
    facts,
    onBug: (error) => bugs.push(error),
  });
  const call = async (name: string, args: unknown = {}, caller = OWNER): Promise<Answer> => {
    const { json, text, isError } = await table.call(`mimir_${name}`, args, caller);
    return { ...(JSON.parse(json) as Record<string, unknown>), isError, text };
  };
  const put = (key: string, more: object = {}) =>
    call('remember', { category: 'c', key, body_json: JSON.stringify({ content: `body of ${key}` }), ...more });
  const live = (): string[] =>
    store.entities
      .filter((e) => !e.archived)
      .map((e) => e.key)
      .toSorted();
  const verify = (key: string): void => {
    store.entities = store.entities.map((e) => (e.key === key ? { ...e, verified: true } : e));
  };
  return { store, usage, table, call, put, live, verify, bugs };
}

describe('decay', () => {
  it('archives what has faded, and neither pinned nor verified memories, whatever their age', async () => {
    const { store, call, put, live, verify } = setUp();
    await put('strong', { importance: 1 });
    await put('pinned', { importance: 0.01, always_on: true });
    await put('verified', { importance: 0.01 });
    await put('weak', { importance: 0.3 });
    verify('verified');
    store.nowMs += 14 * DAY_MS; // e^-2: 0.135 of the strength is left
    assert.deepEqual(await call('decay'), {
      entities_checked: 4,
      entities_updated: 1,
      auto_archived: 1,
      completed_at_unix_ms: store.nowMs,
      isError: false,
      text: JSON.stringify({
        entities_checked: 4,
        entities_updated: 1,
        auto_archived: 1,
        completed_at_unix_ms: store.nowMs,
      }),
    });
    assert.deepEqual(live(), ['pinned', 'strong', 'verified']);
    assert.equal(store.entities.find((e) => e.key === 'weak')?.archiveReason, 'decay threshold');
    store.nowMs += 7 * DAY_MS;
    assert.equal((await call('decay'))['auto_archived'], 1, 'a full strength is gone after 21 days');
    assert.equal((await call('decay'))['auto_archived'], 0, 'a second time there is nothing to do');
    assert.deepEqual(live(), ['pinned', 'verified']);
  });

  it('counts a use that is not on disk yet', async () => {
    const { store, usage, call, put, live } = setUp();
    await put('a', { importance: 0.3 });
    await put('b', { importance: 0.3 });
    store.nowMs += 30 * DAY_MS;
    usage.note(new Map([[store.entities[0]?.row ?? 0, 0]]), store.nowMs);
    assert.equal((await call('decay'))['auto_archived'], 1);
    assert.deepEqual(live(), ['a']);
  });
});

describe('compact', () => {
  it('says what it would archive, and archives that', async () => {
    const { store, call, put, live } = setUp();
    for (const [key, importance] of Object.entries({ a: 0.05, b: 0.4, c: 0.9 })) await put(key, { importance });
    await put('pinned', { importance: 0, always_on: true });
    const dry = await call('compact', { min_decay: 0.5, dry_run: true });
    assert.deepEqual([dry['entities_archived'], dry['entities_examined'], dry['dry_run']], [2, 4, true]);
    assert.equal(live().length, 4);
    assert.deepEqual((await call('compact'))['entities_archived'], 1, 'below 0.1 when nothing is said');
    const done = await call('compact', { min_decay: 0.5 });
    assert.deepEqual(
      [done['entities_archived'], done['entities_examined'], done['dry_run'], done['completed_at_unix_ms']],
      [1, 3, false, store.nowMs],
    );
    assert.deepEqual(live(), ['c', 'pinned']);
    assert.equal((await call('compact', { min_decay: -1 }))['entities_archived'], 0);
  });
});

describe('prune', () => {
  it('asks for a condition', async () => {
    const { call, put, live } = setUp();
    await put('a');
    for (const args of [{}, { category: 'c' }, { purge_all: false }, { min_decay: null }]) {
      const answer = await call('prune', args);
      assert.deepEqual([answer.isError, answer['code']], [true, 'invalid_argument']);
      assert.match(answer.text, /^prune requires min_decay/);
    }
    assert.deepEqual(live(), ['a']);
  });

  it('archives where every condition holds, oldest first, at most so many', async () => {
    const { store, call, put, live } = setUp();
    await put('old-weak', { importance: 0.1 });
    await put('old-strong', { importance: 1 });
    await put('other', { importance: 0.1, category: 'd' });
    await put('pinned', { importance: 0.1, always_on: true });
    store.nowMs += 2 * DAY_MS;
    await put('new-weak', { importance: 0.1 });
    const cases: [object, number, string[]][] = [
      [{ min_decay: 0.2 }, 3, ['old-weak', 'other', 'new-weak']],
      [{ min_decay: 0.2, older_than_days: 1 }, 2, ['old-weak', 'other']],
      [{ min_decay: 0.2, older_than_days: 1, category: 'c' }, 1, ['old-weak']],
      [{ older_than_days: 2 }, 4, ['old-weak', 'old-strong', 'other', 'pinned']],
      [{ older_than_days: 3 }, 0, []],
      [{ purge_all: true, category: 'd' }, 1, ['other']],
      [{ purge_all: true, category: '' }, 0, []],
      [{ purge_all: true, limit: 0 }, 5, ['old-weak', 'old-strong', 'other', 'pinned', 'new-weak']],
      [{ purge_all: true, limit: 2 }, 5, ['old-weak', 'old-strong']],
      [{ purge_all: true, workspace_hash: 'w' }, 0, []],
      [{ min_decay: 0.2, purge_all: true }, 3, ['old-weak', 'other', 'new-weak']],
    ];
    for (const [args, examined, archived] of cases) {
      const before = [...store.entities];
      const dry = await call('prune', { ...args, dry_run: true });
      assert.deepEqual([dry['examined'], dry['archived'], dry['dry_run']], [examined, 0, true], JSON.stringify(args));
      assert.deepEqual(store.entities, before);
      const done = await call('prune', args);
      assert.deepEqual([done['examined'], done['archived']], [examined, archived.length], JSON.stringify(args));
      const gone = store.entities.filter((e) => e.archived).map((e) => e.key);
      assert.deepEqual(gone.toSorted(), archived.toSorted(), JSON.stringify(args));
      store.entities = before;
    }
    assert.equal(live().length, 5);
  });

  it('gives the reason as the original writes it', async () => {
    const { call, store, put } = setUp();
    const cases: [object, string][] = [
      [{ min_decay: 0.2, category: 'junk' }, 'prune: cat=Some("junk") decay<Some(0.2) age>Noned'],
      [{ min_decay: 1, older_than_days: 30 }, 'prune: cat=None decay<Some(1.0) age>Some(30)d'],
      [{ purge_all: true, category: 'a "b"' }, 'prune: cat=Some("a \\"b\\"") decay<None age>Noned'],
    ];
    for (const [args, reason] of cases) assert.equal((await call('prune', args))['reason'], reason);
    await put('a');
    await call('prune', { purge_all: true });
    assert.equal(store.entities[0]?.archiveReason, 'prune: cat=None decay<None age>Noned');
  });
});

describe('purge', () => {
  it('erases what is archived, and nothing else', async () => {
    const { store, call, put } = setUp();
    for (const key of ['a', 'b', 'c']) await put(key);
    const target = store.entities[0]?.id;
    await call('link', { from_category: 'c', from_key: 'c', to_id: target });
    for (const key of ['a', 'b']) await call('forget', { category: 'c', key });
    const dry = await call('purge', { dry_run: true });
    assert.deepEqual([dry['entities_deleted'], dry['bytes_freed'], dry['dry_run']], [2, 0, true]);
    assert.equal(store.entities.length, 3);
    const { entities_deleted: deleted, bytes_freed: freed, ...more } = await call('purge');
    assert.deepEqual([deleted, freed, more['erased'], more['dry_run']], [2, 0, true, false]);
    assert.equal(more['completed_at_unix_ms'], store.nowMs);
    assert.deepEqual(
      store.entities.map((e) => e.key),
      ['c'],
    );
    assert.deepEqual((await call('maintenance', { orphans: true }))['orphan_links_found'], 0);
    assert.equal((await call('purge'))['entities_deleted'], 0);
    assert.equal((await put('a'))['action'], 'created');
  });

  it('says what keeps the bytes from being erased, and that the memories are gone all the same', async () => {
    const { store, call, put } = setUp();
    const forgetOne = async (): Promise<void> => {
      await put('a');
      await call('forget', { category: 'c', key: 'a' });
    };
    store.vacuum = () => ({ bytesBefore: 9, bytesAfter: 4, erased: false });
    await forgetOne();
    const held = await call('purge');
    assert.deepEqual([held['entities_deleted'], held['bytes_freed'], held['erased']], [1, 5, false]);
    assert.match(String(held['hint']), /vacuum: true/);
    store.vacuum = () => {
      throw new MimirError('disk_full', 'The disk of the store is full; nothing was written.');
    };
    await forgetOne();
    const full = await call('purge');
    assert.deepEqual([full.isError, full['entities_deleted'], full['erased']], [false, 1, false]);
    assert.match(String(full['hint']), /The disk of the store is full/);
    const maintained = await call('maintenance', { all: true });
    assert.equal(maintained.isError, false);
    assert.match(String(maintained['errors']), /^vacuum: The disk of the store is full.*Free some space/);
    assert.equal('erased' in maintained, false);
  });
});

describe('maintenance', () => {
  it('does the steps that are asked for', async () => {
    const { store, call, put } = setUp();
    await put('a');
    await call('journal', { entity_id: 'mem-000000000000' });
    await call('journal', { entity_id: store.entities[0]?.id });
    store.vacuum = () => ({ bytesBefore: 900, bytesAfter: 400, erased: true });
    const NOTHING = {
      dedup_archived: 0,
      orphan_journal_entries_found: 0,
      orphan_links_found: 0,
      vacuum_reclaimed_bytes: 0,
      reindex_rows_affected: 0,
      dry_run: false,
      errors: [],
    };
    const orphans = { orphan_journal_entries_found: 1 };
    const vacuumed = { vacuum_reclaimed_bytes: 500, erased: true };
    const reindexed = { reindex_rows_affected: 1 };
    const cases: [object, object][] = [
      [{}, {}],
      [{ dedup: true }, {}],
      [{ orphans: true }, orphans],
      [{ vacuum: true }, vacuumed],
      [{ reindex: true }, reindexed],
      [{ all: true }, { ...orphans, ...vacuumed, ...reindexed }],
      [
        { all: true, dry_run: true },
        { ...orphans, dry_run: true },
      ],
      [{ vacuum: true, reindex: true, dry_run: true }, { dry_run: true }],
    ];
    for (const [args, expected] of cases) {
      const { text, isError, ...answer } = await call('maintenance', args);
      assert.deepEqual(answer, { ...NOTHING, ...expected }, JSON.stringify(args));
      assert.equal(isError, false, text);
    }
    assert.equal((await call('reindex'))['reindexed'], 1);
  });
});

describe('upkeep', () => {
  const WRONG: [string, unknown, string][] = [
    ['decay', ['x'], 'arguments'],
    ['decay', { workspace_hash: 7 }, 'workspace_hash'],
    ['compact', { min_decay: 'SECRET' }, 'min_decay'],
    ['compact', { min_decay: false }, 'min_decay'],
    ['compact', { dry_run: 0 }, 'dry_run'],
    ['compact', 'SECRET', 'arguments'],
    ['prune', { purge_all: true, category: 7 }, 'category'],
    ['prune', { purge_all: true, category: 'x'.repeat(3_000) }, 'category'],
    ['prune', { min_decay: [] }, 'min_decay'],
    ['prune', { min_decay: Infinity }, 'min_decay'],
    // Moving these into their range, as elsewhere, would archive more than was asked for.
    ['prune', { older_than_days: -1 }, 'older_than_days'],
    ['prune', { older_than_days: 4_294_967_296 }, 'older_than_days'],
    ['prune', { older_than_days: 2.5 }, 'older_than_days'],
    ['prune', { older_than_days: {} }, 'older_than_days'],
    ['prune', { purge_all: true, limit: -1 }, 'limit'],
    ['prune', { purge_all: true, limit: 1e17 }, 'limit'],
    ['prune', { purge_all: 1 }, 'purge_all'],
    ['prune', { purge_all: true, dry_run: 'SECRET' }, 'dry_run'],
    ['purge', { dry_run: {} }, 'dry_run'],
    ['reindex', 'SECRET', 'arguments'],
    ['maintenance', { all: 1 }, 'all'],
    ['maintenance', { vacuum: 'SECRET' }, 'vacuum'],
  ];
  for (const [tool, args, field] of WRONG) {
    it(`refuses ${tool} with a wrong ${field} (${JSON.stringify(args).slice(0, 40)})`, async () => {
      const { call, put, live } = setUp();
      await put('a');
      const answer = await call(tool, args);
      assert.deepEqual([answer.isError, answer['code'], answer['field']], [true, 'invalid_argument', field]);
      assert.match(answer.text, new RegExp(`^Invalid ${tool} arguments: .*must be `));
      assert.doesNotMatch(answer.text, /SECRET/);
      assert.deepEqual(live(), ['a']);
    });
  }

  it('says what is allowed where it refuses', async () => {
    const { call } = setUp();
    assert.match((await call('prune', { older_than_days: -1 })).text, /an integer from 0 to 4294967295\.$/);
    assert.match((await call('prune', { limit: -1 })).text, /an integer of at least 0\.$/);
  });

  it('is listed in few words, waits for its turn, and can be called where it is not shown', async () => {
    const { table } = setUp();
    for (const name of UPKEEP) {
      const listing = table.all.find((one) => one.name === name);
      assert.ok(listing !== undefined && JSON.stringify(listing).length < 768, name);
      assert.equal(table.access(name), 'exclusive');
    }
    const core = createTable({ ...({} as Parameters<typeof createTable>[0]), show: 'core' });
    assert.ok(core.list.every(({ name }) => !UPKEEP.includes(name)));
    assert.equal(core.access('mimir_purge'), 'exclusive');
  });

  it('by a bound token touches only what that may change, and not the store as a whole', async () => {
    const { store, call, put, live } = setUp();
    await put('mine', { workspace_hash: 'w' });
    await put('private-mine', { workspace_hash: 'w', visibility: 'private', agent_id: 'ag' });
    await put('private-theirs', { workspace_hash: 'w', visibility: 'private', agent_id: 'other' });
    await put('elsewhere', { workspace_hash: 'x' });
    await put('public-elsewhere', { workspace_hash: 'x', visibility: 'public' });
    const theirs = ['elsewhere', 'private-theirs', 'public-elsewhere'];
    assert.equal((await call('compact', { min_decay: 2, dry_run: true }, BOUND))['entities_archived'], 2);
    assert.equal((await call('prune', { purge_all: true, workspace_hash: 'x' }, BOUND))['examined'], 0);
    assert.equal((await call('prune', { purge_all: true }, BOUND))['archived'], 2);
    assert.deepEqual(live(), theirs);
    await call('prune', { purge_all: true });
    const purged = await call('purge', {}, BOUND);
    assert.deepEqual([purged['entities_deleted'], purged['erased']], [2, false]);
    assert.deepEqual(store.entities.map((e) => e.key).toSorted(), theirs);
    assert.equal((await call('reindex', {}, BOUND))['code'], 'forbidden');
    const { errors } = await call('maintenance', { all: true }, BOUND);
    assert.deepEqual(
      (errors as string[]).map((one) => one.split(':')[0]),
      ['vacuum', 'reindex'],
    );
  });

  it('that fails on the way says how much was done, and keeps it', async () => {
    let calls = 0;
    const step = async ({ ids }: { readonly ids: readonly string[] }) => {
      if (calls++ === 1) throw new MimirError('locked', 'Another process is writing.', { retryAfterMs: 100 });
      return { handled: Math.min(3, ids.length), changed: 2 };
    };
    await assert.rejects(inSteps(['a', 'b', 'c', 'd', 'e'], step), {
      code: 'locked',
      message: 'Another process is writing. Before that, 2 of 5 were done.',
      retryAfterMs: 100,
      facts: { changed: 2, remaining: 2 },
    });
    calls = 2;
    assert.deepEqual(await inSteps(['a', 'b', 'c', 'd', 'e'], step), { changed: 4, left: 0 });
  });

  it('looks at a row again before it archives it', async () => {
    const { store, call, put, live } = setUp();
    await put('a', { importance: 0.3 });
    await put('b', { importance: 0.3 });
    const look = store.kept.bind(store);
    store.kept = (...args) => {
      const stretch = look(...args);
      // Somebody uses it just now, behind the back of the survey.
      store.noteUse(store.entities[0]?.row ?? 0, 4, store.nowMs);
      return stretch;
    };
    assert.equal((await call('compact', { min_decay: 0.5 }))['entities_archived'], 1);
    assert.deepEqual(live(), ['a']);
  });
});

describe('what is due', () => {
  it('is what all conditions say, and fades with time', () => {
    const row = { importance: 1, lasting: false, createdAtMs: 1_000, usage: { count: 0, lastAtMs: 1_000 } };
    const at = (days: number): number => 1_000 + days * DAY_MS;
    assert.equal(isDue(row, {}, 0), true);
    assert.equal(isDue(row, { belowStrength: 0.05 }, at(20.9)), false);
    assert.equal(isDue(row, { belowStrength: 0.05 }, at(21)), true);
    assert.equal(isDue({ ...row, lasting: true }, { belowStrength: 2 }, at(99)), false);
    assert.equal(isDue({ ...row, lasting: true }, { createdUpToMs: 1_000 }, at(0)), true);
    assert.equal(isDue(row, { createdUpToMs: 999 }, at(0)), false);
    assert.equal(isDue(row, { createdUpToMs: 1_000, belowStrength: 0.05 }, at(1)), false);
  });
});
