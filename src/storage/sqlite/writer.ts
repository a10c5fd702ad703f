import { createHash } from 'node:crypto';

import { monotonicMs, type Clock } from '../../clock.ts';
import { MimirError } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import { canonicalJson } from '../../memory/canonical.ts';
import { mayRead, mayWrite } from '../../memory/scope.ts';
import { jaccard, Trigrams } from '../../memory/similarity.ts';
import type {
  EmbeddedBody,
  Entity,
  EntityFields,
  EntityPatch,
  NewEntity,
  Scope,
  SimilarEntity,
} from '../../memory/types.ts';
import type { EraseStage, Reindexed, Writer } from '../store.ts';
import { changeDigest } from './chain.ts';
import type { Derived } from './derived.ts';
import { entityAtRow } from './entities.ts';
import { wordsOf, type LiveChange } from './live.ts';
import { payloadOf, type ChangeKind } from './payloads.ts';
import { eraseLeftovers, purgeEntity, type ErasedChange } from './purge.ts';
import { reindexStep, reindexWhole, type Repacked } from './rebuild.ts';
import { sqliteReader } from './reader.ts';
import { indexBody, scopeTokens, unindexBody } from './search.ts';
import type { Session } from './session.ts';
import { packPlaced, type Placed } from './turns.ts';
import { openState } from './state.ts';
import { dropVector, openSpace, putVectors } from './vectors.ts';

/** One operation while it runs: its number, and what it has touched so far. */
export interface RunningOperation {
  readonly seq: number;
  readonly changes: { kind: ChangeKind; row: number; salt: Uint8Array; digest: Uint8Array }[];
  readonly liveChanges: LiveChange[];
  readonly erased: ErasedChange[];
}

/** A body as the text index knows it. */
interface IndexedBody {
  readonly id: number;
  readonly tokens: string;
  readonly terms: Int32Array;
}

type Identity = Pick<Entity, 'workspace' | 'category' | 'key'>;

function liveChange(
  { workspace, category, key }: Identity,
  { id, tokens, terms }: IndexedBody,
  by: 1 | -1,
): LiveChange {
  return { body: id, tokens, terms, workspace, category, key, by };
}

/** Notes that the running operation touched a row. Must be called after the row stands as it will be verified. */
export function recordChange(
  s: Session,
  clock: Clock,
  operation: RunningOperation,
  kind: ChangeKind,
  row: number,
): void {
  const payload = payloadOf(s, kind, row);
  if (payload === undefined) throw new Error(`no ${kind} row to record`);
  const salt = clock.randomBytes(32);
  operation.changes.push({ kind, row, salt, digest: changeDigest(salt, payload) });
}

/** Adds to the usage of a row; one that was purged meanwhile has none. */
export function addUsage(s: Session, row: number, times: number, atMs: number): void {
  s.sql.run(
    `INSERT INTO usage(entity, count, last_ms) SELECT row, ?, ? FROM entity WHERE row = ?
     ON CONFLICT(entity) DO UPDATE SET count = count + excluded.count, last_ms = max(last_ms, excluded.last_ms)`,
    times,
    atMs,
    row,
  );
}

/** A row that may be nearly the same as another of its workspace and category. */
interface Neighbour {
  readonly id: string;
  readonly key: string;
  readonly workspace: string;
  readonly visibility: string;
  readonly agentId: string;
  readonly bodyJson: string;
}

const NEIGHBOUR_SQL = `
SELECT e.id, e.key, e.workspace, e.visibility, e.agent_id AS agentId, b.json AS bodyJson
FROM body b CROSS JOIN entity e ON e.row = b.entity
WHERE b.id = ? AND e.body = b.id AND e.archived = 0 AND e.workspace = ? AND e.category = ?`;

