import { LIMITS } from '../../limits.ts';
import { ownTokens } from '../../memory/document.ts';
import type { TermFrequencies } from './frequencies.ts';
import type { LiveRow, LiveRowSink } from './live.ts';
import { PairTable } from './pairs.ts';

/** What the writer keeps in memory about the live rows: term counts for everybody, and pairs of neighbouring tokens. */
export class Derived implements LiveRowSink {
  readonly #pairs = new PairTable();
  readonly #frequencies: TermFrequencies | null;

  constructor(frequencies: TermFrequencies | null) {
    this.#frequencies = frequencies;
  }

  clear(): void {
    if (this.#frequencies === null) return;
    this.#frequencies.complete = false;
    this.#frequencies.clear();
  }

  add({ body, tokens }: LiveRow): void {
    this.#frequencies?.count(tokens, 1);
    this.#pairs.add(body, ownTokens(tokens));
  }

  remove({ tokens }: LiveRow): void {
    this.#frequencies?.count(tokens, -1);
  }

  filled(): void {
    if (this.#frequencies !== null) this.#frequencies.complete = true;
  }

  /** Bodies worth comparing with a new one of these tokens. */
  proposals(tokens: string, count: number = LIMITS.similarCandidatesMax): number[] {
    return this.#pairs.nearest(ownTokens(tokens), count);
  }
}
