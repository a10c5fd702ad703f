// Compares what the original answered with what we answer. What may differ on every run (ids, times, sizes) is set aside by
// rule; everything else becomes a finding, and `differences.ts` has to know it.
import { codesFor, type Outcome } from './answers.ts';
import { briefingOf } from './briefing.ts';
import { copiesOf } from './copies.ts';
import { DEFAULTS, listOf, type Ledger, type Row } from './ledger.ts';
import { asText, isObject, textAt, type Json, type JsonObject } from './recording.ts';

/** How an answer of ours differs from the original's. */
export type Kind =
  /** Another value. */
  | 'changed'
  /** A value of another type. */
  | 'type'
  /** A member that they have and we have not. */
  | 'missing'
  /** A member of a list that they have and we have not, or the other way round. */
  | 'lacking'
  | 'extra'
  /** The same members in another order. */
  | 'order'
  /** They refused and we did it, or the other way round. */
  | 'accepted'
  | 'refused'
  /** Both refused: for the same reason in other words, or for another reason. */
  | 'wording'
  | 'reason'
  /** One of the processes ended. */
  | 'died'
  /** One of them did not answer. */
  | 'silent'
  /** Our answer contradicts itself. */
  | 'broken';

/** One difference between two answers. */
export interface Finding {
  readonly session: string;
  readonly step: number;
  readonly tool: string;
  readonly args: Json | undefined;
  readonly kind: Kind;
  /** Where in the answer, with `[]` for any member of a list; empty for all of it. */
  readonly at: string;
  readonly theirs: Json | undefined;
  readonly ours: Json | undefined;
  /** The object around it on either side: an item of a list, or the whole answer. */
  readonly around: { readonly theirs: JsonObject; readonly ours: JsonObject };
  readonly answers: { readonly theirs: JsonObject; readonly ours: JsonObject };
  /** What is known of the memory that it is about. */
  readonly row: Row | undefined;
  /** True when our store must answer so, by what it was told before. */
  readonly foretold: boolean;
  /** The earlier difference that this one follows from. */
  readonly cause: string | undefined;
}

/** What a comparison needs to know. */
export interface Place {
  readonly session: string;
  readonly step: number;
  readonly tool: string;
  readonly args: Json | undefined;
  readonly ledger: Ledger;
  /** The store is encrypted, and this program has not its key. */
  readonly isShut?: boolean;
  /** When we were asked, and when we had answered: what expires in between may be there or not. */
  readonly askedMs: number;
  readonly nowMs: number;
}

/** All differences between two outcomes of one step. */
export function compareOutcomes(place: Place, theirs: Outcome, ours: Outcome): Finding[] {
  const found = new Comparison(place, theirs, ours);
  found.outcomes(theirs, ours);
  return found.findings;
}

/** Strengths fade while a session runs; a briefing shows two digits, and programs round halves in different ways. */
const NEAR = 1e-4;
const TIMES = /_unix_ms$/;
const SIZES: ReadonlySet<string> = new Set([
  'db_file_size_bytes',
  'bytes_freed',
  'vacuum_reclaimed_bytes',
  'db_size_delta_bytes',
]);
/** How many items there are where a call does not say. */
const LIMITS: Readonly<Record<string, number>> = { mimir_recall: 10, mimir_recall_when: 10, mimir_timeline: 50 };
/** Members that count the only list of their answer. */
const COUNTERS: ReadonlySet<string> = new Set(['total', 'conflicts_found']);
const MADE_JSON: ReadonlySet<string> = new Set(['evaluated_json', 'acted_json', 'forward_json']);
/** In an answer, or in what a command printed. */
const COUNTS =
  /^(?:\/stdout)?\/(total_entities|reindexed|files_created$|entities_(?:compared|checked|deleted)|by_category|by_type|by_layer|total_journal_events|total_state_entries)/;

const EXTREMES: ReadonlySet<string> = new Set(['/oldest_unix_ms', '/newest_unix_ms']);

interface Around {
  readonly theirs: JsonObject;
  readonly ours: JsonObject;
  readonly row: Row | undefined;
}

