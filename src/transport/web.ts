import type { IncomingMessage, ServerResponse } from 'node:http';

import { methodOf, SUBSCRIBE } from '../mcp/mend.ts';
import type { Route, Visit } from './http.ts';

/** What answers a request in the web's own terms. `left` resolves when the response has closed. */
export type WebHandler = (request: Request, body: unknown, left: Promise<void>) => Promise<Response>;

/** `/mcp`: hands requests to a handler of web requests, and its responses back to the socket, no faster than it takes them. */
export function webRoute(handler: WebHandler): Route {
  const take = async (visit: Visit): Promise<void> => {
    const { request, response, message, gone, hold, left } = visit;
    // Streams that only end with their client.
    if ((request.method === 'GET' || methodOf(message) === SUBSCRIBE) && !visit.becomeStream()) return;
    const answer = await handler(webRequest(request, gone()), message, left());
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    if (answer.body === null) return void response.end();
    response.flushHeaders();
    await pump(answer.body, response, hold);
  };
  return { GET: take, POST: take, DELETE: take };
}

function webRequest(request: IncomingMessage, signal: AbortSignal): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(', ') : value);
  }
  return new Request(`http://localhost${request.url ?? '/'}`, { method: request.method ?? 'POST', headers, signal });
}

async function pump(
  body: ReadableStream<Uint8Array>,
  response: ServerResponse,
  hold: (bytes: number) => void,
): Promise<void> {
  const reader = body.getReader();
  response.on('close', () => void reader.cancel().catch(() => undefined)); // The stream may have ended by itself.
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    hold(value.length);
    if (!response.write(value)) await drained(response);
    hold(-value.length);
  }
  response.end();
}

async function drained(response: ServerResponse): Promise<void> {
  if (response.closed) return;
  await new Promise<void>((resolve) => {
    const go = (): void => {
      response.off('drain', go).off('close', go);
      resolve();
    };
    response.on('drain', go).on('close', go);
  });
}
