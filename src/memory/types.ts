/** Who is asking. The owner sees everything; a bound principal its workspace, public rows and its own private rows. */
export type Principal =
  | { readonly kind: 'owner' }
  | { readonly kind: 'bound'; readonly workspace: string; readonly agentId: string };

/**
 * What a call may see and touch. No read or write exists that does without one.
 * `workspace` narrows: `null` means every workspace the principal may see, a text (the empty one too) exactly that one.
 */
export interface Scope {
  readonly principal: Principal;
  readonly workspace: string | null;
  /** Written into the operation log: who acted. */
  readonly actor: string;
  /** Written into the operation log: through which client. */
  readonly client: string;
}

/** Hears how far long work has come: so much is done, of so much when that is known. */
export type TellProgress = (done: number, total?: number) => void;

/** Through what a memory came in, where that is no agent: the beginning of its id, and its `source`. */
export interface Origin {
  readonly idPrefix: string;
  readonly source: string;
}

/** The storage layers, in the order of promotion. */
export type Layer = 'buffer' | 'working' | 'core';

/** One link of an entity to another. */
export interface Link {
  readonly targetId: string;
  readonly relationship: string;
  /** 0..1 */
  readonly weight: number;
}

/** What a caller can say about an entity beside its identity and body; each version keeps all of it. */
export interface EntityFields {
  readonly status: string;
  readonly type: string;
  readonly tags: readonly string[];
  /** 0..1 by convention, not enforced: what retention starts from. */
  readonly importance: number;
  /** The layer it was given; use can only promote it. */
  readonly layer: Layer;
  readonly topicPath: string;
  readonly archived: boolean;
  readonly archiveReason: string;
  readonly verified: boolean;
  readonly source: string;
  readonly alwaysOn: boolean;
  /** 0..1 by convention, not enforced. */
  readonly certainty: number;
  readonly agentId: string;
  /** `private`, `workspace` or `public`; other words count as `workspace`. */
  readonly visibility: string;
}

/** An entity as it stands now, without its links. */
export interface Entity extends EntityFields {
  /** Number of the row, local to one store. */
  readonly row: number;
  /** Number of the current version, growing with every change in the store. */
  readonly version: number;
  /** Number of the current body. */
  readonly body: number;
  readonly id: string;
  readonly workspace: string;
  readonly category: string;
  readonly key: string;
  /** The body exactly as it was written: JSON text. */
  readonly bodyJson: string;
  /** Hex of the SHA-256 of the canonical body. */
  readonly bodyHash: string;
  readonly createdAtMs: number;
  readonly usage: Usage;
}

/** How often and when last an entity was used. */
export interface Usage {
  readonly count: number;
  readonly lastAtMs: number;
}

/** One coalesced note: this row was used so many times, last at this moment. */
export interface UseNote {
  readonly row: number;
  readonly times: number;
  readonly atMs: number;
  /** The count that was stored when the first of them was noted. */
  readonly seen: number;
}

/** What a process knows about uses that a snapshot of the store may lack, as plain data. */
export interface Noted {
  /** On their way to the disk, oldest first: a snapshot may have them or not. */
  readonly sent: readonly UseNote[];
  /** Not sent yet. */
  readonly kept: readonly UseNote[];
}

/** What makes a new entity. */
export interface NewEntity extends EntityFields {
  readonly id: string;
  readonly workspace: string;
  readonly category: string;
  readonly key: string;
  readonly bodyJson: string;
  /** When it was made, if that was elsewhere and earlier; otherwise it is made now. */
  readonly createdAtMs?: number;
}

/** What a change may set; an absent member stays as it is. */
export type EntityPatch = Partial<EntityFields> & { readonly bodyJson?: string };

/** What an entity said once. */
export interface PastVersion extends EntityFields {
  readonly bodyJson: string;
}

/** Narrows a search or a browse. Absent members do not narrow. */
export interface Filters {
  readonly category?: string;
  readonly type?: string;
  /** Matches this path and everything below it by prefix. */
  readonly topicPrefix?: string;
  readonly agentId?: string;
  readonly alwaysOn?: boolean;
  /** Archived rows as well; otherwise only live ones. */
  readonly includeArchived?: boolean;
}

