// HTTP as bytes: what a client sends is written out, and what comes back is read by other code than the program's own.
import { createConnection } from 'node:net';

import type { Exchange, HttpResponse } from './recording.ts';

/** Texts that went in and came back. Bytes are kept as Latin-1 until a body is read. */
export interface Wire {
  /** Everything that came so far. */
  readonly received: () => string;
  /** Resolves when the other side has closed, or nothing has come for a while. */
  readonly quiet: Promise<void>;
  readonly close: () => void;
}

/** How long nothing may come before a client takes it that nothing will. */
const SILENCE_MS = 1_500;

/** Sends bytes on a connection of their own. */
export function openWire(port: number, sent: Buffer): Wire {
  const socket = createConnection(port, '127.0.0.1');
  let received = '';
  socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')));
  const quiet = new Promise<void>((resolve) => {
    socket.setTimeout(SILENCE_MS, resolve);
    socket.on('close', () => resolve());
    // A server may close before all was sent: what came back until then is what counts.
    socket.on('error', () => resolve());
  });
  socket.write(sent);
  return { received: () => received, quiet, close: () => socket.destroy() };
}

/** The bytes of an exchange; nothing for a stream. */
export function bytesOf({ request, sent }: Exchange, toOurs: (text: string) => string): Buffer | undefined {
  if (sent !== undefined) return Buffer.from(toOurs(sent));
  if (request === undefined) return undefined;
  const { method, path, headers, body, body_big: big } = request;
  const head = [`${method} ${path} HTTP/1.1`, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)];
  const text = big === undefined ? (body ?? '') : big.prefix + big.repeat.repeat(big.times) + big.suffix;
  return Buffer.from(`${toOurs(head.join('\r\n'))}\r\n\r\n${text}`);
}

/** The responses in what came back; a body ends as its head says. */
export function responsesIn(received: string, isHead = false): HttpResponse[] {
  const responses: HttpResponse[] = [];
  for (let rest = received; rest !== '';) {
    const end = rest.indexOf('\r\n\r\n');
    const [first = '', ...lines] = rest.slice(0, end === -1 ? rest.length : end).split('\r\n');
    const headers = headersIn(lines);
    const after = end === -1 ? '' : rest.slice(end + 4);
    const isChunked = headers['transfer-encoding'] === 'chunked';
    const length = isHead ? 0 : isChunked ? after.length : Number(headers['content-length'] ?? after.length);
    const raw = isChunked ? unchunked(after) : after.slice(0, length);
    responses.push({ status: Number(first.split(' ')[1]), headers, body: Buffer.from(raw, 'latin1').toString('utf8') });
    rest = after.slice(length);
  }
  return responses;
}

/** Header lines by their names in small letters. */
export function headersIn(lines: readonly string[]): Record<string, string> {
  const pairs = lines.map((line) => [
    line.slice(0, line.indexOf(':')).toLowerCase(),
    line.slice(line.indexOf(':') + 1).trim(),
  ]);
  return Object.fromEntries(pairs) as Record<string, string>;
}

function unchunked(chunks: string): string {
  let text = '';
  for (let rest = chunks; rest !== '';) {
    const end = rest.indexOf('\r\n');
    const bytes = Number.parseInt(rest.slice(0, end), 16);
    // The last chunk is empty; one that has not come whole is as much as there is.
    if (!(bytes > 0)) break;
    text += rest.slice(end + 2, end + 2 + bytes);
    rest = rest.slice(end + 2 + bytes + 2);
  }
  return text;
}

/** An event of a stream; of a comment, its text is the data. */
export interface StreamEvent {
  readonly event: string;
  readonly data: string;
}

/** The events of a stream. */
export function eventsIn(text: string): StreamEvent[] {
  const blocks = text.split('\n\n').filter((block) => block !== '');
  return blocks.map((block) => {
    const [, event = 'comment'] = /^event: (.*)$/m.exec(block) ?? [];
    const [, data = block] = /^data: (.*)$/m.exec(block) ?? [];
    return { event, data };
  });
}
