import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  statfsSync,
  unlinkSync,
} from 'node:fs';
import { dirname } from 'node:path';

import { MimirError } from '../errors.ts';

/** File systems on which SQLite's write-ahead log does not work, by their magic number (statfs(2), Linux). */
const NETWORK_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB'],
  [0x01021997, '9P'],
]);

const SQLITE_HEADER = 'SQLite format 3\0';

/**
 * Looks at the path of a store before anything opens it, and makes an empty file with mode 0600 when there is none: SQLite
 * would make 0644. Must not be called while this process has the store open: closing any other handle of the file would
 * drop the locks of the whole process. `folder` says whether a missing folder may be made (the default one).
 */
export function prepareFile(path: string, encrypted: boolean, folder: 'make' | 'demand'): void {
  const parent = dirname(path);
  try {
    if (!existsSync(parent)) {
      if (folder === 'demand') {
        throw new MimirError('cannot_open', `The folder ${parent} does not exist.`, {
          hint: `Make it first: mkdir -p '${parent}'`,
        });
      }
      makeFolder(parent);
    }
    refuseNetworkFileSystem(parent);
    if (!existsSync(path)) {
      closeSync(openSync(path, 'ax', 0o600));
      return;
    }
    const found = statSync(path);
    if (found.isDirectory()) {
      throw new MimirError('cannot_open', `${path} is a folder, not a file.`, {
        hint: `Name a file in it: --db '${path}/mimir.db'`,
      });
    }
    if (found.size > 0) lookAtHeader(path, encrypted);
  } catch (thrown) {
    if (isSystemError(thrown) && thrown.code === 'EEXIST') return; // another process made it at this moment
    throw fileError(thrown, path);
  }
}

/** Makes a folder and those above it, with mode 0700. Node's own recursive way never returns below /proc. */
function makeFolder(folder: string): void {
  const above = dirname(folder);
  if (above !== folder && !existsSync(above)) makeFolder(above);
  mkdirSync(folder, { mode: 0o700 });
}

function lookAtHeader(path: string, encrypted: boolean): void {
  const handle = openSync(path, 'r');
  const header = Buffer.alloc(16);
  const length = readSync(handle, header, 0, 16, 0);
  closeSync(handle);
  const plain = length === 16 && header.toString('latin1') === SQLITE_HEADER;
  if (plain && encrypted) throw new MimirError('not_encrypted', 'The store is not encrypted, but a key was given.');
  if (!plain && !encrypted) {
    throw new MimirError('not_a_store', `${path} is encrypted, or it is no database.`, {
      hint: 'If it is an encrypted store, add --encryption-key FILE; otherwise name another file with --db.',
    });
  }
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

/** Removes a file if it is there. */
export function removeFile(path: string): void {
  if (existsSync(path)) unlinkSync(path);
}

/** Makes an empty file for SQLite to fill, with mode 0600. */
export function makePrivateFile(path: string): void {
  closeSync(openSync(path, 'wx', 0o600));
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
  return new MimirError('cannot_open', `The store ${path} cannot be opened: ${why}.`, {
    hint: 'Look at the permissions of the file and its folder, or name another file with --db.',
  });
}
