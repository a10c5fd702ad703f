import { isUtf8 } from 'node:buffer';
import { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { createWriteStream, fstatSync } from 'node:fs';

import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/server';

import { LIMITS } from '../limits.ts';
import { invalidRequestReply, parseErrorReply } from '../mcp/dispatch.ts';
import { cancelledRequest, readMessage, SUBSCRIBE } from '../mcp/mend.ts';

const NEWLINE = 10;
/** Answered at once, whatever is still running before them; later answers wait for these as for any other. */
const AT_ONCE: ReadonlySet<string> = new Set(['initialize', 'ping', 'server/discover']);

/** A request that is not answered yet, or whose answer waits for those before it. */
interface OpenRequest {
  answer: string | null;
  /** Its answer leaves when it is there. */
  readonly atOnce: boolean;
  /** No answer waits for this one. */
  readonly holdsUpNobody: boolean;
  /** What it holds in memory: the line, then the answer. */
  bytes: number;
}

/** Standard output that never blocks the event loop, whatever it is; `process.stdout` does when it is a file. */
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
 * one answers. Answers leave in the order of the requests, except those of {@link AT_ONCE} and those that wait for a network:
 * they leave when they are there. Input goes on being read while answers wait for a slow reader, up to a limit.
 */
export class StdioTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage) => void;
  readonly #input: Readable;
  readonly #output: Writable;
  readonly #lines = new LineSplitter(LIMITS.stdioLineMaxBytes);
  /** Oldest first. */
  readonly #open = new Map<string | number | symbol, OpenRequest>();
  #openBytes = 0;
  #ended = false;
  #patience: NodeJS.Timeout | null = null;
  #gaveUp = false;
  #idle: (() => void) | null = null;
  #broken = false;

  readonly #waitsForNetwork: (message: JSONRPCMessage) => boolean;

  constructor(input: Readable, output: Writable, waitsForNetwork: (message: JSONRPCMessage) => boolean = () => false) {
    this.#input = input;
    this.#output = output;
    this.#waitsForNetwork = waitsForNetwork;
  }

  async start(): Promise<void> {
    this.#output.on('error', () => {
      // Nobody reads any more: what was accepted still finishes, its answers go nowhere.
      this.#broken = true;
      this.stopReading();
    });
    this.#output.on('drain', () => this.#settle());
    this.#input.on('data', (chunk: Buffer) => {
      if (this.#ended) return;
      for (const line of this.#lines.push(chunk)) this.#receive(line);
      this.#throttle();
    });
    this.#input.on('end', () => {
      if (!this.#ended) for (const line of this.#lines.end()) this.#receive(line);
      this.#end();
    });
    this.#input.on('error', () => this.#end());
  }

  async send(message: JSONRPCMessage): Promise<void> {
    const text = JSON.stringify(message);
    const id = 'id' in message && !('method' in message) ? message.id : undefined;
    const request = id === undefined || id === null ? undefined : this.#open.get(id);
    if (id === undefined || id === null || request === undefined) return this.#write(text);
    if (request.atOnce) {
      this.#forget(id);
      this.#write(text);
      return this.#flush();
    }
    this.#openBytes += text.length - request.bytes;
    request.bytes = text.length;
    request.answer = text;
    this.#flush();
  }

  #flush(): void {
    for (const [first, request] of this.#open) {
      if (request.answer === null && request.holdsUpNobody) continue;
      if (request.answer === null) break;
      this.#forget(first);
      this.#write(request.answer);
    }
    this.#settle();
  }

  #forget(id: string | number | symbol): boolean {
    this.#openBytes -= this.#open.get(id)?.bytes ?? 0;
    return this.#open.delete(id);
  }

  async close(): Promise<void> {
    this.#input.pause();
    this.onclose?.();
  }

  /** Resolves when input has ended (or `stopReading` was called) and everything accepted is answered and has left. */
  async finished(): Promise<void> {
    if (this.#isDone()) return;
    await new Promise<void>((resolve) => (this.#idle = resolve));
  }

  /** Takes no more requests; those accepted are still answered. */
  stopReading(): void {
    this.#input.pause();
    this.#end();
  }

  #end(): void {
    this.#ended = true;
    this.#settle();
  }

  /** Lets the client wait in its pipe while it reads nothing, or has more open than runs at once. */
  #throttle(): void {
    if (this.#ended) return;
    const unread = this.#output.writableLength + this.#openBytes;
    if (unread > LIMITS.stdioUnreadMaxBytes || this.#open.size >= LIMITS.stdioOpenMax) this.#input.pause();
    else if (this.#input.isPaused()) this.#input.resume();
  }

  #isDone(): boolean {
    const left = this.#broken || this.#output.writableLength === 0;
    return this.#ended && (this.#gaveUp || (this.#open.size === 0 && left));
  }

  /** After anything moved. At the end it waits as long as something moves, and then only so long. */
  #settle(): void {
    this.#throttle();
    if (!this.#ended) return;
    if (this.#patience !== null) clearTimeout(this.#patience);
    if (this.#isDone()) return this.#idle?.();
    const longestMs = this.#open.size > 0 ? Math.max(LIMITS.queueDeadlineMs, LIMITS.modelAnswerMs) : 0;
    this.#patience = setTimeout(() => {
      this.#gaveUp = true;
      this.#idle?.();
    }, longestMs + LIMITS.drainMs);
  }

  #write(text: string): void {
    if (this.#broken) return;
    this.#output.write(`${text}\n`, () => this.#settle());
  }

  /** Answers a line that is no request, in its turn. */
  #refuse(text: string): void {
    this.#open.set(Symbol('refused'), {
      answer: text,
      atOnce: false,
      holdsUpNobody: false,
      bytes: text.length,
    });
    this.#openBytes += text.length;
    this.#flush();
  }

  #receive(line: Buffer | null): void {
    if (line === null)
      return this.#refuse(invalidRequestReply(null, `a line may have at most ${LIMITS.stdioLineMaxBytes} bytes`));
    if (!isUtf8(line)) return this.#refuse(parseErrorReply('the line is not UTF-8'));
    const text = line.toString('utf8');
    if (text.trim() === '') return;
    let message: unknown;
    try {
      message = JSON.parse(text);
    } catch {
      return this.#refuse(parseErrorReply('the line is not JSON'));
    }
    const read = readMessage(message);
    if ('problem' in read) return this.#refuse(invalidRequestReply(read.id, read.problem));
    const { message: valid } = read;
    // A subscription has no answer until it ends, so nothing waits for one.
    if ('method' in valid && 'id' in valid && valid.method !== SUBSCRIBE) {
      if (this.#open.has(valid.id))
        return this.#refuse(invalidRequestReply(valid.id, 'a request with this id is still open'));
      const holdsUpNobody = this.#waitsForNetwork(valid);
      const atOnce = holdsUpNobody || AT_ONCE.has(valid.method);
      this.#open.set(valid.id, { answer: null, atOnce, holdsUpNobody, bytes: line.length });
      this.#openBytes += line.length;
    }
    this.onmessage?.(valid);
    // A cancelled request gets no answer, so nothing may wait for one.
    const cancelled = cancelledRequest(valid);
    if (cancelled !== null && this.#forget(cancelled)) this.#flush();
  }
}
