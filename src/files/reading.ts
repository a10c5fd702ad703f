import type { CallOptions } from '../engine/operation.ts';
import type { Execute } from '../engine/operations.ts';
import type { VaultFile } from '../engine/vault.ts';
import { MimirError } from '../errors.ts';
import type { Scope, Usage } from '../memory/types.ts';

/** Makes a memory of a file's text, or throws an `invalid` error that says what is wrong with it. */
export type ReadFile = (text: string) => VaultFile;

/** Which folder, for whom, and by what. */
export interface Vault {
  readonly folder: string;
  readonly execute: Execute;
  readonly scope: Scope;
  readonly read: ReadFile;
  readonly options: CallOptions;
  /** The usage of a row, with what is on its way to the store: files show it as answers do. */
  readonly overlay: (row: number, stored: Usage) => Usage;
}

/** What a file says; null when it cannot be understood. */
export function understood(read: ReadFile, text: string): VaultFile | null {
  try {
    return read(text);
  } catch (thrown) {
    if (thrown instanceof MimirError && thrown.kind === 'invalid') return null;
    throw thrown;
  }
}
