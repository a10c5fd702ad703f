import { dayMatch } from './dates.ts';
import { FACTS, FIELDS, LIST_HEAD, TRAITS } from './document.ts';
import { fuse, type Fused, type Nearness } from './fusion.ts';
import { aboutWords, sharedWords, STOP_HASHES, type WordSet } from './newer.ts';
import { BestFirst, nthLargest } from './order.ts';
import type { AnalysedQuery } from './query.ts';
import { hash32 } from './similarity.ts';
import type { Candidate, TermStatistics } from './types.ts';

/** BM25's saturation and length constants (Robertson and Zaragoza, 2009), as they do best on chats and long answers alike. */
export const K1 = 1.2;
/** See {@link K1}. */
export const B = 0.7;

/** What beside the words moves a row up or down; each is explained and measured in docs/retrieval.md. */
export interface Weights {
  /** Of two words that are neighbours in query and row, as a share of a word's worth. */
  readonly pair: number;
  /** Of the best row's score: what a whole session's match adds to its turns. */
  readonly session: number;
  /** Of the score of the turn two before: mostly what the same speaker said last. */
  readonly lastSaid: number;
  /** Factors. */
  readonly speakerNamed: number;
  readonly userSaid: number;
  readonly tellsTime: number;
  readonly tellsNumber: number;
  /** Factor and share of the best score for a row of just the day that was asked for. */
  readonly dayFactor: number;
  readonly dayShare: number;
  /** Of notes about the same thing: how relevant a newer one must be beside an older, and what share of words both must have. */
  readonly newerNearly: number;
  readonly newerAlike: number;
  /** The same for a newer one that says that something has changed. */
  readonly changeNearly: number;
  readonly changeAlike: number;
}

/** The weights in use. */
export const WEIGHTS: Weights = {
  pair: 0.4,
  session: 0.6,
  lastSaid: 0.15,
  speakerNamed: 1.1,
  userSaid: 2.5,
  tellsTime: 1.5,
  tellsNumber: 1.15,
  dayFactor: 2.5,
  dayShare: 0.25,
  newerNearly: 0.85,
  newerAlike: 0.5,
  changeNearly: 0.35,
  changeAlike: 0.33,
};

/** How to rank. */
export interface RankOptions {
  readonly weights?: Weights;
  /** Given: nearness in meaning counts beside the words. */
  readonly nearness?: Nearness;
}

/** Candidates in their order. */
export interface Ranked extends Pick<Fused, 'agreement'> {
  readonly rows: BestFirst;
}

/** Hits among which the newer goes first: as many as a page has. */
const HEAD = 10;

/** Added to the score of a row whose key is the query: more than any score by words. */
export const NAMED_SCORE = 1_000_000;

const WEIGHTS_OF_FIELDS = Float64Array.from(FIELDS, ({ weight }) => weight);
const SPEAKER = FIELDS.findIndex(({ name }) => name === 'speaker');
const CONTEXT = FIELDS.findIndex(({ name }) => name === 'question_before');

/** Inverse document frequency, the form that never gets negative: ln(1 + (N - df + .5) / (df + .5)). */
export function inverseFrequency(rows: number, frequency: number): number {
  const df = Math.min(frequency, rows);
  return Math.log(1 + (rows - df + 0.5) / (df + 0.5));
}

/** What a row is worth that has every word of the query once and nothing else that speaks for it. */
export function plainScore({ terms, shares }: AnalysedQuery, { rows, frequencies }: TermStatistics): number {
  return terms.reduce((sum, _, i) => sum + (shares[i] === 1 ? inverseFrequency(rows, frequencies[i] ?? 0) : 0), 0);
}

/**
 * Half of the first hits with this share of the plain score are right: between people who talk of the same things all the
 * time fewer, among notes more (measured, docs/retrieval.md).
 */
const EVEN_SHARE = 0.9;

/** How sure it is, 0..1, that a row of this score answers; `plain` is the {@link plainScore} of its query. */
export function confidenceOf(score: number, plain: number): number {
  if (score >= NAMED_SCORE) return 1;
  const share = score / Math.max(plain, Number.MIN_VALUE);
  return share / (share + EVEN_SHARE);
}

