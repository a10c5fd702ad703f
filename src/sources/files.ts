import { isUtf8 } from 'node:buffer';
import { watch, type Dirent, type FSWatcher } from 'node:fs';
import { lstat, readdir, realpath } from 'node:fs/promises';
import { extname, join, sep } from 'node:path';

import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Log } from '../log.ts';
import type { Reading, Source, SourceDocument } from '../memory/sourced.ts';
import { isIgnored, patterns, rulesAbove, rulesIn, type Rules } from './gitignore.ts';
import { bytesOf, reasonOf, type FoundFile, type NotRead } from './regular.ts';

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
  readonly signal: AbortSignal;
}

/** The files of some folders, in the order of their paths. */
export function fileSource(settings: FileSettings, log: Log): Source {
  let watched: Watched | null = null;
  const entered = (folder: string): void => watched?.add(folder);
  return {
    name: 'file_watcher',
    origin: 'connector:file_watcher',
    category: 'file',
    read: (_known, signal) => readFiles(settings, entered, signal),
    ...(settings.watch && {
      watch: async (changed) => {
        const own = watchFolders(settings.debounceMs, changed, log);
        watched = own;
        const walk: Walk = { settings, entered, unread: [], notes: [], signal: new AbortController().signal };
        for await (const _ of allFiles(walk)); // entering the folders is all
        return () => {
          watched = null;
          own.close();
        };
      },
    }),
  };
}

/** The files that are there now, in the order of their paths; `entered` is called before a folder is read. */
export function readFiles(settings: FileSettings, entered: (folder: string) => void, signal: AbortSignal): Reading {
  const walk: Walk = { settings, entered, unread: [], notes: [], signal };
  const inside = (path: string, folder: string): boolean =>
    path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
  return {
    documents: documentsOf(walk),
    isGone: (path) =>
      settings.paths.some((root) => inside(path, root)) && !walk.unread.some((folder) => inside(path, folder)),
    notes: walk.notes,
    errors: [],
  };
}

async function* documentsOf(walk: Walk): AsyncGenerator<SourceDocument> {
  const { settings, unread, notes, signal } = walk;
  const done = new Set<string>();
  for await (const file of allFiles(walk)) {
    if (signal.aborted) throw new MimirError('cancelled', 'The request was cancelled.');
    if (done.has(file.path)) continue;
    done.add(file.path);
    const read = await readText(file, settings.maxBytes);
    if (typeof read === 'string') yield fileDocument(file.path, read);
    else {
      unread.push(file.path);
      const isExpected = read.note === NO_TEXT && settings.extensions.length === 0;
      if (read.note !== null && !isExpected) notes.push(`${file.path}: ${read.note}`);
    }
  }
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
  const { settings, unread, notes } = walk;
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
      notes.push(`${root}: ${reasonOf(thrown)}`);
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

interface Watched {
  readonly add: (folder: string) => void;
  readonly close: () => void;
}

/**
 * Watches folders, each by itself: the system's recursive watching would go into those that are never read. Calls back once
 * so long after the first of several changes; what comes later is the next call.
 */
function watchFolders(afterMs: number, changed: () => void, log: Log): Watched {
  const watchers = new Map<string, FSWatcher>();
  let timer: NodeJS.Timeout | null = null;
  const soon = (): void => {
    timer ??= setTimeout(() => {
      timer = null;
      changed();
    }, afterMs).unref();
  };
  const drop = (folder: string): void => {
    watchers.get(folder)?.close();
    watchers.delete(folder);
  };
  return {
    add: (folder) => {
      if (watchers.has(folder)) return;
      try {
        if (watchers.size >= LIMITS.watchedFoldersMax) throw new Error('too many folders');
        const watcher = watch(folder, { persistent: false });
        watchers.set(folder, watcher);
        watcher.on('change', (type) => {
          // A folder that was removed, or exchanged under its name, is found again when the one above is read.
          if (type === 'rename') drop(folder);
          soon();
        });
        watcher.on('error', () => {
          drop(folder);
          soon();
        });
      } catch (thrown) {
        log.warn('not_watched', { folder, reason: reasonOf(thrown) });
      }
    },
    close: () => {
      if (timer !== null) clearTimeout(timer);
      for (const folder of watchers.keys()) drop(folder);
    },
  };
}
