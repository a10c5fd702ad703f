import { fitting } from './fitting.ts';
import { homeOf, requireWrite } from './lookup.ts';
import { reads, writes } from './operation.ts';

/** The last moment that a date can name. */
const TIME_MAX_MS = 8_640_000_000_000_000;

/** A value and how long it is good. */
export interface StateSetInput {
  readonly key: string;
  /** Kept as it is; nobody looks whether it is JSON. */
  readonly valueJson: string;
  /** 0 and less have expired at once; absent never expires. */
  readonly ttlSeconds?: number;
}

/** When it expires. */
export interface StateSetOutput {
  readonly expiresAtMs: number | null;
}

/** Names a state key. */
export interface StateKeyInput {
  readonly key: string;
}

/** Sets a key of one workspace. */
export const stateSet = writes<StateSetInput, StateSetOutput>(async (tx, scope, { key, valueJson, ttlSeconds }) => {
  const workspace = homeOf(scope);
  requireWrite(scope, workspace);
  const expiresAtMs =
    ttlSeconds === undefined ? null : Math.min(TIME_MAX_MS, Math.max(0, tx.nowMs + Math.ceil(ttlSeconds) * 1_000));
  await tx.stateSet(scope, { workspace, key, valueJson, expiresAtMs, createdAtMs: tx.nowMs });
  return { expiresAtMs };
});

/** The value, or `null` when there is none or it has expired. */
export interface StateGetOutput {
  readonly entry: {
    readonly valueJson: string;
    readonly expiresAtMs: number | null;
    readonly createdAtMs: number;
  } | null;
}

/** Reads a key of one workspace. */
export const stateGet = reads<StateKeyInput, StateGetOutput>('point', async (tx, scope, { key }) => {
  const entry = await tx.stateGet(scope, homeOf(scope), key);
  if (entry === undefined || (entry.expiresAtMs !== null && entry.expiresAtMs < tx.nowMs)) return { entry: null };
  const { valueJson, expiresAtMs, createdAtMs } = entry;
  return { entry: { valueJson, expiresAtMs, createdAtMs } };
});

/** Whether the key was there. */
export interface StateDeleteOutput {
  readonly found: boolean;
}

/** Deletes a key of one workspace. */
export const stateDelete = writes<StateKeyInput, StateDeleteOutput>(async (tx, scope, { key }) => {
  const workspace = homeOf(scope);
  requireWrite(scope, workspace);
  return { found: await tx.stateDelete(scope, workspace, key) };
});

/** Which keys. */
export interface StateListInput {
  readonly prefix: string;
}

/** Keys in order, as many as fit an answer, and how many there are. */
export interface StateListOutput {
  readonly keys: readonly string[];
  readonly total: number;
}

/** Lists the keys that begin with a text; `%` and `_` in it mean themselves. */
export const stateList = reads<StateListInput, StateListOutput>('point', async (tx, scope, { prefix }) => {
  const keys = await tx.stateKeys(scope, prefix);
  return { keys: fitting(keys), total: keys.length };
});
