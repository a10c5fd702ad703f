import { Worker } from 'node:worker_threads';

import type { Access } from '../engine/operation.ts';
import type { UseNote } from '../engine/usage.ts';
import { errorFromData, MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { RebuildProgress } from '../storage/store.ts';
import type { Answer, Call, FromThread, ThreadSettings, ToThread } from './messages.ts';

/** A call that waits or runs. */
export interface Waiting {
  readonly call: Call;
  readonly access: Access;
  /** Rough size of its input. */
  readonly bytes: number;
  readonly sinceMs: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: MimirError) => void;
  /** How often a thread died while it had this call. */
  deaths: number;
}

/** What a lane asks its pool. */
export interface LaneOwner {
  /** Usage notes to send along with the next writes. */
  takeUsage(): readonly UseNote[];
  usageFlushed(stored: boolean): void;
  /** A batch of writes has ended, and its clients are about to be told. */
  wrote(): void;
  /** Which of these operations are in the log. */
  committed(ids: readonly string[]): Promise<ReadonlySet<string>>;
  threadDied(role: string): void;
  /** How far the lists of an older file are made anew; null: all are. */
  rebuilding(progress: RebuildProgress | null): void;
}

/** A call that a thread died on twice is what killed it. */
const DEATHS_MAX = 2;
/** How often the deadlines of waiting calls are looked at. */
const DEADLINE_CHECK_MS = 250;

/**
 * One thread and the calls that wait for it. States: *closed* (no thread), *opening* (thread started, not open yet), *idle*
 * (no write is out), *busy* (a batch of writes, or one call that runs alone, is out). One batch of writes is out at a time, and few reads, so everything
 * else is still in the queue, where deadlines and cancelling can reach it. When a thread dies, the log tells which of its writes were committed.
 */
export class ThreadLane {
  #settings: ThreadSettings;
  #owner: LaneOwner;
  #batchMax: number;
  #worker: Worker | null = null;
  #state: 'closed' | 'opening' | 'idle' | 'busy' = 'closed';
  #queue: Waiting[] = [];
  #queuedBytes = 0;
  #out: Waiting[] = [];
  #prepared: readonly Answer[] | null = null;
  #usageOut = false;
  #timer: NodeJS.Timeout | null = null;
  #closing: (() => void) | null = null;
  #scheduled = false;
  #opened: { resolve: () => void; reject: (error: MimirError) => void } | null = null;

  constructor(settings: ThreadSettings, owner: LaneOwner, batchMax: number) {
    this.#settings = settings;
    this.#owner = owner;
    this.#batchMax = batchMax;
  }

  /** Calls waiting or running. */
  get load(): number {
    return this.#queue.length + this.#out.length;
  }

  get open(): boolean {
    return this.#worker !== null;
  }

  /** Puts a call in the queue; refuses it when the queue is full. */
  push(waiting: Waiting): void {
    if (this.#queue.length >= LIMITS.queueMax || this.#queuedBytes + waiting.bytes > LIMITS.queueMaxBytes) {
      waiting.reject(new MimirError('queue_full', 'Too many requests are waiting.', { retryAfterMs: 1_000 }));
      return;
    }
    this.#queue.push(waiting);
    this.#queuedBytes += waiting.bytes;
    this.#timer ??= setInterval(() => this.#dropLate(), DEADLINE_CHECK_MS).unref();
    this.#soon();
  }

  /** Takes a call out of the queue; false when it already runs or has ended. */
  cancel(waiting: Waiting): boolean {
    const at = this.#queue.indexOf(waiting);
    if (at === -1) return false;
    this.#queue.splice(at, 1);
    this.#queuedBytes -= waiting.bytes;
    return true;
  }

  /** Sends what waits, usage notes too, even when no call does. */
  flush(): void {
    this.#soon();
  }

