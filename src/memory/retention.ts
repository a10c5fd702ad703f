import type { Layer, Noted, Usage, UseNote } from './types.ts';

/** The layers in the order of promotion; an index into this table is how a layer crosses a thread. */
export const LAYERS = ['buffer', 'working', 'core'] as const satisfies readonly Layer[];

/** Uses after which a row counts as working knowledge, and as core knowledge: the original's steps. */
const WORKING_FROM = 5;
const CORE_FROM = 20;
/** What one use adds to the strength. */
const USE_GAIN = 0.25;
/** Unused, a strength falls to 1/e in seven days (the time constant, not the half-life, of the original). */
const FADE_MS = 7 * 24 * 60 * 60 * 1_000;

/** The layer that use has earned, never below the layer that was given; an unknown word counts as `buffer`. */
export function layerOf(base: string, count: number): Layer {
  const given = LAYERS.findIndex((layer) => layer === base);
  const earned = count >= CORE_FROM ? 2 : count >= WORKING_FROM ? 1 : 0;
  return LAYERS[Math.max(given, earned)] ?? 'buffer';
}

/** What a strength is computed from. `lasting` rows (pinned or verified) do not fade. */
export interface Retained {
  readonly importance: number;
  readonly lasting: boolean;
  readonly usage: Usage;
}

/** How strong a memory is at this moment: at most 1, rounded to six decimals. The wire calls it `decay_score`. */
export function strengthNow(retained: Retained, nowMs: number): number {
  const { importance, lasting, usage } = retained;
  const full = Math.min(1, importance + USE_GAIN * usage.count);
  const left = lasting ? 1 : Math.exp(-Math.max(0, nowMs - usage.lastAtMs) / FADE_MS);
  return Math.round(full * left * 1e6) / 1e6;
}

/** Below this strength `decay` archives: the original's threshold, reached after 21 days without use. */
export const FADED_BELOW = 0.05;

/** What is due to be archived; all that is given must hold, and nothing given is true of every row. */
export interface Due {
  /** Strength below this; true of no lasting row, because those do not fade. */
  readonly belowStrength?: number;
  /** Made at this moment or before, Unix milliseconds. */
  readonly createdUpToMs?: number;
}

/** Whether a row is due at this moment. */
export function isDue(
  row: Retained & { readonly createdAtMs: number },
  { belowStrength, createdUpToMs }: Due,
  nowMs: number,
): boolean {
  if (belowStrength !== undefined && (row.lasting || strengthNow(row, nowMs) >= belowStrength)) return false;
  return createdUpToMs === undefined || row.createdAtMs <= createdUpToMs;
}

/** No notes at all. */
export const NO_NOTES: Noted = { sent: [], kept: [] };

/**
 * A usage with a note that was sent to be stored. It counts unless what is stored is as new and has that many more: an update of
 * the memory is newer as well, and may have been stored before it.
 */
export function withSent(stored: Usage, note: UseNote): Usage {
  return stored.lastAtMs >= note.atMs && stored.count - note.seen >= note.times ? stored : withKept(stored, note);
}

/** A usage with a note that was not sent yet. */
export function withKept({ count, lastAtMs }: Usage, note: UseNote): Usage {
  return { count: count + note.times, lastAtMs: Math.max(lastAtMs, note.atMs) };
}

/** The usage of a row with the notes about it. */
export function withNotes(row: number, stored: Usage, { sent, kept }: Noted): Usage {
  let usage = stored;
  for (const note of sent) if (note.row === row) usage = withSent(usage, note);
  for (const note of kept) if (note.row === row) usage = withKept(usage, note);
  return usage;
}

/** Why upkeep archives what has faded: the original's words. */
export const FADED = 'decay threshold';

/** The same, of `mimir_cohere`; what it was below follows. */
export const FADED_BY_COHERE = 'cohere: strength below';

/** Whether a memory was archived because of its age, and not because somebody wanted it so. */
export function isFaded(archiveReason: string): boolean {
  return archiveReason === FADED || archiveReason.startsWith(FADED_BY_COHERE);
}
