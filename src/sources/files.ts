import { isUtf8 } from 'node:buffer';
import type { Dirent } from 'node:fs';
import { lstat, readdir, realpath } from 'node:fs/promises';
import { extname, join } from 'node:path';

import { systemClock } from '../clock.ts';
import { MimirError } from '../errors.ts';
import type { Log } from '../log.ts';
import {
  documentKeyOf,
  type KnownPiece,
  type Reading,
  type Source,
  type SourceDocument,
  type UnchangedDocument,
} from '../memory/sourced.ts';
import { isIgnored, patterns, rulesAbove, rulesIn, type Rules } from './gitignore.ts';
import { bytesOf, reasonOf, stampOf, type FoundFile, type NotRead } from './regular.ts';
import { isInside, watchFolders, type Watched } from './watching.ts';

/** Which files are memories. Paths are absolute. */
export interface FileSettings {
  /** Folders, or files. Nothing outside of them is read, whatever links lie in them. */
  readonly paths: readonly string[];
  /** Endings with their dot, as they are written; none: every file that is text. */
  readonly extensions: readonly string[];
  /** Patterns as in a .gitignore, from each folder of `paths` on: with some, only files that fit one come in. */
  readonly include: readonly string[];
  /** Patterns of what stays outside. */
  readonly exclude: readonly string[];
  /** Whether what .gitignore files name stays outside. */
  readonly gitignore: boolean;
  readonly maxBytes: number;
  /** Whether what changes comes in by itself while a server runs. */
  readonly watch: boolean;
  /** How long after a change. */
  readonly debounceMs: number;
}

/** Folders that are never looked into, beside those whose name begins with a dot. */
const NEVER: ReadonlySet<string> = new Set(['node_modules', 'target']);

/** What a walk finds. */
interface Walk {
  readonly settings: FileSettings;
  /** Called before a folder is read. */
  readonly entered: (folder: string) => void;
  /** What could not be looked at: nothing is known about what is in there. */
  readonly unread: string[];
  readonly notes: string[];
  readonly errors: string[];
  readonly signal: AbortSignal;
}

/** A file that said what is stored, and the versions of the memories that say it. */
interface Remembered {
  readonly stamp: string;
  readonly key: string;
  readonly versions: string;
}

/** The files of some folders, in the order of their paths. One that did not change since the store was found to say the same is not read again. */
export function fileSource(settings: FileSettings, log: Log, nowMs = systemClock.nowMs): Source {
  let watched: Watched | null = null;
  let memory = new Map<string, Remembered>();
  const entered = (folder: string): void => watched?.add(folder);
  return {
    name: 'file_watcher',
    origin: 'connector:file_watcher',
    category: 'file',
    read: (known, signal) => {
      const walk = walkOf(settings, entered, signal);
      const before = memory;
      memory = new Map();
      return readingOf(
        walk,
        changedFiles(walk, { before, after: memory, known: Map.groupBy(known, documentKeyOf), nowMs }),
      );
    },
    ...(settings.watch && {
      watch: async (changed) => {
        const own = await watchFolders({ roots: settings.paths, afterMs: settings.debounceMs, changed, log });
        watched = own;
        for await (const _ of allFiles(walkOf(settings, entered, new AbortController().signal))); // entering the folders is all
        return () => {
          watched = null;
          own.close();
        };
      },
    }),
  };
}

/** The files that are there now, in the order of their paths. */
export function readFiles(
  settings: FileSettings,
  signal: AbortSignal,
): Reading & { readonly documents: AsyncIterable<SourceDocument> } {
  const walk = walkOf(settings, () => undefined, signal);
  return readingOf(walk, documentsOf(walk));
}

function walkOf(settings: FileSettings, entered: (folder: string) => void, signal: AbortSignal): Walk {
  return { settings, entered, unread: [], notes: [], errors: [], signal };
}

function readingOf<D>({ settings, unread, notes, errors }: Walk, documents: D) {
  const isGone = (path: string): boolean =>
    settings.paths.some((root) => isInside(path, root)) && !unread.some((folder) => isInside(path, folder));
  return { documents, isGone, notes, errors };
}

async function* documentsOf(walk: Walk): AsyncGenerator<SourceDocument> {
  for await (const file of eachOnce(walk)) {
    const document = await documentAt(walk, file);
    if (document !== null) yield document;
  }
}

/** How long ago a file must have been written to be known by its times: some file systems count them in two seconds. */
const SETTLED_MS = 2_100;

async function* changedFiles(
  walk: Walk,
  {
    before,
    after,
    known,
    nowMs,
  }: {
    readonly before: ReadonlyMap<string, Remembered>;
    readonly after: Map<string, Remembered>;
    /** By the keys of their documents. */
    readonly known: ReadonlyMap<string, readonly KnownPiece[]>;
    readonly nowMs: () => number;
  },
): AsyncGenerator<SourceDocument | UnchangedDocument> {
  for await (const file of eachOnce(walk)) {
    const { path } = file;
    // Before it is read: what is written meanwhile has another one.
    const stamp = await stampOf(file, nowMs() - SETTLED_MS);
    const old = before.get(path);
    if (old !== undefined && old.stamp === stamp && old.versions === versionsOf(known.get(old.key))) {
      after.set(path, old);
      yield { key: old.key, path };
      continue;
    }
    const document = await documentAt(walk, file);
    if (document === null) continue;
    const stored = (key: string, pieces: readonly KnownPiece[]): void => {
      if (stamp !== null) after.set(path, { stamp, key, versions: versionsOf(pieces) });
    };
    yield { ...document, stored };
  }
}

