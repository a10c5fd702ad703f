import { watch, type FSWatcher } from 'node:fs';
import { stat } from 'node:fs/promises';
import { sep } from 'node:path';

import { LIMITS } from '../limits.ts';
import type { Log } from '../log.ts';
import { reasonOf } from './regular.ts';

/** Folders under watch. */
export interface Watched {
  /** Watches this one too; again is nothing. */
  readonly add: (folder: string) => void;
  readonly close: () => void;
}

/** What is to be watched, and who is told. */
export interface Watch {
  /** Folders or files that were named. They are looked at from time to time: nothing tells of one that is not there yet. */
  readonly roots: readonly string[];
  /** How long after a change it is told. */
  readonly afterMs: number;
  readonly changed: () => void;
  readonly log: Log;
}

/** Whether a path is this folder or lies in it. */
export function isInside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

/** Differs when another folder stands under the name, or when a file is another one or was written. */
async function identityOf(root: string): Promise<string> {
  try {
    const found = await stat(root, { bigint: true });
    const itself = `${found.dev}:${found.ino}`;
    return found.isDirectory() ? itself : `${itself}:${found.size}:${found.mtimeNs}`;
  } catch {
    return ''; // it is not there, or cannot be looked at, which the run says
  }
}

/**
 * Watches folders, each by itself: the system's recursive watching would go into those that are never read. Calls back once
 * so long after the first of several changes; what comes later is the next call.
 */
export async function watchFolders({ roots, afterMs, changed, log }: Watch): Promise<Watched> {
  const watchers = new Map<string, FSWatcher>();
  let timer: NodeJS.Timeout | null = null;
  let next: NodeJS.Timeout | null = null;
  let isClosed = false;
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
  const identities = await Promise.all(roots.map(identityOf));
  const look = async (): Promise<void> => {
    for (const [at, root] of roots.entries()) {
      const identity = await identityOf(root);
      if (isClosed || identity === identities[at]) continue;
      identities[at] = identity;
      // They watch what stood here before.
      for (const folder of watchers.keys()) if (isInside(folder, root)) drop(folder);
      soon();
    }
    lookLater();
  };
  const lookLater = (): void => {
    if (!isClosed) next = setTimeout(() => void look(), LIMITS.watchRootsMs).unref();
  };
  lookLater();
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
      isClosed = true;
      for (const waiting of [timer, next]) if (waiting !== null) clearTimeout(waiting);
      for (const folder of watchers.keys()) drop(folder);
    },
  };
}