class Comparison {
  readonly findings: Finding[] = [];
  readonly #place: Place;
  #answers: { readonly theirs: JsonObject; readonly ours: JsonObject };

  constructor(place: Place, theirs: Outcome, ours: Outcome) {
    this.#place = place;
    this.#answers = { theirs: factsOf(theirs), ours: factsOf(ours) };
  }

  outcomes(theirs: Outcome, ours: Outcome): void {
    const around: Around = { ...this.#answers, row: this.#named() };
    if (ours.kind === 'broken') {
      this.#add('broken', '', null, ours.why, around);
      return;
    }
    if (theirs.kind === 'silent' && ours.kind === 'silent') return;
    if (theirs.kind === 'silent' || ours.kind === 'silent') {
      const [said, answered] = [theirs, ours].map((one) => (one.kind === 'silent' ? undefined : factsOf(one)));
      this.#add('silent', '', said, answered, around);
      return;
    }
    if (theirs.kind === 'died' || ours.kind === 'died') {
      if (theirs.kind !== ours.kind) this.#add('died', '', theirs.kind, ours.kind, around);
      return;
    }
    if (theirs.kind === 'value' && ours.kind === 'value') {
      this.#value(theirs.value, ours.value);
      return;
    }
    const [said, answered] = [messageOf(theirs), messageOf(ours)];
    if (theirs.kind === 'value') this.#add('refused', '', null, answered, around);
    else if (ours.kind === 'value') this.#add('accepted', '', said, null, around);
    else {
      const [their, our] = [theirs, ours].map((one) => (one.kind === 'failure' ? one.code : ''));
      // A JSON-RPC error has a code of its own.
      const fits = their === '' ? codesFor(said).includes(our ?? '') : their === our;
      this.#add(fits ? 'wording' : 'reason', '', said, answered, around);
    }
  }

  #value(theirs: JsonObject, ours: JsonObject): void {
    const around: Around = { ...this.#answers, row: this.#rowOf(ours) ?? this.#named() };
    if (this.#isLate(theirs, ours)) return;
    if (textAt(ours, 'markdown') !== undefined) {
      if (ours['total_chars'] !== Buffer.byteLength(asText(ours['markdown'])))
        this.#add('broken', '/total_chars', ours['total_chars'], null, around);
      this.#answers = { theirs: briefingOf(asText(theirs['markdown'])), ours: briefingOf(asText(ours['markdown'])) };
      this.#object('', this.#answers.theirs, this.#answers.ours, { ...this.#answers, row: undefined });
      return;
    }
    if ('total_entities' in ours) this.#noMoreThanToldOf(ours, around);
    this.#ourOwn(ours, around);
    this.#object('', inOrder(theirs), inOrder(ours), around);
  }

  /** Whether we are asked for a state entry later than the original was, and it has expired meanwhile. */
  #isLate(theirs: JsonObject, ours: JsonObject): boolean {
    const { tool, args, ledger, nowMs } = this.#place;
    const isGone = tool === 'mimir_state_get' && theirs['found'] === true && ours['found'] === false;
    return isGone && ledger.hasExpired(textAt(args, 'key') ?? '', nowMs);
  }

  /** What our answer must say whatever the original said: no more than was asked for, and what we were told before. */
  #ourOwn(ours: JsonObject, around: Around): void {
    const { args, tool, ledger, nowMs } = this.#place;
    if (tool === 'mimir_federate') this.#federated(ours, around);
    const items = listOf(ours['items']);
    const limit = (isObject(args) ? args['limit'] : undefined) ?? LIMITS[tool];
    if (limit !== undefined && items.length > Math.max(0, Number(limit)))
      this.#add('broken', '/items', limit, items.length, around);
    for (const item of 'body_json' in ours ? [ours] : [...items, ...listOf(ours['files'])]) {
      const row = ledger.rowOf(item);
      // What a tool did that is not followed in the ledger cannot be foretold.
      if (row?.changed === undefined) continue;
      const { body_json: body, recall_when: triggers } = row.fields;
      const isWhole = body !== undefined && triggers === undefined && !(isObject(args) && 'preview_cap' in args);
      const told = Object.keys(item).filter(
        (name) =>
          name in DEFAULTS ||
          name === 'archived' ||
          (name === 'links' && row.fields['links'] !== undefined) ||
          (name === 'body_json' && isWhole) ||
          // A file is not written again for uses alone.
          (name === 'retrieval_count' && row.uses !== undefined && tool !== '$files'),
      );
      for (const field of told) {
        const due = field === 'retrieval_count' ? row.uses : row.fields[field];
        if (!ledger.foretells(row, field, item, nowMs))
          this.#add('broken', `/items/[]/${field}`, due, item[field], { ...around, row });
      }
    }
  }

