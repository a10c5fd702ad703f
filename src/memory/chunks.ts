/**
 * Numbers in pieces of one size: what grows copies nothing and leaves no old copy behind (one array of 40 MB that grows by half
 * needs 100 MB for a moment). An address counts through all pieces; what was reserved together lies side by side in one.
 */
export class Chunks {
  readonly #bits: number;
  readonly #words: Int32Array[] = [];
  /** Of the last piece. */
  #used = 0;
  #bytes = 0;

  /** Pieces of 2^bits numbers, larger ones for what needs more. */
  constructor(bits: number) {
    this.#bits = bits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Room for so many numbers, which are 0; answers the address of the first. */
  reserve(length: number): number {
    const last = this.#words.at(-1);
    if (last === undefined || this.#used + length > last.length) {
      const fresh = new Int32Array(Math.max(1 << this.#bits, length));
      this.#words.push(fresh);
      this.#used = 0;
      this.#bytes += fresh.byteLength;
    }
    const address = ((this.#words.length - 1) << this.#bits) + this.#used;
    this.#used += length;
    return address;
  }

  /** The piece in which an address lies. */
  wordsAt(address: number): Int32Array {
    return this.#words[address >>> this.#bits] ?? NOTHING;
  }

  /** Where in its piece an address lies. */
  offsetOf(address: number): number {
    return address & ((1 << this.#bits) - 1);
  }
}

const NOTHING = new Int32Array();
