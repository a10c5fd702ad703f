import { LIMITS } from '../limits.ts';
import { previewItem } from '../memory/item.ts';
import { NO_NOTES, strengthNow, withNotes } from '../memory/retention.ts';
import type { Noted, Scope } from '../memory/types.ts';
import type { Awaitable, Item, Reader } from '../storage/store.ts';
import { hitOf, packHits, type Hit, type PackedHits } from './hits.ts';
import { widened } from './lookup.ts';
import { reads } from './operation.ts';
import { search, type Asked, type Found } from './search.ts';

/** A search, or with a blank query a browse from the newest change on. */
export interface RecallInput extends Asked {
  /** Rows weaker than this are left out; 0 leaves out none. */
  readonly minDecay: number;
  /** Uses that the store may not know yet, for {@link minDecay}. */
  readonly noted?: Noted;
  /** Bytes shown of each body; absent: all. */
  readonly previewCap?: number;
  /** Says of each hit why it came. */
  readonly explain?: boolean;
  /** Most characters of hits; absent: as many as one answer may have. */
  readonly maxChars?: number;
}

/** Why a recall found nothing. */
export type Emptiness = 'store_empty' | 'no_match' | 'filtered_out' | 'below_floor' | 'index_behind';

/** What was found, best first. */
export interface RecallOutput {
  readonly hits: PackedHits;
  readonly empty?: Emptiness;
  /** Rows that were held back because they are too unlikely to answer; absent: none. */
  readonly below?: number;
  /** How near in meaning the best one by words is, see `Fused`; absent when words alone decided. */
  readonly agreement?: number;
  /** Given when the page was cut short because its bodies are large. */
  readonly nextOffset?: number;
}

/** Rows fetched at a time. */
const CHUNK_MAX = 256;

/** Finds memories: candidates from the index, ranked, then fetched until the page is full. */
export const recall = reads<RecallInput, RecallOutput>('scan', async (tx, scope, input) => {
  if (input.limit <= 0) return { hits: packHits([]) };
  const wanted = Math.min(CHUNK_MAX, input.offset + input.limit);
  const found = input.query.trim() === '' ? null : await search(tx, scope, input);
  const notes = new Map<number, string>();
  const page = new Page(input, tx.nowMs, notes);
  if (found === null) await fill(page, wanted, (at, count) => tx.recent(scope, input.filters, count, at));
  else {
    const fetch = (_: number, count: number): Awaitable<readonly Item[]> => {
      const rows = found.take(count);
      for (const { body, confidence } of rows) {
        const why = input.explain === true ? `,"why":${JSON.stringify(found.explain(body))}` : '';
        notes.set(body, `,"confidence":${Math.round(confidence * 1_000) / 1_000}${why}`);
      }
      return tx.items(
        scope,
        rows.map(({ body }) => body),
      );
    };
    await fill(page, wanted, fetch, found.total);
  }
  const hits = page.hits();
  const heldBack = found?.below ?? 0;
  const below = {
    ...(heldBack > 0 && { below: heldBack }),
    ...(found?.agreement !== undefined && { agreement: found.agreement }),
  };
  if (hits.length > 0 || page.cut) {
    return { hits: packHits(hits), ...below, ...(page.cut && { nextOffset: input.offset + hits.length }) };
  }
  if (input.offset === 0 && heldBack > 0) return { hits: packHits([]), ...below, empty: 'below_floor' };
  return { hits: packHits([]), ...below, empty: await whyNothing(tx, scope, input, found) };
});

/** Tells filters that leave nothing from a query that finds nothing; `found` is null for a browse. */
async function whyNothing(tx: Reader, scope: Scope, input: RecallInput, found: Found | null): Promise<Emptiness> {
  const empty = await emptiness(tx, scope);
  if (empty === 'no_match' && !(await tx.indexIsCurrent())) return 'index_behind';
  if (empty === 'store_empty' || input.offset > 0 || Object.keys(input.filters).length === 0) return empty;
  const isThere = found === null ? (await tx.recent(scope, {}, 1, 0)).length > 0 : await found.isHeld();
  return isThere ? 'filtered_out' : 'no_match';
}

/** Several searches in one snapshot. */
export interface RecallManyInput {
  readonly asked: readonly RecallInput[];
}

