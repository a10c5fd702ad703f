import { isUtf8 } from 'node:buffer';
import { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { createWriteStream, fstatSync } from 'node:fs';

import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/server';

import { LIMITS } from '../limits.ts';
import { invalidRequestReply, parseErrorReply } from '../mcp/dispatch.ts';

const NEWLINE = 10;
/** Answered at once, whatever is still running. */
const AT_ONCE: ReadonlySet<string> = new Set(['initialize', 'ping', 'server/discover']);

/** Standard output that never blocks the event loop: `process.stdout` writes synchronously to a pipe. */
export function openStandardOutput(): Writable {
  const kind = fstatSync(1);
  return kind.isFIFO() || kind.isSocket()
    ? new Socket({ fd: 1, readable: false, writable: true })
    : createWriteStream('', { fd: 1, autoClose: false });
}

/** Splits bytes into lines at each newline. A line above the limit is skipped, and reported once. */
export class LineSplitter {
  #parts: Buffer[] = [];
  #length = 0;
  #skipping = false;
  readonly #max: number;

  constructor(maxBytes: number) {
    this.#max = maxBytes;
  }

  /** Whole lines, without their ends; null stands for one that was too long. */
  push(chunk: Buffer): (Buffer | null)[] {
    const lines: (Buffer | null)[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      this.#add(chunk.subarray(start, end));
      lines.push(this.#take());
      start = end + 1;
    }
    this.#add(chunk.subarray(start));
    return lines;
  }

  /** The last line, when its end never came. */
  end(): (Buffer | null)[] {
    return this.#length > 0 || this.#skipping ? [this.#take()] : [];
  }

  #add(part: Buffer): void {
    if (this.#skipping || part.length === 0) return;
    this.#length += part.length;
    if (this.#length > this.#max) {
      this.#skipping = true;
      this.#parts = [];
      return;
    }
    this.#parts.push(part);
  }

  #take(): Buffer | null {
    const line = this.#skipping
      ? null
      : this.#parts.length === 1
        ? (this.#parts[0] ?? null)
        : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#length = 0;
    this.#skipping = false;
    return line;
  }
}

/**
 * Newline-delimited JSON-RPC under the SDK's server. Where the SDK's own transport drops a malformed line in silence, this
 * one answers. Answers leave in the order of the requests, except those of {@link AT_ONCE}. Input goes on being read while
 * answers wait for a slow reader, up to a limit.
 */
export class StdioTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage) => void;
  readonly #input: Readable;
  readonly #output: Writable;
  readonly #lines = new LineSplitter(LIMITS.stdioLineMaxBytes);
  /** Requests not answered yet, oldest first; the answer waits here for those before it. */
  readonly #open = new Map<string | number, string | null>();
  #ended = false;
  #idle: (() => void) | null = null;
  #broken = false;

  constructor(input: Readable, output: Writable) {
    this.#input = input;
    this.#output = output;
  }

  async start(): Promise<void> {
    this.#output.on('error', () => {
      // Nobody reads any more: what was accepted still finishes, its answers go nowhere.
      this.#broken = true;
      this.#settle();
    });
    this.#output.on('drain', () => {
      if (!this.#ended) this.#input.resume();
      this.#settle();
    });
    this.#input.on('data', (chunk: Buffer) => {
      for (const line of this.#lines.push(chunk)) this.#receive(line);
      if (this.#output.writableLength > LIMITS.stdioUnreadMaxBytes) this.#input.pause();
    });
    this.#input.on('end', () => {
      for (const line of this.#lines.end()) this.#receive(line);
      this.#ended = true;
      this.#settle();
    });
    this.#input.on('error', () => {
      this.#ended = true;
      this.#settle();
    });
  }

  async send(message: JSONRPCMessage): Promise<void> {
    const text = JSON.stringify(message);
    const id = 'id' in message && !('method' in message) ? message.id : undefined;
    if (id === undefined || id === null || !this.#open.has(id)) return this.#write(text);
    this.#open.set(id, text);
    this.#flush();
  }

  #flush(): void {
    for (const [first, answer] of this.#open) {
      if (answer === null) break;
      this.#open.delete(first);
      this.#write(answer);
    }
    this.#settle();
  }

  async close(): Promise<void> {
    this.#input.pause();
    this.onclose?.();
  }

  /** Resolves when input has ended (or `stopReading` was called), everything accepted is answered and has left. */
  async finished(): Promise<void> {
    if (this.#isDone()) return;
    await new Promise<void>((resolve) => (this.#idle = resolve));
  }

  /** Takes no more requests; those accepted are still answered. */
  stopReading(): void {
    this.#input.pause();
    this.#ended = true;
    this.#settle();
  }

  #isDone(): boolean {
    return this.#ended && this.#open.size === 0 && (this.#broken || this.#output.writableLength === 0);
  }

  #settle(): void {
    if (this.#isDone()) this.#idle?.();
  }

  #write(text: string): void {
    if (this.#broken) return;
    this.#output.write(`${text}\n`, () => this.#settle());
  }

  #receive(line: Buffer | null): void {
    if (line === null)
      return this.#write(invalidRequestReply(null, `a line may have at most ${LIMITS.stdioLineMaxBytes} bytes`));
    if (!isUtf8(line)) return this.#write(parseErrorReply('the line is not UTF-8'));
    const text = line.toString('utf8');
    if (text.trim() === '') return;
    let message: unknown;
    try {
      message = JSON.parse(text);
    } catch {
      return this.#write(parseErrorReply('the line is not JSON'));
    }
    const problem = structureProblem(message);
    if (problem !== null) return this.#write(invalidRequestReply(readableId(message), problem));
    const valid = message as JSONRPCMessage;
    if ('method' in valid && 'id' in valid && !AT_ONCE.has(valid.method)) {
      if (this.#open.has(valid.id))
        return this.#write(invalidRequestReply(valid.id, 'a request with this id is still open'));
      this.#open.set(valid.id, null);
    }
    this.onmessage?.(valid);
    // A cancelled request gets no answer, so nothing may wait for one.
    if ('method' in valid && valid.method === 'notifications/cancelled') {
      const cancelled = valid.params?.['requestId'];
      if ((typeof cancelled === 'string' || typeof cancelled === 'number') && this.#open.delete(cancelled))
        this.#flush();
    }
  }
}

function readableId(message: unknown): unknown {
  if (typeof message !== 'object' || message === null || !('id' in message)) return null;
  return typeof message.id === 'string' || typeof message.id === 'number' ? message.id : null;
}

function structureProblem(message: unknown): string | null {
  if (Array.isArray(message)) return 'batches are not supported; send one message a line';
  if (typeof message !== 'object' || message === null) return 'a message is a JSON object';
  if (!('jsonrpc' in message) || message.jsonrpc !== '2.0') return 'jsonrpc must be "2.0"';
  if ('id' in message) {
    const { id } = message;
    if (typeof id !== 'string' && !(typeof id === 'number' && Number.isInteger(id)))
      return 'id must be text or a whole number';
  }
  if ('method' in message) {
    if (typeof message.method !== 'string') return 'method must be text';
    if (
      'params' in message &&
      (typeof message.params !== 'object' || message.params === null || Array.isArray(message.params))
    ) {
      return 'params must be an object';
    }
    return null;
  }
  return 'result' in message || 'error' in message ? null : 'method is missing';
}