/** One row that the text index proposes for a query. */
export interface Candidate {
  readonly body: number;
  /** Holds the body's term list, see `Packed` in `document.ts`, from `offset` on. */
  readonly words: Int32Array;
  readonly offset: number;
  /** True when the entity's key is the query, word for word. */
  readonly keyIsQuery: boolean;
  /** With the query, -1 to 1; absent when the query has no vector or the row has none. */
  readonly cosine?: number;
}

/** Vectors of one model: those of different spaces are never compared. */
export interface Space {
  readonly id: number;
  /** Names the model, whatever serves it. */
  readonly model: string;
  readonly dimensions: number;
  /** What stood before each stored text. */
  readonly prefix: string;
}

/** A question as a vector of a space, of length 1. */
export interface NearTo {
  readonly space: number;
  readonly vector: Float32Array;
}

/** A body and its text as it is to be embedded. */
export interface Unembedded {
  readonly id: string;
  readonly body: number;
  readonly text: string;
}

/** The vector of a body, of length 1. */
export interface EmbeddedBody {
  readonly body: number;
  readonly vector: Float32Array;
}

/** Statistics that ranking needs. */
export interface TermStatistics {
  /** Live rows in the index. */
  readonly rows: number;
  /** Mean length of a packed list, in tokens; at least 1. */
  readonly meanLength: number;
  /** Rows that hold each term, in the order of the terms asked for. */
  readonly frequencies: readonly number[];
}

/** One journal entry. The three texts are JSON. */
export interface JournalEntry {
  readonly id: string;
  readonly eventType: string;
  readonly evaluatedJson: string;
  readonly actedJson: string;
  readonly forwardJson: string;
  readonly workspace: string;
  readonly category: string;
  readonly key: string;
  readonly entityId: string;
  readonly agentId: string;
  readonly createdAtMs: number;
  /** What the original's chain said of an imported entry; kept, and never looked at. */
  readonly auditHash?: string;
}

/** Narrows the timeline; both ends are inclusive. */
export interface TimelineFilter {
  readonly fromMs?: number;
  readonly toMs?: number;
  readonly eventType?: string;
  readonly category?: string;
  readonly entityId?: string;
}

/** One key of the state table. */
export interface StateEntry {
  readonly workspace: string;
  readonly key: string;
  readonly valueJson: string;
  /** `null` never expires. */
  readonly expiresAtMs: number | null;
  readonly createdAtMs: number;
}

/** What live rows are filed under. */
export interface StoreNames {
  readonly categories: readonly string[];
  readonly workspaces: readonly string[];
}

/** Counts of a store, as far as the scope sees it; archived rows are counted. */
export interface StoreCounts {
  readonly entities: number;
  readonly byCategory: Readonly<Record<string, number>>;
  readonly byType: Readonly<Record<string, number>>;
  readonly byLayer: Readonly<Record<string, number>>;
  readonly journal: number;
  readonly state: number;
  readonly bytes: number;
  readonly oldestMs: number | null;
  readonly newestMs: number | null;
}

/** A row whose text is nearly that of a new one. */
export interface SimilarEntity {
  readonly id: string;
  readonly key: string;
  /** Trigram Jaccard of the stored bodies, 0.7..1. */
  readonly similarity: number;
}

/** A memory of version 0.1 on its way into a store of today, which gives it a key. */
export interface EarlyMemory {
  readonly entity: Omit<NewEntity, 'key'> & { readonly createdAtMs: number };
  readonly usage: Usage;
  readonly links: readonly Link[];
  /** What of it could not be read, a sentence each. */
  readonly notes: readonly string[];
}

/** Some of the memories of a file, in the order of their rows. */
export interface EarlyPage {
  /** `early`: a file of version 0.1; `original`: one of version 2; `none`: a database without either's tables. */
  readonly kind: 'early' | 'original' | 'none';
  /** Memories in the whole file, readable or not. */
  readonly total: number;
  readonly memories: readonly EarlyMemory[];
  /** Rows that cannot be read, a sentence with the number of the row each. */
  readonly errors: readonly string[];
  /** Where the next page begins; null when this is the last. */
  readonly next: number | null;
}
