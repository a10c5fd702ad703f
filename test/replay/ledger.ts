// What is known about both stores while a session runs: which of their ids is which of ours, and what our own answers say
// that our store holds. It tells a difference that follows from an earlier one from a new one.
import { layerOf, strengthNow } from '../../src/memory/retention.ts';
import type { Outcome } from './answers.ts';
import { copiesOf, type CopyPair } from './copies.ts';
import { lessonRows, lessonsEntry } from './lessons.ts';
import { asText, isObject, textAt, type Json, type JsonObject } from './recording.ts';

/** What a memory has when nobody says otherwise. */
export const DEFAULTS: JsonObject = {
  status: 'active',
  type: 'insight',
  tags: [],
  topic_path: '',
  archive_reason: '',
  verified: false,
  always_on: false,
  certainty: 0.5,
  workspace_hash: '',
  agent_id: '',
  visibility: 'workspace',
};

/** A memory of our store, as our answers and the arguments say. */
export interface Row {
  /** Empty until an answer shows it: a memory that came out of a file may have any. */
  id: string;
  /** Columns as an item shows them. */
  fields: JsonObject;
  importance: number | undefined;
  /** The layer that it was given; undefined when a tool that is not followed here may have promoted it. */
  layer: string | undefined;
  /** The tool that made it. */
  readonly madeBy: string;
  uses: number | undefined;
  /** When recalls showed it, Unix milliseconds. */
  readonly usedAtMs: number[];
  /** How many uses a kill may have lost; when it is seen again, that is known. */
  lost: number;
  /** Counts changes of the store; undefined when a tool that is not known here may have changed it. */
  changed: number | undefined;
  /** That tool, the last of them. */
  changedBy: string | undefined;
  /** The highest strength below which upkeep was told to archive. */
  weakBelow: number;
  archived: boolean;
  /** Set when the original has no such row: the difference that made it. */
  only: string | undefined;
  /** Fields that an update left out: the original gives them their defaults, we keep them. */
  readonly omitted: Set<string>;
  /** Fields that were set on one side only, each with the difference that did it. */
  readonly differs: Map<string, string>;
  /** The memory that it is a copy of. */
  copyOf?: Row;
  /** True when the original has moved it where we have copied it with its workspace. */
  isMoved?: boolean;
  /** Their id that stands for it as soon as it has its own. */
  awaited?: string;
}

/** Beside a writer uses are stored after a fifth of that; a busy machine takes its time. */
const STORED_MS = 1_000;
/** What `mimir_compact` archives below when it is not told; `mimir_decay` goes less far. */
const COMPACT_BELOW = 0.1;
const ID = /\b(?:mem|jrn|cor|syn|bch|ingest|cli)-[0-9a-f]{12}\b/g;
const MADE_KEY = /\b[a-z_]+-[0-9a-f]{12}\b/g;

/** See the head of this file. */
export class Ledger {
  /** Their id to all of ours that stood in its place in an answer, the current one last. */
  readonly #pairs: Map<string, string[]>;
  readonly #theirs: Map<string, string>;
  /** By id; those without one by a name of their own. */
  readonly rows = new Map<string, Row>();
  /** What only the original has, by its id (rows, journal entries) or name (state): the difference that did it. */
  readonly onlyTheirs = new Map<string, string>();
  /** The same for journal entries and state keys of ours. */
  readonly onlyOurs = new Map<string, string>();
  /** What journal entries of ours must say that a tool wrote beside its answer, by id. */
  readonly entries = new Map<string, JsonObject>();
  events = 0;
  /** How many documents the original has found in a dry run. */
  documents: number | undefined;
  /** How many our last run would have brought in, had it not been a dry one. */
  due = 0;
  #changes = 0;
  /** By key, when each state entry of ours expires. */
  readonly #state = new Map<string, Json>();

  /** Another store of the same session is empty, and knows the ids of the first one. */
  constructor(first?: Ledger) {
    this.#pairs = first === undefined ? new Map<string, string[]>() : first.#pairs;
    this.#theirs = first === undefined ? new Map<string, string>() : first.#theirs;
  }

