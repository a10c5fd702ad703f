/**
 * The different windows of three Unicode scalars of a text; fewer than three characters give none. Each window is two numbers
 * in a table with open addressing: a `Set` of texts takes ten times as long to fill, and every new memory is compared.
 */
export class Trigrams {
  /** Windows one behind the other, two numbers for each. */
  readonly #highs: Int32Array;
  readonly #lows: Int32Array;
  /** By slot: the place of a window plus one; 0 is a free slot. */
  readonly #slots: Int32Array;
  size = 0;

  constructor(text: string) {
    const most = Math.max(0, text.length - 2);
    this.#highs = new Int32Array(most);
    this.#lows = new Int32Array(most);
    this.#slots = new Int32Array(1 << (32 - Math.clz32(2 * most)));
    let [first, second, seen] = [0, 0, 0];
    for (let at = 0; at < text.length; seen++) {
      const third = text.codePointAt(at) ?? 0;
      at += third > 0xffff ? 2 : 1;
      // A scalar has 21 bits, so three have 63: the first and half of the second in one number, the rest in the other.
      if (seen >= 2) this.#add((first << 10) | (second >>> 11), (second << 21) | third);
      first = second;
      second = third;
    }
  }

  /** How many windows both have; stops once more than `missesMax` of these are not in `other`, and answers -1. */
  shared(other: Trigrams, missesMax: number): number {
    let misses = missesMax;
    for (let i = 0; i < this.size; i++) {
      if (other.#slots[other.#slotOf(this.#highs[i] ?? 0, this.#lows[i] ?? 0)] === 0 && --misses < 0) return -1;
    }
    return this.size - (missesMax - misses);
  }

  #add(high: number, low: number): void {
    const slot = this.#slotOf(high, low);
    if (this.#slots[slot] !== 0) return;
    this.#highs[this.size] = high;
    this.#lows[this.size++] = low;
    this.#slots[slot] = this.size;
  }

  #slotOf(high: number, low: number): number {
    const mask = this.#slots.length - 1;
    let slot = mixed(Math.imul(high, 0x01000193) ^ low) & mask;
    for (let place = this.#slots[slot] ?? 0; place !== 0; place = this.#slots[slot] ?? 0) {
      if (this.#highs[place - 1] === high && this.#lows[place - 1] === low) break;
      slot = (slot + 1) & mask;
    }
    return slot;
  }
}

/** Jaccard similarity of two sets, 0..1; 0 when either is empty. Stops early once `atLeast` is out of reach and answers 0. */
export function jaccard(a: Trigrams, b: Trigrams, atLeast: number): number {
  if (a.size === 0 || b.size === 0) return 0;
  const [small, large] = a.size <= b.size ? [a, b] : [b, a];
  if (small.size / large.size < atLeast) return 0;
  // J >= t means at least t/(1+t) of |a|+|b| is shared, so only so many of the smaller set may miss.
  const missesMax = small.size - Math.ceil((atLeast / (1 + atLeast)) * (a.size + b.size) - 1e-9);
  const shared = small.shared(large, missesMax);
  return shared < 0 ? 0 : shared / (a.size + b.size - shared);
}

function windowsOf(text: string): Set<string> {
  const characters = Array.from(text);
  const grams = new Set<string>();
  for (let i = 0; i + 2 < characters.length; i++) grams.add(`${characters[i]}${characters[i + 1]}${characters[i + 2]}`);
  return grams;
}

/**
 * The trigram Jaccard similarity of any two of these texts, by their places: 1 for equal ones, 0 where one has no trigram.
 * Exact as {@link jaccard}, and quick for many pairs: each text is cut up once, into sorted numbers.
 */
export function similarities(texts: readonly string[]): (a: number, b: number) => number {
  const numbers = new Map<string, number>();
  const sets = texts.map((text) =>
    Int32Array.from(windowsOf(text), (gram) => {
      const known = numbers.get(gram);
      if (known !== undefined) return known;
      numbers.set(gram, numbers.size);
      return numbers.size - 1;
    }).sort(),
  );
  return (i, j) => {
    const [a, b] = [sets[i], sets[j]];
    if (texts[i] === texts[j]) return texts[i] === '' ? 0 : 1;
    if (a === undefined || b === undefined || a.length === 0 || b.length === 0) return 0;
    let shared = 0;
    for (let x = 0, y = 0; x < a.length && y < b.length;) {
      const difference = (a[x] ?? 0) - (b[y] ?? 0);
      if (difference === 0) shared += 1;
      if (difference <= 0) x += 1;
      if (difference >= 0) y += 1;
    }
    return shared / (a.length + b.length - shared);
  };
}

/** 32-bit FNV-1a over UTF-16 units, mixed once more so that low bits are usable as a slot number. */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return mixed(hash);
}

function mixed(hash: number): number {
  const half = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (half ^ (half >>> 13)) >>> 0;
}
