import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { EmbeddedBody, Filters, Space, Unembedded } from '../memory/types.ts';
import { findNamed, requireWrite } from './lookup.ts';
import { reads, writes } from './operation.ts';
import type { NoInput } from './status.ts';

/** A model whose vectors are to be kept. */
export interface EmbeddingOpenInput {
  readonly model: string;
  readonly dimensions: number;
  readonly prefix: string;
  /** False: another model's space stays, and this is refused. */
  readonly mayTakeOver: boolean;
}

/** Makes the space of a model the current one. */
export const embeddingOpen = writes<EmbeddingOpenInput, Space>(async (tx, _scope, input) => {
  const { model, dimensions, prefix, mayTakeOver } = input;
  const current = await tx.space();
  const same = current?.model === model && current.dimensions === dimensions && current.prefix === prefix;
  if (current !== undefined && !same && !mayTakeOver) {
    throw new MimirError('exists', 'The vectors of this store are of another embedding model.', {
      hint: 'Start the server with --embedding-model to begin anew with this one.',
    });
  }
  return tx.openSpace(model, dimensions, prefix);
});

/** Which part of the backlog. */
export interface EmbeddingNextInput {
  readonly space: number;
  readonly count: number;
}

/** What is to be embedded next. */
export interface EmbeddingNextOutput {
  /** False: another process has begun with another model. */
  readonly current: boolean;
  readonly items: readonly Unembedded[];
  /** With these, all bodies up to this number have had their turn. */
  readonly upTo: number;
  /** False: there is nothing behind them. */
  readonly more: boolean;
}

/** Reads what is to be embedded next. It is the number of the last body that had its turn which is kept, and no list. */
export const embeddingNext = reads<EmbeddingNextInput, EmbeddingNextOutput>('scan', async (tx, scope, asked) => {
  const [current, { done, last }] = [await tx.space(), await tx.embedding()];
  if (current?.id !== asked.space) return { current: false, items: [], upTo: 0, more: false };
  if (done >= last) return { current: true, items: [], upTo: last, more: false };
  const items = await tx.unembedded(scope, { includeArchived: true }, asked.space, done, asked.count);
  const more = items.length === asked.count;
  return { current: true, items, upTo: more ? (items.at(-1)?.body ?? last) : last, more };
});

/** Vectors, and how far the backlog has come with them. */
export interface EmbeddingPutInput {
  readonly space: number;
  /** 0 when they are not of the backlog. */
  readonly upTo: number;
  readonly vectors: readonly EmbeddedBody[];
}

/** Keeps vectors; answers how many, or null when another model is current now. */
export const embeddingPut = writes<EmbeddingPutInput, number | null>(async (tx, _scope, { space, upTo, vectors }) =>
  tx.putVectors(space, upTo, vectors),
);

/** Memories that somebody wants embedded now: one by its name, or those of a category that have no vector. */
export type EmbeddingTextsInput = { readonly space: number } & (
  | { readonly category: string; readonly key: string }
  | { readonly category: string; readonly limit: number }
);

/** Reads their texts. */
export const embeddingTexts = reads<EmbeddingTextsInput, readonly Unembedded[]>('scan', async (tx, scope, asked) => {
  if ('key' in asked) {
    const entity = await findNamed(tx, scope, asked.category, asked.key);
    if (entity === undefined) {
      throw new MimirError('not_found', 'Entity not found: there is none with this `category` and `key`.');
    }
    requireWrite(scope, entity.workspace);
    return [{ id: entity.id, body: entity.body, text: await tx.meaningText(entity) }];
  }
  const filters: Filters = { category: asked.category };
  const limit = Math.min(asked.limit, LIMITS.embedManyMax);
  return limit === 0 ? [] : tx.unembedded(scope, filters, asked.space, 0, limit);
});

/** How far embedding is. */
export interface EmbeddingStatusOutput {
  /** Number of the current space; 0 when there is none. */
  readonly space: number;
  readonly model: string | null;
  readonly dimensions: number;
  readonly embedded: number;
  /** Memories that have not had their turn, at most. */
  readonly waiting: number;
}

/** Counts vectors and what waits for one. */
export const embeddingStatus = reads<NoInput, EmbeddingStatusOutput>('point', async (tx) => {
  const [current, { done, last, embedded, memories }] = [await tx.space(), await tx.embedding()];
  return {
    space: current?.id ?? 0,
    model: current?.model ?? null,
    dimensions: current?.dimensions ?? 0,
    embedded,
    // Each bound alone is too high: bodies that are not current have numbers too, and some memories have had their turn in vain.
    waiting: Math.min(last - done, memories - embedded),
  };
});