function versionsOf(pieces: readonly KnownPiece[] = []): string {
  return pieces.map(({ version }) => version).join();
}

async function* eachOnce(walk: Walk): AsyncGenerator<FoundFile> {
  const done = new Set<string>();
  for await (const file of allFiles(walk)) {
    if (walk.signal.aborted) throw new MimirError('cancelled', 'The request was cancelled.');
    if (!done.has(file.path)) yield file;
    done.add(file.path);
  }
}

/** A file as a document; null for what is none. */
async function documentAt({ settings, unread, notes }: Walk, file: FoundFile): Promise<SourceDocument | null> {
  const read = await readText(file, settings.maxBytes);
  if (typeof read === 'string') return fileDocument(file.path, read);
  unread.push(file.path);
  const isExpected = read.note === NO_TEXT && settings.extensions.length === 0;
  if (read.note !== null && !isExpected) notes.push(`${file.path}: ${read.note}`);
  return null;
}

/** The key of a file, which is the original's: its path with `-` for each slash. */
export function fileKey(path: string): string {
  return path.replace(/[/\\]/g, '-');
}

/** A file as a document: key, tags and body are the original's. */
function fileDocument(path: string, text: string): SourceDocument {
  const ending = extname(path).slice(1);
  return {
    key: fileKey(path),
    path,
    text,
    textMember: 'content',
    meta: { path },
    tags: ending === '' ? [] : [`ext:${ending}`],
  };
}

async function* allFiles(walk: Walk): AsyncGenerator<FoundFile> {
  const { settings, unread, errors } = walk;
  const fits = matcherOf(settings);
  for (const root of settings.paths) {
    let real: string;
    let isFolder: boolean;
    let rules: readonly Rules[] = [];
    try {
      real = await realpath(root);
      isFolder = (await lstat(real)).isDirectory();
      if (isFolder && settings.gitignore) rules = await rulesAbove(real);
    } catch (thrown) {
      // A disk that is not mounted is no reason to forget what is on it.
      unread.push(root);
      errors.push(`${root}: ${reasonOf(thrown)}`);
      continue;
    }
    if (isFolder) yield* filesIn(walk, { path: root, real, within: '' }, rules, fits);
    else yield { path: root, realPath: real };
  }
}

/** Whether a path below a root belongs to what was asked for. Folders are asked about with a slash at the end. */
type Fits = (within: string, isFolder: boolean) => boolean;

function matcherOf({ extensions, include, exclude }: FileSettings): Fits {
  const [wanted, unwanted] = [patterns(include), patterns(exclude)];
  return (within, isFolder) => {
    if (unwanted.ignores(isFolder ? `${within}/` : within)) return false;
    if (isFolder) return true;
    if (include.length > 0 && !wanted.ignores(within)) return false;
    return extensions.length === 0 || extensions.includes(extname(within));
  };
}

interface Folder {
  readonly path: string;
  readonly real: string;
  /** From its root on, with slashes; empty for the root. */
  readonly within: string;
}

async function* filesIn(walk: Walk, folder: Folder, above: readonly Rules[], fits: Fits): AsyncGenerator<FoundFile> {
  const { settings, entered, unread, notes, signal } = walk;
  if (signal.aborted) throw new MimirError('cancelled', 'The request was cancelled.');
  // Before it is read: what is made after that is told by the watcher.
  entered(folder.path);
  let entries: Dirent[];
  let own: Rules | null;
  try {
    // A folder that was exchanged for a link since it was found.
    if ((await realpath(folder.path)) !== folder.real) throw new MimirError('forbidden', 'leads out of the folder');
    entries = await readdir(folder.path, { withFileTypes: true });
    own = settings.gitignore ? await rulesIn(folder.real) : null;
  } catch (thrown) {
    unread.push(folder.path);
    notes.push(`${folder.path}: ${reasonOf(thrown)}`);
    return;
  }
  const rules = own === null ? above : [...above, own];
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const { name } = entry;
    const [path, real] = [join(folder.path, name), join(folder.real, name)];
    const within = folder.within === '' ? name : `${folder.within}/${name}`;
    // Links are not followed: what they lead to inside is found without them, and what is outside is not allowed.
    const isFolder = entry.isDirectory();
    if (!isFolder && !entry.isFile()) continue;
    if (isFolder && (name.startsWith('.') || NEVER.has(name))) continue;
    if (!fits(within, isFolder) || isIgnored(rules, real, isFolder)) continue;
    if (isFolder) yield* filesIn(walk, { path, real, within }, rules, fits);
    else yield { path, realPath: real };
  }
}

/** Why a file is not read that has no text; not worth a word where all kinds of files are looked at. */
const NO_TEXT = 'is no text in UTF-8';

/** The text of a file, or why it is not read. */
async function readText(file: FoundFile, maxBytes: number): Promise<string | NotRead> {
  const bytes = await bytesOf(file, maxBytes);
  if (!Buffer.isBuffer(bytes)) return bytes;
  return bytes.includes(0) || !isUtf8(bytes) ? { note: NO_TEXT } : new TextDecoder().decode(bytes);
}