  /** Whether an id of theirs and one of ours may stand for the same thing; two that nobody has seen do from now on. */
  same(theirs: string, ours: string): boolean {
    const known = this.#pairs.get(theirs);
    if (known !== undefined) return known.includes(ours);
    if (this.#theirs.has(ours)) return false;
    this.pair(theirs, ours);
    return true;
  }

  /** From now on their id is this one of ours. */
  pair(theirs: string, ours: string): void {
    const known = (this.#pairs.get(theirs) ?? []).filter((id) => id !== ours);
    this.#pairs.set(theirs, [...known, ours]);
    this.#theirs.set(ours, theirs);
  }

  /** Another id of ours that stood where theirs stood, without being the same thing. */
  alias(theirs: string, ours: string): void {
    this.#pairs.set(theirs, [ours, ...(this.#pairs.get(theirs) ?? [])]);
  }

  /** Ours for one of theirs. */
  oursOf(theirs: string): string | undefined {
    return this.#pairs.get(theirs)?.at(-1);
  }

  /** Theirs for one of ours. */
  theirsOf(ours: string): string | undefined {
    return this.#theirs.get(ours);
  }

  /** Whether two texts are equal, ids and what is made of ids aside. */
  sameText(theirs: string, ours: string): boolean {
    if (theirs === ours) return true;
    for (const pattern of [ID, MADE_KEY]) {
      const [one, other] = [theirs.match(pattern) ?? [], ours.match(pattern) ?? []];
      if (one.length === 0 || one.length !== other.length) continue;
      if (theirs.replaceAll(pattern, '') !== ours.replaceAll(pattern, '')) continue;
      if (one.every((id, i) => this.same(id, other[i] ?? ''))) return true;
    }
    return false;
  }

  /** Rows of ours with this category and key, of all workspaces. */
  named(category: Json | undefined, key: Json | undefined): Row[] {
    return [...this.rows.values()].filter(({ fields }) => fields['category'] === category && fields['key'] === key);
  }

  /** The row that a call names by category, key and perhaps workspace, as `remember` looks for it. */
  at(args: JsonObject): Row | undefined {
    const workspace = args['workspace_hash'] ?? '';
    return this.named(args['category'], args['key']).find(({ fields }) => fields['workspace_hash'] === workspace);
  }

  /** The row of an item; one whose id nobody knew gets it now. */
  rowOf(item: JsonObject): Row | undefined {
    const id = textAt(item, 'id') ?? '';
    const known = this.rows.get(id);
    if (known !== undefined || id === '') return known;
    const nameless = this.at(item);
    if (nameless?.id !== '') return undefined;
    this.rows.delete(placeOf(nameless.fields));
    this.rows.set(id, nameless);
    nameless.id = id;
    if (nameless.awaited !== undefined) this.pair(nameless.awaited, id);
    return nameless;
  }

  /** Whether a field of an item of ours is what our store must answer, by what it was told. */
  foretells(row: Row, field: string, item: JsonObject, nowMs: number): boolean {
    const value = item[field];
    const uses = usesOf(row, item);
    if (field === 'retrieval_count') return uses !== undefined && value === uses;
    if (field === 'layer') {
      const given = row.layer === undefined ? ['buffer', 'working'] : [row.layer];
      return uses !== undefined && given.some((layer) => value === layerOf(layer, uses));
    }
    if (field === 'decay_score') {
      const { importance } = row;
      if (importance === undefined || uses === undefined || typeof value !== 'number') return false;
      const usage = { count: uses, lastAtMs: Number(item['last_accessed_unix_ms'] ?? nowMs) };
      return Math.abs(value - strengthNow({ importance, lasting: isLasting(row), usage }, nowMs)) < 1e-3;
    }
    if (field === 'archived') return value === row.archived;
    return JSON.stringify(value) === JSON.stringify(row.fields[field === 'entity_type' ? 'type' : field]);
  }

  /** A field of a row as counts see it. */
  valueOf(row: Row, field: string): Json | undefined {
    return field === 'layer' ? layerOf(row.layer ?? 'buffer', row.uses ?? 0) : row.fields[field];
  }

  /** Whether a state entry of ours has expired by now, as it said it would. */
  hasExpired(key: string, nowMs: number): boolean {
    const at = this.#state.get(key);
    return typeof at === 'number' && at < nowMs;
  }

  /** How many state entries of ours have not expired. */
  stateEntries(nowMs: number): number {
    return [...this.#state.values()].filter((at) => at === null || Number(at) >= nowMs).length;
  }

  /** A kill may lose the uses of the last moment, which were noted and not yet stored, and no others. */
  killed(nowMs: number): void {
    for (const row of this.rows.values()) row.lost += row.usedAtMs.filter((atMs) => nowMs - atMs < STORED_MS).length;
  }

  /** Takes in that a memory is archived on one side only, by this difference. */
  archivedBy(row: Row | undefined, line: string): void {
    for (const field of ['archived', 'archive_reason']) row?.differs.set(field, line);
  }

  /** Takes in what a step did. `cause` is the difference that explained it, when there was one. */
  note(tool: string, args: JsonObject, theirs: Outcome, ours: Outcome, cause: string): void {
    const theirValue = theirs.kind === 'value' ? theirs.value : undefined;
    const ourValue = ours.kind === 'value' ? ours.value : undefined;
    this.#changes += 1;
    if (ourValue !== undefined && !KNOWN.has(tool)) this.#changedBySomeTool(tool, args);
    const follow = this.#followers[tool];
    if (follow !== undefined) follow(args, theirValue, ourValue, cause);
  }

  /** What each tool does to our store. */
  readonly #followers: Readonly<Record<string, Follower>> = {
    mimir_remember: (args, theirs, ours, cause) => this.#remember(args, theirs, ours, cause),
    mimir_forget: (args, theirs, ours, cause) => {
      const reason = textAt(args, 'reason') ?? '';
      const meant = ours?.['found'] === true ? this.#meant(args) : undefined;
      this.#change(meant, { archive_reason: reason === '' ? 'manual' : reason }, { archived: true });
      // The original knows one memory of this name, in whatever workspace it is by now.
      const other = this.named(args['category'], args['key']).find(({ only }) => only === undefined);
      if (theirs?.['found'] !== true || other === undefined || other === meant) return;
      const why = cause === '' ? (meant?.only ?? '') : cause;
      this.archivedBy(other, why);
    },
    'mimir write': (args, theirs, ours, cause) =>
      this.#remember(args, objectAt(theirs, 'stdout'), objectAt(ours, 'stdout'), cause),
    mimir_recall: (_args, theirs, ours) => this.#recall(theirs, ours),
    mimir_journal: (_args, theirs, ours, cause) => this.#event(textAt(theirs, 'id'), textAt(ours, 'id'), cause),
    mimir_state_set: (_args, theirs, ours, cause) => {
      if (ours !== undefined) this.#state.set(asText(ours['key']), ours['expires_at_unix_ms'] ?? null);
      this.#single(textAt(theirs, 'key'), textAt(ours, 'key'), cause);
    },
    mimir_state_delete: (_args, _theirs, ours) => {
      if (ours?.['found'] === true) this.#state.delete(asText(ours['key']));
    },
    mimir_purge: (_args, _theirs, ours) => {
      if (ours?.['dry_run'] !== false) return;
      for (const row of this.rows.values()) if (row.archived) this.rows.delete(row.id);
    },
    mimir_score: (args, _theirs, ours) => {
      const importance = Math.min(1, Math.max(0, Number(args['score'])));
      if (ours?.['found'] === true) this.#change(this.#meant(args), { verified: importance >= 0.7 }, { importance });
    },
    mimir_supersede: (args, _theirs, ours) => {
      const from = this.rows.get(textAt(ours, 'from_entity_id') ?? '');
      this.#change(from, { status: 'deprecated', archive_reason: textAt(args, 'reason') ?? '' }, {});
    },
    mimir_link: (args) => this.#relinked(args),
    mimir_unlink: (args) => this.#relinked(args),
    mimir_ingest: (_args, theirs, ours) => {
      if (theirs?.['dry_run'] === true) this.documents = Number(theirs['ingested']);
      if (ours !== undefined) this.due = ours['dry_run'] === true ? Number(ours['ingested']) : 0;
    },
    mimir_correct: (args, theirs, ours, cause) => {
      const category = textAt(args, 'category') ?? '';
      const fields = { type: 'correction', category: category === '' ? 'correction' : category, certainty: 1 };
      const visibility = args['visibility'] === '' ? 'workspace' : (args['visibility'] ?? 'workspace');
      const told = { ...args, ...fields, visibility, importance: 1, body_json: lessonOf(args) };
      this.#lesson('mimir_correct', told, theirs, ours, cause);
      this.#event(textAt(theirs, 'journal_id'), textAt(ours, 'journal_id'), cause);
    },
    mimir_bench: (args, theirs, ours, cause) =>
      this.#lesson(
        'mimir_bench',
        { tags: args['tags'] ?? [], type: 'benchmark', category: 'benchmark' },
        theirs,
        ours,
        cause,
      ),
    mimir_synthesize: (args, theirs, ours, cause) => {
      const [theirEntry, ourEntry] = [theirs, ours].map((one) => textAt(one, 'journal_id') || undefined);
      this.#event(theirEntry, ourEntry, cause);
      // A dry run makes no entry, and no memories.
      if (ourEntry === undefined) return;
      const lessons = listOf(ours?.['lessons']);
      this.entries.set(ourEntry, lessonsEntry(lessons));
      for (const lesson of lessonRows(args, lessons)) this.made(lesson.id, 'mimir_synthesize', lesson, 'working');
    },
    mimir_federate: (args, _theirs, ours, cause) => {
      for (const pair of ours === undefined ? [] : copiesOf(this, args).pairs) this.#copied(pair, args, cause);
    },
    mimir_share: (args, theirs, ours, cause) => this.#share(args, theirs, ours, cause),
  };

  /** Fields of a row that change; without a difference nothing changes. */
  #change(row: Row | undefined, fields: JsonObject, more: { archived?: boolean; importance?: number }): void {
    if (row === undefined) return;
    const said = JSON.stringify([row.fields, row.importance, row.archived]);
    row.fields = { ...row.fields, ...fields };
    Object.assign(row, more);
    if (JSON.stringify([row.fields, row.importance, row.archived]) !== said) row.changed = this.#changes;
  }