  /** Starts the thread before it is needed; resolves when its connection is open. */
  async start(): Promise<void> {
    if (this.#state === 'closed') this.#spawn();
    if (this.#state !== 'opening') return;
    await new Promise<void>((resolve, reject) => (this.#opened = { resolve, reject }));
  }

  /** Ends the thread once nothing waits. */
  async close(): Promise<void> {
    if (this.#worker === null && this.#queue.length === 0) return this.#stopTimer();
    await new Promise<void>((resolve) => {
      this.#closing = resolve;
      this.#soon();
    });
    this.#stopTimer();
  }

  /** Ends the thread at once, as a crash would; a new one is started for what waits. */
  terminate(): void {
    if (this.#state === 'idle') this.#state = 'opening'; // nothing more may be sent to it
    void this.#worker?.terminate();
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #outReads(): boolean {
    return this.#out[0]?.access === 'read';
  }

  /** Once per turn of the event loop, so that requests that arrive together travel together. */
  #soon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#send();
    });
  }

  #send(): void {
    if (this.#state === 'closed' && this.#queue.length > 0) this.#spawn();
    if (this.#state !== 'idle' || (this.#outReads() && this.#out.length >= this.#batchMax)) return;
    const first = this.#queue[0];
    // Reads may follow each other into the thread; a write waits until nothing is out.
    if (this.#out.length > 0 && first?.access !== 'read') return;
    const access = first?.access ?? 'write';
    const usage = this.#settings.role === 'writer' && access === 'write' ? this.#owner.takeUsage() : [];
    if (first === undefined && usage.length === 0) {
      if (this.#closing !== null) this.#post({ kind: 'close' });
      return;
    }
    let count = 0;
    const room = access === 'exclusive' ? 1 : this.#batchMax - this.#out.length;
    while (count < this.#queue.length && count < room && this.#queue[count]?.access === access) count += 1;
    const sent = this.#queue.splice(0, count);
    for (const waiting of sent) this.#queuedBytes -= waiting.bytes;
    this.#out.push(...sent);
    this.#usageOut = usage.length > 0;
    this.#prepared = null;
    if (access !== 'read') this.#state = 'busy';
    this.#post({ kind: 'calls', access, calls: sent.map((waiting) => waiting.call), usage });
  }

  #post(message: ToThread): void {
    this.#worker?.postMessage(message);
  }

  #spawn(): void {
    const url = new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js', import.meta.url);
    const worker = new Worker(url, {
      workerData: this.#settings,
      // Unbounded heaps grew to 1 GB of garbage under load; these give the same throughput.
      resourceLimits: { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 6 },
    });
    this.#worker = worker;
    this.#state = 'opening';
    worker.on('message', (message: FromThread) => this.#receive(message));
    worker.on('error', () => {
      // 'exit' follows and settles what was running; the reason of the death is not the clients' business.
    });
    worker.on('exit', () => void this.#exited(worker));
  }

  #receive(message: FromThread): void {
    switch (message.kind) {
      case 'open':
        this.#state = 'idle';
        this.#opened?.resolve();
        this.#send();
        return;
      case 'cannot_open': {
        const error = errorFromData(message.error);
        this.#opened?.reject(error);
        const failed = this.#queue.splice(0);
        this.#queuedBytes = 0;
        for (const waiting of failed) waiting.reject(error);
        return;
      }
      case 'answers': {
        const answered = this.#out.splice(0, message.answers.length);
        if (hasBug(message.answers)) this.terminate();
        else this.#send();
        for (const [i, waiting] of answered.entries()) {
          const answer = message.answers[i];
          if (answer !== undefined) settle(waiting, answer);
        }
        return;
      }
      case 'rebuilding':
        this.#owner.rebuilding(message.progress);
        return;
      case 'prepared':
        this.#prepared = message.answers;
        return;
      case 'done': {
        const answers = message.answers ?? this.#prepared ?? [];
        this.#owner.wrote();
        const out = this.#out;
        this.#out = [];
        if (this.#usageOut) this.#owner.usageFlushed(message.usageStored);
        this.#usageOut = false;
        this.#state = 'idle';
        // When time was up, the thread ran only the first ones; the others go back to the head of the queue.
        this.#putBack(out.slice(answers.length));
        // After a bug nobody knows what state the thread is in.
        if (hasBug(answers)) this.terminate();
        else this.#send();
        for (const [i, answer] of answers.entries()) {
          const waiting = out[i];
          if (waiting !== undefined) settle(waiting, answer);
        }
        return;
      }
    }
  }

  #putBack(waiting: readonly Waiting[]): void {
    this.#queue.unshift(...waiting);
    for (const one of waiting) this.#queuedBytes += one.bytes;
  }

  async #exited(worker: Worker): Promise<void> {
    if (this.#worker !== worker) return;
    this.#worker = null;
    const out = this.#out;
    const prepared = this.#prepared;
    const wasBusy = this.#state === 'busy' || out.length > 0;
    this.#out = [];
    if (wasBusy) {
      this.#owner.threadDied(this.#settings.role);
      await this.#settleAfterDeath(out, prepared);
    }
    this.#state = 'closed';
    if (this.#closing !== null && this.#queue.length === 0) this.#closing();
    else this.#soon();
  }

  async #settleAfterDeath(out: readonly Waiting[], prepared: readonly Answer[] | null): Promise<void> {
    let committed: ReadonlySet<string>;
    this.#owner.wrote();
    try {
      committed = await this.#owner.committed(out.filter((one) => one.access === 'write').map((one) => one.call.id));
    } catch {
      for (const one of out) {
        one.reject(new MimirError('outcome_unknown', 'The server could not find out whether the write was saved.'));
      }
      if (this.#usageOut) this.#owner.usageFlushed(true);
      this.#usageOut = false;
      return;
    }
    // Usage travels in the same transaction: it was stored when any of the writes was. Otherwise it is sent again.
    if (this.#usageOut) this.#owner.usageFlushed(committed.size > 0);
    this.#usageOut = false;
    const again: Waiting[] = [];
    for (const [i, one] of out.entries()) {
      const answer = prepared?.[i];
      if (committed.has(one.call.id) && answer !== undefined) settle(one, answer);
      else if (++one.deaths >= DEATHS_MAX) {
        one.reject(
          new MimirError('bug', 'A thread of the server died twice on this request; nothing of it was stored.'),
        );
      } else again.push(one);
    }
    this.#putBack(again);
  }

  #dropLate(): void {
    const now = performance.now();
    const late = this.#queue.filter((one) => now - one.sinceMs > LIMITS.queueDeadlineMs);
    for (const one of late) {
      if (!this.cancel(one)) continue;
      one.reject(new MimirError('deadline', 'The request waited too long.', { retryAfterMs: 1_000 }));
    }
  }
}

function hasBug(answers: readonly Answer[]): boolean {
  return answers.some((answer) => !answer.ok && answer.error.code === 'bug');
}

function settle(waiting: Waiting, answer: Answer): void {
  if (answer.ok) waiting.resolve(answer.value);
  else waiting.reject(errorFromData(answer.error));
}
