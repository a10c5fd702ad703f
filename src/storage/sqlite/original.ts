import { MimirError } from '../../errors.ts';
import { copyBytes, hasLog, isFile, makePrivateFile, mayWriteBeside, removeFile } from '../files.ts';
import { connect, driverCode, isBusy, translate, translated, type Connection } from './driver.ts';
import { inspect, refuseOriginal } from './schema.ts';

/** A row of a foreign table, by the names of its columns. Nothing is known of its values. */
export type RawRow = Readonly<Record<string, unknown>>;

/** A file of the original that nobody else has open until it is closed. It is only read, until it is sealed. */
export interface OriginalFile {
  readonly counts: { readonly entities: number; readonly journal: number; readonly state: number };
  /** Memories of version 0.1 in a table of their own. */
  readonly earlyRows: number;
  /** What the original calls the schema of the file; 2.1 writes 1. */
  readonly schema: number;
  /** Rows of the table in the order they were written, each with its number as `rowid`; those of `entities` without their vector. */
  rows(table: OriginalTable): Iterable<RawRow>;
  hasEntity(id: string): boolean;
  /** The sizes in bytes of the vectors there are, rarest first. */
  vectorBytes(): readonly number[];
  /** Rows that have a vector of this size, as `rowid`, `id` and `embedding`. */
  vectors(bytes: number): Iterable<RawRow>;
  /** Entries of the text index that belong to no live row. */
  strayIndexEntries(): number;
  /**
   * Makes the file ready to be renamed away: its write-ahead log is taken into it, and it leaves that mode. So no log of it remains
   * that would be replayed into the file that takes its place, and SQLite refuses a process that waited here and would write to the
   * old file under its old name.
   */
  seal(): void;
  close(): void;
}

/** The tables that are taken over. */
export type OriginalTable = 'entities' | 'journal' | 'state';

/** Rows read at a time: a body may have a megabyte. */
const READ_ROWS = 100;

/**
 * Takes a file for this process alone, and changes nothing in it. `busy` when somebody else has it open, `none` when it is no file of
 * the original's.
 */
export function takeOriginal(path: string): OriginalFile | 'busy' | 'none' {
  // A look first: a lock on what turns out to be a store of ours would hold up its servers.
  const kind = looking(path, (db) => inspect(db).kind);
  if (kind !== 'original') return kind === 'busy' ? 'busy' : 'none';
  const db = connect({ path, key: null });
  let taken = false;
  try {
    // Before anything is read: with its log, SQLite then takes the whole file, without shared memory, as long as nobody has it.
    db.pragma('locking_mode = EXCLUSIVE');
    db.exec('BEGIN EXCLUSIVE');
    if (inspect(db).kind !== 'original') return 'none';
    taken = true;
    return original(db, path);
  } catch (thrown) {
    return busyOrNone(thrown);
  } finally {
    if (!taken) db.close();
  }
}

function looking<T>(path: string, look: (db: Connection) => T): T | 'busy' | 'none' {
  const db = connect({ path, key: null });
  try {
    return look(db);
  } catch (thrown) {
    return busyOrNone(thrown);
  } finally {
    db.close();
  }
}

function busyOrNone(thrown: unknown): 'busy' | 'none' {
  if (isBusy(thrown)) return 'busy';
  // An encrypted store of ours: another process was quicker.
  if (driverCode(thrown).startsWith('SQLITE_NOTADB')) return 'none';
  throw translate(thrown);
}

/** Opens a file that a caller named. Throws `cannot_open` when there is none. */
function openNamed(path: string, hint: string, readOnly: boolean): Connection {
  try {
    return connect({ path, key: null, readOnly });
  } catch (thrown) {
    if (!(thrown instanceof MimirError) || thrown.code !== 'cannot_open') throw thrown;
    throw new MimirError('cannot_open', `There is no file at ${path} that can be opened.`, { hint });
  }
}

/**
 * Copies a database of the original into a new file, page by page; its server may go on writing. Throws `not_a_store` when it is none
 * of the original's.
 */
export async function copyOriginal(from: string, to: string): Promise<void> {
  const hint = 'Name the file that the original was started with.';
  const isNone = (): MimirError =>
    new MimirError('not_a_store', `${from} is no database of the original Mimir 2.`, { hint });
  // In a folder where nobody may make a log, such as that of a backup, SQLite opens nothing, and nobody writes either.
  const isAtRest = isFile(from) && !mayWriteBeside(from) && !hasLog(from);
  if (isAtRest) copyBytes(from, to);
  // Whoever may write and is the last to close folds the log into the file; without a log, that one tidies up what reading made.
  const db = isAtRest ? openNamed(to, hint, false) : openNamed(from, hint, hasLog(from));
  try {
    const found = inspect(db);
    if (found.kind === 'original_v01') refuseOriginal(found);
    if (found.kind !== 'original') throw isNone();
    if (isAtRest) return;
    makePrivateFile(to);
    await db.backup(to);
  } catch (thrown) {
    if (driverCode(thrown).startsWith('SQLITE_NOTADB')) throw isNone();
    throw translate(thrown);
  } finally {
    db.close();
  }
}

