import { monotonicMs, type Clock } from '../clock.ts';
import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { TOKENISER_VERSION } from '../memory/text.ts';
import type { Scope, TellProgress } from '../memory/types.ts';
import { makePrivateFile, prepareFile, removeFile } from './files.ts';
import {
  beginWrite,
  follow,
  runBatch,
  type BatchContext,
  type BatchOptions,
  type BatchResult,
  type WriteJob,
} from './sqlite/batch.ts';
import { Derived } from './sqlite/derived.ts';
import { connect, isBusy, Statements, translate, translated, type Connection } from './sqlite/driver.ts';
import { FREQUENCIES_BYTES, TermFrequencies } from './sqlite/frequencies.ts';
import { LiveRows } from './sqlite/live.ts';
import { RamIndex } from './sqlite/ram-index.ts';
import { sqliteReader } from './sqlite/reader.ts';
import { Rebuild } from './sqlite/rebuild.ts';
import { indexIsCurrent, inspect, migrate, refuseOriginal } from './sqlite/schema.ts';
import {
  dropRepacked,
  ItemCache,
  ITEMS_SEARCHED_MAX_BYTES,
  ITEMS_SHOWN_MAX_BYTES,
  showVocabulary,
  TermArena,
  type Session,
} from './sqlite/session.ts';
import { VectorIndex } from './sqlite/vector-index.ts';
import { emptyLog, vacuum } from './sqlite/vacuum.ts';
import { verify } from './sqlite/verify.ts';
import type { Exclusive, Reader, RebuildProgress, Writer } from './store.ts';

export { translate } from './sqlite/driver.ts';

/** What opening a store needs. */
export interface OpenOptions {
  readonly path: string;
  /** Whether a missing folder may be made (the default one); absent: not. */
  readonly folder?: 'make' | 'demand';
  /** 32 raw bytes, or null for a plain file. */
  readonly key: Uint8Array | null;
  readonly clock: Clock;
  /** How long to wait for the write lock of another process. */
  readonly busyTimeoutMs: number;
  /** Shared by the connections of a process, see {@link makeSharedMemory}; without it terms are counted in the index. */
  readonly shared?: SharedArrayBuffer;
}

/** Memory in which the writer of a process counts terms for all its connections. */
export function makeSharedMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(FREQUENCIES_BYTES);
}

/** A connection that only reads. */
export interface StoreReader {
  /** Runs with one snapshot of the store. Calls must not overlap. */
  snapshot<T>(run: (tx: Reader) => Promise<T>): Promise<T>;
  /** As `snapshot`, in the one that is open already; it stays open until `release`. */
  share<T>(run: (tx: Reader) => Promise<T>): Promise<T>;
  /** Ends the snapshot that `share` has left open, if any. */
  release(): void;
  /** Whether the log has an operation with this id, that is, whether it was committed. */
  committed(operationId: string): boolean;
  /** True when there is something left to fill in memory. */
  readonly cold: boolean;
  /** Fills what the connection keeps in memory, one step at a time; false when there was nothing to do. */
  warmUp(): boolean;
  close(): void;
}

/** The one writing connection of a process. */
export interface StoreWriter extends StoreReader {
  /** Group commit, see `runBatch`. Calls must not overlap. */
  batch(jobs: readonly WriteJob[], options?: BatchOptions): Promise<BatchResult>;
  /** One operation in a transaction of its own; throws what it throws. */
  transaction<T>(meta: { id: string; kind: string; scope: Scope }, run: (tx: Writer) => Promise<T>): Promise<T>;
  /** True when the commit before found that another process had written: a pause lets the other one in. */
  readonly othersWrote: boolean;
  /** How far `warmUp` has made the lists of an older file anew; null when there is nothing to make. */
  readonly rebuilding: RebuildProgress | null;
  /** Empties the write-ahead log when it is above its limit; answers its length in bytes. */
  checkpoint(): number;
  /** What needs the store to itself; between two batches. */
  readonly exclusive: Exclusive;
  /** Problems found in chain, indexes and references; empty when all is well. */
  verify(progress?: TellProgress): readonly string[];
}

const PAGE_CACHE_KIB = 4_096;

/** Opening reads once: that read takes the lock which shows that somebody has the file, and shows whether the key fits. */
function firstRead(db: Connection, encrypted: boolean): void {
  try {
    db.prepare('SELECT count(*) FROM sqlite_schema').get();
  } catch (thrown) {
    const error = translate(thrown);
    if (!encrypted && error instanceof MimirError && error.code === 'wrong_key') {
      throw new MimirError('not_a_store', 'The file is no database.');
    }
    throw error;
  }
}

