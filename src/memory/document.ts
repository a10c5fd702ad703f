import { hash32 } from './similarity.ts';
import { tellsChange } from './cues.ts';
import { DAY_MS, dateTokens, dayOf, mentionsTime, parseDay, parseSpans } from './dates.ts';
import { tokenise } from './text.ts';

/** The texts that make an entity findable. */
export interface FindableText {
  readonly bodyJson: string;
  readonly key: string;
  readonly tags: readonly string[];
  readonly category: string;
  /** Sessions of one name in different workspaces are different ones. */
  readonly workspace?: string;
  /** What was said just before it in the same session, when it is a turn of one. */
  readonly before?: string | undefined;
  /** When it was written, Unix milliseconds; absent: not known. */
  readonly writtenMs?: number;
}

/**
 * The fields of a packed list, in their order, and what an occurrence in each counts (measured, docs/retrieval.md). A turn
 * of a conversation is mostly understood by the question before it, and rarely found by the questions it asks itself.
 */
export const FIELDS = [
  { name: 'body', weight: 1 },
  { name: 'question', weight: 0.5 },
  { name: 'caption', weight: 0.7 },
  { name: 'speaker', weight: 1.25 },
  { name: 'key', weight: 1.5 },
  { name: 'tags', weight: 1.2 },
  { name: 'category', weight: 0.5 },
  { name: 'question_before', weight: 1.5 },
  { name: 'before', weight: 0.1 },
  { name: 'date', weight: 1 },
] as const;

/** Where the facts of a term list stand, behind the counts of its fields. */
export const FACTS = {
  /** Hash of the session's name; 0 for what is no turn. */
  session: FIELDS.length,
  /** Place in the session, rounded. */
  turn: FIELDS.length + 3,
  /** Days since 1970 of the first day that its text names; 0 for none. */
  named: FIELDS.length + 4,
  /** Days since 1970 of its date, or else of the day when it was written; 0 for none. */
  day: FIELDS.length + 1,
  /** Bits of {@link TRAITS}. */
  traits: FIELDS.length + 2,
} as const;

/** Numbers of a term list before its hashes. */
export const LIST_HEAD = FIELDS.length + 5;

/** What is true of a text, each a bit. */
export const TRAITS = { user: 1, time: 2, number: 4, change: 8 } as const;

/** A turn of a conversation, as the members of a body tell it (docs/conversations.md). */
export interface Turn {
  readonly session: string;
  /** Its place in the session. */
  readonly turn: number;
}

/** What a body says. */
export interface Said {
  /** Its text without JSON syntax and without what the other members tell. */
  readonly text: string;
  readonly caption: string;
  readonly speaker: string;
  readonly day: number;
  /** Absent for what is no turn of a conversation. */
  readonly turn?: Turn;
}

/** Reads a body. One that is an object with `content` and `session` or `speaker` is something that was said. */
export function readBody(bodyJson: string): Said {
  let body: unknown;
  try {
    body = JSON.parse(bodyJson);
  } catch {
    // Files of others may hold bodies that are not JSON: then the text itself is what can be found.
    return { text: bodyJson, caption: '', speaker: '', day: 0 };
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return { text: textOf(body), caption: '', speaker: '', day: 0 };
  }
  const members = new Map<string, unknown>(Object.entries(body));
  const take = (name: string): string => {
    const value = members.get(name);
    if (typeof value !== 'string') return '';
    members.delete(name);
    return value;
  };
  const isSaid = typeof members.get('content') === 'string';
  const [content, caption] = [take('content'), isSaid ? take('caption') : ''];
  const said = isSaid && (typeof members.get('session') === 'string' || typeof members.get('speaker') === 'string');
  if (!said) {
    const rest = textOf(Object.fromEntries(members));
    return {
      text: rest === '' ? content : `${content}\n${rest}`,
      caption,
      speaker: '',
      day: parseDay(members.get('date')),
    };
  }
  const [speaker, session, day] = [take('speaker'), take('session'), parseDay(members.get('date'))];
  const turn = members.get('turn');
  for (const name of ['turn', 'date']) members.delete(name);
  const rest = textOf(Object.fromEntries(members));
  return {
    text: rest === '' ? content : `${content}\n${rest}`,
    caption,
    speaker,
    day,
    ...(session !== '' && typeof turn === 'number' && Number.isFinite(turn) && { turn: { session, turn } }),
  };
}

/** Strings, numbers, truths and member names of a JSON value, in order, a line each. */
function textOf(value: unknown): string {
  const texts: string[] = [];
  // An explicit stack: a body may nest as deep as the limit allows, and more in files that others wrote.
  const waiting: unknown[] = [value];
  while (waiting.length > 0) {
    const next = waiting.pop();
    if (typeof next === 'string') texts.push(next);
    else if (typeof next === 'number' || typeof next === 'boolean') texts.push(String(next));
    else if (Array.isArray(next)) for (let i = next.length - 1; i >= 0; i--) waiting.push(next[i]);
    else if (typeof next === 'object' && next !== null) {
      const entries = Object.entries(next);
      for (let i = entries.length - 1; i >= 0; i--) {
        const entry = entries[i];
        if (entry !== undefined) waiting.push(entry[1], entry[0]);
      }
    }
  }
  return texts.join('\n');
}

