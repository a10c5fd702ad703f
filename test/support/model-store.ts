import { createHash } from 'node:crypto';
import { bulletOf, itemJson } from '../../src/memory/item.ts';
import { canonicalJson } from '../../src/memory/canonical.ts';
import { layerOf, NO_NOTES, withNotes } from '../../src/memory/retention.ts';
import { jaccard, Trigrams } from '../../src/memory/similarity.ts';
import { mayRead } from '../../src/memory/scope.ts';
import { LIMITS } from '../../src/limits.ts';
import { LIST_HEAD, meaningText, packEntity, readBody } from '../../src/memory/document.ts';
import { dot } from '../../src/memory/vector.ts';
import { TRIGGERS, type TriggerQuery } from '../../src/memory/triggers.ts';
import { vocabularyBeginnings } from '../../src/memory/near.ts';
import type {
  Candidate,
  EmbeddedBody,
  Entity,
  EntityPatch,
  Filters,
  JournalEntry,
  Link,
  NewEntity,
  Noted,
  PastVersion,
  Scope,
  SimilarEntity,
  Space,
  StateEntry,
  TimelineFilter,
  Unembedded,
} from '../../src/memory/types.ts';
import { OPERATIONS, type Execute } from '../../src/engine/operations.ts';
import type {
  Examination,
  Exclusive,
  Item,
  KeptFilter,
  KeptRow,
  Orphans,
  Reindexed,
  Stretch,
  TextQuery,
  Vacuumed,
  Writer,
} from '../../src/storage/store.ts';

const NO_ORPHANS: Orphans = { journal: 0, links: 0 };

/**
 * The store as plainly as it can be said: arrays, brute force, no index and no history. What SQLite answers must agree with
 * it. An operation that throws leaves nothing: see {@link ModelStore.transaction}.
 */
export class ModelStore implements Writer, Exclusive {
  nowMs = 1_700_000_000_000;
  entities: Entity[] = [];
  links = new Map<number, Link[]>();
  /** What each row said, newest first. */
  past = new Map<number, PastVersion[]>();
  journal: JournalEntry[] = [];
  state = new Map<string, StateEntry>();
  spaces: Space[] = [];
  /** By body, each of a space. */
  vectors = new Map<number, { readonly space: number; readonly vector: Float32Array }>();
  done = 0;
  #ids = 0;
  #rows = 0;
  #version = 0;
  #body = 0;
  /** When each body was written. */
  readonly #written = new Map<number, number>();

  /** What was said before each body, and in which. */
  readonly #before = new Map<number, { readonly body: number; readonly text: string; readonly json: string }>();
  /** The entity of each body that there ever was. */
  readonly #bodyOf = new Map<number, number>();

