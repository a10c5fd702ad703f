import { monotonicMs } from '../clock.ts';
import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Log } from '../log.ts';
import type { Breaker } from './breaker.ts';
import { withinMs } from './deadline.ts';
import type { Embedder } from './embedder.ts';

const isSlow = (): MimirError => new MimirError('deadline', 'The embedding model is slow.');

/** What questions need. */
export interface QuestionsParts {
  readonly embedder: Embedder;
  readonly breaker: Breaker;
  readonly log: Log;
  /** Ends everything. */
  readonly ended: AbortSignal;
}

/**
 * Vectors of questions: kept for a while, asked for once however many clients ask the same, and a few requests at a time;
 * what comes meanwhile goes with the next one. A vector that comes too late for its question is there for the next.
 */
export class Questions {
  readonly #parts: QuestionsParts;
  readonly #known = new Map<string, Float32Array>();
  /** What was asked for and has not come, by its text. */
  readonly #coming = new Map<string, PromiseWithResolvers<Float32Array>>();
  #waiting: string[] = [];
  #out = 0;

  constructor(parts: QuestionsParts) {
    this.#parts = parts;
  }

  /** A vector for each text within what is left of {@link LIMITS.questionEmbedMs}, or null. */
  async vectors(
    texts: readonly string[],
    leftMs: number = LIMITS.questionEmbedMs,
  ): Promise<readonly Float32Array[] | null> {
    const wanted = [...new Set(texts)];
    const found = new Map<string, Float32Array>();
    const coming: Promise<unknown>[] = [];
    for (const text of wanted) {
      const known = this.#known.get(text);
      if (known !== undefined) found.set(text, known);
      else coming.push(this.#ask(text).then((vector) => found.set(text, vector)));
    }
    if (coming.length > 0) {
      try {
        await withinMs(Promise.all(coming), leftMs, isSlow);
      } catch (thrown) {
        // What had to wait for something else before says nothing about how quick the model is.
        const isWhole = leftMs > LIMITS.questionEmbedMs / 2;
        if (isWhole && thrown instanceof MimirError && thrown.code === 'deadline') this.#failed(thrown);
        return null;
      }
    }
    return texts.map((text) => found.get(text) ?? new Float32Array());
  }

  #ask(text: string): Promise<Float32Array> {
    const coming = this.#coming.get(text);
    if (coming !== undefined) return coming.promise;
    if (!this.#parts.breaker.admits(monotonicMs())) {
      return Promise.reject(new MimirError('provider_down', 'The embedding model is left alone for a while.'));
    }
    const asked = Promise.withResolvers<Float32Array>();
    asked.promise.catch(() => undefined); // who still waits is told
    this.#coming.set(text, asked);
    this.#waiting.push(text);
    // In the same turn others may ask as well.
    queueMicrotask(() => this.#send());
    return asked.promise;
  }

  #send(): void {
    const { embedder, breaker, ended } = this.#parts;
    if (this.#waiting.length === 0 || this.#out >= LIMITS.questionRequestsMax) return;
    const texts = this.#waiting.splice(0, embedder.batch);
    this.#out += 1;
    embedder
      .embed(texts, 'question', ended)
      .then(
        (vectors) => {
          breaker.succeeded();
          for (const [i, text] of texts.entries()) {
            const vector = vectors[i] ?? new Float32Array();
            this.#keep(text, vector);
            this.#coming.get(text)?.resolve(vector);
          }
        },
        (thrown: unknown) => {
          this.#failed(thrown);
          for (const text of texts) this.#coming.get(text)?.reject(thrown);
        },
      )
      .finally(() => {
        for (const text of texts) this.#coming.delete(text);
        this.#out -= 1;
        this.#send();
      });
    this.#send();
  }

  #keep(text: string, vector: Float32Array): void {
    this.#known.set(text, vector);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= LIMITS.questionsKept) break;
      this.#known.delete(oldest);
    }
  }

  #failed(thrown: unknown): void {
    const { breaker, log, ended } = this.#parts;
    if (ended.aborted) return;
    const error = thrown instanceof MimirError ? thrown : null;
    const pauseMs = breaker.failed(monotonicMs(), error?.retryAfterMs);
    const said = error === null || error.code === 'bug' ? 'bug' : error.message;
    log.warn('question_not_embedded', { error: said, again_in_ms: Math.round(pauseMs) });
  }
}
