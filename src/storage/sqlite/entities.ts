import { bulletOf, itemJson } from '../../memory/item.ts';
import { mayRead } from '../../memory/scope.ts';
import type { Entity, EntityFields, Filters, Layer, PastVersion, Scope } from '../../memory/types.ts';
import type { Item } from '../store.ts';
import { linksOf } from './links.ts';
import { placeConditions } from './conditions.ts';
import type { CachedItem, Session } from './session.ts';

interface VersionRow {
  readonly status: string;
  readonly type: string;
  readonly tags: string;
  readonly importance: number;
  readonly layer: Layer;
  readonly topic_path: string;
  readonly archived: number;
  readonly archive_reason: string;
  readonly verified: number;
  readonly source: string;
  readonly always_on: number;
  readonly certainty: number;
  readonly agent_id: string;
  readonly visibility: string;
  readonly json: string;
}

interface EntityRow extends VersionRow {
  readonly row: number;
  readonly version: number;
  readonly body: number;
  readonly id: string;
  readonly workspace: string;
  readonly category: string;
  readonly key: string;
  readonly created_at_ms: number;
  readonly links: number;
  readonly hash: Buffer;
  readonly count: number | null;
  readonly last_ms: number | null;
}

const VERSION_COLUMNS = `v.status, v.type, v.tags, v.importance, v.layer, v.topic_path, v.archived, v.archive_reason, v.verified,
  v.source, v.always_on, v.certainty, v.agent_id, v.visibility, b.json`;

const SELECT_ENTITY = `
SELECT e.row, e.version, e.body, e.id, e.workspace, e.category, e.key, e.created_at_ms, e.links, ${VERSION_COLUMNS}, b.hash,
  u.count, u.last_ms
FROM entity e CROSS JOIN version v ON v.id = e.version CROSS JOIN body b ON b.id = e.body
LEFT JOIN usage u ON u.entity = e.row`;

function toEntity(row: EntityRow): Entity {
  return {
    row: row.row,
    version: row.version,
    body: row.body,
    id: row.id,
    workspace: row.workspace,
    category: row.category,
    key: row.key,
    bodyHash: row.hash.toString('hex'),
    createdAtMs: row.created_at_ms,
    usage: { count: row.count ?? 0, lastAtMs: row.last_ms ?? row.created_at_ms },
    ...saidBy(row),
  };
}

function saidBy(row: VersionRow): EntityFields & { readonly bodyJson: string } {
  return {
    bodyJson: row.json,
    status: row.status,
    type: row.type,
    tags: JSON.parse(row.tags) as string[],
    importance: row.importance,
    layer: row.layer,
    topicPath: row.topic_path,
    archived: row.archived === 1,
    archiveReason: row.archive_reason,
    verified: row.verified === 1,
    source: row.source,
    alwaysOn: row.always_on === 1,
    certainty: row.certainty,
    agentId: row.agent_id,
    visibility: row.visibility,
  };
}

function readable(scope: Scope, row: EntityRow | undefined): Entity | undefined {
  if (row === undefined) return undefined;
  const entity = toEntity(row);
  return mayRead(scope, entity) ? entity : undefined;
}

/** See `Reader.entityAt`. */
export function entityAt(
  s: Session,
  scope: Scope,
  workspace: string,
  category: string,
  key: string,
): Entity | undefined {
  return readable(
    scope,
    s.sql.get<EntityRow>(
      `${SELECT_ENTITY} WHERE e.row = (SELECT entity FROM key WHERE category = ? AND key = ? AND workspace = ? AND seq_to IS NULL)`,
      category,
      key,
      workspace,
    ),
  );
}

/** See `Reader.entityById`. */
export function entityById(s: Session, scope: Scope, id: string): Entity | undefined {
  return readable(scope, s.sql.get<EntityRow>(`${SELECT_ENTITY} WHERE e.id = ?`, id));
}

/** The entity of a row, whoever asks: for use inside the store only. */
export function entityAtRow(s: Session, row: number): Entity | undefined {
  const found = s.sql.get<EntityRow>(`${SELECT_ENTITY} WHERE e.row = ?`, row);
  return found === undefined ? undefined : toEntity(found);
}

/** See `Reader.versionsOf`. */
export function versionsOf(s: Session, row: number, count: number): PastVersion[] {
  return s.sql
    .all<VersionRow>(
      `SELECT ${VERSION_COLUMNS} FROM version v CROSS JOIN body b ON b.id = v.body WHERE v.entity = ? ORDER BY v.id DESC LIMIT ?`,
      row,
      count,
    )
    .map(saidBy);
}

/** See `Reader.workspacesOf`. */
export function workspacesOf(s: Session, scope: Scope, category: string, key: string): string[] {
  const rows = s.sql.all<{ workspace: string; visibility: string; agent_id: string }>(
    `SELECT e.workspace, e.visibility, e.agent_id FROM key k CROSS JOIN entity e ON e.row = k.entity
     WHERE k.category = ? AND k.key = ? AND k.seq_to IS NULL ORDER BY k.workspace`,
    category,
    key,
  );
  return rows
    .filter((row) => mayRead(scope, { workspace: row.workspace, visibility: row.visibility, agentId: row.agent_id }))
    .map((row) => row.workspace);
}

