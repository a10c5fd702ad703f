import { LIMITS } from '../limits.ts';
import { explain } from '../memory/explain.ts';
import type { Nearness } from '../memory/fusion.ts';
import { nearTerms, ONE_WRONG_WEIGHT, slips, type NearTerm } from '../memory/near.ts';
import { analyseQuery, typedWords, withNear, type AnalysedQuery } from '../memory/query.ts';
import { confidenceOf, NAMED_SCORE, plainScore, rank, scoreOfConfidence } from '../memory/rank.ts';
import { tokenise } from '../memory/text.ts';
import type { Candidate, Filters, NearTo, Scope, TermStatistics } from '../memory/types.ts';
import type { Reader } from '../storage/store.ts';

/** What is looked for, and how much of it will be shown. */
export interface Asked {
  readonly query: string;
  readonly filters: Filters;
  readonly limit: number;
  readonly offset: number;
  /** What "yesterday" counts from, Unix milliseconds; absent: the clock. */
  readonly nowMs?: number;
  /** How much a verified or certain row gains on a relevant one; absent: relevance alone. */
  readonly trustWeight?: number;
  /** Rows less likely to answer are held back, 0..1; absent: the default floor. */
  readonly minConfidence?: number;
  /** Given: nearness in meaning counts as well. */
  readonly meaning?: Meant;
}

/** A question as a vector, and how much that counts. */
export interface Meant {
  readonly near: NearTo;
  /** What a standard deviation of nearness counts beside one of words. */
  readonly weight: number;
  /** True: words do not count. */
  readonly only?: boolean;
  /** Cosines of the question with texts about something else. */
  readonly unrelated: Float64Array;
}

/** Words that one query may have looked up by their spelling. */
const SPELT_MAX = 4;

/** The query with what its unknown words may stand for. */
async function spelt(
  tx: Reader,
  text: string,
  query: AnalysedQuery,
  { frequencies }: TermStatistics,
): Promise<AnalysedQuery> {
  const unknown = query.terms.filter((_, i) => frequencies[i] === 0).slice(0, SPELT_MAX);
  if (unknown.length === 0) return query;
  const typed = typedWords(text);
  const near: NearTerm[] = [];
  for (const term of unknown) {
    const variants = [...new Set(slips(typed.get(term) ?? '').flatMap(tokenise))];
    const held = (await tx.termStatistics(variants)).frequencies;
    near.push(
      ...variants.flatMap((variant, i) => ((held[i] ?? 0) > 0 ? [{ term: variant, weight: ONE_WRONG_WEIGHT }] : [])),
    );
    near.push(...nearTerms(term, await tx.vocabulary(term)));
  }
  return near.length === 0 ? query : withNear(query, near);
}

/** A row that answers a query. */
export interface FoundRow {
  readonly body: number;
  /** How sure it is that it does, 0..1. */
  readonly confidence: number;
}

/** What answers a query, best first. */
export interface Found {
  /** How many there are. */
  readonly total: number;
  /** Rows that hold a word of the query and were held back, because it is too unlikely that they answer it. */
  readonly below: number;
  /** How near in meaning the best one by words is, see `Fused`; absent when words alone decided. */
  readonly agreement?: number;
  take(count: number): readonly FoundRow[];
  /** Why a row came. */
  explain(body: number): string;
  /** Whether any row that the caller may see holds a word of the query, whatever the filters say. */
  isHeld(): Promise<boolean>;
}

/** Looks for what answers a query; a row may be a twin of another. */
export async function search(tx: Reader, scope: Scope, input: Asked): Promise<Found> {
  const text = input.query.slice(0, LIMITS.queryMaxChars);
  const typed = analyseQuery(text, LIMITS.queryTermsMax, input.nowMs ?? tx.nowMs);
  const count = Math.min(LIMITS.candidatesMax, Math.max(LIMITS.candidatesMin, (input.limit + input.offset) * 2));
  const archived = input.filters.includeArchived === true;
  const known = await tx.termStatistics(typed.terms, archived);
  const query = await spelt(tx, text, typed, known);
  const statistics = query === typed ? known : await tx.termStatistics(query.terms, archived);
  const { meaning } = input;
  const asked = meaning === undefined ? query : { ...query, nearTo: meaning.near };
  const candidates = await tx.candidates(scope, asked, input.filters, count);
  const nearness = meaning === undefined ? undefined : nearnessOf(candidates, meaning);
  const { rows, agreement } = rank(candidates, query, statistics, nearness === undefined ? {} : { nearness });
  const plain = plainScore(query, statistics);
  // The heap gives the best first, so the first so many are exactly those above the floor.
  const enough = rows.countFrom(scoreOfConfidence(input.minConfidence ?? LIMITS.confidenceFloor, plain));
  const below = rows.left - enough;
  const found = {
    total: enough,
    below,
    ...(nearness !== undefined && { agreement }),
    explain: (body: number) => {
      const candidate = candidates.find((one) => one.body === body);
      return candidate === undefined ? '' : explain(candidate, query);
    },
    isHeld: async () => (await tx.candidates(scope, query, {}, 1)).length > 0,
  };
  const toRow = ({ body, score }: Scored): FoundRow => ({ body, confidence: confidenceOf(score, plain) });
  const weight = input.trustWeight ?? 0;
  const next = (some: number): FoundRow[] => rows.take(Math.min(some, rows.left - below)).map(toRow);
  if (weight <= 0) return { ...found, take: next };

  // Trust is known of fetched rows only, so it reorders the rows that could reach the page, not all candidates.
  const head = rows.take(Math.min(enough, Math.max(50, (input.limit + input.offset) * 2)));
  const trusted = (await byTrust(tx, scope, head, weight)).map(toRow);
  return {
    ...found,
    take: (some) => {
      const taken = trusted.splice(0, some);
      return [...taken, ...next(some - taken.length)];
    },
  };
}

/** What is known of how near the candidates are; undefined when none has a vector: then words alone decide. */
function nearnessOf(candidates: readonly Candidate[], { weight, only, unrelated }: Meant): Nearness | undefined {
  if (candidates.every(({ cosine }) => cosine === undefined)) return undefined;
  const cosines = Float64Array.from(candidates, ({ cosine }) => cosine ?? Number.NaN);
  return { cosines, weight, unrelated, ...(only !== undefined && { only }) };
}

interface Scored {
  readonly body: number;
  readonly score: number;
}

/** The same rows, verified and certain ones higher; named ones stay first. */
async function byTrust(tx: Reader, scope: Scope, rows: readonly Scored[], weight: number): Promise<Scored[]> {
  const trust = new Map<number, number>();
  const items = await tx.items(
    scope,
    rows.map(({ body }) => body),
  );
  for (const { body, verified, certainty } of items) {
    trust.set(body, verified ? 1 : Math.min(1, Math.max(0, certainty)));
  }
  const named = rows.filter(({ score }) => score >= NAMED_SCORE);
  const others = rows.slice(named.length);
  const best = others[0]?.score ?? 0;
  const value = ({ body, score }: Scored): number =>
    score / Math.max(best, Number.MIN_VALUE) + weight * (trust.get(body) ?? 0);
  return [...named, ...others.toSorted((a, b) => value(b) - value(a))];
}
