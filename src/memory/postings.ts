import { nthLargest } from './order.ts';
import { FIELDS, LIST_HEAD } from './document.ts';
import { B, inverseFrequency, K1 } from './rank.ts';

/** A row as it enters: its number, its term list (see `Packed`), and what narrow filters and exact keys ask for. */
export interface PostedRow {
  readonly body: number;
  readonly terms: Int32Array;
  readonly workspace: string;
  readonly category: string;
  readonly key: string;
}

/** Which rows count: absent members do not narrow. */
export interface Narrow {
  readonly workspace?: string | undefined;
  readonly category?: string | undefined;
}

/** Words of a block's head: where the next older block begins, how many postings it has room for, how many it holds. */
const BLOCK_HEAD = 3;
/** Room of a term's first block and of its largest: most terms stand in one row, a frequent one in thousands. */
const BLOCK_FIRST = 1;
const BLOCK_MAX = 256;
/** A posting: the row's place, and how often the term stands in it, weighted by field, as the bits of a float. */
const POSTING = 2;
/** Share of the table's slots that may be taken. */
const LOAD_MAX = 0.6;

/**
 * An inverted index in memory over typed arrays: it proposes the rows that hold any term of a query, best first by BM25F
 * (see `rank`), in microseconds where a full-text index on disk takes milliseconds. Rows leave by being marked; their
 * postings stay until {@link Postings.wasteful} says that it is time to build anew.
 */
export class Postings {
  // Open addressing by the term's hash: newest block of the term (0: slot is free) and rows that hold it now.
  #hashes = new Int32Array(1 << 12);
  #blocks = new Int32Array(1 << 12);
  #counts = new Int32Array(1 << 12);
  #termsKnown = 0;

  #pool = new Int32Array(1 << 14);
  #poolFloats = new Float32Array(this.#pool.buffer);
  #poolEnd = 1; // 0 means "no block"

  // The term lists themselves, one behind the other.
  #lists = new Int32Array(1 << 14);
  #listsEnd = 0;

  // By place, the order in which rows came.
  #bodies = new Int32Array(1 << 8);
  #lengths = new Int32Array(1 << 8);
  #listAt = new Int32Array(1 << 8);
  #workspaces = new Int32Array(1 << 8);
  #categories = new Int32Array(1 << 8);
  #alive = new Uint8Array(1 << 8);
  // Of the running query: scores by place, and the places that have one.
  #scores = new Float64Array(1 << 8);
  #touched = new Int32Array(1 << 8);
  #places = new Map<number, number>();
  #end = 0;

  #names = new Map<string, number>();
  #keys = new Map<string, number>();
  #rows = 0;
  #tokens = 0;

  /** Rows that are in it. */
  get rows(): number {
    return this.#rows;
  }

  /** Mean number of tokens of a row; at least 1. */
  get meanLength(): number {
    return this.#rows === 0 ? 1 : Math.max(1, this.#tokens / this.#rows);
  }

  /** Bytes of its arrays; keys and row numbers come on top, about a fifth as much. */
  get bytes(): number {
    return this.#pool.byteLength + this.#lists.byteLength + 12 * this.#hashes.length + 33 * this.#bodies.length;
  }

  /** True when more rows have left than are in it: then building it anew frees memory and time. */
  get wasteful(): boolean {
    return this.#end > 1_000 && this.#end > 2 * this.#rows;
  }

