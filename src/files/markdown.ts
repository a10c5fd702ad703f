import { createHash } from 'node:crypto';

import { Document, isMap, isScalar, isSeq, parse, parseDocument, Scalar, visit, type Node } from 'yaml';

import type { VaultEntry, VaultLink } from '../engine/vault.ts';
import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { markOf } from '../memory/portable.ts';
import type { Link } from '../memory/types.ts';

/** A file of a vault, read but not judged: values are as they stand there, mostly texts. */
export interface ParsedFile {
  readonly members: Readonly<Record<string, unknown>>;
  readonly bodyJson: string;
  /** The body is no JSON, and is not to become any: so it stands in the store that wrote the file. */
  readonly bodyIsText: boolean;
  /** The original wrote it: names without quotes or escapes. */
  readonly isOriginals: boolean;
  /** Undefined where the file says nothing of links. */
  readonly links: readonly VaultLink[] | undefined;
}

const DASHES = '---';
/** Between what a memory says and what it is linked to. Obsidian shows it to writers only. */
const LINKS_BELOW = '%% mimir links %%';
const WEIGHT = 0.5;

/** Texts that every file system takes and keeps apart, and a wikilink may hold. */
const STEM = /^[a-z0-9_-]{1,60}$/;

/** Name of a memory's file without its ending: its id where that can be one. Different ids have different names. */
export function stemOf(id: string): string {
  if (STEM.test(id)) return id;
  const digest = createHash('sha256').update(id, 'utf8').digest('hex').slice(0, 12);
  return `${id.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 40)}-${digest}`;
}

/** The name of the file of a memory. */
export function fileNameOf(id: string): string {
  return `${stemOf(id)}.md`;
}

/** What stands in a folder already. */
export interface Around {
  /** The file as it is: what else is in its front matter is kept. */
  readonly existing?: string;
  /** Lines of links that are kept though they mean nothing. */
  readonly lines?: readonly string[];
  /** Name of the file of a memory, without its ending. */
  readonly nameOf?: (id: string) => string;
}

/**
 * A memory as Markdown: front matter that has every field, the body (as prose where it is nothing but a text), and its links
 * as wikilinks.
 */
export function renderFile({ memory, past, labels }: Omit<VaultEntry, 'row'>, around: Around = {}): string {
  const { existing, lines = [], nameOf = stemOf } = around;
  const { section, form } = writtenBody(memory.bodyJson);
  const front = frontOf(existing);
  const values: Record<string, unknown> = {
    id: memory.id,
    category: memory.category,
    key: memory.key,
    type: memory.type,
    workspace_hash: memory.workspace,
    agent_id: memory.agentId,
    tags: memory.tags,
    status: memory.status,
    importance: memory.importance,
    layer: memory.layer,
    topic_path: memory.topicPath,
    verified: memory.verified,
    always_on: memory.alwaysOn,
    certainty: memory.certainty,
    visibility: memory.visibility,
    source: memory.source,
    retrieval_count: memory.usage.count,
    // Nothing in a store changes it, so another moment in a file that was exported is a person's.
    ...(!(front.has('mimir') && front.has('created')) && { created: momentText(memory.createdAtMs) }),
    last_accessed: momentText(memory.usage.lastAtMs),
    mimir: [markOf(memory), ...past],
  };
  for (const [name, value] of Object.entries(values)) front.set(name, nodeOf(front, value));
  addAlias(front, memory.key);
  const atTimes = {
    archive_reason: memory.archiveReason === '' ? undefined : memory.archiveReason,
    body_json: section === null ? memory.bodyJson : undefined,
    [FORM]: form,
  };
  for (const [name, value] of Object.entries(atTimes)) {
    if (value === undefined) front.delete(name);
    else front.set(name, nodeOf(front, value));
  }
  const written = memory.links.map((link, i) => linkLine(link, nameOf(link.targetId), labels[i] ?? ''));
  const list = [...written, ...lines.map((line) => `${line}\n`)].join('');
  const below = list === '' ? '' : `\n${LINKS_BELOW}\n\n${list}`;
  return `${DASHES}\n${front.toString({ lineWidth: 0, doubleQuotedAsJSON: true })}${DASHES}\n\n${section === null ? '' : `${section}\n`}${below}`;
}

