import { lstat } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';

import ignore, { type Ignore } from 'ignore';

import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { bytesOf, reasonOf } from './regular.ts';

/** A rule file and the folder it is about. */
export interface Rules {
  readonly folder: string;
  readonly rules: Ignore;
}

/** Where git is set up to take large and small letters for the same, because the file system does. */
const IGNORES_CASE = process.platform === 'win32' || process.platform === 'darwin';

/** Patterns in the language of .gitignore. */
export function patterns(lines: string | readonly string[]): Ignore {
  return ignore({ ignorecase: IGNORES_CASE }).add(lines);
}

const NAME = '.gitignore';

/**
 * The rules that stand in a folder; null when it has none. Throws `forbidden` when there are some that cannot be read: what they keep
 * out is not known then. One that is a link is none, as for git.
 */
export async function rulesIn(folder: string): Promise<Rules | null> {
  const path = join(folder, NAME);
  let isFile: boolean;
  try {
    isFile = (await lstat(path)).isFile();
  } catch (thrown) {
    if (thrown instanceof Error && Reflect.get(thrown, 'code') === 'ENOENT') return null;
    throw unreadable(path, reasonOf(thrown));
  }
  if (!isFile) return null;
  const bytes = await bytesOf({ realPath: path }, LIMITS.sourceFileMostBytes);
  if (!Buffer.isBuffer(bytes)) throw unreadable(path, bytes.note ?? 'is no file any more');
  // What is no UTF-8 reads as it does in the names of files, so a line of it still fits the names that it is about.
  return { folder, rules: patterns(new TextDecoder().decode(bytes)) };
}

function unreadable(path: string, why: string): MimirError {
  return new MimirError('forbidden', `is left out, because ${path} ${why}`);
}

/**
 * The rules above a folder that was named, up to those of its repository; none when it is in no repository. Rules that cover the
 * folder itself do not count: it was named. Nothing else above it is looked at.
 */
export async function rulesAbove(named: string): Promise<Rules[]> {
  const repository = await repositoryOf(named);
  const found: Rules[] = [];
  for (let at = named; repository !== null && at !== repository;) {
    at = dirname(at);
    const own = await rulesIn(at);
    if (own !== null && !test(own, named, true).ignored) found.unshift(own);
  }
  return found;
}

/** The folder with `.git`, this one or above; null: there is none. */
async function repositoryOf(folder: string): Promise<string | null> {
  for (let at = folder; ; at = dirname(at)) {
    const isThere = await lstat(join(at, '.git')).then(
      () => true,
      () => false, // not there, or not for us: it is no repository of ours
    );
    if (isThere) return at;
    if (dirname(at) === at) return null;
  }
}

/** As git does it: the rules nearest to the file have the last word. */
export function isIgnored(all: readonly Rules[], path: string, isFolder: boolean): boolean {
  for (const own of all.toReversed()) {
    const { ignored, unignored } = test(own, path, isFolder);
    if (ignored || unignored) return ignored;
  }
  return false;
}

function test({ folder, rules }: Rules, path: string, isFolder: boolean): ReturnType<Ignore['test']> {
  const within = path.slice(folder.endsWith(sep) ? folder.length : folder.length + 1).replaceAll(sep, '/');
  return rules.test(isFolder ? `${within}/` : within);
}
