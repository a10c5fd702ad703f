import { monotonicMs } from '../clock.ts';
import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Log } from '../log.ts';
import { Agreement } from '../memory/fusion.ts';
import type { EmbeddedBody, NearTo, Space, Unembedded } from '../memory/types.ts';
import { Breaker } from './breaker.ts';
import type { Embedder } from './embedder.ts';

/** Where vectors are kept. */
export interface VectorShelf {
  /** Makes the space of a model the current one. */
  open(model: string, dimensions: number, prefix: string): Promise<Space>;
  next(space: number, count: number): Promise<Backlog>;
  /** False: another model is the current one now. */
  put(space: number, upTo: number, vectors: readonly EmbeddedBody[]): Promise<boolean>;
}

/** What is to be embedded next. */
export interface Backlog {
  /** False: another process has begun with another model. */
  readonly current: boolean;
  readonly items: readonly Unembedded[];
  readonly upTo: number;
  readonly more: boolean;
}

/** What a server needs to search by meaning. */
export interface MeaningParts {
  readonly embedder: Embedder;
  readonly shelf: VectorShelf;
  readonly log: Log;
  /** False: nothing is embedded but what `mimir_embed` is called for, and recall goes by words. */
  readonly background: boolean;
}

/** A vector and the space it belongs to. */
export interface Embedded {
  readonly space: Space;
  readonly vector: Float32Array;
}

/** A question as recall needs it: how near rows are to it, and what that counts. */
export interface MeantQuestion {
  readonly near: NearTo;
  readonly weight: number;
}

/**
 * Embeds memories behind their writers' backs, and questions before they are asked. States: *waiting* for a nudge, the clock
 * or the end of a pause; *working* through the backlog; *replaced*, when another process has begun with another model (then
 * this one answers by words and says so); *closed*.
 */
export class Meaning {
  readonly #parts: MeaningParts;
  readonly #breaker = new Breaker();
  readonly #agreement = new Agreement();
  readonly #questions = new Map<string, Float32Array>();
  readonly #ended = new AbortController();
  #space: Space | null = null;
  #replaced = false;
  #working = false;
  #nudged = false;
  #timer: NodeJS.Timeout | null = null;
  #caughtUp = false;

  constructor(parts: MeaningParts) {
    this.#parts = parts;
  }

  /** True when recall searches by meaning unless it is asked not to. */
  get searches(): boolean {
    return this.#parts.background;
  }

  /** True when there may be memories without a vector, so that a search by meaning may miss some. */
  get behind(): boolean {
    return this.#parts.background && !this.#caughtUp;
  }

