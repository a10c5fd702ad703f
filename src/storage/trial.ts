import { MimirError } from '../errors.ts';
import { holdsNothing, temporaryPlace } from './files.ts';
import { prepareStore, type OpenOptions } from './open.ts';
import { importCopy, type ImportWatch } from './original/import.ts';

/** A store in place of another one, for what must change nothing. */
export interface Trial {
  readonly path: string;
  /** Why it is not the store itself, a sentence. */
  readonly says: string;
  readonly remove: () => void;
}

/**
 * What has to be opened so that nothing changes under a path: an empty store where there is none yet, what a database of the original
 * would become where there is one, each in a temporary folder of its own. Null: the store itself, which opening leaves as it is.
 */
export async function trialOf(options: OpenOptions, progress: ImportWatch['progress']): Promise<Trial | null> {
  const { path } = options;
  const isNew = holdsNothing(path);
  if (!isNew && !isOriginal(options)) return null;
  const place = temporaryPlace();
  if (isNew) return { ...place, says: `there is no store at ${path} yet, and none is made` };
  try {
    await importCopy({ ...options, path: place.path }, path, false, progress);
  } catch (thrown) {
    place.remove();
    throw thrown;
  }
  return { ...place, says: `${path} is a database of the original, and stays as it is` };
}

function isOriginal(options: OpenOptions): boolean {
  try {
    prepareStore(options);
    return false;
  } catch (thrown) {
    if (thrown instanceof MimirError && thrown.code === 'original_store') return true;
    throw thrown;
  }
}
