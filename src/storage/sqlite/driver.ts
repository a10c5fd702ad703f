import Database from 'better-sqlite3-multiple-ciphers';

import { MimirError } from '../../errors.ts';

/** An open connection. */
export type Connection = Database;
/** A prepared statement. */
export type Statement = Database.Statement<unknown[]>;

/** How to open a connection. */
export interface ConnectOptions {
  readonly path: string;
  /** 32 raw bytes, or null for a plain file. */
  readonly key: Uint8Array | null;
  /** Whether the file stays as it is: its write-ahead log is not folded in either. */
  readonly readOnly?: boolean;
}

/** Opens a connection and keys it; nothing is read yet. Throws a translated error. */
export function connect(options: ConnectOptions): Connection {
  return translated(() => {
    const db = opened(options.path, options.readOnly === true);
    // "raw:" hands the 32 bytes to the cipher as they are: 1 ms to open instead of 31-167 ms of key derivation.
    if (options.key !== null) db.key(Buffer.concat([Buffer.from('raw:'), options.key]));
    return db;
  });
}

function opened(path: string, readonly: boolean): Connection {
  try {
    return new Database(path, { fileMustExist: true, timeout: 0, readonly });
  } catch (thrown) {
    // The binding's own words for a path in a folder that is not there.
    if (thrown instanceof TypeError) throw new MimirError('cannot_open', 'There is no such folder.');
    throw thrown;
  }
}

/** The code of a driver error, or an empty text. */
export function driverCode(thrown: unknown): string {
  return thrown instanceof Database.SqliteError ? thrown.code : '';
}

/** True when another connection holds the lock that was wanted. */
export function isBusy(thrown: unknown): boolean {
  if (thrown instanceof MimirError) return thrown.code === 'locked';
  return driverCode(thrown).startsWith('SQLITE_BUSY') || driverCode(thrown).startsWith('SQLITE_LOCKED');
}

/** Turns a driver error into ours, by its code and never by its text; anything else passes through. */
export function translate(thrown: unknown): unknown {
  const code = driverCode(thrown);
  if (code === '') return thrown;
  if (isBusy(thrown))
    return new MimirError('locked', 'Another process is writing to the store.', { retryAfterMs: 100 });
  if (code.startsWith('SQLITE_FULL'))
    return new MimirError('disk_full', 'The disk of the store is full; nothing was written.');
  if (code.startsWith('SQLITE_READONLY')) return new MimirError('read_only', 'The store cannot be written to.');
  if (code.startsWith('SQLITE_CANTOPEN') || code.startsWith('SQLITE_PERM') || code.startsWith('SQLITE_AUTH')) {
    return new MimirError('cannot_open', 'The store cannot be opened.', {
      hint: 'Look at the path and the permissions of the file and its folder.',
    });
  }
  if (code.startsWith('SQLITE_NOTADB'))
    return new MimirError('wrong_key', 'The store cannot be read with this key, or it is no Mimir store.');
  if (code.startsWith('SQLITE_CORRUPT')) return new MimirError('corrupt', 'The store is damaged.');
  if (code.startsWith('SQLITE_IOERR'))
    return new MimirError('io_error', 'The disk of the store failed.', { facts: { driver_code: code } });
  return thrown;
}

/** Runs and translates what it throws. */
export function translated<T>(run: () => T): T {
  try {
    return run();
  } catch (thrown) {
    throw translate(thrown);
  }
}

/** Prepared statements of one connection, each made once. */
export class Statements {
  readonly db: Connection;
  #made = new Map<string, Statement>();

  constructor(db: Connection) {
    this.db = db;
  }

  /** The statement of this text. */
  of(sql: string): Statement {
    let made = this.#made.get(sql);
    if (made === undefined) {
      made = this.db.prepare<unknown[]>(sql);
      this.#made.set(sql, made);
    }
    return made;
  }

  /** First row, or undefined. */
  get<Row>(sql: string, ...values: unknown[]): Row | undefined {
    return this.of(sql).get(...values) as Row | undefined;
  }

  /** All rows. */
  all<Row>(sql: string, ...values: unknown[]): Row[] {
    return this.of(sql).all(...values) as Row[];
  }

  /** Runs; answers the number of the row that was inserted. */
  run(sql: string, ...values: unknown[]): number {
    return Number(this.of(sql).run(...values).lastInsertRowid);
  }

  /** Runs; answers how many rows it changed. */
  change(sql: string, ...values: unknown[]): number {
    return this.of(sql).run(...values).changes;
  }
}
