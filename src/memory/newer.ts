import { FIELDS, LIST_HEAD } from './document.ts';
import { hash32 } from './similarity.ts';
import { STOP_TOKENS } from './text.ts';

/** Fields that say what a memory is about. */
const ABOUT = FIELDS.findIndex(({ name }) => name === 'category');
/** Hashes of the function words. */
export const STOP_HASHES: ReadonlySet<number> = new Set([...STOP_TOKENS].map((token) => hash32(token) | 0));

/** The different words of a list that say what it is about, function words aside. */
export function aboutWords(words: Int32Array, offset: number): Set<number> {
  const about = new Set<number>();
  let at = offset + LIST_HEAD;
  for (let field = 0; field < ABOUT; field++) {
    for (const end = at + (words[offset + field] ?? 0); at < end; at++) {
      const word = words[at] ?? 0;
      if (!STOP_HASHES.has(word)) about.add(word);
    }
  }
  return about;
}

/** Share of the shorter one's words that both have, 0..1. */
export function sharedWords(a: ReadonlySet<number>, b: ReadonlySet<number>): number {
  const [small, large] = a.size <= b.size ? [a, b] : [b, a];
  let shared = 0;
  for (const word of small) if (large.has(word)) shared += 1;
  return small.size === 0 ? 0 : shared / small.size;
}
