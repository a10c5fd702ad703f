import {
  accessSync,
  chmodSync,
  fstatSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  statfsSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { MimirError, shellWord } from '../errors.ts';
import type { TellProgress } from '../memory/types.ts';

/** File systems on which SQLite's write-ahead log does not work, by their magic number (statfs(2), Linux). */
const NETWORK_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB'],
  [0x01021997, '9P'],
]);

const SQLITE_HEADER = 'SQLite format 3\0';

/** What the beginning of a file says: nothing there yet, a database that anybody can read, or none (or an encrypted one). */
export type Header = 'empty' | 'plain' | 'other';

/**
 * Looks at the path of a store before anything opens it, and makes an empty file with mode 0600 when there is none: SQLite
 * would make 0644. Must not be called while this process has the store open: closing any other handle of the file would
 * drop the locks of the whole process. `folder` says whether a missing folder may be made (the default one).
 */
export function prepareFile(path: string, folder: 'make' | 'demand'): Header {
  const parent = dirname(path);
  try {
    provideFolder(parent, folder);
    refuseNetworkFileSystem(parent);
    if (!existsSync(path)) {
      closeSync(openSync(path, 'ax', 0o600));
      return 'empty';
    }
    const found = statSync(path);
    if (found.isDirectory()) {
      throw new MimirError('cannot_open', `${path} is a folder, not a file.`, {
        hint: `Name a file in it: --db ${shellWord(`${path}/mimir.db`)}`,
      });
    }
    return found.size === 0 ? 'empty' : headerOf(path);
  } catch (thrown) {
    if (isSystemError(thrown) && thrown.code === 'EEXIST') return 'empty'; // another process made it at this moment
    throw fileError(thrown, path);
  }
}

/** Makes a folder and those above it, with mode 0700. Node's own recursive way never returns below /proc. */
function makeFolder(folder: string): void {
  const above = dirname(folder);
  if (above !== folder && !existsSync(above)) makeFolder(above);
  mkdirSync(folder, { mode: 0o700 });
}

function headerOf(path: string): Header {
  const handle = openSync(path, 'r');
  const header = Buffer.alloc(16);
  const length = readSync(handle, header, 0, 16, 0);
  closeSync(handle);
  return length === 16 && header.toString('latin1') === SQLITE_HEADER ? 'plain' : 'other';
}

function refuseNetworkFileSystem(folder: string): void {
  if (process.platform !== 'linux') return;
  const name = NETWORK_FILE_SYSTEMS.get(Number(statfsSync(folder).type) >>> 0);
  if (name === undefined) return;
  throw new MimirError(
    'cannot_open',
    `The folder ${folder} is on a network file system (${name}), where SQLite cannot lock safely.`,
    {
      hint: 'Put the store on a local disk and name it with --db.',
    },
  );
}

/** Reads a key file: base64 of exactly 32 bytes, white space around it ignored. */
export function readKeyFile(path: string): Uint8Array {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch (thrown) {
    throw new MimirError('cannot_open', `The key file ${path} cannot be read (${systemCode(thrown)}).`, {
      hint: 'Name an existing key file, or make one: mimir keygen',
    });
  }
  const key = /^[A-Za-z0-9+/]{43}=$/.test(text) ? Buffer.from(text, 'base64') : Buffer.alloc(0);
  if (key.length !== 32) {
    throw new MimirError('wrong_key', `The key file ${path} does not hold a key: it must be the base64 of 32 bytes.`);
  }
  return key;
}

/** Removes a file if it is there. Throws `cannot_open` where it cannot. */
export function removeFile(path: string): void {
  try {
    if (existsSync(path)) unlinkSync(path);
  } catch (thrown) {
    throw fileError(thrown, path);
  }
}

/** Makes an empty file, with mode 0600. Throws `cannot_open` and the like where it cannot. */
export function makePrivateFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (thrown) {
    throw fileError(thrown, path);
  }
}

/** The path without symbolic links: a rename must meet the file, not a link to it. As it is while there is no such file. */
export function realPath(path: string): string {
  return existsSync(path) ? realpathSync(path) : path;
}

/** Equal as long as the name stands for the same file. Only looks; nothing is opened. */
export function fileIdentity(path: string): string {
  const { dev, ino } = statSync(path, { bigint: true });
  return `${dev}:${ino}`;
}

