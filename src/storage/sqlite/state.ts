import { mayRead } from '../../memory/scope.ts';
import type { Scope, StateEntry } from '../../memory/types.ts';
import type { Session } from './session.ts';

/** A row of the state table that is open. */
export interface StateRow {
  readonly id: number;
  readonly workspace: string;
  readonly key: string;
  readonly value_json: string;
  readonly expires_at_unix_ms: number | null;
  readonly created_at_unix_ms: number;
}

function readableIn(scope: Scope, workspace: string): boolean {
  return mayRead(scope, { workspace, visibility: 'workspace', agentId: '' });
}

/** The open row of a key, expired or not. */
export function openState(s: Session, workspace: string, key: string): StateRow | undefined {
  return s.sql.get<StateRow>('SELECT * FROM state WHERE key = ? AND workspace = ? AND seq_to IS NULL', key, workspace);
}

/** See `Reader.stateGet`. An entry has expired when its time lies before now; then it is as if it were not there. */
export function stateGet(s: Session, scope: Scope, workspace: string, key: string): StateEntry | undefined {
  if (!readableIn(scope, workspace)) return undefined;
  const row = openState(s, workspace, key);
  if (row === undefined || (row.expires_at_unix_ms !== null && row.expires_at_unix_ms < s.nowMs)) return undefined;
  return {
    workspace,
    key,
    valueJson: row.value_json,
    expiresAtMs: row.expires_at_unix_ms,
    createdAtMs: row.created_at_unix_ms,
  };
}

/** See `Reader.stateKeys`. */
export function stateKeys(s: Session, scope: Scope, prefix: string): string[] {
  const rows = s.sql.all<{ key: string; workspace: string }>(
    `SELECT key, workspace FROM state WHERE seq_to IS NULL AND substr(key, 1, ?) = ?
       AND (expires_at_unix_ms IS NULL OR expires_at_unix_ms >= ?) ORDER BY key, workspace`,
    Array.from(prefix).length,
    prefix,
    s.nowMs,
  );
  return [...new Set(rows.filter((row) => readableIn(scope, row.workspace)).map((row) => row.key))];
}
