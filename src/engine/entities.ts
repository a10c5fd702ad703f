import { MimirError } from '../errors.ts';
import { withTriggers } from '../memory/json.ts';
import { mayRead, OWNER } from '../memory/scope.ts';
import type { Entity, EntityPatch, Link, Origin, Scope, SimilarEntity } from '../memory/types.ts';
import type { Reader } from '../storage/store.ts';
import { agentOf, findNamed, homeOf, requireWrite } from './lookup.ts';
import { reads, writes } from './operation.ts';

/** What remember is told. Absent members keep what an existing row has, and a new row gets the defaults. */
export interface RememberInput {
  readonly category: string;
  readonly key: string;
  /** JSON text; parsed before, so known to be valid. */
  readonly bodyJson: string;
  readonly recallWhen: readonly string[];
  readonly status?: string;
  readonly type?: string;
  readonly tags?: readonly string[];
  readonly importance?: number;
  readonly topicPath?: string;
  readonly agentId?: string;
  readonly alwaysOn?: boolean;
  readonly certainty?: number;
  readonly visibility?: string;
  /** Stands in the id and as `source` of a new row; without it, the row is an agent's. */
  readonly origin?: Origin;
}

/** What remember did. */
export interface RememberOutput {
  readonly id: string;
  readonly action: 'created' | 'updated';
  /** Rows that are nearly the same, for the caller to decide about; only after a create, only when there are any. */
  readonly similar?: readonly SimilarEntity[];
}

/** Stores a memory under its category and key in exactly one workspace, or changes what is given of the one that is there. */
export const remember = writes<RememberInput, RememberOutput>(async (tx, scope, input) => {
  const workspace = homeOf(scope);
  requireWrite(scope, workspace);
  const agentId = agentOf(scope, input.agentId);
  const bodyJson = withTriggers(input.bodyJson, input.recallWhen);
  const present = await occupant(tx, scope, workspace, input);
  if (present !== undefined) {
    const { status, type, tags, importance, topicPath, alwaysOn, certainty, visibility } = input;
    const patch: EntityPatch = {
      bodyJson,
      archived: false,
      archiveReason: '',
      ...(status !== undefined && { status }),
      ...(type !== undefined && { type }),
      ...(tags !== undefined && { tags }),
      ...(importance !== undefined && { importance }),
      ...(topicPath !== undefined && { topicPath }),
      ...(input.agentId !== undefined && agentId !== undefined && { agentId }),
      ...(alwaysOn !== undefined && { alwaysOn }),
      ...(certainty !== undefined && { certainty }),
      ...(visibility !== undefined && { visibility }),
    };
    await tx.revise(scope, present, patch);
    await tx.noteUse(present.row, 1, tx.nowMs);
    return { id: present.id, action: 'updated' };
  }
  const created = await tx.create(scope, {
    id: tx.newId(input.origin?.idPrefix ?? 'mem-'),
    workspace,
    category: input.category,
    key: input.key,
    bodyJson,
    status: input.status ?? 'active',
    type: input.type ?? 'insight',
    tags: input.tags ?? [],
    importance: input.importance ?? 0.5,
    layer: 'buffer',
    topicPath: input.topicPath ?? '',
    archived: false,
    archiveReason: '',
    verified: false,
    source: input.origin?.source ?? 'agent',
    alwaysOn: input.alwaysOn ?? false,
    certainty: input.certainty ?? 0.5,
    agentId: agentId ?? '',
    visibility: input.visibility ?? 'workspace',
  });
  const similar = await tx.similar(scope, created);
  return { id: created.id, action: 'created', ...(similar.length > 0 && { similar }) };
});

/** Many memories in one transaction. */
export interface RememberManyInput {
  readonly memories: readonly RememberInput[];
}

/** What became of one of many: stored, or why not. */
export type RememberedOne = RememberOutput | { readonly refused: { readonly code: string; readonly message: string } };

/** Stores many memories. One that is refused keeps none of the others from being stored; what fails otherwise fails all. */
export const rememberMany = writes<RememberManyInput, readonly RememberedOne[]>(async (tx, scope, { memories }) => {
  const results: RememberedOne[] = [];
  for (const memory of memories) {
    try {
      results.push(await remember.run(tx, scope, memory));
    } catch (thrown) {
      // A refusal comes before anything of that memory was written.
      if (!(thrown instanceof MimirError) || thrown.kind !== 'refused') throw thrown;
      results.push({ refused: { code: thrown.code, message: thrown.message } });
    }
  }
  return results;
});

/** Who holds a place. A private row of another agent cannot be seen, but its place is taken: that is `forbidden`. */
export async function occupant(
  tx: Reader,
  scope: Scope,
  workspace: string,
  { category, key }: Pick<RememberInput, 'category' | 'key'>,
): Promise<Entity | undefined> {
  const present = await tx.entityAt({ ...scope, principal: OWNER, workspace: null }, workspace, category, key);
  if (present === undefined || mayRead({ ...scope, workspace: null }, present)) return present;
  throw new MimirError('forbidden', 'A private memory of another agent has this category and key.', {
    hint: 'Use another `key`.',
  });
}

/** Asks for one entity by its id, archived or not. */
export interface GetEntityInput {
  readonly id: string;
}

/** The entity as stored; the numbers that move are computed by the caller. */
export interface GetEntityOutput {
  readonly entity: Entity;
  readonly links: readonly Link[];
}

/** Reads one entity by id, archived ones too. */
export const getEntity = reads<GetEntityInput, GetEntityOutput>('point', async (tx, scope, { id }) => {
  const entity = await tx.entityById(scope, id);
  if (entity === undefined) {
    throw new MimirError('not_found', 'Entity not found: there is none with this `id`.', {
      hint: 'mimir_recall finds ids.',
    });
  }
  return { entity, links: await tx.linksOf(scope, entity.row) };
});

/** Names an entity and says why it goes. */
export interface ForgetInput {
  readonly category: string;
  readonly key: string;
  /** Empty means `manual`. */
  readonly reason: string;
}

/** Whether there was anything to forget. */
export interface ForgetOutput {
  readonly found: boolean;
}

/** Archives an entity: recall and context leave it out, nothing is deleted. Absent or archived already is an answer, not an error. */
export const forget = writes<ForgetInput, ForgetOutput>(async (tx, scope, { category, key, reason }) => {
  const entity = await findNamed(tx, scope, category, key);
  if (entity === undefined || entity.archived) return { found: false };
  requireWrite(scope, entity.workspace);
  await tx.revise(scope, entity, { archived: true, archiveReason: reason === '' ? 'manual' : reason });
  return { found: true };
});
