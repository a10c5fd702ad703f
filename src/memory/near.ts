/** A word of the store that is nearly one of the query. */
export interface NearTerm {
  readonly term: string;
  /** What a match is worth beside the word itself, 0..1. */
  readonly weight: number;
}

/** A word of the index and how many rows hold it. */
export interface VocabularyWord {
  readonly term: string;
  readonly rows: number;
}

/** Words of a store that one unknown word of a query may stand for: more only find chance. */
const NEAR_MAX = 6;
/** A word typed in part is most likely meant; one or two wrong letters are a guess. */
const PREFIX_WEIGHT = 0.8;
/** See {@link NearTerm.weight}. */
export const ONE_WRONG_WEIGHT = 0.6;
const TWO_WRONG_WEIGHT = 0.4;
/** A shorter beginning is that of too many words. */
const PREFIX_MIN_CHARS = 3;

/**
 * How the words begin among which an unknown word is looked for: as it does, or without its second letter, which may be one
 * too many or have changed places with the third. A wrong first letter is rare, and would make every word a candidate. Where
 * no letter may be wrong, it stands for longer words only. Behind a beginning stand longer ones of it, the most telling first, for
 * where too many words begin so.
 */
export function vocabularyBeginnings(term: string): (readonly [string, ...string[]])[] {
  if (term.length < PREFIX_MIN_CHARS) return [];
  if (wrongLettersMax(term) === 0) return [[term]];
  const [first = '', second = '', third = ''] = term;
  const asTyped = [first + second, term, first + second + third] as const;
  return second === third ? [asTyped] : [asTyped, [first + third]];
}

/** A longer word is no slip of the fingers, and its variants would be too many to look up. */
const SLIP_MAX_CHARS = 24;

/**
 * What a mistyped word may have been: itself with two neighbours swapped back, or without one letter. Made of the word as it
 * was typed, because a wrong ending hides the stem: "stagign" has none, "staging" has that of "stage".
 */
export function slips(word: string): string[] {
  if (wrongLettersMax(word) === 0 || word.length > SLIP_MAX_CHARS) return [];
  const variants = new Set<string>();
  for (let i = 0; i < word.length; i++) {
    const [a = '', b = ''] = [word[i], word[i + 1]];
    if (a !== b) variants.add(word.slice(0, i) + b + a + word.slice(i + 2));
    variants.add(word.slice(0, i) + word.slice(i + 1));
  }
  variants.delete(word);
  return [...variants];
}

/** How many wrong letters a word may have: none in short ones and in numbers, where each letter counts. */
export function wrongLettersMax(term: string): number {
  if (/\d/.test(term) || term.length < 4) return 0;
  return term.length < 8 ? 1 : 2;
}

/**
 * Edits from one word to another: letters added, left out, replaced, or two neighbours swapped (optimal string alignment,
 * Damerau 1964). Anything above `max` is answered as `max + 1`.
 */
export function editDistance(a: string, b: string, max: number): number {
  if (Math.abs(a.length - b.length) > max) return max + 1;
  let [older, previous]: number[][] = [[], Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    let least = i;
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min((previous?.[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (previous?.[j - 1] ?? 0) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, (older?.[j - 2] ?? 0) + 1);
      row.push(cost);
      least = Math.min(least, cost);
    }
    if (least > max) return max + 1;
    [older, previous] = [previous, row];
  }
  return Math.min(previous?.[b.length] ?? 0, max + 1);
}

/** The words that an unknown word of a query most likely stands for, best first; the more rows hold one the likelier it is. */
export function nearTerms(term: string, vocabulary: Iterable<VocabularyWord>): NearTerm[] {
  const max = wrongLettersMax(term);
  const found: { term: string; weight: number; rows: number }[] = [];
  const seen = new Set([term]);
  for (const { term: word, rows } of vocabulary) {
    if (seen.has(word)) continue;
    seen.add(word);
    if (term.length >= PREFIX_MIN_CHARS && word.startsWith(term)) {
      found.push({ term: word, weight: PREFIX_WEIGHT, rows });
      continue;
    }
    if (max === 0) continue;
    const wrong = editDistance(term, word, max);
    if (wrong <= max) found.push({ term: word, weight: wrong === 1 ? ONE_WRONG_WEIGHT : TWO_WRONG_WEIGHT, rows });
  }
  found.sort((a, b) => b.weight - a.weight || b.rows - a.rows || (a.term < b.term ? -1 : 1));
  return found.slice(0, NEAR_MAX).map(({ term: word, weight }) => ({ term: word, weight }));
}
