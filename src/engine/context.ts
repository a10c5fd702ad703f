import { LIMITS } from '../limits.ts';
import { wholeBulletOf } from '../memory/item.ts';
import type { Filters, Scope } from '../memory/types.ts';
import type { Awaitable, Item, Reader } from '../storage/store.ts';
import { hitOf, packHits, type Hit, type PackedHits } from './hits.ts';
import { emptiness } from './recall.ts';
import { search, type Meant } from './search.ts';
import { reads, type Cost } from './operation.ts';

/** Which memories a briefing shows. */
export interface ContextInput {
  /** None means all; an empty text as well. */
  readonly categories: readonly string[];
  /** Rows of each category. */
  readonly limit: number;
  /** Given: what is relevant to it, instead of the newest. */
  readonly query?: string;
  /** Given, or with a query: whole memories up to about so many tokens, instead of a line of each. */
  readonly maxTokens?: number;
  /** What "yesterday" counts from, Unix milliseconds; absent: the clock. */
  readonly nowMs?: number;
  /** Given: nearness to the query counts as well. */
  readonly meaning?: Meant;
}

/** Pinned rows, then the others; each text is a line of markdown without its moving numbers. */
export interface ContextOutput {
  readonly pinned: PackedHits;
  readonly newest: PackedHits;
  /** True when rows were left out to keep the text short. */
  readonly cut: boolean;
  readonly storeEmpty: boolean;
  /** True when each line is a whole memory, for a prompt that is kept: it says nothing that moves. */
  readonly whole: boolean;
}

/** What a line gets behind it when its numbers are filled in, and what stands around the lines. */
const LINE_END_CHARS = 64;
const FRAME_CHARS = 400;
/** What stands before a pinned memory and behind each. */
const WHOLE_END_CHARS = 16;
/** The shortest line that says anything. */
const LEAST_WHOLE_BYTES = 48;
/** A token has at least so many bytes on average in every language that was looked at: English four, Chinese about three. */
const TOKEN_BYTES = 3;
/** The important rows are looked for among so many times as many newest ones. */
const IMPORTANT_AMONG = 4;
/** Rows fetched at a time: hardly more lines fit. */
const CHUNK_MAX = 256;

/** The newest lines are a few rows; a query searches, and whole memories are read and sorted. */
function costOf({ query = '', maxTokens }: ContextInput): Cost {
  return query === '' && maxTokens === undefined ? 'point' : 'scan';
}

/** Gathers a briefing: pinned rows first, no row twice, no more than fits a prompt. */
export const context = reads<ContextInput, ContextOutput>(costOf, async (tx, scope, input) => {
  const { categories, limit, query = '', maxTokens } = input;
  const whole = query !== '' || maxTokens !== undefined;
  const budget = Math.min(LIMITS.contextMaxChars, (maxTokens ?? Infinity) * TOKEN_BYTES) - FRAME_CHARS;
  const lines = new Lines(budget, whole);
  await lines.take(LIMITS.alwaysOnMax, byTime(tx, scope, { alwaysOn: true }));
  const pinned = lines.flush();
  if (limit > 0) {
    for (const category of categories.length === 0 ? [''] : categories) {
      if (lines.full) break;
      const filters: Filters = category === '' ? {} : { category };
      if (query !== '') await lines.take(limit, await relevant(tx, scope, { ...input, query }, filters));
      else await lines.take(limit, whole ? await important(tx, scope, filters, limit) : byTime(tx, scope, filters));
    }
  }
  const newest = lines.flush();
  const nothing = pinned.length === 0 && newest.length === 0;
  return {
    pinned: packHits(pinned),
    newest: packHits(newest),
    cut: lines.cut,
    storeEmpty: nothing && (await emptiness(tx, scope)) === 'store_empty',
    whole,
  };
});

/** A source of rows, so many at a time; fewer at the end. */
type Source = (at: number, count: number) => Awaitable<readonly Item[]>;

function byTime(tx: Reader, scope: Scope, filters: Filters): Source {
  return (at, count) => tx.recent(scope, filters, count, at);
}

/** The newest rows, the more important first: an order that changes only when a memory does, so that a prompt can be kept. */
async function important(tx: Reader, scope: Scope, filters: Filters, limit: number): Promise<Source> {
  const rows = await tx.recent(scope, filters, IMPORTANT_AMONG * limit, 0);
  const sorted = rows.toSorted((a, b) => b.importance - a.importance || b.version - a.version);
  return (at, count) => sorted.slice(at, at + count);
}

async function relevant(
  tx: Reader,
  scope: Scope,
  { query, limit, nowMs, meaning }: ContextInput & { readonly query: string },
  filters: Filters,
): Promise<Source> {
  const asked = {
    query,
    filters,
    limit,
    offset: 0,
    ...(nowMs !== undefined && { nowMs }),
    ...(meaning !== undefined && { meaning }),
  };
  const found = await search(tx, scope, asked);
  return (_, count) =>
    tx.items(
      scope,
      found.take(count).map(({ body }) => body),
    );
}

/** Collects lines below the bound, each row and each twin once. */
class Lines {
  readonly #seen = new Set<string>();
  readonly #whole: boolean;
  #hits: Hit[] = [];
  #left: number;
  cut = false;

  constructor(left: number, whole: boolean) {
    this.#left = left;
    this.#whole = whole;
  }

  /** True when nothing more can be shown: a line did not fit, or no whole memory that says anything would. */
  get full(): boolean {
    return this.#whole ? this.#left < LEAST_WHOLE_BYTES : this.cut;
  }

  async take(limit: number, source: Source): Promise<void> {
    let taken = 0;
    // One fetch is enough unless rows were seen before: then it goes on behind them.
    const chunk = Math.min(CHUNK_MAX, limit + Math.min(this.#seen.size, LIMITS.alwaysOnMax));
    // A whole memory that is too long leaves room for a shorter one behind it.
    for (let at = 0; taken < limit && !this.full; at += chunk) {
      const items = await source(at, chunk);
      for (const item of items) {
        if (taken >= limit) break;
        if (this.full) {
          this.cut = true;
          return;
        }
        if (this.#add(item)) taken += 1;
      }
      if (items.length < chunk) return;
    }
  }

  #add(item: Item): boolean {
    if (this.#seen.has(item.twin)) return false;
    const line = this.#whole ? wholeBulletOf(item.json) : item.bullet;
    const size = this.#whole ? Buffer.byteLength(line) + WHOLE_END_CHARS : line.length + LINE_END_CHARS;
    if (size > this.#left) {
      this.cut = true;
      return false;
    }
    this.#seen.add(item.twin);
    this.#left -= size;
    this.#hits.push(hitOf(item, line));
    return true;
  }

  flush(): Hit[] {
    const hits = this.#hits;
    this.#hits = [];
    return hits;
  }
}
