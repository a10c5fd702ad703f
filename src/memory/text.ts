import { stemmer } from 'stemmer';

import { hash32 } from './similarity.ts';

/** Changes whenever the same text would give other tokens; it stands in the file, and another number means a rebuild. */
export const TOKENISER_VERSION = 1;

/** A longer run (a key, a base64 blob) is cut: nobody types more of it. */
const TOKEN_MAX_CHARS = 64;

/** English function words. They are indexed, but a query drops them while it has anything else. */
const STOP_WORDS: ReadonlySet<string> = new Set(
  (
    'a about above after again against all am an and any are as at be because been before being below between both but by ' +
    'can could did do does doing down during each few for from further had has have having he her here hers herself him ' +
    'himself his how i if in into is it its itself just me more most my myself no nor not now of off on once only or other ' +
    'our ours ourselves out over own same she should so some such than that the their theirs them themselves then there ' +
    'these they this those through to too under until up us very was we were what when where which while who whom why will ' +
    'with would you your yours yourself yourselves s t d ll m re ve don'
  ).split(' '),
);

/** Runs of letters, digits and marks, held together by the joiners of identifiers, paths, versions and addresses. */
const RUN = /[\p{L}\p{N}\p{M}_]+(?:[.'’\-/:@#+\\,]+[\p{L}\p{N}\p{M}_]+)*/gu;
const JOINERS = /[.'’\-/:@#+\\,_]+/u;
const PLAIN_WORD = /^[a-z]+$/;
const ASCII_ONLY = /^[\x20-\x7e\s]*$/;
/** Scripts that are written without spaces between words, and Hangul, whose particles stick to the word. */
const UNSPACED =
  /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}ー]/u;
const UNSPACED_RUNS =
  /([\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}ー\p{M}]+)/u;
const SUB_WORDS = /\p{Lu}+(?=\p{Lu}\p{Ll})|\p{Lu}?[\p{Ll}\p{M}]+|\p{Lu}+|\p{N}+|[\p{L}\p{M}]+/gu;

const stems = new Map<string, string>();

/** Porter's stem (M. F. Porter, 1980) of a lower-case English word; other scripts stay as they are. */
function stem(word: string): string {
  if (word.length < 3 || !PLAIN_WORD.test(word)) return word;
  let known = stems.get(word);
  if (known === undefined) {
    known = stemmer(word);
    // A bounded memo: the words of a store repeat, and stemming is most of the cost of tokenising.
    if (stems.size >= 20_000) stems.clear();
    stems.set(word, known);
  }
  return known;
}

/** Lower case without the accents of Latin, Greek and Cyrillic; marks that carry vowels in other scripts stay. */
function fold(text: string): string {
  const folded = text
    .normalize('NFKD')
    .replace(/[\u0300-\u036f]/g, '')
    .normalize('NFC')
    .toLowerCase();
  return folded.length > TOKEN_MAX_CHARS ? folded.slice(0, TOKEN_MAX_CHARS).toWellFormed() : folded;
}

function pushUnspaced(part: string, into: string[]): void {
  const characters = Array.from(part);
  if (characters.length === 1) into.push(part);
  for (let i = 0; i + 1 < characters.length; i++) into.push(`${characters[i]}${characters[i + 1]}`);
}

function pushPart(part: string, into: string[]): void {
  if (UNSPACED.test(part)) {
    for (const piece of part.normalize('NFKC').split(UNSPACED_RUNS)) {
      if (piece === '') continue;
      if (UNSPACED.test(piece)) pushUnspaced(piece.toLowerCase(), into);
      else pushPart(piece, into);
    }
    return;
  }
  const lower = fold(part);
  if (lower === '') return;
  into.push(stem(lower));
  if (lower === part || PLAIN_WORD.test(part.slice(1))) return;
  const pieces = part.match(SUB_WORDS);
  if (pieces !== null && pieces.length > 1) for (const piece of pieces) into.push(stem(fold(piece)));
}

/**
 * The tokens of a text, in order: words folded and stemmed; identifiers, paths and versions whole and in parts; two
 * characters at a time where a script has no spaces. A token never holds white space or control characters.
 */
