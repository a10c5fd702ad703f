import type { ErrorData } from '../errors.ts';
import type { Access } from '../engine/operation.ts';
import type { UseNote } from '../engine/usage.ts';
import type { Scope } from '../memory/types.ts';
import type { RebuildProgress } from '../storage/store.ts';

/** What a thread is for. */
export type Role = 'writer' | 'reader';

/** Handed to a thread when it starts. */
export interface ThreadSettings {
  readonly role: Role;
  readonly path: string;
  readonly key: Uint8Array | null;
  readonly busyTimeoutMs: number;
  readonly shared: SharedArrayBuffer;
}

/** One operation to run. */
export interface Call {
  readonly id: string;
  readonly name: string;
  readonly scope: Scope;
  readonly input: unknown;
  readonly idempotencyKey?: string;
}

/** To a thread: calls of one access, in order (of `exclusive` one alone); usage to store along with them; or the end. */
export type ToThread =
  | {
      readonly kind: 'calls';
      readonly access: Access;
      readonly calls: readonly Call[];
      readonly usage: readonly UseNote[];
    }
  | { readonly kind: 'close' };

/** How a call ended, as it crosses the thread border. */
export type Answer = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: ErrorData };

/** From a thread. `answers` belong to the oldest reads that are out, in order. `prepared` comes before COMMIT; `done` without answers means that the prepared ones hold. `rebuilding` is null once there is nothing left to make anew. */
export type FromThread =
  | { readonly kind: 'open' }
  | { readonly kind: 'cannot_open'; readonly error: ErrorData }
  | { readonly kind: 'rebuilding'; readonly progress: RebuildProgress | null }
  | { readonly kind: 'answers'; readonly answers: readonly Answer[] }
  | { readonly kind: 'prepared'; readonly answers: readonly Answer[] }
  | { readonly kind: 'done'; readonly answers: readonly Answer[] | null; readonly usageStored: boolean };
