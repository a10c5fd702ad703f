import { TOKENISER_VERSION } from '../../memory/text.ts';
import { wordsOf, type LiveChange } from './live.ts';
import { indexIsCurrent } from './schema.ts';
import { indexBody, scopeTokens, unindexBody } from './search.ts';
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

/**
 * Makes the tokens of all current bodies anew, in steps, oldest first, so that a turn finds the one before it. The packed
 * list in `body.tokens` is always what stands in the text index, so that a store answers at every moment in between.
 */
export class Rebuild {
  #cursor = 0;

  /** One step in the open write transaction; answers what it changed, or null when nothing was left and the file says so. */
  step(s: Session, nowMs: () => number): LiveChange[] | null {
    if (indexIsCurrent(s.sql)) return null;
    const until = nowMs() + STEP_MS;
    const rows = s.sql.all<OldRow>(
      `SELECT b.id, b.json, b.tokens, b.terms, b.entity, e.workspace, e.category, e.key, e.archived, e.agent_id AS agentId, v.tags,
         ${BODY_WRITTEN_MS} AS at_ms
       FROM body b CROSS JOIN entity e ON e.row = b.entity AND e.body = b.id CROSS JOIN version v ON v.id = e.version
       WHERE b.id > ? ORDER BY b.id LIMIT ?`,
      this.#cursor,
      STEP_ROWS,
    );
    const changes: LiveChange[] = [];
    for (const row of rows) {
      changes.push(...remake(s, row));
      this.#cursor = row.id;
      if (nowMs() > until) return changes;
    }
    if (rows.length === STEP_ROWS) return changes;
    s.sql.run(`INSERT OR REPLACE INTO meta(name, value) VALUES ('index_version', ?)`, TOKENISER_VERSION);
    return null;
  }
}

function remake(s: Session, row: OldRow): LiveChange[] {
  const { id, workspace, category, key } = row;
  const placed = { ...row, bodyJson: row.json, tags: JSON.parse(row.tags) as string[] };
  const { tokens, terms, before } = packPlaced(s, row.entity, placed, row.at_ms);
  const index = row.archived === 1 ? 'text_past' : 'text';
  unindexBody(s, index, id, row.tokens, scopeTokens(row));
  indexBody(s, index, id, tokens, scopeTokens(row));
  s.sql.run(
    'UPDATE body SET tokens = ?, terms = ?, before = ? WHERE id = ?',
    tokens,
    new Uint8Array(terms.buffer),
    before,
    id,
  );
  if (row.archived === 1) return [];
  const place = { body: id, workspace, category, key };
  return [
    { ...place, tokens: row.tokens, terms: wordsOf(row.terms), by: -1 },
    { ...place, tokens, terms, by: 1 },
  ];
}
