import { createHash } from 'node:crypto';

import { countLive } from '../engine/counting.ts';
import {
  exportedMemory,
  isUntouched,
  overlaid,
  unknownLinks,
  type Taken,
  type VaultEntry,
  type VaultFile,
} from '../engine/vault.ts';
import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { markOf, type Portable } from '../memory/portable.ts';
import { mayRead } from '../memory/scope.ts';
import { makeFolder, markdownFiles, readText, removeText, writeText } from './folder.ts';
import { renderFile } from './markdown.ts';
import { namesIn, type Names } from './names.ts';
import { understood, type ReadFile, type Vault } from './reading.ts';

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
  /** Files of memories that are not live in this store (forgotten, gone, or never had), and files put aside whose words are stored. */
  readonly stale: readonly string[];
  readonly pruned: number;
  /** Files that could not be written or read, a sentence each. */
  readonly errors: readonly string[];
}

/** Beside the folder. */
export interface ExportChoice {
  /** Remove stale files that say nothing but what this store once had, and that nobody has edited. */
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
  const files = await markdownFiles(folder);
  const names = await namesIn(
    vault,
    files.filter((name) => !ASIDE.test(name)),
  );
  const others = new Set(files);
  const counts = { exported: 0, created: 0, updated: 0, pruned: 0 };
  const named = { edited: [] as string[], aside: [] as string[], stale: [] as string[], errors: [] as string[] };
  const lookAtOther = async (name: string): Promise<void> => {
    const stale = await staleFile(vault, names, name);
    if (stale === 'other') return;
    if (!prune || stale === 'stale') {
      named.stale.push(name);
      return;
    }
    await removeText(folder, name);
    counts.pruned += 1;
  };
  const total = options.progress && (await countLive(execute, scope));
  try {
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
        const name = names.fileOf(entry.memory.id);
        others.delete(name);
        await noting(named.errors, folder, name, async () => {
          const { done, aside } = await exportOne(vault, names, name, entry);
          if (done === 'created' || done === 'updated') counts[done] += 1;
          if (done === 'edited') named.edited.push(name);
          if (aside !== undefined) named.aside.push(aside);
        });
        counts.exported += 1;
        options.progress?.(counts.exported, total);
      }
    }
    if (only === undefined)
      for (const name of others) await noting(named.errors, folder, name, () => lookAtOther(name));
  } catch (thrown) {
    named.errors.push(`Stopped after ${counts.exported} memories: ${endOf(thrown, counts.exported)}`);
  }
  return { ...counts, ...named };
}

interface Exported {
  readonly done: 'created' | 'updated' | 'unchanged' | 'edited';
  readonly aside?: string;
}

async function exportOne(vault: Vault, names: Names, name: string, stored: VaultEntry): Promise<Exported> {
  const { folder, read, overlay } = vault;
  const { row, memory: kept } = stored;
  const memory = { ...kept, usage: overlay(row, kept.usage) };
  const entry = { ...stored, memory };
  const nameOf = (id: string): string => names.fileOf(id).replace(/\.md$/, '');
  const present = await readText(folder, name, LIMITS.vaultFileMaxBytes);
  const wanted = renderFile(entry, { nameOf });
  if (present === wanted) return { done: 'unchanged' };
  if (present === null) {
    requireReadable(read, wanted, memory);
    await writeText(folder, name, wanted);
    return { done: 'created' };
  }
  // What cannot be read may be what a person has just written: it stays as it is, and is told.
  const file = await names.resolved(read(present));
  const now = markOf(memory);
  const isSame = markOf(overlaid(memory, file)) === now;
  // Who renames a note outside of Obsidian leaves links to a file that is not there.
  const isLost = file.links?.some(
    (link) => link.name !== undefined && !names.has(link.name) && link.name !== nameOf(link.targetId),
  );
  if (file.mark === now && (!isSame || isLost !== true)) return { done: isSame ? 'unchanged' : 'edited' };
  requireReadable(read, wanted, memory);
  const isOurs = isSame || isUntouched(memory, file);
  // Lines that mean nothing go along with a file that is put aside.
  const lines = isOurs ? unknownLinks(file, memory.links).flatMap(({ line }) => line ?? []) : [];
  const text = renderFile(entry, { existing: present, lines, nameOf });
  if (isOurs) {
    await writeText(folder, name, text);
    return { done: 'updated' };
  }
  const aside = asideName(name, present);
  await writeText(folder, name, text, aside);
  return { done: 'updated', aside };
}

/** Refuses to write what an import would not take, or take as something else: a store may hold more than a call may carry. */
function requireReadable(read: ReadFile, text: string, memory: Portable): void {
  const whyNot = whyNotRead(read, text, memory);
  if (whyNot === null) return;
  throw new MimirError(
    'invalid_argument',
    `not written, because no import would take it: ${whyNot} mimir export does.`,
  );
}

function whyNotRead(read: ReadFile, text: string, memory: Portable): string | null {
  if (Buffer.byteLength(text) > LIMITS.vaultFileMaxBytes) return `it has more than ${LIMITS.vaultFileMaxBytes} bytes.`;
  try {
    const file = read(text);
    const back = exportedMemory(file);
    const isWhole =
      back?.id === memory.id && markOf(back) === markOf(memory) && file.createdAtMs === memory.createdAtMs;
    return isWhole ? null : 'it would not come back as it is.';
  } catch (thrown) {
    if (thrown instanceof MimirError && thrown.kind === 'invalid') return thrown.message;
    throw thrown;
  }
}

