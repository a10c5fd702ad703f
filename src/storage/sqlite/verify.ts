import { createHash } from 'node:crypto';

import { LIMITS } from '../../limits.ts';
import { canonicalJson } from '../../memory/canonical.ts';
import { packEntity, readBody } from '../../memory/document.ts';
import type { TellProgress } from '../../memory/types.ts';
import type { Examination } from '../store.ts';
import { changeDigest, GENESIS, operationDigest, operationHash } from './chain.ts';
import { payloadOf, type ChangeKind } from './payloads.ts';
import { indexIsCurrent } from './schema.ts';
import { indexSize } from './search.ts';
import type { Session } from './session.ts';
import { BODY_WRITTEN_MS } from './turns.ts';

interface OperationRow {
  readonly seq: number;
  readonly id: string;
  readonly at_ms: number;
  readonly kind: string;
  readonly digest: Buffer;
  readonly hash: Buffer;
}

function verifyChain(s: Session, report: (problem: string) => void, looked: () => void): void {
  let previous: { hash: Buffer; seq: number; atMs: number } = { hash: GENESIS, seq: 0, atMs: 0 };
  const rows = s.sql.db
    .prepare('SELECT seq, id, at_ms, kind, digest, hash FROM operations ORDER BY seq')
    .all() as OperationRow[];
  for (const row of rows) {
    const changes = s.sql.all<{ n: number; kind: ChangeKind; row: number; salt: Buffer | null; digest: Buffer }>(
      'SELECT n, kind, row, salt, digest FROM changes WHERE seq = ? ORDER BY n',
      row.seq,
    );
    for (const change of changes) {
      const payload = payloadOf(s, change.kind, change.row);
      if (change.salt === null) {
        // Purged: its digest still stands in the chain. Without a salt nobody could tell a row that was changed afterwards.
        if (payload !== undefined)
          report(`operation ${row.seq}: its ${change.kind} row ${change.row} was to be erased`);
      } else if (payload === undefined) report(`operation ${row.seq}: its ${change.kind} row ${change.row} is missing`);
      else if (!changeDigest(change.salt, payload).equals(change.digest)) {
        report(`operation ${row.seq}: its ${change.kind} row ${change.row} was changed afterwards`);
      }
    }
    const digest = operationDigest(changes.map((change) => change.digest));
    const hash = operationHash(
      previous.hash,
      { seq: row.seq, id: row.id, atMs: row.at_ms, kind: row.kind },
      row.digest,
    );
    if (!digest.equals(row.digest)) report(`operation ${row.seq}: its changes do not add up`);
    if (!hash.equals(row.hash)) report(`operation ${row.seq}: the chain is broken`);
    if (row.seq !== previous.seq + 1) report(`operation ${row.seq}: ${previous.seq + 1} is missing before it`);
    if (row.at_ms < previous.atMs) report(`operation ${row.seq}: its time goes back`);
    previous = { hash: row.hash, seq: row.seq, atMs: row.at_ms };
    looked();
  }
}

function verifyBodies(
  s: Session,
  report: (problem: string) => void,
  looked: () => void,
): { live: number; archived: number } {
  let [live, archived] = [0, 0];
  // Tokens of an older form are right as they are; they are being made anew (rebuild.ts).
  const isCurrent = indexIsCurrent(s.sql);
  const rows = s.sql.db
    .prepare(
      `SELECT b.id, b.json, b.hash, b.tokens, e.workspace, e.key, e.category, e.archived, v.tags,
         (SELECT p.json FROM body p WHERE p.id = b.before) AS before,
         ${BODY_WRITTEN_MS} AS at_ms
       FROM entity e JOIN version v ON v.id = e.version JOIN body b ON b.id = e.body`,
    )
    .iterate() as IterableIterator<{
    id: number;
    json: string;
    hash: Buffer;
    tokens: string;
    workspace: string;
    key: string;
    category: string;
    archived: number;
    tags: string;
    before: string | null;
    at_ms: number;
  }>;
  for (const row of rows) {
    looked();
    if (row.archived === 0) live += 1;
    else archived += 1;
    const hash = createHash('sha256').update(canonicalJson(row.json), 'utf8').digest();
    if (!hash.equals(row.hash)) report(`body ${row.id}: its text was changed afterwards`);
    if (!isCurrent) continue;
    const { tokens } = packEntity({
      bodyJson: row.json,
      workspace: row.workspace,
      key: row.key,
      tags: JSON.parse(row.tags) as string[],
      category: row.category,
      writtenMs: row.at_ms,
      before: row.before === null ? undefined : readBody(row.before).text,
    });
    if (tokens !== row.tokens) report(`body ${row.id}: its tokens are not those of its text`);
  }
  return { live, archived };
}

