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

/** Length of a packed list in tokens: every token is followed by one space, every field begins with one. */
function packedLength(packed: string): number {
  let spaces = 0;
  for (let at = packed.indexOf(' '); at !== -1; at = packed.indexOf(' ', at + 1)) spaces += 1;
  return Math.max(0, spaces - FIELD_WEIGHTS.length);
}

/** Occurrences of a term, each counted with the weight of its field. */
function weightedFrequency(packed: string, needle: string): number {
  let frequency = 0;
  let field = 0;
  let lineEnd = packed.indexOf('\n');
  for (let at = packed.indexOf(needle); at !== -1; at = packed.indexOf(needle, at + needle.length - 1)) {
    while (lineEnd !== -1 && at > lineEnd) {
      field += 1;
      lineEnd = packed.indexOf('\n', lineEnd + 1);
    }
    frequency += FIELD_WEIGHTS[field] ?? 0;
  }
  return frequency;
}

/**
 * Orders candidates by BM25F over their stored tokens: occurrences are merged over the fields with their weights before
 * saturation (Robertson, Zaragoza and Taylor, 2004). A row whose key is the query comes first. Total order: equal
 * scores by body number, newest first. Pure: the order of the input does not matter.
 */
export function rank(candidates: readonly Candidate[], terms: readonly string[], statistics: TermStatistics): Ranked[] {
  const needles = terms.map((term) => ` ${term} `);
  const weights = terms.map((_, i) => inverseFrequency(statistics.rows, statistics.frequencies[i] ?? 0));
  const ranked = candidates.map((candidate) => {
    let score = 0;
    const length = packedLength(candidate.tokens);
    const norm = K1 * (1 - B + (B * length) / statistics.meanLength);
    for (let i = 0; i < needles.length; i++) {
      const frequency = weightedFrequency(candidate.tokens, needles[i] ?? '');
      if (frequency > 0) score += ((weights[i] ?? 0) * frequency * (K1 + 1)) / (frequency + norm);
    }
    return { body: candidate.body, score, first: candidate.keyIsQuery };
  });
  ranked.sort((a, b) => Number(b.first) - Number(a.first) || b.score - a.score || b.body - a.body);
  return ranked;
}