  /** There may be something new to embed. */
  nudge(): void {
    if (!this.#parts.background || this.#replaced || this.#ended.signal.aborted) return;
    this.#nudged = true;
    this.#caughtUp = false;
    if (!this.#working) this.#wake(this.#breaker.pauseMs(monotonicMs()));
  }

  #wake(afterMs: number): void {
    if (this.#ended.signal.aborted) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#work(), afterMs).unref();
  }

  async #work(): Promise<void> {
    if (this.#working) return;
    this.#working = true;
    let pauseMs: number = LIMITS.embedPollMs;
    try {
      do {
        this.#nudged = false;
        await this.#workThrough();
      } while (this.#nudged);
    } catch (thrown) {
      const error = thrown instanceof MimirError ? thrown : null;
      pauseMs = this.#breaker.failed(monotonicMs(), error?.retryAfterMs);
      if (!this.#ended.signal.aborted) {
        const mend = error?.hint === undefined ? {} : { hint: error.hint };
        this.#parts.log.warn('embedding_failed', { error: error?.message ?? 'bug', ...mend, again_in_ms: pauseMs });
      }
    }
    this.#working = false;
    if (!this.#replaced) this.#wake(pauseMs);
  }

  async #workThrough(): Promise<void> {
    const { embedder, shelf, log } = this.#parts;
    const { signal } = this.#ended;
    const space = this.#space ?? (await this.#openSpace((await embedder.embed(['size'], 'stored', signal))[0]));
    for (let more = true; more && !signal.aborted;) {
      const backlog = await shelf.next(space.id, embedder.batch);
      const vectors = await this.#embedAll(backlog.items, space);
      const kept = backlog.current && (await shelf.put(space.id, backlog.upTo, vectors));
      if (!kept) {
        this.#replaced = true;
        log.warn('embedding_replaced', { note: 'another server of this store uses another model' });
        return;
      }
      more = backlog.more;
    }
    this.#caughtUp = true;
  }

  /** Vectors of all texts that the model takes. When it refuses several at once, it may be for one of them: that one is left out. */
  async #embedAll(items: readonly Unembedded[], space: Space): Promise<EmbeddedBody[]> {
    if (items.length === 0) return [];
    const { embedder, log } = this.#parts;
    try {
      const vectors = await embedder.embed(
        items.map(({ text }) => text),
        'stored',
        this.#ended.signal,
      );
      this.#breaker.succeeded();
      return items.map(({ body }, i) => ({ body, vector: fitting(vectors[i], space) }));
    } catch (thrown) {
      const refused = thrown instanceof MimirError && thrown.code === 'provider_refused';
      if (!refused) throw thrown;
      if (items.length > 1) {
        const one: EmbeddedBody[] = [];
        for (const item of items) one.push(...(await this.#embedAll([item], space)));
        // A model that refuses every text has no quarrel with one of them.
        if (one.length === 0) throw thrown;
        return one;
      }
      log.warn('not_embedded', { id: items[0]?.id ?? '', error: thrown.message });
      return [];
    }
  }

  async #openSpace(vector: Float32Array | undefined): Promise<Space> {
    const { embedder, shelf } = this.#parts;
    const model = await embedder.identity();
    this.#space = await shelf.open(model, vector?.length ?? 0, embedder.storedPrefix);
    return this.#space;
  }

  /** Embeds a text to be stored, now. Rejects with what is wrong with the model. */
  async embed(text: string, signal?: AbortSignal): Promise<Embedded> {
    const signals = signal === undefined ? this.#ended.signal : AbortSignal.any([this.#ended.signal, signal]);
    const [vector] = await this.#parts.embedder.embed([text], 'stored', signals);
    const space = this.#space ?? (await this.#openSpace(vector));
    return { space, vector: fitting(vector, space) };
  }

  /**
   * The questions as vectors, within {@link LIMITS.questionEmbedMs}; null when that is not possible now, and the answer has
   * to go by words.
   */
  async questions(texts: readonly string[]): Promise<readonly MeantQuestion[] | null> {
    const space = this.#space;
    if (space === null || this.#replaced) return null;
    const asked = texts.map((text) => text.slice(0, LIMITS.embedTextMaxChars));
    const unknown = [...new Set(asked)].filter((text) => !this.#questions.has(text));
    if (unknown.length > 0 && !(await this.#learn(unknown, space))) return null;
    const weight = this.#agreement.weight();
    const found = asked.map((text) => this.#questions.get(text));
    for (const text of this.#questions.keys()) {
      if (this.#questions.size <= LIMITS.questionsKept) break;
      this.#questions.delete(text);
    }
    return found.map((vector) => ({ near: { space: space.id, vector: fitting(vector, space) }, weight }));
  }

  async #learn(texts: readonly string[], space: Space): Promise<boolean> {
    if (this.#breaker.pauseMs(monotonicMs()) > 0) return false;
    const deadline = AbortSignal.timeout(LIMITS.questionEmbedMs);
    const late = new Promise<never>((_, reject) => {
      deadline.addEventListener('abort', () => reject(new MimirError('provider_down', 'The embedding model is slow.')));
    });
    try {
      const embedding = this.#parts.embedder.embed(texts, 'question', AbortSignal.any([deadline, this.#ended.signal]));
      const vectors = await Promise.race([embedding, late]);
      this.#breaker.succeeded();
      for (const [i, text] of texts.entries()) this.#questions.set(text, fitting(vectors[i], space));
      return true;
    } catch (thrown) {
      const error = thrown instanceof MimirError ? thrown : null;
      const pauseMs = this.#breaker.failed(monotonicMs(), error?.retryAfterMs);
      this.#parts.log.warn('question_not_embedded', { error: error?.message ?? 'bug', again_in_ms: pauseMs });
      return false;
    }
  }

  /** Tells how near in meaning the best row by words was; a model that never agrees with the words loses its say. */
  agreed(deviations: number | undefined): void {
    if (deviations !== undefined) this.#agreement.seen(deviations);
  }

  async close(): Promise<void> {
    this.#ended.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#parts.embedder.close();
  }
}

function fitting(vector: Float32Array | undefined, { dimensions }: Space): Float32Array {
  if (vector?.length === dimensions) return vector;
  throw new MimirError(
    'provider_refused',
    `The embedding model answered ${vector?.length ?? 0} dimensions instead of ${dimensions}.`,
    { hint: 'Restart the server when the model was changed on purpose: everything is embedded anew then.' },
  );
}
