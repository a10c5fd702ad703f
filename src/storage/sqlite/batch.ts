import { createHash } from 'node:crypto';

import type { Clock } from '../../clock.ts';
import { MimirError } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import { canonical } from '../../memory/canonical.ts';
import type { Scope } from '../../memory/types.ts';
import type { Writer } from '../store.ts';
import { GENESIS, operationDigest, operationHash } from './chain.ts';
import type { Derived } from './derived.ts';
import { isBusy, translate } from './driver.ts';
import type { LiveChange, LiveRows } from './live.ts';
import { eraseChanges } from './purge.ts';
import { SCHEMA_VERSION } from './schema.ts';
import { dropRepacked, type Session } from './session.ts';
import { addUsage, recordChange, sqliteWriter, type RunningOperation } from './writer.ts';

/** One write to be carried out: a whole operation. */
export interface WriteJob {
  /** Made by the caller before dispatch; stands in the log. */
  readonly id: string;
  readonly kind: string;
  readonly scope: Scope;
  /** What was asked, for telling a retry from another request. */
  readonly input: unknown;
  readonly idempotencyKey?: string;
  readonly run: (tx: Writer) => Promise<unknown>;
}

/** How a job ended. */
export type Outcome = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: unknown };

/** Usage to be added: so many uses of a row, the last at this moment. */
export interface UsageNote {
  readonly row: number;
  readonly times: number;
  readonly atMs: number;
}

interface Head {
  readonly seq: number;
  readonly hash: Buffer;
  readonly atMs: number;
}

