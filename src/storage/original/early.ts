import type { EarlyMemory, EarlyPage } from '../../memory/types.ts';
import { layerOf } from '../../memory/retention.ts';
import { withEarlyRows, type RawRow } from '../sqlite/original.ts';
import { readLinks, readTags } from './rows.ts';

/**
 * A page of the memories in a file of version 0.1, which is opened for it and stays as it is. `seen` rows came before it, so that
 * errors can name a row by its place in the file.
 */
export function earlyMemories(path: string, after: number | null, seen: number, count: number): EarlyPage {
  return withEarlyRows(path, after, count, ({ kind, total, rows, hasMemory }) => {
    const memories: EarlyMemory[] = [];
    const errors: string[] = [];
    for (const [i, raw] of rows.entries()) {
      const read = readMemory(raw, hasMemory);
      if (typeof read === 'string') errors.push(`Row ${seen + i + 1} read error: ${read}`);
      else memories.push(read);
    }
    const last = rows.length < count ? undefined : rows.at(-1);
    return { kind, total, memories, errors, next: last === undefined ? null : Number(last['rowid']) };
  });
}

/** Columns and what they must hold. The original reads a file so; a row that it could not read was none of its memories. */
const COLUMNS: Readonly<Record<string, 'text' | 'number' | 'integer' | 'text or null'>> = {
  id: 'text',
  content: 'text',
  type: 'text',
  summary: 'text or null',
  decay_score: 'number',
  retrieval_count: 'integer',
  layer: 'text',
  topic_path: 'text',
  created_at_unix_ms: 'integer',
  last_accessed_unix_ms: 'integer',
  workspace_hash: 'text',
  tags: 'text',
  links: 'text',
  source: 'text',
  verified: 'integer',
};

function holds(value: unknown, due: string): boolean {
  if (due === 'integer') return Number.isSafeInteger(value);
  if (due === 'number') return typeof value === 'number' && Number.isFinite(value);
  return typeof value === 'string' || (due === 'text or null' && value === null);
}

function kindOf(value: unknown): string {
  if (value === null) return 'Null';
  if (typeof value === 'string') return 'Text';
  if (typeof value === 'number') return Number.isInteger(value) ? 'Integer' : 'Real';
  return 'Blob';
}

/** A memory, or what is wrong with its row. Pure. */
function readMemory(raw: RawRow, hasMemory: (id: string) => boolean): EarlyMemory | string {
  for (const [name, due] of Object.entries(COLUMNS)) {
    if (!holds(raw[name], due)) return `column ${name} holds ${kindOf(raw[name])}, ${due} is due`;
  }
  const text = (name: string): string => {
    const value = raw[name];
    return typeof value === 'string' ? value : '';
  };
  const notes: string[] = [];
  const id = text('id');
  const workspace = text('workspace_hash');
  const tags = readTags(raw['tags'], () => notes.push(`the tags of ${id} could not be read; left out`));
  const links = readLinks(raw['links'], () => notes.push(`the links of ${id} could not be read; left out`));
  const [there, gone] = [
    links.filter((link) => hasMemory(link.targetId)),
    links.filter((link) => !hasMemory(link.targetId)),
  ];
  for (const { targetId } of gone) notes.push(`the link of ${id} to ${targetId} led to no memory; left out`);
  return {
    entity: {
      id,
      workspace,
      category: 'general',
      bodyJson: JSON.stringify({ content: text('content'), summary: text('summary') }),
      status: 'active',
      type: text('type'),
      // The original kept the workspace in the tags only; who looks for it there finds it still.
      tags: workspace === '' ? tags : [...tags, `workspace:${workspace}`],
      importance: Number(raw['decay_score']),
      layer: layerOf(text('layer'), 0),
      topicPath: text('topic_path'),
      archived: false,
      archiveReason: '',
      verified: raw['verified'] !== 0,
      source: text('source'),
      alwaysOn: false,
      certainty: 0.5,
      agentId: '',
      visibility: 'workspace',
      createdAtMs: Number(raw['created_at_unix_ms']),
    },
    usage: { count: Math.max(0, Number(raw['retrieval_count'])), lastAtMs: Number(raw['last_accessed_unix_ms']) },
    links: there,
    notes,
  };
}