const ASIDE = /\.conflict-[0-9a-f]{8}\.md$/;

/** Equal texts have equal names, so nothing that was put aside is ever replaced by something else. */
function asideName(name: string, text: string): string {
  const digest = createHash('sha256').update(text, 'utf8').digest('hex').slice(0, 8);
  return name.replace(/\.md$/, `.conflict-${digest}.md`);
}

/**
 * Whether a file that is no memory's own came out of a store and has no use any more; `removable`: this store had or has all that it
 * says, and nobody has edited it since.
 */
async function staleFile(vault: Vault, names: Names, name: string): Promise<'removable' | 'stale' | 'other'> {
  const { folder, read, scope, execute, options } = vault;
  const text = await readText(folder, name, LIMITS.vaultFileMaxBytes);
  const file = text === null ? null : understood(read, text);
  const memory = file === null ? null : exportedMemory(file);
  if (text === null || file === null || memory === null || !mayRead(scope, memory)) return 'other';
  const standing = await execute('vault_standing', scope, { file }, options);
  // What was put aside is named by its text, and a line that means nothing is stored nowhere.
  const isAside = name === asideName(name.replace(ASIDE, '.md'), text);
  if (standing === 'kept' && isAside && !(await names.resolved(file)).unsure?.length) return 'removable';
  if (standing === 'live' || standing === 'kept') return 'other';
  return standing === 'had' && markOf(memory) === file.mark ? 'removable' : 'stale';
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
export async function importVault(vault: Vault): Promise<ImportReport> {
  const { folder, options } = vault;
  const counts = { created: 0, updated: 0, unchanged: 0 };
  const forgotten: string[] = [];
  const keptBoth: { file: string; key: string }[] = [];
  const errors: string[] = [];
  let done = 0;
  let unknown: { name: string; links: readonly string[] }[] = [];
  const note = (name: string, one: Taken): void => {
    done += 1;
    options.progress?.(done, ordered.length);
    if (one.action === 'refused') errors.push(`${folder}/${name}: ${one.message}`);
    else if (one.action === 'forgotten') forgotten.push(name);
    else if (one.action === 'kept_both') keptBoth.push({ file: name, key: one.key });
    else counts[one.action] += 1;
  };
  const isAside = (name: string): boolean => ASIDE.test(name);
  const files = await markdownFiles(folder);
  // What was put aside comes last: in an empty store the first of two that say they are the same memory gets its key.
  const ordered = [...files.filter((one) => !isAside(one)), ...files.filter(isAside)];
  try {
    const names = await namesIn(
      vault,
      files.filter((one) => !isAside(one)),
    );
    const bring = (some: readonly string[], told: (name: string, one: Taken) => void) =>
      takeFiles(vault, names, some, errors, (name, one) => {
        told(name, one);
        if (one.unknown !== undefined) unknown.push({ name, links: one.unknown });
      });
    await bring(ordered, note);
    // What a link means may have come in behind it.
    const again = unknown.map(({ name }) => name);
    if (counts.created > 0 && again.length > 0) {
      unknown = [];
      await bring(again, () => undefined);
    }
    for (const { name, links } of unknown) errors.push(`${folder}/${name}: ${noMemory(links)}`);
  } catch (thrown) {
    errors.push(`Stopped after ${done} of ${ordered.length} files: ${endOf(thrown, done)}`);
  }
  return { ...counts, forgotten, keptBoth, errors };
}

/** Reads files and takes them into the store, some at a time; `told` hears what became of each. */
async function takeFiles(
  { folder, execute, scope, read, options }: Vault,
  { resolved }: Names,
  files: readonly string[],
  errors: string[],
  told: (name: string, one: Taken) => void,
): Promise<void> {
  let [step, chars]: [{ name: string; file: VaultFile }[], number] = [[], 0];
  const take = async (): Promise<void> => {
    if (step.length === 0) return;
    const taken = await execute('vault_take', scope, { files: step.map(({ file }) => file) }, options);
    for (const [i, one] of taken.entries()) told(step[i]?.name ?? '', one);
    [step, chars] = [[], 0];
  };
  for (const name of files) {
    await noting(errors, folder, name, async () => {
      const text = await readText(folder, name, LIMITS.vaultFileMaxBytes);
      if (text === null) return;
      const file = await resolved(read(text));
      step.push({ name, file });
      chars += file.bodyJson.length;
    });
    if (step.length >= LIMITS.vaultStepMemories || chars > LIMITS.vaultStepMaxChars) await take();
  }
  await take();
}

/** How many names of links a sentence has: each may be as long as a line. */
const UNKNOWN_NAMED = 5;
const UNKNOWN_MAX_CHARS = 100;

function noMemory(names: readonly string[]): string {
  const some = names.slice(0, UNKNOWN_NAMED).map((name) => `[[${name.slice(0, UNKNOWN_MAX_CHARS)}]]`);
  const more = names.length > some.length ? ` and ${names.length - some.length} more` : '';
  return `no note and no memory is called ${some.join(', ')}${more}; what was linked before stays linked.`;
}

/** Why it ends before its end. What was done by then stays, and has to be told; otherwise, and for what nobody foresaw, it throws. */
function endOf(thrown: unknown, done: number): string {
  const isForeseen =
    thrown instanceof MimirError &&
    (thrown.kind === 'unavailable' || thrown.code === 'cancelled' || thrown.code === 'disk_full');
  if (done === 0 || !isForeseen) throw thrown;
  return `${thrown.message} Run it again for the rest.`;
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
