import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import Database from 'better-sqlite3-multiple-ciphers';

/** The category whose rows are counted. */
export const CATEGORY = 'loadtest';

/** SHA-256 of a JSON text, whatever white space it was stored with. */
export function hashOf(json: unknown): string {
  return createHash('sha256').update(JSON.stringify(json)).digest('base64');
}

/** What was sent and what the server has promised, by key. */
export class Ledger {
  readonly #sent = new Map<string, { readonly hash: string; acknowledged: boolean }>();
  #acknowledged = 0;

  /** A write leaves the client. */
  issue(key: string, hash: string): void {
    this.#sent.set(key, { hash, acknowledged: false });
  }

  /** Its answer has arrived, and says that it is stored. */
  acknowledge(key: string): void {
    const row = this.#sent.get(key);
    if (row === undefined || row.acknowledged) return;
    row.acknowledged = true;
    this.#acknowledged++;
  }

  get issued(): number {
    return this.#sent.size;
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  /**
   * Compares with the file, through a raw connection that shares nothing with the server. The server must have ended.
   * With `integrity`, SQLite checks the whole file too, which takes a second for each 100 MB.
   */
  compare(file: string, integrity: boolean): Persisted {
    const database = new Database(file, { fileMustExist: true });
    try {
      const persisted = database
        .prepare('select count(*) from entities where category = ?')
        .pluck()
        .get(CATEGORY) as number;
      const found = new Set<string>();
      let mismatched = 0;
      let unexpected = 0;
      const rows = database.prepare('select key, body_json from entities where category = ?').iterate(CATEGORY);
      for (const row of rows as IterableIterator<{ key: string; body_json: string }>) {
        const sent = this.#sent.get(row.key);
        if (sent === undefined || found.has(row.key)) unexpected++;
        else if (sent.hash !== hashOf(parseOr(row.body_json))) mismatched++;
        found.add(row.key);
      }
      let missing = 0;
      for (const [key, row] of this.#sent) if (row.acknowledged && !found.has(key)) missing++;
      return {
        persisted,
        missing,
        mismatched,
        unexpected,
        integrity: integrity ? String(database.pragma('integrity_check', { simple: true })) : undefined,
        sqlite: database.prepare('select sqlite_version()').pluck().get() as string,
        bytes: statSync(file).size,
      };
    } finally {
      database.close();
    }
  }
}

function parseOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What is not JSON cannot be what was sent: it is counted as a mismatch.
    return undefined;
  }
}

/** What the raw connection saw. */
export interface Persisted {
  /** Rows of the category. */
  readonly persisted: number;
  /** Acknowledged, but not there. */
  readonly missing: number;
  /** There, with another body than the one that was sent. */
  readonly mismatched: number;
  /** There, but never sent, or twice. */
  readonly unexpected: number;
  /** `ok`, when it was asked for. */
  readonly integrity: string | undefined;
  readonly sqlite: string;
  /** Size of the file. */
  readonly bytes: number;
}

/** What a file holds before the test: rows of an earlier test, and preloaded ones. */
export function rowsBefore(
  file: string,
  preloadCategory: string | undefined,
): { readonly test: number; readonly preloaded: number } {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined || stat.size === 0) return { test: 0, preloaded: 0 };
  const database = new Database(file, { fileMustExist: true });
  try {
    const count = database.prepare('select count(*) from entities where category like ?').pluck();
    return { test: count.get(CATEGORY) as number, preloaded: count.get(preloadCategory ?? 'preload-%') as number };
  } finally {
    database.close();
  }
}
