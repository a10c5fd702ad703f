import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

import { MimirError } from '../errors.ts';

/** Makes a folder and those above it, with mode 0700. Node's own recursive way never returns below /proc. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  mkdirSync(folder, { mode: 0o700 });
}

/** Writes a new key to a file that only its owner can read; never over one that is there. Answers what to print. */
export function writeKey(path: string): string {
  let handle: number;
  try {
    makeFolder(dirname(path));
    handle = openSync(path, 'wx', 0o600);
  } catch (thrown) {
    const exists = thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST';
    if (!exists)
      throw new MimirError('cannot_open', `The key file ${path} cannot be written.`, {
        hint: 'Name another with --key-file.',
      });
    throw new MimirError('exists', `${path} is there already and was left as it is.`, {
      hint: 'A store made with it could never be opened without it. Name another file with --key-file.',
    });
  }
  writeSync(handle, `${randomBytes(32).toString('base64')}\n`);
  fsyncSync(handle);
  closeSync(handle);
  return `Wrote a new key to ${path}\nKeep a copy: without it the store cannot be opened. Use it with --encryption-key ${path}`;
}
