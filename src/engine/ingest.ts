import { monotonicMs } from '../clock.ts';
import { LIMITS } from '../limits.ts';
import { isFaded } from '../memory/retention.ts';
import type { KnownPiece, SourcedPiece } from '../memory/sourced.ts';
import type { Entity, Scope } from '../memory/types.ts';
import type { Writer } from '../storage/store.ts';
import { occupant } from './entities.ts';
import { LINK_WEIGHT } from './links.ts';
import { homeOf, requireWrite } from './lookup.ts';
import { reads, writes } from './operation.ts';

// Two operations make one run over a source: one reads in steps what is stored of it, and one changes a few documents.

/** Why memories are archived whose document is not there any more. */
const GONE = 'gone from its source';

/** Whose memories, and where the step begins. */
export interface IngestKnownInput {
  /** What stands in `source` of its memories. */
  readonly source: string;
  readonly category: string;
  readonly archived: boolean;
  readonly afterVersion: number;
}

/** Some of what is stored. */
export interface IngestKnownOutput {
  readonly pieces: readonly KnownPiece[];
  /** Where the next step begins; null: that was all. */
  readonly nextVersion: number | null;
}

/** Reads what is stored of a source in one workspace, a step at a time. What is changed meanwhile comes at the end again. */
export const ingestKnown = reads<IngestKnownInput, IngestKnownOutput>('scan', async (tx, scope, asked) => {
  const { source, category, archived, afterVersion } = asked;
  const home = { ...scope, workspace: homeOf(scope) };
  const rows = await tx.inOrder(home, category, archived, afterVersion, LIMITS.ingestKnownRows);
  const last = rows.length < LIMITS.ingestKnownRows ? undefined : rows.at(-1);
  return {
    pieces: rows.filter((entity) => entity.source === source).map(knownPiece),
    nextVersion: last?.version ?? null,
  };
});

function knownPiece({ id, key, version, tags, bodyHash, archived, archiveReason, bodyJson }: Entity): KnownPiece {
  const textMember = textMembersOf(bodyJson);
  const why = archiveReason === GONE ? 'gone' : isFaded(archiveReason) ? 'faded' : 'forgotten';
  const standing = archived ? why : 'live';
  const [path, updatedAt, lines] = [textMember('path'), textMember('updated_at'), textMember('lines')];
  return { id, key, version, tags, bodyHash, standing, path, updatedAt, lines };
}

function textMembersOf(bodyJson: string): (name: string) => string {
  let body: unknown;
  try {
    body = JSON.parse(bodyJson);
  } catch {
    // Somebody else wrote this body over the source's: it has no members.
    body = null;
  }
  return (name) => {
    const value: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, name) : undefined;
    return typeof value === 'string' ? value : '';
  };
}

/** The change of one document: what it is now, and which memories are none of its pieces any more. */
export interface DocumentChange {
  readonly put: readonly SourcedPiece[];
  /** Ids. */
  readonly gone: readonly string[];
}

/** Changes of documents of one source. */
export interface IngestPutInput {
  readonly source: string;
  readonly category: string;
  readonly documents: readonly DocumentChange[];
  /** How long to go on with them, milliseconds. */
  readonly maxMs: number;
}

/** What became of them. */
export interface IngestPutOutput {
  /** Documents that were stored, from the first on; for the others there was no time. */
  readonly handled: number;
  /** Keys that hold a memory of somebody else, which stays as it is. */
  readonly taken: readonly string[];
}

/** Stores documents, each as a whole, as long as there is time; at least one. */
export const ingestPut = writes<IngestPutInput, IngestPutOutput>(async (tx, scope, input) => {
  const { source, category, documents, maxMs } = input;
  const workspace = homeOf(scope);
  requireWrite(scope, workspace);
  const endMs = monotonicMs() + maxMs;
  const taken: string[] = [];
  let handled = 0;
  for (const { put, gone } of documents) {
    if (handled > 0 && monotonicMs() > endMs) break;
    for (const piece of put)
      if (!(await putPiece(tx, scope, { workspace, source, category }, piece))) taken.push(piece.key);
    for (const id of gone) {
      const entity = await tx.entityById(scope, id);
      if (entity === undefined || entity.source !== source || entity.archived) continue;
      await tx.revise(scope, entity, { archived: true, archiveReason: GONE });
    }
    handled += 1;
  }
  return { handled, taken };
});

interface Place {
  readonly workspace: string;
  readonly source: string;
  readonly category: string;
}

async function putPiece(
  tx: Writer,
  scope: Scope,
  place: Place,
  { key, bodyJson, tags }: SourcedPiece,
): Promise<boolean> {
  const { workspace, source, category } = place;
  const present = await occupant(tx, scope, workspace, { category, key });
  if (present !== undefined) {
    if (present.source !== source) return false;
    // What a document says now is fresh, however long nobody asked for it.
    if (await tx.revise(scope, present, { bodyJson, tags, archived: false, archiveReason: '' }))
      await tx.noteUse(present.row, 1, tx.nowMs);
    return true;
  }
  await tx.create(scope, {
    id: tx.newId('ingest-'),
    workspace,
    category,
    key,
    bodyJson,
    tags,
    status: 'active',
    type: 'insight',
    importance: 1,
    layer: 'buffer',
    topicPath: '',
    archived: false,
    archiveReason: '',
    verified: false,
    source,
    alwaysOn: false,
    certainty: 0.5,
    agentId: '',
    visibility: 'workspace',
  });
  return true;
}

/** A link between two documents, by the keys of their memories. */
export interface SourcedLink {
  readonly from: string;
  readonly to: string;
  readonly relationship: string;
}

/** Links between documents of one source. */
export interface IngestLinkInput {
  readonly source: string;
  readonly category: string;
  readonly links: readonly SourcedLink[];
  /** How long to go on with them, milliseconds. */
  readonly maxMs: number;
}

/** What became of them. */
export interface IngestLinkOutput {
  /** Links that were looked at, from the first on; for the others there was no time. */
  readonly handled: number;
  readonly made: number;
}

/** The memory whose links are made, and those that it has, by target and relationship. */
interface LinkedFrom {
  readonly key: string | null;
  /** Null: it is not there, or is somebody else's. */
  readonly row: number | null;
  readonly present: Set<string>;
}

/**
 * Makes links that are not there yet, as long as there is time; at least one. What is not there, or is somebody
 * else's, is not linked. Quickest where the links of one memory follow each other.
 */
export const ingestLink = writes<IngestLinkInput, IngestLinkOutput>(async (tx, scope, input) => {
  const { source, category, links, maxMs } = input;
  const workspace = homeOf(scope);
  requireWrite(scope, workspace);
  const endMs = monotonicMs() + maxMs;
  let [handled, made] = [0, 0];
  let from: LinkedFrom = { key: null, row: null, present: new Set() };
  for (const { from: key, to, relationship } of links) {
    if (handled > 0 && monotonicMs() > endMs) break;
    handled += 1;
    if (from.key !== key) {
      const one = await tx.entityAt(scope, workspace, category, key);
      const row = one?.source === source && !one.archived ? one.row : null;
      const present = row === null ? [] : await tx.linksOf(scope, row);
      from = { key, row, present: new Set(present.map((link) => `${link.targetId} ${link.relationship}`)) };
    }
    if (from.row === null) continue;
    const other = await tx.entityAt(scope, workspace, category, to);
    const name = `${other?.id} ${relationship}`;
    if (other?.source !== source || from.present.has(name)) continue;
    await tx.openLink(scope, from.row, other.id, relationship, LINK_WEIGHT);
    from.present.add(name);
    made += 1;
  }
  return { handled, made };
});
