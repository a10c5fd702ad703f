import type { PostedRow } from '../../memory/postings.ts';
import type { Statements } from './driver.ts';

/** A row of the index of live rows, with all that anybody keeps of it in memory. */
export interface LiveRow extends PostedRow {
  /** Its packed token list. */
  readonly tokens: string;
}

/** A row that entered (+1) or left (-1) the index of live rows. */
export interface LiveChange extends LiveRow {
  readonly by: 1 | -1;
}

/** Something in memory that is made of all live rows and kept up to date. */
export interface LiveRowSink {
  /** Forgets everything. */
  clear(): void;
  add(row: LiveRow): void;
  remove(row: LiveRow): void;
  /** Every live row has been added. */
  filled(): void;
}

/** One step of filling ends after so many rows or bytes of stored lists, so that nobody waits long for it. */
const STEP_ROWS = 500;
const STEP_BYTES = 1024 * 1024;
/** Changes that are followed one by one, about 25 us each; after more, filling anew in steps holds nobody up. */
const FOLLOW_MAX = 2_000;

interface StoredRow {
  readonly body: number;
  readonly terms: Buffer;
  readonly tokens: string;
  readonly workspace: string;
  readonly category: string;
  readonly key: string;
}

const STORED_ROW = 'b.id AS body, b.terms, b.tokens, e.workspace, e.category, e.key';

/** A stored term list; its bytes need not begin where a number may. */
export function wordsOf(stored: Uint8Array): Int32Array {
  return new Int32Array(stored.buffer.slice(stored.byteOffset, stored.byteOffset + stored.byteLength));
}

function toLiveRow(row: StoredRow): LiveRow {
  return { ...row, terms: wordsOf(row.terms) };
}

/**
 * Keeps a sink filled with the live rows: after the start in steps, newest first; then by what each commit changed, told by
 * the caller or read from the change feed. Everything it reads is of the open snapshot.
 */
export class LiveRows {
  readonly #sink: LiveRowSink;
  readonly #columns: string;
  /** Bodies with a smaller number have not been added yet. */
  #cursor = Number.POSITIVE_INFINITY;
  #warm = false;

  /** Packed tokens are read only for a sink that wants them: they are as large as the lists. */
  constructor(sink: LiveRowSink, wants: { readonly tokens: boolean }) {
    this.#sink = sink;
    this.#columns = wants.tokens ? STORED_ROW : STORED_ROW.replace('b.tokens', "'' AS tokens");
  }

  /** True when nothing is left to fill. */
  get warm(): boolean {
    return this.#warm;
  }

  /** Starts again from nothing. */
  reset(): void {
    this.#cursor = Number.POSITIVE_INFINITY;
    this.#warm = false;
    this.#sink.clear();
  }

  /** Reads the next rows; call it while there is nothing else to do, until it is {@link warm}. */
  warmUp(sql: Statements): void {
    if (this.#warm) return;
    if (this.#cursor === Number.POSITIVE_INFINITY) {
      this.#cursor = 1 + (sql.get<{ id: number | null }>('SELECT max(id) AS id FROM body')?.id ?? 0);
    }
    // Where no old bodies lie in between, hardly any row is skipped; the ones that are cost a look and no reading of their lists.
    const rows = sql
      .of(
        `SELECT ${this.#columns} FROM body b CROSS JOIN entity e ON e.row = b.entity AND e.body = b.id AND e.archived = 0
         WHERE b.id < ? ORDER BY b.id DESC`,
      )
      .iterate(this.#cursor) as IterableIterator<StoredRow>;
    let count = 0;
    let bytes = 0;
    for (const row of rows) {
      this.#sink.add(toLiveRow(row));
      this.#cursor = row.body;
      bytes += row.terms.length + row.tokens.length;
      if (++count === STEP_ROWS || bytes > STEP_BYTES) return;
    }
    this.#cursor = 0;
    this.#warm = true;
    this.#sink.filled();
  }

  /** Takes over what commits changed. */
  committed(changes: readonly LiveChange[]): void {
    for (const change of changes) {
      // What lies below the cursor is added when filling gets there, in the state that it has then.
      if (change.body < this.#cursor && !this.#warm) continue;
      if (change.by === 1) this.#sink.add(change);
      else this.#sink.remove(change);
    }
  }

  /** Takes over what the operations after `seq` up to another changed, or starts again when they cannot be followed. */
  follow(sql: Statements, afterSeq: number, upToSeq: number): void {
    const touched = upToSeq < afterSeq ? null : versionsBetween(sql, afterSeq, upToSeq);
    if (touched === null) this.reset();
    else for (const row of touched) this.committed(changesOf(sql, row, this.#columns));
  }
}

/**
 * Numbers of the versions that these operations made, or null when they cannot be followed: when they are too many, when
 * one was purged since (nobody can tell any more which lists to take out), or when lists were made anew.
 */
function versionsBetween(sql: Statements, afterSeq: number, upToSeq: number): number[] | null {
  const touched = sql.all<{ row: number; lost: number }>(
    `SELECT row, kind = 'repacked' OR salt IS NULL AS lost FROM changes
     WHERE seq > ? AND seq <= ? AND kind IN ('version', 'repacked') ORDER BY seq, n LIMIT ?`,
    afterSeq,
    upToSeq,
    FOLLOW_MAX + 1,
  );
  if (touched.length > FOLLOW_MAX || touched.some(({ lost }) => lost === 1)) return null;
  return touched.map(({ row }) => row);
}

function changesOf(sql: Statements, row: number, columns: string): LiveChange[] {
  const at = `SELECT ${columns}, v.archived FROM version v CROSS JOIN body b ON b.id = v.body CROSS JOIN entity e ON e.row = v.entity`;
  type At = StoredRow & { archived: number };
  const after = sql.get<At>(`${at} WHERE v.id = ?`, row);
  const before = sql.get<At>(
    `${at} WHERE v.id = (SELECT max(p.id) FROM version p WHERE p.id < ? AND p.entity = (SELECT entity FROM version WHERE id = ?))`,
    row,
    row,
  );
  if (before?.body === after?.body && before?.archived === after?.archived) return [];
  const changes: LiveChange[] = [];
  if (before?.archived === 0) changes.push({ ...toLiveRow(before), by: -1 });
  if (after?.archived === 0) changes.push({ ...toLiveRow(after), by: 1 });
  return changes;
}
