import type { Clock } from '../clock.ts';
import { OPERATIONS, type Execute, type OperationName } from '../engine/operations.ts';
import type { CallOptions, Cost } from '../engine/operation.ts';
import { UsageNotes } from '../engine/usage.ts';
import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Log } from '../log.ts';
import type { Scope, TellProgress } from '../memory/types.ts';
import { readKeyFile } from '../storage/files.ts';
import { makeSharedMemory, openReader, openWriter, type OpenOptions, type StoreReader } from '../storage/open.ts';
import { prepareOrImport, type ImportWatch } from '../storage/original/import.ts';
import type { Reader } from '../storage/store.ts';
import { ThreadLane, type LaneOwner, type Waiting } from './lane.ts';
import type { Role } from './messages.ts';

/** What a pool is made of. */
export interface PoolConfig {
  readonly dbPath: string;
  /** Make the folder of the store when it is missing: only for the default place. */
  readonly makeFolder: boolean;
  readonly keyFile: string | null;
  /** Most connections that are ever open at once; at least 1. */
  readonly poolMax: number;
  readonly busyTimeoutMs: number;
  /** Processors to share: more readers than that only take turns. */
  readonly cores: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Told when the file is a database of the original and is imported; without it, such a file is refused. */
  readonly importing?: ImportWatch;
}

/** Runs operations. */
export interface Pool {
  readonly execute: Execute;
  readonly usage: UsageNotes;
  /** Opens the store and starts the threads that many clients need; throws when it cannot. Without it the first call does. */
  ready(): Promise<void>;
  /** Refuses new calls, finishes what was accepted, stores usage, closes every connection. */
  close(): Promise<void>;
}

/** Scans that follow each other this closely on the main thread mean that more than one client is asking. */
const CROWDED_MS = 20;
/**
 * Each reader keeps the live rows in memory, and one searches faster than the main thread can send. Main thread and writer
 * need a processor each: with two, one reader is best (at 10,000 rows .173 of the floor; two .147, none .114).
 */
const READERS_MAX = 2;
/** Reads sent to a thread in one message: more save wake-ups, but the first one waits for the last. */
const READS_PER_MESSAGE = 16;
/** A reader with so many calls is not given more while another could be opened. */
const READER_LOAD = 5;

type AnyRun = (tx: Reader, scope: Scope, input: unknown, progress?: TellProgress) => Promise<unknown>;

function roughBytes(input: unknown): number {
  let bytes = 200;
  if (typeof input === 'object' && input !== null) {
    for (const value of Object.values(input)) {
      if (typeof value === 'string') bytes += value.length;
      else if (Array.isArray(value)) for (const member of value) bytes += roughBytes(member);
    }
  }
  return bytes;
}

/** Time first, so that the log's index grows at its end instead of all over; 80 random bits make it unique. */
function operationId(clock: Clock): string {
  return clock.nowMs().toString(16).padStart(12, '0') + Buffer.from(clock.randomBytes(10)).toString('hex');
}

function refuseCancelled({ signal }: CallOptions): void {
  if (signal?.aborted === true) throw new MimirError('cancelled', 'The request was cancelled before it began.');
}

