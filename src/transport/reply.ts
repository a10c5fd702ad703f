import type { ServerResponse } from 'node:http';

import { refusal } from '../mcp/dispatch.ts';

/** Headers of an answer. */
export type Headers = Readonly<Record<string, string>>;

/** The media type of every answer that is no stream. */
export const JSON_TYPE = 'application/json';

/** When to come back, where a second will do. */
export const RETRY_SOON: Headers = { 'retry-after': '1' };

/** Sends a whole JSON answer. */
export function sendJson(response: ServerResponse, status: number, body: string, headers?: Headers): void {
  response.writeHead(status, { 'content-type': JSON_TYPE, 'content-length': Buffer.byteLength(body), ...headers });
  response.end(body);
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
