import { randomBytes } from 'node:crypto';

/** Where time and randomness enter; tests hand in their own. */
export interface Clock {
  /** Wall clock, Unix milliseconds. */
  nowMs(): number;
  /** This many random bytes. */
  randomBytes(count: number): Uint8Array;
}

// A call into the random generator costs 3 us whatever its size, and a write needs five small ones.
const POOL_BYTES = 4096;
let pool = new Uint8Array(0);
let used = 0;

function pooledRandomBytes(count: number): Uint8Array {
  if (count > POOL_BYTES) return randomBytes(count);
  if (used + count > pool.length) {
    pool = randomBytes(POOL_BYTES);
    used = 0;
  }
  used += count;
  return pool.slice(used - count, used);
}

/** The real clock and the real randomness. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  randomBytes: pooledRandomBytes,
};

/** Milliseconds of a clock that never goes back, for measuring durations. */
export function monotonicMs(): number {
  return performance.now();
}
