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
  const [target, realRoot] = [await realTarget(whole), await realTarget(resolve(root))];
  if (target === null || realRoot === null || !isWithin(target, realRoot)) throw outside(root);
  return whole;
}

function isWithin(path: string, root: string): boolean {
  const way = relative(root, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}

/** Where a path leads once all links are followed, as far as it exists; null where that cannot be said. */
async function realTarget(path: string): Promise<string | null> {
  try {
    return await realpath(path);
  } catch (thrown) {
    const isMissing = thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT';
    // Links in a circle, a file in the way, no permission: where it would lead cannot be said. A link that leads nowhere
    // yet would lead somewhere as soon as it is written through.
    if (!isMissing || dirname(path) === path || (await isLink(path))) return null;
    const above = await realTarget(dirname(path));
    return above === null ? null : join(above, basename(path));
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
