// Files of a vault as data: in the original's form, in ours, and as people write them. Ours are read by other code than the
// program's own, so that what is wrong with them shows.
import { parseDocument } from 'yaml';

import { asText, isObject, readJson, textAt, type Json, type JsonObject } from './recording.ts';

/** The lines of the original, in its order. */
const OF_ORIGINAL =
  'id category key type workspace_hash agent_id tags decay_score retrieval_count layer created last_accessed';
/** Of the usual weight, between memories whose ids are names of files. */
const LINK = /^- ([^:]+): \[\[([^\]|]+)(?:\|[^\]]*)?\]\]$/gm;
const LINKS_BELOW = '\n%% mimir links %%\n';

/**
 * What a file says of its memory, under the names that an item of an answer has; undefined where it has no front matter that is
 * closed and can be read. What it leaves out is left out.
 */
export function readVaultText(text: string): JsonObject | undefined {
  const [whole, front = '', rest = ''] = /^\s*---\n((?:.*\n)*?)---\n([^]*)$/.exec(text) ?? [];
  if (whole === undefined) return undefined;
  const lines = front.split('\n').slice(0, -1);
  const pairs = lines.map(
    (line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()] as const,
  );
  if (pairs.map(([name]) => name).join(' ') !== OF_ORIGINAL) return named(front, rest);
  const said: JsonObject = Object.fromEntries(pairs);
  return {
    ...withTimes(said),
    tags: readJson(textAt(said, 'tags') ?? '') ?? null,
    decay_score: Number(said['decay_score']),
    retrieval_count: Number(said['retrieval_count']),
    body_json: rest.replace(/^\n/, '').replace(/\n$/, ''),
  };
}

/** A file of ours, or one by hand. */
function named(front: string, rest: string): JsonObject | undefined {
  const document = parseDocument(front);
  if (document.errors.length > 0) return undefined;
  const read = document.toJS() as Json;
  const { body_json: exact, body_form: form, tags, decay_score: strength, id, ...said } = isObject(read) ? read : {};
  const [words = '', links = ''] = `\n${rest}`.split(LINKS_BELOW);
  const body = words.trim();
  const linked = [...links.matchAll(LINK)].map(([, relationship = '', target = '']) => ({
    target_id: target,
    relationship,
    weight: 0.5,
  }));
  return {
    category: 'general',
    key: 'imported',
    ...withTimes(said),
    // An id is no path, and a strength a number.
    ...(typeof id === 'string' && !/[/\\]/.test(id) && { id }),
    ...(typeof strength === 'number' && Number.isFinite(strength) && { decay_score: strength }),
    ...(tags !== undefined && { tags: typeof tags === 'string' ? tags.split(',').map((tag) => tag.trim()) : tags }),
    ...(said['mimir'] !== undefined && { links: linked }),
    body_json: exact ?? (form === 'text' || readJson(body) !== undefined ? body : contentOf(body, form)),
  };
}

/** The body that prose stands for. */
function contentOf(prose: string, form: Json | undefined): string {
  const quoted = JSON.stringify(prose);
  if (form === 'spaced') return `{"content": ${quoted}}`;
  if (form !== 'spaced_ascii') return `{"content":${quoted}}`;
  const units = quoted.split('').map((unit) => (/[ -~]/.test(unit) ? unit : `\\u${hex4(unit)}`));
  return `{"content": ${units.join('')}}`;
}

function hex4(unit: string): string {
  return (unit.charCodeAt(0) + 0x10000).toString(16).slice(1);
}

function withTimes({ created, last_accessed: used, ...said }: JsonObject): JsonObject {
  return {
    ...said,
    ...(created !== undefined && { created_at_unix_ms: momentOf(created) }),
    ...(used !== undefined && { last_accessed_unix_ms: momentOf(used) }),
  };
}

/** Unix milliseconds; null for what is no time. */
function momentOf(written: Json): number | null {
  const ms = typeof written === 'number' ? written : Date.parse(asText(written));
  return Number.isNaN(ms) ? null : ms;
}
