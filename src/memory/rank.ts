import { BestFirst } from './order.ts';
import { hash32 } from './similarity.ts';
import type { Candidate, TermStatistics } from './types.ts';

/** What each field's occurrences count, in the order of `FIELDS`: body, key, tags, category. A key is chosen with care. */
export const FIELD_WEIGHTS = [1, 1.5, 1.2, 0.5] as const;
/** BM25's saturation and length constants: the customary values (Robertson and Zaragoza, 2009, section 3.4). */
export const K1 = 1.2;
/** See {@link K1}. */
export const B = 0.75;

/** Added to the score of a row whose key is the query: more than any score by words. */
export const NAMED_SCORE = 1_000_000;

/** Inverse document frequency, the form that never gets negative: ln(1 + (N - df + .5) / (df + .5)). */
export function inverseFrequency(rows: number, frequency: number): number {
  const df = Math.min(frequency, rows);
  return Math.log(1 + (rows - df + 0.5) / (df + 0.5));
}

/** What a query asks of each row, prepared once. */
interface Asked {
  /** Signed hashes of the terms, and what each is worth. */
  readonly hashes: Int32Array;
  readonly weights: Float64Array;
  /** One bit for each term: nearly all words of a row are none of the terms, and most of them can be told by one bit. */
  readonly bits: number;
  readonly meanLength: number;
  /** Of the row that is being scored: occurrences of each term, weighted by field. */
  readonly frequencies: Float64Array;
}

function scoreOf(words: Int32Array, offset: number, asked: Asked): number {
  const { hashes, weights, bits, meanLength, frequencies } = asked;
  const first = offset + FIELD_WEIGHTS.length;
  let at = first;
  frequencies.fill(0);
  for (let field = 0; field < FIELD_WEIGHTS.length; field++) {
    const weight = FIELD_WEIGHTS[field] ?? 0;
    for (const end = at + (words[offset + field] ?? 0); at < end; at++) {
      const word = words[at] ?? 0;
      if (((bits >>> word) & 1) === 0) continue;
      for (let term = 0; term < hashes.length; term++) {
        if (hashes[term] !== word) continue;
        frequencies[term] = (frequencies[term] ?? 0) + weight;
        break;
      }
    }
  }
  const norm = K1 * (1 - B + (B * (at - first)) / meanLength);
  let score = 0;
  for (let term = 0; term < hashes.length; term++) {
    const frequency = frequencies[term] ?? 0;
    if (frequency > 0) score += ((weights[term] ?? 0) * frequency * (K1 + 1)) / (frequency + norm);
  }
  return score;
}

/**
 * Orders candidates by BM25F over their stored terms: occurrences are merged over the fields with their weights before
 * saturation (Robertson, Zaragoza and Taylor, 2004). A row whose key is the query comes first. Total order: equal
 * scores by body number, newest first. Pure: the order of the input does not matter.
 */
export function rank(
  candidates: readonly Candidate[],
  terms: readonly string[],
  statistics: TermStatistics,
): BestFirst {
  const hashes = Int32Array.from(terms, hash32);
  const asked: Asked = {
    hashes,
    weights: Float64Array.from(terms, (_, i) => inverseFrequency(statistics.rows, statistics.frequencies[i] ?? 0)),
    bits: hashes.reduce((bits, hash) => bits | (1 << hash), 0),
    meanLength: statistics.meanLength,
    frequencies: new Float64Array(hashes.length),
  };
  const bodies = new Int32Array(candidates.length);
  const scores = new Float64Array(candidates.length);
  let i = 0;
  for (const { body, words, offset, keyIsQuery } of candidates) {
    bodies[i] = body;
    scores[i] = scoreOf(words, offset, asked) + (keyIsQuery ? NAMED_SCORE : 0);
    i += 1;
  }
  return new BestFirst(bodies, scores);
}
