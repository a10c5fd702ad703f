import { hash32 } from '../../memory/similarity.ts';

/** Slots of each of the two rows: 100,000 different terms share a slot in both rows with a chance of about 14 %. */
const SLOTS = 1 << 18;
const HEADER = 1;

/** Bytes of the shared memory that {@link TermFrequencies} needs: 2 MiB. */
export const FREQUENCIES_BYTES = (HEADER + 2 * SLOTS) * 4;

/**
 * How many live rows hold a term: a count-min sketch (Cormode and Muthukrishnan, 2005) in shared memory. The writer adds
 * and removes after each commit, every connection of the process reads. Asking the index itself costs 50-300 us a term.
 */
export class TermFrequencies {
  #counts: Int32Array;

  constructor(memory: SharedArrayBuffer) {
    this.#counts = new Int32Array(memory);
  }

  /** True once every live row has been counted. */
  get complete(): boolean {
    return Atomics.load(this.#counts, 0) === 1;
  }

  set complete(value: boolean) {
    Atomics.store(this.#counts, 0, value ? 1 : 0);
  }

  clear(): void {
    this.#counts.fill(0);
  }

  /** Counts the different tokens of a packed list in (+1) or out (-1). */
  count(packed: string, by: 1 | -1): void {
    for (const token of new Set(packed.split(/[ \n]+/))) {
      if (token === '') continue;
      const [first, second] = slots(token);
      this.#counts[first] = (this.#counts[first] ?? 0) + by;
      this.#counts[second] = (this.#counts[second] ?? 0) + by;
    }
  }

  /** At least the number of live rows with this term; more only when it shares both slots with others. */
  of(term: string): number {
    const [first, second] = slots(term);
    return Math.max(0, Math.min(this.#counts[first] ?? 0, this.#counts[second] ?? 0));
  }
}

function slots(term: string): [number, number] {
  const hash = hash32(term);
  const other = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b) >>> 0;
  return [HEADER + (hash & (SLOTS - 1)), HEADER + SLOTS + ((other >>> 7) & (SLOTS - 1))];
}
