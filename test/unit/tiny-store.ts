import { createHash } from 'node:crypto';
import { itemJson } from '../../src/memory/item.ts';
import { mayRead } from '../../src/memory/scope.ts';
import { packTokens, termList } from '../../src/memory/text.ts';
import type { Entity, Filters, JournalEntry, Link, Scope, StateEntry } from '../../src/memory/types.ts';
import { OPERATIONS, type Execute } from '../../src/engine/operations.ts';
import type { Item, Writer } from '../../src/storage/store.ts';

/** A store of arrays, just enough for the operations to run on; it has no index, no history and no transactions. */
export class TinyStore implements Writer {
  nowMs = 1_700_000_000_000;
  readonly entities: Entity[] = [];
  readonly links = new Map<number, Link[]>();
  readonly journal: JournalEntry[] = [];
  readonly state = new Map<string, StateEntry>();
  #ids = 0;
  #version = 0;

  newId(prefix: string): string {
    this.#ids += 1;
    return prefix + this.#ids.toString(16).padStart(12, '0');
  }

  #live(scope: Scope, filters: Filters): Entity[] {
    return this.entities.filter(
      (entity) =>
        mayRead(scope, entity) &&
        (filters.includeArchived === true || !entity.archived) &&
        (filters.category === undefined || entity.category === filters.category) &&
        (filters.agentId === undefined || entity.agentId === filters.agentId) &&
        (filters.alwaysOn === undefined || entity.alwaysOn === filters.alwaysOn),
    );
  }

  #item(entity: Entity): Item {
    const {
      row,
      version,
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
  linksOf(_scope: Scope, row: number): Link[] {
    return this.links.get(row) ?? [];
  }
  termStatistics(terms: readonly string[]) {
    return { rows: this.entities.length, meanLength: 10, frequencies: terms.map(() => 1) };
  }
  candidates(scope: Scope, query: { terms: readonly string[]; keyText: string }, filters: Filters, count: number) {
    return this.#live(scope, filters)
      .map((e) => ({ body: e.body, tokens: packTokens(e).tokens, keyIsQuery: e.key === query.keyText }))
      .filter((c) => c.keyIsQuery || query.terms.some((term) => c.tokens.includes(` ${term} `)))
      .slice(0, count)
      .map(({ body, tokens, keyIsQuery }) => ({ body, words: termList(tokens), offset: 0, keyIsQuery }));
  }
  items(_scope: Scope, bodies: readonly number[]): Item[] {
    return bodies.flatMap((body) => this.entities.filter((e) => e.body === body).map((e) => this.#item(e)));
  }
  recent(scope: Scope, filters: Filters, count: number, offset: number): Item[] {
    return this.#live(scope, filters)
      .toSorted((a, b) => b.version - a.version)
      .slice(offset, offset + count)
      .map((e) => this.#item(e));
  }
  timeline(_scope: Scope, _filter: object, count: number, offset: number): JournalEntry[] {
    return this.journal.toReversed().slice(offset, offset + count);
  }
  stateGet(_scope: Scope, workspace: string, key: string): StateEntry | undefined {
    return this.state.get(`${workspace}\0${key}`);
  }
  stateKeys(_scope: Scope, prefix: string): string[] {
    return [...this.state.values()]
      .map((e) => e.key)
      .filter((key) => key.startsWith(prefix))
      .toSorted();
  }
  counts() {
    const times = this.entities.map((e) => e.createdAtMs);
    return {
      entities: this.entities.length,
      byCategory: {},
      byType: {},
      byLayer: {},
      journal: this.journal.length,
      state: this.state.size,
      bytes: 4096,
      oldestMs: times[0] ?? null,
      newestMs: times.at(-1) ?? null,
    };
  }
  create(_scope: Scope, entity: Parameters<Writer['create']>[1]): Entity {
    const number = ++this.#version;
    const bodyHash = createHash('sha256').update(entity.bodyJson).digest('hex');
    const made = {
      ...entity,
      row: number,
      version: number,
      body: number,
      bodyHash,
      createdAtMs: this.nowMs,
      usage: { count: 0, lastAtMs: this.nowMs },
    };
    this.entities.push(made);
    return made;
  }
  revise(_scope: Scope, entity: Entity, patch: object): boolean {
    const at = this.entities.findIndex((e) => e.row === entity.row);
    this.entities[at] = { ...entity, ...patch, version: ++this.#version };
    return true;
  }
  similar(): [] {
    return [];
  }
  noteUse(row: number, times: number, atMs: number): void {
    const at = this.entities.findIndex((e) => e.row === row);
    const known = this.entities[at];
    if (known !== undefined)
      this.entities[at] = { ...known, usage: { count: known.usage.count + times, lastAtMs: atMs } };
  }
  openLink(_scope: Scope, fromRow: number, targetId: string, relationship: string, weight: number): void {
    this.links.set(fromRow, [...(this.links.get(fromRow) ?? []), { targetId, relationship, weight }]);
  }
  closeLinks(_scope: Scope, fromRow: number, toId: string): number {
    const links = this.links.get(fromRow) ?? [];
    this.links.set(
      fromRow,
      links.filter((l) => l.targetId !== toId),
    );
    return links.length;
  }
  appendJournal(_scope: Scope, entry: JournalEntry): void {
    this.journal.push(entry);
  }
  stateSet(_scope: Scope, entry: StateEntry): void {
    this.state.set(`${entry.workspace}\0${entry.key}`, entry);
  }
  stateDelete(_scope: Scope, workspace: string, key: string): boolean {
    return this.state.delete(`${workspace}\0${key}`);
  }

  /** Runs operations on this store, with what crosses threads cloned on the way. */
  readonly execute: Execute = async (name, scope, input) => {
    const operation = OPERATIONS[name] as unknown as { run(tx: Writer, scope: Scope, input: unknown): Promise<never> };
    return structuredClone(await operation.run(this, structuredClone(scope), structuredClone(input)));
  };
}
