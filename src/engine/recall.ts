import { LIMITS } from '../limits.ts';
import { explain } from '../memory/explain.ts';
import { previewItem } from '../memory/item.ts';
import { confidenceOf, NAMED_SCORE, plainScore, rank, scoreOfConfidence } from '../memory/rank.ts';
import { strengthNow } from '../memory/retention.ts';
import { nearTerms, ONE_WRONG_WEIGHT, slips, type NearTerm } from '../memory/near.ts';
import { analyseQuery, withNear, type AnalysedQuery } from '../memory/query.ts';
import { tokenise } from '../memory/text.ts';
import type { Filters, Scope, TermStatistics } from '../memory/types.ts';
import type { Awaitable, Item, Reader } from '../storage/store.ts';
import { hitOf, packHits, type Hit, type PackedHits } from './hits.ts';
import { widened } from './lookup.ts';
import { reads } from './operation.ts';

/** A search, or with a blank query a browse from the newest change on. */
export interface RecallInput {
  readonly query: string;
  readonly filters: Filters;
  readonly limit: number;
  readonly offset: number;
  /** What "yesterday" counts from, Unix milliseconds; absent: the clock. */
  readonly nowMs?: number;
  /** Rows weaker than this are left out; 0 leaves out none. */
  readonly minDecay: number;
  /** How much a verified or certain row gains on a relevant one; absent: relevance alone. */
  readonly trustWeight?: number;
  /** Bytes shown of each body; absent: all. */
  readonly previewCap?: number;
  /** Rows less likely to answer are held back, 0..1; absent: the default floor. */
  readonly minConfidence?: number;
  /** Says of each hit why it came. */
  readonly explain?: boolean;
  /** Most characters of hits; absent: as many as one answer may have. */
  readonly maxChars?: number;
}

/** Why a recall found nothing. */
export type Emptiness = 'store_empty' | 'no_match' | 'filtered_out' | 'below_floor';

/** What was found, best first. */
export interface RecallOutput {
  readonly hits: PackedHits;
  readonly empty?: Emptiness;
  /** Rows that were held back because they are too unlikely to answer; absent: none. */
  readonly below?: number;
  /** Given when the page was cut short because its bodies are large. */
  readonly nextOffset?: number;
}

/** Rows fetched at a time. */
const CHUNK_MAX = 256;

/** Finds memories: candidates from the index, ranked, then fetched until the page is full. */
export const recall = reads<RecallInput, RecallOutput>('scan', async (tx, scope, input) => {
  if (input.limit <= 0) return { hits: packHits([]) };
  const wanted = Math.min(CHUNK_MAX, input.offset + input.limit);
  const isBrowse = input.query.trim() === '';
  const found = isBrowse ? NOTHING : await search(tx, scope, input);
  const notes = new Map<number, string>();
  const page = new Page(input, tx.nowMs, notes);
  if (isBrowse) await fill(page, wanted, (at, count) => tx.recent(scope, input.filters, count, at));
  else {
    const fetch = (_: number, count: number): Awaitable<readonly Item[]> => {
      const rows = found.take(count);
      for (const { body, confidence } of rows) {
        const why = input.explain === true ? `,"why":${JSON.stringify(found.explain(body))}` : '';
        notes.set(body, `,"confidence":${Math.round(confidence * 1_000) / 1_000}${why}`);
      }
      return tx.items(
        scope,
        rows.map(({ body }) => body),
      );
    };
    await fill(page, wanted, fetch, found.total);
  }
  const hits = page.hits();
  const below = found.below > 0 ? { below: found.below } : {};
  if (hits.length > 0 || page.cut) {
    return { hits: packHits(hits), ...below, ...(page.cut && { nextOffset: input.offset + hits.length }) };
  }
  if (input.offset === 0 && found.below > 0) return { hits: packHits([]), ...below, empty: 'below_floor' };
  return { hits: packHits([]), ...below, empty: await whyNothing(tx, scope, input) };
});

