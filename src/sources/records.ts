import { createHash } from 'node:crypto';

import { LIMITS } from '../limits.ts';
import { sortedJson, valueNestsDeeperThan } from '../memory/json.ts';
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

/** The members of a JSON object; null for anything else. */
export function membersOf(value: unknown): Members | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value))
    : null;
}

/** The first of these members that says something, as text. */
export function textAt(members: Members, names: readonly string[]): string {
  for (const name of names) {
    const value = members[name];
    if (typeof value === 'string' && value !== '') return value;
    if (typeof value === 'number') return String(value);
  }
  return '';
}

/** A member that is a list of texts, or several in one. */
export function textsAt(members: Members, name: string): string[] {
  const value = members[name];
  if (Array.isArray(value)) return value.filter((one) => typeof one === 'string');
  return typeof value === 'string' ? value.split(/[,;]/).flatMap((one) => (one.trim() === '' ? [] : [one.trim()])) : [];
}

/** Why a record cannot be stored; null when it can. */
export function recordProblem(members: Members): string | null {
  if (valueNestsDeeperThan(members, LIMITS.jsonDepthMax)) return 'is nested too deep';
  let isText = true;
  JSON.stringify(members, (name, value: unknown) => {
    isText &&= name.isWellFormed() && (typeof value !== 'string' || (value.isWellFormed() && !value.includes('\0')));
    return value;
  });
  return isText ? null : 'has a NUL character, or half of a surrogate pair';
}

/** The lines of a text that hold JSON objects, with their numbers; others become notes. */
export function jsonLines(text: string, notes: string[]): { line: number; members: Members }[] {
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
    const problem = members === null ? 'is no object' : recordProblem(members);
    if (problem !== null) notes.push(`line ${at + 1} ${problem}`);
    return members === null || problem !== null ? [] : [{ line: at + 1, members }];
  });
}

/**
 * The file of the reference memory server: a line for each entity and for each relation. An entity is a document with its
 * observations as lines, a relation a link.
 */
export function referenceRecords(text: string): Records {
  const notes: string[] = [];
  const documents: SourceDocument[] = [];
  const relations: { line: number; from: string; link: DocumentLink }[] = [];
  for (const { line, members } of jsonLines(text, notes)) {
    const [name = '', from = '', to = ''] = ['name', 'from', 'to'].map((one) => textAt(members, [one]));
    if (members['type'] === 'relation' && from !== '' && to !== '') {
      const relationship = textAt(members, ['relationType']) || 'related';
      relations.push({ line, from, link: { to, relationship } });
    } else if (members['type'] === 'entity' && name !== '') {
      const kind = textAt(members, ['entityType']);
      const observations = [members['observations'] ?? []].flat();
      documents.push({
        key: name,
        path: '',
        place: `line ${line}`,
        text: observations.map(asText).join('\n'),
        textMember: 'content',
        meta: { name, entity_type: kind },
        tags: kind === '' ? [] : [kind],
      });
    } else notes.push(`line ${line} is neither an entity with a name nor a relation`);
  }
  const names = new Set(documents.map(({ key }) => key));
  for (const { line, from, link } of relations) {
    const missing = [from, link.to].find((end) => !names.has(end));
    if (missing !== undefined)
      notes.push(`line ${line} is a relation, and there is no entity ${JSON.stringify(missing)}`);
    else if (from === link.to) notes.push(`line ${line} is a relation of an entity with itself`);
  }
  const links = Map.groupBy(relations, ({ from }) => from);
  const linked = documents.map((one) => ({ ...one, links: (links.get(one.key) ?? []).map(({ link }) => link) }));
  return { documents: unique(linked), notes };
}

/** What is no text as JSON. */
function asText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** The same, with a number behind each key that was there before: two records are two memories. */
export function unique(documents: readonly SourceDocument[]): SourceDocument[] {
  const taken = new Set<string>();
  return documents.map((document) => {
    let { key } = document;
    for (let n = 2; taken.has(key); n++) key = `${document.key}~${n}`;
    taken.add(key);
    return { ...document, key };
  });
}

/** Which members of a record may hold which part of it; the first that says something does. */
export type Parts = Readonly<Record<'content' | 'key' | 'title' | 'tags', readonly string[]>>;

/** What a record calls its parts when nobody says. */
const GUESSES: Parts = {
  content: ['content', 'text', 'memory', 'body', 'note', 'data', 'value'],
  key: ['key', 'id', 'uuid', 'name', 'title'],
  title: ['title', 'name'],
  tags: ['tags', 'labels', 'categories'],
};

function partsOf(map: FieldMap): Parts {
  const named = Object.entries(map).map(([part, name]) => [part, [name]]);
  return { ...GUESSES, ...Object.fromEntries(named) };
}

/**
 * A record as a document; null when it says nothing. What has no key is called by a digest of all that it says: by its number, it
 * would be written over by the record with that number of another file.
 */
export function recordDocument(members: Members, parts: Parts): SourceDocument | null {
  const contentName = parts.content.find((name) => textAt(members, [name]) !== '');
  if (contentName === undefined) return null;
  const title = textAt(members, parts.title);
  const rest = Object.fromEntries(Object.entries(members).filter(([name]) => name !== contentName));
  const tags = parts.tags.flatMap((name) => textsAt(members, name));
  return {
    key: textAt(members, parts.key) || `record-${digestOf(members)}`,
    path: '',
    text: textAt(members, [contentName]),
    textMember: Object.hasOwn(rest, 'content') ? 'body' : 'content',
    meta: rest,
    tags: [...new Set(tags)].slice(0, LIMITS.tagsMax),
    ...(title !== '' && { names: [title] }),
  };
}

function digestOf(members: Members): string {
  return createHash('sha256').update(sortedJson(members), 'utf8').digest('hex').slice(0, 12);
}

function documentsOf(records: readonly { line: number; members: Members }[], map: FieldMap, notes: string[]): Records {
  const parts = partsOf(map);
  const documents = records.flatMap(({ line, members }) => {
    const document = recordDocument(members, parts);
    if (document === null) notes.push(`line ${line} has no text`);
    return document === null ? [] : [{ ...document, place: `line ${line}` }];
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
    const members = Object.fromEntries((head?.cells ?? []).map((name, i) => [name, cells[i] ?? '']));
    const problem =
      cells.length === head?.cells.length
        ? recordProblem(members)
        : `has ${cells.length} columns instead of ${head?.cells.length ?? 0}`;
    if (problem !== null) notes.push(`line ${line} ${problem}`);
    return problem === null ? [{ line, members }] : [];
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
