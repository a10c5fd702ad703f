import { isUtf8 } from 'node:buffer';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { parseErrorReply, type Reply } from '../mcp/dispatch.ts';
import { carriesToken, turnedAway, type Admission } from './guard.ts';

/** What stands behind the server. */
export interface HttpDoor {
  readonly admission: Admission;
  readonly port: number;
  /** Answers one JSON-RPC message. */
  readonly answer: (message: unknown) => Promise<Reply>;
  readonly ready: () => boolean;
}

/** A server that listens. */
export interface HttpServer {
  readonly port: number;
  /** Takes no new connections, lets accepted requests finish. */
  close(): Promise<void>;
}

const UNAUTHORIZED = '{"error":"unauthorized","message":"Valid Bearer token required"}';

function send(response: ServerResponse, status: number, body: string, headers: Record<string, string> = {}): void {
  const bytes = Buffer.from(body, 'utf8');
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length, ...headers });
  response.end(bytes);
}

/** A refusal in JSON-RPC's shape, so that a client that reads only bodies can act on it. */
function refuse(response: ServerResponse, status: number, message: string, headers: Record<string, string> = {}): void {
  send(response, status, JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: -32600, message } }), headers);
}

function isJson(contentType: string | undefined): boolean {
  const type = (contentType ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  return type === 'application/json' || (type.startsWith('application/') && type.endsWith('+json'));
}

/** Listens; resolves once it does. Throws `port_taken` when it cannot. */
export async function listen(door: HttpDoor): Promise<HttpServer> {
  let inFlightBytes = 0;
  let closing = false;

  const takeMessage = (request: IncomingMessage, response: ServerResponse): void => {
    if (request.method !== 'POST') return refuse(response, 405, 'Use POST.', { allow: 'POST' });
    if (!isJson(request.headers['content-type']))
      return refuse(response, 415, 'Expected request with `Content-Type: application/json`');
    const tooLarge = `A request may have at most ${LIMITS.httpBodyMaxBytes} bytes; the largest field, \`body_json\`, at most ${LIMITS.bodyJsonMaxBytes}.`;
    if (Number(request.headers['content-length'] ?? 0) > LIMITS.httpBodyMaxBytes) {
      return refuse(response, 413, tooLarge, { connection: 'close' });
    }
    if (inFlightBytes > LIMITS.httpInFlightMaxBytes)
      return refuse(response, 503, 'Too many requests at once.', { 'retry-after': '1' });
    let chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      inFlightBytes += chunk.length;
      if (length <= LIMITS.httpBodyMaxBytes) chunks.push(chunk);
      else if (!response.headersSent) {
        chunks = [];
        refuse(response, 413, tooLarge, { connection: 'close' });
      }
    });
    // Also after a client went away in the middle.
    request.on('close', () => (inFlightBytes -= length));
    request.on('end', () => {
      if (!response.headersSent)
        void answer(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks), response);
    });
  };

  const answer = async (body: Buffer, response: ServerResponse): Promise<void> => {
    if (!isUtf8(body)) return send(response, 400, parseErrorReply('the body is not UTF-8'));
    let message: unknown;
    try {
      message = JSON.parse(body.toString('utf8'));
    } catch {
      return send(response, 400, parseErrorReply('the body is not JSON'));
    }
    const reply = await door.answer(message);
    if (reply !== null) return send(response, 200, reply);
    response.writeHead(202, { 'content-length': 0 });
    response.end();
  };

  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    const why = turnedAway(request.headers, door.admission);
    if (why !== null) return send(response, 403, JSON.stringify({ error: 'forbidden', message: why }));
    const { origin } = request.headers;
    if (origin !== undefined && door.admission.allowedOrigins.includes(origin)) {
      response.setHeader('access-control-allow-origin', origin);
      response.setHeader('vary', 'origin');
      if (request.method === 'OPTIONS') {
        response.writeHead(204, {
          'access-control-allow-methods': 'POST',
          'access-control-allow-headers': 'authorization, content-type',
        });
        response.end();
        return;
      }
    }
    const path = request.url?.split('?')[0];
    if (path === '/healthz') return send(response, 200, '{"status":"ok"}');
    if (path === '/readyz') {
      const ready = door.ready() && !closing;
      return send(
        response,
        ready ? 200 : 503,
        `{"status":"${ready ? 'ready' : 'not_ready'}"}`,
        ready ? {} : { 'retry-after': '1' },
      );
    }
    if (path !== '/message')
      return send(response, 404, JSON.stringify({ error: 'not_found', message: 'There is POST /message.' }));
    if (!carriesToken(request.headers, door.admission.token))
      return send(response, 401, UNAUTHORIZED, { 'www-authenticate': 'Bearer' });
    takeMessage(request, response);
  };

  const server = createServer({ maxHeaderSize: LIMITS.headerMaxBytes }, handle);
  server.headersTimeout = LIMITS.headersTimeoutMs;
  server.requestTimeout = LIMITS.requestTimeoutMs;
  server.keepAliveTimeout = LIMITS.keepAliveTimeoutMs;
  server.maxConnections = LIMITS.connectionsMax;
  await started(server, door);
  const { port } = server.address() as AddressInfo;
  return {
    port,
    close: async () => {
      closing = true;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const late = setTimeout(() => server.closeAllConnections(), LIMITS.drainMs);
      await closed;
      clearTimeout(late);
    },
  };
}

async function started(server: Server, door: HttpDoor): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE';
      reject(
        new MimirError(
          'port_taken',
          `Cannot listen on ${door.admission.host}:${door.port} (${error.code ?? 'unknown error'}).`,
          {
            hint: taken
              ? 'Another program has the port: stop it, or name another with --port.'
              : 'Name another address or port with --web-bind and --port.',
          },
        ),
      );
    });
    server.listen(door.port, door.admission.host, resolve);
  });
}