  #newBody(e: NewEntity, row: number): number {
    this.#written.set(++this.#body, this.nowMs);
    this.#bodyOf.set(this.#body, row);
    this.#place(e, row, this.#body);
    return this.#body;
  }

  /** Finds what was said just before a body. */
  #place(e: NewEntity, row: number, body: number): void {
    this.#before.delete(body);
    const { turn } = readBody(e.bodyJson);
    if (turn === undefined) return;
    const [last] = this.entities
      .filter((one) => one.row !== row && !one.archived && one.workspace === e.workspace && one.category === e.category)
      .filter((one) => one.visibility !== 'private' || one.agentId === e.agentId)
      .map((one) => ({ row: one.row, body: one.body, said: readBody(one.bodyJson), json: one.bodyJson }))
      .filter(({ said }) => said.turn?.session === turn.session && said.turn.turn < turn.turn)
      .toSorted((a, b) => (b.said.turn?.turn ?? 0) - (a.said.turn?.turn ?? 0) || b.row - a.row);
    if (last !== undefined) this.#before.set(body, { body: last.body, text: last.said.text, json: last.json });
  }

  #pack(e: Entity) {
    return packEntity({ ...e, writtenMs: this.#written.get(e.body) ?? 0, before: this.#before.get(e.body)?.text });
  }
  #used = new Set<number>();

  /** Runs all of it or nothing. */
  async transaction<T>(run: (tx: ModelStore) => Promise<T>): Promise<T> {
    const { entities, links, past, journal, state, spaces, vectors, done } = this;
    const before = { entities, links, past, journal, state, spaces, vectors, done };
    this.entities = [...before.entities];
    this.links = new Map(before.links);
    this.past = new Map(before.past);
    this.journal = [...before.journal];
    this.state = new Map(before.state);
    const used = new Set(this.#used);
    try {
      return await run(this);
    } catch (thrown) {
      Object.assign(this, before);
      this.#used = used;
      throw thrown;
    }
  }

  newId(prefix: string): string {
    this.#ids += 1;
    return prefix + String(this.#ids).padStart(12, '0');
  }

  #live(scope: Scope, filters: Filters): Entity[] {
    return this.entities.filter(
      (entity) =>
        mayRead(scope, entity) &&
        (filters.includeArchived === true || !entity.archived) &&
        (filters.category === undefined || entity.category === filters.category) &&
        (filters.type === undefined || entity.type === filters.type) &&
        (filters.topicPrefix === undefined || entity.topicPath.startsWith(filters.topicPrefix)) &&
        (filters.agentId === undefined || entity.agentId === filters.agentId) &&
        (filters.alwaysOn === undefined || entity.alwaysOn === filters.alwaysOn),
    );
  }

  #item(entity: Entity): Item {
    const {
      row,
      version,
      body,
      id,
      key,
      importance,
      layer,
      certainty,
      verified,
      createdAtMs,
      usage,
      workspace,
      category,
      type,
      bodyHash,
    } = entity;
    return {
      row,
      version,
      body,
      id,
      key,
      importance,
      layer,
      certainty,
      verified,
      createdAtMs,
      usage,
      lasting: entity.alwaysOn || verified,
      twin: [workspace, category, type, entity.agentId, entity.visibility, bodyHash].join('\0'),
      bullet: bulletOf(entity),
      json: itemJson(entity, this.links.get(row) ?? []),
    };
  }

  entityAt(scope: Scope, workspace: string, category: string, key: string): Entity | undefined {
    return this.entities.find(
      (e) => mayRead(scope, e) && e.workspace === workspace && e.category === category && e.key === key,
    );
  }
  workspacesOf(scope: Scope, category: string, key: string): string[] {
    return this.entities
      .filter((e) => mayRead(scope, e) && e.category === category && e.key === key)
      .map((e) => e.workspace)
      .toSorted();
  }
  entityById(scope: Scope, id: string): Entity | undefined {
    return this.entities.find((e) => mayRead(scope, e) && e.id === id);
  }
  versionsOf(_scope: Scope, row: number, count: number): PastVersion[] {
    return (this.past.get(row) ?? []).slice(0, count);
  }
  linksOf(_scope: Scope, row: number): Link[] {
    return this.links.get(row) ?? [];
  }
  termStatistics(terms: readonly string[], archived = false) {
    const packed = this.entities.filter((e) => !e.archived).map((e) => this.#pack(e));
    const measured = archived ? this.entities.map((e) => this.#pack(e)) : packed;
    const length = measured.reduce((sum, one) => sum + one.terms.length - LIST_HEAD, 0);
    return {
      rows: packed.length,
      meanLength: measured.length === 0 ? 1 : Math.max(1, length / measured.length),
      frequencies: terms.map((term) => packed.filter((one) => one.tokens.includes(` ${term} `)).length),
    };
  }
  indexIsCurrent(): boolean {
    return true;
  }
  vocabulary(term: string) {
    const rows = new Map<string, number>();
    for (const e of this.entities.filter((one) => !one.archived)) {
      for (const word of new Set(this.#pack(e).tokens.split(/[ \n]+/))) rows.set(word, (rows.get(word) ?? 0) + 1);
    }
    return [...rows]
      .filter(
        ([word]) =>
          word !== '' &&
          vocabularyBeginnings(term)
            .flat()
            .some((beginning) => word.startsWith(beginning)),
      )
      .map(([word, n]) => ({ term: word, rows: n }));
  }
  candidates(scope: Scope, query: TextQuery, filters: Filters, count: number): Candidate[] {
    const { nearTo } = query;
    const live = this.#live(scope, filters);
    const near = new Map(
      live
        .flatMap((e): [number, number][] => {
          const stored = this.vectors.get(e.body);
          return nearTo === undefined || stored?.space !== nearTo.space
            ? []
            : [[e.body, dot(stored.vector, nearTo.vector)]];
        })
        .toSorted((a, b) => b[1] - a[1]),
    );
    const nearest = new Set([...near.keys()].slice(0, LIMITS.nearestMax));
    return live
      .map((e) => ({
        body: e.body,
        packed: this.#pack(e),
        keyIsQuery: query.keyText !== '' && e.key === query.keyText,
      }))
      .filter(
        (c) => c.keyIsQuery || nearest.has(c.body) || query.terms.some((term) => c.packed.tokens.includes(` ${term} `)),
      )
      .slice(0, count)
      .map(({ body, packed, keyIsQuery }) => {
        const cosine = near.get(body);
        return { body, words: packed.terms, offset: 0, keyIsQuery, ...(cosine !== undefined && { cosine }) };
      });
  }
  space(): Space | undefined {
    return this.spaces.at(-1);
  }
  unembedded(scope: Scope, filters: Filters, space: number, after: number, count: number): Unembedded[] {
    return this.#live(scope, filters)
      .filter((e) => e.body > after && this.vectors.get(e.body)?.space !== space)
      .toSorted((a, b) => a.body - b.body)
      .slice(0, count)
      .map((e) => ({ id: e.id, body: e.body, text: this.meaningText(e) }));
  }
  meaningText(e: Entity): string {
    return meaningText(e.bodyJson, this.#before.get(e.body)?.json ?? null).slice(0, LIMITS.embedTextMaxChars);
  }
  embedding() {
    const current = new Set(this.entities.map((e) => e.body));
    const ofSpace = [...this.vectors].filter(([, { space }]) => space === this.spaces.length);
    const embedded = ofSpace.filter(([body]) => current.has(body)).length;
    return { done: this.done, last: this.#body, embedded, memories: this.entities.length };
  }
  openSpace(model: string, dimensions: number, prefix: string): Space {
    const current = this.space();
    if (current?.model === model && current.dimensions === dimensions && current.prefix === prefix) return current;
    const opened = { id: this.spaces.length + 1, model, dimensions, prefix };
    const same = this.spaces.filter(
      (one) => one.model === model && one.dimensions === dimensions && one.prefix === prefix,
    );
    this.vectors = new Map(
      [...this.vectors].map(([body, one]) => [
        body,
        same.some(({ id }) => id === one.space) ? { ...one, space: opened.id } : one,
      ]),
    );
    this.spaces = [...this.spaces, opened];
    this.done = 0;
    return opened;
  }
  putVectors(space: number, done: number, vectors: readonly EmbeddedBody[]): number | null {
    if (space !== this.spaces.length) return null;
    this.vectors = new Map(this.vectors);
    const kept = vectors.filter(({ body }) => this.entities.some((e) => e.body === body));
    for (const { body, vector } of kept) this.vectors.set(body, { space, vector });
    this.done = Math.max(this.done, done);
    return kept.length;
  }
  triggered(scope: Scope, { words, beginnings }: TriggerQuery, count: number): number[] {
    const meant = (token: string): boolean =>
      words.includes(token) || beginnings.some((beginning) => token.startsWith(beginning));
    return this.#live(scope, {})
      .filter((e) => {
        const tokens = this.#pack(e).tokens.split(/[ \n]+/);
        return tokens.includes(TRIGGERS) && tokens.some(meant);
      })
      .map((e) => e.body)
      .slice(0, count);
  }
  items(scope: Scope, bodies: readonly number[]): Item[] {
    return bodies.flatMap((body) =>
      this.entities.filter((e) => e.body === body && mayRead(scope, e)).map((e) => this.#item(e)),
    );
  }
  recent(scope: Scope, filters: Filters, count: number, offset: number): Item[] {
    return this.#live(scope, filters)
      .toSorted((a, b) => b.version - a.version)
      .slice(offset, offset + count)
      .map((e) => this.#item(e));
  }
  inOrder(scope: Scope, category: string, archived: boolean, afterVersion: number, count: number): Entity[] {
    return this.#live(scope, { category, includeArchived: true })
      .filter((e) => e.archived === archived && e.version > afterVersion)
      .filter((e) => scope.workspace === null || e.workspace === scope.workspace)
      .toSorted((a, b) => a.version - b.version)
      .slice(0, count);
  }
  names(scope: Scope) {
    const different = (name: (e: Entity) => string): string[] =>
      [...new Set(this.#live(scope, {}).map(name))].toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    return { categories: different((e) => e.category), workspaces: different((e) => e.workspace) };
  }
  bytes(): number {
    return 4096;
  }
  timeline(scope: Scope, filter: TimelineFilter, count: number, offset: number): JournalEntry[] {
    return this.journal
      .filter((e) => mayRead(scope, { ...e, visibility: 'workspace' }))
      .filter((e) => e.createdAtMs >= (filter.fromMs ?? -Infinity) && e.createdAtMs <= (filter.toMs ?? Infinity))
      .filter(
        (e) => (filter.eventType ?? e.eventType) === e.eventType && (filter.category ?? e.category) === e.category,
      )
      .filter((e) => (filter.entityId ?? e.entityId) === e.entityId)
      .map((entry, at) => ({ entry, at }))
      .toSorted((a, b) => b.entry.createdAtMs - a.entry.createdAtMs || b.at - a.at)
      .slice(offset, offset + count)
      .map(({ entry }) => entry);
  }
  #expired(entry: StateEntry): boolean {
    return entry.expiresAtMs !== null && entry.expiresAtMs < this.nowMs;
  }
  stateGet(scope: Scope, workspace: string, key: string): StateEntry | undefined {
    const entry = this.state.get(`${workspace}\0${key}`);
    if (entry === undefined || this.#expired(entry)) return undefined;
    return mayRead(scope, { workspace, visibility: 'workspace', agentId: '' }) ? entry : undefined;
  }
  stateKeys(scope: Scope, prefix: string): string[] {
    const open = [...this.state.values()].filter((e) => !this.#expired(e) && e.key.startsWith(prefix));
    const seen = open.filter((e) => mayRead(scope, { workspace: e.workspace, visibility: 'workspace', agentId: '' }));
    return [...new Set(seen.map((e) => e.key))].toSorted();
  }
  exportLines(): never {
    throw new Error('files are written by the real store only');
  }
  exportOriginal(): never {
    throw new Error('files are written by the real store only');
  }
  earlyMemories(): never {
    throw new Error('files are read by the real store only');
  }
  examine(): Examination {
    return { problems: [], problemCount: 0, operations: this.#version, newestMs: null, indexIsCurrent: true };
  }
  counts(scope: Scope, noted: Noted = NO_NOTES) {
    const seen = this.entities.filter((e) => mayRead(scope, e));
    const group = (name: (e: Entity) => string): Record<string, number> => {
      const groups: Record<string, number> = {};
      for (const e of seen) groups[name(e)] = (groups[name(e)] ?? 0) + 1;
      return groups;
    };
    const times = seen.map((e) => e.createdAtMs);
    const inScope = (workspace: string): boolean => mayRead(scope, { workspace, visibility: 'workspace', agentId: '' });
    return {
      entities: seen.length,
      byCategory: group((e) => e.category),
      byType: group((e) => e.type),
      byLayer: group((e) => layerOf(e.layer, withNotes(e.row, e.usage, noted).count)),
      journal: this.journal.filter((e) => inScope(e.workspace)).length,
      state: [...this.state.values()].filter((e) => !this.#expired(e) && inScope(e.workspace)).length,
      bytes: this.bytes(),
      oldestMs: times.length === 0 ? null : Math.min(...times),
      newestMs: times.length === 0 ? null : Math.max(...times),
    };
  }
  create(_scope: Scope, entity: NewEntity): Entity {
    const row = ++this.#rows;
    const made: Entity = {
      ...entity,
      row,
      version: ++this.#version,
      body: this.#newBody(entity, row),
      bodyHash: createHash('sha256').update(canonicalJson(entity.bodyJson)).digest('hex'),
      createdAtMs: entity.createdAtMs ?? this.nowMs,
      usage: { count: 0, lastAtMs: entity.createdAtMs ?? this.nowMs },
    };
    this.entities.push(made);
    this.past.set(row, [made]);
    return made;
  }
  revise(_scope: Scope, entity: Entity, patch: EntityPatch): boolean {
    const next: Entity = { ...entity, ...patch };
    if (JSON.stringify(next) === JSON.stringify(entity)) return false;
    const textChanged = next.bodyJson !== entity.bodyJson || next.tags.join('\0') !== entity.tags.join('\0');
    const bodyHash = createHash('sha256').update(canonicalJson(next.bodyJson)).digest('hex');
    const at = this.entities.findIndex((e) => e.row === entity.row);
    this.entities[at] = {
      ...next,
      bodyHash,
      version: ++this.#version,
      body: textChanged ? this.#newBody(next, entity.row) : entity.body,
    };
    this.past.set(entity.row, [next, ...(this.past.get(entity.row) ?? [])]);
    return true;
  }
  similar(scope: Scope, entity: Entity): SimilarEntity[] {
    const grams = new Trigrams(entity.bodyJson);
    return this.entities
      .filter((e) => e.row !== entity.row && !e.archived && mayRead(scope, e))
      .filter((e) => e.workspace === entity.workspace && e.category === entity.category)
      .map((e) => ({
        id: e.id,
        key: e.key,
        similarity: e.bodyJson === entity.bodyJson ? 1 : jaccard(grams, new Trigrams(e.bodyJson), 0.7),
      }))
      .filter((e) => e.similarity >= 0.7)
      .map((e) => ({ ...e, similarity: Math.round(e.similarity * 1e4) / 1e4 }));
  }
  noteUse(row: number, times: number, atMs: number): void {
    const at = this.entities.findIndex((e) => e.row === row);
    const known = this.entities[at];
    if (known === undefined) return;
    // A first use sets the time; later ones only move it forward.
    const { count, lastAtMs } = known.usage;
    const used = this.#used.has(row);
    this.#used.add(row);
    this.entities[at] = { ...known, usage: { count: count + times, lastAtMs: used ? Math.max(lastAtMs, atMs) : atMs } };
  }
  openLink(_scope: Scope, fromRow: number, targetId: string, relationship: string, weight: number): void {
    this.links.set(fromRow, [...(this.links.get(fromRow) ?? []), { targetId, relationship, weight }]);
  }
  closeLinks(_scope: Scope, fromRow: number, toId: string): number {
    const links = this.links.get(fromRow) ?? [];
    const kept = links.filter((l) => l.targetId !== toId);
    this.links.set(fromRow, kept);
    return links.length - kept.length;
  }
  appendJournal(_scope: Scope, entry: JournalEntry): void {
    this.journal.push(entry);
  }
  stateSet(_scope: Scope, entry: StateEntry): void {
    for (const [place, old] of this.state) if (this.#expired(old)) this.state.delete(place);
    this.state.set(`${entry.workspace}\0${entry.key}`, entry);
  }
  stateDelete(_scope: Scope, workspace: string, key: string): boolean {
    const entry = this.state.get(`${workspace}\0${key}`);
    this.state.delete(`${workspace}\0${key}`);
    return entry !== undefined && !this.#expired(entry);
  }

  kept(scope: Scope, filter: KeptFilter, after: number): Stretch<KeptRow[]> {
    const own = scope.principal.kind === 'bound' ? scope.principal.workspace : null;
    const found = this.entities
      .filter((e) => mayRead(scope, e) && (own === null || e.workspace === own) && e.row > after)
      .filter((e) => e.archived === filter.archived && e.category === (filter.category ?? e.category))
      .map((e) => ({ ...e, lasting: e.alwaysOn || e.verified }))
      .map(({ row, id, layer, importance, lasting, createdAtMs, usage }) => ({
        row,
        id,
        layer,
        importance,
        lasting,
        createdAtMs,
        usage,
      }));
    return { found: found.toSorted((a, b) => a.row - b.row), next: null };
  }
  orphans(scope: Scope, after: number): Stretch<Orphans> {
    const mine = (workspace: string): boolean =>
      (scope.workspace ?? workspace) === workspace &&
      (scope.principal.kind === 'owner' || scope.principal.workspace === workspace);
    const isThere = (id: string): boolean => this.entities.some((e) => e.id === id);
    const journal = this.journal.filter((e) => mine(e.workspace) && e.entityId !== '' && !isThere(e.entityId));
    const links = this.entities
      .filter((e) => mine(e.workspace))
      .flatMap((e) => (this.links.get(e.row) ?? []).filter((l) => !isThere(l.targetId)));
    return { found: after === 0 ? { journal: journal.length, links: links.length } : NO_ORPHANS, next: null };
  }
  purge(_scope: Scope, { row, id }: Entity): void {
    this.entities = this.entities.filter((e) => e.row !== row);
    this.links.delete(row);
    for (const [from, links] of this.links) {
      this.links.set(
        from,
        links.filter((l) => l.targetId !== id),
      );
    }
    for (const e of this.entities) {
      if (this.#bodyOf.get(this.#before.get(e.body)?.body ?? 0) !== row) continue;
      this.#place(e, e.row, e.body);
      this.vectors = new Map([...this.vectors].filter(([body]) => body !== e.body));
      this.done = Math.min(this.done, e.body - 1);
    }
  }
  eraseLeftovers(): null {
    return null;
  }
  reindex(): Reindexed {
    for (const e of this.entities.toSorted((a, b) => a.body - b.body)) this.#place(e, e.row, e.body);
    return { rows: this.entities.filter((e) => !e.archived).length, next: null, damaged: false };
  }
  vacuum(): Vacuumed {
    return { bytesBefore: 4096, bytesAfter: 4096, erased: true };
  }

  /** Runs operations on this store, with what crosses threads cloned on the way. */
  readonly execute: Execute = async (name, scope, input) => {
    const operation = OPERATIONS[name] as unknown as {
      run(tx: ModelStore, scope: Scope, input: unknown): Promise<never>;
    };
    return structuredClone(await operation.run(this, structuredClone(scope), structuredClone(input)));
  };
}
