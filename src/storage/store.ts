import type { VocabularyWord } from '../memory/near.ts';
import type {
  Candidate,
  Entity,
  EntityPatch,
  Filters,
  JournalEntry,
  Link,
  NewEntity,
  Noted,
  Scope,
  SimilarEntity,
  StateEntry,
  StoreCounts,
  TermStatistics,
  TimelineFilter,
  Usage,
} from '../memory/types.ts';

/** A value now or later: a store in this process answers at once, one across a network would not. */
export type Awaitable<T> = T | Promise<T>;

/** What the text index is asked. Terms are tokens made by `memory/text.ts`. */
export interface TextQuery {
  readonly terms: readonly string[];
  /** The whole query as a key would be written; an entity with exactly this key is a candidate as well. */
  readonly keyText: string;
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
  /** Words of the live index that begin as `vocabularyBeginnings` says, with the rows that hold them. */
  vocabulary(term: string): Awaitable<Iterable<VocabularyWord>>;
  /** At most `count` rows that hold any of the terms, best first by the index's own score, inside scope and filters. */
  candidates(scope: Scope, query: TextQuery, filters: Filters, count: number): Awaitable<readonly Candidate[]>;
  /** The items of these bodies, in this order; a body that is not current any more is left out. */
  items(scope: Scope, bodies: readonly number[]): Awaitable<readonly Item[]>;
  /** Live rows, newest change first. */
  recent(scope: Scope, filters: Filters, count: number, offset: number): Awaitable<readonly Item[]>;
  timeline(scope: Scope, filter: TimelineFilter, count: number, offset: number): Awaitable<readonly JournalEntry[]>;
  stateGet(scope: Scope, workspace: string, key: string): Awaitable<StateEntry | undefined>;
  /** Keys that begin with the prefix and have not expired, sorted by code point. */
  stateKeys(scope: Scope, prefix: string): Awaitable<readonly string[]>;
  /** With the uses that the store may not know yet: they make layers. */
  counts(scope: Scope, noted?: Noted): Awaitable<StoreCounts>;
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
}