/** The inverse of {@link confidenceOf}: the least score with so much confidence. */
export function scoreOfConfidence(confidence: number, plain: number): number {
  return confidence >= 1 ? NAMED_SCORE : (EVEN_SHARE * plain * confidence) / (1 - confidence);
}

/** What a query asks of each row, prepared once, and what is found of one row at a time. */
interface Scoring {
  /** Signed hashes of the terms, and what each is worth. */
  readonly hashes: Int32Array;
  readonly worth: Float64Array;
  /** One bit for each term: nearly all words of a row are none of the terms, and most of them can be told by one bit. */
  readonly bits: number;
  /** By term and term: the place of a pair, or -1. */
  readonly pairAt: Int16Array;
  /** Of the row that is being scored: occurrences of each term, weighted by field; of those it states itself; of each pair. */
  readonly frequencies: Float64Array;
  readonly stated: Float64Array;
  readonly pairs: Float64Array;
  speakerNamed: boolean;
}

/** Whether nothing but function words stands between two places. */
function areNeighbours(words: Int32Array, first: number, second: number): boolean {
  for (let at = first + 1; at < second; at++) if (!STOP_HASHES.has(words[at] ?? 0)) return false;
  return true;
}

/** Counts in a row what is asked for; answers the row's length. Nearly all words are none of the terms: they cost one look. */
function count(words: Int32Array, offset: number, scoring: Scoring): number {
  const { hashes, bits, pairAt, frequencies, stated, pairs } = scoring;
  const terms = hashes.length;
  for (let term = 0; term < terms; term++) frequencies[term] = stated[term] = 0;
  for (let pair = 0; pair < pairs.length; pair++) pairs[pair] = 0;
  scoring.speakerNamed = false;
  const first = offset + LIST_HEAD;
  let end = first;
  for (let field = 0; field < WEIGHTS_OF_FIELDS.length; field++) end += words[offset + field] ?? 0;
  let field = 0;
  let fieldEnd = first + (words[offset] ?? 0);
  let before = -1;
  let beforeAt = 0;
  for (let at = first; at < end; at++) {
    const word = words[at] ?? 0;
    if (((bits >>> word) & 1) === 0) continue;
    let term = terms - 1;
    while (term >= 0 && hashes[term] !== word) term -= 1;
    if (term === -1) continue;
    while (at >= fieldEnd) {
      field += 1;
      fieldEnd += words[offset + field] ?? 0;
      before = -1;
    }
    const weight = WEIGHTS_OF_FIELDS[field] ?? 0;
    frequencies[term] = (frequencies[term] ?? 0) + weight;
    if (field < CONTEXT) stated[term] = (stated[term] ?? 0) + weight;
    if (field === SPEAKER) scoring.speakerNamed = true;
    const pair = before === -1 ? -1 : (pairAt[before * terms + term] ?? -1);
    if (pair !== -1 && areNeighbours(words, beforeAt, at)) pairs[pair] = (pairs[pair] ?? 0) + weight;
    before = term;
    beforeAt = at;
  }
  return end - first;
}

function bm25(frequencies: Float64Array, worth: Float64Array, norm: number, k1 = K1): number {
  let score = 0;
  for (let i = 0; i < frequencies.length; i++) {
    const frequency = frequencies[i] ?? 0;
    if (frequency > 0) score += ((worth[i] ?? 0) * frequency * (k1 + 1)) / (frequency + norm);
  }
  return score;
}

/** One number for a place in a session. */
function turnKey(session: number, turn: number): number {
  return (session >>> 0) * 0x100000 + (turn & 0xfffff);
}

/** Saturation and length constants for whole sessions: long texts of which a word says less (the customary values). */
const SESSION_K1 = 1.2;
const SESSION_B = 0.75;

/** What the candidates of each session say together, as far as they are candidates. */
class SessionSums {
  readonly #terms: number;
  readonly #places = new Map<number, number>();
  readonly #frequencies: Float64Array[] = [];
  readonly #lengths: number[] = [];

