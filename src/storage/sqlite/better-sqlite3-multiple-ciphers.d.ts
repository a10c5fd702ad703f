// The package ships types that its "exports" hides; this is the part that driver.ts uses.
declare module 'better-sqlite3-multiple-ciphers' {
  namespace Database {
    interface RunResult {
      readonly changes: number;
      readonly lastInsertRowid: number | bigint;
    }
    interface Statement<Values extends unknown[]> {
      run(...values: Values): RunResult;
      get(...values: Values): unknown;
      all(...values: Values): unknown[];
      iterate(...values: Values): IterableIterator<unknown>;
      raw(on: boolean): this;
      pluck(on?: boolean): this;
    }
    class SqliteError extends Error {
      readonly code: string;
    }
  }
  class Database {
    constructor(
      path: string,
      options?: { readonly fileMustExist?: boolean; readonly timeout?: number; readonly readonly?: boolean },
    );
    readonly inTransaction: boolean;
    prepare<Values extends unknown[] = unknown[]>(sql: string): Database.Statement<Values>;
    exec(sql: string): this;
    pragma(sql: string, options?: { readonly simple?: boolean }): unknown;
    key(key: Uint8Array): number;
    backup(path: string): Promise<unknown>;
    /** For tests that damage a file on purpose. */
    unsafeMode(on: boolean): this;
    close(): this;
  }
  export { Database as default };
}
