import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { fieldsOf } from '../memory/portable.ts';
import type { Entity, EntityFields, PastVersion, Scope } from '../memory/types.ts';
import type { Reader, Writer } from '../storage/store.ts';
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
 * brings the copy up to date; what is not such a copy, or was written over since, is never written over. A copy that was forgotten there
 * comes back. Links stay behind: they lead into the workspace of the original.
 */
export const share = writes<ShareInput, ShareOutput>((tx, scope, input) => copy(tx, scope, input, 'revive'));

async function copy(
  tx: Writer,
  scope: Scope,
  { category, key, toWorkspace }: ShareInput,
  forgotten: 'revive' | 'refuse',
): Promise<ShareOutput> {
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
  const refuse = (why: string, hint: string): MimirError =>
    new MimirError('exists', why, { hint, facts: { id: present.id } });
  if (present.archived && forgotten === 'refuse') {
    throw refuse('That workspace has forgotten it.', 'mimir_share brings this one back there.');
  }
  if (!present.archived && (present.source !== source || (await wasWritten(tx, scope, present, original)))) {
    if (present.bodyJson === bodyJson) return { id: present.id, action: 'updated', fromWorkspace };
    throw refuse(
      'That workspace has a memory of its own under this category and key.',
      'Forget it there first, or remember this one there under another key.',
    );
  }
  await tx.revise(scope, present, { ...copied, bodyJson });
  return { id: present.id, action: 'updated', fromWorkspace };
}

/** Whether somebody has written to a copy: it says what its original has never said. */
async function wasWritten(tx: Reader, scope: Scope, present: Entity, original: Entity): Promise<boolean> {
  const said = ({ bodyJson, type, status, tags, topicPath }: PastVersion): string =>
    JSON.stringify([bodyJson, type, status, tags, topicPath]);
  const versions = await tx.versionsOf(scope, original.row, LIMITS.vaultVersionsMax);
  return !versions.some((version) => said(version) === said(present));
}

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
 * Copies the live memories of a workspace to another one, each as {@link share} does, for who may write in both; but one that was
 * forgotten there stays so. One that is refused stops no other.
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
      copies.push((await copy(tx, from, { category, key, toWorkspace }, 'refuse')).id);
    } catch (thrown) {
      // A refusal comes before anything of that memory was written.
      if (!(thrown instanceof MimirError) || thrown.kind !== 'refused') throw thrown;
      refused.push(`${category}/${key}: ${thrown.message}`);
    }
  }
  return { examined, copies, refused, nextRow: next };
});