  constructor(terms: number) {
    this.#terms = terms;
  }

  /** Adds a turn of so many tokens; answers the place of its session. */
  add(session: number, stated: Float64Array, length: number): number {
    let place = this.#places.get(session);
    if (place === undefined) {
      place = this.#lengths.length;
      this.#places.set(session, place);
      this.#frequencies.push(new Float64Array(this.#terms));
      this.#lengths.push(0);
    }
    const sum = this.#frequencies[place];
    if (sum !== undefined) for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + (stated[i] ?? 0);
    this.#lengths[place] = (this.#lengths[place] ?? 0) + length;
    return place;
  }

  /** BM25 of each session, as a share of the best one's. A word that every session has tells none of them apart. */
  shares(): number[] {
    const count = this.#lengths.length;
    const mean = this.#lengths.reduce((sum, length) => sum + length, 0) / Math.max(1, count);
    const worth = new Float64Array(this.#terms).map((_, term) =>
      inverseFrequency(count, this.#frequencies.filter((sum) => (sum[term] ?? 0) > 0).length),
    );
    const scores = this.#frequencies.map((sum, place) => {
      const length = this.#lengths[place] ?? 0;
      return bm25(sum, worth, SESSION_K1 * (1 - SESSION_B + (SESSION_B * length) / mean), SESSION_K1);
    });
    const best = Math.max(...scores, Number.MIN_VALUE);
    return scores.map((score) => score / best);
  }
}

/**
 * Orders candidates by BM25F over their stored terms: occurrences are merged over the fields with their weights before
 * saturation (Robertson, Zaragoza and Taylor, 2004). Neighbouring words and the whole session of a turn add to that; who
 * said it, when, and whether it is the kind of text that answers such a question multiply it ({@link Weights}). A row whose
 * key is the query comes first. Total order: equal scores by body number, newest first. Pure: the order of the input does
 * not matter.
 */
export function rank(
  candidates: readonly Candidate[],
  query: AnalysedQuery,
  statistics: TermStatistics,
  { weights = WEIGHTS, nearness }: RankOptions = {},
): Ranked {
  const { terms, pairs, shares } = query;
  const hashes = Int32Array.from(terms, hash32);
  const worth = Float64Array.from(
    terms,
    (_, i) => (shares[i] ?? 1) * inverseFrequency(statistics.rows, statistics.frequencies[i] ?? 0),
  );
  const pairAt = new Int16Array(terms.length * terms.length).fill(-1);
  for (const [i, [a, b]] of pairs.entries()) pairAt[a * terms.length + b] = pairAt[b * terms.length + a] = i;
  const pairWorth = Float64Array.from(pairs, ([a, b]) => weights.pair * ((worth[a] ?? 0) + (worth[b] ?? 0)));
  const scoring: Scoring = {
    hashes,
    worth,
    bits: hashes.reduce((bits, hash) => bits | (1 << hash), 0),
    pairAt,
    frequencies: new Float64Array(terms.length),
    stated: new Float64Array(terms.length),
    pairs: new Float64Array(pairs.length),
    speakerNamed: false,
  };
  const bodies = new Int32Array(candidates.length);
  const scores = new Float64Array(candidates.length);
  const factors = new Float64Array(candidates.length);
  const days = new Float64Array(candidates.length);
  const sessionAt = new Int32Array(candidates.length).fill(-1);
  const sessions = new SessionSums(terms.length);
  const byTurn = new Map<number, number>();
  let best = 0;
  let i = -1;
  for (const { body, words, offset } of candidates) {
    i += 1;
    const length = count(words, offset, scoring);
    const norm = K1 * (1 - B + (B * length) / statistics.meanLength);
    const score = bm25(scoring.frequencies, worth, norm) + bm25(scoring.pairs, pairWorth, norm);
    const session = words[offset + FACTS.session] ?? 0;
    const traits = words[offset + FACTS.traits] ?? 0;
    bodies[i] = body;
    scores[i] = score;
    best = Math.max(best, score);
    let factor = scoring.speakerNamed ? weights.speakerNamed : 1;
    if (query.firstPerson && (traits & TRAITS.user) !== 0) factor *= weights.userSaid;
    if (query.asksWhen && (traits & TRAITS.time) !== 0) factor *= weights.tellsTime;
    if (query.asksHowMany && (traits & TRAITS.number) !== 0) factor *= weights.tellsNumber;
    factors[i] = factor;
    for (const span of query.spans) {
      const told = dayMatch(words[offset + FACTS.day] ?? 0, span);
      days[i] = Math.max(days[i] ?? 0, told, dayMatch(words[offset + FACTS.named] ?? 0, span));
    }
    if (session === 0) continue;
    sessionAt[i] = sessions.add(session, scoring.stated, length);
    const place = turnKey(session, words[offset + FACTS.turn] ?? 0);
    byTurn.set(place, Math.max(score, byTurn.get(place) ?? 0));
  }
  const sessionShare = sessions.shares();
  const words = new Float64Array(candidates.length);
  i = -1;
  for (const { words: list, offset } of candidates) {
    i += 1;
    const place = list[offset + FACTS.session] ?? 0;
    const lastSaid = place === 0 ? 0 : (byTurn.get(turnKey(place, (list[offset + FACTS.turn] ?? 0) - 2)) ?? 0);
    const session = sessionShare[sessionAt[i] ?? -1] ?? 0;
    words[i] = (scores[i] ?? 0) + weights.session * best * session + weights.lastSaid * lastSaid;
  }
  const fused =
    nearness === undefined
      ? { scores: words, agreement: Number.NaN }
      : fuse(words, nearness, plainScore(query, statistics), statistics.rows);
  const most = nearness === undefined ? best : fused.scores.reduce((a, b) => Math.max(a, b), 0);
  i = -1;
  for (const { keyIsQuery } of candidates) {
    i += 1;
    const day = days[i] ?? 0;
    const own = (fused.scores[i] ?? 0) * (factors[i] ?? 1);
    scores[i] = own * (1 + weights.dayFactor * day) + weights.dayShare * most * day + (keyIsQuery ? NAMED_SCORE : 0);
  }
  putNewerFirst(candidates, scores, weights);
  return { rows: new BestFirst(bodies, scores), agreement: fused.agreement };
}

