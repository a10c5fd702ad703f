import { FIELDS, LIST_HEAD } from './document.ts';
import { hash32 } from './similarity.ts';
import { STOP_TOKENS } from './text.ts';

/** Fields that say what a memory is about. */
const ABOUT = FIELDS.findIndex(({ name }) => name === 'category');

/** A slot that is free; the word that is this number has none of its own and is taken for its neighbour. */
const FREE = 0;

/**
 * Different words by their hashes, side by side in one array (open addressing): a search makes one of each of its first
 * hits, and a `Set` of fifty words takes four times as long to fill.
 */
export class WordSet {
  readonly #slots: Int32Array;
  /** The same words one behind the other. */
  readonly #words: Int32Array;
  size = 0;

  /** Room for at most so many words. */
  constructor(most: number) {
    this.#slots = new Int32Array(1 << (32 - Math.clz32(2 * most)));
    this.#words = new Int32Array(most);
  }

  add(word: number): void {
    const slot = this.#slotOf(word);
    if (this.#slots[slot] !== FREE) return;
    this.#slots[slot] = word === FREE ? 1 : word;
    this.#words[this.size++] = word;
  }

  has(word: number): boolean {
    return this.#slots[this.#slotOf(word)] !== FREE;
  }

  /** How many words both have. */
  shared(other: WordSet): number {
    let count = 0;
    for (let i = 0; i < this.size; i++) if (other.has(this.#words[i] ?? 0)) count += 1;
    return count;
  }

  #slotOf(word: number): number {
    const wanted = word === FREE ? 1 : word;
    const mask = this.#slots.length - 1;
    let slot = wanted & mask;
    while (this.#slots[slot] !== FREE && this.#slots[slot] !== wanted) slot = (slot + 1) & mask;
    return slot;
  }
}

/** Hashes of the function words. */
export const STOP_HASHES = new WordSet(STOP_TOKENS.size);
for (const token of STOP_TOKENS) STOP_HASHES.add(hash32(token) | 0);

/** The different words of a list that say what it is about, function words aside. */
export function aboutWords(words: Int32Array, offset: number): WordSet {
  const first = offset + LIST_HEAD;
  let end = first;
  for (let field = 0; field < ABOUT; field++) end += words[offset + field] ?? 0;
  const about = new WordSet(end - first);
  for (let at = first; at < end; at++) {
    const word = words[at] ?? 0;
    if (!STOP_HASHES.has(word)) about.add(word);
  }
  return about;
}

/** Share of the shorter one's words that both have, 0..1. */
export function sharedWords(a: WordSet, b: WordSet): number {
  const [small, large] = a.size <= b.size ? [a, b] : [b, a];
  return small.size === 0 ? 0 : small.shared(large) / small.size;
}
