import { MimirError } from '../../errors.ts';
import { TOKENISER_VERSION } from '../../memory/text.ts';
import type { Connection, Statements } from './driver.ts';

/** "MIMR": marks a file as ours; the original leaves it 0. */
export const APPLICATION_ID = 0x4d494d52;

// Tokens come ready-made and hold no white space, so every ASCII punctuation mark belongs to a token.
const PUNCTUATION = `!"#$%&''()*+,-./:;<=>?@[\\]^_\`{|}~`.replaceAll('"', '""');
// columnsize=0 halves the cost of the first step, which then ignores length; `rank` looks at it again.
const textIndex = (name: string): string =>
  `CREATE VIRTUAL TABLE ${name} USING fts5(terms, scope, content='', columnsize=0, tokenize="ascii tokenchars '${PUNCTUATION}'");`;

const FIRST = `
CREATE TABLE meta(name TEXT PRIMARY KEY, value ANY) WITHOUT ROWID, STRICT;

CREATE TABLE operations(
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, at_ms INTEGER NOT NULL, kind TEXT NOT NULL,
  workspace TEXT NOT NULL, actor TEXT NOT NULL, client TEXT NOT NULL, digest BLOB NOT NULL, hash BLOB NOT NULL
) STRICT;
CREATE TABLE changes(
  seq INTEGER NOT NULL REFERENCES operations(seq) DEFERRABLE INITIALLY DEFERRED, n INTEGER NOT NULL,
  kind TEXT NOT NULL, row INTEGER NOT NULL, salt BLOB, digest BLOB NOT NULL, PRIMARY KEY(seq, n)
) WITHOUT ROWID, STRICT;

CREATE TABLE body(
  id INTEGER PRIMARY KEY AUTOINCREMENT, entity INTEGER NOT NULL, terms BLOB NOT NULL, tokens TEXT NOT NULL,
  hash BLOB NOT NULL, json TEXT NOT NULL
) STRICT;
CREATE TABLE version(
  id INTEGER PRIMARY KEY AUTOINCREMENT, seq INTEGER NOT NULL, entity INTEGER NOT NULL, body INTEGER NOT NULL REFERENCES body(id),
  status TEXT NOT NULL, type TEXT NOT NULL, tags TEXT NOT NULL, importance REAL NOT NULL, layer TEXT NOT NULL,
  topic_path TEXT NOT NULL, archived INTEGER NOT NULL, archive_reason TEXT NOT NULL, verified INTEGER NOT NULL,
  source TEXT NOT NULL, always_on INTEGER NOT NULL, certainty REAL NOT NULL, agent_id TEXT NOT NULL, visibility TEXT NOT NULL
) STRICT;
CREATE INDEX version_entity ON version(entity, id);
CREATE TABLE entity(
  row INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, body INTEGER NOT NULL,
  workspace TEXT NOT NULL, category TEXT NOT NULL, key TEXT NOT NULL, type TEXT NOT NULL, agent_id TEXT NOT NULL,
  visibility TEXT NOT NULL, topic_path TEXT NOT NULL, archived INTEGER NOT NULL, always_on INTEGER NOT NULL,
  links INTEGER NOT NULL DEFAULT 0, created_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX entity_recent ON entity(archived, version);
CREATE INDEX entity_category ON entity(category, archived, version);
CREATE INDEX entity_pinned ON entity(version) WHERE always_on = 1;
CREATE TABLE key(
  id INTEGER PRIMARY KEY AUTOINCREMENT, workspace TEXT NOT NULL, category TEXT NOT NULL, key TEXT NOT NULL,
  entity INTEGER NOT NULL, seq_from INTEGER NOT NULL, seq_to INTEGER
) STRICT;
CREATE UNIQUE INDEX key_open ON key(category, key, workspace) WHERE seq_to IS NULL;
CREATE INDEX key_named ON key(key) WHERE seq_to IS NULL;
CREATE TABLE link(
  id INTEGER PRIMARY KEY AUTOINCREMENT, workspace TEXT NOT NULL, entity INTEGER NOT NULL, target TEXT NOT NULL,
  relationship TEXT NOT NULL, weight REAL NOT NULL, seq_from INTEGER NOT NULL, seq_to INTEGER
) STRICT;
CREATE INDEX link_open ON link(entity, id) WHERE seq_to IS NULL;
CREATE TABLE state(
  id INTEGER PRIMARY KEY AUTOINCREMENT, workspace TEXT NOT NULL, key TEXT NOT NULL, value_json TEXT NOT NULL,
  expires_at_unix_ms INTEGER, created_at_unix_ms INTEGER NOT NULL, seq_from INTEGER NOT NULL, seq_to INTEGER
) STRICT;
CREATE UNIQUE INDEX state_open ON state(key, workspace) WHERE seq_to IS NULL;
CREATE INDEX state_expiry ON state(expires_at_unix_ms) WHERE seq_to IS NULL AND expires_at_unix_ms IS NOT NULL;
CREATE TABLE journal(
  row INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, event_type TEXT NOT NULL, evaluated_json TEXT NOT NULL,
  acted_json TEXT NOT NULL, forward_json TEXT NOT NULL, category TEXT NOT NULL, key TEXT NOT NULL, entity_id TEXT NOT NULL,
  agent_id TEXT NOT NULL, workspace TEXT NOT NULL, created_at_unix_ms INTEGER NOT NULL, seq INTEGER NOT NULL
) STRICT;
CREATE INDEX journal_created ON journal(created_at_unix_ms, row);
CREATE TABLE usage(entity INTEGER PRIMARY KEY, count INTEGER NOT NULL, last_ms INTEGER NOT NULL) STRICT;
CREATE TABLE idempotency(
  owner TEXT NOT NULL, key TEXT NOT NULL, request BLOB NOT NULL, answer TEXT NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY(owner, key)
) STRICT;
CREATE INDEX idempotency_at ON idempotency(at_ms);
${textIndex('text')}
${textIndex('text_past')}

-- For scripts that read the original's table. Retention is not applied: decay_score is the importance.
CREATE VIEW entities AS
SELECT e.id, e.category, e.key, b.json AS body_json, v.status, v.type, v.tags, v.importance AS decay_score,
  coalesce(u.count, 0) AS retrieval_count, v.layer, v.topic_path, v.archived, v.archive_reason,
  (SELECT coalesce(json_group_array(json_object('target_id', l.target, 'relationship', l.relationship, 'weight', l.weight)), '[]')
     FROM link l WHERE l.entity = e.row AND l.seq_to IS NULL) AS links,
  v.verified, v.source, e.created_at_ms AS created_at_unix_ms, coalesce(u.last_ms, e.created_at_ms) AS last_accessed_unix_ms,
  NULL AS embedding, v.always_on, v.certainty, e.workspace AS workspace_hash, v.agent_id, v.visibility
FROM entity e JOIN version v ON v.id = e.version JOIN body b ON b.id = e.body LEFT JOIN usage u ON u.entity = e.row;
`;

