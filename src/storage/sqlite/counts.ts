import { layerOf, NO_NOTES, withNotes } from '../../memory/retention.ts';
import type { Noted, Scope, StoreCounts, StoreNames } from '../../memory/types.ts';
import { placeConditions } from './conditions.ts';
import type { Session } from './session.ts';

/** See `Reader.bytes`. */
export function fileBytes(s: Session): number {
  return (
    s.sql.get<{ bytes: number }>('SELECT page_count * page_size AS bytes FROM pragma_page_count(), pragma_page_size()')
      ?.bytes ?? 0
  );
}

/** See `Reader.names`. */
export function names(s: Session, scope: Scope): StoreNames {
  const { conditions, values } = placeConditions(scope, {});
  const where = conditions.join(' AND ');
  const different = (column: string): string[] =>
    s.sql
      .all<{ name: string }>(`SELECT DISTINCT e.${column} AS name FROM entity e WHERE ${where} ORDER BY 1`, ...values)
      .map(({ name }) => name);
  return { categories: different('category'), workspaces: different('workspace') };
}

/** See `Reader.counts`. Archived rows count, as in the original. */
export function counts(s: Session, scope: Scope, noted: Noted = NO_NOTES): StoreCounts {
  const { conditions, values } = placeConditions(scope, { includeArchived: true });
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
  // Journal and state have no public rows: a bound principal sees those of its own workspace and nothing else.
  const own = scope.principal.kind === 'bound' ? scope.principal.workspace : null;
  const inWorkspace = (table: string, open: string, ...bound: number[]): number =>
    s.sql.get<{ n: number }>(
      `SELECT count(*) AS n FROM ${table} WHERE ${open} AND workspace = coalesce(?, workspace) AND workspace = coalesce(?, workspace)`,
      ...bound,
      scope.workspace,
      own,
    )?.n ?? 0;
  const groups = (column: string): Record<string, number> => {
    const rows = s.sql.all<{ name: string; n: number }>(
      `SELECT ${column} AS name, count(*) AS n FROM entity e ${where} GROUP BY 1 ORDER BY 1`,
      ...values,
    );
    return Object.fromEntries(rows.map((row) => [row.name, row.n]));
  };
  const byLayer: Record<string, number> = {};
  for (const row of s.sql.all<{ layer: string; count: number; n: number }>(
    `SELECT v.layer, coalesce(u.count, 0) AS count, count(*) AS n FROM entity e JOIN version v ON v.id = e.version
     LEFT JOIN usage u ON u.entity = e.row ${where} GROUP BY 1, 2`,
    ...values,
  )) {
    const layer = layerOf(row.layer, row.count);
    byLayer[layer] = (byLayer[layer] ?? 0) + row.n;
  }
  for (const row of new Set([...noted.sent, ...noted.kept].map((note) => note.row))) {
    const stored = s.sql.get<{ layer: string; count: number; last: number }>(
      `SELECT v.layer, coalesce(u.count, 0) AS count, coalesce(u.last_ms, e.created_at_ms) AS last
       FROM entity e JOIN version v ON v.id = e.version LEFT JOIN usage u ON u.entity = e.row
       WHERE ${['e.row = ?', ...conditions].join(' AND ')}`,
      row,
      ...values,
    );
    if (stored === undefined) continue;
    const { count } = withNotes(row, { count: stored.count, lastAtMs: stored.last }, noted);
    const [before, now] = [layerOf(stored.layer, stored.count), layerOf(stored.layer, count)];
    byLayer[before] = (byLayer[before] ?? 0) - 1;
    byLayer[now] = (byLayer[now] ?? 0) + 1;
    if (byLayer[before] === 0) delete byLayer[before];
  }
  const total = s.sql.get<{ n: number; oldest: number | null; newest: number | null }>(
    `SELECT count(*) AS n, min(created_at_ms) AS oldest, max(created_at_ms) AS newest FROM entity e ${where}`,
    ...values,
  );
  return {
    entities: total?.n ?? 0,
    byCategory: groups('e.category'),
    byType: groups('e.type'),
    byLayer,
    journal: inWorkspace('journal', '1'),
    state: inWorkspace('state', 'seq_to IS NULL AND (expires_at_unix_ms IS NULL OR expires_at_unix_ms >= ?)', s.nowMs),
    bytes: fileBytes(s),
    oldestMs: total?.oldest ?? null,
    newestMs: total?.newest ?? null,
  };
}
