import { isUtf8 } from 'node:buffer';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { parseErrorReply, refusal, type Reply } from '../mcp/dispatch.ts';
import { tokenCheck, turnedAway, type Admission } from './guard.ts';

/** What stands behind the server. */
export interface HttpDoor {
  readonly admission: Admission;
  readonly port: number;
  /** Answers one JSON-RPC message; never rejects. */
  readonly answer: (message: unknown) => Promise<Reply>;
  readonly ready: () => boolean;
}

/** A server that listens. */
export interface HttpServer {
  readonly port: number;
  /** Takes no new requests, answers those it has, closes. */
  close(): Promise<void>;
}

/** The limits of a server; tests hand in smaller ones. */
export type HttpLimits = Readonly<
  Record<
    | 'httpBodyMaxBytes'
    | 'httpInFlightMaxBytes'
    | 'connectionsMax'
    | 'headersTimeoutMs'
    | 'requestTimeoutMs'
    | 'keepAliveTimeoutMs'
    | 'timeoutCheckMs'
    | 'headerMaxBytes'
    | 'drainMs',
    number
  >
>;

type Headers = Readonly<Record<string, string>>;

const JSON_TYPE = 'application/json';
const UNAUTHORIZED = '{"error":"unauthorized","message":"Valid Bearer token required"}';
/** How much of a body that is too large is still read (and dropped), so that the client gets to read why: times the limit. */
const DROPPED_MAX = 16;
/** Connections above the cap that are still told so; beyond, they are closed without a word. */
const TOLD_MAX = 64;

/** A refusal in JSON-RPC's shape, so that a client that reads only bodies can act on it. */
function refusalText(message: string): string {
  return refusal(null, -32600, message);
}