function set(db: Connection): void {
  db.pragma('synchronous = FULL');
  db.pragma('foreign_keys = ON');
  db.pragma('temp_store = MEMORY');
  db.pragma(`cache_size = -${PAGE_CACHE_KIB}`);
  if (process.platform === 'darwin') db.pragma('fullfsync = ON');
}

function retrying<T>(busyTimeoutMs: number, run: () => T): T {
  const started = performance.now();
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (;;) {
    try {
      return run();
    } catch (thrown) {
      if (!isBusy(thrown) || performance.now() - started >= busyTimeoutMs) throw translate(thrown);
      Atomics.wait(pause, 0, 0, 2);
    }
  }
}

function makeSession(db: Connection, options: OpenOptions, role: 'reads' | 'searches' | 'writes'): Session {
  showVocabulary(db);
  return {
    sql: new Statements(db),
    items: new ItemCache(role === 'searches' ? ITEMS_SEARCHED_MAX_BYTES : ITEMS_SHOWN_MAX_BYTES),
    terms: new TermArena(),
    vectors: new VectorIndex(),
    repackedSeq: 0,
    indexSize: null,
    browses: role === 'writes' ? null : new Map(),
    spellings: role === 'writes' ? null : new Map(),
    ram: role === 'searches' ? new RamIndex() : null,
    frequencies: options.shared === undefined ? null : new TermFrequencies(options.shared),
    nowMs: 0,
  };
}

function reading(session: Session, clock: Clock): StoreReader {
  const tx = sqliteReader(session);
  const { db } = session.sql;
  let seenVersion = -1;
  let open = false;
  const begin = (): void => {
    session.indexSize = null;
    session.sql.run('BEGIN');
    open = true;
    // Changes with every commit of another connection, in this process or elsewhere; reading it starts the snapshot.
    const version = session.sql.get<{ data_version: number }>('PRAGMA data_version')?.data_version ?? -1;
    if (version === seenVersion) return;
    session.browses?.clear();
    session.spellings?.clear();
    dropRepacked(session);
    session.ram?.catchUp(session.sql);
    seenVersion = version;
  };
  const release = (): void => {
    open = false;
    if (db.inTransaction) session.sql.run('COMMIT');
  };
  const share: StoreReader['share'] = async (run) => {
    session.nowMs = clock.nowMs();
    try {
      if (!open) begin();
      return await run(tx);
    } catch (thrown) {
      release();
      throw translate(thrown);
    }
  };
  return {
    snapshot: async (run) => {
      try {
        return await share(run);
      } finally {
        release();
      }
    },
    share,
    release: () => {
      if (open) release();
    },
    committed: (operationId) =>
      translated(() => session.sql.get('SELECT 1 FROM operations WHERE id = ?', operationId) !== undefined),
    get cold() {
      return session.ram?.cold === true || session.vectors.behind;
    },
    warmUp: () =>
      translated(() => {
        try {
          if (!open) begin();
          if (session.ram?.cold === true && session.ram.warmUp(session.sql)) return true;
          if (!session.vectors.behind) return false;
          session.vectors.goOn(session.sql);
          return true;
        } finally {
          release();
        }
      }),
    close: () => db.close(),
  };
}

/**
 * Makes sure that the store is there and has the current schema: looks at the file, makes it when there is none, migrates.
 * Must be called before this process has any other connection to the file. Throws a `MimirError` and leaves a foreign file untouched.
 * False: its text index is of an older form, and a writer's idle time must make it anew (`warmUp`).
 */
export function prepareStore(options: OpenOptions): boolean {
  const header = prepareFile(options.path, options.folder ?? 'demand');
  if (header === 'other' && options.key === null) {
    throw new MimirError('not_a_store', `${options.path} is encrypted, or it is no database.`, {
      hint: 'If it is an encrypted store, add --encryption-key FILE; otherwise name another file with --db.',
    });
  }
  if (header === 'plain' && options.key !== null) refuseUnencrypted(options);
  const db = connect({ path: options.path, key: options.key });
  try {
    return retrying(options.busyTimeoutMs, () => {
      firstRead(db, options.key !== null);
      return migrateOrExplain(db, options);
    });
  } catch (thrown) {
    throw translate(thrown);
  } finally {
    db.close();
  }
}

/** The original encrypts texts in a plain file: that one is told apart, because it can be imported with the key. */
function refuseUnencrypted({ path, busyTimeoutMs }: OpenOptions): never {
  const db = connect({ path, key: null });
  try {
    refuseOriginal(retrying(busyTimeoutMs, () => inspect(db)));
  } catch (thrown) {
    throw translate(thrown);
  } finally {
    db.close();
  }
  throw new MimirError('not_encrypted', 'The store is not encrypted, but a key was given.');
}

