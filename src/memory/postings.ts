import { Chunks } from './chunks.ts';
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
/**
 * A posting is one number: in its upper 20 bits the row's place, in its lower 12 how often the term stands in it, weighted by
 * field, in twentieths, which all weights are whole ones of. The most that fits (204 occurrences) says: count in the row's list.
 */
const WEIGHT_BITS = 12;
/** Units of a posting's weight in an occurrence of weight 1. */
export const WEIGHT_UNIT = 20;
const WEIGHT_MAX = (1 << WEIGHT_BITS) - 1;
const PLACES_MAX = 1 << (32 - WEIGHT_BITS);
/** Pieces of 1 MiB: the list of a long body gets one of its own. */
const CHUNK_BITS = 18;
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

  readonly #blocksAt: Chunks;
  /** The term lists themselves. */
  readonly lists: Chunks;

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
  #full = false;

  /** `chunkBits` is for tests, at least 10: a block has to fit into a piece. */
  constructor(chunkBits = CHUNK_BITS) {
    this.#blocksAt = new Chunks(chunkBits);
    this.#blocksAt.reserve(1); // 0 means "no block"
    this.lists = new Chunks(chunkBits);
  }

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
    return this.#blocksAt.bytes + this.lists.bytes + 12 * this.#hashes.length + 33 * this.#bodies.length;
  }

  /** True when more rows have left than are in it: then building it anew frees memory and time. */
  get wasteful(): boolean {
    return this.#end > 1_000 && this.#end > 2 * this.#rows;
  }

  /** True when a row found no place: what is asked then would not be told of it. */
  get full(): boolean {
    return this.#full;
  }

  /** Adds a row; one that is in it already stays as it is. */
  add({ body, terms, workspace, category, key }: PostedRow): void {
    if (this.#places.has(body)) return;
    if (this.#end === PLACES_MAX) {
      this.#full = true;
      return;
    }
    if (this.#end === this.#bodies.length) this.#growRows();
    const place = this.#end++;
    this.#places.set(body, place);
    this.#bodies[place] = body;
    this.#lengths[place] = terms.length - LIST_HEAD;
    const listAt = this.lists.reserve(terms.length);
    this.lists.wordsAt(listAt).set(terms, this.lists.offsetOf(listAt));
    this.#listAt[place] = listAt;
    this.#workspaces[place] = this.#numberOf(workspace);
    this.#categories[place] = this.#numberOf(category);
    this.#alive[place] = 1;
    this.#rows += 1;
    this.#tokens += terms.length - LIST_HEAD;
    this.#keys.set(key, (this.#keys.get(key) ?? 0) + 1);
    let at = LIST_HEAD;
    for (let field = 0; field < FIELDS.length; field++) {
      const weight = Math.round((FIELDS[field]?.weight ?? 0) * WEIGHT_UNIT);
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

  /** The address of a row's list in {@link lists}; undefined for one that is not in it. */
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
    const scores = this.#scores;
    const touched = this.#touched;
    // In twentieths, as the postings are.
    const perRow = WEIGHT_UNIT * K1 * (1 - B);
    const perToken = (WEIGHT_UNIT * K1 * B) / this.meanLength;
    let found = 0;
    for (const term of terms) {
      const slot = this.#slotOf(term);
      const weight = inverseFrequency(this.#rows, this.#counts[slot] ?? 0) * (K1 + 1);
      let block = this.#blocks[slot] ?? 0;
      while (block !== 0) {
        const words = this.#blocksAt.wordsAt(block);
        const head = this.#blocksAt.offsetOf(block);
        block = words[head] ?? 0;
        const first = head + BLOCK_HEAD;
        const end = first + (words[head + 2] ?? 0);
        for (let at = first; at < end; at++) {
          const posting = words[at] ?? 0;
          const place = posting >>> WEIGHT_BITS;
          if (this.#alive[place] === 0) continue;
          if (workspace !== ANY && this.#workspaces[place] !== workspace) continue;
          if (category !== ANY && this.#categories[place] !== category) continue;
          const kept = posting & WEIGHT_MAX;
          const frequency = kept === WEIGHT_MAX ? this.#counted(term, place) : kept;
          const score = scores[place] ?? 0;
          if (score === 0) touched[found++] = place;
          const norm = perRow + perToken * (this.#lengths[place] ?? 0);
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

  /** How often a term stands in a row, in twentieths: of those few rows in which it stands more often than a posting can say. */
  #counted(term: number, place: number): number {
    const address = this.#listAt[place] ?? 0;
    const words = this.lists.wordsAt(address);
    const list = this.lists.offsetOf(address);
    let sum = 0;
    let at = list + LIST_HEAD;
    for (let field = 0; field < FIELDS.length; field++) {
      const weight = FIELDS[field]?.weight ?? 0;
      for (const end = at + (words[list + field] ?? 0); at < end; at++) if (words[at] === term) sum += weight;
    }
    return sum * WEIGHT_UNIT;
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
    const words = this.#blocksAt.wordsAt(block);
    const head = this.#blocksAt.offsetOf(block);
    const used = words[head + 2] ?? 0;
    const newest = head + BLOCK_HEAD + used - 1;
    if (used > 0 && (words[newest] ?? 0) >>> WEIGHT_BITS === place) {
      const sum = Math.min(WEIGHT_MAX, ((words[newest] ?? 0) & WEIGHT_MAX) + weight);
      words[newest] = (place << WEIGHT_BITS) | sum;
      return;
    }
    const room = words[head + 1] ?? 0;
    if (used === room) {
      block = this.#newBlock(block, Math.min(BLOCK_MAX, 2 * room));
      this.#blocks[slot] = block;
    }
    this.#append(block, (place << WEIGHT_BITS) | weight);
    this.#counts[slot] = (this.#counts[slot] ?? 0) + 1;
  }

  #append(block: number, posting: number): void {
    const words = this.#blocksAt.wordsAt(block);
    const head = this.#blocksAt.offsetOf(block);
    const used = words[head + 2] ?? 0;
    words[head + BLOCK_HEAD + used] = posting;
    words[head + 2] = used + 1;
  }

  #newBlock(older: number, room: number): number {
    const block = this.#blocksAt.reserve(BLOCK_HEAD + room);
    const words = this.#blocksAt.wordsAt(block);
    const head = this.#blocksAt.offsetOf(block);
    words[head] = older;
    words[head + 1] = room;
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

function grown(array: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(length);
  larger.set(array);
  return larger;
}