  /** How many memories were copied, by what was stored. */
  #federated(ours: JsonObject, around: Around): void {
    const { args, ledger } = this.#place;
    const { pairs, refused } = copiesOf(ledger, isObject(args) ? args : {});
    const wanted = { exported: pairs.length + refused, remapped: pairs.length, imported: pairs.length };
    for (const [name, count] of Object.entries(wanted)) {
      if (ours[name] !== count) this.#add('broken', `/${name}`, count, ours[name], around);
    }
  }

  /** Counts by name: a name that only we have is a difference too. */
  #noMoreThanToldOf(ours: JsonObject, around: Around): void {
    for (const part of ['by_category', 'by_type', 'by_layer']) {
      for (const [name, count] of Object.entries(objectAt(ours, part))) {
        if (!(name in objectAt(around.theirs, part))) this.#add('changed', `/${part}/${name}`, 0, count, around);
      }
    }
  }

  #object(at: string, theirs: JsonObject, ours: JsonObject, around: Around): void {
    for (const [name, value] of Object.entries(theirs)) {
      const path = `${at}/${name}`;
      if (!(name in ours)) {
        if (COUNTS.test(path) && at !== '') this.#add('changed', path, value, 0, around);
        else this.#add('missing', path, value, undefined, around);
      } else if (COUNTERS.has(name) && listOnly(theirs)?.length === value) {
        // What is counted is compared one by one.
        const list = ours[listOnly(theirs)?.name ?? ''];
        if (!Array.isArray(list) || list.length !== ours[name])
          this.#add('broken', path, Array.isArray(list) ? list.length : null, ours[name], around);
      } else this.#any(path, name, value, ours[name] ?? null, around);
    }
  }

  #any(at: string, name: string, theirs: Json, ours: Json, around: Around): void {
    if (name === 'tags') {
      if (JSON.stringify(theirs) !== JSON.stringify(ours)) this.#add('changed', at, theirs, ours, around);
    } else if (Array.isArray(theirs) && Array.isArray(ours)) this.#list(at, theirs as Json[], ours as Json[], around);
    else if (isObject(theirs) && isObject(ours)) this.#object(at, theirs, ours, around);
    else if (typeOf(theirs) !== typeOf(ours)) this.#add('type', at, theirs, ours, around);
    else if (!this.#alike(name, theirs, ours)) this.#add('changed', at, theirs, ours, around);
  }

  #alike(name: string, theirs: Json, ours: Json): boolean {
    if (typeof theirs === 'number' && typeof ours === 'number') {
      if (TIMES.test(name) || SIZES.has(name)) return true;
      if (name === 'decay_score' || (name === 'score' && this.#place.tool === 'mimir_ask'))
        return Math.abs(theirs - ours) <= (this.#place.tool === 'mimir_context' ? 0.0101 : NEAR);
      return Math.abs(theirs - ours) <= 1e-9 * Math.abs(theirs);
    }
    if (typeof theirs !== 'string' || typeof ours !== 'string') return theirs === ours;
    // Texts that we made of JSON ourselves: 1.0 and 1 are the same.
    return this.#place.ledger.sameText(theirs, ours) || (MADE_JSON.has(name) && isSameJson(theirs, ours));
  }

  /** Members of lists are compared with their like, wherever that stands. */
  #list(at: string, theirs: readonly Json[], ours: readonly Json[], around: Around): void {
    const path = `${at}/[]`;
    const left = new Set(ours.keys());
    const places: number[] = [];
    for (const [i, one] of theirs.entries()) {
      const like = [...left].find((j) => this.#isLike(one, ours[j] ?? null, i === j));
      if (like === undefined) {
        this.#add('lacking', path, one, undefined, inList(around, one, null, this.#rowOfTheirs(one)));
        continue;
      }
      left.delete(like);
      places.push(like);
      const other = ours[like] ?? null;
      this.#any(path, '', one, other, inList(around, one, other, this.#rowOf(other)));
    }
    for (const j of left) {
      const other = ours[j] ?? null;
      this.#add('extra', path, undefined, other, inList(around, null, other, this.#rowOf(other)));
    }
    // Files of a folder come in any order.
    const isSet = at === '/files' || (at === '/errors' && this.#place.tool.endsWith('import'));
    if (!isSet && places.some((place, i) => i > 0 && place < (places[i - 1] ?? 0)))
      this.#add('order', at, theirs, ours, around);
  }

  #isLike(theirs: Json, ours: Json, samePlace: boolean): boolean {
    if (!isObject(theirs) || !isObject(ours)) {
      return typeof theirs === 'string' && typeof ours === 'string'
        ? this.#place.ledger.sameText(theirs, ours) || this.#sameSubject(theirs, ours)
        : samePlace;
    }
    const { ledger } = this.#place;
    const id = textAt(theirs, 'id');
    if (id !== undefined) {
      const other = textAt(ours, 'id') ?? '';
      const known = ledger.oursOf(id);
      if (known !== undefined) return known === other;
      if (ledger.onlyTheirs.has(id) || ledger.onlyOurs.has(other)) return false;
      return ledger.theirsOf(other) === undefined && (namesOf(theirs) === namesOf(ours) || isSameLesson(theirs, ours));
    }
    const target = textAt(theirs, 'target_id');
    if (target !== undefined) return ledger.same(target, textAt(ours, 'target_id') ?? '');
    return namesOf(theirs) === '' ? samePlace : namesOf(theirs) === namesOf(ours);
  }

  /** Texts of the form `SUBJECT: what was wrong` about the same memory, file, row or connector. */
  #sameSubject(theirs: string, ours: string): boolean {
    const [one, other] = [theirs, ours].map((text) => /^([^\s:]+|Row \d+ read error): /.exec(text)?.[1]);
    return one !== undefined && other !== undefined && (one === other || this.#place.ledger.oursOf(one) === other);
  }

  #named(): Row | undefined {
    const { args, ledger } = this.#place;
    if (!isObject(args)) return undefined;
    const named = ledger.at(args) ?? ledger.named(args['category'], args['key'])[0];
    if (named !== undefined) return named;
    // Of two that a call names, the one that the original has not.
    const both = ['from', 'to'].flatMap((end) => ledger.named(args[`${end}_category`], args[`${end}_key`]));
    return both.find(({ only }) => only !== undefined) ?? both[0];
  }

  #rowOf(ours: Json): Row | undefined {
    const { ledger } = this.#place;
    const row = isObject(ours) ? ledger.rowOf(ours) : undefined;
    if (row !== undefined || !isObject(ours) || textAt(ours, 'id') !== undefined) return row;
    // Lines of a briefing have no ids.
    return ledger.named(ours['category'], ours['key'])[0];
  }

  #rowOfTheirs(theirs: Json): Row | undefined {
    const { ledger } = this.#place;
    const id = textAt(theirs, 'id');
    if (id !== undefined) return ledger.rows.get(ledger.oursOf(id) ?? '');
    // Lines of a briefing have no ids.
    return isObject(theirs) ? ledger.named(theirs['category'], theirs['key'])[0] : undefined;
  }

  #add(kind: Kind, at: string, theirs: Json | undefined, ours: Json | undefined, around: Around): void {
    const { session, step, tool, args } = this.#place;
    const { row } = around;
    const field = at.slice(at.lastIndexOf('/') + 1);
    this.findings.push({
      session,
      step,
      tool,
      args,
      kind,
      at,
      theirs,
      ours,
      around: { theirs: around.theirs, ours: around.ours },
      answers: this.#answers,
      row,
      foretold: this.#isForetold(kind, at, theirs, ours, around),
      cause: this.#cause(kind, field, theirs, ours, row),
    });
  }

  /** Whether our answer must be so, by what was told and answered before. */
  #isForetold(kind: Kind, at: string, theirs: Json | undefined, ours: Json | undefined, around: Around): boolean {
    const { ledger, askedMs, nowMs } = this.#place;
    const field = at.slice(at.lastIndexOf('/') + 1);
    if (kind === 'refused' || at === '/exit' || at === '/stdout') return this.#place.isShut === true;
    if (at === '/ingested') return Number(ours) + Number(this.#answers.ours['unchanged']) === ledger.documents;
    // A link to what is gone for good is gone as well.
    if (kind === 'lacking') return !ledger.rows.has(ledger.oursOf(textAt(theirs, 'target_id') ?? '') ?? '');
    if (EXTREMES.has(at)) return (ours === null) === (ledger.rows.size === 0);
    if (kind === 'order') return ledger.areNewestFirst(listOf(ours));
    if (/^(\/stdout)?\/by_layer\//.test(at) && [...ledger.rows.values()].some(({ layer }) => layer === undefined)) {
      // Somebody may have promoted some: then only the sum is known.
      const { ours: all } = this.#answers;
      const layers = Object.values(objectAt(at.startsWith('/stdout') ? objectAt(all, 'stdout') : all, 'by_layer'));
      return layers.reduce((sum: number, count) => sum + Number(count), 0) === ledger.rows.size;
    }
    if (at.endsWith('/total_state_entries')) {
      const [least, most] = [nowMs, askedMs].map((atMs) => ledger.stateEntries(atMs));
      return Number(ours) >= (least ?? 0) && Number(ours) <= (most ?? 0);
    }
    if (COUNTS.test(at)) return ours === this.#counted(at);
    if (kind !== 'changed') return false;
    const entry = ledger.entries.get(textAt(around.ours, 'id') ?? '');
    if (entry !== undefined) return isSameJson(asText(entry[field]), asText(ours));
    if (around.row === undefined) return false;
    return ledger.foretells(around.row, field, around.ours, nowMs);
  }

  /** What our counts must be, by what was stored. */
  #counted(at: string): number {
    const { ledger } = this.#place;
    const rows = [...ledger.rows.values()];
    const [, part = '', ...name] = at.replace(/^\/stdout/, '').split('/');
    if (part === 'total_journal_events') return ledger.events;
    if (part === 'total_entities') return rows.length;
    if (part === 'entities_checked' || part === 'reindexed') return rows.filter((row) => !row.archived).length;
    if (part === 'files_created') {
      // In a folder that was empty: the files of a workspace.
      const workspace = isObject(this.#place.args) ? this.#place.args['workspace_hash'] : undefined;
      return rows.filter(
        ({ archived, fields }) => !archived && (workspace === undefined || fields['workspace_hash'] === workspace),
      ).length;
    }
    if (part === 'entities_deleted') return rows.filter((row) => row.archived).length;
    if (part === 'entities_compared') {
      const { category, offset } = isObject(this.#place.args) ? this.#place.args : {};
      const live = rows.filter((row) => !row.archived && row.fields['category'] === category);
      return Math.min(200, Math.max(0, live.length - Math.max(0, Number(offset ?? 0))));
    }
    const field = part.slice('by_'.length);
    return rows.filter((row) => ledger.valueOf(row, field) === name.join('/')).length;
  }

  /** The earlier difference that made a row, an entry or a value one-sided. */
  #cause(kind: Kind, field: string, theirs: Json | undefined, ours: Json | undefined, row: Row | undefined) {
    const { ledger, args } = this.#place;
    const name = (value: Json | undefined): string =>
      typeof value === 'string' ? value : (textAt(value, 'id') ?? textAt(value, 'target_id') ?? '');
    if (kind === 'lacking') {
      const isLink = textAt(theirs, 'target_id') !== undefined;
      return (
        ledger.onlyTheirs.get(name(theirs)) ??
        (row?.archived === true && !isLink ? row.differs.get('archived') : undefined)
      );
    }
    if (kind === 'extra') {
      const sides = isObject(ours)
        ? [ours['entity_a'], ours['entity_b'], ours].map((one) => ledger.rows.get(name(one)))
        : [];
      const only = [row, ...sides].find((one) => one?.only !== undefined)?.only;
      return (
        only ?? (row?.archived === false ? row.differs.get('archived') : undefined) ?? ledger.onlyOurs.get(name(ours))
      );
    }
    if (row?.only !== undefined) return row.only;
    const key = isObject(args) ? textAt(args, 'key') : undefined;
    return row?.differs.get(field) ?? ledger.onlyTheirs.get(key ?? '') ?? ledger.onlyOurs.get(key ?? '');
  }
}

