import { hash32 } from './similarity.ts';
import type { Candidate, TermStatistics } from './types.ts';

/** What each field's occurrences count, in the order of `FIELDS`: body, key, tags, category. A key is chosen with care. */
const FIELD_WEIGHTS = [1, 1.5, 1.2, 0.5] as const;
/** BM25's saturation and length constants: the customary values (Robertson and Zaragoza, 2009, section 3.4). */
const K1 = 1.2;
const B = 0.75;

/** A ranked candidate. */
export interface Ranked {
  readonly body: number;
  /** BM25F score, 0 or more. */
  readonly score: number;
}

/** Inverse document frequency, the form that never gets negative: ln(1 + (N - df + .5) / (df + .5)). */
export function inverseFrequency(rows: number, frequency: number): number {
  const df = Math.min(frequency, rows);
  return Math.log(1 + (rows - df + 0.5) / (df + 0.5));
}

/** Occurrences of a term in a list, each counted with the weight of its field. */
function weightedFrequency(words: Int32Array, offset: number, hash: number): number {
  let frequency = 0;
  let at = offset + FIELD_WEIGHTS.length;
  for (let field = 0; field < FIELD_WEIGHTS.length; field++) {
    let found = 0;
    for (const end = at + (words[offset + field] ?? 0); at < end; at++) if (words[at] === hash) found += 1;
    if (found > 0) frequency += found * (FIELD_WEIGHTS[field] ?? 0);
  }
  return frequency;
}

/**
 * Orders candidates by BM25F over their stored terms: occurrences are merged over the fields with their weights before
 * saturation (Robertson, Zaragoza and Taylor, 2004). A row whose key is the query comes first. Total order: equal
 * scores by body number, newest first. Pure: the order of the input does not matter.
 */
export function rank(candidates: readonly Candidate[], terms: readonly string[], statistics: TermStatistics): Ranked[] {
  const hashes = Int32Array.from(terms, hash32);
  const weights = terms.map((_, i) => inverseFrequency(statistics.rows, statistics.frequencies[i] ?? 0));
  const ranked = candidates.map(({ body, words, offset, keyIsQuery }) => {
    const first = offset + FIELD_WEIGHTS.length;
    let length = 0;
    for (let at = offset; at < first; at++) length += words[at] ?? 0;
    const norm = K1 * (1 - B + (B * length) / statistics.meanLength);
    let score = 0;
    for (let i = 0; i < hashes.length; i++) {
      const frequency = weightedFrequency(words, offset, hashes[i] ?? 0);
      if (frequency > 0) score += ((weights[i] ?? 0) * frequency * (K1 + 1)) / (frequency + norm);
    }
    return { body, score, named: keyIsQuery };
  });
  ranked.sort((a, b) => Number(b.named) - Number(a.named) || b.score - a.score || b.body - a.body);
  return ranked;
}
