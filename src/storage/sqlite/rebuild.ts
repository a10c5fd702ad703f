import { TOKENISER_VERSION } from '../../memory/text.ts';
import type { RebuildProgress, Reindexed } from '../store.ts';
import { wordsOf, type LiveChange } from './live.ts';
import { indexIsCurrent } from './schema.ts';
import { indexBody, indexSize, scopeTokens, unindexBody } from './search.ts';
import type { Session } from './session.ts';
import { BODY_WRITTEN_MS, packPlaced } from './turns.ts';

/** A step holds the write lock for about so long: other processes take their turn between two steps. */
const STEP_MS = 25;
const STEP_ROWS = 100;

interface OldRow {
  readonly id: number;
  readonly json: string;
  readonly tokens: string;
  readonly terms: Buffer;
  readonly entity: number;
  readonly workspace: string;
  readonly category: string;
  readonly key: string;
  readonly agentId: string;
  readonly archived: number;
  readonly tags: string;
  readonly at_ms: number;
}

const currentBodies = (where: string): string => `
SELECT b.id, b.json, b.tokens, b.terms, b.entity, e.workspace, e.category, e.key, e.archived, e.agent_id AS agentId, v.tags,
  ${BODY_WRITTEN_MS} AS at_ms
FROM body b CROSS JOIN entity e ON e.row = b.entity AND e.body = b.id CROSS JOIN version v ON v.id = e.version
WHERE ${where}`;
const THIS_BODY = currentBodies('b.id = ?');
// Oldest first, so that a turn finds the one before it.
const NEXT_BODIES = currentBodies('b.id > ? ORDER BY b.id LIMIT ?');

/** What making lists anew has changed. */
export interface Repacked {
  /** For those who keep the lists of live rows. */
  readonly live: LiveChange[];
  /** Bodies, live or not, whose lists came out differently: nobody elsewhere can follow that. */
  readonly bodies: number[];
}

/**
 * Makes the tokens of all current bodies anew, in steps. The packed list in `body.tokens` is always what stands in the text
 * index, so that a store answers at every moment in between.
 */
export class Rebuild {
  #cursor = 0;
  readonly #last: number;

  constructor(s: Session) {
    this.#last = s.sql.get<{ id: number | null }>('SELECT max(id) AS id FROM body')?.id ?? 0;
  }

  /** How far it has come, by the numbers of bodies: up to which, of which. */
  get progress(): RebuildProgress {
    return { done: Math.min(this.#cursor, this.#last), of: this.#last };
  }

  /** One step in the open write transaction; answers what it changed, or null when nothing was left and the file says so. */
  step(s: Session, nowMs: () => number): LiveChange[] | null {
    if (indexIsCurrent(s.sql)) return null;
    const repacked: Repacked = { live: [], bodies: [] };
    const { next } = remakeFrom(s, this.#cursor, nowMs() + STEP_MS, nowMs, repacked);
    if (next !== null) {
      this.#cursor = next;
      return repacked.live;
    }
    s.sql.run(`INSERT OR REPLACE INTO meta(name, value) VALUES ('index_version', ?)`, TOKENISER_VERSION);
    return null;
  }
}

/** Makes one body's lists anew; one that is not current any more is in no index and keeps none. */
export function repackBody(s: Session, body: number, repacked: Repacked): void {
  const row = s.sql.get<OldRow>(THIS_BODY, body);
  if (row !== undefined) return remake(s, row, repacked);
  s.sql.run(`UPDATE body SET tokens = '', terms = x'', before = NULL WHERE id = ?`, body);
  repacked.bodies.push(body);
}

/** See `Writer.reindex`: one step. */
export function reindexStep(
  s: Session,
  after: number,
  maxMs: number,
  nowMs: () => number,
  repacked: Repacked,
): Reindexed {
  if (after === 0 && !countsAgree(s)) return { rows: 0, next: null, damaged: true };
  return { ...remakeFrom(s, after, nowMs() + maxMs, nowMs, repacked), damaged: false };
}

/** See `Writer.reindex`: all of it at once, from nothing. */
export function reindexWhole(s: Session, repacked: Repacked): Reindexed {
  for (const index of ['text', 'text_past']) s.sql.run(`INSERT INTO ${index}(${index}) VALUES ('delete-all')`);
  let rows = 0;
  let after = 0;
  for (;;) {
    const bodies = s.sql.all<OldRow>(NEXT_BODIES, after, STEP_ROWS);
    for (const row of bodies) {
      remake(s, row, repacked, false);
      rows += 1 - row.archived;
      after = row.id;
    }
    if (bodies.length < STEP_ROWS) return { rows, next: null, damaged: false };
  }
}

function countsAgree(s: Session): boolean {
  const stored = (archived: number): number =>
    s.sql.get<{ n: number }>('SELECT count(*) AS n FROM entity WHERE archived = ?', archived)?.n ?? 0;
  return indexSize(s, 'text').rows === stored(0) && indexSize(s, 'text_past').rows === stored(1);
}

function remakeFrom(
  s: Session,
  after: number,
  untilMs: number,
  nowMs: () => number,
  repacked: Repacked,
): Pick<Reindexed, 'rows' | 'next'> {
  const bodies = s.sql.all<OldRow>(NEXT_BODIES, after, STEP_ROWS);
  let rows = 0;
  for (const row of bodies) {
    remake(s, row, repacked);
    rows += 1 - row.archived;
    if (nowMs() > untilMs) return { rows, next: row.id };
  }
  return { rows, next: bodies.length === STEP_ROWS ? (bodies.at(-1)?.id ?? null) : null };
}

/** `indexed`: the old list stands in the index and must leave it. */
function remake(s: Session, row: OldRow, repacked: Repacked, indexed = true): void {
  const { id, workspace, category, key } = row;
  const placed = { ...row, bodyJson: row.json, tags: JSON.parse(row.tags) as string[] };
  const { tokens, terms, before } = packPlaced(s, row.entity, placed, row.at_ms);
  const index = row.archived === 1 ? 'text_past' : 'text';
  if (indexed) unindexBody(s, index, id, row.tokens, scopeTokens(row));
  indexBody(s, index, id, tokens, scopeTokens(row));
  const list = new Uint8Array(terms.buffer);
  s.sql.run('UPDATE body SET tokens = ?, terms = ?, before = ? WHERE id = ?', tokens, list, before, id);
  if (tokens === row.tokens && row.terms.equals(list)) return;
  repacked.bodies.push(id);
  if (row.archived === 1) return;
  const place = { body: id, workspace, category, key };
  repacked.live.push(
    { ...place, tokens: row.tokens, terms: wordsOf(row.terms), by: -1 },
    { ...place, tokens, terms, by: 1 },
  );
}
