import type { VocabularyWord } from '../memory/near.ts';
import type { TriggerQuery } from '../memory/triggers.ts';
import type {
  Candidate,
  EarlyPage,
  EmbeddedBody,
  Entity,
  EntityPatch,
  Filters,
  JournalEntry,
  Link,
  NearTo,
  NewEntity,
  Retainable,
  Scope,
  SimilarEntity,
  Space,
  StateEntry,
  StoreCounts,
  StoreNames,
  TermStatistics,
  TimelineFilter,
  Unembedded,
  Usage,
} from '../memory/types.ts';

/** A value now or later: a store in this process answers at once, one across a network would not. */
export type Awaitable<T> = T | Promise<T>;

/** What the text index is asked. Terms are tokens made by `memory/text.ts`. */
export interface TextQuery {
  readonly terms: readonly string[];
  /** The whole query as a key would be written; an entity with exactly this key is a candidate as well. */
  readonly keyText: string;
  /** Given: the rows nearest to it are candidates as well. */
  readonly nearTo?: NearTo;
}

/**
 * A hit that is ready to be sent: the finished JSON of what does not move, and the numbers that do.
 * `json` is the object text of the item without its closing brace.
 */
export interface Item {
  readonly row: number;
  readonly version: number;
  readonly body: number;
  readonly id: string;
  readonly key: string;
  readonly json: string;
  /** Equal for rows that are shown as one hit (workspace, category, type, agent, visibility and body hash). */
  readonly twin: string;
  readonly importance: number;
  readonly layer: string;
  /** Always-on and verified rows do not decay. */
  readonly lasting: boolean;
  readonly certainty: number;
  readonly verified: boolean;
  readonly createdAtMs: number;
  readonly usage: Usage;
}

/** How far embedding has come. */
export interface EmbeddingProgress {
  /** Bodies up to this number had their turn in the current space. */
  readonly done: number;
  /** The highest number of a body. */
  readonly last: number;
  /** Vectors of the current space. */
  readonly embedded: number;
}

/** What may be read. Every function sees only what the scope may see; all calls of one operation see one snapshot. */
export interface Reader {
  /** Clock of the operation, Unix milliseconds. */
  readonly nowMs: number;
  /** The entity of exactly this workspace, archived or not. */
  entityAt(scope: Scope, workspace: string, category: string, key: string): Awaitable<Entity | undefined>;
  /** Workspaces in which this category and key exist, sorted. */
  workspacesOf(scope: Scope, category: string, key: string): Awaitable<readonly string[]>;
  entityById(scope: Scope, id: string): Awaitable<Entity | undefined>;
  /** Open links of an entity in the order they were made. */
  linksOf(scope: Scope, row: number): Awaitable<readonly Link[]>;
  /** How many live rows hold each term, and the size of the index. */
  termStatistics(terms: readonly string[]): Awaitable<TermStatistics>;
  /** False while the index of an older file is being made anew: what stands in it is found by its older words. */
  indexIsCurrent(): Awaitable<boolean>;
  /** Words of the live index that begin as `vocabularyBeginnings` says, with the rows that hold them. */
  vocabulary(term: string): Awaitable<Iterable<VocabularyWord>>;
  /**
   * At most `count` rows that hold any of the terms, best first by the index's own score, and the `nearestMax` nearest ones
   * that have a vector of that space, by their exact cosine; all inside scope and filters.
   */
  candidates(scope: Scope, query: TextQuery, filters: Filters, count: number): Awaitable<readonly Candidate[]>;
  /** At most `count` live rows that have triggers and any of the words anywhere, best first by the index's own score. */
  triggered(scope: Scope, query: TriggerQuery, count: number): Awaitable<readonly number[]>;
  /** The items of these bodies, in this order; a body that is not current any more is left out. */
  items(scope: Scope, bodies: readonly number[]): Awaitable<readonly Item[]>;
  /** Live rows, newest change first. */
  recent(scope: Scope, filters: Filters, count: number, offset: number): Awaitable<readonly Item[]>;
  /** Live rows above `afterRow`, in the order of their numbers: a way through all of them that stays right while others write. */
  retained(scope: Scope, afterRow: number, count: number): Awaitable<readonly Retainable[]>;
  /** Categories and workspaces of live rows, each once, sorted by code point. */
  names(scope: Scope): Awaitable<StoreNames>;
  /** Size of the store. */
  bytes(): Awaitable<number>;
  timeline(scope: Scope, filter: TimelineFilter, count: number, offset: number): Awaitable<readonly JournalEntry[]>;
  stateGet(scope: Scope, workspace: string, key: string): Awaitable<StateEntry | undefined>;
  /** Keys that begin with the prefix and have not expired, sorted by code point. */
  stateKeys(scope: Scope, prefix: string): Awaitable<readonly string[]>;
  counts(scope: Scope): Awaitable<StoreCounts>;
  /** Reads the whole store and computes it again; of all workspaces, so for the owner only. */
  examine(): Awaitable<Examination>;
  /** The space of the model that was used last. */
  space(): Awaitable<Space | undefined>;
  /** At most `count` current bodies with a number above `after` that have no vector of the space, by number. */
  unembedded(
    scope: Scope,
    filters: Filters,
    space: number,
    after: number,
    count: number,
  ): Awaitable<readonly Unembedded[]>;
  /** The text of an entity as it is to be embedded. */
  meaningText(entity: Entity): Awaitable<string>;
  embedding(): Awaitable<EmbeddingProgress>;
  /**
   * At most `count` memories of another file, one of version 0.1, after this row (null: from the first on); `seen` rows came before.
   * Any path can be named: who may do so is the caller's to know.
   */
  earlyMemories(path: string, after: number | null, seen: number, count: number): Awaitable<EarlyPage>;
  /** Writes what is current, of all workspaces, into a new file in the form of the original. As above, any path can be named. */
  exportOriginal(path: string): Awaitable<OriginalExport>;
  /** Writes the whole store, history included, into a new file of JSON lines; answers how many. As above. */
  exportLines(path: string): Awaitable<number>;
}

