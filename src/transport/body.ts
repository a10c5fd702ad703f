import { isUtf8 } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';

import { LIMITS } from '../limits.ts';
import { parseErrorReply, refusal, type Room } from '../mcp/dispatch.ts';
import { JSON_TYPE, refuse, refuseForNow, sendJson, UNREAD_MAX } from './reply.ts';

/** What a piece of a body takes beside its bytes (measured: 121 bytes; in pieces of one byte a body is that many times as large). */
const CHUNK_BYTES = 200;

/** Bytes that all requests and answers together hold in memory. */
export interface Budget {
  held: number;
  readonly max: number;
}

/** The room that a budget has for answers. What is let in counts here until its door has counted it, in the same turn. */
export function roomIn(budget: Budget): Room {
  return (chars) => {
    if (budget.held + chars > budget.max) return false;
    budget.held += chars;
    setImmediate(() => (budget.held -= chars));
    return true;
  };
}

function isJson(contentType: string | undefined): boolean {
  if (contentType === JSON_TYPE) return true;
  const type = (contentType ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  return type === JSON_TYPE || (type.startsWith('application/') && type.endsWith('+json'));
}

/**
 * Reads the body of a POST as JSON within the bounds and hands it on; what is none, or too large, is answered here and
 * `read` is never called. The bytes count in the budget until the response closes.
 */
export function readJson(
  request: IncomingMessage,
  response: ServerResponse,
  bounds: { readonly maxBytes: number; readonly budget: Budget },
  read: (value: unknown) => void,
): void {
  const { maxBytes, budget } = bounds;
  const { headers } = request;
  if (!isJson(headers['content-type'])) {
    return refuse(response, 415, 'Expected a request with `Content-Type: application/json`.');
  }
  const announced = Number(headers['content-length'] ?? 0);
  const tooLarge = (): void => {
    const why = `A request may have at most ${maxBytes} bytes; its largest field, \`body_json\`, at most ${LIMITS.bodyJsonMaxBytes}.`;
    if (headers.expect !== undefined || announced > UNREAD_MAX * maxBytes) return refuse(response, 413, why);
    // Answered at once, ended after the last byte: whoever still sends would meet a closed connection, and never read why.
    const text = refusal(null, -32600, why);
    response.writeHead(413, { 'content-type': JSON_TYPE, 'content-length': Buffer.byteLength(text) });
    response.write(text);
    request.on('end', () => response.end()).resume();
  };
  if (announced > UNREAD_MAX * maxBytes) response.shouldKeepAlive = false;
  if (announced > maxBytes) return tooLarge();
  const tooMuch = (): void =>
    refuseForNow(response, 503, 'Too many requests at once. Wait a second and send it again.');
  if (budget.held + announced > budget.max) return tooMuch();
  if (headers.expect !== undefined) response.writeContinue();

  let chunks: Buffer[] = [];
  let length = 0;
  let held = 0;
  const letGo = (): void => {
    chunks = [];
    budget.held -= held;
    held = 0;
  };
  request.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (response.headersSent) {
      if (length > UNREAD_MAX * maxBytes) request.destroy();
      return;
    }
    chunks.push(chunk);
    held += chunk.length + CHUNK_BYTES;
    budget.held += chunk.length + CHUNK_BYTES;
    // Whoever announces much and sends it slowly has passed above; what counts is what has come.
    const isTooMuch = budget.held > budget.max;
    if (length <= maxBytes && !isTooMuch) return;
    letGo();
    if (length > maxBytes) tooLarge();
    else tooMuch();
  });
  request.on('end', () => {
    if (response.headersSent) return;
    const body = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
    chunks = []; // Still counted: it is a value in a moment.
    if (!isUtf8(body)) return sendJson(response, 400, parseErrorReply('the body is not UTF-8'));
    let value: unknown;
    try {
      value = JSON.parse(body.toString('utf8'));
    } catch {
      return sendJson(response, 400, parseErrorReply('the body is not JSON'));
    }
    read(value);
  });
  // Also when the client goes away in the middle.
  response.on('close', letGo);
}
