import type { ServerResponse } from 'node:http';

import { LIMITS } from '../limits.ts';
import { refusal } from '../mcp/dispatch.ts';

/** How much of a body that nobody wants is still read (and dropped), so that the client gets to read why: times the limit. */
export const UNREAD_MAX = 16;

/** Headers of an answer. */
export type Headers = Readonly<Record<string, string>>;

/** The media type of every answer that is no stream. */
export const JSON_TYPE = 'application/json';

/** When to come back, where a second will do. */
export const RETRY_SOON: Headers = { 'retry-after': '1' };

/**
 * Sends a whole JSON answer. One that ends its connection waits for the last byte of the request: whoever still sends would meet
 * a closed connection, and may never read why (on a busy machine, every second answer to 3 MB was lost). `hold` is told how
 * many bytes it has: counting them costs as much as writing them.
 */
export function sendJson(
  response: ServerResponse,
  status: number,
  body: string,
  headers?: Headers,
  hold?: (bytes: number) => void,
): void {
  const bytes = Buffer.byteLength(body);
  hold?.(bytes);
  // As many bytes as characters means ASCII, which is written a quarter faster by its other name (4-25 KB, bare node:http).
  const encoding = bytes === body.length ? 'latin1' : 'utf8';
  response.writeHead(status, { 'content-type': JSON_TYPE, 'content-length': bytes, ...headers });
  if (!waitsForBody(response)) return void response.end(body, encoding);
  response.write(body, encoding);
  response.req.on('end', () => response.end()).resume();
}

/** Not where too much is going on already: then a closed connection is what helps. And who asks first need not send it. */
function waitsForBody({ req, shouldKeepAlive, statusCode }: ServerResponse): boolean {
  if (shouldKeepAlive || req.complete || req.headers.expect !== undefined || statusCode >= 429) return false;
  const announced = Number(req.headers['content-length'] ?? 0);
  return announced > 0 && announced <= UNREAD_MAX * LIMITS.httpBodyMaxBytes;
}

/** Sends the answer to what needs none. */
export function sendAccepted(response: ServerResponse): void {
  response.writeHead(202, { 'content-length': 0 });
  response.end();
}

/** Turns a request away, in JSON-RPC's shape, so that a client that reads only bodies can act on it. */
export function refuse(response: ServerResponse, status: number, why: string, headers?: Headers): void {
  sendJson(response, status, refusal(null, -32600, why), headers);
}

/** Turns a request away for now; `status` is 429 when this client alone sends too much, 503 when all do. */
export function refuseForNow(response: ServerResponse, status: 429 | 503, why: string, afterSeconds = 1): void {
  refuse(response, status, why, { 'retry-after': String(afterSeconds) });
}
