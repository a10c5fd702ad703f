import type { Turn } from '../../memory/document.ts';
import type { Session } from './session.ts';

interface Place {
  readonly workspace: string;
  readonly category: string;
}

/** The body that came just before a turn in its session, or undefined: a turn is understood by it. */
export function turnBefore(
  s: Session,
  { workspace, category }: Place,
  { session, turn }: Turn,
): { readonly id: number; readonly json: string } | undefined {
  return s.sql.get<{ id: number; json: string }>(
    `SELECT b.id, b.json FROM turn t CROSS JOIN entity e ON e.row = t.entity CROSS JOIN body b ON b.id = e.body
     WHERE t.session = ? AND t.category = ? AND t.workspace = ? AND t.turn < ? AND e.archived = 0 ORDER BY t.turn DESC LIMIT 1`,
    session,
    category,
    workspace,
    turn,
  );
}

/** Notes which place in which session an entity has now; none when it is no turn. */
export function placeTurn(s: Session, entity: number, { workspace, category }: Place, turn: Turn | undefined): void {
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