/** The default of a field, in any of its names. */
export function defaultOf(field: string): Json | undefined {
  if (field === 'links') return [];
  return DEFAULTS[field === 'entity_type' ? 'type' : field];
}

function inList(around: Around, theirs: Json, ours: Json, row: Row | undefined): Around {
  if (!isObject(theirs) && !isObject(ours)) return around;
  // A link belongs to the memory around it.
  const isLink = textAt(theirs, 'target_id') !== undefined || textAt(ours, 'target_id') !== undefined;
  return {
    theirs: isObject(theirs) ? theirs : {},
    ours: isObject(ours) ? ours : {},
    row: isLink ? around.row : row,
  };
}

/** Both sides of a conflict in the order of their keys: which comes first says nothing. */
function inOrder(answer: JsonObject): JsonObject {
  const { conflicts } = answer;
  if (!Array.isArray(conflicts)) return answer;
  const sorted = listOf(conflicts as readonly Json[]).map((one) => {
    const [a, b] = [objectAt(one, 'entity_a'), objectAt(one, 'entity_b')];
    return asText(a['key']) <= asText(b['key']) ? one : { ...one, entity_a: b, entity_b: a };
  });
  return { ...answer, conflicts: sorted };
}

function factsOf(outcome: Outcome): JsonObject {
  if (outcome.kind === 'value') return outcome.value;
  return outcome.kind === 'failure' ? { error: outcome.message, ...outcome.facts } : {};
}