  /** The links of the row that a call names are not known any more. */
  #relinked(args: JsonObject): void {
    const from = { ...args, category: args['from_category'] ?? '', key: args['from_key'] ?? '' };
    const row = this.#meant(from);
    if (row === undefined) return;
    const { links: _links, ...fields } = row.fields;
    row.fields = fields;
  }

  /** The row that a call means: at home, or the only one. */
  #meant(args: JsonObject): Row | undefined {
    return this.at(args) ?? this.named(args['category'], args['key'])[0];
  }

  #event(theirs: string | undefined, ours: string | undefined, cause: string): void {
    this.#single(theirs, ours, cause);
    if (ours !== undefined) this.events += 1;
  }

  /** A memory whose key the server makes. Whether the original has kept it as well, its answer does not say. */
  #lesson(
    tool: string,
    args: JsonObject,
    theirs: JsonObject | undefined,
    ours: JsonObject | undefined,
    cause: string,
  ): void {
    const id = textAt(ours, 'entity_id');
    if (id === undefined) return;
    const row = this.made(id, tool, { ...args, key: ours?.['key'] ?? '' }, 'working');
    if (theirs === undefined) row.only = cause;
  }

  /** The original moves a memory where we copy it. */
  #share(args: JsonObject, theirs: JsonObject | undefined, ours: JsonObject | undefined, cause: string): void {
    const id = textAt(ours, 'shared_id');
    if (id === undefined || ours === undefined) return;
    const from = this.named(args['category'], args['key']).find(
      ({ fields }) => fields['workspace_hash'] === ours['from_workspace'],
    );
    const copied = { ...from?.fields, workspace_hash: args['to_workspace'] ?? '', archive_reason: '' };
    const importance = from?.importance ?? 0.5;
    const row = this.rows.get(id) ?? this.made(id, 'mimir_share', { ...copied, importance }, 'buffer');
    if (from !== undefined) row.copyOf = from;
    this.#change(row, copied, { archived: false, importance });
    const theirId = textAt(theirs, 'shared_id');
    if (theirId === undefined) row.only = cause;
    else this.#takePlace(theirId, row, cause);
  }

  /** The original moves a memory of a workspace where we copy it, or bring the copy up to date. Our answer does not name it. */
  #copied([from, there]: CopyPair, args: JsonObject, cause: string): void {
    if (from === there) return;
    const fields = { ...from.fields, workspace_hash: args['to_workspace'] ?? '', archive_reason: '' };
    const importance = from.importance ?? 0.5;
    const row = there ?? this.made('', 'mimir_federate', { ...fields, importance }, 'buffer');
    if (there === undefined) row.copyOf = from;
    if (row.copyOf === from) this.#change(row, fields, { archived: false, importance });
    const theirs = from.only === undefined ? this.theirsOf(from.id) : undefined;
    if (theirs !== undefined) {
      this.#takePlace(theirs, row, cause);
      from.isMoved = true;
    } else if (there === undefined) row.only = from.only ?? cause;
  }

  /** From now on their id stands for this row; the one before is ours alone. */
  #takePlace(theirId: string, row: Row, cause: string): void {
    const former = this.rows.get(this.oursOf(theirId) ?? '');
    // Without a cause of its own it follows from what made this row.
    if (former !== undefined && former !== row) former.only = cause === '' ? (row.only ?? '') : cause;
    row.only = undefined;
    if (row.id === '') row.awaited = theirId;
    else this.pair(theirId, row.id);
  }

  /** A tool whose doings are not followed here: what it names may have changed, or when it names nothing, anything. */
  #changedBySomeTool(tool: string, args: JsonObject): void {
    const named = [
      ...this.named(args['category'], args['key']),
      ...this.named(args['from_category'], args['from_key']),
      ...this.named(args['to_category'], args['to_key']),
    ];
    for (const row of named.length > 0 ? named : this.rows.values()) {
      row.changed = undefined;
      row.changedBy = tool;
      if (args['dry_run'] !== true) row.weakBelow = Math.max(row.weakBelow, Number(args['min_decay'] ?? COMPACT_BELOW));
      row.layer = undefined;
    }
  }

  /** Whether items stand in the order of their last change, newest first, as far as that is known. */
  areNewestFirst(items: readonly JsonObject[]): boolean {
    const changes = items
      .map((item) => {
        const row = this.rows.get(textAt(item, 'id') ?? '');
        const named = row === undefined ? this.named(item['category'], item['key']) : [row];
        return named.length === 1 ? named[0]?.changed : undefined;
      })
      .filter((change) => change !== undefined);
    return changes.every((change, i) => i === 0 || change <= (changes[i - 1] ?? 0));
  }

  #remember(args: JsonObject, theirs: JsonObject | undefined, ours: JsonObject | undefined, cause: string): void {
    const theirId = textAt(theirs, 'id');
    const ourId = textAt(ours, 'id');
    const action = textAt(theirs, 'action') ?? '';
    const merged = action.startsWith('deduped');
    const before = this.at(args);
    if (ourId === undefined) {
      if (theirId === undefined || merged) return;
      if (action === 'created') this.onlyTheirs.set(theirId, cause);
      else for (const field of [...Object.keys(DEFAULTS), 'body_json']) before?.differs.set(field, cause);
      return;
    }
    const row = this.#stored(ourId, args, before);
    if (theirId === undefined) {
      if (before === undefined) row.only = cause;
      else for (const field of Object.keys(args)) row.differs.set(field, cause);
      return;
    }
    if (merged) {
      if (before === undefined) row.only = cause;
      this.alias(theirId, ourId);
      return;
    }
    this.#takePlace(theirId, row, cause);
    if (action === 'created') row.omitted.clear();
    row.differs.delete('archived');
    for (const field of [...Object.keys(DEFAULTS), 'links', 'importance', 'body_json']) {
      if (args[field] === undefined && action === 'updated') row.omitted.add(field);
      if (args[field] !== undefined) row.omitted.delete(field);
      row.differs.delete(field);
    }
  }

  #stored(id: string, args: JsonObject, before: Row | undefined): Row {
    // Under another id it is a new row: the one that was there has been purged.
    if (before !== undefined && before.id !== id) this.rows.delete(before.id);
    if (before?.id !== id) return this.made(id, 'mimir_remember', args, 'buffer');
    const { importance } = args;
    const isGiven = importance !== undefined && importance !== null;
    this.#change(
      before,
      { ...givenOf(args), archive_reason: '' },
      { archived: false, ...(isGiven && { importance: Number(importance) }) },
    );
    if (before.uses !== undefined) before.uses += 1;
    return before;
  }

  /** A new row of our store; without an id where none is known yet. */
  made(id: string, madeBy: string, args: JsonObject, layer: string): Row {
    const row: Row = {
      id,
      fields: { ...DEFAULTS, ...givenOf(args) },
      importance: Number(args['importance'] ?? 0.5),
      layer,
      madeBy,
      uses: 0,
      usedAtMs: [],
      lost: 0,
      changed: this.#changes,
      changedBy: undefined,
      weakBelow: 0,
      archived: false,
      only: undefined,
      omitted: new Set(),
      differs: new Map(),
    };
    this.rows.set(id === '' ? placeOf(row.fields) : id, row);
    return row;
  }

  #recall(theirs: JsonObject | undefined, ours: JsonObject | undefined): void {
    for (const item of listOf(ours?.['items'])) {
      const row = this.seen(item);
      const other = listOf(theirs?.['items']).find((one) => this.oursOf(textAt(one, 'id') ?? '') === row.id);
      if (other?.['archived'] === item['archived']) row.differs.delete('archived');
      if (item['archived'] === true || row.uses === undefined) continue;
      row.uses += 1;
      row.usedAtMs.push(Date.now());
    }
  }

  /** The row of an item; one that nobody has told of is taken over as it is shown. */
  seen(item: JsonObject): Row {
    const id = textAt(item, 'id') ?? '';
    let row = this.rowOf(item);
    if (row === undefined) {
      row = {
        id,
        fields: { ...item, type: item['type'] ?? item['entity_type'] ?? '' },
        importance: undefined,
        layer: undefined,
        madeBy: '',
        uses: undefined,
        usedAtMs: [],
        lost: 0,
        changed: undefined,
        changedBy: undefined,
        weakBelow: 0,
        archived: item['archived'] === true,
        only: undefined,
        omitted: new Set(),
        differs: new Map(),
      };
      this.rows.set(id, row);
    }
    if (row.uses === undefined || row.lost > 0) row.uses = Number(item['retrieval_count'] ?? 0);
    row.lost = 0;
    // What a tool did that is not followed here shows now.
    if (row.changed === undefined) row.archived = item['archived'] === true;
    return row;
  }

  #single(theirs: string | undefined, ours: string | undefined, cause: string): void {
    if (theirs !== undefined && ours !== undefined) {
      this.onlyTheirs.delete(theirs);
      this.onlyOurs.delete(ours);
    } else if (theirs !== undefined) this.onlyTheirs.set(theirs, cause);
    else if (ours !== undefined) this.onlyOurs.set(ours, cause);
  }
}

