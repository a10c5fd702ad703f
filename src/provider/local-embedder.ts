import { basename, dirname } from 'node:path';
import { Worker } from 'node:worker_threads';

import { errorFromData, MimirError, type ErrorData } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { checkedVectors, prefixesOf, type Embedder } from './embedder.ts';

/** To the thread of a model: texts to embed. */
export interface ToModel {
  readonly id: number;
  readonly texts: readonly string[];
}

/** From it: that it is loaded, vectors, or why not. */
export type FromModel =
  | { readonly kind: 'loaded'; readonly identity: string }
  | { readonly kind: 'vectors'; readonly id: number; readonly vectors: readonly Float32Array[] }
  | { readonly kind: 'failed'; readonly id: number | null; readonly error: ErrorData };

interface Asked {
  readonly resolve: (vectors: readonly Float32Array[]) => void;
  readonly reject: (error: Error) => void;
}

/** A thread with a loaded model: on the main thread it would stop every other request while it computes. */
class ModelThread {
  readonly loaded: Promise<string>;
  readonly #worker: Worker;
  readonly #asked = new Map<number, Asked>();
  #ids = 0;

  constructor(folder: string, onExit: () => void) {
    const url = new URL(import.meta.url.endsWith('.ts') ? './local-thread.ts' : './local-thread.js', import.meta.url);
    this.#worker = new Worker(url, { workerData: { folder } });
    this.#worker.unref();
    this.loaded = new Promise((resolve, reject) => {
      this.#worker.on('message', (message: FromModel) => {
        if (message.kind === 'loaded') resolve(message.identity);
        else if (message.kind === 'vectors') this.#settle(message.id)?.resolve(message.vectors);
        else if (message.id === null) reject(errorFromData(message.error));
        else this.#settle(message.id)?.reject(errorFromData(message.error));
      });
      this.#worker.on('error', () => undefined); // 'exit' follows and settles everybody
      this.#worker.on('exit', () => {
        const gone = new MimirError('provider_down', 'The thread of the embedding model ended.', {
          retryAfterMs: LIMITS.providerPauseMs,
        });
        reject(gone);
        for (const one of this.#asked.values()) one.reject(gone);
        this.#asked.clear();
        onExit();
      });
    });
    this.loaded.catch(() => undefined); // whoever asks is told
  }

  #settle(id: number): Asked | undefined {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    return asked;
  }

  async embed(texts: readonly string[]): Promise<readonly Float32Array[]> {
    await this.loaded;
    const id = ++this.#ids;
    return await new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      this.#worker.postMessage({ id, texts } satisfies ToModel);
    });
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}

/** A model in a folder, by transformers.js where that is installed. It is loaded when first needed, and never fetched. */
export function localEmbedder(given: string): Embedder {
  // The original is given the file itself.
  const folder = given.endsWith('.onnx') ? dirname(given).replace(/\/onnx$/, '') : given;
  // The name only: folders above it may be called anything.
  const prefixes = prefixesOf(basename(folder));
  let thread: ModelThread | null = null;
  const running = (): ModelThread => {
    const started = thread ?? new ModelThread(folder, () => (thread = null));
    thread = started;
    return started;
  };
  return {
    identity: () => running().loaded,
    storedPrefix: prefixes.stored,
    batch: LIMITS.embedBatchLocal,
    embed: async (texts, role) =>
      checkedVectors(await running().embed(texts.map((text) => prefixes[role] + text)), texts.length),
    close: async () => thread?.close(),
  };
}
