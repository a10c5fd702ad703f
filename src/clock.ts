import { randomBytes } from 'node:crypto';

/** Where time and randomness enter; tests hand in their own. */
export interface Clock {
  /** Wall clock, Unix milliseconds. */
  nowMs(): number;
  /** This many random bytes. */
  randomBytes(count: number): Uint8Array;
}

/** The real clock and the real randomness. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  randomBytes: (count) => randomBytes(count),
};

/** Milliseconds of a clock that never goes back, for measuring durations. */
export function monotonicMs(): number {
  return performance.now();
}