/** See `Reader.inOrder`. */
export function inOrder(
  s: Session,
  scope: Scope,
  category: string,
  archived: boolean,
  afterVersion: number,
  count: number,
): Entity[] {
  const { conditions, values } = placeConditions(scope, { category, includeArchived: true });
  return s.sql
    .all<EntityRow>(
      `${SELECT_ENTITY} WHERE ${conditions.join(' AND ')} AND e.archived = ? AND e.version > ? ORDER BY e.version LIMIT ?`,
      ...values,
      Number(archived),
      afterVersion,
      count,
    )
    .map(toEntity);
}

interface HitRow {
  readonly row: number;
  readonly version: number;
  readonly links: number;
  readonly created_at_ms: number;
  readonly count: number | null;
  readonly last_ms: number | null;
}

const HIT_COLUMNS = `e.row, e.version, e.links, e.created_at_ms, u.count, u.last_ms`;

function cachedItem(s: Session, hit: HitRow): CachedItem | undefined {
  // Links are not part of a version, so an entity that has some is put together each time.
  if (hit.links === 0) {
    const known = s.items.get(hit.version);
    if (known !== undefined) return known;
  }
  const entity = entityAtRow(s, hit.row);
  if (entity === undefined) return undefined;
  const item: CachedItem = {
    row: entity.row,
    version: entity.version,
    body: entity.body,
    id: entity.id,
    key: entity.key,
    json: itemJson(entity, hit.links === 0 ? [] : linksOf(s, entity.row)),
    bullet: bulletOf(entity),
    twin: JSON.stringify([
      entity.workspace,
      entity.category,
      entity.type,
      entity.agentId,
      entity.visibility,
      entity.bodyHash,
    ]),
    importance: entity.importance,
    layer: entity.layer,
    lasting: entity.alwaysOn || entity.verified,
    certainty: entity.certainty,
    verified: entity.verified,
    createdAtMs: entity.createdAtMs,
    workspace: entity.workspace,
    visibility: entity.visibility,
    agentId: entity.agentId,
  };
  if (hit.links === 0) s.items.put(item);
  return item;
}

function toItem(s: Session, scope: Scope, hit: HitRow): Item | undefined {
  const item = cachedItem(s, hit);
  if (item === undefined || !mayRead(scope, item)) return undefined;
  return { ...item, usage: { count: hit.count ?? 0, lastAtMs: hit.last_ms ?? hit.created_at_ms } };
}

/** See `Reader.items`. */
export function items(s: Session, scope: Scope, bodies: readonly number[]): Item[] {
  const hits = new Map<number, HitRow>();
  for (const hit of s.sql.all<HitRow & { body: number }>(hitsSql(bodies.length), ...bodies)) hits.set(hit.body, hit);
  const found: Item[] = [];
  for (const body of bodies) {
    const hit = hits.get(body);
    const item = hit === undefined ? undefined : toItem(s, scope, hit);
    if (item !== undefined) found.push(item);
  }
  return found;
}

/** One statement for all hits of a page: ten of their own took twice as long. */
function hitsSql(count: number): string {
  const places = Array<string>(count).fill('?').join();
  return `SELECT e.body, ${HIT_COLUMNS} FROM body b CROSS JOIN entity e ON e.row = b.entity AND e.body = b.id
    LEFT JOIN usage u ON u.entity = e.row WHERE b.id IN (${places})`;
}

/** See `Reader.recent`. */
export function recent(s: Session, scope: Scope, filters: Filters, count: number, offset: number): readonly Item[] {
  if (s.browses === null || count > BROWSE_KEPT_MAX) return browse(s, scope, filters, count, offset);
  const asked = JSON.stringify([scope.principal, scope.workspace, filters, count, offset]);
  const known = s.browses.get(asked);
  if (known !== undefined) return known;
  const found = browse(s, scope, filters, count, offset);
  // Every session starts with the same few browses; long pages are not worth the memory.
  if (s.browses.size < BROWSES_MAX) s.browses.set(asked, found);
  return found;
}

const BROWSE_KEPT_MAX = 50;
const BROWSES_MAX = 64;

function browse(s: Session, scope: Scope, filters: Filters, count: number, offset: number): Item[] {
  const pinned = filters.alwaysOn === true;
  const { alwaysOn: _, ...others } = filters;
  const { conditions, values } = placeConditions(scope, pinned ? others : filters);
  // Left to itself SQLite walks all rows by time to find the few pinned ones: 0.35 ms at 2,000 rows, and growing.
  if (pinned) conditions.push('e.always_on = 1');
  const table = pinned ? 'entity e INDEXED BY entity_pinned' : 'entity e';
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
  const rows = s.sql.all<HitRow>(
    `SELECT ${HIT_COLUMNS} FROM ${table} LEFT JOIN usage u ON u.entity = e.row ${where} ORDER BY e.version DESC LIMIT ? OFFSET ?`,
    ...values,
    count,
    offset,
  );
  const found: Item[] = [];
  for (const row of rows) {
    const item = toItem(s, scope, row);
    if (item !== undefined) found.push(item);
  }
  return found;
}
