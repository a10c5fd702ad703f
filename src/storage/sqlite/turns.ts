import { packEntity, readBody, type Packed, type Turn } from '../../memory/document.ts';
import type { Entity } from '../../memory/types.ts';
import type { Session } from './session.ts';

interface Place {
  readonly workspace: string;
  readonly category: string;
}

/**
 * The body that came just before a turn in its session, or undefined: a turn is understood by it. A private one is no context
 * for what another agent says: its words would make that findable for all.
 */
function turnBefore(
  s: Session,
  entity: number,
  { workspace, category, agentId }: Place & { readonly agentId: string },
  { session, turn }: Turn,
): { readonly id: number; readonly json: string } | undefined {
  return s.sql.get<{ id: number; json: string }>(
    `SELECT b.id, b.json FROM turn t CROSS JOIN entity e ON e.row = t.entity CROSS JOIN body b ON b.id = e.body
     WHERE t.session = ? AND t.category = ? AND t.workspace = ? AND t.turn < ? AND e.archived = 0
       AND (e.visibility <> 'private' OR e.agent_id = ?) AND t.entity <> ? ORDER BY t.turn DESC, t.entity DESC LIMIT 1`,
    session,
    category,
    workspace,
    turn,
    agentId,
    entity,
  );
}

/** Notes which place in which session an entity has now; none when it is no turn. */
function placeTurn(s: Session, entity: number, { workspace, category }: Place, turn: Turn | undefined): void {
  if (turn === undefined) {
    s.sql.run('DELETE FROM turn WHERE entity = ?', entity);
    return;
  }
  s.sql.run(
    'INSERT OR REPLACE INTO turn(entity, session, category, workspace, turn) VALUES (?, ?, ?, ?, ?)',
    entity,
    turn.session,
    category,
    workspace,
    turn.turn,
  );
}

/** What makes an entity findable, with all that decides what is context for it. */
export type Placed = Pick<Entity, 'bodyJson' | 'workspace' | 'category' | 'key' | 'tags' | 'agentId'>;

/** Packs an entity with what was said before it, and notes its own place; `before` is the body that its context came from. */
export function packPlaced(
  s: Session,
  entity: number,
  placed: Placed,
  writtenMs: number,
): Packed & { readonly before: number | null } {
  const { turn } = readBody(placed.bodyJson);
  const before = turn === undefined ? undefined : turnBefore(s, entity, placed, turn);
  placeTurn(s, entity, placed, turn);
  const context = before === undefined ? undefined : readBody(before.json).text;
  return { ...packEntity({ ...placed, writtenMs, before: context }), before: before?.id ?? null };
}

/**
 * SQL for when the body `b` of the entity `e` was written: the time of the first operation that made a version of it. That of an
 * entity's first version is when the entity was made, which is earlier for one that was imported.
 */
export const BODY_WRITTEN_MS = `(SELECT CASE WHEN EXISTS (SELECT 1 FROM version p WHERE p.entity = e.row AND p.id < w.id)
    THEN o.at_ms ELSE e.created_at_ms END
  FROM version w CROSS JOIN operations o ON o.seq = w.seq WHERE w.entity = e.row AND w.body = b.id ORDER BY w.id LIMIT 1)`;