function isSameJson(theirs: string, ours: string): boolean {
  return JSON.stringify(JSON.parse(theirs)) === JSON.stringify(JSON.parse(ours));
}

/** Whether two memories are the same lesson of a model: no answer names their keys, which are random. */
function isSameLesson(theirs: JsonObject, ours: JsonObject): boolean {
  const isLesson = [theirs, ours].every((item) => (textAt(item, 'id') ?? '').startsWith('syn-'));
  return isLesson && isSameJson(asText(theirs['body_json']), asText(ours['body_json']));
}

function typeOf(value: Json): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'list' : typeof value;
}

function messageOf(outcome: Outcome): string {
  return outcome.kind === 'failure' ? outcome.message : '';
}

function namesOf(value: JsonObject): string {
  const { category, key, name, entity_a: a, entity_b: b } = value;
  if (isObject(a) && isObject(b)) return JSON.stringify([a['key'], b['key']]);
  if (typeof name === 'string') return name;
  if (category === undefined && key === undefined) return '';
  // A briefing of ours has no line breaks in names.
  return JSON.stringify([category, key]).replace(/\\[nr]/g, ' ');
}

/** The only list of an answer. */
function listOnly(value: JsonObject): { readonly name: string; readonly length: number } | undefined {
  const lists = Object.entries(value).flatMap(([name, one]) =>
    Array.isArray(one) ? [{ name, length: one.length as number }] : [],
  );
  return lists.length === 1 ? lists[0] : undefined;
}

function objectAt(value: JsonObject, name: string): JsonObject {
  const found = value[name];
  return isObject(found) ? found : {};
}
