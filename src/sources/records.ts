import { LIMITS } from '../limits.ts';
import type { DocumentLink, SourceDocument } from '../memory/sourced.ts';

/** Which member of a record is which part of a document. */
export type FieldMap = Readonly<Partial<Record<'content' | 'key' | 'title' | 'tags', string>>>;

/** What a file of records holds. */
export interface Records {
  readonly documents: readonly SourceDocument[];
  /** What could not be read, by the number of its line or record. */
  readonly notes: readonly string[];
}

type Members = Readonly<Record<string, unknown>>;

function membersOf(value: unknown): Members | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value))
    : null;
}

function textAt(members: Members, names: readonly string[]): string {
  for (const name of names) {
    const value = members[name];
    if (typeof value === 'string' && value !== '') return value;
    if (typeof value === 'number') return String(value);
  }
  return '';
}

function textsAt(members: Members, name: string): string[] {
  const value = members[name];
  if (Array.isArray(value)) return value.filter((one) => typeof one === 'string');
  return typeof value === 'string' ? value.split(/[,;]/).flatMap((one) => (one.trim() === '' ? [] : [one.trim()])) : [];
}

/** The lines of a text that hold JSON objects, with their numbers; others become notes. */
function jsonLines(text: string, notes: string[]): { line: number; members: Members }[] {
  return text.split(/\r?\n/).flatMap((line, at) => {
    if (line.trim() === '') return [];
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      notes.push(`line ${at + 1} is no JSON`);
      return [];
    }
    const members = membersOf(value);
    if (members === null) notes.push(`line ${at + 1} is no object`);
    return members === null ? [] : [{ line: at + 1, members }];
  });
}

/**
 * The file of the reference memory server: a line for each entity and for each relation. An entity is a document with its
 * observations as lines, a relation a link.
 */
export function referenceRecords(text: string): Records {
  const notes: string[] = [];
  const documents: SourceDocument[] = [];
  const links = new Map<string, DocumentLink[]>();
  for (const { line, members } of jsonLines(text, notes)) {
    const [name, from, to] = ['name', 'from', 'to'].map((one) => textAt(members, [one]));
    if (members['type'] === 'relation' && from !== undefined && from !== '' && to !== undefined && to !== '') {
      const relationship = textAt(members, ['relationType']) || 'related';
      links.set(from, [...(links.get(from) ?? []), { to, relationship }]);
    } else if (members['type'] === 'entity' && name !== undefined && name !== '') {
      const kind = textAt(members, ['entityType']);
      const observations = Array.isArray(members['observations']) ? members['observations'] : [];
      documents.push({
        key: name,
        path: '',
        text: observations.filter((one) => typeof one === 'string').join('\n'),
        textMember: 'content',
        meta: { name, entity_type: kind },
        tags: kind === '' ? [] : [kind],
      });
    } else notes.push(`line ${line} is neither an entity with a name nor a relation`);
  }
  return { documents: unique(documents.map((one) => ({ ...one, links: links.get(one.key) ?? [] }))), notes };
}

/** The same, with a number behind each key that was there before: two records are two memories. */
function unique(documents: readonly SourceDocument[]): SourceDocument[] {
  const taken = new Set<string>();
  return documents.map((document) => {
    let { key } = document;
    for (let n = 2; taken.has(key); n++) key = `${document.key}~${n}`;
    taken.add(key);
    return { ...document, key };
  });
}

/** What a record calls its parts when nobody says. */
const GUESSES = {
  content: ['content', 'text', 'memory', 'body', 'note', 'data', 'value'],
  key: ['key', 'id', 'uuid', 'name', 'title'],
  title: ['title', 'name'],
  tags: ['tags', 'labels', 'categories'],
} as const;

/** A record as a document; null when it says nothing. What has no key gets its number, so that it stays the same record. */
function recordDocument(members: Members, number: number, map: FieldMap): SourceDocument | null {
  const at = (part: keyof typeof GUESSES): readonly string[] => {
    const named = map[part];
    return named === undefined ? GUESSES[part] : [named];
  };
  const text = textAt(members, at('content'));
  if (text === '') return null;
  const title = textAt(members, at('title'));
  const contentName = at('content').find((name) => textAt(members, [name]) !== '') ?? '';
  const rest = Object.fromEntries(Object.entries(members).filter(([name]) => name !== contentName));
  const tags = at('tags').flatMap((name) => textsAt(members, name));
  return {
    key: textAt(members, at('key')) || `record-${number}`,
    path: '',
    text,
    textMember: 'content',
    meta: rest,
    tags: [...new Set(tags)].slice(0, LIMITS.tagsMax),
    ...(title !== '' && { names: [title] }),
  };
}

function documentsOf(records: readonly { line: number; members: Members }[], map: FieldMap, notes: string[]): Records {
  const documents = records.flatMap(({ line, members }) => {
    const document = recordDocument(members, line, map);
    if (document === null) notes.push(`line ${line} has no text`);
    return document === null ? [] : [document];
  });
  return { documents: unique(documents), notes };
}

/** A file with a JSON object in each line. */
export function jsonlRecords(text: string, map: FieldMap): Records {
  const notes: string[] = [];
  return documentsOf(jsonLines(text, notes), map, notes);
}

/** A table as RFC 4180 writes it; the first line names the columns. */
export function csvRecords(text: string, map: FieldMap): Records {
  const notes: string[] = [];
  const [head, ...rows] = csvRows(text);
  const records = rows.flatMap(({ line, cells }) => {
    if (cells.length === 1 && cells[0] === '') return [];
    if (cells.length === head?.cells.length) {
      const members = Object.fromEntries(head.cells.map((name, i) => [name, cells[i] ?? '']));
      return [{ line, members }];
    }
    notes.push(`line ${line} has ${cells.length} columns instead of ${head?.cells.length ?? 0}`);
    return [];
  });
  return documentsOf(records, map, notes);
}

/** Rows with the number of their first line: a cell in quotes may have line ends. */
function csvRows(text: string): { line: number; cells: string[] }[] {
  const rows: { line: number; cells: string[] }[] = [];
  let [cells, line, start]: [string[], number, number] = [[], 1, 1];
  for (const [, quoted, plain = '', end = ''] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g)) {
    cells.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    line += (quoted?.match(/\n/g) ?? []).length;
    if (end === ',') continue;
    rows.push({ line: start, cells });
    if (end !== '') line += 1;
    [cells, start] = [[], line];
  }
  return rows;
}

/** What mem0 gives out: a list of memories, bare or under `results` or `memories`. Null when it is no such JSON. */
export function mem0Records(text: string): Records | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null; // said by the caller, with the name of the file
  }
  const members = membersOf(value);
  const list = Array.isArray(value) ? value : (members?.['results'] ?? members?.['memories']);
  if (!Array.isArray(list)) return null;
  const notes: string[] = [];
  const documents = list.flatMap((one: unknown, at) => {
    const record = membersOf(one);
    const document = record === null ? null : recordDocument(record, at + 1, { content: 'memory', key: 'id' });
    if (document === null) notes.push(`record ${at + 1} has no memory`);
    return document === null ? [] : [document];
  });
  return { documents: unique(documents), notes };
}