/** What an export for the original wrote. */
export interface OriginalExport {
  readonly entities: number;
  readonly journal: number;
  readonly state: number;
  /** Memories whose key another workspace has too, and that have the name of theirs behind it now. */
  readonly renamed: number;
}

/** What a look at a whole store found. */
export interface Examination {
  /** What does not agree in chain, bodies, indexes and references, a sentence each; empty when all is well. */
  readonly problems: readonly string[];
  /** How many operations the log has. */
  readonly operations: number;
  /** When the last of them was written, Unix milliseconds; null when there is none. */
  readonly newestMs: number | null;
  /** False while the text index of an older version is being made anew: its words could not be looked at. */
  readonly indexIsCurrent: boolean;
}

/** What may be written, inside one operation: all of it or nothing. */
export interface Writer extends Reader {
  /** A new public id: the prefix and 12 lower-case hex digits. */
  newId(prefix: string): string;
  create(scope: Scope, entity: NewEntity): Awaitable<Entity>;
  /** Appends a version; without any difference it does nothing and answers false. */
  revise(scope: Scope, entity: Entity, patch: EntityPatch): Awaitable<boolean>;
  /** Rows of the same workspace and category whose stored body is at least 0.7 alike, most alike first, at most 5. */
  similar(scope: Scope, entity: Entity): Awaitable<readonly SimilarEntity[]>;
  noteUse(row: number, times: number, atMs: number): Awaitable<void>;
  openLink(scope: Scope, fromRow: number, toId: string, relationship: string, weight: number): Awaitable<void>;
  /** Closes all open links between the two; answers how many. */
  closeLinks(scope: Scope, fromRow: number, toId: string): Awaitable<number>;
  appendJournal(scope: Scope, entry: JournalEntry): Awaitable<void>;
  stateSet(scope: Scope, entry: StateEntry): Awaitable<void>;
  stateDelete(scope: Scope, workspace: string, key: string): Awaitable<boolean>;
  /** Makes the space of a model the current one; when it is already, answers it. */
  openSpace(model: string, dimensions: number, prefix: string): Awaitable<Space>;
  /**
   * Keeps vectors of bodies that are still current, and notes that all bodies up to `done` had their turn. False: the space
   * is not the current one any more, and nothing was kept.
   */
  putVectors(space: number, done: number, vectors: readonly EmbeddedBody[]): Awaitable<boolean>;
}