export function tokenise(text: string): string[] {
  const tokens: string[] = [];
  const clean = ASCII_ONLY.test(text) ? text : text.toWellFormed();
  for (const [run] of clean.matchAll(RUN)) {
    if (!JOINERS.test(run)) {
      pushPart(run, tokens);
      continue;
    }
    const parts = run.split(JOINERS).filter((part) => part !== '');
    for (const part of parts) pushPart(part, tokens);
    if (parts.length > 1 && !/['’]/.test(run)) {
      const whole = fold(run);
      if (!UNSPACED.test(whole)) tokens.push(whole);
    }
  }
  return tokens;
}

/** What a query asks for. */
export interface AnalysedQuery {
  /** Different tokens in order of appearance, without stop words unless there is nothing else. */
  readonly terms: string[];
  /** The query as a key would be written. */
  readonly keyText: string;
}

/** Reads a query with the tokeniser that wrote the index. Operators, quotes and `*` are ordinary punctuation. */
export function analyseQuery(text: string, termsMax: number): AnalysedQuery {
  const all = [...new Set(tokenise(text))];
  const telling = all.filter((token) => !STOP_WORDS.has(token));
  return { terms: (telling.length > 0 ? telling : all).slice(0, termsMax), keyText: text.trim() };
}

/** The texts that make an entity findable. */
export interface FindableText {
  readonly bodyJson: string;
  readonly key: string;
  readonly tags: readonly string[];
  readonly category: string;
}

/** The fields of a packed list, in their order. */
export const FIELDS = ['body', 'key', 'tags', 'category'] as const;

function collect(value: unknown, into: string[]): void {
  // An explicit stack: a body may nest as deep as the limit allows, and more in files that others wrote.
  const waiting: unknown[] = [value];
  while (waiting.length > 0) {
    const next = waiting.pop();
    if (typeof next === 'string') into.push(next);
    else if (typeof next === 'number' || typeof next === 'boolean') into.push(String(next));
    else if (Array.isArray(next)) for (let i = next.length - 1; i >= 0; i--) waiting.push(next[i]);
    else if (typeof next === 'object' && next !== null) {
      const entries = Object.entries(next);
      for (let i = entries.length - 1; i >= 0; i--) {
        const entry = entries[i];
        if (entry !== undefined) waiting.push(entry[1], entry[0]);
      }
    }
  }
}

/** The text of a JSON body without its syntax: strings, numbers and member names, in order. */
export function bodyText(bodyJson: string): string {
  const texts: string[] = [];
  try {
    collect(JSON.parse(bodyJson), texts);
  } catch {
    // Files of others may hold bodies that are not JSON: then the text itself is what can be found.
    return bodyJson;
  }
  return texts.join('\n');
}

/** A packed token list and its length in tokens. Each field stands on a line; every token has a space on both sides. */
export function packTokens(entity: FindableText): { tokens: string; length: number } {
  const fields = [
    tokenise(bodyText(entity.bodyJson)),
    tokenise(entity.key),
    tokenise(entity.tags.join('\n')),
    tokenise(entity.category),
  ];
  let length = 0;
  for (const field of fields) length += field.length;
  return { tokens: fields.map((field) => (field.length === 0 ? ' ' : ` ${field.join(' ')} `)).join('\n'), length };
}

/**
 * A packed list in the form that ranking reads: how many tokens each field has, in the order of {@link FIELDS}, then the
 * 32-bit hash of every token. Two different terms of one store share a hash with a chance of one in billions.
 * Signed, because the engine keeps signed 32-bit numbers without a box.
 */
export function termList(packed: string): Int32Array {
  const hashes: number[] = [];
  const counts = packed.split('\n').map((line) => {
    const tokens = line.split(' ').filter((token) => token !== '');
    for (const token of tokens) hashes.push(hash32(token));
    return tokens.length;
  });
  return Int32Array.from([...counts, ...hashes]);
}

/** The tokens of one field of a packed list. */
export function unpackField(packed: string, field: (typeof FIELDS)[number]): string[] {
  const line = packed.split('\n')[FIELDS.indexOf(field)] ?? '';
  return line.split(' ').filter((token) => token !== '');
}
