import { MimirError } from '../errors.ts';
import type { TellProgress } from '../memory/types.ts';
import { buildBeside, newFileOnly, readLines, refuseOwnNames, replaceFile } from './files.ts';
import { openWriter, prepareStore, type OpenOptions } from './open.ts';
import { connect, translated } from './sqlite/driver.ts';
import { restoreLines } from './sqlite/dump.ts';

/** Hears how far a restore has come: of bytes of the export that were read, then of what is checked. */
export interface RestoreWatch {
  readonly read: TellProgress;
  readonly checked: TellProgress;
}

/**
 * Makes a new store of an export, with all of its history, and checks it before it gets its name; answers how many rows. Throws
 * `exists` when there is a file already: an export is a whole store, and is not mixed into another one.
 */
export async function restoreStore(options: OpenOptions, from: string, progress?: RestoreWatch): Promise<number> {
  const { path, key } = options;
  newFileOnly(path, options.folder);
  refuseOwnNames(from, path);
  return await buildBeside(path, (fresh) => {
    const rows = translated(() => filled(fresh, key, from, progress?.read));
    prepareStore({ ...options, path: fresh });
    const store = openWriter({ ...options, path: fresh });
    let problems: readonly string[];
    try {
      problems = store.verify(progress?.checked);
    } finally {
      store.close();
    }
    if (problems.length > 0) {
      throw new MimirError(
        'not_an_export',
        `The export does not agree with itself: ${problems.slice(0, 3).join('; ')}.`,
      );
    }
    newFileOnly(path);
    replaceFile(fresh, path);
    return rows;
  });
}

function filled(path: string, key: Uint8Array | null, from: string, progress?: TellProgress): number {
  const db = connect({ path, key });
  try {
    return restoreLines(db, readLines(from, progress));
  } finally {
    db.close();
  }
}
