import type { Session } from './session.ts';

/** What an operation can touch; the word stands in `changes.kind`. */
export type ChangeKind =
  | 'operation'
  | 'entity'
  | 'version'
  | 'link'
  | 'link_closed'
  | 'state'
  | 'state_closed'
  | 'journal'
  | 'purged'
  | 'repacked';

/** The columns that a change's digest covers, read by the number of its row. Writing and verifying use the same text. */
const PAYLOAD_SQL: Readonly<Record<ChangeKind, string>> = {
  operation: 'SELECT workspace, actor, client FROM operations WHERE seq = ?',
  entity: 'SELECT row, id, workspace, category, key, created_at_ms FROM entity WHERE row = ?',
  version: `SELECT v.id, v.seq, v.entity, v.body, hex(b.hash), v.status, v.type, v.tags, v.importance, v.layer, v.topic_path, v.archived,
      v.archive_reason, v.verified, v.source, v.always_on, v.certainty, v.agent_id, v.visibility
    FROM version v CROSS JOIN body b ON b.id = v.body WHERE v.id = ?`,
  link: 'SELECT id, workspace, entity, target, relationship, weight, seq_from FROM link WHERE id = ?',
  link_closed: 'SELECT id, seq_to FROM link WHERE id = ?',
  state:
    'SELECT id, workspace, key, value_json, expires_at_unix_ms, created_at_unix_ms, seq_from FROM state WHERE id = ?',
  state_closed: 'SELECT id, seq_to FROM state WHERE id = ?',
  journal: `SELECT row, id, event_type, evaluated_json, acted_json, forward_json, category, key, entity_id, agent_id, workspace,
      created_at_unix_ms, seq FROM journal WHERE row = ?`,
  // That the entity is gone is what this change says, so it holds as long as there is none in the row.
  purged: 'SELECT p.row FROM (SELECT ? AS row) p WHERE NOT EXISTS (SELECT 1 FROM entity e WHERE e.row = p.row)',
  // A body whose lists were made anew: nothing of it that is chained has changed, but whoever keeps lists in memory must hear of it.
  repacked: 'SELECT ?',
};

/** The canonical payload of a change, or undefined when its row is gone. */
export function payloadOf(s: Session, kind: ChangeKind, row: number): string | undefined {
  const values = s.sql.of(PAYLOAD_SQL[kind]).raw(true).get(row);
  return values === undefined ? undefined : JSON.stringify(values);
}
