import { parseSpans, spanTokens, type DaySpan } from './dates.ts';
import type { NearTerm } from './near.ts';
import { STOP_TOKENS, tokenise } from './text.ts';

/** What a query asks for. */
export interface AnalysedQuery {
  /** Different tokens in order of appearance, without function words unless there is nothing else. */
  readonly terms: string[];
  /** What each term is worth beside one that was typed, 0..1. */
  readonly shares: readonly number[];
  /** The query as a key would be written. */
  readonly keyText: string;
  /** Neighbours in the query, as places in `terms`. */
  readonly pairs: readonly (readonly [number, number])[];
  /** Says "I" or "we": whoever asks means what they said themselves. */
  readonly firstPerson: boolean;
  readonly asksWhen: boolean;
  readonly asksHowMany: boolean;
  /** The days that it names, seen from now. */
  readonly spans: readonly DaySpan[];
}

/** The query with near words beside those that the index does not know. */
export function withNear(query: AnalysedQuery, near: readonly NearTerm[]): AnalysedQuery {
  const fresh = near.filter(
    ({ term }, i) => !query.terms.includes(term) && near.findIndex((one) => one.term === term) === i,
  );
  return {
    ...query,
    terms: [...query.terms, ...fresh.map(({ term }) => term)],
    shares: [...query.shares, ...fresh.map(({ weight }) => weight)],
  };
}

const WORD = /\p{L}{4,}/gu;

/** Days that are looked for by their token, and what one is worth beside a word. */
const DATES_MAX = 16;
const DATE_SHARE = 0.25;

const FIRST_PERSON = /\b(?:i|i'm|i've|i'd|i'll|me|my|mine|myself|we|our|ours|us)\b/i;
const WHEN = /^\W*(?:when|what (?:date|day|month|year|time)|which (?:date|day|month|year)|how long|since when)\b/i;
const HOW_MANY = /\bhow (?:many|much|often|old|far|long|tall|big|large)\b/i;

/** The words of a query as they were typed, in lower case, by their term. */
export function typedWords(text: string): ReadonlyMap<string, string> {
  return new Map((text.toLowerCase().match(WORD) ?? []).map((word) => [tokenise(word)[0] ?? '', word]));
}

/**
 * Reads a query with the tokeniser that wrote the index. Operators, quotes and `*` are ordinary punctuation. `nowMs` (Unix
 * milliseconds) is what "yesterday" counts from.
 */
export function analyseQuery(text: string, termsMax: number, nowMs: number): AnalysedQuery {
  const tokens = tokenise(text);
  const telling = tokens.filter((token) => !STOP_TOKENS.has(token));
  const kept = telling.length > 0 ? telling : tokens;
  const spans = parseSpans(text, nowMs);
  const words = [...new Set(kept)].slice(0, termsMax);
  const dates = [...new Set(spans.flatMap(spanTokens))].filter((date) => !words.includes(date)).slice(0, DATES_MAX);
  const terms = [...words, ...dates];
  const place = new Map(terms.map((term, i) => [term, i]));
  const pairs = new Map<string, [number, number]>();
  for (let i = 1; i < kept.length; i++) {
    const [a, b] = [place.get(kept[i - 1] ?? ''), place.get(kept[i] ?? '')];
    if (a !== undefined && b !== undefined && a !== b) pairs.set(`${Math.min(a, b)} ${Math.max(a, b)}`, [a, b]);
  }
  return {
    terms,
    shares: [...words.map(() => 1), ...dates.map(() => DATE_SHARE)],
    keyText: text.trim(),
    pairs: [...pairs.values()],
    firstPerson: FIRST_PERSON.test(text),
    asksWhen: WHEN.test(text),
    asksHowMany: HOW_MANY.test(text),
    spans,
  };
}