const COMPANIONS = ['-wal', '-shm', '-journal'];

/** Removes a database that nobody has open, with what SQLite lays beside it. */
export function removeStoreFiles(path: string): void {
  for (const name of ['', ...COMPANIONS]) removeFile(path + name);
}

/**
 * Builds a database in an empty file beside its place (`besidePath`), and answers what `build` does. That has to give the file its
 * name at the end; when it throws, nothing stays. What a build that was cut off has left there goes.
 */
export async function buildBeside<T>(path: string, build: (fresh: string) => Promise<T> | T): Promise<T> {
  const fresh = besidePath(path);
  removeStoreFiles(fresh);
  try {
    makePrivateFile(fresh);
    return await build(fresh);
  } catch (thrown) {
    removeStoreFiles(fresh);
    if (!(thrown instanceof MimirError) || thrown.code !== 'disk_full') throw thrown;
    throw new MimirError('disk_full', `The disk has no room for ${path}. Nothing was made.`, {
      hint: 'Free some space there, and do it again.',
    });
  }
}

/** Where a database is built that is to have this name. A name that nobody gives a file of their own: what lies there is removed. */
export function besidePath(path: string): string {
  return `${path}.mimir-building`;
}

/** Where a database is copied to that a new one of this name is built of; as {@link besidePath}. */
export function copyPath(path: string): string {
  return `${path}.mimir-copy`;
}

/** Throws when a file that is to be read has a name that is cleared before it. */
export function refuseOwnNames(from: string, path: string): void {
  const source = realPath(from);
  if (source !== besidePath(path) && source !== copyPath(path)) return;
  throw new MimirError('exists', `${from} has a name that is used while ${path} is made.`, {
    hint: 'Give it another name, and send it again.',
  });
}

