/** Windows of three Unicode scalars of a text; fewer than three characters give none. */
export function trigrams(text: string): Set<string> {
  const characters = Array.from(text);
  const grams = new Set<string>();
  for (let i = 0; i + 2 < characters.length; i++) grams.add(`${characters[i]}${characters[i + 1]}${characters[i + 2]}`);
  return grams;
}

/** Jaccard similarity of two sets, 0..1; 0 when either is empty. Stops early once `atLeast` is out of reach and answers 0. */
export function jaccard(a: ReadonlySet<string>, b: ReadonlySet<string>, atLeast: number): number {
  if (a.size === 0 || b.size === 0) return 0;
  const [small, large] = a.size <= b.size ? [a, b] : [b, a];
  if (small.size / large.size < atLeast) return 0;
  // J >= t means at least t/(1+t) of |a|+|b| is shared, so only so many of the smaller set may miss.
  let misses = small.size - Math.ceil((atLeast / (1 + atLeast)) * (a.size + b.size) - 1e-9);
  let shared = 0;
  for (const gram of small) {
    if (large.has(gram)) shared += 1;
    else if (--misses < 0) return 0;
  }
  return shared / (a.size + b.size - shared);
}

/**
 * The trigram Jaccard similarity of any two of these texts, by their places: 1 for equal ones, 0 where one has no trigram.
 * Exact as {@link jaccard}, and quick for many pairs: each text is cut up once, into sorted numbers.
 */
export function similarities(texts: readonly string[]): (a: number, b: number) => number {
  const numbers = new Map<string, number>();
  const sets = texts.map((text) =>
    Int32Array.from(trigrams(text), (gram) => {
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
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}