function migrateOrExplain(db: Connection, options: OpenOptions): boolean {
  // A stranger's file must stay as it is, so its mode is changed only after it was looked at.
  migrate(db, (version) => {
    const copy = `${options.path}.before-v${version + 1}`;
    removeFile(copy);
    makePrivateFile(copy);
    db.prepare('VACUUM INTO ?').run(copy);
  });
  if (
    db.pragma('journal_mode', { simple: true }) !== 'wal' &&
    db.pragma('journal_mode = WAL', { simple: true }) !== 'wal'
  ) {
    throw new MimirError('cannot_open', 'The store cannot use a write-ahead log here.', {
      hint: 'Put it on a local disk and name it with --db.',
    });
  }
  const stored = Number(db.prepare(`SELECT value FROM meta WHERE name = 'index_version'`).pluck().get());
  if (stored > TOKENISER_VERSION) {
    throw new MimirError(
      'newer_schema',
      `The text index has version ${stored}; this program writes ${TOKENISER_VERSION}.`,
    );
  }
  return stored === TOKENISER_VERSION;
}

/** Opens a reading connection; one that `searches` keeps the live rows in memory. The store must have been prepared. */
export function openReader(options: OpenOptions, role: 'reads' | 'searches' = 'reads'): StoreReader {
  // Not opened read-only: the last connection to close must be able to fold the log into the file.
  const db = connect({ path: options.path, key: options.key });
  try {
    return retrying(options.busyTimeoutMs, () => {
      firstRead(db, options.key !== null);
      set(db);
      const session = makeSession(db, options, role);
      db.pragma('query_only = ON');
      return reading(session, options.clock);
    });
  } catch (thrown) {
    db.close();
    throw translate(thrown);
  }
}

/** Opens the writing connection. The store must have been prepared. */
export function openWriter(options: OpenOptions): StoreWriter {
  const db = connect({ path: options.path, key: options.key });
  let session: Session;
  try {
    session = retrying(options.busyTimeoutMs, () => {
      firstRead(db, options.key !== null);
      set(db);
      return makeSession(db, options, 'writes');
    });
  } catch (thrown) {
    db.close();
    throw translate(thrown);
  }
  const derived = new Derived(session.frequencies);
  const context: BatchContext = {
    session,
    clock: options.clock,
    derived,
    rows: new LiveRows(derived, { tokens: true }),
    busyTimeoutMs: options.busyTimeoutMs,
    seenSeq: -1,
    othersWrote: false,
  };
  let rebuild = indexIsCurrent(session.sql) ? null : new Rebuild(session);
  const goOnWithVectors = (): boolean => {
    if (!session.vectors.behind) return false;
    session.vectors.goOn(session.sql);
    return true;
  };
  const rebuildStep = (): boolean => {
    if (rebuild === null) return false;
    try {
      beginWrite(context);
      const changes = rebuild.step(session, monotonicMs);
      db.exec('COMMIT');
      if (changes !== null) context.rows.committed(changes);
      else {
        rebuild = null;
        // Another process may have made some of the lists anew: that is no operation, and nobody could follow it.
        context.rows.reset();
      }
    } finally {
      if (db.inTransaction) db.exec('ROLLBACK');
    }
    return true;
  };
  return {
    ...reading(session, options.clock),
    batch: (jobs, batchOptions) => runBatch(context, jobs, batchOptions),
    transaction: async <T>(
      meta: { id: string; kind: string; scope: Scope },
      run: (tx: Writer) => Promise<T>,
    ): Promise<T> => {
      const { outcomes } = await runBatch(context, [{ ...meta, input: null, run }]);
      const outcome = outcomes[0];
      if (outcome === undefined) throw new Error('a batch of one job ended without it');
      if (!outcome.ok) throw outcome.error;
      return outcome.value as T;
    },
    get othersWrote() {
      return context.othersWrote;
    },
    get rebuilding() {
      return rebuild?.progress ?? null;
    },
    get cold() {
      return !context.rows.warm || rebuild !== null || session.vectors.behind;
    },
    warmUp: () =>
      translated(() => {
        if (context.rows.warm) return rebuildStep() || goOnWithVectors();
        // One snapshot for the log and the rows: what comes after it arrives as changes.
        db.exec('BEGIN');
        try {
          follow(context);
          context.rows.warmUp(session.sql);
        } finally {
          db.exec('COMMIT');
        }
        return true;
      }),
    checkpoint: () =>
      translated(() => {
        const pageBytes = Number(db.pragma('page_size', { simple: true }));
        const [passive] = db.pragma('wal_checkpoint(PASSIVE)') as { log: number }[];
        const bytes = Math.max(0, passive?.log ?? 0) * pageBytes;
        if (bytes > LIMITS.walMaxBytes) emptyLog(db);
        return bytes;
      }),
    exclusive: { vacuum: () => translated(() => vacuum(context, options.key !== null)) },
    verify: (progress) => verify(session, progress),
  };
}
