import { lstat, realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';

import { MimirError } from '../errors.ts';

/**
 * The absolute path that a caller means who may name files in `root` only. A relative path counts from `root`. Throws
 * `forbidden` for what lies outside of it, also by `..` or through a symbolic link. Whether there is something at the path
 * does not matter.
 */
export async function confined(path: string, root: string): Promise<string> {
  const whole = resolve(root, path);
  if (!isWithin(whole, root)) throw outside(root);
  if (!isWithin(await realTarget(whole), await realTarget(resolve(root)))) throw outside(root);
  return whole;
}

function isWithin(path: string, root: string): boolean {
  const way = relative(root, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}

/** Where a path leads once all links are followed, as far as it exists. */
async function realTarget(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (thrown) {
    const isMissing = thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT';
    if (!isMissing || dirname(path) === path) throw thrown;
    // A link that leads nowhere yet would lead somewhere as soon as it is written through.
    if ((await isLink(path)) || path.includes('\0')) throw outside(dirname(path));
    return join(await realTarget(dirname(path)), basename(path));
  }
}

async function isLink(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isSymbolicLink();
  } catch {
    // It is not there, so it is no link.
    return false;
  }
}

function outside(root: string): MimirError {
  return new MimirError('forbidden', 'Over HTTP, files can be named only in the folder that this server allows.', {
    hint: `Name a folder below ${root}, or use the command line on the machine of the server.`,
  });
}