function original(db: Connection, path: string): OriginalFile {
  const columnsOf = (table: string): string[] =>
    db.prepare('SELECT name FROM pragma_table_info(?)').pluck().all(table).map(String);
  const count = (sql: string): number => Number(db.prepare(sql).pluck().get());
  const has = { journal: columnsOf('journal').length > 0, state: columnsOf('state').length > 0 };
  const isIndexed = columnsOf('entities_fts_content').includes('c0');
  const hasVectors = columnsOf('entities').includes('embedding');
  const ids = db.prepare('SELECT 1 FROM entities WHERE id = ?');

  function* inOrder(columns: readonly string[], from: string, alias: string): Iterable<RawRow> {
    const page = db.prepare(
      `SELECT ${alias}.rowid AS rowid, ${columns.join(', ')} FROM ${from} WHERE ${alias}.rowid > ? ORDER BY ${alias}.rowid LIMIT ${READ_ROWS}`,
    );
    for (let after = Number.MIN_SAFE_INTEGER; ;) {
      const rows = translated(() => page.all(after)) as RawRow[];
      yield* rows;
      if (rows.length < READ_ROWS) return;
      after = Number(rows.at(-1)?.['rowid']);
    }
  }

  return {
    schema: Number(db.pragma('user_version', { simple: true })),
    earlyRows: columnsOf('memories').length > 0 ? count('SELECT count(*) FROM memories') : 0,
    counts: {
      entities: count('SELECT count(*) FROM entities'),
      journal: has.journal ? count('SELECT count(*) FROM journal') : 0,
      state: has.state ? count('SELECT count(*) FROM state') : 0,
    },
    rows: (table) => {
      if (table !== 'entities') return has[table] ? inOrder(['t.*'], `${table} t`, 't') : [];
      const columns = columnsOf('entities').filter((name) => name !== 'embedding');
      // What the index says a row's text is; null for a row that it lacks.
      const indexed = isIndexed
        ? '(SELECT f.c0 FROM entities_fts_content f WHERE f.id = e.rowid) AS indexed_text'
        : 'NULL AS indexed_text';
      return inOrder([...columns.map((name) => `e."${name.replaceAll('"', '""')}"`), indexed], 'entities e', 'e');
    },
    hasEntity: (id) => ids.get(id) !== undefined,
    vectorBytes: () =>
      hasVectors
        ? db
            .prepare(
              `SELECT length(embedding) / 4 * 4 AS bytes FROM entities WHERE typeof(embedding) = 'blob' AND length(embedding) >= 4
               GROUP BY bytes ORDER BY count(*), bytes`,
            )
            .pluck()
            .all()
            .map(Number)
        : [],
    vectors: (bytes) =>
      inOrder(
        ['e.id', 'e.embedding'],
        `(SELECT rowid, id, embedding FROM entities WHERE typeof(embedding) = 'blob' AND length(embedding) / 4 * 4 = ${bytes}) e`,
        'e',
      ),
    strayIndexEntries: () =>
      isIndexed
        ? count(
            `SELECT count(*) FROM entities_fts_content f
             WHERE NOT EXISTS (SELECT 1 FROM entities e WHERE e.rowid = f.id AND e.archived = 0)`,
          )
        : 0,
    seal: () =>
      translated(() => {
        // The lock stays with the connection when the transaction ends.
        db.exec('COMMIT');
        if (db.pragma('journal_mode = DELETE', { simple: true }) !== 'delete')
          throw new Error('the original kept its log');
        // Under such a lock the journal of this change stays until the end, with nothing in it.
        removeFile(`${path}-journal`);
        db.exec('BEGIN EXCLUSIVE');
      }),
    close: () => db.close(),
  };
}

/** A vector as it is stored, and the id of its entity. */
export interface StoredVector {
  readonly id: string;
  readonly bytes: Buffer;
}

/** The vectors of this size in a store of ours, in the order in which their entities were made. */
export function* storedVectors(path: string, key: Uint8Array | null, bytes: number): Generator<StoredVector, void> {
  const db = connect({ path, key });
  try {
    const rows = db.prepare(
      `SELECT e.id, v.data AS bytes FROM entity e CROSS JOIN vector v ON v.body = e.body WHERE length(v.data) = ?
       ORDER BY e.row`,
    );
    yield* rows.iterate(bytes) as Iterable<StoredVector>;
  } finally {
    db.close();
  }
}

/** Rows of a file of version 0.1. */
export interface EarlyRows {
  readonly kind: 'early' | 'original' | 'none';
  readonly total: number;
  readonly rows: readonly RawRow[];
  /** Whether the file has a memory of this id. */
  readonly hasMemory: (id: string) => boolean;
}

/** Reads a page of the table `memories` of a file, hands it over, and closes the file. Throws when it is no database. */
export function withEarlyRows<T>(path: string, after: number | null, count: number, run: (found: EarlyRows) => T): T {
  const mend = { hint: 'Name the file of version 0.1 that is to be migrated.' };
  const db = openNamed(path, mend.hint, false);
  try {
    const tables = db.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table'`).pluck().all();
    if (!tables.includes('memories')) {
      const kind = tables.includes('entities') ? 'original' : 'none';
      return run({ kind, total: 0, rows: [], hasMemory: () => false });
    }
    const ids = db.prepare('SELECT 1 FROM memories WHERE id = ?');
    const rows = db.prepare('SELECT rowid AS rowid, * FROM memories WHERE rowid > ? ORDER BY rowid LIMIT ?');
    return run({
      kind: 'early',
      total: Number(db.prepare('SELECT count(*) FROM memories').pluck().get()),
      rows: rows.all(after ?? Number.MIN_SAFE_INTEGER, count) as RawRow[],
      hasMemory: (id) => ids.get(id) !== undefined,
    });
  } catch (thrown) {
    if (!driverCode(thrown).startsWith('SQLITE_NOTADB')) throw translate(thrown);
    throw new MimirError('not_a_store', 'The file is no database, or an encrypted one.', mend);
  } finally {
    db.close();
  }
}
