import { layerOf } from '../../memory/retention.ts';
import type { TellProgress } from '../../memory/types.ts';
import { buildBeside, newFileOnly, replaceFile } from '../files.ts';
import type { OriginalExport } from '../store.ts';
import { connect, translate, type Connection } from './driver.ts';
import type { Session } from './session.ts';

// The tables of the original, column by column: it reads them by these names, and other people's scripts by their order.
const TABLES = `
CREATE TABLE entities(
  id TEXT PRIMARY KEY, category TEXT NOT NULL DEFAULT 'general', key TEXT NOT NULL, body_json TEXT NOT NULL DEFAULT '{}',
  status TEXT DEFAULT 'active', type TEXT DEFAULT 'insight', tags TEXT DEFAULT '[]', decay_score REAL DEFAULT 1.0,
  retrieval_count INTEGER DEFAULT 0, layer TEXT DEFAULT 'working', topic_path TEXT DEFAULT '', archived INTEGER DEFAULT 0,
  archive_reason TEXT DEFAULT '', links TEXT DEFAULT '[]', verified INTEGER DEFAULT 0, source TEXT DEFAULT 'agent',
  created_at_unix_ms INTEGER NOT NULL, last_accessed_unix_ms INTEGER NOT NULL, embedding BLOB, always_on INTEGER DEFAULT 0,
  certainty REAL DEFAULT 0.5, workspace_hash TEXT DEFAULT '', agent_id TEXT DEFAULT '', visibility TEXT DEFAULT 'workspace'
);
CREATE UNIQUE INDEX idx_entities_category_key ON entities(category, key);
CREATE INDEX idx_entities_recall ON entities(archived, retrieval_count DESC, last_accessed_unix_ms DESC);
CREATE VIRTUAL TABLE entities_fts USING fts5(body_json, content_rowid='rowid');
CREATE TABLE journal(
  id TEXT PRIMARY KEY, event_type TEXT NOT NULL DEFAULT 'decision', evaluated_json TEXT DEFAULT '{}', acted_json TEXT DEFAULT '{}',
  forward_json TEXT DEFAULT '{}', category TEXT DEFAULT '', key TEXT DEFAULT '', entity_id TEXT DEFAULT '', agent_id TEXT DEFAULT '',
  audit_hash TEXT DEFAULT '', created_at_unix_ms INTEGER NOT NULL
);
CREATE INDEX idx_journal_created ON journal(created_at_unix_ms);
CREATE INDEX idx_journal_entity ON journal(entity_id);
CREATE TABLE state(
  key TEXT PRIMARY KEY, value_json TEXT NOT NULL DEFAULT '{}', expires_at_unix_ms INTEGER, created_at_unix_ms INTEGER NOT NULL
);
PRAGMA user_version = 1;
`;

interface CurrentRow {
  readonly id: string;
  readonly category: string;
  readonly key: string;
  readonly body_json: string;
  readonly layer: string;
  readonly retrieval_count: number;
  readonly archived: number;
  readonly workspace_hash: string;
  readonly [column: string]: unknown;
}

/** Current rows; of one category and key, those of the workspace without a name come first, because the first keeps the key. */
const CURRENT = `
SELECT e.id, e.category, e.key, b.json AS body_json, v.status, v.type, v.tags, v.importance AS decay_score,
  coalesce(u.count, 0) AS retrieval_count, v.layer, v.topic_path, v.archived, v.archive_reason,
  (SELECT coalesce(json_group_array(json_object('target_id', l.target, 'relationship', l.relationship, 'weight', l.weight)), '[]')
     FROM (SELECT * FROM link WHERE entity = e.row AND seq_to IS NULL ORDER BY id) l) AS links,
  v.verified, v.source, e.created_at_ms AS created_at_unix_ms, coalesce(u.last_ms, e.created_at_ms) AS last_accessed_unix_ms,
  (SELECT x.data FROM vector x WHERE x.body = e.body) AS embedding, v.always_on, v.certainty, e.workspace AS workspace_hash,
  v.agent_id, v.visibility
FROM entity e JOIN version v ON v.id = e.version JOIN body b ON b.id = e.body LEFT JOIN usage u ON u.entity = e.row
ORDER BY e.workspace <> '', e.row`;

