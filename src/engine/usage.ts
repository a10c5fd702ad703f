import { withKept, withSent } from '../memory/retention.ts';
import type { Noted, Usage, UseNote } from '../memory/types.ts';

/** What the pool carries to the writer. */
export type { UseNote };

/**
 * What recalls strengthen, kept in memory until the writer takes it along: reads write nothing. A reply overlays the
 * notes of its own process; nothing is ordered by them.
 */
export class UsageNotes {
  #pending = new Map<number, UseNote>();
  #flushing = new Map<number, UseNote>();
  /** On disk, but not yet in a snapshot that was taken before. */
  #flushed = new Map<number, UseNote>();
  readonly #onNote: () => void;

  /** `onNote` is called whenever there is something to store. */
  constructor(onNote: () => void = () => undefined) {
    this.#onNote = onNote;
  }

  /** Notes one use of each row; with each stands the count that was stored when it was read. */
  note(rows: ReadonlyMap<number, number>, atMs: number): void {
    for (const [row, stored] of rows) {
      const { times, seen } = this.#pending.get(row) ?? { times: 0, seen: stored };
      this.#pending.set(row, { row, times: times + 1, atMs, seen });
    }
    this.#onNote();
  }

  /** The usage as this process knows it: what is stored and what is on its way. */
  overlay(row: number, stored: Usage): Usage {
    const [first, second, kept] = [this.#flushed.get(row), this.#flushing.get(row), this.#pending.get(row)];
    let usage = stored;
    if (first !== undefined) usage = withSent(usage, first);
    if (second !== undefined) usage = withSent(usage, second);
    return kept === undefined ? usage : withKept(usage, kept);
  }

  /** All notes, for an operation that needs the numbers where it runs. */
  noted(): Noted {
    return { sent: [...this.#flushed.values(), ...this.#flushing.values()], kept: [...this.#pending.values()] };
  }

  get size(): number {
    return this.#pending.size;
  }

  /** Hands over what is pending; it stays in the overlay until {@link flushed} says how it went. */
  take(): UseNote[] {
    if (this.#flushing.size > 0) return [];
    this.#flushing = this.#pending;
    this.#flushed = new Map();
    this.#pending = new Map();
    return [...this.#flushing.values()];
  }

  /** The notes taken last are on disk, or (false) go back to be taken again. */
  flushed(stored: boolean): void {
    const notes = this.#flushing;
    this.#flushing = new Map();
    if (stored) {
      this.#flushed = notes;
      return;
    }
    for (const note of notes.values()) {
      const newer = this.#pending.get(note.row);
      this.#pending.set(
        note.row,
        newer === undefined ? note : { ...newer, times: newer.times + note.times, seen: note.seen },
      );
    }
  }
}
