import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { MimirError } from '../errors.ts';

/** Makes a folder and those above it, mode 0700; one that is there stays as it is. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await makeEach(folder);
  } catch (thrown) {
    throw new MimirError('cannot_open', `The folder ${folder} cannot be made: ${reasonOf(thrown)}.`, {
      hint: 'Name another folder, or look at the permissions of the one above it.',
    });
  }
}

/** Node's own recursive way never returns below /proc. */
async function makeEach(folder: string): Promise<void> {
  const isThere = await stat(folder).then(
    (found) => found.isDirectory(),
    () => false, // making it says why not
  );
  if (isThere) return;
  if (dirname(folder) !== folder) await makeEach(dirname(folder));
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (thrown) {
    // Somebody else may make it at the same moment.
    if (codeOf(thrown) !== 'EEXIST' || !(await stat(folder)).isDirectory()) throw thrown;
  }
}

/**
 * Names of the Markdown files in a folder, not of those in folders below it, sorted; hidden ones are left out. Throws
 * `not_found` when it is no folder.
 */
export async function markdownFiles(folder: string): Promise<string[]> {
  const isFolder = await stat(folder).then(
    (found) => found.isDirectory(),
    () => false, // absent, or not to be seen: in both cases no folder to read
  );
  if (!isFolder) {
    throw new MimirError('not_found', `${folder} is not a directory.`, { hint: 'Name a folder that is there.' });
  }
  try {
    return (await readdir(folder)).filter((name) => name.endsWith('.md') && !name.startsWith('.')).toSorted();
  } catch (thrown) {
    throw new MimirError('cannot_open', `The folder ${folder} cannot be read: ${reasonOf(thrown)}.`);
  }
}

/**
 * The text of a file in a folder; null when there is none. Throws `cannot_open` for what is too long, is no UTF-8 or is no plain
 * file: a link may lead anywhere, and a pipe would never end.
 */
export async function readText(folder: string, name: string, maxBytes: number): Promise<string | null> {
  const path = join(folder, name);
  try {
    if (!(await lstat(path)).isFile()) throw unreadable('it is no plain file');
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      if ((await file.stat()).size > maxBytes) throw unreadable(`it has more than ${maxBytes} bytes`);
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(await file.readFile());
    } finally {
      await file.close();
    }
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return null;
    throw thrown instanceof MimirError ? thrown : unreadable(reasonOf(thrown));
  }
}

/**
 * Writes a file, mode 0600: whoever looks sees the old text or the new one. It is not synced: the store has it all. With `aside`
 * the old one gets that name, once the new one is on the disk.
 */
export async function writeText(folder: string, name: string, text: string, aside?: string): Promise<void> {
  const temporary = join(folder, `.mimir-${randomBytes(6).toString('hex')}.tmp`);
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(text, 'utf8');
    } finally {
      await file.close();
    }
    if (aside !== undefined) await rename(join(folder, name), join(folder, aside));
    await rename(temporary, join(folder, name));
  } catch (thrown) {
    await rm(temporary, { force: true });
    if (codeOf(thrown) === 'ENOSPC') throw new MimirError('disk_full', 'There is no room for it.');
    throw new MimirError('cannot_open', `it cannot be written: ${reasonOf(thrown)}.`);
  }
}

/** Removes a file. */
export async function removeText(folder: string, name: string): Promise<void> {
  try {
    await rm(join(folder, name), { force: true });
  } catch (thrown) {
    throw new MimirError('cannot_open', `it cannot be removed: ${reasonOf(thrown)}.`);
  }
}

function unreadable(why: string): MimirError {
  return new MimirError('cannot_open', `it cannot be read: ${why}.`);
}

function codeOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined;
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'this user may not',
  EPERM: 'this user may not',
  EROFS: 'the disk is read-only',
  EEXIST: 'a file is in its place',
  ENOTDIR: 'a file is in its way',
  ELOOP: 'it is a link',
  ERR_ENCODING_INVALID_ENCODED_DATA: 'it is no UTF-8',
};

/** Why the system refused, in words where there are some. */
function reasonOf(thrown: unknown): string {
  const code = codeOf(thrown);
  return code === undefined ? 'unknown error' : (REASONS[code] ?? code);
}
