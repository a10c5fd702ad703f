import { monotonicMs } from '../../clock.ts';
import { LIMITS } from '../../limits.ts';
import { BestFirst } from '../../memory/order.ts';
import { hash32 } from '../../memory/similarity.ts';
import { quantise, unpackVector } from '../../memory/vector.ts';
import type { Statements } from './driver.ts';

interface StoredVector {
  readonly id: number;
  readonly body: number;
  readonly data: Buffer;
  readonly workspace: string;
  readonly category: string;
}

/** Reading new vectors holds up a question for about so long; idle time or the next question goes on. */
const STEP_MS = 20;
/** The first room that is made, in vectors. */
const ROOM_LEAST = 1_024;

/** Where rows have to be. */
export interface Place {
  readonly workspace: string | undefined;
  readonly category: string | undefined;
}

/**
 * The vectors of one space in the memory of one connection, a byte a dimension. It is filled by the questions that need it
 * and never told of rows that are gone: who asks looks whether a row is still there.
 */
export class VectorIndex {
  #space = -1;
  #dimensions = 0;
  #lastId = 0;
  #count = 0;
  #codes = new Int8Array(0);
  #scales = new Float32Array(0);
  #bodies = new Int32Array(0);
  #workspaces = new Int32Array(0);
  #categories = new Int32Array(0);
  #slots = new Map<number, number>();
  /** With so many slots it is time to see how many are gone. */
  #countAgainAt = ROOM_LEAST;
  #tooLarge = false;
  #behind = false;

  /** True when a question was answered without all vectors. */
  get behind(): boolean {
    return this.#behind;
  }

  /** Takes in more for whoever asks next. */
  goOn(sql: Statements): void {
    this.catchUp(sql, this.#space, this.#dimensions);
  }

  #reset(space: number, dimensions: number): void {
    this.#space = space;
    this.#dimensions = dimensions;
    this.#lastId = 0;
    this.#count = 0;
    this.#countAgainAt = ROOM_LEAST;
    this.#tooLarge = false;
    this.#slots.clear();
    this.#resize(0);
  }

  #resize(room: number): void {
    const grown = <T extends Int8Array | Int32Array | Float32Array>(next: T, old: T): T => {
      next.set(old.subarray(0, Math.min(old.length, next.length)));
      return next;
    };
    this.#codes = grown(new Int8Array(room * this.#dimensions), this.#codes);
    this.#scales = grown(new Float32Array(room), this.#scales);
    this.#bodies = grown(new Int32Array(room), this.#bodies);
    this.#workspaces = grown(new Int32Array(room), this.#workspaces);
    this.#categories = grown(new Int32Array(room), this.#categories);
  }

  #add(row: StoredVector): void {
    const known = this.#slots.get(row.body);
    const slot = known ?? this.#count;
    if (known === undefined) {
      if (slot === this.#bodies.length) this.#resize(Math.max(ROOM_LEAST, slot * 2));
      this.#count += 1;
      this.#slots.set(row.body, slot);
    }
    const codes = this.#codes.subarray(slot * this.#dimensions, (slot + 1) * this.#dimensions);
    this.#scales[slot] = quantise(unpackVector(row.data), codes);
    this.#bodies[slot] = row.body;
    this.#workspaces[slot] = hash32(row.workspace) | 0;
    this.#categories[slot] = hash32(row.category) | 0;
  }

  /** Takes in vectors that it has not seen, some at a time. */
  catchUp(sql: Statements, space: number, dimensions: number): void {
    if (space !== this.#space || dimensions !== this.#dimensions) this.#reset(space, dimensions);
    this.#behind = false;
    if (this.#tooLarge) return;
    if (this.#count >= this.#countAgainAt) this.#dropGone(sql);
    const until = monotonicMs() + STEP_MS;
    const rows = sql
      .of(
        `SELECT v.id, v.body, v.data, e.workspace, e.category
         FROM vector v CROSS JOIN body b ON b.id = v.body CROSS JOIN entity e ON e.row = b.entity
         WHERE v.id > ? AND v.space = ? ORDER BY v.id`,
      )
      .iterate(this.#lastId, space) as IterableIterator<StoredVector>;
    for (const row of rows) {
      this.#lastId = row.id;
      if (row.data.byteLength === dimensions * 4) this.#add(row);
      if (monotonicMs() < until) continue;
      this.#behind = true;
      break;
    }
    if (this.#count * (this.#dimensions + 40) <= LIMITS.vectorIndexMaxBytes) return;
    this.#reset(space, dimensions);
    this.#tooLarge = true;
    this.#behind = false;
  }

  /** A memory that is written again and again leaves a slot each time. */
  #dropGone(sql: Statements): void {
    const stored = sql.get<{ n: number }>('SELECT count(*) AS n FROM vector')?.n ?? 0;
    if (this.#count > stored * 1.5) this.#reset(this.#space, this.#dimensions);
    else this.#countAgainAt = this.#count * 2;
  }

  #product(slot: number, vector: Float32Array): number {
    const codes = this.#codes;
    let at = slot * this.#dimensions;
    let sum = 0;
    for (let i = 0; i < vector.length; i++) sum += (codes[at++] ?? 0) * (vector[i] ?? 0);
    return sum * (this.#scales[slot] ?? 0);
  }

  /** Cosine of a body with the vector, to about .002; undefined for a body that it does not hold. */
  cosine(body: number, vector: Float32Array): number | undefined {
    const slot = this.#slots.get(body);
    return slot === undefined ? undefined : this.#product(slot, vector);
  }

  /** Bodies at a place, nearest first by {@link cosine}. */
  nearest(vector: Float32Array, { workspace, category }: Place): BestFirst {
    const inWorkspace = workspace === undefined ? undefined : hash32(workspace) | 0;
    const inCategory = category === undefined ? undefined : hash32(category) | 0;
    const bodies = new Int32Array(this.#count);
    const cosines = new Float64Array(this.#count);
    let count = 0;
    for (let slot = 0; slot < this.#count; slot++) {
      if (inWorkspace !== undefined && this.#workspaces[slot] !== inWorkspace) continue;
      if (inCategory !== undefined && this.#categories[slot] !== inCategory) continue;
      bodies[count] = this.#bodies[slot] ?? 0;
      cosines[count] = this.#product(slot, vector);
      count += 1;
    }
    return new BestFirst(bodies.subarray(0, count), cosines.subarray(0, count));
  }
}
