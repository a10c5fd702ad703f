import type { VocabularyWord } from '../../memory/near.ts';
import type { Item } from '../store.ts';
import type { Connection, Statements } from './driver.ts';
import type { TermFrequencies } from './frequencies.ts';
import type { RamIndex } from './ram-index.ts';
import type { VectorIndex } from './vector-index.ts';

/** What the functions of one connection share. */
export interface Session {
  readonly sql: Statements;
  readonly items: ItemCache;
  readonly terms: TermArena;
  /** The operation that made lists anew last, as far as `terms` knows. */
  repackedSeq: number;
  /** Counts of terms kept by the writer of this process; asked only while they are complete. */
  readonly frequencies: TermFrequencies | null;
  /** The live rows in memory; only on connections that search much. */
  readonly ram: RamIndex | null;
  /** Vectors in memory, filled by the questions that need them. */
  readonly vectors: VectorIndex;
  /** Size of the text index in this snapshot, once it was read; kept on reading connections only. */
  indexSize: { readonly rows: number; readonly tokens: number } | null;
  /** Answers of browses, kept until somebody else commits; none on the writing connection, whose own commits would not show. */
  readonly browses: Map<string, readonly Item[]> | null;
  /** What `Reader.vocabulary` answered for a term, kept as long as `browses`. */
  readonly spellings: Map<string, readonly VocabularyWord[]> | null;
  /** Clock of the running operation, Unix milliseconds. */
  nowMs: number;
}

/** Makes the words of the live index readable on a connection that has no such table yet. */
export function showVocabulary(db: Connection): void {
  db.exec('CREATE VIRTUAL TABLE IF NOT EXISTS temp.vocabulary USING fts5vocab(main, text, col)');
}

/** A body's text never changes, but its lists are made anew when what stood before it was purged: then the kept ones are dropped. */
export function dropRepacked(s: Session): void {
  const seq =
    s.sql.get<{ seq: number }>(`SELECT seq FROM changes WHERE kind = 'repacked' ORDER BY seq DESC LIMIT 1`)?.seq ?? 0;
  if (seq !== s.repackedSeq) s.terms.clear();
  s.repackedSeq = seq;
}

/** An item without what moves, and what the access rule looks at. */
export interface CachedItem extends Omit<Item, 'usage'> {
  readonly workspace: string;
  readonly visibility: string;
  readonly agentId: string;
}

/** Bytes of finished items that a connection keeps which searches: with fewer most hits of 10,000 rows are made anew. */
export const ITEMS_SEARCHED_MAX_BYTES = 12 * 1024 * 1024;
/** The same for the other connections, which mostly show the newest rows. */
export const ITEMS_SHOWN_MAX_BYTES = 4 * 1024 * 1024;

/** Finished items by version number. A version never changes, so nothing is ever invalidated; the oldest entries leave. */
export class ItemCache {
  readonly #maxBytes: number;
  #items = new Map<number, CachedItem>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get(version: number): CachedItem | undefined {
    return this.#items.get(version);
  }

  put(item: CachedItem): void {
    this.#items.set(item.version, item);
    this.#bytes += weight(item);
    for (const [version, old] of this.#items) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#items.delete(version);
      this.#bytes -= weight(old);
    }
  }
}

/** Most texts take one byte a character in memory, some two. */
function weight(item: CachedItem): number {
  return Math.ceil((item.json.length + item.twin.length + item.bullet.length) * 1.2) + 400;
}

/** Words of the arena, 4 MiB: the term lists of about 20,000 bodies of 50 words. */
const ARENA_WORDS = 1 << 20;

/** Term lists by body number, side by side in one array: no garbage to collect. When full it starts anew. */
export class TermArena {
  /** Replaced when full, so lists that a running query holds stay as they are. */
  words = new Int32Array(0);
  #offsets = new Map<number, number>();
  #end = 0;

  /** Forgets all lists; a running query keeps those that it holds. */
  clear(): void {
    this.words = new Int32Array(0);
    this.#offsets.clear();
    this.#end = 0;
  }

  /** Where the list of a body begins, or undefined. */
  offsetOf(body: number): number | undefined {
    return this.#offsets.get(body);
  }

  /** Copies a stored list in; undefined when it is too long to be worth it. */
  put(body: number, stored: Uint8Array): number | undefined {
    const length = stored.byteLength / 4;
    if (length > ARENA_WORDS / 16) return undefined;
    // The first list makes the arena as well: a connection that ranks nothing needs none.
    if (this.#end + length > this.words.length) {
      this.words = new Int32Array(ARENA_WORDS);
      this.#offsets.clear();
      this.#end = 0;
    }
    const offset = this.#end;
    new Uint8Array(this.words.buffer, offset * 4, stored.byteLength).set(stored);
    this.#offsets.set(body, offset);
    this.#end += length;
    return offset;
  }
}