/**
 * Of notes about the same thing and nearly as relevant, lifts the newer just above the older. A newer note that says that
 * something has changed need be less alike and less relevant than one that does not: it often no longer has the old words.
 * Turns of a conversation are left alone: they follow each other, and none replaces another.
 */
function putNewerFirst(candidates: readonly Candidate[], scores: Float64Array, weights: Weights): void {
  const least = nthLargest(Float64Array.from(scores), Math.min(HEAD, scores.length));
  const head: number[] = [];
  let place = -1;
  for (const { words, offset, keyIsQuery } of candidates) {
    place += 1;
    if ((scores[place] ?? 0) < least || keyIsQuery || head.length === HEAD) continue;
    if ((words[offset + FACTS.session] ?? 0) === 0) head.push(place);
  }
  head.sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0));
  const about = new Map<number, WordSet>();
  const aboutOf = (i: number): WordSet => {
    const known = about.get(i);
    if (known !== undefined) return known;
    const { words = new Int32Array(), offset = 0 } = candidates[i] ?? {};
    const made = aboutWords(words, offset);
    about.set(i, made);
    return made;
  };
  for (const newer of head) {
    const { body = 0, words = new Int32Array(), offset = 0 } = candidates[newer] ?? {};
    const tells = ((words[offset + FACTS.traits] ?? 0) & TRAITS.change) !== 0;
    const [nearly, alike] = tells
      ? [weights.changeNearly, weights.changeAlike]
      : [weights.newerNearly, weights.newerAlike];
    const score = scores[newer] ?? 0;
    for (const older of head) {
      const above = scores[older] ?? 0;
      if (above <= score) break;
      if ((candidates[older]?.body ?? 0) >= body || score < nearly * above) continue;
      if (sharedWords(aboutOf(older), aboutOf(newer)) < alike) continue;
      scores[newer] = above * (1 + Number.EPSILON * 4);
      break;
    }
  }
}