const SENTENCE_END = /(?<=[.!?…])\s+|(?<=[。！？])\s*|\n+/u;
const QUESTION = /[?？]["'”’)]*$/u;

/** Parts a text into what it states and what it asks. */
export function questionsOf(text: string): { readonly stated: string; readonly asked: string } {
  if (!text.includes('?') && !text.includes('？')) return { stated: text, asked: '' };
  const stated: string[] = [];
  const asked: string[] = [];
  for (const sentence of text.split(SENTENCE_END)) (QUESTION.test(sentence) ? asked : stated).push(sentence);
  return { stated: stated.join('\n'), asked: asked.join('\n') };
}

/** An entity as the text index takes it. */
export interface Packed {
  /** Each field on a line; every token has a space on both sides. */
  readonly tokens: string;
  /**
   * The form that ranking reads: how many tokens each field has, the {@link FACTS}, then the 32-bit hash of every token. Two
   * different terms of one store share a hash with a chance of one in billions. Signed, because the engine keeps signed
   * 32-bit numbers without a box.
   */
  readonly terms: Int32Array;
}

/** A long text is read so far for a day: what it is about stands at its beginning. */
const DATES_READ_CHARS = 2_000;

const USER = /^(user|human)$/i;
const NUMBER =
  /\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|hundred|thousand|dozen|half|twice)\b/i;

/** The first single day that a text names, as seen from its own day; 0 for none. */
function dayNamed(text: string, day: number): number {
  if (!mentionsTime(text)) return 0;
  const span = parseSpans(text.slice(0, DATES_READ_CHARS), day * DAY_MS).find(({ unit }) => unit === 'day');
  return span === undefined ? 0 : span.from;
}

/** Packs the tokens of an entity. Pure: the same texts always give the same list. */
export function packEntity(entity: FindableText): Packed {
  const { bodyJson, key, tags, category, workspace = '', before = '', writtenMs = 0 } = entity;
  const said = readBody(bodyJson);
  const { turn, speaker, text, caption } = said;
  const isUser = USER.test(speaker);
  // Somebody's question to an assistant is what they told it; between people it is rarely the answer to another question.
  const own = turn === undefined || isUser ? { stated: text, asked: '' } : questionsOf(text);
  const context = questionsOf(before);
  const day = said.day === 0 ? dayOf(writtenMs) : said.day;
  const named = dayNamed(text, day);
  const texts = [
    own.stated,
    own.asked,
    caption,
    speaker,
    key,
    tags.join('\n'),
    category,
    context.asked,
    context.stated,
  ];
  const fields = [...texts.map(tokenise), dateTokens([day, named])];
  let traits = 0;
  if (isUser) traits |= TRAITS.user;
  if (mentionsTime(text)) traits |= TRAITS.time;
  if (NUMBER.test(text)) traits |= TRAITS.number;
  if (tellsChange(text)) traits |= TRAITS.change;
  const head = [
    ...fields.map((field) => field.length),
    turn === undefined ? 0 : hash32(`${workspace}\0${category}\0${turn.session}`) | 0,
    day,
    traits,
    Math.round(turn?.turn ?? 0) | 0,
    named,
  ];
  return {
    tokens: fields.map((field) => (field.length === 0 ? ' ' : ` ${field.join(' ')} `)).join('\n'),
    terms: Int32Array.from([...head, ...fields.flatMap((field) => field.map(hash32))]),
  };
}

/** Words of the turn before that are embedded with a turn: without them a short answer means nothing (docs/retrieval.md). */
const WORDS_BEFORE = 40;

/** What an entity means, as an encoder reads it: a turn with its speaker and the end of the turn before, a note as it is. */
export function meaningText(bodyJson: string, beforeJson: string | null): string {
  const { text, caption, speaker, turn } = readBody(bodyJson);
  const line = (who: string, said: string): string => (who === '' ? said : `${who}: ${said}`);
  const own = line(speaker, caption === '' ? text : `${text} [${caption}]`);
  if (turn === undefined || beforeJson === null) return own;
  const before = readBody(beforeJson);
  return `${line(before.speaker, before.text.split(/\s+/).slice(-WORDS_BEFORE).join(' '))}\n${own}`;
}

/** The tokens that an entity states or asks itself, of a packed list. */
export function ownTokens(packed: string): string[] {
  const [body = '', question = ''] = packed.split('\n', 2);
  return `${body} ${question}`.split(' ').filter((token) => token !== '');
}
