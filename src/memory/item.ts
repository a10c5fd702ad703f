import { readBody } from './document.ts';
import type { Entity, Link } from './types.ts';

/** Members of an item that have a meaning of their own: a body's field of such a name is not shown beside it. */
const COLUMNS: ReadonlySet<string> = new Set([
  'id',
  'category',
  'key',
  'body_json',
  'type',
  'status',
  'tags',
  'topic_path',
  'archived',
  'archive_reason',
  'links',
  'verified',
  'source',
  'always_on',
  'certainty',
  'workspace_hash',
  'agent_id',
  'visibility',
  'created_at_unix_ms',
  'retrieval_count',
  'last_accessed_unix_ms',
  'layer',
  'decay_score',
  'also',
  'confidence',
  'why',
]);

/**
 * The JSON of an item without its closing brace and without the numbers that move (use and strength): first the columns,
 * beginning with id, category, key and body_json in this order, then the fields of an object body that no column has.
 */
export function itemJson(entity: Entity, links: readonly Link[]): string {
  const columns = JSON.stringify({
    id: entity.id,
    category: entity.category,
    key: entity.key,
    body_json: entity.bodyJson,
    type: entity.type,
    status: entity.status,
    tags: entity.tags,
    topic_path: entity.topicPath,
    archived: entity.archived,
    archive_reason: entity.archiveReason,
    links: links.map(linkJson),
    verified: entity.verified,
    source: entity.source,
    always_on: entity.alwaysOn,
    certainty: entity.certainty,
    workspace_hash: entity.workspace,
    agent_id: entity.agentId,
    visibility: entity.visibility,
    created_at_unix_ms: entity.createdAtMs,
  });
  return columns.slice(0, -1) + bodyFields(entity.bodyJson);
}

/** A link as the wire names its members. */
export function linkJson(link: Link): { target_id: string; relationship: string; weight: number } {
  return { target_id: link.targetId, relationship: link.relationship, weight: link.weight };
}

function bodyFields(bodyJson: string): string {
  if (!bodyJson.trimStart().startsWith('{')) return '';
  let body: unknown;
  try {
    body = JSON.parse(bodyJson);
  } catch {
    // Files of others may hold bodies that are not JSON; such a body has no fields.
    return '';
  }
  if (typeof body !== 'object' || body === null) return '';
  let fields = '';
  for (const [name, value] of Object.entries(body)) {
    if (!COLUMNS.has(name)) fields += `,${JSON.stringify(name)}:${JSON.stringify(value)}`;
  }
  return fields;
}

/**
 * The same item with at most `capBytes` UTF-8 bytes of its body, cut between characters, and a footer that says how much
 * is missing and where it is. A body that fits is left alone; a cut one shows no fields of its own beside the columns.
 */
export function previewItem(json: string, capBytes: number): string {
  if (json.length <= capBytes / 3) return json;
  const item: unknown = JSON.parse(`${json}}`);
  if (typeof item !== 'object' || item === null) return json;
  const members = new Map<string, unknown>(Object.entries(item));
  const body = String(members.get('body_json'));
  const kept = headOfBytes(body, capBytes);
  if (kept.length === body.length) return json;
  const missing = characters(body) - characters(kept);
  members.set(
    'body_json',
    `${kept}\n--truncated (${missing} more chars)-- full body: get_entity("${String(members.get('id'))}")`,
  );
  const columns = [...members].filter(([name]) => COLUMNS.has(name));
  return `{${columns.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}`;
}

/** The longest beginning of a text that has at most so many UTF-8 bytes and ends between two characters. */
export function headOfBytes(text: string, maxBytes: number): string {
  let bytes = 0;
  for (let i = 0; i < text.length;) {
    const point = text.codePointAt(i) ?? 0;
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    if (bytes > maxBytes) return text.slice(0, i);
    i += point > 0xffff ? 2 : 1;
  }
  return text;
}

/** The longest beginning of a text that has at most so many characters (code points). */
export function headOfChars(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text;
  let end = 0;
  for (let count = 0; count < maxChars && end < text.length; count++)
    end += (text.codePointAt(end) ?? 0) > 0xffff ? 2 : 1;
  return text.slice(0, end);
}

function characters(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

const LINE_BREAKS = /[\n\v\f\r\u0085\u2028\u2029]/g;
const BULLET_CHARS = 100;

/**
 * One line of markdown for an entity: category, key and the first hundred characters of its body, without line breaks, so
 * that stored text cannot pass for another line.
 */
export function bulletOf({ category, key, bodyJson }: Pick<Entity, 'category' | 'key' | 'bodyJson'>): string {
  const head = headOfChars(bodyJson, BULLET_CHARS);
  const cut = head.length < bodyJson.length ? '...' : '';
  return `- [${category}] **${key}** — ${head}${cut}`.replace(LINE_BREAKS, ' ');
}

/** One line of markdown for an item with all that its body says. */
export function wholeBulletOf(json: string): string {
  const item = JSON.parse(`${json}}`) as { category: string; key: string; body_json: string };
  const { speaker, text } = readBody(item.body_json);
  const said = speaker === '' ? text : `${speaker}: ${text}`;
  return `- [${item.category}] **${item.key}** — ${said}`.replace(LINE_BREAKS, ' ');
}
