import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { fieldsOf } from '../memory/portable.ts';
import type { EntityFields } from '../memory/types.ts';
import { occupant } from './entities.ts';
import { fitting } from './fitting.ts';
import { agentOf, findNamed, requireWrite } from './lookup.ts';
import { reads, writes } from './operation.ts';
import type { NoInput } from './status.ts';

/** What there is, sorted, as much of it as fits an answer. */
export interface WorkspaceListOutput {
  readonly categories: readonly string[];
  readonly workspaces: readonly string[];
  /** All categories, shown or not. */
  readonly total: number;
  readonly cut: boolean;
}

/** Lists the categories and workspaces that hold a live memory. */
export const workspaceList = reads<NoInput, WorkspaceListOutput>('scan', async (tx, scope) => {
  const { categories, workspaces } = await tx.names(scope);
  const shown = { categories: fitting(categories), workspaces: fitting(workspaces) };
  const cut = shown.categories.length < categories.length || shown.workspaces.length < workspaces.length;
  return { ...shown, total: categories.length, cut };
});

/** Names a memory and where a copy of it should be. */
export interface ShareInput {
  readonly category: string;
  readonly key: string;
  readonly toWorkspace: string;
}

/** The copy. */
export interface ShareOutput {
  readonly id: string;
  readonly action: 'created' | 'updated';
  readonly fromWorkspace: string;
}

/**
 * Copies a memory to another workspace, under the same category and key; the original stays where it is. Doing it again
 * brings the copy up to date; what is not such a copy is never written over. Links stay behind: they lead into the workspace of the original.
 */
export const share = writes<ShareInput, ShareOutput>(async (tx, scope, { category, key, toWorkspace }) => {
  requireWrite(scope, toWorkspace);
  const original =
    (await findNamed(tx, scope, category, key, toWorkspace)) ?? (await tx.entityAt(scope, toWorkspace, category, key));
  if (original === undefined || original.archived) {
    throw new MimirError('not_found', 'Entity not found: there is none with this `category` and `key`.', {
      hint: 'mimir_recall finds keys.',
    });
  }
  const { id, workspace: fromWorkspace, bodyJson } = original;
  if (fromWorkspace === toWorkspace) return { id, action: 'updated', fromWorkspace };
  const source = `share:${id}`;
  const { layer: _, ...fields } = fieldsOf(original);
  const copied: Omit<EntityFields, 'layer'> = {
    ...fields,
    archived: false,
    archiveReason: '',
    source,
    agentId: agentOf(scope, undefined) ?? original.agentId,
  };
  const present = await occupant(tx, scope, toWorkspace, original);
  if (present === undefined) {
    const place = { id: tx.newId('mem-'), workspace: toWorkspace, category, key, bodyJson, layer: 'buffer' as const };
    const made = await tx.create(scope, { ...place, ...copied });
    return { id: made.id, action: 'created', fromWorkspace };
  }
  if (!present.archived && present.source !== source) {
    if (present.bodyJson === bodyJson) return { id: present.id, action: 'updated', fromWorkspace };
    throw new MimirError('exists', 'That workspace has a memory of its own under this category and key.', {
      hint: 'Forget it there first, or remember this one there under another key.',
      facts: { id: present.id },
    });
  }
  await tx.revise(scope, present, { ...copied, bodyJson });
  return { id: present.id, action: 'updated', fromWorkspace };
});

/** Which memories to copy, a step at a time. */
export interface FederateInput {
  readonly fromWorkspace: string;
  readonly toWorkspace: string;
  readonly afterRow: number;
}

/** What one step did. */
export interface FederateOutput {
  /** Memories that were looked at. */
  readonly examined: number;
  /** Ids of the copies, new ones and those that were there. */
  readonly copies: readonly string[];
  /** Why some were not copied, a sentence each. */
  readonly refused: readonly string[];
  /** Where the next step begins; null: all are done. */
  readonly nextRow: number | null;
}

/**
 * Copies the live memories of a workspace to another one, each as {@link share} does, for who may write in both. One that is refused
 * stops no other.
 */
export const federate = writes<FederateInput, FederateOutput>(async (tx, scope, input) => {
  const { fromWorkspace, toWorkspace, afterRow } = input;
  requireWrite(scope, toWorkspace);
  requireWrite(scope, fromWorkspace);
  const from = { ...scope, workspace: fromWorkspace };
  const { found: rows, next } = await tx.kept(from, { archived: false }, afterRow);
  const [copies, refused]: [string[], string[]] = [[], []];
  let [examined, chars, last] = [0, 0, afterRow];
  for (const { row, id } of rows) {
    if (chars > LIMITS.vaultStepMaxChars || examined >= LIMITS.vaultStepMemories) {
      return { examined, copies, refused, nextRow: last };
    }
    last = row;
    const original = await tx.entityById(from, id);
    if (original === undefined) continue;
    examined += 1;
    chars += original.bodyJson.length;
    const { category, key } = original;
    try {
      copies.push((await share.run(tx, from, { category, key, toWorkspace })).id);
    } catch (thrown) {
      // A refusal comes before anything of that memory was written.
      if (!(thrown instanceof MimirError) || thrown.kind !== 'refused') throw thrown;
      refused.push(`${category}/${key}: ${thrown.message}`);
    }
  }
  return { examined, copies, refused, nextRow: next };
});