/** What must hold between current rows and what they are current of: each counts the rows of which it does not. */
const CURRENT_ROWS: Readonly<Record<string, string>> = {
  'entities do not stand on a version of their own': `
    SELECT count(*) FROM entity e LEFT JOIN version v ON v.id = e.version AND v.entity = e.row AND v.body = e.body WHERE v.id IS NULL`,
  'entities say something else than their version': `
    SELECT count(*) FROM entity e JOIN version v ON v.id = e.version
    WHERE (e.type, e.agent_id, e.visibility, e.topic_path, e.archived, e.always_on)
      IS NOT (v.type, v.agent_id, v.visibility, v.topic_path, v.archived, v.always_on)`,
  'entities do not have their name': `
    SELECT count(*) FROM entity e LEFT JOIN key k ON k.category = e.category AND k.key = e.key AND k.workspace = e.workspace
      AND k.seq_to IS NULL AND k.entity = e.row WHERE k.id IS NULL`,
  'entities count other links than they have': `
    SELECT count(*) FROM entity e WHERE e.links <> (SELECT count(*) FROM link l WHERE l.entity = e.row AND l.seq_to IS NULL)`,
};

/** What {@link verify} lists. */
export function verify(s: Session, progress?: TellProgress): readonly string[] {
  return look(s, progress).problems;
}

/** Checks chain, bodies, text index and references by computing them again; lists the first that does not agree, and counts all. */
function look(s: Session, progress?: TellProgress): Pick<Examination, 'problems' | 'problemCount'> {
  const problems: string[] = [];
  let problemCount = 0;
  const report = (problem: string): void => {
    problemCount += 1;
    if (problems.length < LIMITS.problemsMax) problems.push(problem);
  };
  const total =
    progress &&
    s.sql.get<{ n: number }>('SELECT (SELECT count(*) FROM operations) + (SELECT count(*) FROM entity) AS n')?.n;
  let done = 0;
  const looked = (): void => progress?.((done += 1), total);
  verifyChain(s, report, looked);
  const { live, archived } = verifyBodies(s, report, looked);
  for (const [what, sql] of Object.entries(CURRENT_ROWS)) {
    const count = Number(s.sql.db.prepare(sql).pluck().get());
    if (count > 0) report(`${count} ${what}`);
  }
  // Of the file: a connection may answer from its memory otherwise.
  for (const [name, index, wanted] of [
    ['text index', 'text', live],
    ['index of archived texts', 'text_past', archived],
  ] as const) {
    const { rows } = indexSize(s, index);
    if (rows !== wanted) report(`${name}: it counts ${rows} rows, there are ${wanted}`);
  }
  for (const problem of s.sql.db.pragma('foreign_key_check') as { table: string; rowid: number }[]) {
    report(`${problem.table} ${problem.rowid}: it refers to a row that is not there`);
  }
  // Looks into the full-text indexes as well, and needs no write lock.
  for (const line of s.sql.db.pragma('integrity_check(10)') as { integrity_check: string }[]) {
    if (line.integrity_check !== 'ok') report(`file: ${line.integrity_check}`);
  }
  return { problems, problemCount };
}

/** See `Reader.examine`. */
export function examine(s: Session, progress?: TellProgress): Examination {
  const log = s.sql.get<{ n: number; newest: number | null }>(
    'SELECT count(*) AS n, max(at_ms) AS newest FROM operations',
  );
  return {
    ...look(s, progress),
    operations: log?.n ?? 0,
    newestMs: log?.newest ?? null,
    indexIsCurrent: indexIsCurrent(s.sql),
  };
}