/** Whether this user may make files beside one: SQLite has to, for a database with a write-ahead log. */
export function mayWriteBeside(path: string): boolean {
  try {
    accessSync(dirname(path), constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false; // whatever the reason, that is what was asked
  }
}

/** Copies a file as it lies there, for its owner only. Throws `cannot_open` where it cannot. */
export function copyBytes(from: string, to: string): void {
  makePrivateFile(to);
  try {
    copyFileSync(from, to);
    chmodSync(to, 0o600);
  } catch (thrown) {
    throw fileError(thrown, from);
  }
}

/** Whether there is a file of this name, and no folder. */
export function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

/** Whether a write-ahead log lies beside a database. */
export function hasLog(path: string): boolean {
  return existsSync(`${path}-wal`);
}

/** When a database or its write-ahead log last changed, Unix milliseconds; null when it is not there. */
export function storeChangedMs(path: string): number | null {
  const times = [path, `${path}-wal`].map((name) => statSync(name, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  const last = Math.max(...times);
  return last === 0 ? null : last;
}

/**
 * Gives a file a second name in its folder, `wanted` or that with a number: a name that is another file's is never taken. Answers
 * the name. Nothing is copied and the file is not opened, so no lock on it is dropped.
 */
export function keepUnderOtherName(path: string, wanted: string): string {
  for (let n = 1; ; n++) {
    const name = n === 1 ? wanted : `${wanted}-${n}`;
    try {
      linkSync(path, name);
      return name;
    } catch (thrown) {
      if (!isSystemError(thrown) || thrown.code !== 'EEXIST') {
        throw new MimirError('cannot_open', `${path} cannot be kept beside the new store (${systemCode(thrown)}).`, {
          hint: 'The disk must know hard links: move the file to another disk and name it there with --db.',
        });
      }
      // The import was cut off between this step and the next one.
      if (fileIdentity(name) === fileIdentity(path)) return name;
    }
  }
}

/**
 * Puts a finished database, which nobody has open, in the place of another in the same folder, at one moment and so that it
 * outlasts a power failure.
 */
export function replaceFile(finished: string, path: string): void {
  const left = [finished, path].flatMap((one) => COMPANIONS.map((name) => one + name)).find((one) => existsSync(one));
  // A log that stays would be replayed into a database that it does not belong to.
  if (left !== undefined) throw new MimirError('cannot_open', `${left} is in the way.`);
  syncPath(finished, 'r+');
  renameSync(finished, path);
  // Windows has no handles of folders; there the rename is all that can be done.
  if (process.platform !== 'win32') syncPath(dirname(path), 'r');
}

/** Whether there is no file under this name yet, or one in which nothing stands. */
export function holdsNothing(path: string): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0;
}

/** A path for a store in a new folder for its owner only, and how to remove it with all that lies beside it. */
export function temporaryPlace(): { readonly path: string; readonly remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'mimir-dry-run-'));
  return { path: join(folder, 'mimir.db'), remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Throws `exists` when there is something under this name, and `cannot_open` when there is no folder for it and none may be made. */
export function newFileOnly(path: string, folder: 'make' | 'demand' = 'demand'): void {
  if (existsSync(path)) {
    throw new MimirError('exists', `${path} is there already.`, { hint: 'Name a file that is not there yet.' });
  }
  provideFolder(dirname(path), folder);
}

function provideFolder(parent: string, folder: 'make' | 'demand'): void {
  if (existsSync(parent)) return;
  if (folder === 'make') return makeFolder(parent);
  throw new MimirError('cannot_open', `The folder ${parent} does not exist.`, {
    hint: `Make it first: mkdir -p ${shellWord(parent)}`,
  });
}

/** Lines gathered before they are written. */
const WRITE_CHARS = 1024 * 1024;

/** Writes lines to a new file for its owner only, and answers how many; they are on disk when it returns. A file that could not be finished is removed. */
export function writeLines(path: string, lines: Iterable<string>): number {
  newFileOnly(path);
  makePrivateFile(path);
  const handle = openSync(path, 'r+');
  try {
    let waiting = '';
    let count = 0;
    for (const line of lines) {
      count += 1;
      waiting += `${line}\n`;
      if (waiting.length < WRITE_CHARS) continue;
      writeFileSync(handle, waiting);
      waiting = '';
    }
    writeFileSync(handle, waiting);
    fsyncSync(handle);
    return count;
  } catch (thrown) {
    removeFile(path);
    throw fileError(thrown, path);
  } finally {
    closeSync(handle);
  }
}

const READ_BYTES = 1024 * 1024;

/** The lines of a file, read piece by piece; `progress` hears of its bytes. Throws `cannot_open` when it cannot be read. */
export function* readLines(path: string, progress?: TellProgress): Generator<string> {
  let handle: number;
  try {
    handle = openSync(path, 'r');
  } catch (thrown) {
    throw new MimirError('cannot_open', `${path} cannot be read (${systemCode(thrown)}).`, {
      hint: 'Name another file.',
    });
  }
  try {
    const piece = Buffer.alloc(READ_BYTES);
    // Bytes, not text: a piece may end within a character.
    let rest = Buffer.alloc(0);
    const bytes = fstatSync(handle).size;
    for (let read = 0; ;) {
      const length = readSync(handle, piece, 0, READ_BYTES, null);
      if (length === 0) break;
      progress?.((read += length), bytes);
      rest = Buffer.concat([rest, piece.subarray(0, length)]);
      let start = 0;
      for (let end = rest.indexOf(10); end !== -1; end = rest.indexOf(10, start)) {
        yield rest.toString('utf8', start, end);
        start = end + 1;
      }
      rest = rest.subarray(start);
    }
    if (rest.length > 0) yield rest.toString('utf8');
  } finally {
    closeSync(handle);
  }
}

function syncPath(path: string, flags: 'r' | 'r+'): void {
  const handle = openSync(path, flags);
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function isSystemError(thrown: unknown): thrown is NodeJS.ErrnoException {
  return (
    thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' && !(thrown instanceof MimirError)
  );
}

function systemCode(thrown: unknown): string {
  return isSystemError(thrown) ? String(thrown.code) : 'unknown error';
}

function fileError(thrown: unknown, path: string): unknown {
  if (!isSystemError(thrown)) return thrown;
  if (thrown.code === 'ENOSPC') return new MimirError('disk_full', `There is no room to make ${path}.`);
  const why = thrown.code === 'EACCES' || thrown.code === 'EPERM' ? 'this user may not' : String(thrown.code);
  return new MimirError('cannot_open', `${path} cannot be opened: ${why}.`, {
    hint: 'Look at the permissions of the file and its folder, or name another file with --db.',
  });
}
