import type { Usage } from '../memory/types.ts';

/** One coalesced note: this row was used so many times, last at this moment. */
export interface UseNote {
  readonly row: number;
  readonly times: number;
  readonly atMs: number;
}

/**
 * What recalls strengthen, kept in memory until the writer takes it along: reads write nothing. A reply overlays the
 * notes of its own process. Between a flush's commit and a snapshot that was taken before it, a count can be behind by
 * that flush; nothing is ordered by it.
 */
export class UsageNotes {
  #pending = new Map<number, UseNote>();
  #flushing = new Map<number, UseNote>();

  /** Notes one use of each row. */
  note(rows: Iterable<number>, atMs: number): void {
    for (const row of rows) {
      const known = this.#pending.get(row);
      this.#pending.set(row, { row, times: (known?.times ?? 0) + 1, atMs });
    }
  }

  /** The usage as this process knows it: what is stored and what is on its way. */
  overlay(row: number, stored: Usage): Usage {
    let { count, lastAtMs } = stored;
    for (const notes of [this.#flushing, this.#pending]) {
      const note = notes.get(row);
      if (note === undefined) continue;
      count += note.times;
      lastAtMs = Math.max(lastAtMs, note.atMs);
    }
    return { count, lastAtMs };
  }

  /** All notes that are not known to be on disk. */
  all(): UseNote[] {
    return [...this.#flushing.values(), ...this.#pending.values()];
  }

  get size(): number {
    return this.#pending.size;
  }

  /** Hands over what is pending; it stays in the overlay until {@link flushed} says how it went. */
  take(): UseNote[] {
    if (this.#flushing.size > 0) return [];
    this.#flushing = this.#pending;
    this.#pending = new Map();
    return [...this.#flushing.values()];
  }

  /** The notes taken last are on disk, or (false) go back to be taken again. */
  flushed(stored: boolean): void {
    const notes = this.#flushing;
    this.#flushing = new Map();
    if (stored) return;
    for (const note of notes.values()) {
      const newer = this.#pending.get(note.row);
      this.#pending.set(note.row, newer === undefined ? note : { ...newer, times: newer.times + note.times });
    }
  }
}
