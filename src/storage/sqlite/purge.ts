import type { Entity } from '../../memory/types.ts';
import type { EraseStage } from '../store.ts';
import type { ChangeKind } from './payloads.ts';
import { repackBody, type Repacked } from './rebuild.ts';
import { scopeTokens, unindexBody } from './search.ts';
import type { Session } from './session.ts';
import { embedAgain } from './vectors.ts';

/** What goes with an entity, and what with each of its bodies, by the column that names it. A table that is made later belongs here. */
const BY_ENTITY = [
  ['key', 'entity'],
  ['usage', 'entity'],
  ['turn', 'entity'],
  ['version', 'entity'],
  ['entity', 'row'],
] as const;
const BY_BODY = [
  ['vector', 'body'],
  ['body', 'id'],
] as const;

/** A change of an earlier operation of which only the digest may stay. */
export interface ErasedChange {
  readonly seq: number;
  readonly kind: ChangeKind;
  readonly row: number;
}

/**
 * Takes the salts away that stand for erased rows: the digests stay, so the chain stands. All at once for each operation that made
 * them, because one may have made thousands, and they are found by looking through them.
 */
export function eraseChanges(s: Session, erased: readonly ErasedChange[]): void {
  for (const [seq, changes = []] of Map.groupBy(erased, (one) => one.seq)) {
    s.sql.run(
      `UPDATE changes SET salt = NULL WHERE seq = ? AND kind || row IN (SELECT value FROM json_each(?))`,
      seq,
      JSON.stringify(changes.map(({ kind, row }) => kind + row)),
    );
  }
}

function eraseLinks(s: Session, { row, id }: Entity, erased: ErasedChange[]): void {
  const links = s.sql.all<{ id: number; entity: number; seq_from: number; seq_to: number | null }>(
    `SELECT id, entity, seq_from, seq_to FROM link WHERE entity = ?
     UNION SELECT id, entity, seq_from, seq_to FROM link WHERE target = ?`,
    row,
    id,
  );
  for (const link of links) {
    erased.push({ seq: link.seq_from, kind: 'link', row: link.id });
    if (link.seq_to !== null) erased.push({ seq: link.seq_to, kind: 'link_closed', row: link.id });
    s.sql.run('DELETE FROM link WHERE id = ?', link.id);
    if (link.seq_to === null) s.sql.run('UPDATE entity SET links = links - 1 WHERE row = ?', link.entity);
  }
}

/**
 * See `Writer.purge`. A turn of a conversation has the words of the turn before in its own lists: those that had a purged
 * one before them are packed anew.
 */
export function purgeEntity(s: Session, entity: Entity, repacked: Repacked, erased: ErasedChange[]): void {
  const { row } = entity;
  const { tokens = '' } = s.sql.get<{ tokens: string }>('SELECT tokens FROM body WHERE id = ?', entity.body) ?? {};
  unindexBody(s, 'text_past', entity.body, tokens, scopeTokens(entity));
  eraseLinks(s, entity, erased);
  const versions = s.sql.all<{ id: number; seq: number; body: number }>(
    'SELECT id, seq, body FROM version WHERE entity = ? ORDER BY id',
    row,
  );
  for (const [i, { id, seq }] of versions.entries()) {
    // The first version was made together with the entity.
    if (i === 0) erased.push({ seq, kind: 'entity', row });
    erased.push({ seq, kind: 'version', row: id });
  }
  for (const [table, column] of BY_ENTITY) s.sql.run(`DELETE FROM ${table} WHERE ${column} = ?`, row);
  const dependent = new Set<number>();
  const bodies = new Set(versions.map(({ body }) => body));
  for (const body of bodies) {
    for (const { id } of s.sql.all<{ id: number }>('SELECT id FROM body WHERE before = ?', body)) dependent.add(id);
    for (const [table, column] of BY_BODY) s.sql.run(`DELETE FROM ${table} WHERE ${column} = ?`, body);
  }
  for (const body of dependent) {
    if (bodies.has(body)) continue;
    repackBody(s, body, repacked);
    embedAgain(s, body);
  }
}

/** Answers looked at in one step. */
const ANSWERS_STEP = 1_000;
/** Pages of an index that one step merges: about 15 ms. */
const MERGE_PAGES = 200;

/**
 * See `Writer.eraseLeftovers`. An answer that is kept for a retry names its entity, and look-alikes by their keys. FTS5 only
 * marks a word as deleted; merging all parts of an index into one leaves such words out.
 */
export function eraseLeftovers(s: Session, { part, after }: EraseStage): EraseStage | null {
  if (part === 'answers') {
    const last = s.sql.get<{ row: number | null }>('SELECT max(rowid) AS row FROM idempotency')?.row ?? 0;
    s.sql.run(
      `DELETE FROM idempotency WHERE rowid > ? AND rowid <= ? AND EXISTS (
         SELECT 1 FROM json_tree(idempotency.answer) t WHERE t.key = 'id' AND t.type = 'text'
           AND NOT EXISTS (SELECT 1 FROM entity e WHERE e.id = t.value)
           AND NOT EXISTS (SELECT 1 FROM journal j WHERE j.id = t.value))`,
      after,
      after + ANSWERS_STEP,
    );
    return after + ANSWERS_STEP < last ? { part, after: after + ANSWERS_STEP } : { part: 'text', after: 0 };
  }
  // The first step puts all parts on one level, as 'optimize' does, the others go on merging; little change means that no part is left.
  const changesBefore = totalChanges(s);
  s.sql.run(`INSERT INTO ${part}(${part}, rank) VALUES ('merge', ?)`, after === 0 ? -MERGE_PAGES : MERGE_PAGES);
  if (totalChanges(s) - changesBefore >= 2) return { part, after: after + 1 };
  return part === 'text' ? { part: 'text_past', after: 0 } : null;
}

function totalChanges(s: Session): number {
  return s.sql.get<{ n: number }>('SELECT total_changes() AS n')?.n ?? 0;
}
