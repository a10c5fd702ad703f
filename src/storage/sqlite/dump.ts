import { MimirError } from '../../errors.ts';
import type { TellProgress } from '../../memory/types.ts';
import { driverCode, Statements, type Connection } from './driver.ts';
import { APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION } from './schema.ts';
import { indexBody, scopeTokens } from './search.ts';
import type { Session } from './session.ts';

/** The word that the first line of an export begins with, and the version of its form. */
const FORMAT = 'mimir-export';
const FORMAT_VERSION = 1;

/** SQLite's own table of the highest number given in each table: the numbers of what was purged must not be given again. */
const NUMBERS = 'sqlite_sequence';

/** All tables but the text indexes and the answers kept for retries, in the order of an export, with what orders their rows. */
const TABLES: Readonly<Record<string, string>> = {
  meta: 'name',
  operations: 'seq',
  changes: 'seq, n',
  body: 'id',
  version: 'id',
  entity: 'row',
  key: 'id',
  link: 'id',
  turn: 'entity',
  usage: 'entity',
  journal: 'row',
  state: 'id',
  space: 'id',
  vector: 'id',
  [NUMBERS]: 'name',
};

type Line = Readonly<Record<string, unknown>>;

/** A whole store as lines of JSON: one that says what it is, one for each row of each table, and one that ends it. */
export function* dumpLines(s: Session, progress?: TellProgress): Generator<string> {
  // Counting reads a little of each table, so it is done for those who watch.
  const total = progress && Object.keys(TABLES).reduce((sum, table) => sum + countOf(s, table), 0);
  yield JSON.stringify({ format: FORMAT, version: FORMAT_VERSION, schema: SCHEMA_VERSION });
  let rows = 0;
  for (const [table, order] of Object.entries(TABLES)) {
    for (const row of s.sql.of(`SELECT * FROM ${table} ORDER BY ${order}`).iterate() as IterableIterator<Line>) {
      rows += 1;
      const columns = Object.entries(row).map(([name, value]) => [name, portable(value)]);
      yield JSON.stringify({ table, ...Object.fromEntries(columns) });
      progress?.(rows, total);
    }
  }
  yield JSON.stringify({ end: true, rows });
}

function countOf(s: Session, table: string): number {
  return s.sql.get<{ n: number }>(`SELECT count(*) AS n FROM ${table}`)?.n ?? 0;
}

function portable(value: unknown): unknown {
  return value instanceof Uint8Array ? { $base64: Buffer.from(value).toString('base64') } : value;
}

function damaged(line: number, what: string): MimirError {
  return new MimirError('not_an_export', `Line ${line} of the export ${what}. Nothing was imported.`);
}

function parsed(text: string, line: number): Line {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return { ...value };
  } catch {
    // said below
  }
  throw damaged(line, 'is no JSON object');
}

/**
 * Fills an empty database with an export; answers how many rows. The schema is brought up to that of the export first and to
 * ours afterwards. Throws `not_an_export` for lines that are none, or when the end is missing.
 */
export function restoreLines(db: Connection, lines: Iterable<string>): number {
  const sql = new Statements(db);
  let [line, rows, schema, ended] = [0, 0, 0, false];
  db.pragma('foreign_keys = OFF');
  db.exec('BEGIN');
  for (const text of lines) {
    line += 1;
    const { table, ...row } = parsed(text, line);
    if (ended) throw damaged(line, 'comes after the end');
    if (line === 1) {
      schema = Number(row['schema']);
      if (row['format'] !== FORMAT) throw damaged(line, 'does not say that it is one');
      if (row['version'] !== FORMAT_VERSION || !(schema <= SCHEMA_VERSION)) {
        throw new MimirError('newer_schema', `The export has schema ${schema}; this program knows ${SCHEMA_VERSION}.`);
      }
      for (const step of MIGRATIONS) if (step.version <= schema) db.exec(step.sql);
    } else if (row['end'] === true) {
      if (row['rows'] !== rows) throw damaged(line, `counts ${String(row['rows'])} rows, there were ${rows}`);
      ended = true;
    } else {
      if (typeof table !== 'string' || !Object.hasOwn(TABLES, table)) throw damaged(line, 'names no table of a store');
      insert(sql, table, row, line);
      rows += 1;
    }
  }
  if (!ended) throw damaged(line + 1, 'is missing: the file was cut off');
  fillIndexes(sql);
  for (const step of MIGRATIONS) if (step.version > schema) db.exec(step.sql);
  db.pragma(`application_id = ${APPLICATION_ID}`);
  db.pragma(`user_version = ${SCHEMA_VERSION}`);
  db.exec('COMMIT');
  return rows;
}

function insert(sql: Statements, table: string, row: Line, line: number): void {
  const names = Object.keys(row);
  if (!names.every((name) => /^[a-z_]+$/.test(name))) throw damaged(line, 'names a column that there cannot be');
  const values = Object.values(row).map((value) =>
    typeof value === 'object' && value !== null && '$base64' in value
      ? Buffer.from(String(value.$base64), 'base64')
      : value,
  );
  if (table === NUMBERS) {
    if (!Object.hasOwn(TABLES, String(row['name']))) throw damaged(line, 'numbers no table of a store');
    // It has made its own line with the first row.
    sql.run(`DELETE FROM ${NUMBERS} WHERE name = ?`, row['name']);
  }
  try {
    sql.run(`INSERT INTO ${table}(${names.join()}) VALUES (${names.map(() => '?').join()})`, ...values);
  } catch (thrown) {
    const isMisfit = thrown instanceof TypeError || /^SQLITE_(CONSTRAINT|MISMATCH|ERROR)/.test(driverCode(thrown));
    if (isMisfit) throw damaged(line, `does not fit the table ${table}`);
    throw thrown;
  }
}

/** The text indexes are made of the tokens that the bodies carry. */
function fillIndexes(sql: Statements): void {
  const rows = sql
    .of(
      `SELECT b.id, b.tokens, e.archived, e.workspace, e.category FROM entity e JOIN body b ON b.id = e.body ORDER BY b.id`,
    )
    .all() as { id: number; tokens: string; archived: number; workspace: string; category: string }[];
  for (const { id, tokens, archived, ...place } of rows) {
    indexBody({ sql }, archived === 1 ? 'text_past' : 'text', id, tokens, scopeTokens(place));
  }
}
