import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import {
  fieldsOf,
  linksText,
  markOf,
  portableOf,
  recordDigest,
  recordOf,
  type Portable,
  type PortableFields,
} from '../memory/portable.ts';
import { OWNER } from '../memory/scope.ts';
import type { Entity, Link, Scope, Usage } from '../memory/types.ts';
import type { Reader, Writer } from '../storage/store.ts';
import { occupant } from './entities.ts';
import { LINK_WEIGHT } from './links.ts';
import { agentOf, homeOf, requireWrite, widened } from './lookup.ts';
import { reads, writes } from './operation.ts';

/** Where the next page begins. */
export interface VaultPageInput {
  readonly afterRow: number;
}

/** A memory as a vault shows it. */
export interface VaultEntry {
  /** The row of the memory, by which uses are noted that are not stored yet. */
  readonly row: number;
  readonly memory: Portable;
  /** What it said before and says now, as digests, newest first: by them another store sees that it is behind. */
  readonly past: readonly string[];
  /** The key of each link's target, in the order of the links; empty where it cannot be seen. */
  readonly labels: readonly string[];
}

/** Some memories, and where the next ones are. */
export interface VaultPageOutput {
  readonly entries: readonly VaultEntry[];
  /** Null: these were the last. */
  readonly nextRow: number | null;
}

/** Live memories in the order of their rows, as many as one step may hold. */
export const vaultPage = reads<VaultPageInput, VaultPageOutput>('scan', async (tx, scope, { afterRow }) => {
  const { found: rows, next } = await tx.kept(scope, { archived: false }, afterRow);
  const entries: VaultEntry[] = [];
  let [chars, last] = [0, afterRow];
  for (const { row, id } of rows) {
    if (chars > LIMITS.vaultStepMaxChars || entries.length >= LIMITS.vaultPageRows) return { entries, nextRow: last };
    last = row;
    const entity = await tx.entityById(scope, id);
    if (entity === undefined) continue;
    const links = await tx.linksOf(scope, row);
    const labels: string[] = [];
    for (const { targetId } of links) labels.push((await tx.entityById(widened(scope), targetId))?.key ?? '');
    const past = (await tx.versionsOf(scope, row, LIMITS.vaultPastMax)).map((said) =>
      recordDigest({ ...entity, ...said }),
    );
    entries.push({ row, memory: portableOf(entity, links), past: [...new Set(past)], labels });
    chars += entity.bodyJson.length;
  }
  return { entries, nextRow: next };
});

/** A link as a file has it. */
export interface VaultLink extends Link {
  /** What stands in the brackets: the name of a file, or an alias of one. */
  readonly name?: string;
  /** The whole line. */
  readonly line?: string;
}

/** A memory as a file has it. */
export interface VaultFile {
  readonly category: string;
  readonly key: string;
  readonly bodyJson: string;
  /** The file says that it came out of a store under this id. */
  readonly id?: string;
  /** Without it, the workspace of the caller. */
  readonly workspace?: string;
  /** What else the file says. */
  readonly stated: Partial<PortableFields>;
  /** What counts for a new memory only. */
  readonly atFirst: Partial<PortableFields>;
  readonly links?: readonly VaultLink[];
  /** Links in brackets that no file and no memory of the store is called by. */
  readonly unsure?: readonly VaultLink[];
  /** Other names that the note has in Obsidian. */
  readonly aliases?: readonly string[];
  /** `markOf` of what was exported; a file that is not so any more was edited. */
  readonly mark?: string;
  /** See {@link VaultEntry}. */
  readonly past: readonly string[];
  readonly createdAtMs?: number;
  readonly usage?: Usage;
}

/** A file for which an export found no memory under its name. */
export interface VaultStandingInput {
  readonly file: VaultFile;
}

/**
 * What the store knows of the memory that a file means. `kept`: it is live, and what the file says otherwise became a memory of its
 * own. `had`: all that the file says was said here, and has been archived since. `unknown`: the store never had it, or not in
 * these words. What was purged left no name behind, so it is unknown as well.
 */
export type VaultStanding = 'live' | 'kept' | 'had' | 'unknown';

/** Looks for the memory of a file. */
export const vaultStanding = reads<VaultStandingInput, VaultStanding>('point', async (tx, scope, { file }) => {
  const present = await meantBy(tx, scope, file);
  if (present === undefined) return 'unknown';
  if (present.archived) return (await hasSaid(tx, scope, present, file)) ? 'had' : 'unknown';
  const there = overlaid(portableOf(present, await tx.linksOf(scope, present.row)), file);
  const key = keyBeside(there);
  const other = await tx.entityAt(scope, there.workspace, there.category, key);
  return other !== undefined && (await hasSaid(tx, scope, other, { ...file, key })) ? 'kept' : 'live';
});

/** What a file says of which memory it is. */
export type Named = Partial<Pick<VaultFile, 'id' | 'workspace' | 'category' | 'key'>>;

/** Memories that links lead to. */
export interface VaultMeantInput {
  readonly targets: readonly Named[];
}

