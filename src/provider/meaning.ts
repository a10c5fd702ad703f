import { monotonicMs } from '../clock.ts';
import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Log } from '../log.ts';
import { Agreement } from '../memory/fusion.ts';
import type { EmbeddedBody, NearTo, Space, Unembedded } from '../memory/types.ts';
import { dot } from '../memory/vector.ts';
import { Breaker } from './breaker.ts';
import { withinMs } from './deadline.ts';
import type { Embedder } from './embedder.ts';
import { Questions } from './questions.ts';
import { UNRELATED } from './unrelated.ts';

/** Where vectors are kept. */
export interface VectorShelf {
  /** Makes the space of a model the current one; unless it may take over, another model's space is an error. */
  open(model: string, dimensions: number, prefix: string, mayTakeOver: boolean): Promise<Space>;
  next(space: number, count: number): Promise<Backlog>;
  /** How many were kept; null: another model is the current one now. */
  put(space: number, upTo: number, vectors: readonly EmbeddedBody[]): Promise<number | null>;
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

/** A question as recall needs it: how near rows are to it, what that counts, and what nearness means nothing. */
export interface MeantQuestion {
  readonly near: NearTo;
  readonly weight: number;
  /** Cosines of the question with {@link UNRELATED}. */
  readonly unrelated: Float64Array;
}

/** An open space, and the vectors of {@link UNRELATED} in it. */
interface OpenSpace {
  readonly space: Space;
  readonly unrelated: readonly Float32Array[];
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
  readonly #ended = new AbortController();
  readonly #questions: Questions;
  #open: OpenSpace | null = null;
  #opening: Promise<OpenSpace> | null = null;
  /** An opening that a question has waited for in vain: the next ones do not wait as long for the same. */
  #slowOpening: Promise<OpenSpace> | null = null;
  #replaced = false;
  #working = false;
  #nudged = false;
  #timer: NodeJS.Timeout | null = null;
  #caughtUp = false;
  /** Texts sent at a time: fewer after a request that failed, because it may have been too much at once. */
  #batch: number;

  constructor(parts: MeaningParts) {
    this.#parts = parts;
    this.#batch = parts.embedder.batch;
    this.#questions = new Questions({ ...parts, breaker: this.#breaker, ended: this.#ended.signal });
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
      pauseMs = this.#pauseAfter(thrown);
    }
    this.#working = false;
    if (!this.#replaced) this.#wake(pauseMs);
  }

