import { LIMITS } from '../../limits.ts';
import { unpackField } from '../../memory/text.ts';
import type { TermFrequencies } from './frequencies.ts';
import { PairTable } from './pairs.ts';
import type { Session } from './session.ts';

/** A body that entered (+1) or left (-1) the index of live rows. */
export interface IndexChange {
  readonly body: number;
  readonly tokens: string;
  readonly by: 1 | -1;
}

/** Rows read in one step of warming up: a step stays below 20 ms, so no write waits long for it. */
const WARM_UP_ROWS = 500;

/**
 * What the writer keeps in memory about the live rows: term counts and pairs of neighbouring tokens. Filled after the
 * start in steps, newest first; kept by every commit of ours; caught up from the change feed after commits of others.
 */
export class Derived {
  readonly pairs = new PairTable();
  #frequencies: TermFrequencies | null;
  /** Bodies with a smaller number have not been counted yet. */
  #cursor = Number.POSITIVE_INFINITY;
  #warm = false;

  constructor(frequencies: TermFrequencies | null) {
    this.#frequencies = frequencies;
  }

  /** True when nothing is left to fill. */
  get warm(): boolean {
    return this.#warm;
  }

  /** Starts again from nothing. */
  reset(): void {
    this.#cursor = Number.POSITIVE_INFINITY;
    this.#warm = false;
    if (this.#frequencies === null) return;
    this.#frequencies.complete = false;
    this.#frequencies.clear();
  }

  /** Reads the next rows; call it while there is nothing else to do, until it is {@link warm}. */
  warmUp(s: Session): void {
    if (this.#warm) return;
    if (this.#cursor === Number.POSITIVE_INFINITY) {
      this.#cursor = 1 + (s.sql.get<{ id: number | null }>('SELECT max(id) AS id FROM body')?.id ?? 0);
    }
    const rows = s.sql.all<{ id: number; tokens: string; current: number }>(
      `SELECT b.id, b.tokens, e.body = b.id AND e.archived = 0 AS current FROM body b CROSS JOIN entity e ON e.row = b.entity
       WHERE b.id < ? ORDER BY b.id DESC LIMIT ?`,
      this.#cursor,
      WARM_UP_ROWS,
    );
    for (const row of rows) {
      if (row.current === 1) this.#apply(row.id, row.tokens, 1);
      this.#cursor = row.id;
    }
    if (rows.length === WARM_UP_ROWS) return;
    this.#cursor = 0;
    this.#warm = true;
    if (this.#frequencies !== null) this.#frequencies.complete = true;
  }

  /** Takes over what a commit changed. */
  committed(changes: readonly IndexChange[]): void {
    // What lies below the cursor is counted when warming up gets there, in the state that it has then.
    for (const { body, tokens, by } of changes) if (body >= this.#cursor || this.#warm) this.#apply(body, tokens, by);
  }

  #apply(body: number, tokens: string, by: 1 | -1): void {
    this.#frequencies?.count(tokens, by);
    if (by === 1) this.pairs.add(body, unpackField(tokens, 'body'));
  }
}

/** Operations of others that are followed one by one; after more, filling anew is quicker. */
const FOLLOW_MAX = 20_000;

/** What commits of other processes changed in the index after `seq`, or null when it is too much to follow. */
export function changesOfOthers(s: Session, afterSeq: number, upToSeq: number): IndexChange[] | null {
  if (upToSeq - afterSeq > FOLLOW_MAX) return null;
  const changes: IndexChange[] = [];
  const touched = s.sql.all<{ row: number }>(
    `SELECT row FROM changes WHERE seq > ? AND seq <= ? AND kind = 'version' ORDER BY seq, n`,
    afterSeq,
    upToSeq,
  );
  const at = 'SELECT v.body, v.archived, b.tokens FROM version v CROSS JOIN body b ON b.id = v.body';
  type At = { body: number; archived: number; tokens: string };
  for (const { row } of touched) {
    const after = s.sql.get<At>(`${at} WHERE v.id = ?`, row);
    const before = s.sql.get<At>(
      `${at} WHERE v.id = (SELECT max(p.id) FROM version p WHERE p.id < ? AND p.entity = (SELECT entity FROM version WHERE id = ?))`,
      row,
      row,
    );
    if (before?.body === after?.body && before?.archived === after?.archived) continue;
    if (before?.archived === 0) changes.push({ body: before.body, tokens: before.tokens, by: -1 });
    if (after?.archived === 0) changes.push({ body: after.body, tokens: after.tokens, by: 1 });
  }
  return changes;
}

/** Bodies worth comparing with a new one. */
export function proposals(derived: Derived, tokens: string, count: number = LIMITS.similarCandidatesMax): number[] {
  return derived.pairs.nearest(unpackField(tokens, 'body'), count);
}