const TURNS = `
CREATE TABLE turn(
  entity INTEGER PRIMARY KEY, session TEXT NOT NULL, category TEXT NOT NULL, workspace TEXT NOT NULL, turn REAL NOT NULL
) STRICT;
CREATE INDEX turn_session ON turn(session, category, workspace, turn);
-- The body that its tokens took context from, so that they can be made again.
ALTER TABLE body ADD COLUMN before INTEGER;
-- Lists of the first form; they are made anew while the store answers (rebuild.ts).
UPDATE body SET terms = x'';
`;

const VECTORS = `
CREATE TABLE space(
  id INTEGER PRIMARY KEY AUTOINCREMENT, model TEXT NOT NULL, dimensions INTEGER NOT NULL, prefix TEXT NOT NULL, done INTEGER NOT NULL
) STRICT;
-- Numbers grow, so that what is new can be read by them.
CREATE TABLE vector(
  id INTEGER PRIMARY KEY AUTOINCREMENT, body INTEGER NOT NULL UNIQUE, space INTEGER NOT NULL REFERENCES space(id), data BLOB NOT NULL
) STRICT;
`;

const ERASABLE = `
-- What must be found when an entity is erased: its names, links to and from it, what took context from its bodies. The last
-- one is for the reference from a version: without it each erased body would look through all versions.
CREATE INDEX key_entity ON key(entity);
CREATE INDEX link_target ON link(target);
CREATE INDEX link_entity ON link(entity);
CREATE INDEX body_before ON body(before) WHERE before IS NOT NULL;
CREATE INDEX version_body ON version(body);
-- When lists of words were made anew last: every connection asks after each commit of another one.
CREATE INDEX changes_repacked ON changes(seq) WHERE kind = 'repacked';
`;

