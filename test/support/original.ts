import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import Database from 'better-sqlite3-multiple-ciphers';

import { GOLDEN } from '../replay/recording.ts';

/** Databases that the original wrote, with what is in them. */
const FILES = join(GOLDEN, 'files');

/** Why a test that needs them is left out, or false. */
export const withoutFiles = existsSync(FILES) ? false : 'needs the recorded files of the original';

/** The path of one of them. */
export function recorded(name: string): string {
  return join(FILES, name);
}

/** A row as it was recorded; bytes are `{ $base64 }`. */
export type DumpedRow = Readonly<Record<string, unknown>>;

/** What a recorded file holds, by table. */
export function dumpOf(name: string): Readonly<Record<'entities' | 'journal' | 'state', readonly DumpedRow[]>> {
  return JSON.parse(readFileSync(recorded(`${name}.json`), 'utf8')) as ReturnType<typeof dumpOf>;
}

/** Columns of `entities` that a file of the first release lacks. */
export const LATER_COLUMNS = ['embedding', 'always_on', 'certainty', 'workspace_hash', 'agent_id', 'visibility'];

const ENTITY_COLUMNS = [
  'id TEXT PRIMARY KEY',
  'category TEXT',
  'key TEXT',
  'body_json TEXT',
  `status TEXT DEFAULT 'active'`,
  `type TEXT DEFAULT 'insight'`,
  `tags TEXT DEFAULT '[]'`,
  'decay_score REAL DEFAULT 1.0',
  'retrieval_count INTEGER DEFAULT 0',
  `layer TEXT DEFAULT 'working'`,
  `topic_path TEXT DEFAULT ''`,
  'archived INTEGER DEFAULT 0',
  `archive_reason TEXT DEFAULT ''`,
  `links TEXT DEFAULT '[]'`,
  'verified INTEGER DEFAULT 0',
  `source TEXT DEFAULT 'agent'`,
  'created_at_unix_ms INTEGER',
  'last_accessed_unix_ms INTEGER',
  'embedding BLOB',
  'always_on INTEGER DEFAULT 0',
  'certainty REAL DEFAULT 0.5',
  `workspace_hash TEXT DEFAULT ''`,
  `agent_id TEXT DEFAULT ''`,
  `visibility TEXT DEFAULT 'workspace'`,
];

/** How a file of the original is to be made. */
export interface OriginalShape {
  /** A file of before the later columns and tables. */
  readonly old?: boolean;
  /** Without the unique index on category and key, as a damaged file has it. */
  readonly loose?: boolean;
}

/** Opens a new file in the form of the original, for a test to fill. The constraints are left out, so that it can be filled wrongly. */
export function makeOriginal(path: string, { old = false, loose = false }: OriginalShape = {}): Database {
  const db = new Database(path);
  db.pragma('journal_mode = WAL');
  const columns = ENTITY_COLUMNS.filter(
    (column) => !old || !LATER_COLUMNS.some((name) => column.startsWith(`${name} `)),
  );
  db.exec(`CREATE TABLE entities(${columns.join(', ')})`);
  if (!loose) db.exec('CREATE UNIQUE INDEX idx_entities_category_key ON entities(category, key)');
  db.exec(`CREATE VIRTUAL TABLE entities_fts USING fts5(body_json, content_rowid='rowid')`);
  if (!old) {
    db.exec(
      `CREATE TABLE journal(id TEXT PRIMARY KEY, event_type TEXT, evaluated_json TEXT, acted_json TEXT, forward_json TEXT, category TEXT,
         key TEXT, entity_id TEXT, agent_id TEXT, audit_hash TEXT, created_at_unix_ms INTEGER);
       CREATE TABLE state(key TEXT PRIMARY KEY, value_json TEXT, expires_at_unix_ms INTEGER, created_at_unix_ms INTEGER)`,
    );
    db.pragma('user_version = 1');
  }
  return db;
}

/** Adds a row of `entities` and its entry of the index, unless `isIndexed` is false or it is archived. */
export function addEntity(db: Database, row: DumpedRow, isIndexed = row['archived'] !== 1): void {
  const whole: DumpedRow = { created_at_unix_ms: 1_700_000_000_000, last_accessed_unix_ms: 1_700_000_000_000, ...row };
  const names = Object.keys(whole);
  const { lastInsertRowid } = db
    .prepare(`INSERT INTO entities(${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`)
    .run(...Object.values(whole));
  if (!isIndexed) return;
  db.prepare('INSERT INTO entities_fts(rowid, body_json) VALUES (?, ?)').run(lastInsertRowid, whole['body_json']);
}

/** All rows of a table, bytes written as the dumps write them. */
export function rowsOf(path: string, sql: string): DumpedRow[] {
  // Not read-only: such a connection leaves the write-ahead log behind.
  const db = new Database(path, { fileMustExist: true });
  try {
    const rows = db.prepare(sql).all() as DumpedRow[];
    return rows.map((row) =>
      Object.fromEntries(
        Object.entries(row).map(([name, value]) => [
          name,
          value instanceof Uint8Array ? { $base64: Buffer.from(value).toString('base64') } : value,
        ]),
      ),
    );
  } finally {
    db.close();
  }
}
