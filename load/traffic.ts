import { randomUUID } from 'node:crypto';
import { httpRequest, type Answer, type Lane } from './client.ts';
import { CATEGORY, hashOf, type Ledger } from './ledger.ts';
import type { Plan } from './plan.ts';
import { drawQuery, drawText, randomOf, rarestWords, type Random } from './words.ts';

/** What is timed apart. `read_back` is our own check on a write and counts in no total. */
export const OPERATIONS = ['remember', 'recall', 'context', 'read_back'] as const;

/** One of {@link OPERATIONS}. */
export type Operation = (typeof OPERATIONS)[number];

/** A row that a client wrote, as far as it needs it again. */
export interface Row {
  readonly key: string;
  readonly bodyJson: string;
  readonly hash: string;
  readonly text: readonly string[];
  /** A word that stands in no other row. */
  readonly mark: string;
}

/** Makes the bytes of a message as a door wants them. */
export type Frame = (message: string) => Buffer;

/** One request. */
export interface Step {
  readonly operation: Operation;
  readonly id: number;
  readonly bytes: Buffer;
  /** The row that is written, looked for, or asked about. */
  readonly row: Row | undefined;
}

function hex(): string {
  return randomUUID().replaceAll('-', '');
}

/** A new row: words and two random UUIDs, or the UUIDs alone. */
export function makeRow(random: Random, key: string, words: boolean): Row {
  const text = words ? drawText(random) : [];
  const marks = [hex(), hex()];
  const content = { content: words ? [...text, ...marks].join(' ') : marks.join('') };
  return { key, bodyJson: JSON.stringify(content), hash: hashOf(content), text, mark: marks[0] ?? '' };
}

/** A JSON-RPC request that calls a tool. */
export function toolCall(id: number, name: string, args: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } });
}

/** The call that stores a row. */
export function rememberCall(id: number, category: string, row: Row): string {
  return toolCall(id, 'mimir_remember', { category, key: row.key, body_json: row.bodyJson });
}

/** A client that runs for hours must not keep every row that it ever wrote. */
const ROWS_KEPT = 1_000;

/** The requests of one client, round after round. */
export class Script {
  readonly #plan: Plan;
  readonly #client: number;
  readonly #random: Random;
  readonly #rows: Row[] = [];
  #written = 0;
  #id = 0;

  constructor(plan: Plan, client: number) {
    this.#plan = plan;
    this.#client = client;
    this.#random = randomOf(plan.seed, `client ${client}`);
  }

  /** One round's requests, in order. */
  *round(round: number, frame: Frame): Generator<Step, void, undefined> {
    const { writes, reads, original, kill } = this.#plan;
    // Rows of a round that was killed may never have been sent; nothing can be asked of them.
    if (kill) this.#rows.length = this.#written = 0;
    const prefix = round === 0 ? `c${this.#client}` : `r${round}-c${this.#client}`;
    for (let i = 0; i < Math.max(writes, reads); i++) {
      if (i < writes) {
        const row = makeRow(this.#random, `${prefix}-w${i}`, !original);
        yield this.#step(frame, 'remember', row, (id) => rememberCall(id, CATEGORY, row));
        this.#rows[this.#written++ % ROWS_KEPT] = row;
        // Without a category: the mark alone must be enough.
        if (!original)
          yield this.#step(frame, 'read_back', row, (id) => toolCall(id, 'mimir_recall', { query: row.mark }));
      }
      if (i < reads) {
        yield this.#recall(frame);
        yield this.#step(frame, 'context', undefined, (id) => toolCall(id, 'mimir_context', {}));
      }
    }
  }

  #recall(frame: Frame): Step {
    if (this.#plan.original) {
      return this.#step(frame, 'recall', undefined, (id) =>
        toolCall(id, 'mimir_recall', { query: 'client', category: CATEGORY, limit: 10 }),
      );
    }
    const row = this.#someRow();
    const query = drawQuery(this.#random, row?.text ?? drawText(this.#random)).join(' ');
    return this.#step(frame, 'recall', row, (id) => toolCall(id, 'mimir_recall', { query }));
  }