  /** What failed decides who is left alone: a store that is locked or full is no reason against the model. */
  #pauseAfter(thrown: unknown): number {
    const error = thrown instanceof MimirError ? thrown : null;
    const pauseMs = isOfModel(thrown)
      ? this.#breaker.failed(monotonicMs(), error?.retryAfterMs)
      : LIMITS.providerPauseMs;
    if (error?.code === 'provider_down') this.#batch = Math.max(1, this.#batch >> 1);
    if (!this.#ended.signal.aborted) {
      this.#parts.log.warn('embedding_failed', {
        error: error === null || error.code === 'bug' ? 'bug' : error.message,
        ...(error?.hint !== undefined && { hint: error.hint }),
        again_in_ms: Math.round(pauseMs),
      });
    }
    return pauseMs;
  }

  async #workThrough(): Promise<void> {
    const { shelf, log } = this.#parts;
    const { space } = await this.#opened();
    for (let more = true; more && !this.#ended.signal.aborted;) {
      const backlog = await shelf.next(space.id, this.#batch);
      more = backlog.more;
      if (backlog.current && backlog.items.length === 0) break;
      const vectors = backlog.current ? await this.#embedAll(backlog.items, space) : [];
      if (backlog.current && (await shelf.put(space.id, backlog.upTo, vectors)) !== null) {
        this.#batch = Math.min(this.#parts.embedder.batch, this.#batch * 2);
        continue;
      }
      this.#replaced = true;
      log.warn('embedding_replaced', { note: 'another server of this store uses another model' });
      return;
    }
    this.#caughtUp = true;
  }

  /** Vectors of all texts that the model takes. When it refuses several at once, it may be for one of them: that one is left out. */
  async #embedAll(items: readonly Unembedded[], space: Space): Promise<EmbeddedBody[]> {
    const { embedder, log } = this.#parts;
    const { signal } = this.#ended;
    try {
      const texts = items.map(({ text }) => text);
      const vectors = await embedder.embed(texts, 'stored', signal);
      const embedded = items.map(({ body }, i) => ({ body, vector: fitting(vectors[i], space) }));
      this.#breaker.succeeded();
      return embedded;
    } catch (thrown) {
      if (!(thrown instanceof MimirError) || !mayBeOfOneText(thrown)) throw thrown;
      if (items.length > 1) {
        const one: EmbeddedBody[] = [];
        for (const item of items) one.push(...(await this.#embedAll([item], space)));
        return one;
      }
      // A model that refuses everything has no quarrel with this text, which would be left out for good.
      fitting((await embedder.embed(UNRELATED.slice(0, 1), 'stored', signal))[0], space);
      log.warn('not_embedded', { id: items[0]?.id ?? '', error: thrown.message });
      return [];
    }
  }

  /** The space of this model; opens it with the first vectors. */
  async #opened(): Promise<OpenSpace> {
    if (this.#open !== null) return this.#open;
    const opening = (this.#opening ??= this.#openNow());
    try {
      return await opening;
    } finally {
      if (this.#opening === opening) this.#opening = null;
    }
  }

  async #openNow(): Promise<OpenSpace> {
    const { embedder, shelf, background } = this.#parts;
    const unrelated = await embedder.embed(UNRELATED, 'stored', this.#ended.signal);
    const model = await embedder.identity();
    const space = await shelf.open(model, unrelated[0]?.length ?? 0, embedder.storedPrefix, background);
    this.#open = { space, unrelated };
    return this.#open;
  }

  /** The space, if it opens in time: an agent that was just started asks before its server has opened it. */
  async #openInTime(): Promise<OpenSpace | null> {
    if (this.#opening === null) {
      if (!this.#breaker.admits(monotonicMs())) return null;
      this.#opened().then(
        () => this.#breaker.succeeded(),
        (thrown: unknown) => {
          this.#pauseAfter(thrown);
          if (!isOfModel(thrown)) this.#breaker.succeeded();
        },
      );
    }
    const opening = this.#opening;
    if (opening === null || opening === this.#slowOpening) return null;
    try {
      return await withinMs(opening, LIMITS.questionEmbedMs, isLate);
    } catch {
      // Whoever opens it tells why it failed; a late one opens for the questions after this.
      this.#slowOpening = opening;
      return null;
    }
  }

  /** Embeds a text to be stored, now. Rejects with what is wrong with the model. */
  async embed(whole: string, signal?: AbortSignal): Promise<Embedded> {
    const text = embeddable(whole);
    const { embedder, shelf, background } = this.#parts;
    const signals = signal === undefined ? this.#ended.signal : AbortSignal.any([this.#ended.signal, signal]);
    if (background) {
      const { space } = await this.#opened();
      return { space, vector: fitting((await embedder.embed([text], 'stored', signals))[0], space) };
    }
    // Nothing is asked of the model but this: it was not named for searching.
    const [vector] = await embedder.embed([text], 'stored', signals);
    const model = await embedder.identity();
    const space =
      this.#open?.space ?? (await shelf.open(model, vector?.length ?? 0, embedder.storedPrefix, background));
    this.#open ??= { space, unrelated: [] };
    return { space, vector: fitting(vector, space) };
  }

  /** Has one text embedded that is nobody's, and keeps nothing; answers the dimensions. Rejects with what is wrong with the model. */
  async probe(deadlineMs: number): Promise<number> {
    const { embedder } = this.#parts;
    const late = new AbortController();
    const [vector] = await withinMs(
      embedder.embed(UNRELATED.slice(0, 1), 'stored', AbortSignal.any([this.#ended.signal, late.signal])),
      deadlineMs,
      () => new MimirError('provider_down', `It did not answer within ${deadlineMs / 1_000} seconds.`),
    ).finally(() => late.abort());
    return vector?.length ?? 0;
  }

  /** Keeps the vector of a memory; how many were kept, 0 when the memory was changed meanwhile. */
  async keep({ space, vector }: Embedded, body: number): Promise<number> {
    const kept = await this.#parts.shelf.put(space.id, 0, [{ body, vector }]);
    if (kept !== null) return kept;
    throw new MimirError('provider_refused', 'Another server of this store uses another embedding model now.', {
      hint: 'Start all servers of a store with the same --embedding-model.',
    });
  }

  /**
   * The questions as vectors, within {@link LIMITS.questionEmbedMs}, opening the space included; null when that is not possible
   * now, and the answer has to go by words.
   */
  async questions(texts: readonly string[]): Promise<readonly MeantQuestion[] | null> {
    if (this.#replaced) return null;
    const startedMs = monotonicMs();
    const open = this.#open ?? (await this.#openInTime());
    if (open === null) return null;
    const { space, unrelated } = open;
    const vectors = await this.#questions.vectors(
      texts.map(embeddable),
      LIMITS.questionEmbedMs - (monotonicMs() - startedMs),
    );
    if (vectors === null || vectors.some(({ length }) => length !== space.dimensions)) return null;
    const weight = this.#agreement.weight();
    return vectors.map((vector) => ({
      near: { space: space.id, vector },
      weight,
      unrelated: Float64Array.from(unrelated, (one) => dot(one, vector)),
    }));
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

function isOfModel(thrown: unknown): boolean {
  return thrown instanceof MimirError && (thrown.code === 'provider_down' || thrown.code === 'provider_refused');
}

const isLate = (): MimirError => new MimirError('deadline', 'The embedding model is slow to begin.');

/** Refused, or a fault of the server itself: some answer so to a single text that is too long for them. */
function mayBeOfOneText({ code, facts }: MimirError): boolean {
  return code === 'provider_refused' || facts?.['status'] === 500;
}

/** What of a text is embedded. Half of a pair is no text, and some servers refuse it. */
function embeddable(text: string): string {
  return text.slice(0, LIMITS.embedTextMaxChars).toWellFormed();
}

function fitting(vector: Float32Array | undefined, { dimensions }: Space): Float32Array {
  if (vector?.length === dimensions) return vector;
  throw new MimirError(
    'provider_refused',
    `The embedding model answered ${vector?.length ?? 0} dimensions instead of ${dimensions}.`,
    { hint: 'Restart the server when the model was changed on purpose: everything is embedded anew then.' },
  );
}
