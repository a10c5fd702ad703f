import type { Item } from '../store.ts';
import type { Statements } from './driver.ts';
import type { TermFrequencies } from './frequencies.ts';

/** What the functions of one connection share. */
export interface Session {
  readonly sql: Statements;
  readonly items: ItemCache;
  /** Counts of terms kept by the writer of this process; asked only while they are complete. */
  readonly frequencies: TermFrequencies | null;
  /** Clock of the running operation, Unix milliseconds. */
  nowMs: number;
}

/** An item without what moves, and what the access rule looks at. */
export interface CachedItem extends Omit<Item, 'usage'> {
  readonly workspace: string;
  readonly visibility: string;
  readonly agentId: string;
}

/** Bytes of finished items that one connection keeps: with 16 connections this stays below 64 MiB (measured: larger ones did not speed up). */
const ITEM_CACHE_MAX_BYTES = 4 * 1024 * 1024;

/** Finished items by version number. A version never changes, so nothing is ever invalidated; the oldest entries leave. */
export class ItemCache {
  #items = new Map<number, CachedItem>();
  #bytes = 0;

  get(version: number): CachedItem | undefined {
    return this.#items.get(version);
  }

  put(item: CachedItem): void {
    this.#items.set(item.version, item);
    this.#bytes += weight(item);
    for (const [version, old] of this.#items) {
      if (this.#bytes <= ITEM_CACHE_MAX_BYTES) break;
      this.#items.delete(version);
      this.#bytes -= weight(old);
    }
  }
}

function weight(item: CachedItem): number {
  return item.json.length * 2 + item.twin.length * 2 + 400;
}