/** Of a browse: there is no query whose answer could be more or less likely. */
const NOTHING: Found = { total: 0, below: 0, take: () => [], explain: () => '' };

/** Tells filters that leave nothing from a query that finds nothing. */
async function whyNothing(tx: Reader, scope: Scope, input: RecallInput): Promise<Emptiness> {
  const empty = await emptiness(tx, scope);
  if (empty === 'store_empty' || input.offset > 0 || Object.keys(input.filters).length === 0) return empty;
  const unfiltered = { ...input, filters: {}, minConfidence: 0, limit: 1, trustWeight: 0 };
  if (input.query.trim() === '') return (await tx.recent(scope, {}, 1, 0)).length > 0 ? 'filtered_out' : 'no_match';
  return (await search(tx, scope, unfiltered)).total > 0 ? 'filtered_out' : 'no_match';
}

/** Several searches in one snapshot. */
export interface RecallManyInput {
  readonly asked: readonly RecallInput[];
}

/** Answers each search as {@link recall} would. */
export const recallMany = reads<RecallManyInput, readonly RecallOutput[]>('scan', async (tx, scope, { asked }) => {
  const found: RecallOutput[] = [];
  // One bound for all of them: what has no room is cut, and `next_offset` says so.
  let left: number = LIMITS.answerMaxChars;
  for (const one of asked) {
    const output = await recall.run(tx, scope, { ...one, maxChars: left });
    left = Math.max(0, left - output.hits.text.length);
    found.push(output);
  }
  return found;
});

/** Tells a store in which the caller can see nothing at all from one in which nothing matched. */
export async function emptiness(tx: Reader, scope: Scope): Promise<Emptiness> {
  const all = widened(scope);
  if ((await tx.recent(all, {}, 1, 0)).length > 0) return 'no_match';
  // Rarely reached, so it may look through the archive without an index.
  return (await tx.recent(all, { includeArchived: true }, 1, 0)).length === 0 ? 'store_empty' : 'no_match';
}

/** Words that one query may have looked up by their spelling. */
const SPELT_MAX = 4;