/** Makes a pool. It does no I/O before {@link Pool.ready} or the first call. */
export function openPool(config: PoolConfig): Pool {
  // Tools note uses when their answer is made, after the operation: no call need follow that would think of storing them.
  const usage = new UsageNotes(() => flushUsageLater());
  const shared = makeSharedMemory();
  let options: OpenOptions | null = null;
  let opening: Promise<void> | null = null;
  let isOpen = false;
  /** The main thread's connection; none when the pool may have only one. */
  let main: StoreReader | null = null;
  let mainBusy: Promise<unknown> = Promise.resolve();
  let lastScanMs = Number.NEGATIVE_INFINITY;
  let usageTakenMs = Number.NEGATIVE_INFINITY;
  let writer: ThreadLane | null = null;
  const readers: ThreadLane[] = [];
  const readersMax = Math.max(0, Math.min(config.poolMax - 2, Math.max(1, Math.min(READERS_MAX, config.cores - 2))));
  let closing = false;
  let inFlight = 0;
  let drained: (() => void) | null = null;
  let flushTimer: NodeJS.Timeout | null = null;
  let releasing = false;
  let warming: NodeJS.Timeout | null = null;

  const open = async (): Promise<void> => {
    const key = config.keyFile === null ? null : readKeyFile(config.keyFile);
    const wanted: OpenOptions = {
      path: config.dbPath,
      key,
      clock: config.clock,
      busyTimeoutMs: config.busyTimeoutMs,
      shared,
    };
    const folder = config.makeFolder ? 'make' : 'demand';
    const isCurrent = await prepareOrImport({ ...wanted, folder }, config.importing ?? null);
    if (config.poolMax > 1) main = openReader(wanted);
    options = wanted;
    if (!isCurrent) {
      void writerLane()
        .start()
        .catch(() => undefined); // whoever calls next is told why it cannot open
    }
  };

  /** Opens the store once; a try that failed is made again by the next call. */
  const opened = (): Promise<void> => {
    if (opening !== null) return opening;
    const begun = open();
    opening = begun;
    // The first to be told, so that a call which comes now cannot pass one that has waited.
    begun.then(
      () => {
        isOpen = true;
      },
      () => {
        opening = null; // told to whoever called
      },
    );
    return begun;
  };

  const openOptions = (): OpenOptions => {
    if (options === null) throw new Error('a connection was wanted before the store was opened');
    return options;
  };

  const owner: LaneOwner = {
    takeUsage: () => {
      // Not with every batch: the same rows are used again and again, and each note is a row to rewrite.
      if (!closing && performance.now() - usageTakenMs < LIMITS.usageFlushMs) {
        flushUsageLater();
        return [];
      }
      usageTakenMs = performance.now();
      if (flushTimer !== null) clearTimeout(flushTimer);
      flushTimer = null;
      return usage.take();
    },
    usageFlushed: (stored) => {
      usage.flushed(stored);
      flushUsageLater();
    },
    wrote: () => main?.release(),
    committed: async (ids) => {
      // With a pool of one the dead thread's connection is gone, so another may be open for this moment.
      const log = main ?? openReader(openOptions());
      try {
        return new Set(ids.filter((id) => log.committed(id)));
      } finally {
        if (main === null) log.close();
      }
    },
    rebuilding: (progress) => {
      if (progress === null) config.log.info('text_index_rebuilt');
      else config.log.info('text_index_rebuild', { ...progress, note: 'answers go on meanwhile' });
    },
    threadDied: (role) => config.log.error('thread_died', { role }),
  };

  const lane = (role: Role): ThreadLane => {
    const { path, key, busyTimeoutMs } = openOptions();
    return new ThreadLane(
      { role, path, key, busyTimeoutMs, shared },
      owner,
      role === 'writer' ? LIMITS.batchOperationsMax : READS_PER_MESSAGE,
    );
  };

  const writerLane = (): ThreadLane => (writer ??= lane('writer'));

  const flushUsageLater = (): void => {
    if (flushTimer !== null || usage.size === 0 || closing) return;
    // Without a writer thread (stdio that only reads) notes wait longer: a thread for them alone would be waste.
    flushTimer = setTimeout(
      () => {
        flushTimer = null;
        const target = writerLane();
        void target.start().catch(() => undefined); // whoever calls next is told why it cannot open
        target.flush();
      },
      writer?.open === true ? LIMITS.usageFlushMs : LIMITS.usageFlushIdleMs,
    ).unref();
  };

  const addReader = (): ThreadLane => {
    const fresh = lane('reader');
    readers.push(fresh);
    return fresh;
  };

  const pickReader = (): ThreadLane | null => {
    // One reader that is busy wakes up less often than two that are half idle: a wake-up costs as much as a small search.
    const free = readers.find((one) => one.load < READER_LOAD);
    if (free !== undefined) return free;
    if (readers.length > 0 && readers.length >= readersMax)
      return readers.reduce((best, one) => (one.load < best.load ? one : best));
    if (readersMax === 0) return null;
    if (readers.length === 0 && performance.now() - lastScanMs > CROWDED_MS) return null;
    return addReader();
  };

  const onThread = (
    target: ThreadLane,
    name: OperationName,
    scope: Scope,
    input: unknown,
    callOptions: CallOptions,
  ): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const { signal, idempotencyKey } = callOptions;
      const waiting: Waiting = {
        call: {
          id: operationId(config.clock),
          name,
          scope,
          input,
          ...(idempotencyKey !== undefined && { idempotencyKey }),
        },
        access: OPERATIONS[name].access,
        bytes: roughBytes(input),
        sinceMs: performance.now(),
        resolve,
        reject,
        deaths: 0,
      };
      signal?.addEventListener(
        'abort',
        () => {
          if (target.cancel(waiting)) reject(new MimirError('cancelled', 'The request was cancelled before it began.'));
        },
        { once: true },
      );
      target.push(waiting);
    });

  const onMain = (
    store: StoreReader,
    name: OperationName,
    scope: Scope,
    input: unknown,
    { progress }: CallOptions,
  ): Promise<unknown> => {
    const run = OPERATIONS[name].run as unknown as AnyRun;
    const attempt = async (): Promise<unknown> => {
      const started = performance.now();
      for (;;) {
        try {
          // Requests that arrive together share a snapshot: it ends with this turn, or before anybody hears of a write.
          if (!releasing) {
            releasing = true;
            setImmediate(() => {
              releasing = false;
              store.release();
            });
          }
          return await store.share((tx) => run(tx, scope, input, progress));
        } catch (thrown) {
          // Recovery by another process can hold a reader for a moment; this thread waits by timer, never by sleeping.
          const locked = thrown instanceof MimirError && thrown.code === 'locked';
          if (!locked || performance.now() - started >= config.busyTimeoutMs) throw thrown;
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
      }
    };
    const result = mainBusy.then(attempt);
    mainBusy = result.catch(() => undefined);
    if (warming === null && store.cold) warmMain(store);
    return result;
  };

  /** Fills what the main connection keeps in memory, a step at a time between requests. */
  const warmMain = (store: StoreReader): void => {
    warming = setTimeout(() => {
      warming = null;
      mainBusy = mainBusy.then(() => {
        if (closing || !store.cold) return;
        try {
          if (store.warmUp()) warmMain(store);
        } catch {
          // The next request begins it again; until then what is not in memory costs time.
        }
      });
    }, 0).unref();
  };

  const dispatch = (name: OperationName, scope: Scope, input: unknown, callOptions: CallOptions): Promise<unknown> => {
    // Not by the options: they are there a moment before the first call goes on, and the next one must not pass it.
    if (!isOpen) {
      return opened().then(() => {
        // Opening may take long, when a database of the original has to be imported.
        refuseCancelled(callOptions);
        return dispatch(name, scope, input, callOptions);
      });
    }
    const operation = OPERATIONS[name];
    if (operation.access !== 'read' || main === null) return onThread(writerLane(), name, scope, input, callOptions);
    const cost = (operation.cost as (input: unknown) => Cost)(input);
    if (cost === 'point') return onMain(main, name, scope, input, callOptions);
    const reader = pickReader();
    if (reader !== null) return onThread(reader, name, scope, input, callOptions);
    return onMain(main, name, scope, input, callOptions).finally(() => {
      lastScanMs = performance.now();
    });
  };

  const execute = async (
    name: OperationName,
    scope: Scope,
    input: unknown,
    callOptions: CallOptions = {},
  ): Promise<unknown> => {
    if (closing) throw new MimirError('closing', 'The server is stopping.', { retryAfterMs: 2_000 });
    refuseCancelled(callOptions);
    inFlight += 1;
    try {
      return await dispatch(name, scope, input, callOptions);
    } finally {
      inFlight -= 1;
      if (inFlight === 0) drained?.();
    }
  };

  const storeLastUsage = async (): Promise<void> => {
    if (usage.size === 0 || options === null || writer !== null) return;
    // No writer thread ever ran: one short connection on this thread is quicker than starting one.
    const last = openWriter(options);
    try {
      usage.flushed((await last.batch([], { usage: usage.take() })).usageStored);
    } finally {
      last.close();
    }
  };

  return {
    execute: execute as Execute,
    usage,
    ready: async () => {
      await opened();
      // A server for many clients is slow to its first ones while threads start, so they start before it listens.
      const lanes = [writerLane()];
      if (readersMax > 0) lanes.push(addReader());
      await Promise.all(lanes.map((one) => one.start()));
    },
    close: async () => {
      if (closing) return;
      closing = true;
      if (flushTimer !== null) clearTimeout(flushTimer);
      await opening?.catch(() => undefined); // whoever wanted it is told
      if (inFlight > 0) await new Promise<void>((resolve) => (drained = resolve));
      await Promise.all(readers.map((reader) => reader.close()));
      await mainBusy;
      main?.close();
      // The writer closes last: the last connection folds the log into the file.
      await writer?.close();
      try {
        await storeLastUsage();
      } catch (thrown) {
        config.log.warn('usage_not_stored', { error: thrown instanceof MimirError ? thrown.code : 'bug' });
      }
    },
  };
}