  /**
   * The request that must bring back one row among a thousand. It asks for the row's rarest words: in a large store two
   * frequent ones stand in more rows than that, and nobody could say which thousand are right.
   */
  wide(frame: Frame): Step | undefined {
    const row = this.#someRow();
    if (row === undefined) return undefined;
    return this.#step(frame, 'recall', row, (id) =>
      toolCall(id, 'mimir_recall', { query: rarestWords(row.text, 3).join(' '), limit: 1_000 }),
    );
  }

  #someRow(): Row | undefined {
    return this.#rows[Math.floor(this.#random() * this.#rows.length)];
  }

  #step(frame: Frame, operation: Operation, row: Row | undefined, body: (id: number) => string): Step {
    const id = this.#plan.original ? 1 : ++this.#id;
    return { operation, id, row, bytes: frame(body(id)) };
  }
}

/** What went wrong, in the classes of the original's test, and what only ours looks at. */
export class Tally {
  lock = 0;
  other = 0;
  readonly messages = new Map<string, number>();
  recalls = 0;
  recallsEmpty = 0;
  readBacks = 0;
  readBacksMissed = 0;
  wide = 0;
  wideMissed = 0;

  /** Counts an error under its class. */
  error(message: string): void {
    if (/database is locked|sqlite_busy/i.test(message)) this.lock++;
    else this.other++;
    const short = message.slice(0, 200);
    // The first few kinds are enough to understand a failure, however many requests it took down.
    if (this.messages.has(short) || this.messages.size < 10)
      this.messages.set(short, (this.messages.get(short) ?? 0) + 1);
  }
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

function textOr(text: unknown, otherwise: unknown): string {
  return typeof text === 'string' ? text : (JSON.stringify(otherwise) ?? 'without a text');
}

/** The error in a JSON-RPC reply to a tool call, in any of the places where one can stand. */
export function errorIn(reply: unknown): string | undefined {
  const error = member(reply, 'error');
  if (error !== undefined) return `JSON-RPC error: ${textOr(member(error, 'message'), error)}`;
  const result = member(reply, 'result');
  if (result === undefined) return 'a reply with neither result nor error';
  const structured = member(result, 'structuredContent');
  const inside = member(structured, 'error');
  if (member(result, 'isError') === true || (inside !== undefined && inside !== null)) {
    const content = member(result, 'content');
    return `tool error: ${textOr(member(Array.isArray(content) ? content[0] : undefined, 'text'), inside)}`;
  }
  return structured === undefined ? 'a result without structuredContent' : undefined;
}

/** Looks at one answer with care, and enters what it says. */
export function judge(step: Step, status: number, body: Buffer, tally: Tally, ledger: Ledger, wide = false): void {
  let reply: unknown;
  try {
    reply = JSON.parse(body.toString());
  } catch {
    tally.error(`HTTP ${status} with something that is not JSON: ${body.toString('utf8', 0, 100)}`);
    return;
  }
  const error = errorIn(reply);
  if (error !== undefined || status !== 200) {
    tally.error(error ?? `HTTP ${status}`);
    return;
  }
  if (member(reply, 'id') !== step.id) {
    tally.error('an answer to another request');
    return;
  }
  judgeResult(step, member(member(reply, 'result'), 'structuredContent'), tally, ledger, wide);
}

/** Enters a write that the server says it has stored; a new key must have been created, not merged into another row. */
export function judgeWrite(key: string, structured: unknown, tally: Tally, ledger: Ledger): void {
  const action = member(structured, 'action');
  const stored = member(structured, 'key');
  if (action === 'created' && stored === key) ledger.acknowledge(key);
  else
    tally.error(
      `a new key was answered with action ${JSON.stringify(action)}${stored === key ? '' : ' and another key'}`,
    );
}

function judgeResult(step: Step, structured: unknown, tally: Tally, ledger: Ledger, wide: boolean): void {
  if (step.operation === 'remember') judgeWrite(step.row?.key ?? '', structured, tally, ledger);
  if (step.operation === 'context' || step.operation === 'remember') return;
  const items = member(structured, 'items');
  if (!Array.isArray(items)) {
    tally.error('a recall without items');
    return;
  }
  if (step.operation === 'read_back') {
    tally.readBacks++;
    if (!items.some((item) => isRow(item, step.row))) tally.readBacksMissed++;
  } else if (wide) {
    tally.wide++;
    if (!items.some((item) => isRow(item, step.row))) tally.wideMissed++;
  } else if (step.row !== undefined) {
    tally.recalls++;
    if (items.length === 0) tally.recallsEmpty++;
  }
}

function isRow(item: unknown, row: Row | undefined): boolean {
  if (row === undefined || member(item, 'key') !== row.key || member(item, 'category') !== CATEGORY) return false;
  const body = member(item, 'body_json');
  return hashOf(typeof body === 'string' ? JSON.parse(body) : body) === row.hash;
}

/** What the clients of one round share. */
export interface Flow {
  /** Set when the server was killed, on purpose or by the deadline: what fails from then on is not an error. */
  stopped: boolean;
  /** When a round of a given length ends, on the clock of `performance.now()`. */
  readonly until: number | undefined;
  answered(): void;
}

/**
 * Answers of a round with an end are kept and judged after it, so that reading 13 KB of JSON takes no processor time from
 * the server. A round of minutes judges as it goes: all writes and read-backs, and of the others one in 16 with care.
 */
const JUDGE_ONE_IN = 16;
const FAULTS = ['"isError":true', '"error":{', '"items":[]'].map((text) => Buffer.from(text));

/** One client in one round. */
export class ClientLane implements Lane {
  readonly operations: Operation[] = [];
  readonly ms: number[] = [];
  readonly requestBytes: number[] = [];
  readonly answerBytes: number[] = [];
  readonly #steps: Iterator<Step, void, undefined>;
  readonly #flow: Flow;
  readonly #tally: Tally;
  readonly #ledger: Ledger;
  #kept: { readonly step: Step; readonly answer: Answer }[] = [];
  #step: Step | undefined;

