import { LIMITS } from '../limits.ts';
import { bulletOf } from '../memory/item.ts';
import type { Filters, Scope } from '../memory/types.ts';
import type { Item, Reader } from '../storage/store.ts';
import { hitOf, packHits, type Hit, type PackedHits } from './hits.ts';
import { emptiness } from './recall.ts';
import { reads } from './operation.ts';

/** Which memories a briefing shows. */
export interface ContextInput {
  /** None means all; an empty text as well. */
  readonly categories: readonly string[];
  /** Rows of each category. */
  readonly limit: number;
}

/** Pinned rows, then the newest; each text is a line of markdown without its moving numbers. */
export interface ContextOutput {
  readonly pinned: PackedHits;
  readonly newest: PackedHits;
  /** True when rows were left out to keep the text short. */
  readonly cut: boolean;
  readonly storeEmpty: boolean;
}

/** What a line gets behind it when its numbers are filled in, and what stands around the lines. */
const LINE_END_CHARS = 64;
const FRAME_CHARS = 400;
/** Rows fetched at a time: hardly more lines fit. */
const CHUNK_MAX = 256;

/** Gathers a briefing: pinned rows first, no row twice, no more than fits a prompt. */
export const context = reads<ContextInput, ContextOutput>('point', async (tx, scope, { categories, limit }) => {
  const lines = new Lines();
  await lines.take(tx, scope, { alwaysOn: true }, LIMITS.alwaysOnMax);
  const pinned = lines.flush();
  if (limit > 0) {
    for (const category of categories.length === 0 ? [''] : categories) {
      if (lines.cut) break;
      await lines.take(tx, scope, category === '' ? {} : { category }, limit);
    }
  }
  const newest = lines.flush();
  const nothing = pinned.length === 0 && newest.length === 0;
  return {
    pinned: packHits(pinned),
    newest: packHits(newest),
    cut: lines.cut,
    storeEmpty: nothing && (await emptiness(tx, scope)) === 'store_empty',
  };
});

/** Collects lines below the bound, each row and each twin once. */
class Lines {
  readonly #seen = new Set<string>();
  #hits: Hit[] = [];
  #left: number = LIMITS.contextMaxChars - FRAME_CHARS;
  cut = false;

  async take(tx: Reader, scope: Scope, filters: Filters, limit: number): Promise<void> {
    let taken = 0;
    // One fetch is enough unless rows were seen before: then it goes on behind them.
    const chunk = Math.min(CHUNK_MAX, limit + Math.min(this.#seen.size, LIMITS.alwaysOnMax));
    for (let at = 0; taken < limit && !this.cut; at += chunk) {
      const items = await tx.recent(scope, filters, chunk, at);
      for (const item of items) {
        if (taken >= limit || this.cut) break;
        if (this.#add(item)) taken += 1;
      }
      if (items.length < chunk) return;
    }
  }

  #add(item: Item): boolean {
    if (this.#seen.has(item.twin)) return false;
    const line = bulletOf(item.json);
    if (line.length + LINE_END_CHARS > this.#left) {
      this.cut = true;
      return false;
    }
    this.#seen.add(item.twin);
    this.#left -= line.length + LINE_END_CHARS;
    this.#hits.push(hitOf(item, line));
    return true;
  }

  flush(): Hit[] {
    const hits = this.#hits;
    this.#hits = [];
    return hits;
  }
}
