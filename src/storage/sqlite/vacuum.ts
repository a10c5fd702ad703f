import { LIMITS } from '../../limits.ts';
import type { Vacuumed } from '../store.ts';
import { withWriteLock, type BatchContext } from './batch.ts';
import { fileBytes } from './counts.ts';
import type { Connection } from './driver.ts';
import { showVocabulary } from './session.ts';

/** Empties the write-ahead log into the file; false when somebody still reads an older state after a while. */
export function emptyLog(db: Connection): boolean {
  // Readers that come meanwhile read the file itself.
  db.pragma(`busy_timeout = ${LIMITS.walResetMs}`);
  try {
    const [result] = db.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[];
    return result?.busy === 0;
  } finally {
    db.pragma('busy_timeout = 0');
  }
}

/**
 * See `Exclusive.vacuum`. In WAL mode readers go on meanwhile, in this process and in others; writers wait. SQLite writes a
 * copy of the store first, and that copy is not encrypted: of an encrypted store it stays in memory, of a plain one it goes
 * to a file without a name.
 */
export function vacuum(context: BatchContext, encrypted: boolean): Vacuumed {
  const { session } = context;
  const { db } = session.sql;
  const bytesBefore = fileBytes(session);
  db.pragma(`temp_store = ${encrypted ? 'MEMORY' : 'FILE'}`);
  try {
    withWriteLock(context, 'VACUUM');
  } finally {
    // Setting it drops what is temporary.
    db.pragma('temp_store = MEMORY');
    showVocabulary(db);
  }
  return { bytesBefore, bytesAfter: fileBytes(session), erased: emptyLog(db) };
}
