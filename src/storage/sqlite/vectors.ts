import { LIMITS } from '../../limits.ts';
import { meaningText } from '../../memory/document.ts';
import type { EmbeddedBody, Entity, Filters, NearTo, Scope, Space, Unembedded } from '../../memory/types.ts';
import { dot, packVector, unpackVector } from '../../memory/vector.ts';
import type { EmbeddingProgress } from '../store.ts';
import { placeConditions } from './conditions.ts';
import type { Session } from './session.ts';

/** See `Reader.space`. */
export function space(s: Session): Space | undefined {
  return s.sql.get<Space>('SELECT id, model, dimensions, prefix FROM space ORDER BY id DESC LIMIT 1');
}

/** See `Writer.openSpace`. Vectors of the space before stay until their bodies are embedded anew, and are never compared. */
export function openSpace(s: Session, model: string, dimensions: number, prefix: string): Space {
  const current = space(s);
  if (current?.model === model && current.dimensions === dimensions && current.prefix === prefix) return current;
  const of = [model, dimensions, prefix];
  const id = s.sql.run('INSERT INTO space(model, dimensions, prefix, done) VALUES (?, ?, ?, 0)', ...of);
  s.sql.run(
    `UPDATE vector SET space = ? WHERE space IN
       (SELECT id FROM space WHERE model = ? AND dimensions = ? AND prefix = ? AND id <> ?)`,
    id,
    ...of,
    id,
  );
  return { id, model, dimensions, prefix };
}

/** See `Reader.unembedded`. */
export function unembedded(
  s: Session,
  scope: Scope,
  filters: Filters,
  spaceId: number,
  after: number,
  count: number,
): Unembedded[] {
  const { conditions, values } = placeConditions(scope, filters);
  const where = [...conditions, 'b.id > ?', 'NOT EXISTS (SELECT 1 FROM vector v WHERE v.body = b.id AND v.space = ?)'];
  // A few rows of a category are found by them, the backlog by the numbers of its bodies.
  const from =
    filters.category === undefined
      ? 'body b CROSS JOIN entity e ON e.row = b.entity AND e.body = b.id'
      : 'entity e CROSS JOIN body b ON b.id = e.body';
  const rows = s.sql.all<{ id: string; body: number; json: string; before: string | null }>(
    `SELECT e.id, b.id AS body, b.json, p.json AS before FROM ${from} LEFT JOIN body p ON p.id = b.before
     WHERE ${where.join(' AND ')} ORDER BY b.id LIMIT ?`,
    ...values,
    after,
    spaceId,
    count,
  );
  return rows.map(({ id, body, json, before }) => ({ id, body, text: cut(meaningText(json, before)) }));
}

function cut(text: string): string {
  // Half of a pair is no text, and some servers refuse it.
  return text.slice(0, LIMITS.embedTextMaxChars).toWellFormed();
}

/** See `Reader.meaningText`. */
export function textOf(s: Session, { body, bodyJson }: Entity): string {
  const before = s.sql.get<{ json: string }>(
    'SELECT p.json FROM body b CROSS JOIN body p ON p.id = b.before WHERE b.id = ?',
    body,
  );
  return cut(meaningText(bodyJson, before?.json ?? null));
}

/** See `Reader.embedding`. */
export function embedding(s: Session): EmbeddingProgress {
  const current = s.sql.get<{ id: number; done: number }>('SELECT id, done FROM space ORDER BY id DESC LIMIT 1');
  const last = s.sql.get<{ last: number | null }>('SELECT max(id) AS last FROM body')?.last ?? 0;
  const embedded =
    s.sql.get<{ n: number }>('SELECT count(*) AS n FROM vector WHERE space = ?', current?.id ?? -1)?.n ?? 0;
  const memories = s.sql.get<{ n: number }>('SELECT count(*) AS n FROM entity')?.n ?? 0;
  return { done: current?.done ?? 0, last, embedded, memories };
}

/** See `Writer.putVectors`. */
export function putVectors(s: Session, spaceId: number, done: number, vectors: readonly EmbeddedBody[]): number | null {
  if (space(s)?.id !== spaceId) return null;
  let kept = 0;
  for (const { body, vector } of vectors) {
    kept += s.sql.change(
      `INSERT OR REPLACE INTO vector(body, space, data)
       SELECT b.id, ?, ? FROM body b CROSS JOIN entity e ON e.row = b.entity AND e.body = b.id WHERE b.id = ?`,
      spaceId,
      packVector(vector),
      body,
    );
  }
  s.sql.run('UPDATE space SET done = ? WHERE id = ? AND done < ?', done, spaceId, done);
  return kept;
}

/** A body that is not current any more has no vector. */
export function dropVector(s: Session, body: number): void {
  s.sql.run('DELETE FROM vector WHERE body = ?', body);
}

function stored(s: Session, { space: spaceId, vector }: NearTo, body: number): number | undefined {
  const row = s.sql.get<{ data: Buffer }>('SELECT data FROM vector WHERE body = ? AND space = ?', body, spaceId);
  return row === undefined || row.data.byteLength !== vector.length * 4
    ? undefined
    : dot(unpackVector(row.data), vector);
}

/** Takes the vector of a body away that is no longer true of it, and puts the body into the backlog again. */
export function embedAgain(s: Session, body: number): void {
  dropVector(s, body);
  s.sql.run('UPDATE space SET done = min(done, ?)', body - 1);
}

/** Cosine of a body with a question; undefined for one without a vector. */
export function cosineOf(s: Session, near: NearTo, body: number): number | undefined {
  return s.vectors.cosine(body, near.vector) ?? stored(s, near, body);
}

/** Rows looked up at a time when the nearest ones are not all to be seen; each time twice as many. */
const LOOK_LEAST = 2 * LIMITS.nearestMax;

/**
 * The bodies nearest to a question inside scope and filters, nearest first: from memory by bytes, twice as many as are
 * wanted, and those by their whole vectors.
 */
export function nearestBodies(s: Session, scope: Scope, near: NearTo, filters: Filters): number[] {
  s.vectors.catchUp(s.sql, near.space, near.vector.length);
  const ordered = s.vectors.nearest(near.vector, {
    workspace: scope.workspace ?? undefined,
    category: filters.category,
  });
  const { conditions, values } = placeConditions(scope, filters);
  const where = conditions.map((condition) => ` AND ${condition}`).join('');
  const found: { body: number; cosine: number }[] = [];
  let looked = 0;
  for (let look = LOOK_LEAST; found.length < 2 * LIMITS.nearestMax; look *= 2) {
    const some = Math.min(look, ordered.left, LIMITS.nearestLookedAt - looked);
    if (some <= 0) break;
    looked += some;
    const bodies = ordered.take(some).map(({ body }) => body);
    const seen = new Set(
      s.sql
        .of(
          `SELECT b.id FROM json_each(?) j CROSS JOIN body b ON b.id = j.value
           CROSS JOIN entity e ON e.row = b.entity AND e.body = b.id WHERE 1${where}`,
        )
        .pluck(true)
        .all(JSON.stringify(bodies), ...values) as number[],
    );
    for (const body of bodies) {
      if (!seen.has(body) || found.length >= 2 * LIMITS.nearestMax) continue;
      const cosine = stored(s, near, body);
      if (cosine !== undefined) found.push({ body, cosine });
    }
  }
  found.sort((a, b) => b.cosine - a.cosine || b.body - a.body);
  return found.slice(0, LIMITS.nearestMax).map(({ body }) => body);
}