/** Answers each search as {@link recall} would. */
export const recallMany = reads<RecallManyInput, readonly RecallOutput[]>('scan', async (tx, scope, { asked }) => {
  const found: RecallOutput[] = [];
  // One bound for all of them: what has no room is cut, and `next_offset` says so.
  let left: number = LIMITS.answerMaxChars;
  for (const one of asked) {
    const output = await recall.run(tx, scope, { ...one, maxChars: left });
    left = Math.max(0, left - output.hits.text.length);
    found.push(output);
  }
  return found;
});

/** Tells a store in which the caller can see nothing at all from one in which nothing matched. */
export async function emptiness(tx: Reader, scope: Scope): Promise<Emptiness> {
  const all = widened(scope);
  if ((await tx.recent(all, {}, 1, 0)).length > 0) return 'no_match';
  // Rarely reached, so it may look through the archive without an index.
  return (await tx.recent(all, { includeArchived: true }, 1, 0)).length === 0 ? 'store_empty' : 'no_match';
}

/** Fetches rows in order until the page is full or there are none left. */
async function fill(
  page: Page,
  chunk: number,
  fetch: (at: number, count: number) => Awaitable<readonly Item[]>,
  length = Infinity,
): Promise<void> {
  for (let at = 0; at < length && !page.full; at += chunk) {
    const items = await fetch(at, chunk);
    for (const item of items) page.offer(item);
    // Without a known length a short answer is the end; bodies that are gone make short answers of their own.
    if (length === Infinity && items.length < chunk) return;
  }
}

interface Shown {
  readonly item: Item;
  readonly text: string;
  readonly archived: boolean;
  readonly also: { id: string; key: string }[];
}

/** What a page is made by. */
export type PageInput = Pick<
  RecallInput,
  'minDecay' | 'noted' | 'offset' | 'limit' | 'previewCap' | 'filters' | 'maxChars'
>;

/** Collects one page of different rows: twins are shown once, and the others are named beside it. */
export class Page {
  readonly #input: PageInput;
  readonly #nowMs: number;
  /** By body: what is said of a hit behind its own members. */
  readonly #notes: ReadonlyMap<number, string>;
  /** By twin; undefined stands for one that belongs to an earlier page. */
  readonly #seen = new Map<string, Shown | undefined>();
  readonly #shown: Shown[] = [];
  #chars = 0;
  full = false;
  cut = false;

  constructor(input: PageInput, nowMs: number, notes: ReadonlyMap<number, string> = new Map()) {
    this.#input = input;
    this.#nowMs = nowMs;
    this.#notes = notes;
  }

  offer(item: Item): void {
    const { minDecay, noted = NO_NOTES, offset, limit, previewCap, filters } = this.#input;
    const usage = minDecay > 0 ? withNotes(item.row, item.usage, noted) : item.usage;
    if (minDecay > 0 && strengthNow({ ...item, usage }, this.#nowMs) < minDecay) return;
    if (this.#seen.has(item.twin)) {
      const also = this.#seen.get(item.twin)?.also;
      if (also !== undefined && also.length < LIMITS.alsoMax) also.push({ id: item.id, key: item.key });
      return;
    }
    if (this.full) return;
    if (this.#seen.size < offset) {
      this.#seen.set(item.twin, undefined);
      return;
    }
    const shownJson = previewCap === undefined ? item.json : previewItem(item.json, previewCap);
    const text = shownJson + (this.#notes.get(item.body) ?? '');
    const { maxChars } = this.#input;
    const room = maxChars ?? LIMITS.answerMaxChars;
    // Alone, the first hit always fits; beside other queries only where there is room.
    if ((this.#shown.length > 0 || maxChars !== undefined) && this.#chars + text.length > room) {
      this.full = true;
      this.cut = true;
      return;
    }
    const shown: Shown = { item, text, archived: filters.includeArchived === true && isArchived(item.json), also: [] };
    this.#chars += text.length;
    this.#seen.set(item.twin, shown);
    this.#shown.push(shown);
    this.full = this.#shown.length >= limit;
  }

  hits(): Hit[] {
    return this.#shown.map(({ item, text, archived, also }) =>
      hitOf(item, also.length === 0 ? text : `${text},"also":${JSON.stringify(also)}`, archived),
    );
  }
}

function isArchived(json: string): boolean {
  const item: unknown = JSON.parse(`${json}}`);
  return typeof item === 'object' && item !== null && 'archived' in item && item.archived === true;
}
