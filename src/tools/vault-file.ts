import { z } from 'zod';

import type { VaultFile } from '../engine/vault.ts';
import { marksOf, parseFile, type ParsedFile } from '../files/markdown.ts';
import { LAYERS } from '../memory/retention.ts';
import type { PortableFields } from '../memory/portable.ts';
import { LIMITS } from '../limits.ts';
import { clamped, flag, name, number, RULES, text } from './fields.ts';
import { fieldsOf, publishedSchema, readArguments } from './input.ts';
import { MEMORY } from './memories.ts';

/** The fields of a file, read as leniently as arguments are. */
const FILE = z.object({
  ...MEMORY,
  category: name('').optional(),
  key: name('').optional(),
  body_json: MEMORY.body_json.optional(),
  body_text: text('', { maxBytes: LIMITS.bodyJsonMaxBytes }).optional(),
  id: name('').optional(),
  workspace_hash: name('').optional(),
  layer: z.enum(LAYERS).register(RULES, { emptyIsAbsent: true }).optional(),
  source: name('').optional(),
  archive_reason: name('').optional(),
  verified: flag('').optional(),
  decay_score: number('').optional(),
  retrieval_count: clamped('', 0, Number.MAX_SAFE_INTEGER).optional(),
  created: name('').optional(),
  last_accessed: name('').optional(),
});
const FIELDS = fieldsOf(FILE, publishedSchema(FILE));

/**
 * The memory that a file of a vault means: one of ours, of the original, or of a person. Throws `invalid_argument` with what is
 * wrong with it.
 */
export function readVaultFile(written: string, nowMs: number): VaultFile {
  const parsed = parseFile(written);
  const { mark, past } = marksOf(parsed.members);
  const members = mark === undefined ? byHand(parsed) : { ...parsed.members };
  const args = readArguments('vault_import', FIELDS, {
    ...members,
    body_json: parsed.bodyIsText ? undefined : parsed.bodyJson,
    body_text: parsed.bodyIsText ? parsed.bodyJson : undefined,
    recall_when: undefined,
  });
  const file = FILE.parse(args);
  const { id, category = 'general', key = 'imported', decay_score: strength, workspace_hash: workspace } = file;
  // The original's files say how strong a memory was, and in which layer use had brought it: neither is what it was given.
  const isOriginals = strength !== undefined && file.importance === undefined;
  const { layer } = file;
  const importance = file.importance ?? (isOriginals ? Math.min(1, Math.max(0, strength)) : undefined);
  const first = { ...(importance !== undefined && { importance }), ...(layer !== undefined && { layer }) };
  const stated: Partial<PortableFields> = {
    ...(isOriginals ? {} : first),
    ...(file.status !== undefined && { status: file.status }),
    ...(file.type !== undefined && { type: file.type }),
    ...(file.tags !== undefined && { tags: file.tags }),
    ...(file.topic_path !== undefined && { topicPath: file.topic_path }),
    ...(file.verified !== undefined && { verified: file.verified }),
    ...(file.source !== undefined && { source: file.source }),
    ...(file.always_on !== undefined && { alwaysOn: file.always_on }),
    ...(file.certainty !== undefined && { certainty: file.certainty }),
    ...(file.agent_id !== undefined && { agentId: file.agent_id }),
    ...(file.visibility !== undefined && { visibility: file.visibility }),
    // Where an export left it out, there is none.
    ...((file.archive_reason ?? mark) !== undefined && { archiveReason: file.archive_reason ?? '' }),
  };
  const createdAtMs = momentOf(file.created);
  // Of the original's files the last use is left out: what nobody used for a month would be archived by the next upkeep.
  const lastAtMs = (mark === undefined ? undefined : momentOf(file.last_accessed)) ?? nowMs;
  return {
    category,
    key,
    bodyJson: parsed.bodyJson,
    ...(id !== undefined && { id }),
    ...(workspace !== undefined && { workspace }),
    stated,
    atFirst: isOriginals ? first : {},
    ...(parsed.links !== undefined && { links: parsed.links }),
    aliases: textsOf(parsed.members['aliases']),
    ...(mark !== undefined && { mark }),
    past: past.slice(0, LIMITS.vaultPastMax),
    ...(createdAtMs !== undefined && { createdAtMs }),
    ...(file.retrieval_count !== undefined && { usage: { count: file.retrieval_count, lastAtMs } }),
  };
}

/** What people and the original leave empty is left out, and what they write as a text may be a list. */
function byHand({ members, isOriginals }: ParsedFile): Record<string, unknown> {
  const said = Object.entries(members).filter(([, value]) => value !== '' && value !== null);
  const read: Record<string, unknown> = Object.fromEntries(said);
  const { tags, id, decay_score: strength, workspace_hash: workspace, agent_id: agent, layer } = members;
  if (typeof tags === 'string') read['tags'] = wordsOf(tags);
  // An id is no path: the original does not take such a one either.
  if (typeof id === 'string' && (/[/\\]/.test(id) || id === '..')) delete read['id'];
  if (strength !== undefined && !Number.isFinite(Number(strength))) delete read['decay_score'];
  // As its database is imported: other words mean nothing.
  if (isOriginals && !LAYERS.some((known) => known === layer)) read['layer'] = 'buffer';
  // Empty, these two say something.
  if (workspace === '') read['workspace_hash'] = '';
  if (agent === '') read['agent_id'] = '';
  return read;
}

/** The texts of a list, or the one that stands there. */
function textsOf(value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]).filter((one) => typeof one === 'string' && one !== '');
}

function wordsOf(tags: string): string[] {
  return tags
    .replace(/^\[(.*)\]$/, '$1')
    .split(',')
    .map((tag) => tag.trim().replace(/^(["'])(.*)\1$/, '$2'))
    .filter((tag) => tag !== '');
}

/** Unix milliseconds of a date or of their number; undefined for what is neither. */
function momentOf(text: string | undefined): number | undefined {
  const ms = text === undefined ? Number.NaN : /^-?\d+$/.test(text) ? Number(text) : Date.parse(text);
  return Number.isSafeInteger(ms) ? ms : undefined;
}
