import { mayRead } from '../../memory/scope.ts';
import type { JournalEntry, Scope, TimelineFilter } from '../../memory/types.ts';
import type { Session } from './session.ts';

interface JournalRow {
  readonly id: string;
  readonly event_type: string;
  readonly evaluated_json: string;
  readonly acted_json: string;
  readonly forward_json: string;
  readonly category: string;
  readonly key: string;
  readonly entity_id: string;
  readonly agent_id: string;
  readonly workspace: string;
  readonly created_at_unix_ms: number;
}

/** See `Reader.timeline`. */
export function timeline(
  s: Session,
  scope: Scope,
  filter: TimelineFilter,
  count: number,
  offset: number,
): JournalEntry[] {
  const conditions: string[] = [];
  const values: unknown[] = [];
  const narrow = (condition: string, value: unknown): void => {
    if (value === undefined || value === null) return;
    conditions.push(condition);
    values.push(value);
  };
  narrow('created_at_unix_ms >= ?', filter.fromMs);
  narrow('created_at_unix_ms <= ?', filter.toMs);
  narrow('event_type = ?', filter.eventType);
  narrow('category = ?', filter.category);
  narrow('entity_id = ?', filter.entityId);
  narrow('workspace = ?', scope.workspace);
  if (scope.principal.kind === 'bound') narrow('workspace = ?', scope.principal.workspace);
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
  return s.sql
    .all<JournalRow>(
      `SELECT * FROM journal ${where} ORDER BY created_at_unix_ms DESC, row DESC LIMIT ? OFFSET ?`,
      ...values,
      count,
      offset,
    )
    .filter((row) => mayRead(scope, { workspace: row.workspace, visibility: 'workspace', agentId: row.agent_id }))
    .map((row) => ({
      id: row.id,
      eventType: row.event_type,
      evaluatedJson: row.evaluated_json,
      actedJson: row.acted_json,
      forwardJson: row.forward_json,
      workspace: row.workspace,
      category: row.category,
      key: row.key,
      entityId: row.entity_id,
      agentId: row.agent_id,
      createdAtMs: row.created_at_unix_ms,
    }));
}
