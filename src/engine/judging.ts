import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { similarities } from '../memory/similarity.ts';
import type { Entity, Scope } from '../memory/types.ts';
import type { Reader } from '../storage/store.ts';
import { LINK_WEIGHT } from './links.ts';
import { findNamed, requireWrite } from './lookup.ts';
import { reads, writes } from './operation.ts';

/** Names an entity and says what it is worth. */
export interface ScoreInput {
  readonly category: string;
  readonly key: string;
  /** 0..1; what lies outside is moved to the nearer end. */
  readonly score: number;
}

/** Whether there is such an entity. */
export interface ScoreOutput {
  readonly found: boolean;
}

/** From here on a score says that a memory is right: the original's step. */
const VERIFIED_FROM = 0.7;

/** Sets what a memory's strength starts from, and whether it is verified (and so does not fade). Counts as no use. */
export const score = writes<ScoreInput, ScoreOutput>(async (tx, scope, { category, key, score: value }) => {
  const entity = await findNamed(tx, scope, category, key);
  if (entity === undefined) return { found: false };
  requireWrite(scope, entity.workspace);
  const importance = Math.min(1, Math.max(0, value));
  await tx.revise(scope, entity, { importance, verified: importance >= VERIFIED_FROM });
  await tx.noteUse(entity.row, 0, tx.nowMs);
  return { found: true };
});

/** Which memories are compared, and from when on two are too different. */
export interface ConflictsInput {
  readonly category: string;
  /** Pairs less alike than this conflict. */
  readonly threshold: number;
  readonly limit: number;
  /** Rows to skip, newest change first. */
  readonly offset: number;
}

/** One side of a conflict. */
export interface Side {
  readonly id: string;
  readonly key: string;
  readonly certainty: number;
}

/** Two memories of a category that say different things. */
export interface Conflict {
  /** The one that was changed last. */
  readonly a: Side;
  readonly b: Side;
  /** Trigram Jaccard of the bodies, 0..1. */
  readonly similarity: number;
  readonly likely: boolean;
  /** True when one is so uncertain that the threshold was raised. */
  readonly boosted: boolean;
}

/** The pairs, most alike first. */
export interface ConflictsOutput {
  readonly compared: number;
  readonly conflicts: readonly Conflict[];
}

/** The original's steps: below this certainty the threshold is raised, and by how much; below these a conflict is likely. */
const UNSURE_BELOW = 0.4;
const UNSURE_FACTOR = 1.5;
const LIKELY_BELOW = 0.3;
/** Rows fetched at a time: their bodies may be large. */
const CHUNK = 20;

/**
 * Compares the memories of a category that were changed last, each with each. Of two that differ enough the most alike come
 * first: they are likeliest about the same thing. What was superseded is settled and conflicts with nothing.
 */
export const conflicts = reads<ConflictsInput, ConflictsOutput>('scan', async (tx, scope, input) => {
  const { threshold, limit } = input;
  const rows = await comparable(tx, scope, input);
  const similarity = similarities(rows.map(({ bodyJson }) => bodyJson));
  const found: Conflict[] = [];
  for (const [i, a] of rows.entries()) {
    for (const [over, b] of rows.slice(i + 1).entries()) {
      if (a.settled || b.settled) continue;
      const certainty = Math.min(a.side.certainty, b.side.certainty);
      const boosted = certainty < UNSURE_BELOW;
      const alike = similarity(i, i + 1 + over);
      if (alike >= threshold * (boosted ? UNSURE_FACTOR : 1)) continue;
      const likely = alike < LIKELY_BELOW || certainty < LIKELY_BELOW;
      found.push({ a: a.side, b: b.side, similarity: alike, likely, boosted });
    }
  }
  // Sorting is stable: equal pairs stay in the order of their rows.
  found.sort((one, other) => other.similarity - one.similarity);
  return { compared: rows.length, conflicts: found.slice(0, Math.max(0, limit)) };
});

interface Comparable {
  readonly side: Side;
  readonly bodyJson: string;
  readonly settled: boolean;
}

async function comparable(tx: Reader, scope: Scope, { category, offset }: ConflictsInput): Promise<Comparable[]> {
  const rows: Comparable[] = [];
  let chars = 0;
  for (let seen = 0; seen < LIMITS.conflictRowsMax; seen += CHUNK) {
    const items = await tx.recent(scope, { category }, CHUNK, offset + seen);
    for (const { json, id, key, certainty } of items) {
      const { body_json: bodyJson, status } = JSON.parse(`${json}}`) as { body_json: string; status: string };
      if (bodyJson.length > LIMITS.similarBodyMaxChars) continue;
      chars += bodyJson.length;
      if (chars > LIMITS.conflictMaxChars) return rows;
      rows.push({ side: { id, key, certainty }, bodyJson, settled: status === SUPERSEDED });
    }
    if (items.length < CHUNK) break;
  }
  return rows;
}

/** Names the old memory (`from`) and the one that replaces it (`to`). */
export interface SupersedeInput {
  readonly fromCategory: string;
  readonly fromKey: string;
  readonly toCategory: string;
  readonly toKey: string;
  readonly reason: string;
  readonly relationship: string;
}

/** Ids of the old and of the new one. */
export interface SupersedeOutput {
  readonly fromId: string;
  readonly toId: string;
}

/** The status of a memory that another one has replaced. */
export const SUPERSEDED = 'deprecated';

/** Says that one memory replaces another: links the new one to the old, which keeps being found but is marked. */
export const supersede = writes<SupersedeInput, SupersedeOutput>(async (tx, scope, input) => {
  const from = await named(tx, scope, input.fromCategory, input.fromKey, 'from');
  const to = await named(tx, scope, input.toCategory, input.toKey, 'to');
  const present = (await tx.linksOf(scope, to.row)).find(({ targetId }) => targetId === from.id);
  if (present?.relationship !== input.relationship) {
    // There is one link between two: what it means now is that one replaces the other.
    await tx.closeLinks(scope, to.row, from.id);
    await tx.openLink(scope, to.row, from.id, input.relationship, LINK_WEIGHT);
  }
  await tx.revise(scope, from, { status: SUPERSEDED, archiveReason: input.reason });
  await tx.noteUse(from.row, 0, tx.nowMs);
  return { fromId: from.id, toId: to.id };
});

async function named(tx: Reader, scope: Scope, category: string, key: string, end: 'from' | 'to'): Promise<Entity> {
  const entity = await findNamed(tx, scope, category, key);
  if (entity === undefined) {
    const which = end === 'from' ? "'From'" : "'To'";
    throw new MimirError(
      'not_found',
      `${which} entity not found: there is none with this \`${end}_category\` and \`${end}_key\`.`,
      { hint: 'mimir_recall finds keys.' },
    );
  }
  requireWrite(scope, entity.workspace);
  return entity;
}
