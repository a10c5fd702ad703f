import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';

import { systemClock } from '../../src/clock.ts';
import type { OperationName } from '../../src/engine/operations.ts';
import { MimirError } from '../../src/errors.ts';
import { LIMITS } from '../../src/limits.ts';
import type { Log } from '../../src/log.ts';
import { OWNER } from '../../src/memory/scope.ts';
import type { Scope } from '../../src/memory/types.ts';
import { ThreadLane, type LaneOwner } from '../../src/pool/lane.ts';
import { openPool, type Pool } from '../../src/pool/pool.ts';
import { makeSharedMemory, openReader, openWriter, prepareStore } from '../../src/storage/open.ts';

const SCOPE: Scope = { principal: OWNER, workspace: null, actor: 'test', client: 'test' };
const SILENT: Log = { banner: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

function temporary(t: { after(run: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'mimir-pool-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'm.db');
}

function pool(path: string, changes: Partial<Parameters<typeof openPool>[0]> = {}): Pool {
  return openPool({
    dbPath: path,
    makeFolder: false,
    keyFile: null,
    poolMax: 16,
    busyTimeoutMs: 5_000,
    cores: 2,
    clock: systemClock,
    log: SILENT,
    ...changes,
  });
}

const rememberInput = (key: string, text: string) => ({
  category: 'pool',
  key,
  bodyJson: JSON.stringify({ content: text }),
  recallWhen: [],
});
const recallInput = (query: string) => ({ query, filters: {}, limit: 10, offset: 0, minDecay: 0 });

for (const poolMax of [1, 2, 3, 16]) {
  test(`one store shared by four writers and four readers loses nothing with a pool of ${poolMax}`, async (t) => {
    const path = temporary(t);
    const p = pool(path, { poolMax });
    const failures: unknown[] = [];
    const writer = async (w: number): Promise<void> => {
      for (let i = 0; i < 50; i++)
        await p.execute('remember', SCOPE, rememberInput(`w${w}-${i}`, `memory ${i} of writer ${w}`));
    };
    const reader = async (): Promise<void> => {
      for (let i = 0; i < 50; i++) await p.execute('recall', SCOPE, recallInput(`memory ${i}`));
    };
    const work = [0, 1, 2, 3].flatMap((w) => [writer(w), reader()]);
    for (const outcome of await Promise.allSettled(work))
      if (outcome.status === 'rejected') failures.push(outcome.reason);
    assert.deepEqual(failures, []);
    assert.equal((await p.execute('stats', SCOPE, {})).entities, 200);
    await p.close();
    assert.equal(existsSync(`${path}-wal`), false, 'the file is clean after close');
  });
}

test('a use reaches the disk though no call follows it: in a moment beside a writer, else with the next write', async (t) => {
  const path = temporary(t);
  const p = pool(path);
  t.after(() => p.close());
  const { id } = await p.execute('remember', SCOPE, rememberInput('k', 'used'));
  const { entity } = await p.execute('get_entity', SCOPE, { id });
  const usesOf = async (): Promise<number> => {
    // Another connection looks, and knows nothing of notes.
    const other = pool(path);
    const { entity: seen } = await other.execute('get_entity', SCOPE, { id });
    await other.close();
    return seen.usage.count;
  };
  for (let times = 1; times <= 3; times++) {
    p.usage.note(new Map([[entity.row, entity.usage.count]]), systemClock.nowMs());
    const untilMs = performance.now() + 20 * LIMITS.usageFlushMs;
    while ((await usesOf()) !== times && performance.now() < untilMs) await new Promise((done) => setTimeout(done, 20));
    assert.equal(await usesOf(), times);
  }
  await p.close();

  const reading = pool(path);
  await reading.execute('get_entity', SCOPE, { id });
  reading.usage.note(new Map([[entity.row, entity.usage.count]]), systemClock.nowMs());
  await new Promise((done) => setTimeout(done, 2 * LIMITS.usageFlushMs));
  assert.equal(await usesOf(), 3, 'no thread is started for it alone');
  await reading.execute('remember', SCOPE, rememberInput('other', 'something else'));
  assert.equal(await usesOf(), 4);
  await reading.close();
});

test('a writer and a reader of two processes worth of connections meet no lock error', async (t) => {
  const path = temporary(t);
  const [a, b] = [pool(path), pool(path)];
  for (let i = 0; i < 100; i++) await a.execute('remember', SCOPE, rememberInput(`pre-${i}`, `preloaded ${i}`));
  const writes = (async () => {
    for (let i = 0; i < 300; i++) await a.execute('remember', SCOPE, rememberInput(`k${i}`, `written ${i}`));
  })();
  const reads = (async () => {
    for (let i = 0; i < 100; i++) await b.execute('recall', SCOPE, recallInput(`preloaded ${i}`));
  })();
  const both = (async () => {
    for (let i = 0; i < 50; i++) await b.execute('remember', SCOPE, rememberInput(`b${i}`, `from the other ${i}`));
  })();
  await Promise.all([writes, reads, both]);
  assert.equal((await b.execute('stats', SCOPE, {})).entities, 450);
  await Promise.all([a.close(), b.close()]);
});

test('with a busy timeout of 0 one process meets no lock error', async (t) => {
  const p = pool(temporary(t), { busyTimeoutMs: 0 });
  const work = Array.from({ length: 400 }, (_, i) =>
    i % 2 === 0
      ? p.execute('remember', SCOPE, rememberInput(`k${i}`, `text ${i}`))
      : p.execute('recall', SCOPE, recallInput(`text ${i}`)),
  );
  await Promise.all(work);
  await p.close();
});

test('a thread that dies is replaced, and its calls get the true answer', async (t) => {
  const path = temporary(t);
  const options = { path, key: null, clock: systemClock, busyTimeoutMs: 1_000, shared: makeSharedMemory() };
  prepareStore(options);
  const log = openReader(options);
  let deaths = 0;
  const owner: LaneOwner = {
    takeUsage: () => [],
    usageFlushed: () => undefined,
    committed: async (ids) => new Set(ids.filter((id) => log.committed(id))),
    wrote: () => undefined,
    threadDied: () => (deaths += 1),
    rebuilding: () => undefined,
  };
  const { path: dbPath, key, busyTimeoutMs, shared } = options;
  const lane = new ThreadLane({ role: 'writer', path: dbPath, key, busyTimeoutMs, shared }, owner, 8);
  const name: OperationName = 'remember';
  let answered = 0;
  // At these moments the next batch is already out, so the death meets running calls.
  const killAfter = new Set([40, 200, 400]);
  const answers = await Promise.allSettled(
    Array.from(
      { length: 600 },
      (_, i) =>
        new Promise<unknown>((resolve, reject) => {
          const call = { id: `op-${i}`, name, scope: SCOPE, input: rememberInput(`k${i}`, `text number ${i}`) };
          const settled = (value: unknown): void => {
            resolve(value);
            answered += 1;
            if (killAfter.has(answered)) lane.terminate();
          };
          lane.push({
            call,
            access: 'write',
            bytes: 100,
            sinceMs: performance.now(),
            resolve: settled,
            reject,
            deaths: 0,
          });
        }),
    ),
  );
  await lane.close();
  const acknowledged = answers.flatMap((answer, i) => (answer.status === 'fulfilled' ? [i] : []));
  const refused = answers.flatMap((answer, i) => (answer.status === 'rejected' ? [i] : []));
  assert.ok(deaths >= 1, 'at least one death met running calls');
  for (const i of acknowledged) assert.equal(log.committed(`op-${i}`), true, `acknowledged write ${i} is in the log`);
  for (const i of refused) assert.equal(log.committed(`op-${i}`), false, `refused write ${i} is not in the log`);
  log.close();
  const check = openWriter(options);
  assert.deepEqual(check.verify(), []);
  check.close();
});

test('a full queue answers unavailable with a time to come back', async (t) => {
  const p = pool(temporary(t));
  const answers = await Promise.allSettled(
    Array.from({ length: 6_000 }, (_, i) =>
      p.execute('state_set', SCOPE, { key: `k${i}`, valueJson: '1', ttlSeconds: null } as never),
    ),
  );
  const refused = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason as unknown] : []));
  assert.ok(refused.length > 0, 'some were refused');
  for (const error of refused) {
    assert.ok(error instanceof MimirError);
    assert.equal(error.code, 'queue_full');
    assert.ok((error.retryAfterMs ?? 0) > 0);
  }
  await p.close();
});

test('a cancelled call leaves the queue, a closing pool refuses new calls and finishes old ones', async (t) => {
  const p = pool(temporary(t));
  const stop = new AbortController();
  const first = p.execute('remember', SCOPE, rememberInput('a', 'first'));
  const cancelled = p.execute('remember', SCOPE, rememberInput('b', 'second'), { signal: stop.signal });
  stop.abort();
  await assert.rejects(cancelled, { code: 'cancelled' });
  const closing = p.close();
  await assert.rejects(p.execute('stats', SCOPE, {}), { code: 'closing' });
  assert.equal((await first).action, 'created');
  await closing;
});

test('a retry with the same idempotency key answers what the first try did, another request is refused', async (t) => {
  const p = pool(temporary(t));
  const once = await p.execute('remember', SCOPE, rememberInput('a', 'once'), { idempotencyKey: 'x1' });
  const again = await p.execute('remember', SCOPE, rememberInput('a', 'once'), { idempotencyKey: 'x1' });
  assert.deepEqual(again, once);
  await assert.rejects(p.execute('remember', SCOPE, rememberInput('a', 'other'), { idempotencyKey: 'x1' }), {
    code: 'idempotency_mismatch',
  });
  await p.close();
});