/** The query with what its unknown words may stand for. */
async function spelt(tx: Reader, query: AnalysedQuery, { frequencies }: TermStatistics): Promise<AnalysedQuery> {
  const unknown = query.terms.filter((_, i) => frequencies[i] === 0).slice(0, SPELT_MAX);
  const near: NearTerm[] = [];
  for (const term of unknown) {
    const variants = [...new Set(slips(query.typed.get(term) ?? '').flatMap(tokenise))];
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
  take(count: number): readonly FoundRow[];
  /** Why a row came. */
  explain(body: number): string;
}

/** Looks for what answers a query; a row may be a twin of another. */
export async function search(tx: Reader, scope: Scope, input: RecallInput): Promise<Found> {
  const text = input.query.slice(0, LIMITS.queryMaxChars);
  const typed = analyseQuery(text, LIMITS.queryTermsMax, input.nowMs ?? tx.nowMs);
  const count = Math.min(LIMITS.candidatesMax, Math.max(LIMITS.candidatesMin, (input.limit + input.offset) * 2));
  const known = await tx.termStatistics(typed.terms);
  const query = await spelt(tx, typed, known);
  const statistics = query === typed ? known : await tx.termStatistics(query.terms);
  const candidates = await tx.candidates(scope, query, input.filters, count);
  const ranked = rank(candidates, query, statistics);
  const plain = plainScore(query, statistics);
  // The heap gives the best first, so the first so many are exactly those above the floor.
  const enough = ranked.countFrom(scoreOfConfidence(input.minConfidence ?? LIMITS.confidenceFloor, plain));
  const below = ranked.left - enough;
  const found = {
    total: enough,
    below,
    explain: (body: number) => {
      const candidate = candidates.find((one) => one.body === body);
      return candidate === undefined ? '' : explain(candidate, query);
    },
  };
  const toRow = ({ body, score }: Scored): FoundRow => ({ body, confidence: confidenceOf(score, plain) });
  const weight = input.trustWeight ?? 0;
  const next = (some: number): FoundRow[] => ranked.take(Math.min(some, ranked.left - below)).map(toRow);
  if (weight <= 0) return { ...found, take: next };

  // Trust is known of fetched rows only, so it reorders the rows that could reach the page, not all candidates.
  const head = ranked.take(Math.min(enough, Math.max(50, (input.limit + input.offset) * 2)));
  const trusted = (await byTrust(tx, scope, head, weight)).map(toRow);
  return {
    ...found,
    take: (some) => {
      const taken = trusted.splice(0, some);
      return [...taken, ...next(some - taken.length)];
    },
  };
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

/** Fetches rows in order until the page is full or there are none left. */
async function fill(
  page: Page,
  chunk: number,
  fetch: (at: number, count: number) => Awaitable<readonly Item[]>,
  length = Infinity,
): Promise<void> {
  for (let at = 0; at < length && !page.full; at += chunk) {
    const items = await fetch(at, chunk);
    for (const item of items) page.offer(item);
    // Without a known length a short answer is the end; bodies that are gone make short answers of their own.
    if (length === Infinity && items.length < chunk) return;
  }
}

interface Shown {
  readonly item: Item;
  readonly text: string;
  readonly archived: boolean;
  readonly also: { id: string; key: string }[];
}

/** Collects one page of different rows: twins are shown once, and the others are named beside it. */
class Page {
  readonly #input: RecallInput;
  readonly #nowMs: number;
  /** By body: what is said of a hit behind its own members. */
  readonly #notes: ReadonlyMap<number, string>;
  /** By twin; undefined stands for one that belongs to an earlier page. */
  readonly #seen = new Map<string, Shown | undefined>();
  readonly #shown: Shown[] = [];
  #chars = 0;
  full = false;
  cut = false;

  constructor(input: RecallInput, nowMs: number, notes: ReadonlyMap<number, string>) {
    this.#input = input;
    this.#nowMs = nowMs;
    this.#notes = notes;
  }

  offer(item: Item): void {
    const { minDecay, offset, limit, previewCap, filters } = this.#input;
    if (minDecay > 0 && strengthNow(item, this.#nowMs) < minDecay) return;
    if (this.#seen.has(item.twin)) {
      const also = this.#seen.get(item.twin)?.also;
      if (also !== undefined && also.length < LIMITS.alsoMax) also.push({ id: item.id, key: item.key });
      return;
    }
    if (this.full) return;
    if (this.#seen.size < offset) {
      this.#seen.set(item.twin, undefined);
      return;
    }
    const shownJson = previewCap === undefined ? item.json : previewItem(item.json, previewCap);
    const text = shownJson + (this.#notes.get(item.body) ?? '');
    const { maxChars } = this.#input;
    const room = maxChars ?? LIMITS.answerMaxChars;
    // Alone, the first hit always fits; beside other queries only where there is room.
    if ((this.#shown.length > 0 || maxChars !== undefined) && this.#chars + text.length > room) {
      this.full = true;
      this.cut = true;
      return;
    }
    const shown: Shown = { item, text, archived: filters.includeArchived === true && isArchived(item.json), also: [] };
    this.#chars += text.length;
    this.#seen.set(item.twin, shown);
    this.#shown.push(shown);
    this.full = this.#shown.length >= limit;
  }

  hits(): Hit[] {
    return this.#shown.map(({ item, text, archived, also }) =>
      hitOf(item, also.length === 0 ? text : `${text},"also":${JSON.stringify(also)}`, archived),
    );
  }
}

function isArchived(json: string): boolean {
  const item: unknown = JSON.parse(`${json}}`);
  return typeof item === 'object' && item !== null && 'archived' in item && item.archived === true;
}
