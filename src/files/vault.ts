import { createHash } from 'node:crypto';

import { countLive } from '../engine/counting.ts';
import type { CallOptions } from '../engine/operation.ts';
import type { Execute } from '../engine/operations.ts';
import { exportedMemory, overlaid, type VaultEntry, type VaultFile } from '../engine/vault.ts';
import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { markOf } from '../memory/portable.ts';
import { mayRead } from '../memory/scope.ts';
import type { Scope, Usage } from '../memory/types.ts';
import { makeFolder, markdownFiles, readText, removeText, renameText, writeText } from './folder.ts';
import { fileNameOf, renderFile } from './markdown.ts';

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

/** What an export did. Names are those of files in the folder. */
export interface ExportReport {
  /** Live memories that were looked at. */
  readonly exported: number;
  readonly created: number;
  readonly updated: number;
  /** Edited by hand and not imported yet: they are left as they are. */
  readonly edited: readonly string[];
  /** Edited by hand while their memory changed too: put aside under these names. */
  readonly aside: readonly string[];
  /** Files of memories that are forgotten or gone, and still there. */
  readonly stale: readonly string[];
  readonly pruned: number;
  /** Files that could not be written or read, a sentence each. */
  readonly errors: readonly string[];
}

/** Beside the folder. */
export interface ExportChoice {
  /** Remove stale files that nobody has edited. */
  readonly prune: boolean;
  /** Only memories of these ids; then nothing is called stale. */
  readonly only?: ReadonlySet<string>;
}

/**
 * Writes the live memories of the scope to a folder, a file each, in steps. What is as it was is not written again, and what a
 * person has written is never written over or removed. Throws `cannot_open` when the folder cannot be made.
 */
export async function exportVault(vault: Vault, { prune, only }: ExportChoice): Promise<ExportReport> {
  const { folder, execute, scope, options } = vault;
  await makeFolder(folder);
  const others = new Set(await markdownFiles(folder));
  const counts = { exported: 0, created: 0, updated: 0, pruned: 0 };
  const named = { edited: [] as string[], aside: [] as string[], stale: [] as string[], errors: [] as string[] };
  const total = options.progress && (await countLive(execute, scope));
  for (let afterRow: number | null = 0; afterRow !== null;) {
    const page: { entries: readonly VaultEntry[]; nextRow: number | null } = await execute(
      'vault_page',
      scope,
      { afterRow },
      options,
    );
    afterRow = page.nextRow;
    for (const entry of page.entries) {
      if (only?.has(entry.memory.id) === false) continue;
      const name = fileNameOf(entry.memory.id);
      others.delete(name);
      counts.exported += 1;
      await noting(named.errors, folder, name, async () => {
        const { done, aside } = await exportOne(vault, name, entry);
        if (done === 'created' || done === 'updated') counts[done] += 1;
        if (done === 'edited') named.edited.push(name);
        if (aside !== undefined) named.aside.push(aside);
      });
      options.progress?.(counts.exported, total);
    }
  }
  if (only === undefined) {
    for (const name of others) {
      await noting(named.errors, folder, name, async () => {
        const stale = await staleFile(vault, name);
        if (stale === null) return;
        if (prune && stale.untouched) {
          await removeText(folder, name);
          counts.pruned += 1;
        } else named.stale.push(name);
      });
    }
  }
  return { ...counts, ...named };
}

interface Exported {
  readonly done: 'created' | 'updated' | 'unchanged' | 'edited';
  readonly aside?: string;
}

async function exportOne({ folder, read, overlay }: Vault, name: string, stored: VaultEntry): Promise<Exported> {
  const { row, memory } = stored;
  const entry = { ...stored, memory: { ...memory, usage: overlay(row, memory.usage) } };
  const present = await readText(folder, name, LIMITS.vaultFileMaxBytes);
  const wanted = renderFile(entry);
  if (present === null) {
    await writeText(folder, name, wanted);
    return { done: 'created' };
  }
  if (present === wanted) return { done: 'unchanged' };
  const file = understood(read, present);
  const now = markOf(entry.memory);
  const there = file === null ? null : markOf(overlaid(entry.memory, file));
  if (file?.mark === now) return { done: there === now ? 'unchanged' : 'edited' };
  if (there !== null && (there === now || there === file?.mark)) {
    await writeText(folder, name, renderFile(entry, present));
    return { done: 'updated' };
  }
  const aside = asideName(name, present);
  await renameText(folder, name, aside);
  await writeText(folder, name, wanted);
  return { done: 'updated', aside };
}

