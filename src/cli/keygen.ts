import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

import { MimirError } from '../errors.ts';
import { print, printError } from '../log.ts';
import type { Call } from './command.ts';

/** Makes a folder and those above it, with mode 0700. Node's own recursive way never returns below /proc. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  mkdirSync(folder, { mode: 0o700 });
}

/** Writes a new key to a file that only its owner can read; never over one that is there. */
export function writeKey(path: string): void {
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
  // 44 bytes as in the original, which writes no line end.
  writeSync(handle, randomBytes(32).toString('base64'));
  fsyncSync(handle);
  closeSync(handle);
}

/** `mimir keygen`. A key that cannot be written is exit code 1, as in the original. */
export function keygen({ values }: Call): number {
  const path = String(values['key-file']);
  try {
    writeKey(path);
  } catch (thrown) {
    if (!(thrown instanceof MimirError)) throw thrown;
    printError(`${thrown.message} ${thrown.hint ?? ''}`);
    return 1;
  }
  print(`Key written to ${path}\nUse --encryption-key ${path} to enable encryption`);
  if (process.stderr.isTTY) printError('keep a copy of it: without this key nobody can open the store again.');
  return 0;
}
