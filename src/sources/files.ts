import { constants, watch, type Dirent, type FSWatcher } from 'node:fs';
import { lstat, open, readdir, realpath } from 'node:fs/promises';
import { basename, dirname, extname, join, sep } from 'node:path';

import ignore, { type Ignore } from 'ignore';

import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Log } from '../log.ts';
import type { Reading, Source, SourceDocument } from '../memory/sourced.ts';

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

/** A rule file and the folder it is about. */
interface Rules {
  readonly folder: string;
  readonly rules: Ignore;
}

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

interface FoundFile {
  readonly path: string;
  /** Where it must really be, so that no link leads out of the folder that was allowed. */
  readonly realPath: string;
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
    try {
      real = await realpath(root);
      isFolder = (await lstat(real)).isDirectory();
    } catch (thrown) {
      // A disk that is not mounted is no reason to forget what is on it.
      unread.push(root);
      notes.push(`${root}: ${reasonOf(thrown)}`);
      continue;
    }
    if (isFolder) {
      const rules = settings.gitignore ? await rulesAbove(real) : [];
      yield* filesIn(walk, { path: root, real, within: '' }, rules, fits);
    } else yield { path: root, realPath: real };
  }
}

/** Whether a path below a root belongs to what was asked for. Folders are asked about with a slash at the end. */
type Fits = (within: string, isFolder: boolean) => boolean;

function matcherOf({ extensions, include, exclude }: FileSettings): Fits {
  const [wanted, unwanted] = [ignore().add([...include]), ignore().add([...exclude])];
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
  try {
    // A folder that was exchanged for a link since it was found.
    if ((await realpath(folder.path)) !== folder.real) throw new MimirError('forbidden', 'leads out of the folder');
    entries = await readdir(folder.path, { withFileTypes: true });
  } catch (thrown) {
    unread.push(folder.path);
    notes.push(`${folder.path}: ${reasonOf(thrown)}`);
    return;
  }
  const own = settings.gitignore ? await rulesOf(folder.real, entries) : null;
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

async function rulesOf(folder: string, entries: readonly Dirent[]): Promise<Rules | null> {
  if (!entries.some((entry) => entry.name === '.gitignore' && entry.isFile())) return null;
  const path = join(folder, '.gitignore');
  const text = await readText({ path, realPath: path }, LIMITS.sourceFileMaxBytes);
  return typeof text === 'string' ? { folder, rules: ignore().add(text) } : null;
}

/** The rules of the folders above, up to that of the repository; none when it is in no repository. */
async function rulesAbove(folder: string): Promise<Rules[]> {
  const found: Rules[] = [];
  for (let at = folder; ;) {
    const entries = await readdir(at, { withFileTypes: true }).catch(() => []); // an unreadable one has no rules for us
    if (at !== folder) {
      const rules = await rulesOf(at, entries);
      if (rules !== null) found.unshift(rules);
    }
    if (entries.some(({ name }) => name === '.git')) return found;
    const parent = dirname(at);
    if (parent === at) return [];
    at = parent;
  }
}

/** As git does it: the rules nearest to the file have the last word. */
function isIgnored(all: readonly Rules[], path: string, isFolder: boolean): boolean {
  for (const { folder, rules } of all.toReversed()) {
    const within = path.slice(folder.endsWith(sep) ? folder.length : folder.length + 1).replaceAll(sep, '/');
    const { ignored, unignored } = rules.test(isFolder ? `${within}/` : within);
    if (ignored || unignored) return ignored;
  }
  return false;
}

/** Why a file is not read that has no text; not worth a word where all kinds of files are looked at. */
const NO_TEXT = 'is no text in UTF-8';

/** The text of a file, or why it is not read; `note` is null for what is no file. */
async function readText({ path, realPath }: FoundFile, maxBytes: number): Promise<string | { note: string | null }> {
  let file;
  try {
    // Without waiting for a pipe's other end, and not through a link that has taken the file's place.
    file = await open(realPath, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  } catch (thrown) {
    return { note: reasonOf(thrown) };
  }
  try {
    const stat = await file.stat();
    if (!stat.isFile()) return { note: null };
    if ((await realpath(realPath)) !== realPath) return { note: 'leads out of the folder' };
    if (stat.size > maxBytes) return { note: `has ${stat.size} bytes, more than ${maxBytes} (max_file_bytes)` };
    const bytes = Buffer.alloc(Math.min(stat.size, maxBytes) + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < stat.size; length += read)
      ({ bytesRead: read } = await file.read(bytes, length, bytes.length - length, length));
    // It may have grown while it was read: the next run, or the watcher, reads it again.
    const content = bytes.subarray(0, Math.min(length, maxBytes));
    if (content.includes(0)) return { note: NO_TEXT };
    return new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch (thrown) {
    return { note: thrown instanceof TypeError ? NO_TEXT : `${basename(path)}: ${reasonOf(thrown)}` };
  } finally {
    await file.close();
  }
}

function reasonOf(thrown: unknown): string {
  if (thrown instanceof MimirError) return thrown.message;
  const code: unknown = thrown instanceof Error ? Reflect.get(thrown, 'code') : undefined;
  const words: Readonly<Record<string, string>> = {
    ENOENT: 'is not there',
    EACCES: 'may not be read',
    EPERM: 'may not be read',
    ELOOP: 'is a link',
  };
  return typeof code === 'string' ? (words[code] ?? code) : 'cannot be read';
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