/** The ids of memories that a caller may see, by what files say of them; null for one that is not there. */
export const vaultMeant = reads<VaultMeantInput, readonly (string | null)[]>(
  'point',
  async (tx, scope, { targets }) => {
    const ids: (string | null)[] = [];
    for (const target of targets) ids.push((await meantBy(tx, widened(scope), target))?.id ?? null);
    return ids;
  },
);

/** By its place, as an import takes it; else by its id. */
async function meantBy(tx: Reader, scope: Scope, { id, workspace, category, key }: Named): Promise<Entity | undefined> {
  const there =
    category === undefined || key === undefined
      ? undefined
      : await tx.entityAt(scope, workspace ?? homeOf(scope), category, key);
  return there ?? (id === undefined ? undefined : tx.entityById(scope, id));
}

/** Some files, in one transaction. */
export interface VaultTakeInput {
  readonly files: readonly VaultFile[];
}

/**
 * What became of a file. `forgotten`: the memory was forgotten since, and the file says nothing new. `kept_both`: memory and
 * file say different things, so the file's is a memory of its own under `key`.
 */
export type Taken = (
  | { readonly action: 'created' | 'updated' | 'unchanged' | 'forgotten' }
  | { readonly action: 'kept_both'; readonly key: string }
  | { readonly action: 'refused'; readonly message: string }
) & {
  /** Names in links that mean no memory: these links are left out, and none is taken away for them. */
  readonly unknown?: readonly string[];
};

/** Takes files into the store. One that is refused keeps none of the others out. */
export const vaultTake = writes<VaultTakeInput, readonly Taken[]>(async (tx, scope, { files }) => {
  const taken: Taken[] = [];
  for (const file of files) {
    try {
      taken.push(await take(tx, scope, file));
    } catch (thrown) {
      // A refusal comes before anything of that file was written.
      if (!(thrown instanceof MimirError) || thrown.kind !== 'refused') throw thrown;
      taken.push({ action: 'refused', message: thrown.message });
    }
  }
  return taken;
});

/** What a memory is when its file does not say. */
const DEFAULTS: PortableFields = {
  status: 'active',
  type: 'insight',
  tags: [],
  importance: 0.5,
  layer: 'buffer',
  topicPath: '',
  verified: false,
  source: 'vault-import',
  alwaysOn: false,
  certainty: 0.5,
  agentId: '',
  visibility: 'workspace',
  archiveReason: '',
};

/** How a memory that a file contradicts is linked from the one that keeps the file's words. */
const CONFLICTS_WITH = 'conflicts_with';

/**
 * A file without a mark and an id was written by hand: what is new in it holds, as if it were remembered. One that was exported
 * is merged: it replaces what the store says only if that is what the file, or an earlier export of it, came from.
 */
async function take(tx: Writer, scope: Scope, file: VaultFile): Promise<Taken> {
  const workspace = file.workspace ?? homeOf(scope);
  requireWrite(scope, workspace);
  const present = await occupant(tx, scope, workspace, file);
  if (present === undefined) {
    await create(tx, scope, workspace, file);
    return { action: 'created', ...unknownIn(file, []) };
  }
  const links = await tx.linksOf(scope, present.row);
  return { ...(await merge(tx, scope, present, links, file)), ...unknownIn(file, links) };
}

function unknownIn(file: VaultFile, present: readonly Link[]): { readonly unknown?: readonly string[] } {
  const unknown = unknownLinks(file, present).map(({ name, targetId }) => name ?? targetId);
  return unknown.length === 0 ? {} : { unknown };
}

async function merge(
  tx: Writer,
  scope: Scope,
  present: Entity,
  links: readonly Link[],
  file: VaultFile,
): Promise<Taken> {
  const here = portableOf(present, links);
  const there = overlaid(here, file);
  const untouched = isUntouched(here, file);
  const same = recordOf(there) === recordOf(here);
  if (!present.archived && same && (untouched || linksText(there.links) === linksText(links)))
    return { action: 'unchanged' };
  // Who reads a folder again means what is new in it: what the store has said since then, or forgotten, stays.
  if (
    (untouched || file.mark === undefined) &&
    !(same && !present.archived) &&
    (await hasSaid(tx, scope, present, file))
  )
    return { action: present.archived ? 'forgotten' : 'unchanged' };
  const byHand = file.mark === undefined && file.id === undefined;
  const isCurrent = markOf(here) === file.mark;
  if (!present.archived && !same && !byHand && !isCurrent && !file.past.includes(recordDigest(here)))
    return keepBoth(tx, scope, present.id, there, file);
  const agentId = there.agentId === here.agentId ? here.agentId : (agentOf(scope, there.agentId) ?? '');
  await tx.revise(scope, present, {
    ...fieldsOf(there),
    agentId,
    bodyJson: there.bodyJson,
    archived: false,
  });
  await relink(tx, scope, present.row, links, there.links, byHand || isCurrent);
  return { action: 'updated' };
}

/** What a memory would be if its file held. Where a link means no memory, nobody knows which one stood there: all of them stay. */
export function overlaid(memory: Portable, file: VaultFile): Portable {
  const said = saidBy(memory, file);
  if (unknownLinks(file, memory.links).length === 0) return said;
  const texts = new Set(said.links.map((link) => linksText([link])));
  return { ...said, links: [...said.links, ...memory.links.filter((link) => !texts.has(linksText([link])))] };
}

