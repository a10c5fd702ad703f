/**
 * Numbers in pieces of one size: what grows copies nothing and leaves no old copy behind (one array of 40 MB that grows by half
 * needs 100 MB for a moment). An address counts through all pieces; what was reserved together lies side by side in one.
 */
export class Chunks {
  readonly #bits: number;
  readonly #words: Int32Array[] = [];
  /** The piece that is being filled, and how far. */
  #open = -1;
  #used = 0;
  #bytes = 0;

  /** Pieces of 2^bits numbers; what takes more than a quarter of one gets a piece of its own size. */
  constructor(bits: number) {
    this.#bits = bits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Room for so many numbers, which are 0; answers the address of the first. */
  reserve(length: number): number {
    const size = 1 << this.#bits;
    if (length > size / 4) return this.#add(length) << this.#bits;
    if (this.#open === -1 || this.#used + length > size) {
      this.#open = this.#add(size);
      this.#used = 0;
    }
    const address = (this.#open << this.#bits) + this.#used;
    this.#used += length;
    return address;
  }

  #add(length: number): number {
    const fresh = new Int32Array(length);
    this.#bytes += fresh.byteLength;
    return this.#words.push(fresh) - 1;
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