  constructor(steps: Iterator<Step, void, undefined>, flow: Flow, tally: Tally, ledger: Ledger) {
    this.#steps = steps;
    this.#flow = flow;
    this.#tally = tally;
    this.#ledger = ledger;
  }

  next(): Buffer | undefined {
    if (this.#flow.stopped || (this.#flow.until !== undefined && performance.now() >= this.#flow.until))
      return undefined;
    const { value: step } = this.#steps.next();
    if (!step) return undefined;
    this.#step = step;
    if (step.operation === 'remember' && step.row !== undefined) this.#ledger.issue(step.row.key, step.row.hash);
    return step.bytes;
  }

  answered(answer: Answer, ms: number): void {
    const step = this.#step;
    if (step === undefined) return;
    this.operations.push(step.operation);
    this.ms.push(ms);
    this.requestBytes.push(step.bytes.length);
    this.answerBytes.push(answer.body.length);
    if (this.#flow.until === undefined) this.#kept.push({ step, answer });
    else if (this.#needsCare(step, answer)) judge(step, answer.status, answer.body, this.#tally, this.#ledger);
    else if (step.operation === 'recall' && step.row !== undefined) this.#tally.recalls++;
    this.#flow.answered();
  }

  failed(error: Error): void {
    if (!this.#flow.stopped) this.#tally.error(`${this.#step?.operation ?? 'a request'} failed: ${error.message}`);
  }

  /** Judges what the round has kept. */
  judgeAll(): void {
    for (const { step, answer } of this.#kept) judge(step, answer.status, answer.body, this.#tally, this.#ledger);
    this.#kept = [];
  }

  #needsCare(step: Step, { status, body }: Answer): boolean {
    if (status !== 200 || step.operation === 'remember' || step.operation === 'read_back') return true;
    return this.ms.length % JUDGE_ONE_IN === 0 || FAULTS.some((fault) => body.includes(fault));
  }
}

/** The same client against the floor: the sizes that it has recorded, in the same order. */
export class FloorLane implements Lane {
  readonly #requests: Buffer[];
  #at = 0;
  ok = true;

  constructor(lane: ClientLane, most: number) {
    const known = new Map<string, Buffer>();
    this.#requests = lane.requestBytes.slice(0, most).map((size, i) => {
      const answer = lane.answerBytes[i] ?? 0;
      const name = `${size} ${answer}`;
      const made = known.get(name) ?? ofSize(size, answer);
      known.set(name, made);
      return made;
    });
  }

  get requests(): number {
    return this.#requests.length;
  }

  next(): Buffer | undefined {
    return this.#requests[this.#at++];
  }

  answered(answer: Answer): void {
    if (answer.status !== 200) this.ok = false;
  }

  failed(): void {
    this.ok = false;
  }
}

function ofSize(requestBytes: number, answerBytes: number): Buffer {
  const empty = httpRequest(`/${answerBytes}`, '');
  // Most lengths have three digits where the empty request has one; the others are a byte off.
  return httpRequest(`/${answerBytes}`, 'x'.repeat(Math.max(0, requestBytes - empty.length - 2)));
}
