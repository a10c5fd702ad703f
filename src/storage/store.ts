import type { VocabularyWord } from '../memory/near.ts';
import type { TriggerQuery } from '../memory/triggers.ts';
import type { Retained } from '../memory/retention.ts';
import type {
  Candidate,
  EarlyPage,
  EmbeddedBody,
  Entity,
  EntityPatch,
  Filters,
  JournalEntry,
  Layer,
  Link,
  NearTo,
  NewEntity,
  Noted,
  PastVersion,
  Scope,
  SimilarEntity,
  Space,
  StateEntry,
  StoreCounts,
  StoreNames,
  TellProgress,
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
  /** See `bulletOf`. */
  readonly bullet: string;
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
  /** Memories there are, archived ones too: each may have one. */
  readonly memories: number;
}

/** A row as upkeep looks at it. */
export interface KeptRow extends Retained {
  readonly row: number;
  readonly id: string;
  /** The layer it was given, see {@link EntityFields}. */
  readonly layer: Layer;
  readonly createdAtMs: number;
}

/** A bounded piece of a long look through the store; `next` is where to go on, or null at the end. */
export interface Stretch<T> {
  readonly found: T;
  readonly next: number | null;
}

/** Which rows upkeep looks at; `category` narrows to exactly this one, the empty one too. */
export interface KeptFilter {
  readonly archived: boolean;
  readonly category?: string;
}

/** References that lead nowhere. */
export interface Orphans {
  readonly journal: number;
  readonly links: number;
}

/** Where erasing what purged rows left behind has got to: answers kept for retries, then the words in the text indexes. */
export interface EraseStage {
  readonly part: 'answers' | 'text' | 'text_past';
  readonly after: number;
}

/** How far the lists of an older file are made anew. */
export interface RebuildProgress {
  readonly done: number;
  readonly of: number;
}

/** What one step of making the text index anew did. */
export interface Reindexed {
  /** Live rows. */
  readonly rows: number;
  /** Where to go on, or null at the end. */
  readonly next: number | null;
  /** The index counts other rows than there are: row by row it cannot be mended. Nothing was done. */
  readonly damaged: boolean;
}

/** What making the file compact did. */
export interface Vacuumed {
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Nothing of what was deleted before is left in the file or its log; false while another process still reads an older state. */
  readonly erased: boolean;
}

/** What may be read. What finds rows sees only what the scope may see, and a row number comes only from there; all calls of one operation see one snapshot. */
export interface Reader {
  /** Clock of the operation, Unix milliseconds. */
  readonly nowMs: number;
  /** The entity of exactly this workspace, archived or not. */
  entityAt(scope: Scope, workspace: string, category: string, key: string): Awaitable<Entity | undefined>;
  /** Workspaces in which this category and key exist, sorted. */
  workspacesOf(scope: Scope, category: string, key: string): Awaitable<readonly string[]>;
  entityById(scope: Scope, id: string): Awaitable<Entity | undefined>;
  /** What an entity said, newest first; the first one is what it says now. */
  versionsOf(scope: Scope, row: number, count: number): Awaitable<readonly PastVersion[]>;
  /** Open links of an entity in the order they were made. */
  linksOf(scope: Scope, row: number): Awaitable<readonly Link[]>;
  /** How many live rows hold each term, and the size of the index; with `archived`, the mean length counts archived rows too. */
  termStatistics(terms: readonly string[], archived?: boolean): Awaitable<TermStatistics>;
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
  /**
   * At most `count` rows of a category, live or archived ones, whose version is above `afterVersion`, by version: a way through all of
   * them in which what others change meanwhile comes again at the end.
   */
  inOrder(
    scope: Scope,
    category: string,
    archived: boolean,
    afterVersion: number,
    count: number,
  ): Awaitable<readonly Entity[]>;
  /** Categories and workspaces of live rows, each once, sorted by code point. */
  names(scope: Scope): Awaitable<StoreNames>;
  /** Size of the store. */
  bytes(): Awaitable<number>;
  timeline(scope: Scope, filter: TimelineFilter, count: number, offset: number): Awaitable<readonly JournalEntry[]>;
  stateGet(scope: Scope, workspace: string, key: string): Awaitable<StateEntry | undefined>;
  /** Keys that begin with the prefix and have not expired, sorted by code point. */
  stateKeys(scope: Scope, prefix: string): Awaitable<readonly string[]>;
  /** With the uses that the store may not know yet: they make layers. */
  counts(scope: Scope, noted?: Noted): Awaitable<StoreCounts>;
  /** Reads the whole store and computes it again; of all workspaces, so for the owner only. */
  examine(progress?: TellProgress): Awaitable<Examination>;
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
  /** The next rows that the scope may change, in the order in which they were made, from behind row `after` on (0: the first). */
  kept(scope: Scope, filter: KeptFilter, after: number): Awaitable<Stretch<readonly KeptRow[]>>;
  /** Counts journal entries and open links that name an entity which is not there; `after` as in `kept`. */
  orphans(scope: Scope, after: number): Awaitable<Stretch<Orphans>>;
  /**
   * At most `count` memories of another file, one of version 0.1, after this row (null: from the first on); `seen` rows came before.
   * Any path can be named: who may do so is the caller's to know.
   */
  earlyMemories(path: string, after: number | null, seen: number, count: number): Awaitable<EarlyPage>;
  /** Writes what is current, of all workspaces, into a new file in the form of the original. As above, any path can be named. */
  exportOriginal(path: string, progress?: TellProgress): Awaitable<OriginalExport>;
  /** Writes the whole store, history included, into a new file of JSON lines; answers how many. As above. */
  exportLines(path: string, progress?: TellProgress): Awaitable<number>;
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
  /** What does not agree in chain, bodies, indexes and references: the first of it, a sentence each. */
  readonly problems: readonly string[];
  /** How many there are; 0 when all is well. */
  readonly problemCount: number;
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
  /** Makes the space of a model the current one, with the vectors that are left of an earlier time; when it is already, answers it. */
  openSpace(model: string, dimensions: number, prefix: string): Awaitable<Space>;
  /**
   * Keeps vectors of bodies that are still current, and notes that all bodies up to `done` had their turn. Answers how many
   * were kept; null: the space is not the current one any more, and nothing was kept.
   */
  putVectors(space: number, done: number, vectors: readonly EmbeddedBody[]): Awaitable<number | null>;
  /**
   * Erases an archived entity: its versions, texts, words and the links from and to it. The log keeps that it was there, and
   * what was done to it; what it was cannot be told from that.
   */
  purge(scope: Scope, entity: Entity): Awaitable<void>;
  /** One bounded step of erasing what purged rows left behind; answers the next one, or null when all is done. */
  eraseLeftovers(stage: EraseStage): Awaitable<EraseStage | null>;
  /** Makes the text index anew from behind body `after` on, for about `maxMs`; `whole`: all of it at once, from nothing. */
  reindex(how: { readonly after: number; readonly maxMs: number } | 'whole'): Awaitable<Reindexed>;
}

/** What runs alone and outside a transaction. */
export interface Exclusive {
  /** Gives free pages back, and leaves nothing of deleted rows behind. Throws `locked` while another process writes. */
  vacuum(): Awaitable<Vacuumed>;
}
