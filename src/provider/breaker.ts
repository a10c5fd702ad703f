import { LIMITS } from '../limits.ts';

/**
 * Whether a model server that failed is to be asked again. After a failure it is left alone for a pause, twice as long after
 * each further one; when the pause is over, one request may try, and the others wait for how it ends. Pure: time is handed in.
 */
export class Breaker {
  #pauseMs = 0;
  #untilMs = 0;
  #trying = false;

  /** How long it is to be left alone; 0: a request may be sent. */
  pauseMs(nowMs: number): number {
    return Math.max(0, this.#untilMs - nowMs);
  }

  /** True for a request that may be sent now; the one that tries after a pause must tell how it went. */
  admits(nowMs: number): boolean {
    if (this.#pauseMs === 0) return true;
    if (this.#trying || nowMs < this.#untilMs) return false;
    this.#trying = true;
    return true;
  }

  succeeded(): void {
    this.#pauseMs = 0;
    this.#untilMs = 0;
    this.#trying = false;
  }

  /** `leastMs`: as long as the server itself asked for. Answers the pause. Requests that were out together count as one. */
  failed(nowMs: number, leastMs = 0): number {
    this.#trying = false;
    if (nowMs < this.#untilMs) return this.#untilMs - nowMs;
    const next = this.#pauseMs === 0 ? LIMITS.providerPauseMs : this.#pauseMs * 2;
    this.#pauseMs = Math.min(LIMITS.providerPauseMostMs, Math.max(next, leastMs));
    this.#untilMs = nowMs + this.#pauseMs;
    return this.#pauseMs;
  }
}
