import type { Scope, TellProgress } from '../memory/types.ts';
import type { Exclusive, Reader, Writer } from '../storage/store.ts';

/** What an operation needs: a reading connection, the writing one, or that for itself, outside a transaction. */
export type Access = 'read' | 'write' | 'exclusive';

/** `point` reads a few rows by key and runs on the main thread; `scan` may take longer and goes to a reader thread. */
export type Cost = 'point' | 'scan';

/** An operation that only reads. */
export interface ReadOperation<I, O> {
  readonly access: 'read';
  readonly cost: (input: I) => Cost;
  /** `progress` is there where somebody watches, see {@link CallOptions}. */
  readonly run: (tx: Reader, scope: Scope, input: I, progress?: TellProgress) => Promise<O>;
}

/** An operation that writes; it is one transaction. */
export interface WriteOperation<I, O> {
  readonly access: 'write';
  readonly run: (tx: Writer, scope: Scope, input: I) => Promise<O>;
}

/** An operation that runs alone on the writing connection, outside a transaction. */
export interface ExclusiveOperation<I, O> {
  readonly access: 'exclusive';
  readonly run: (store: Exclusive, scope: Scope, input: I) => Promise<O>;
}

/** Declares a reading operation; keeps its types. */
export function reads<I, O>(cost: Cost | ((input: I) => Cost), run: ReadOperation<I, O>['run']): ReadOperation<I, O> {
  return { access: 'read', cost: typeof cost === 'function' ? cost : () => cost, run };
}

/** Declares a writing operation; keeps its types. */
export function writes<I, O>(run: WriteOperation<I, O>['run']): WriteOperation<I, O> {
  return { access: 'write', run };
}

/** Declares an operation that runs alone; keeps its types. */
export function runsAlone<I, O>(run: ExclusiveOperation<I, O>['run']): ExclusiveOperation<I, O> {
  return { access: 'exclusive', run };
}

/** How a call is to be carried out. */
export interface CallOptions {
  /** Aborting takes the call out of its queue; a started write still ends. */
  readonly signal?: AbortSignal;
  /** A retry with the same key and the same request answers what the first try answered. */
  readonly idempotencyKey?: string;
  /**
   * Hears how far it has come: of what is done in several operations from whoever carries them out, of one long read from the
   * operation itself.
   */
  readonly progress?: TellProgress;
}