function objectAt(value: JsonObject | undefined, name: string): JsonObject | undefined {
  const found = value?.[name];
  return isObject(found) ? found : undefined;
}

/** Whether a memory does not fade. */
export function isLasting({ fields }: Row): boolean {
  return fields['always_on'] === true || fields['verified'] === true;
}

/** The uses that an item must show; after a kill, those that it shows if they can be right. */
function usesOf(row: Row, item: JsonObject): number | undefined {
  if (row.uses === undefined || row.lost === 0) return row.uses;
  const shown = Number(item['retrieval_count'] ?? row.uses);
  return shown <= row.uses && shown >= row.uses - row.lost ? shown : undefined;
}

/** Where a row stands that has no id yet. */
function placeOf({ workspace_hash: workspace, category, key }: JsonObject): string {
  return JSON.stringify([workspace, category, key]);
}

/** The body of a correction. */
function lessonOf(args: JsonObject): string {
  const [wrong, right, context, session] = ['wrong_approach', 'user_correction', 'task_context', 'session_id'].map(
    (name) => textAt(args, name) ?? '',
  );
  return JSON.stringify({
    lesson: `When ${context}: do NOT ${wrong}. Instead: ${right}`,
    session_id: session,
    task_context: context,
    user_correction: right,
    wrong_approach: wrong,
  });
}