/** The writing half of a store, for one operation. */
export function sqliteWriter(s: Session, clock: Clock, derived: Derived, operation: RunningOperation): Writer {
  const record = (kind: ChangeKind, row: number): void => recordChange(s, clock, operation, kind, row);

  const demandWrite = (scope: Scope, workspace: string): void => {
    if (!mayWrite(scope, workspace))
      throw new MimirError('forbidden', 'This caller may not write into that workspace.');
  };

  const addBody = (entity: number, findable: Placed, writtenMs: number) => {
    const { tokens, terms, before } = packPlaced(s, entity, findable, writtenMs);
    const hash = createHash('sha256').update(canonicalJson(findable.bodyJson), 'utf8').digest();
    const id = s.sql.run(
      'INSERT INTO body(entity, terms, tokens, hash, json, before) VALUES (?, ?, ?, ?, ?, ?)',
      entity,
      new Uint8Array(terms.buffer),
      tokens,
      hash,
      findable.bodyJson,
      before,
    );
    return { id, tokens, terms };
  };

  const addVersion = (entity: number, body: number, fields: EntityFields): number => {
    const id = s.sql.run(
      `INSERT INTO version(seq, entity, body, status, type, tags, importance, layer, topic_path, archived, archive_reason, verified,
         source, always_on, certainty, agent_id, visibility) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      operation.seq,
      entity,
      body,
      fields.status,
      fields.type,
      JSON.stringify(fields.tags),
      fields.importance,
      fields.layer,
      fields.topicPath,
      Number(fields.archived),
      fields.archiveReason,
      Number(fields.verified),
      fields.source,
      Number(fields.alwaysOn),
      fields.certainty,
      fields.agentId,
      fields.visibility,
    );
    return id;
  };

  const toIndex = (entity: Identity, archived: boolean, body: IndexedBody): void => {
    indexBody(s, archived ? 'text_past' : 'text', body.id, body.tokens, scopeTokens(entity));
    if (!archived) operation.liveChanges.push(liveChange(entity, body, 1));
  };

  const fromIndex = (entity: Identity, archived: boolean, body: IndexedBody): void => {
    unindexBody(s, archived ? 'text_past' : 'text', body.id, body.tokens, scopeTokens(entity));
    if (!archived) operation.liveChanges.push(liveChange(entity, body, -1));
  };

  const storedTerms = (id: number): IndexedBody => {
    const row = s.sql.get<{ tokens: string; terms: Buffer }>('SELECT tokens, terms FROM body WHERE id = ?', id);
    if (row === undefined) throw new Error('a body of an entity is not there');
    return { id, tokens: row.tokens, terms: wordsOf(row.terms) };
  };

  /** Lists that were made anew: this process takes over what changed, others see that something did. */
  const tellingRepacked = <T>(run: (repacked: Repacked) => T): T => {
    const repacked: Repacked = { live: [], bodies: [] };
    const done = run(repacked);
    operation.liveChanges.push(...repacked.live);
    for (const body of repacked.bodies) record('repacked', body);
    if (repacked.bodies.length > 0) s.terms.clear();
    return done;
  };

  return Object.assign(sqliteReader(s), {
    newId: (prefix: string): string => prefix + Buffer.from(clock.randomBytes(6)).toString('hex'),

    create: (scope: Scope, entity: NewEntity): Entity => {
      demandWrite(scope, entity.workspace);
      const createdAtMs = entity.createdAtMs ?? s.nowMs;
      // The row comes first because body and version name it; both numbers are set right after.
      const row = s.sql.run(
        `INSERT INTO entity(id, version, body, workspace, category, key, type, agent_id, visibility, topic_path, archived, always_on, created_at_ms)
         VALUES (?, 0, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        entity.id,
        entity.workspace,
        entity.category,
        entity.key,
        entity.type,
        entity.agentId,
        entity.visibility,
        entity.topicPath,
        Number(entity.archived),
        Number(entity.alwaysOn),
        createdAtMs,
      );
      const body = addBody(row, entity, createdAtMs);
      const version = addVersion(row, body.id, entity);
      s.sql.run('UPDATE entity SET version = ?, body = ? WHERE row = ?', version, body.id, row);
      s.sql.run(
        'INSERT INTO key(workspace, category, key, entity, seq_from) VALUES (?, ?, ?, ?, ?)',
        entity.workspace,
        entity.category,
        entity.key,
        row,
        operation.seq,
      );
      toIndex(entity, entity.archived, body);
      record('entity', row);
      record('version', version);
      const made = entityAtRow(s, row);
      if (made === undefined) throw new Error('the new entity is not there');
      return made;
    },

    revise: (scope: Scope, entity: Entity, patch: EntityPatch): boolean => {
      demandWrite(scope, entity.workspace);
      const next: Entity = { ...entity, ...patch };
      const textChanged =
        next.bodyJson !== entity.bodyJson || JSON.stringify(next.tags) !== JSON.stringify(entity.tags);
      const same = (Object.keys(patch) as (keyof EntityPatch)[]).every((name) =>
        name === 'tags' || name === 'bodyJson' ? !textChanged : next[name] === entity[name],
      );
      if (same) return false;
      let bodyId = entity.body;
      if (textChanged || next.archived !== entity.archived) {
        const old = storedTerms(entity.body);
        fromIndex(entity, entity.archived, old);
        const body = textChanged ? addBody(entity.row, next, s.nowMs) : old;
        if (textChanged) dropVector(s, entity.body);
        toIndex(entity, next.archived, body);
        bodyId = body.id;
      }
      const version = addVersion(entity.row, bodyId, next);
      s.sql.run(
        `UPDATE entity SET version = ?, body = ?, type = ?, agent_id = ?, visibility = ?, topic_path = ?, archived = ?, always_on = ? WHERE row = ?`,
        version,
        bodyId,
        next.type,
        next.agentId,
        next.visibility,
        next.topicPath,
        Number(next.archived),
        Number(next.alwaysOn),
        entity.row,
      );
      record('version', version);
      return true;
    },

    similar: (scope: Scope, entity: Entity): SimilarEntity[] => {
      if (entity.bodyJson.length > LIMITS.similarBodyMaxChars) return [];
      let windows: Trigrams | undefined;
      const alike: SimilarEntity[] = [];
      for (const body of derived.proposals(storedTerms(entity.body).tokens, LIMITS.similarCandidatesMax + 1)) {
        if (body === entity.body) continue;
        const other = s.sql.get<Neighbour>(NEIGHBOUR_SQL, body, entity.workspace, entity.category);
        if (other === undefined || !mayRead(scope, other) || other.bodyJson.length > LIMITS.similarBodyMaxChars)
          continue;
        windows ??= new Trigrams(entity.bodyJson);
        const similarity =
          other.bodyJson === entity.bodyJson ? 1 : jaccard(windows, new Trigrams(other.bodyJson), LIMITS.similarMin);
        if (similarity >= LIMITS.similarMin) {
          alike.push({ id: other.id, key: other.key, similarity: Math.round(similarity * 1e4) / 1e4 });
        }
      }
      alike.sort((a, b) => b.similarity - a.similarity || (a.id < b.id ? -1 : 1));
      return alike.slice(0, LIMITS.similarCandidatesMax);
    },

    noteUse: (row: number, times: number, atMs: number): void => addUsage(s, row, times, atMs),

    openLink: (scope: Scope, fromRow: number, toId: string, relationship: string, weight: number): void => {
      const workspace =
        s.sql.get<{ workspace: string }>('SELECT workspace FROM entity WHERE row = ?', fromRow)?.workspace ?? '';
      demandWrite(scope, workspace);
      const id = s.sql.run(
        'INSERT INTO link(workspace, entity, target, relationship, weight, seq_from) VALUES (?, ?, ?, ?, ?, ?)',
        workspace,
        fromRow,
        toId,
        relationship,
        weight,
        operation.seq,
      );
      s.sql.run('UPDATE entity SET links = links + 1 WHERE row = ?', fromRow);
      record('link', id);
    },

    closeLinks: (scope: Scope, fromRow: number, toId: string): number => {
      const open = s.sql.all<{ id: number; workspace: string }>(
        'SELECT id, workspace FROM link WHERE entity = ? AND target = ? AND seq_to IS NULL',
        fromRow,
        toId,
      );
      for (const { id, workspace } of open) {
        demandWrite(scope, workspace);
        s.sql.run('UPDATE link SET seq_to = ? WHERE id = ?', operation.seq, id);
        record('link_closed', id);
      }
      s.sql.run('UPDATE entity SET links = links - ? WHERE row = ?', open.length, fromRow);
      return open.length;
    },

    appendJournal: (scope: Scope, entry: Parameters<Writer['appendJournal']>[1]): void => {
      demandWrite(scope, entry.workspace);
      const row = s.sql.run(
        `INSERT INTO journal(id, event_type, evaluated_json, acted_json, forward_json, category, key, entity_id, agent_id, workspace,
           created_at_unix_ms, seq, audit_hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        entry.id,
        entry.eventType,
        entry.evaluatedJson,
        entry.actedJson,
        entry.forwardJson,
        entry.category,
        entry.key,
        entry.entityId,
        entry.agentId,
        entry.workspace,
        entry.createdAtMs,
        operation.seq,
        entry.auditHash ?? null,
      );
      record('journal', row);
    },

    stateSet: (scope: Scope, entry: Parameters<Writer['stateSet']>[1]): void => {
      demandWrite(scope, entry.workspace);
      const old = openState(s, entry.workspace, entry.key);
      const expired = s.sql.all<{ id: number }>(
        `SELECT id FROM state WHERE seq_to IS NULL AND expires_at_unix_ms IS NOT NULL AND expires_at_unix_ms < ?
           AND seq_from < ? LIMIT ?`,
        s.nowMs,
        operation.seq,
        LIMITS.stateSweepMax,
      );
      for (const id of new Set([...(old === undefined ? [] : [old.id]), ...expired.map((row) => row.id)])) {
        s.sql.run('UPDATE state SET seq_to = ? WHERE id = ?', operation.seq, id);
        record('state_closed', id);
      }
      const id = s.sql.run(
        'INSERT INTO state(workspace, key, value_json, expires_at_unix_ms, created_at_unix_ms, seq_from) VALUES (?, ?, ?, ?, ?, ?)',
        entry.workspace,
        entry.key,
        entry.valueJson,
        entry.expiresAtMs,
        entry.createdAtMs,
        operation.seq,
      );
      record('state', id);
    },

    stateDelete: (scope: Scope, workspace: string, key: string): boolean => {
      demandWrite(scope, workspace);
      const open = openState(s, workspace, key);
      if (open === undefined) return false;
      s.sql.run('UPDATE state SET seq_to = ? WHERE id = ?', operation.seq, open.id);
      record('state_closed', open.id);
      return open.expires_at_unix_ms === null || open.expires_at_unix_ms >= s.nowMs;
    },

    // Vectors are derived from what the log has, so they are no changes of it.
    openSpace: (model: string, dimensions: number, prefix: string) => openSpace(s, model, dimensions, prefix),
    putVectors: (space: number, done: number, vectors: readonly EmbeddedBody[]) => putVectors(s, space, done, vectors),
    purge: (scope: Scope, entity: Entity): void => {
      demandWrite(scope, entity.workspace);
      if (!entity.archived) throw new Error('only an archived entity is purged');
      tellingRepacked((repacked) => purgeEntity(s, entity, repacked, operation.erased));
      record('purged', entity.row);
    },

    eraseLeftovers: (stage: EraseStage): EraseStage | null => eraseLeftovers(s, stage),

    reindex: (how: Parameters<Writer['reindex']>[0]): Reindexed =>
      tellingRepacked((repacked) =>
        how === 'whole' ? reindexWhole(s, repacked) : reindexStep(s, how.after, how.maxMs, monotonicMs, repacked),
      ),
  });
}
