import { LIMITS } from '../limits.ts';
import type { SourceDocument } from '../memory/sourced.ts';
import { jsonLines, membersOf, recordDocument, recordProblem, textAt, textsAt, unique } from './records.ts';
import type { Parts, Records } from './records.ts';

const PARTS: Parts = { content: ['memory', 'content', 'text', 'data'], key: ['id'], title: [], tags: ['categories'] };

/** What is of no use elsewhere: the key again, a check of the text, and how well it answered a question, which differs each time. */
const LEFT_OUT: ReadonlySet<string> = new Set(['id', 'hash', 'score']);

/** Where people put their own categories: mem0 has some only where it is hosted. */
const OWN_CATEGORIES = ['category', 'categories', 'tags'];

/** When a memory was said last; mem0 for TypeScript spells it otherwise. */
const DATES = ['updated_at', 'updatedAt', 'created_at', 'createdAt'];

/**
 * What mem0 gives out, installed or hosted: a list of memories, bare or under `results` or `memories`; a list of such pages; one memory;
 * or any of these, one a line. An export in a form of its user's own is one document, called by `name`. Null when it is nothing of it.
 */
export function mem0Records(text: string, name: string): Records | null {
  const notes: string[] = [];
  let whole: unknown;
  try {
    whole = JSON.parse(text);
  } catch {
    // Not one JSON text, but perhaps one a line.
    const lines = jsonLines(text, notes);
    if (lines.length === 0) return null;
    const placed = lines.flatMap(({ line, members }) => listOf(members, `line ${line}`));
    return { documents: documentsOf(placed, notes), notes };
  }
  // An export may be wrapped once more, with its state.
  const wrapped = membersOf(whole)?.['data'];
  if (typeof wrapped === 'object' && wrapped !== null) whole = wrapped;
  const list = listIn(whole);
  if (list === null) return single(whole, name, notes);
  const placed = list.flatMap((one) => listOf(one, '')).map(({ value }, at) => ({ place: `record ${at + 1}`, value }));
  if (hasNext(whole) || hasNext(list.at(-1))) notes.push('there is a next page, which is not in this file');
  return { documents: documentsOf(placed, notes), notes };
}

interface Placed {
  readonly place: string;
  readonly value: unknown;
}

function listIn(value: unknown): readonly unknown[] | null {
  if (Array.isArray(value)) return value;
  const members = membersOf(value);
  return [members?.['results'], members?.['memories']].find((one) => Array.isArray(one)) ?? null;
}

/** The memories of a page, or the one memory that it is. */
function listOf(value: unknown, place: string): Placed[] {
  return (listIn(value) ?? [value]).map((one) => ({ place, value: one }));
}

function hasNext(page: unknown): boolean {
  const next = membersOf(page)?.['next'];
  return typeof next === 'string' && next !== '';
}

function documentsOf(placed: readonly Placed[], notes: string[]): SourceDocument[] {
  const dated = placed.flatMap(({ place, value }) => {
    // An export may have memories that are nothing but a sentence.
    const members = typeof value === 'string' ? { memory: value } : membersOf(value);
    const problem = members === null ? 'has no memory' : recordProblem(members);
    const document = members === null || problem !== null ? null : memoryDocument(members);
    if (document === null) notes.push(`${place} ${problem ?? 'has no memory'}`);
    return document === null ? [] : [{ document, place, atMs: Date.parse(textAt(members ?? {}, DATES)) || 0 }];
  });
  // In the order in which they were said: the newer of two that say different things must be stored later.
  const inOrder = dated.toSorted((a, b) => a.atMs - b.atMs);
  // A memory of a user and of an agent stands in the lists of both.
  const once = new Map(inOrder.map(({ document, place }) => [JSON.stringify(document), { ...document, place }]));
  return unique([...once.values()]);
}

function memoryDocument(members: Readonly<Record<string, unknown>>): SourceDocument | null {
  const told = Object.entries(members).filter(([, value]) => value !== null);
  const document = recordDocument(Object.fromEntries(told), PARTS);
  if (document === null) return null;
  const own = membersOf(members['metadata']) ?? {};
  const tags = [...document.tags, ...OWN_CATEGORIES.flatMap((name) => textsAt(own, name))];
  const meta = Object.fromEntries(Object.entries(document.meta).filter(([name]) => !LEFT_OUT.has(name)));
  return { ...document, tags: [...new Set(tags)].slice(0, LIMITS.tagsMax), meta };
}

/** One memory; or what a model made of all of them, in a form that nobody knows: its members as lines. */
function single(whole: unknown, name: string, notes: string[]): Records | null {
  const members = membersOf(whole);
  // What says that it is a list, and is none, is no export.
  if (members === null || 'results' in members || 'memories' in members) return null;
  const [memory] = documentsOf([{ place: 'record 1', value: members }], []);
  if (memory !== undefined) return { documents: [memory], notes };
  const lines = Object.entries(members).flatMap(([member, value]) =>
    value === null ? [] : [`${member}: ${typeof value === 'string' ? value : JSON.stringify(value)}`],
  );
  if (lines.length === 0 || recordProblem(members) !== null) return null;
  return {
    documents: [{ key: name, path: '', text: lines.join('\n'), textMember: 'content', meta: {}, tags: [] }],
    notes,
  };
}