/** Texts of several lines, with blanks at their ends, or with characters that cannot be seen: the library's block form loses some. */
const DELICATE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]|^\s|\s$/u;

function nodeOf(front: Document, value: unknown): Node {
  const node = front.createNode(value);
  visit(node, {
    Scalar: (_, scalar) => {
      if (typeof scalar.value === 'string' && DELICATE.test(scalar.value)) scalar.type = Scalar.QUOTE_DOUBLE;
    },
  });
  return node;
}

/** Files are named by ids, which do not change; by an alias Obsidian finds them. Those of a person stay. */
function addAlias(front: Document, alias: string): void {
  const there = front.get('aliases', true);
  const items = isSeq(there) ? there.items : isScalar(there) && there.value !== null ? [there] : [];
  if (items.some((one) => isScalar(one) && String(one.value) === alias)) return;
  if (isSeq(there)) there.add(nodeOf(front, alias));
  else front.set('aliases', nodeOf(front, [...items, alias]));
}

/** The front matter to set fields in: that of the file that is there, if it can be read. */
function frontOf(existing: string | undefined): Document {
  const lines = existing === undefined ? undefined : splitFront(existing);
  if (lines !== undefined) {
    const document = parseDocument(lines.front.join('\n'), PARSED);
    if (document.errors.length === 0 && isMap(document.contents)) return document;
  }
  return new Document({});
}

/** Unix milliseconds as an ISO date; a number where no date says as much. */
function momentText(ms: number): string | number {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) || date.getTime() !== ms ? ms : date.toISOString();
}

/** The member that says how a text in a file is the body, where it is not plainly its `content`. */
const FORM = 'body_form';

/** How a text can be a body that is no JSON as it stands, by name. Other programs write JSON with blanks, and all but ASCII escaped. */
const FORMS: Readonly<Record<string, (text: string) => string>> = {
  spaced: (text) => `{"content": ${JSON.stringify(text)}}`,
  spaced_ascii: (text) => `{"content": ${asciiJson(text)}}`,
};
/** The text itself is the body, and no JSON. */
const AS_TEXT = 'text';

