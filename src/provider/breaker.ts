import { LIMITS } from '../limits.ts';

/**
 * Whether a model server that failed is to be asked again. After a failure it is left alone for a pause, twice as long after
 * each further one; when the pause is over, one request may try. Pure: time is handed in.
 */
export class Breaker {
  #pauseMs = 0;
  #untilMs = 0;

  /** True when a request may be sent. */
  closed(nowMs: number): boolean {
    return nowMs >= this.#untilMs;
  }

  succeeded(): void {
    this.#pauseMs = 0;
    this.#untilMs = 0;
  }

  /** `leastMs`: as long as the server itself asked for. Answers the pause. */
  failed(nowMs: number, leastMs = 0): number {
    const next = this.#pauseMs === 0 ? LIMITS.providerPauseMs : this.#pauseMs * 2;
    this.#pauseMs = Math.min(LIMITS.providerPauseMostMs, Math.max(next, leastMs));
    this.#untilMs = nowMs + this.#pauseMs;
    return this.#pauseMs;
  }
}
