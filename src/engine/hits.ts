import { LAYERS, layerOf, strengthNow } from '../memory/retention.ts';
import type { Layer, Usage } from '../memory/types.ts';
import type { Item } from '../storage/store.ts';

/** What a thread hands over for many hits: one text and one list of numbers, because each object costs its own copying. */
export interface PackedHits {
  /** The texts of all hits, one after the other. */
  readonly text: string;
  readonly numbers: readonly number[];
}

/** One hit: its finished text, and what the moving numbers are computed from. */
export interface Hit {
  readonly text: string;
  readonly row: number;
  readonly importance: number;
  readonly lasting: boolean;
  /** Archived rows are shown on request and not strengthened by it. */
  readonly archived: boolean;
  readonly layer: Layer;
  /** As stored; notes of the process are not in it. */
  readonly usage: Usage;
}

const STRIDE = 7;
const LASTING = 1;
const ARCHIVED = 2;

/** A hit of a stored item, with this text. */
export function hitOf(item: Item, text: string, archived = false): Hit {
  const { row, importance, lasting, layer, usage } = item;
  return { text, row, importance, lasting, archived, layer: layerOf(layer, 0), usage };
}

/** Packs hits for the way between threads. */
export function packHits(hits: readonly Hit[]): PackedHits {
  const numbers: number[] = [];
  let text = '';
  for (const hit of hits) {
    text += hit.text;
    const flags = (hit.lasting ? LASTING : 0) | (hit.archived ? ARCHIVED : 0);
    numbers.push(
      text.length,
      hit.row,
      hit.usage.count,
      hit.usage.lastAtMs,
      hit.importance,
      LAYERS.indexOf(hit.layer),
      flags,
    );
  }
  return { text, numbers };
}

/** The inverse of {@link packHits}. */
export function unpackHits({ text, numbers }: PackedHits): Hit[] {
  const hits: Hit[] = [];
  let start = 0;
  for (let i = 0; i + STRIDE <= numbers.length; i += STRIDE) {
    const end = numbers[i] ?? 0;
    const flags = numbers[i + 6] ?? 0;
    hits.push({
      text: text.slice(start, end),
      row: numbers[i + 1] ?? 0,
      importance: numbers[i + 4] ?? 0,
      lasting: (flags & LASTING) !== 0,
      archived: (flags & ARCHIVED) !== 0,
      layer: LAYERS[numbers[i + 5] ?? 0] ?? 'buffer',
      usage: { count: numbers[i + 2] ?? 0, lastAtMs: numbers[i + 3] ?? 0 },
    });
    start = end;
  }
  return hits;
}

/** The numbers of an entity that move with use and time. */
export interface Moving {
  readonly count: number;
  readonly lastAtMs: number;
  readonly layer: Layer;
  readonly strength: number;
}

/** Computes what moves, from the usage as the caller knows it. */
export function movingNumbers(
  facts: Pick<Hit, 'importance' | 'lasting' | 'layer'>,
  usage: Usage,
  nowMs: number,
): Moving {
  const { importance, lasting, layer } = facts;
  const { count, lastAtMs } = usage;
  return {
    count,
    lastAtMs,
    layer: layerOf(layer, count),
    strength: strengthNow({ importance, lasting, usage }, nowMs),
  };
}