/** What a file says; null when it cannot be understood. */
function understood(read: ReadFile, text: string): VaultFile | null {
  try {
    return read(text);
  } catch (thrown) {
    if (thrown instanceof MimirError && thrown.kind === 'invalid') return null;
    throw thrown;
  }
}

const ASIDE = /\.conflict-[0-9a-f]{8}\.md$/;

/** Equal texts have equal names, so nothing that was put aside is ever replaced by something else. */
function asideName(name: string, text: string): string {
  const digest = createHash('sha256').update(text, 'utf8').digest('hex').slice(0, 8);
  return name.replace(/\.md$/, `.conflict-${digest}.md`);
}

/** Whether a file without a live memory came out of this scope; null: it is none of our business. */
async function staleFile({ folder, read, scope }: Vault, name: string): Promise<{ untouched: boolean } | null> {
  const text = await readText(folder, name, LIMITS.vaultFileMaxBytes);
  const file = text === null ? null : understood(read, text);
  const memory = file === null ? null : exportedMemory(file);
  if (file === null || memory === null || name !== fileNameOf(memory.id) || !mayRead(scope, memory)) return null;
  return { untouched: markOf(memory) === file.mark };
}

/** What an import did. */
export interface ImportReport {
  readonly created: number;
  readonly updated: number;
  readonly unchanged: number;
  /** Files of memories that were forgotten since, and that say nothing new: they stay forgotten. */
  readonly forgotten: readonly string[];
  /** Files that say other things than their memory, which changed too: they were stored under another key. */
  readonly keptBoth: readonly { readonly file: string; readonly key: string }[];
  /** Files that were not taken in, a sentence each. */
  readonly errors: readonly string[];
}

/**
 * Reads the Markdown files of a folder into the store, in small transactions. Reading a folder again changes nothing. Throws
 * `not_found` when it is no folder.
 */
export async function importVault({ folder, execute, scope, read, options }: Vault): Promise<ImportReport> {
  const counts = { created: 0, updated: 0, unchanged: 0 };
  const forgotten: string[] = [];
  const keptBoth: { file: string; key: string }[] = [];
  const errors: string[] = [];
  let done = 0;
  let [step, chars]: [{ name: string; file: VaultFile }[], number] = [[], 0];
  const take = async (): Promise<void> => {
    const files = step.map(({ file }) => file);
    const taken = files.length === 0 ? [] : await execute('vault_take', scope, { files }, options);
    done += taken.length;
    options.progress?.(done, ordered.length);
    for (const [i, one] of taken.entries()) {
      const name = step[i]?.name ?? '';
      if (one.action === 'refused') errors.push(`${folder}/${name}: ${one.message}`);
      else if (one.action === 'forgotten') forgotten.push(name);
      else if (one.action === 'kept_both') keptBoth.push({ file: name, key: one.key });
      else counts[one.action] += 1;
    }
    [step, chars] = [[], 0];
  };
  const isAside = (name: string): boolean => ASIDE.test(name);
  const names = await markdownFiles(folder);
  // What was put aside comes last: in an empty store the first of two that say they are the same memory gets its key.
  const ordered = [...names.filter((one) => !isAside(one)), ...names.filter(isAside)];
  try {
    for (const name of ordered) {
      await noting(errors, folder, name, async () => {
        const text = await readText(folder, name, LIMITS.vaultFileMaxBytes);
        if (text === null) return;
        const file = read(text);
        step.push({ name, file });
        chars += file.bodyJson.length;
      });
      if (step.length >= LIMITS.vaultStepMemories || chars > LIMITS.vaultStepMaxChars) await take();
    }
    await take();
  } catch (thrown) {
    // What was taken in stays, and has to be told.
    if (done === 0 || !(thrown instanceof MimirError) || (thrown.kind !== 'unavailable' && thrown.code !== 'cancelled'))
      throw thrown;
    errors.push(`Stopped after ${done} of ${ordered.length} files: ${thrown.message} Run it again for the rest.`);
  }
  return { ...counts, forgotten, keptBoth, errors };
}

/** Runs what concerns one file; what is wrong with that file stops no other. */
async function noting(errors: string[], folder: string, name: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (thrown) {
    if (!(thrown instanceof MimirError) || (thrown.code !== 'cannot_open' && thrown.kind !== 'invalid')) throw thrown;
    errors.push(`${folder}/${name}: ${thrown.message}`);
  }
}