// The chain over the journal of an imported original, as it stood there: kept as data, and no part of ours.
const ORIGINAL_CHAIN = 'ALTER TABLE journal ADD COLUMN audit_hash TEXT;';

/** One step from a schema to the next. */
export interface Migration {
  /** What `user_version` is after it. */
  readonly version: number;
  readonly sql: string;
}

/** All steps in order. A released step is never edited: a change is a new step. */
export const MIGRATIONS: readonly Migration[] = [
  { version: 1, sql: FIRST },
  { version: 2, sql: TURNS },
  { version: 3, sql: VECTORS },
  { version: 4, sql: ERASABLE },
  { version: 5, sql: ORIGINAL_CHAIN },
];

/** The schema that this program writes. */
export const SCHEMA_VERSION = MIGRATIONS[MIGRATIONS.length - 1]?.version ?? 0;

/** What a file turned out to be. */
export type FileKind =
  | { readonly kind: 'empty' | 'original' | 'original_v01' }
  | { readonly kind: 'ours'; readonly version: number };

/** Whether the tokens of the file are those of this program; else they are being made anew (rebuild.ts). */
export function indexIsCurrent(sql: Statements): boolean {
  return sql.get<{ value: number }>(`SELECT value FROM meta WHERE name = 'index_version'`)?.value === TOKENISER_VERSION;
}

/** Looks at an open file. Throws for a stranger's and for a newer one of ours; writes nothing. */
export function inspect(db: Connection): FileKind {
  const applicationId = Number(db.pragma('application_id', { simple: true }));
  const version = Number(db.pragma('user_version', { simple: true }));
  if (applicationId === APPLICATION_ID) {
    if (version > SCHEMA_VERSION) {
      throw new MimirError(
        'newer_schema',
        `The store has schema ${version}; this program knows ${SCHEMA_VERSION}. Nothing was written to it.`,
      );
    }
    return { kind: 'ours', version };
  }
  const tables = db.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table'`).pluck().all();
  if (tables.length === 0 && applicationId === 0) return { kind: 'empty' };
  if (tables.includes('entities')) return { kind: 'original' };
  if (tables.includes('memories')) return { kind: 'original_v01' };
  throw new MimirError('not_a_store', 'The file is a database of another program. Nothing was written to it.');
}

/** Refuses a file of the original, as what it is. */
export function refuseOriginal({ kind }: FileKind): void {
  if (kind === 'original') {
    throw new MimirError('original_store', 'The file is a database of the original Mimir. Nothing was written to it.', {
      facts: { importable: true },
    });
  }
  if (kind === 'original_v01') {
    throw new MimirError('original_store', 'The file is a database of Mimir 0.1. Nothing was written to it.', {
      hint: 'Bring its memories into a store of today: mimir migrate --from FILE --to NEW_FILE',
    });
  }
}

/**
 * Brings a file to the current schema in one transaction; two processes may do it at the same moment. `backUp` is called
 * before a file with content is changed. The caller retries when the lock is taken.
 */
export function migrate(db: Connection, backUp: (version: number) => void): void {
  const before = inspect(db);
  refuseOriginal(before);
  if (before.kind === 'ours' && before.version === SCHEMA_VERSION) return;
  if (before.kind === 'ours') backUp(before.version);
  db.exec('BEGIN IMMEDIATE');
  try {
    const found = inspect(db);
    refuseOriginal(found);
    const from = found.kind === 'ours' ? found.version : 0;
    for (const step of MIGRATIONS) if (step.version > from) db.exec(step.sql);
    if (from === 0) {
      const put = db.prepare('INSERT INTO meta(name, value) VALUES (?, ?)');
      put.run('index_version', TOKENISER_VERSION);
    }
    db.pragma(`application_id = ${APPLICATION_ID}`);
    db.pragma(`user_version = ${SCHEMA_VERSION}`);
    db.exec('COMMIT');
  } catch (thrown) {
    if (db.inTransaction) db.exec('ROLLBACK');
    throw thrown;
  }
}