function isJson(contentType: string | undefined): boolean {
  if (contentType === JSON_TYPE) return true;
  const type = (contentType ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  return type === JSON_TYPE || (type.startsWith('application/') && type.endsWith('+json'));
}

/** Answers to what Node's parser refuses before there is a request. */
const PARSER_REFUSALS: Readonly<Record<string, string>> = {
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
};

/** Listens; resolves once it does. Throws `port_taken` when it cannot. */
export async function listen(door: HttpDoor, limits: HttpLimits = LIMITS): Promise<HttpServer> {
  const { admission } = door;
  const carriesToken = tokenCheck(admission.token);
  const allowedOrigins = new Set(admission.allowedOrigins);
  const surplus = new WeakSet<Socket>();
  let connections = 0;
  let inFlightBytes = 0;
  /** Requests that were read to their end and whose answers have not left. */
  let accepted = 0;
  let closing = false;
  let drained: (() => void) | null = null;

  const send = (response: ServerResponse, status: number, body: string, headers?: Headers): void => {
    if (closing) response.shouldKeepAlive = false;
    response.writeHead(status, { 'content-type': JSON_TYPE, 'content-length': Buffer.byteLength(body), ...headers });
    response.end(body);
  };

  const takeMessage = (request: IncomingMessage, response: ServerResponse): void => {
    const { headers } = request;
    if (request.method !== 'POST') return send(response, 405, refusalText('Use POST.'), { allow: 'POST' });
    if (!isJson(headers['content-type'])) {
      return send(response, 415, refusalText('Expected a request with `Content-Type: application/json`.'));
    }
    const tooLarge = (): void => {
      const message = `A request may have at most ${limits.httpBodyMaxBytes} bytes; its largest field, \`body_json\`, at most ${LIMITS.bodyJsonMaxBytes}.`;
      send(response, 413, refusalText(message));
      request.resume();
    };
    const announced = Number(headers['content-length'] ?? 0);
    if (announced > DROPPED_MAX * limits.httpBodyMaxBytes) response.shouldKeepAlive = false;
    if (announced > limits.httpBodyMaxBytes) return tooLarge();
    if (inFlightBytes + announced > limits.httpInFlightMaxBytes) {
      return send(response, 503, refusalText('Too many requests at once. Wait a second and send it again.'), {
        'retry-after': '1',
      });
    }
    if (headers.expect !== undefined) response.writeContinue();

    let chunks: Buffer[] = [];
    let length = 0;
    let held = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= limits.httpBodyMaxBytes) {
        chunks.push(chunk);
        held += chunk.length;
        inFlightBytes += chunk.length;
        return;
      }
      chunks = [];
      if (!response.headersSent) tooLarge();
      else if (length > DROPPED_MAX * limits.httpBodyMaxBytes) request.destroy();
    });
    let reading = true;
    request.on('end', () => {
      if (response.headersSent) return;
      reading = false;
      accepted += 1;
      const body = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
      chunks = [];
      void answer(body, response).then((bytes) => {
        // An answer that nobody reads is held as well.
        if (response.closed) return;
        held += bytes;
        inFlightBytes += bytes;
      });
    });
    // Also when the client goes away in the middle.
    response.on('close', () => {
      inFlightBytes -= held;
      held = 0;
      if (reading) return;
      accepted -= 1;
      if (accepted === 0) drained?.();
    });
  };

  const answer = async (body: Buffer, response: ServerResponse): Promise<number> => {
    let message: unknown;
    try {
      if (!isUtf8(body)) return reply(response, 400, parseErrorReply('the body is not UTF-8'));
      message = JSON.parse(body.toString('utf8'));
    } catch {
      return reply(response, 400, parseErrorReply('the body is not JSON'));
    }
    const text = await door.answer(message);
    if (text !== null) return reply(response, 200, text);
    response.writeHead(202, { 'content-length': 0 });
    response.end();
    return 0;
  };

  const reply = (response: ServerResponse, status: number, text: string): number => {
    send(response, status, text);
    return text.length;
  };

  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    const { headers } = request;
    if (surplus.has(request.socket)) {
      response.shouldKeepAlive = false;
      return send(response, 503, refusalText(`At most ${limits.connectionsMax} connections at once. Close some.`), {
        'retry-after': '1',
      });
    }
    const why = turnedAway(headers, admission);
    if (why !== null) return send(response, 403, JSON.stringify({ error: 'forbidden', message: why }));
    const { origin } = headers;
    if (origin !== undefined && allowedOrigins.has(origin.toLowerCase())) {
      response.setHeader('access-control-allow-origin', origin);
      response.setHeader('vary', 'origin');
      if (request.method === 'OPTIONS') {
        response.writeHead(204, {
          'access-control-allow-methods': 'POST',
          'access-control-allow-headers': 'authorization, content-type',
          'access-control-max-age': '600',
        });
        response.end();
        return;
      }
    }
    const path = request.url?.split('?', 1)[0];
    if (path === '/message') {
      if (!carriesToken(headers)) return send(response, 401, UNAUTHORIZED, { 'www-authenticate': 'Bearer' });
      if (!closing) return takeMessage(request, response);
      return send(response, 503, refusalText('The server is stopping. Send it again when it is back.'), {
        'retry-after': '2',
      });
    }
    if (path !== '/healthz' && path !== '/readyz') {
      return send(
        response,
        404,
        '{"error":"not_found","message":"There are POST /message, GET /healthz, GET /readyz."}',
      );
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return send(response, 405, refusalText('Use GET.'), { allow: 'GET, HEAD' });
    }
    if (path === '/healthz') return send(response, 200, '{"status":"ok"}');
    if (door.ready() && !closing) return send(response, 200, '{"status":"ready"}');
    send(response, 503, '{"status":"not_ready"}', { 'retry-after': '1' });
  };

  const server = createServer(
    { maxHeaderSize: limits.headerMaxBytes, connectionsCheckingInterval: limits.timeoutCheckMs },
    handle,
  );
  server.headersTimeout = limits.headersTimeoutMs;
  server.requestTimeout = limits.requestTimeoutMs;
  server.keepAliveTimeout = limits.keepAliveTimeoutMs;
  server.maxConnections = limits.connectionsMax + TOLD_MAX;
  // "Expect: 100-continue" (curl sends it with large bodies): who is refused need not send the body.
  server.on('checkContinue', handle);
  server.on('connection', (socket) => {
    connections += 1;
    if (connections > limits.connectionsMax) surplus.add(socket);
    socket.on('close', () => (connections -= 1));
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (!socket.writable) return void socket.destroy();
    const status = PARSER_REFUSALS[error.code ?? ''] ?? '400 Bad Request';
    const body = refusalText(`${status.slice(4)}.`);
    const head = `HTTP/1.1 ${status}\r\ncontent-type: ${JSON_TYPE}\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n`;
    socket.end(head + body, () => socket.destroy());
  });
  await started(server, door);
  // Later ones come from connections that could not be taken (no file handle is left): those clients try again.
  server.on('error', () => undefined);
  const { port } = server.address() as AddressInfo;
  return {
    port,
    close: async () => {
      closing = true;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const late = setTimeout(() => server.closeAllConnections(), limits.drainMs);
      if (accepted > 0) await new Promise<void>((resolve) => (drained = resolve));
      // What is left has sent no whole request: silent connections and half bodies.
      server.closeAllConnections();
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
