import { constants } from 'node:fs';
import { lstat, open, realpath } from 'node:fs/promises';

import { MimirError } from '../errors.ts';

/** A file that a walk has found. */
export interface FoundFile {
  readonly path: string;
  /** Where it must really be, so that no link leads out of the folder that was allowed. */
  readonly realPath: string;
}

/** Why a file was not read; null for what is no file. */
export interface NotRead {
  readonly note: string | null;
}

/** What a regular file of at most so many bytes holds, or why it is not read. No link is followed, and no pipe waited for. */
export async function bytesOf({ realPath }: Pick<FoundFile, 'realPath'>, maxBytes: number): Promise<Buffer | NotRead> {
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
    if (stat.size > maxBytes) return { note: `has ${stat.size} bytes, more than ${maxBytes}` };
    const bytes = Buffer.alloc(Math.min(stat.size, maxBytes) + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < stat.size; length += read)
      ({ bytesRead: read } = await file.read(bytes, length, bytes.length - length, length));
    // It may have grown while it was read: the next run, or the watcher, reads it again.
    return bytes.subarray(0, Math.min(length, maxBytes));
  } catch (thrown) {
    return { note: reasonOf(thrown) };
  } finally {
    await file.close();
  }
}

/** What differs as soon as a file was written, or is another one; null for what is no file, or was written after this time. */
export async function stampOf({ realPath }: Pick<FoundFile, 'realPath'>, beforeMs: number): Promise<string | null> {
  try {
    const found = await lstat(realPath, { bigint: true });
    const { dev, ino, size, mtimeNs, ctimeNs } = found;
    const isOld = [mtimeNs, ctimeNs].every((time) => Number(time / 1_000_000n) < beforeMs);
    return found.isFile() && isOld ? [dev, ino, size, mtimeNs, ctimeNs].join() : null;
  } catch {
    return null; // whoever reads it says why it cannot be read
  }
}

/** Why the system did not give something out, as the end of a sentence that begins with its path. */
export function reasonOf(thrown: unknown): string {
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