/** Whether a file is as it was exported, whatever its memory says by now. */
export function isUntouched(memory: Portable, file: VaultFile): boolean {
  const { mark } = file;
  return mark !== undefined && (mark === markOf(saidBy(memory, file)) || mark === markOf(overlaid(memory, file)));
}

function saidBy(memory: Portable, file: VaultFile): Portable {
  const { category, key, bodyJson, workspace = memory.workspace, links, unsure = [], stated } = file;
  const unknown = unknownLinks(file, memory.links);
  const known = links === undefined ? memory.links : [...links, ...unsure.filter((link) => !unknown.includes(link))];
  // How a link was written is no part of it.
  const plain = known.map(({ targetId, relationship, weight }) => ({ targetId, relationship, weight }));
  return { ...memory, ...stated, workspace, category, key, bodyJson, links: plain };
}

/** The links of a file that mean no memory and are none of those that it has. */
export function unknownLinks({ unsure = [] }: VaultFile, present: readonly Link[]): readonly VaultLink[] {
  if (unsure.length === 0) return unsure;
  const texts = new Set(present.map((link) => linksText([link])));
  return unsure.filter((link) => !texts.has(linksText([link])));
}

/** What a file says by itself; null when it did not come out of a store. */
export function exportedMemory(file: VaultFile): Portable | null {
  const { id, workspace = '', category, key, bodyJson } = file;
  if (id === undefined) return null;
  const usage = { count: 0, lastAtMs: 0 };
  return overlaid({ ...DEFAULTS, id, workspace, category, key, bodyJson, links: [], createdAtMs: 0, usage }, file);
}

/** Whether a memory said all that a file says, now or once: then the file is no newer than the store. */
async function hasSaid(tx: Reader, scope: Scope, present: Entity, file: VaultFile): Promise<boolean> {
  const versions = await tx.versionsOf(scope, present.row, LIMITS.vaultVersionsMax);
  return versions.some((version) => {
    const said = portableOf({ ...present, ...version }, []);
    return recordOf(overlaid(said, file)) === recordOf(said);
  });
}

async function create(tx: Writer, scope: Scope, workspace: string, file: VaultFile): Promise<void> {
  const { category, key, bodyJson, id, createdAtMs, usage, links = [] } = file;
  const fields = { ...DEFAULTS, ...file.atFirst, ...file.stated };
  // Ids are unique in the whole store, whoever may see them.
  const isFree = id !== undefined && (await tx.entityById({ ...widened(scope), principal: OWNER }, id)) === undefined;
  const made = await tx.create(scope, {
    ...fields,
    agentId: agentOf(scope, fields.agentId) ?? '',
    id: isFree ? id : tx.newId('mem-'),
    workspace,
    category,
    key,
    bodyJson,
    archived: false,
    ...(createdAtMs !== undefined && { createdAtMs }),
  });
  if (usage !== undefined && (usage.count > 0 || usage.lastAtMs !== made.createdAtMs))
    await tx.noteUse(made.row, usage.count, usage.lastAtMs);
  await relink(tx, scope, made.row, [], links, true);
}

/** The key of what a file says otherwise. The same words come to the same key, so that reading a folder again adds nothing. */
function keyBeside(there: Portable): string {
  return `${there.key} (vault ${recordDigest(there).slice(0, 8)})`;
}

async function keepBoth(tx: Writer, scope: Scope, presentId: string, there: Portable, file: VaultFile): Promise<Taken> {
  const key = keyBeside(there);
  const other = await occupant(tx, scope, there.workspace, { category: there.category, key });
  if (other !== undefined) return { action: other.archived ? 'forgotten' : 'unchanged' };
  const conflict: Link = { targetId: presentId, relationship: CONFLICTS_WITH, weight: LINK_WEIGHT };
  const { id: _id, createdAtMs: _made, usage: _used, ...rest } = file;
  await create(tx, scope, there.workspace, {
    ...rest,
    key,
    stated: fieldsOf(there),
    links: [...there.links, conflict],
  });
  return { action: 'kept_both', key };
}

/** Makes the open links those that are wanted; unless they are to be `exact`, none is closed. */
async function relink(
  tx: Writer,
  scope: Scope,
  row: number,
  present: readonly Link[],
  wanted: readonly Link[],
  exact: boolean,
): Promise<void> {
  const open = async (links: readonly Link[]): Promise<void> => {
    for (const { targetId, relationship, weight } of links)
      await tx.openLink(scope, row, targetId, relationship, weight);
  };
  // All at once, so that they keep their order.
  if (present.length === 0) return open(wanted);
  for (const target of new Set([...present, ...wanted].map(({ targetId }) => targetId))) {
    const [old, now] = [present, wanted].map((links) => links.filter(({ targetId }) => targetId === target));
    if (old === undefined || now === undefined || linksText(old) === linksText(now)) continue;
    if (old.length > 0 && !exact) continue;
    if (old.length > 0) await tx.closeLinks(scope, row, target);
    await open(now);
  }
}
