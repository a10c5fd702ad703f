import { LIMITS } from '../../limits.ts';
import type { Layer, Scope } from '../../memory/types.ts';
import type { KeptFilter, KeptRow, Orphans, Stretch } from '../store.ts';
import { entityConditions } from './conditions.ts';
import type { Session } from './session.ts';

/** Workspaces that the scope may change: conditions on a column, with their values. */
function writable(scope: Scope, column: string): { conditions: string[]; values: unknown[] } {
  const own = scope.principal.kind === 'bound' ? [scope.principal.workspace] : [];
  const values = scope.workspace === null ? own : [...own, scope.workspace];
  return { conditions: values.map(() => `${column} = ?`), values };
}

function nextAfter(s: Session, last: number, tables: readonly string[]): number | null {
  for (const table of tables) {
    const [name = '', column = ''] = table.split('.');
    const most = s.sql.get<{ row: number | null }>(`SELECT max(${column}) AS row FROM ${name}`)?.row ?? 0;
    if (most > last) return last;
  }
  return null;
}

/** See `Reader.kept`. A stretch is so many numbers, not so many hits: however narrow the filter, it ends soon. */
export function kept(s: Session, scope: Scope, filter: KeptFilter, after: number): Stretch<KeptRow[]> {
  const last = after + LIMITS.stretchRows;
  const readable = entityConditions(scope, {});
  const mine = writable(scope, 'e.workspace');
  const conditions = [...readable.conditions, ...mine.conditions];
  const values = [...readable.values, ...mine.values];
  if (filter.category !== undefined) {
    conditions.push('e.category = ?');
    values.push(filter.category);
  }
  const rows = s.sql.all<{
    row: number;
    id: string;
    created_at_ms: number;
    layer: Layer;
    importance: number;
    lasting: number;
    count: number | null;
    last_ms: number | null;
  }>(
    `SELECT e.row, e.id, e.created_at_ms, v.layer, v.importance, v.always_on OR v.verified AS lasting, u.count, u.last_ms
     FROM entity e CROSS JOIN version v ON v.id = e.version LEFT JOIN usage u ON u.entity = e.row
     WHERE e.row > ? AND e.row <= ? AND e.archived = ?${conditions.map((one) => ` AND ${one}`).join('')} ORDER BY e.row`,
    after,
    last,
    Number(filter.archived),
    ...values,
  );
  const found = rows.map((row) => ({
    row: row.row,
    id: row.id,
    layer: row.layer,
    createdAtMs: row.created_at_ms,
    importance: row.importance,
    lasting: row.lasting === 1,
    usage: { count: row.count ?? 0, lastAtMs: row.last_ms ?? row.created_at_ms },
  }));
  return { found, next: nextAfter(s, last, ['entity.row']) };
}

/** See `Reader.orphans`. */
export function orphans(s: Session, scope: Scope, after: number): Stretch<Orphans> {
  const last = after + LIMITS.stretchRows;
  const { conditions, values } = writable(scope, 't.workspace');
  const count = (table: string, number: string, id: string, more: string): number =>
    s.sql.get<{ n: number }>(
      `SELECT count(*) AS n FROM ${table} t WHERE t.${number} > ? AND t.${number} <= ? AND ${more}
         AND NOT EXISTS (SELECT 1 FROM entity e WHERE e.id = t.${id})${conditions.map((one) => ` AND ${one}`).join('')}`,
      after,
      last,
      ...values,
    )?.n ?? 0;
  const found = {
    journal: count('journal', 'row', 'entity_id', `t.entity_id <> ''`),
    links: count('link', 'id', 'target', 't.seq_to IS NULL'),
  };
  return { found, next: nextAfter(s, last, ['journal.row', 'link.id']) };
}