function asciiJson(text: string): string {
  // By code units, as JSON escapes them.
  return JSON.stringify(text).replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

interface Written {
  /** Null when no text would bring the body back byte for byte: then it is in the front matter. */
  readonly section: string | null;
  readonly form?: string;
}

/** How a body stands in a file. */
function writtenBody(bodyJson: string): Written {
  const asText = parsedJson(bodyJson) === undefined ? { form: AS_TEXT } : {};
  const prose = proseOf(bodyJson);
  const ways: Written[] = [
    { section: prose },
    ...Object.keys(FORMS).map((form) => ({ section: prose, form })),
    { section: bodyJson, ...asText },
  ];
  const way = ways.find(({ section, form }) => {
    if (section === null || section.includes('\r') || section.split('\n').includes(LINKS_BELOW)) return false;
    return bodyOf(section, form) === bodyJson;
  });
  return way ?? { section: null, ...asText };
}

/** The text of a body that is nothing but one. */
function proseOf(bodyJson: string): string | null {
  if (!/^\{"content": ?"/.test(bodyJson)) return null;
  const body = parsedJson(bodyJson);
  if (typeof body !== 'object' || body === null || !('content' in body)) return null;
  return typeof body.content === 'string' ? body.content : null;
}

/** The body that a section means: JSON as it stands, any other text as a `content` unless the form says otherwise. */
function bodyOf(section: string, form: unknown): string {
  const text = section.trim();
  if (form === AS_TEXT || parsedJson(text) !== undefined) return text;
  const written = typeof form === 'string' && Object.hasOwn(FORMS, form) ? FORMS[form] : undefined;
  return written === undefined ? JSON.stringify({ content: text }) : written(text);
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // That it is none is an answer here.
    return undefined;
  }
}

const PLAIN_RELATIONSHIP = /^[\p{L}\p{N}_](?:[\p{L}\p{N}_ -]*[\p{L}\p{N}_])?$/u;
const LINK =
  /^- (?:(?<quoted>"(?:[^"\\]|\\.)*")|(?<plain>[^:"]+)): \[\[(?<stem>[^\]|#^]+)(?:\|[^\]]*)?\]\](?: (?<weight>[-+.\deE]+))?(?: (?<id>"(?:[^"\\]|\\.)*"))?$/u;

/** What Obsidian takes in no name of a note that is linked. */
const UNLINKABLE = /[[\]|#^\p{Cc}\p{Zl}\p{Zp}]/u;

function linkLine({ targetId, relationship, weight }: Link, named: string, label: string): string {
  const stem = UNLINKABLE.test(named) ? stemOf(targetId) : named;
  const name = PLAIN_RELATIONSHIP.test(relationship) ? relationship : JSON.stringify(relationship);
  // Only for the eye, so whatever could end it or the line is left out.
  const shown = label.replace(/[\p{Cc}\p{Zl}\p{Zp}[\]|]+/gu, ' ').trim();
  const more = `${weight === WEIGHT ? '' : ` ${weight}`}${stem === targetId ? '' : ` ${JSON.stringify(targetId)}`}`;
  return `- ${name}: [[${stem}${shown === '' ? '' : `|${shown}`}]]${more}\n`;
}

function readLink(line: string): VaultLink {
  const { quoted, plain, stem, weight, id } = LINK.exec(line.trimEnd())?.groups ?? {};
  // With some settings, Obsidian writes the folder and the ending along.
  const name = stem?.replace(/^.*\//, '').replace(/\.md$/, '').trim();
  const link = {
    targetId: id === undefined ? name : parsedJson(id),
    relationship: quoted === undefined ? plain?.trim() : parsedJson(quoted),
    weight: weight === undefined ? WEIGHT : Number(weight),
  };
  if (typeof link.targetId === 'string' && typeof link.relationship === 'string' && Number.isFinite(link.weight))
    return {
      targetId: link.targetId,
      relationship: link.relationship,
      weight: link.weight,
      ...(name && { name }),
      line,
    };
  throw unreadable(`a line below "${LINKS_BELOW}" is no link; write it as "- related: [[id of a memory]]"`);
}

/**
 * Reads a file: one that {@link renderFile} wrote, one of the original, or one that a person wrote. Throws `invalid_argument`
 * with what is wrong with it.
 */
export function parseFile(text: string): ParsedFile {
  const { front, rest } = splitFront(text) ?? {};
  if (front === undefined) throw unreadable('no front matter: it must begin with a line of three dashes');
  if (rest === undefined) throw unreadable('unclosed front matter: a second line of three dashes must end it');
  const chars = front.reduce((sum, line) => sum + (line.startsWith('body_json:') ? 0 : line.length + 1), 0);
  if (chars > LIMITS.vaultFrontMaxChars)
    throw unreadable(`the front matter has more than ${LIMITS.vaultFrontMaxChars} characters`);
  const ofOriginal = readOriginal(front);
  const members = ofOriginal ?? readFront(front);
  const { body_json: exact } = members;
  const marked = members['mimir'] !== undefined;
  const form = marked ? members[FORM] : undefined;
  const isOriginals = ofOriginal !== undefined;
  const { above, links } = splitLinks(rest, isOriginals);
  const section = above.join('\n');
  if (typeof exact === 'string' && section.trim() !== '')
    throw unreadable('it has two bodies: body_json in the front matter, and the text below; take one of them out');
  return {
    members,
    bodyJson: typeof exact === 'string' ? exact : bodyOf(section, form),
    bodyIsText: form === AS_TEXT,
    isOriginals,
    links: links ?? (marked ? [] : undefined),
  };
}

/** The lines of the body, and the links below it where there are some. */
function splitLinks(rest: readonly string[], isOriginals: boolean): { above: readonly string[]; links?: VaultLink[] } {
  const at = rest.lastIndexOf(LINKS_BELOW);
  if (at === -1) return { above: rest };
  const below = rest.slice(at + 1).filter((line) => line.trim() !== '');
  // The original knows no links: there the line is one of the body, unless a person has put links below it.
  if (isOriginals && (below.length === 0 || !below.every((line) => LINK.test(line.trimEnd())))) return { above: rest };
  return { above: rest.slice(0, at), links: below.map(readLink) };
}

/** The lines between the dashes and those after them; both are missing where there are no dashes, `rest` where they do not close. */
function splitFront(text: string): { readonly front: string[]; readonly rest: string[] | undefined } | undefined {
  const lines = text
    .replace(/^\ufeff/, '')
    .replaceAll('\r\n', '\n')
    .split('\n');
  const start = lines.findIndex((line) => line.trim() !== '');
  if (start === -1 || lines[start]?.trimEnd() !== DASHES) return undefined;
  const end = lines.findIndex((line, i) => i > start && line.trimEnd() === DASHES);
  if (end === -1) return { front: lines.slice(start + 1), rest: undefined };
  return { front: lines.slice(start + 1, end), rest: lines.slice(end + 1) };
}

/** The lines that the original writes, in its order: names without quotes or escapes. */
const OF_ORIGINAL =
  'id category key type workspace_hash agent_id tags decay_score retrieval_count layer created last_accessed';

/**
 * The front matter of a file of the original, read as it does: the first line of each name, to its end. Of a value of several
 * lines it keeps the first one. Undefined: the file is of somebody else.
 */
function readOriginal(lines: readonly string[]): Record<string, unknown> | undefined {
  const known = OF_ORIGINAL.split(' ');
  const first = new Map<string, string>();
  for (const line of lines) {
    const [, name = '', value = ''] = /^([a-z_]+):(.*)$/.exec(line) ?? [];
    if (name === 'mimir') return undefined;
    if (known.includes(name) && !first.has(name)) first.set(name, value.trim());
  }
  const tags = first.get('tags') ?? '';
  // It always writes a list; one of several lines is a person's.
  if ([...first.keys()].join(' ') !== OF_ORIGINAL || tags === '') return undefined;
  const list = parsedJson(tags);
  const texts = Array.isArray(list)
    ? list.map((tag: unknown) => (typeof tag === 'string' ? tag : JSON.stringify(tag)))
    : tags;
  return { ...Object.fromEntries(first), tags: texts };
}

function readFront(lines: readonly string[]): Record<string, unknown> {
  const named = lines.map((line) => /^([a-z_]+):(.*)$/.exec(line)).filter((match) => match !== null);
  const flat = named.length === lines.length;
  const raw = named.map(([, name = '', value = '']): [string, string] => [name, value.trim()]);
  try {
    return membersOf(lines.join('\n'));
  } catch (thrown) {
    // The original reads whatever follows a name; a value such as "a: b" is no YAML, and yet it is clear what is meant.
    // What the library throws itself is about aliases or depth.
    if (!flat) throw thrown instanceof MimirError ? thrown : unreadable('the front matter is nested too deep');
    return Object.fromEntries(raw.map(([name, value]) => [name, plainValue(value)]));
  }
}

/** Every scalar as the text that stands there: what is a number or a date is decided where the field is known. */
function membersOf(yaml: string): Record<string, unknown> {
  const document = parseDocument(yaml, { ...PARSED, schema: 'failsafe' });
  const [error] = document.errors;
  if (error !== undefined) {
    const line = error.linePos?.[0].line ?? 1;
    throw unreadable(`the front matter is no YAML in its line ${line}; put texts with special characters in quotes`);
  }
  const names = isMap(document.contents) ? document.contents.items.map(({ key }) => String(key)) : [];
  if (new Set(names).size < names.length) throw unreadable('the front matter has a name twice');
  const value: unknown = document.toJS({ maxAliasCount: ALIASES_MAX });
  if (value === null || value === '') return {};
  if (typeof value !== 'object' || Array.isArray(value))
    throw unreadable('the front matter must be lines of "name: value"');
  return value as Record<string, unknown>;
}

/** Left to look for equal names itself, the library compares each with each: 15 s for 20,000. */
const PARSED = { uniqueKeys: false };

/** Aliases that multiply are no memory, but an attack on the reader's. */
const ALIASES_MAX = 100;

function plainValue(value: string): unknown {
  try {
    const read: unknown = parse(value, { schema: 'failsafe', logLevel: 'silent' });
    return typeof read === 'string' || Array.isArray(read) ? read : value;
  } catch {
    // No YAML: it stands for itself.
    return value;
  }
}

function unreadable(what: string): MimirError {
  return new MimirError('invalid_argument', `${what}.`);
}

/** The mark of a memory and the digests of its past, as a file has them. */
export function marksOf(members: Readonly<Record<string, unknown>>): { mark?: string; past: string[] } {
  const { mimir } = members;
  const [mark, ...past] = (Array.isArray(mimir) ? mimir : [mimir]).filter((one) => typeof one === 'string');
  return mark === undefined ? { past: [] } : { mark, past };
}