type Follower = (args: JsonObject, theirs: JsonObject | undefined, ours: JsonObject | undefined, cause: string) => void;

/** What the arguments say about columns, as we read it. */
function givenOf(args: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(args)
      .filter(([name, value]) => value !== null && (name in DEFAULTS || IDENTITY.has(name)))
      .map(([name, value]) => [name, asRead(value, DEFAULTS[name])]),
  );
}

/** A value as we read it where such a one is due: numbers and booleans may come as text. */
function asRead(value: Json, like: Json | undefined): Json {
  if (typeof value !== 'string' || typeof like === 'string' || like === undefined) return value;
  return typeof like === 'boolean' ? value === 'true' : Number(value);
}

/** Tools whose doings are followed here, or that change no memory. */
const KNOWN: ReadonlySet<string> = new Set(
  (
    'remember recall get_entity forget link unlink journal timeline state_set state_get state_delete state_list health ' +
    'stats context traverse conflicts workspace_list recall_when ask score supersede correct bench synthesize federate ' +
    'share purge vault_export vault_import migrate'
  )
    .split(' ')
    .map((name) => `mimir_${name}`)
    .concat(['mimir write', 'mimir stats', 'mimir vault-export', 'mimir vault-import', 'mimir reindex']),
);

const IDENTITY: ReadonlySet<string> = new Set(['category', 'key', 'body_json', 'recall_when']);

/** The objects of a list. */
export function listOf(value: Json | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? (value as readonly Json[]).filter((one) => isObject(one)) : [];
}
