import { createHash } from 'node:crypto';

import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { sortedJson, valueNestsDeeperThan } from '../memory/json.ts';
import type { SourceDocument } from '../memory/sourced.ts';
import { tableRows } from './tables.ts';

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

interface Placed {
  readonly place: string;
  readonly members: Members;
}

function documentsOf(records: readonly Placed[], map: FieldMap, notes: string[]): Records {
  demandMapped(records, map);
  const parts = partsOf(map);
  const documents = records.flatMap(({ place, members }) => {
    const document = recordDocument(members, parts);
    if (document === null) notes.push(`${place} has no text`);
    return document === null ? [] : [{ ...document, place }];
  });
  return { documents: unique(documents), notes };
}

/** Throws `invalid_argument` when a name in the map is that of nothing: every record would come in without that part. */
function demandMapped(records: readonly Placed[], map: FieldMap): void {
  if (records.length === 0) return;
  const names = new Set(records.flatMap(({ members }) => Object.keys(members)));
  for (const [part, name] of Object.entries(map)) {
    if (names.has(name)) continue;
    throw new MimirError('invalid_argument', `No record has ${JSON.stringify(name)}, which --map names as ${part}.`, {
      hint: `They have ${[...names].slice(0, LIMITS.ingestExamples).join(', ').slice(0, LIMITS.problemMaxChars)}.`,
    });
  }
}

/** Objects, one a line, or a list of them in one JSON text. */
export function jsonRecords(text: string, map: FieldMap): Records {
  const notes: string[] = [];
  const list = listIn(text);
  if (list === null) {
    const lines = jsonLines(text, notes).map(({ line, members }) => ({ place: `line ${line}`, members }));
    return documentsOf(lines, map, notes);
  }
  const records = list.flatMap((value, at) => {
    const [place, members] = [`record ${at + 1}`, membersOf(value)];
    const problem = members === null ? 'is no object' : recordProblem(members);
    if (problem !== null) notes.push(`${place} ${problem}`);
    return members === null || problem !== null ? [] : [{ place, members }];
  });
  return documentsOf(records, map, notes);
}

/** The list that a text is as a whole; null when it is none. */
function listIn(text: string): readonly unknown[] | null {
  if (!/^\s*\[/.test(text)) return null;
  let whole: unknown;
  try {
    whole = JSON.parse(text);
  } catch {
    return null; // read line by line, and each that is none is said
  }
  return Array.isArray(whole) ? whole : null;
}

/** A table whose first line names the columns. */
export function tableRecords(text: string, map: FieldMap): Records {
  const notes: string[] = [];
  const records = tableRows(text, notes).flatMap((row) => {
    const problem = recordProblem(row.members);
    if (problem !== null) notes.push(`line ${row.line} ${problem}`);
    return problem === null ? [{ place: `line ${row.line}`, members: row.members }] : [];
  });
  return documentsOf(records, map, notes);
}