/** What the batches of one writing connection need and remember. */
export interface BatchContext {
  readonly session: Session;
  readonly clock: Clock;
  readonly derived: Derived;
  /** Keeps `derived` filled. */
  readonly rows: LiveRows;
  readonly busyTimeoutMs: number;
  /** Sequence number that `derived` has seen; -1 before the first batch. */
  seenSeq: number;
  /** Another process committed since our last commit. */
  othersWrote: boolean;
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Stops this thread for so many milliseconds. Only the writer may: nobody else waits on it. */
function sleepMs(ms: number): void {
  Atomics.wait(sleeper, 0, 0, ms);
}

/**
 * Runs what needs the write lock. Between processes: own retry every 1-3 ms, because SQLite's own handler sleeps up to 100 ms
 * and starves somebody.
 */
export function withWriteLock(
  { session, clock, busyTimeoutMs }: BatchContext,
  sql: 'BEGIN IMMEDIATE' | 'VACUUM',
): void {
  const started = performance.now();
  for (;;) {
    try {
      session.sql.db.exec(sql);
      return;
    } catch (thrown) {
      if (!isBusy(thrown) || performance.now() - started >= busyTimeoutMs) throw translate(thrown);
      sleepMs(1 + (2 * (clock.randomBytes(1)[0] ?? 0)) / 255);
    }
  }
}

function readHead(s: Session): Head {
  const row = s.sql.get<{ seq: number; hash: Buffer; at_ms: number }>(
    'SELECT seq, hash, at_ms FROM operations ORDER BY seq DESC LIMIT 1',
  );
  return row === undefined ? { seq: 0, hash: GENESIS, atMs: 0 } : { seq: row.seq, hash: row.hash, atMs: row.at_ms };
}

/** Takes the write lock, checks that the schema is still ours, and takes over what others wrote. */
export function beginWrite(context: BatchContext): Head {
  const { session } = context;
  withWriteLock(context, 'BEGIN IMMEDIATE');
  const version = Number(session.sql.db.pragma('user_version', { simple: true }));
  if (version !== SCHEMA_VERSION)
    throw new MimirError('newer_schema', `Another program changed the store to schema ${version}.`);
  return follow(context);
}

/** Reads where the log stands, and takes over what other processes added since we looked. Must run in a transaction. */
export function follow(context: BatchContext): Head {
  const { session, rows } = context;
  const head = readHead(session);
  context.othersWrote = context.seenSeq >= 0 && head.seq !== context.seenSeq;
  if (context.othersWrote) {
    rows.follow(session.sql, context.seenSeq, head.seq);
    dropRepacked(session);
  }
  context.seenSeq = head.seq;
  return head;
}

function rollBack(context: BatchContext): void {
  // A full disk or an I/O error has already ended the transaction.
  if (context.session.sql.db.inTransaction) context.session.sql.db.exec('ROLLBACK');
}

function requestDigest(job: WriteJob): Buffer {
  return createHash('sha256').update(job.kind).update('\0').update(canonical(job.input), 'utf8').digest();
}

function ownerOf(scope: Scope): string {
  return scope.principal.kind === 'owner' ? '' : `${scope.principal.workspace}\0${scope.principal.agentId}`;
}

function firstAnswer(s: Session, job: WriteJob): { value: unknown } | undefined {
  const row = s.sql.get<{ request: Buffer; answer: string }>(
    'SELECT request, answer FROM idempotency WHERE owner = ? AND key = ? AND at_ms > ?',
    ownerOf(job.scope),
    job.idempotencyKey,
    s.nowMs - LIMITS.idempotencyMs,
  );
  if (row === undefined) return undefined;
  if (!row.request.equals(requestDigest(job))) {
    throw new MimirError(
      'idempotency_mismatch',
      'This idempotency_key was used for another request within the last 24 hours.',
    );
  }
  return { value: JSON.parse(row.answer) as unknown };
}

function keepAnswer(s: Session, job: WriteJob, value: unknown): void {
  s.sql.run('DELETE FROM idempotency WHERE at_ms <= ?', s.nowMs - LIMITS.idempotencyMs);
  s.sql.run(
    'INSERT OR REPLACE INTO idempotency(owner, key, request, answer, at_ms) VALUES (?, ?, ?, ?, ?)',
    ownerOf(job.scope),
    job.idempotencyKey,
    requestDigest(job),
    JSON.stringify(value ?? null),
    s.nowMs,
  );
}

/** Runs one job inside the open transaction; answers its value, the new head, and what it changed in the index. */
async function runJob(
  context: BatchContext,
  head: Head,
  job: WriteJob,
): Promise<{ value: unknown; head: Head; liveChanges: LiveChange[] }> {
  const { session: s, clock, derived } = context;
  // The log never goes back in time, whatever the clock does.
  s.nowMs = Math.max(clock.nowMs(), head.atMs);
  const operation: RunningOperation = { seq: head.seq + 1, changes: [], liveChanges: [], erased: [] };
  if (job.idempotencyKey !== undefined) {
    const first = firstAnswer(s, job);
    if (first !== undefined) return { value: first.value, head, liveChanges: [] };
  }
  const value = await job.run(sqliteWriter(s, clock, derived, operation));
  eraseChanges(s, operation.erased);
  if (job.idempotencyKey !== undefined) keepAnswer(s, job, value);
  if (operation.changes.length === 0) return { value, head, liveChanges: operation.liveChanges };

  // The row comes before its own change: who acted is payload, so that it can be erased without breaking the chain.
  s.sql.run(
    'INSERT INTO operations(seq, id, at_ms, kind, workspace, actor, client, digest, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
    operation.seq,
    job.id,
    s.nowMs,
    job.kind,
    job.scope.workspace ?? '',
    job.scope.actor,
    job.scope.client,
    GENESIS,
    GENESIS,
  );
  recordChange(s, clock, operation, 'operation', operation.seq);
  for (const [n, change] of operation.changes.entries()) {
    s.sql.run(
      'INSERT INTO changes(seq, n, kind, row, salt, digest) VALUES (?, ?, ?, ?, ?, ?)',
      operation.seq,
      n,
      change.kind,
      change.row,
      change.salt,
      change.digest,
    );
  }
  const digest = operationDigest(operation.changes.map((change) => change.digest));
  const hash = operationHash(head.hash, { seq: operation.seq, id: job.id, atMs: s.nowMs, kind: job.kind }, digest);
  s.sql.run('UPDATE operations SET digest = ?, hash = ? WHERE seq = ?', digest, hash, operation.seq);
  return { value, head: { seq: operation.seq, hash, atMs: s.nowMs }, liveChanges: operation.liveChanges };
}

/** What a batch is told besides its jobs. */
export interface BatchOptions {
  readonly usage?: readonly UsageNote[];
  /** Called before COMMIT with how each job would end: if this thread dies, the log says which of them did. */
  readonly prepared?: (outcomes: readonly Outcome[]) => void;
}

/** How a batch ended: outcomes of the jobs that were run, in order (fewer than asked when time was up), and of the usage notes. */
export interface BatchResult {
  readonly outcomes: readonly Outcome[];
  readonly usageStored: boolean;
}

/**
 * Runs jobs in one transaction, each in a savepoint. After every error it looks whether the transaction still stands: a full
 * disk or an I/O error inside a savepoint ends all of it, and then nothing of the batch has happened: the one at fault fails
 * alone, the others run again. When COMMIT fails, each runs again in a transaction of its own.
 */
export async function runBatch(
  context: BatchContext,
  jobs: readonly WriteJob[],
  options: BatchOptions = {},
): Promise<BatchResult> {
  const { sql } = context.session;
  const { db } = sql;
  const outcomes: (Outcome | undefined)[] = jobs.map(() => undefined);
  for (;;) {
    const started = performance.now();
    let head: Head;
    try {
      head = beginWrite(context);
    } catch (thrown) {
      rollBack(context);
      const error = translate(thrown);
      return { outcomes: jobs.map((_, i) => outcomes[i] ?? { ok: false, error }), usageStored: false };
    }
    const liveChanges: LiveChange[] = [];
    const ran: number[] = [];
    let lost = false;
    for (const [i, job] of jobs.entries()) {
      if (outcomes[i]?.ok === false) continue; // it was at fault for the loss of an earlier transaction
      if (ran.length > 0 && performance.now() - started > LIMITS.batchMs) break;
      sql.run('SAVEPOINT job');
      try {
        const done = await runJob(context, head, job);
        sql.run('RELEASE job');
        head = done.head;
        liveChanges.push(...done.liveChanges);
        outcomes[i] = { ok: true, value: done.value };
        ran.push(i);
      } catch (thrown) {
        outcomes[i] = { ok: false, error: translate(thrown) };
        lost = !db.inTransaction;
        if (lost) break;
        sql.run('ROLLBACK TO job');
        sql.run('RELEASE job');
      }
    }
    if (lost) {
      for (const i of ran) outcomes[i] = undefined;
      continue;
    }
    // When time was up, what comes after the first job that was not run belongs to the next batch.
    const end = outcomes.indexOf(undefined);
    const settled = (end === -1 ? outcomes : outcomes.slice(0, end)).filter((outcome) => outcome !== undefined);
    let usageStored = false;
    try {
      for (const note of options.usage ?? []) addUsage(context.session, note.row, note.times, note.atMs);
      options.prepared?.(settled);
      db.exec('COMMIT');
      usageStored = true;
    } catch (thrown) {
      rollBack(context);
      if (ran.length === 0) return { outcomes: settled, usageStored };
      return { outcomes: await runAlone(context, jobs, settled, translate(thrown)), usageStored };
    }
    context.seenSeq = head.seq;
    context.rows.committed(liveChanges);
    return { outcomes: settled, usageStored };
  }
}

async function runAlone(
  context: BatchContext,
  jobs: readonly WriteJob[],
  settled: readonly Outcome[],
  cause: unknown,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const [i, outcome] of settled.entries()) {
    const job = jobs[i];
    if (!outcome.ok || job === undefined) outcomes.push(outcome);
    else outcomes.push(await runInOwnTransaction(context, job, cause));
  }
  return outcomes;
}

async function runInOwnTransaction(context: BatchContext, job: WriteJob, cause: unknown): Promise<Outcome> {
  const db = context.session.sql.db;
  try {
    const head = beginWrite(context);
    const done = await runJob(context, head, job);
    db.exec('COMMIT');
    context.seenSeq = done.head.seq;
    context.rows.committed(done.liveChanges);
    return { ok: true, value: done.value };
  } catch (thrown) {
    rollBack(context);
    const error = translate(thrown);
    // After a failed sync the frames may be in the log all the same; only a later commit writes over them.
    const unknown =
      error instanceof MimirError &&
      error.code === 'io_error' &&
      cause instanceof MimirError &&
      cause.code === 'io_error';
    return {
      ok: false,
      error: unknown
        ? new MimirError('outcome_unknown', 'The disk failed while the write was being saved; it may be there or not.')
        : error,
    };
  }
}