  /** Adds a row; one that is in it already stays as it is. */
  add({ body, terms, workspace, category, key }: PostedRow): void {
    if (this.#places.has(body)) return;
    if (this.#end === this.#bodies.length) this.#growRows();
    const place = this.#end++;
    this.#places.set(body, place);
    this.#bodies[place] = body;
    this.#lengths[place] = terms.length - LIST_HEAD;
    this.#listAt[place] = this.#listsEnd;
    if (this.#listsEnd + terms.length > this.#lists.length)
      this.#lists = grown(this.#lists, Math.ceil(1.5 * (this.#listsEnd + terms.length)));
    this.#lists.set(terms, this.#listsEnd);
    this.#listsEnd += terms.length;
    this.#workspaces[place] = this.#numberOf(workspace);
    this.#categories[place] = this.#numberOf(category);
    this.#alive[place] = 1;
    this.#rows += 1;
    this.#tokens += terms.length - LIST_HEAD;
    this.#keys.set(key, (this.#keys.get(key) ?? 0) + 1);
    let at = LIST_HEAD;
    for (let field = 0; field < FIELDS.length; field++) {
      const weight = FIELDS[field]?.weight ?? 0;
      for (const last = at + (terms[field] ?? 0); at < last; at++) this.#post(terms[at] ?? 0, place, weight);
    }
  }

  /** Takes a row out; `terms` must be those that it came with. */
  remove({ body, terms, key }: PostedRow): void {
    const place = this.#places.get(body);
    if (place === undefined) return;
    this.#places.delete(body);
    this.#alive[place] = 0;
    this.#rows -= 1;
    this.#tokens -= terms.length - LIST_HEAD;
    const others = (this.#keys.get(key) ?? 1) - 1;
    if (others > 0) this.#keys.set(key, others);
    else this.#keys.delete(key);
    for (const term of new Set(terms.subarray(LIST_HEAD))) {
      const slot = this.#slotOf(term);
      this.#counts[slot] = Math.max(0, (this.#counts[slot] ?? 0) - 1);
    }
  }

  /** Rows that hold the term with this (signed) hash. */
  frequency(term: number): number {
    return this.#counts[this.#slotOf(term)] ?? 0;
  }

  /** The term lists of all rows; replaced when it grows. */
  get lists(): Int32Array {
    return this.#lists;
  }

  /** Where a row's list begins in {@link lists}; undefined for one that is not in it. */
  listAt(body: number): number | undefined {
    const place = this.#places.get(body);
    return place === undefined ? undefined : this.#listAt[place];
  }

  /** Whether any row has exactly this key. */
  hasKey(key: string): boolean {
    return this.#keys.has(key);
  }

  /**
   * Numbers of at most `count` rows that hold any of the terms: those with the best scores, equal ones newest first, in no
   * order.
   */
  best(terms: Int32Array, count: number, narrow: Narrow = {}): number[] {
    // A name that no row has is numbered as none, so that nothing matches it.
    const workspace = narrow.workspace === undefined ? ANY : (this.#names.get(narrow.workspace) ?? NONE);
    const category = narrow.category === undefined ? ANY : (this.#names.get(narrow.category) ?? NONE);
    const pool = this.#pool;
    const scores = this.#scores;
    const touched = this.#touched;
    const perToken = (K1 * B) / this.meanLength;
    let found = 0;
    for (const term of terms) {
      const slot = this.#slotOf(term);
      const weight = inverseFrequency(this.#rows, this.#counts[slot] ?? 0) * (K1 + 1);
      for (let block = this.#blocks[slot] ?? 0; block !== 0; block = pool[block] ?? 0) {
        const first = block + BLOCK_HEAD;
        const end = first + POSTING * (pool[block + 2] ?? 0);
        for (let at = first; at < end; at += POSTING) {
          const place = pool[at] ?? 0;
          if (this.#alive[place] === 0) continue;
          if (workspace !== ANY && this.#workspaces[place] !== workspace) continue;
          if (category !== ANY && this.#categories[place] !== category) continue;
          const frequency = this.#poolFloats[at + 1] ?? 0;
          const score = scores[place] ?? 0;
          if (score === 0) touched[found++] = place;
          const norm = K1 * (1 - B) + perToken * (this.#lengths[place] ?? 0);
          scores[place] = score + (weight * frequency) / (frequency + norm);
        }
      }
    }
    const places = found <= count ? touched.subarray(0, found) : this.#cut(found, count);
    const bodies = Array.from(places, (place) => this.#bodies[place] ?? 0);
    for (let i = 0; i < found; i++) scores[touched[i] ?? 0] = 0;
    return bodies;
  }

  /** The places with the `count` best scores among the first `found` touched ones. */
  #cut(found: number, count: number): Int32Array {
    const touched = this.#touched.subarray(0, found);
    const scores = new Float64Array(found);
    for (let i = 0; i < found; i++) scores[i] = this.#scores[touched[i] ?? 0] ?? 0;
    const least = nthLargest(scores, count);
    const kept = new Int32Array(count);
    const equal: number[] = [];
    let above = 0;
    for (const place of touched) {
      const score = this.#scores[place] ?? 0;
      if (score > least) kept[above++] = place;
      else if (score === least) equal.push(place);
    }
    equal.sort((a, b) => (this.#bodies[b] ?? 0) - (this.#bodies[a] ?? 0));
    kept.set(equal.slice(0, count - above), above);
    return kept;
  }

  #post(term: number, place: number, weight: number): void {
    let slot = this.#slotOf(term);
    let block = this.#blocks[slot] ?? 0;
    if (block === 0) {
      if (this.#termsKnown >= LOAD_MAX * this.#hashes.length) {
        this.#growTerms();
        slot = this.#slotOf(term);
      }
      this.#termsKnown += 1;
      this.#hashes[slot] = term;
      block = this.#newBlock(0, BLOCK_FIRST);
      this.#blocks[slot] = block;
    }
    let used = this.#pool[block + 2] ?? 0;
    const last = block + BLOCK_HEAD + POSTING * (used - 1);
    if (used > 0 && this.#pool[last] === place) {
      this.#poolFloats[last + 1] = (this.#poolFloats[last + 1] ?? 0) + weight;
      return;
    }
    const room = this.#pool[block + 1] ?? 0;
    if (used === room) {
      block = this.#newBlock(block, Math.min(BLOCK_MAX, 2 * room));
      this.#blocks[slot] = block;
      used = 0;
    }
    const at = block + BLOCK_HEAD + POSTING * used;
    this.#pool[at] = place;
    this.#poolFloats[at + 1] = weight;
    this.#pool[block + 2] = used + 1;
    this.#counts[slot] = (this.#counts[slot] ?? 0) + 1;
  }

  #newBlock(older: number, room: number): number {
    const block = this.#poolEnd;
    this.#poolEnd += BLOCK_HEAD + POSTING * room;
    if (this.#poolEnd > this.#pool.length) {
      this.#pool = grown(this.#pool, Math.max(this.#poolEnd, Math.ceil(this.#pool.length * 1.5)));
      this.#poolFloats = new Float32Array(this.#pool.buffer);
    }
    this.#pool[block] = older;
    this.#pool[block + 1] = room;
    return block;
  }

  /** Where a term stands, or the free slot where it would. */
  #slotOf(term: number): number {
    const mask = this.#hashes.length - 1;
    let slot = term & mask;
    while (this.#blocks[slot] !== 0 && this.#hashes[slot] !== term) slot = (slot + 1) & mask;
    return slot;
  }

  #growTerms(): void {
    const [hashes, blocks, counts] = [this.#hashes, this.#blocks, this.#counts];
    this.#hashes = new Int32Array(2 * hashes.length);
    this.#blocks = new Int32Array(2 * hashes.length);
    this.#counts = new Int32Array(2 * hashes.length);
    for (let i = 0; i < hashes.length; i++) {
      if (blocks[i] === 0) continue;
      const slot = this.#slotOf(hashes[i] ?? 0);
      this.#hashes[slot] = hashes[i] ?? 0;
      this.#blocks[slot] = blocks[i] ?? 0;
      this.#counts[slot] = counts[i] ?? 0;
    }
  }

  #growRows(): void {
    const length = 2 * this.#bodies.length;
    this.#bodies = grown(this.#bodies, length);
    this.#lengths = grown(this.#lengths, length);
    this.#listAt = grown(this.#listAt, length);
    this.#workspaces = grown(this.#workspaces, length);
    this.#categories = grown(this.#categories, length);
    this.#touched = new Int32Array(length);
    this.#scores = new Float64Array(length);
    const alive = new Uint8Array(length);
    alive.set(this.#alive);
    this.#alive = alive;
  }

  #numberOf(name: string): number {
    let known = this.#names.get(name);
    if (known === undefined) {
      known = this.#names.size;
      this.#names.set(name, known);
    }
    return known;
  }
}

const ANY = -1;
const NONE = -2;

/** The same numbers with more room. The memory goes over, so that no copy of megabytes waits for the collector; the old array is empty. */
function grown(array: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  return new Int32Array(array.buffer.transfer(length * Int32Array.BYTES_PER_ELEMENT));
}