/**
 * Writes the current state into a new file that the original opens: no earlier versions, no log, and bodies in plain. Its identity
 * lacks the workspace, so of equal names in several workspaces all but the first get the workspace's name behind theirs. Throws
 * `exists` when there is such a file.
 */
export async function exportOriginal(s: Session, path: string, progress?: TellProgress): Promise<OriginalExport> {
  newFileOnly(path);
  return await buildBeside(path, (fresh) => {
    const done = written(s, fresh, progress);
    newFileOnly(path);
    replaceFile(fresh, path);
    return done;
  });
}

function written(s: Session, path: string, progress?: TellProgress): OriginalExport {
  const db = connect({ path, key: null });
  try {
    db.exec(TABLES);
    db.exec('BEGIN');
    const done = { ...writeEntities(s, db, progress), journal: writeJournal(s, db), state: writeState(s, db) };
    db.exec('COMMIT');
    // As the original leaves a file: it is in this mode, and its log is folded in.
    db.pragma('journal_mode = WAL');
    return done;
  } catch (thrown) {
    throw translate(thrown);
  } finally {
    db.close();
  }
}

/** The name itself, or with the workspace behind it where another row has it. */
function freeName(taken: Set<string>, category: string, name: string, workspace: string): string {
  for (let n = 0; ; n++) {
    const free = n === 0 ? name : `${name} (${workspace}${n === 1 ? '' : ` ${n}`})`;
    const whole = `${category}\0${free}`;
    if (taken.has(whole)) continue;
    taken.add(whole);
    return free;
  }
}

function inserter(
  db: Connection,
  table: string,
  columns: readonly string[],
): (row: Readonly<Record<string, unknown>>) => number {
  const statement = db.prepare(`INSERT INTO ${table}(${columns.join()}) VALUES (${columns.map(() => '?').join()})`);
  return (row) => Number(statement.run(...columns.map((name) => row[name])).lastInsertRowid);
}

function writeEntities(
  s: Session,
  db: Connection,
  progress?: TellProgress,
): Pick<OriginalExport, 'entities' | 'renamed'> {
  const total = progress && s.sql.get<{ n: number }>('SELECT count(*) AS n FROM entity')?.n;
  const index = db.prepare('INSERT INTO entities_fts(rowid, body_json) VALUES (?, ?)');
  const taken = new Set<string>();
  let insert: ReturnType<typeof inserter> | null = null;
  let [entities, renamed] = [0, 0];
  for (const found of s.sql.of(CURRENT).iterate() as IterableIterator<CurrentRow>) {
    const key = freeName(taken, found.category, found.key, found.workspace_hash);
    if (key !== found.key) renamed += 1;
    insert ??= inserter(db, 'entities', Object.keys(found));
    const row = insert({ ...found, key, layer: layerOf(found.layer, found.retrieval_count) });
    // Archived rows have no entry there.
    if (found.archived === 0) index.run(row, found.body_json);
    entities += 1;
    progress?.(entities, total);
  }
  return { entities, renamed };
}

function writeJournal(s: Session, db: Connection): number {
  const columns = [
    'id',
    'event_type',
    'evaluated_json',
    'acted_json',
    'forward_json',
    'category',
    'key',
    'entity_id',
    'agent_id',
  ];
  const insert = inserter(db, 'journal', [...columns, 'audit_hash', 'created_at_unix_ms']);
  let count = 0;
  const rows = s.sql.of(
    `SELECT ${columns.join()}, coalesce(audit_hash, '') AS audit_hash, created_at_unix_ms FROM journal ORDER BY row`,
  );
  for (const row of rows.iterate() as IterableIterator<Readonly<Record<string, unknown>>>) {
    insert(row);
    count += 1;
  }
  return count;
}

function writeState(s: Session, db: Connection): number {
  const insert = inserter(db, 'state', ['key', 'value_json', 'expires_at_unix_ms', 'created_at_unix_ms']);
  const taken = new Set<string>();
  let count = 0;
  const rows = s.sql.of(`SELECT * FROM state WHERE seq_to IS NULL ORDER BY workspace <> '', id`);
  for (const row of rows.iterate() as IterableIterator<{ key: string; workspace: string }>) {
    insert({ ...row, key: freeName(taken, '', row.key, row.workspace) });
    count += 1;
  }
  return count;
}
