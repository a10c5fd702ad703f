import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

import { MimirError } from '../errors.ts';
import { monotonicMs } from '../clock.ts';
import { LIMITS } from '../limits.ts';
import { refusal } from '../mcp/dispatch.ts';
import { readJson, type Budget } from './body.ts';
import { tokenCheck, turnedAway, type Admission } from './guard.ts';
import { JSON_TYPE, refuse, refuseForNow, sendJson } from './reply.ts';

/** One request that was let in, with all that a door may do with it. */
export interface Visit {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** What stands behind the question mark. */
  readonly query: string;
  /** The JSON of a POST; undefined otherwise. */
  readonly message: unknown;
  /** A signal that fires when the client goes away before its answer has left. */
  readonly gone: () => AbortSignal;
  /** Resolves when the response has closed, for whatever reason. */
  readonly left: () => Promise<void>;
  /** Counts so many bytes of answers as held in memory (fewer when negative) until the response closes. */
  readonly hold: (bytes: number) => void;
  /** Says that this exchange may stay open for as long as the client likes. False: there are too many such, and it was answered so. */
  readonly becomeStream: () => boolean;
}

const METHODS = ['GET', 'HEAD', 'POST', 'DELETE'] as const;
type Method = (typeof METHODS)[number];

/** What a path does with each method that it knows. */
export type Route = Readonly<Partial<Record<Method, (visit: Visit) => void | Promise<void>>>>;

/** What stands behind the server. */
export interface HttpDoor {
  readonly admission: Admission;
  readonly port: number;
  /** By path. */
  readonly routes: Readonly<Record<string, Route>>;
  /** What requests and answers hold; shared with those who put answers together. */
  readonly budget?: Budget;
  readonly ready: () => boolean;
  /** Tells of an error that is ours and answers the id of the incident. */
  readonly onBug: (error: unknown) => string;
  /** Waits for what is still running behind streams, then ends them; called once, when nothing new comes any more. */
  readonly drain?: () => Promise<void>;
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
    | 'httpInFlightMax'
    | 'connectionInFlightMax'
    | 'connectionUnansweredMax'
    | 'connectionsMax'
    | 'streamsMax'
    | 'headersTimeoutMs'
    | 'requestTimeoutMs'
    | 'keepAliveTimeoutMs'
    | 'answerStallMs'
    | 'timeoutCheckMs'
    | 'headerMaxBytes'
    | 'drainMs',
    number
  >
>;

const UNAUTHORIZED = '{"error":"unauthorized","message":"Valid Bearer token required"}';
/** Connections above the cap that are still told so; beyond, they are closed without a word. */
const TOLD_MAX = 64;

/** Answers to what Node's parser refuses before there is a request. */
const PARSER_REFUSALS: Readonly<Record<string, string>> = {
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
};

const CORS_HEADERS =
  'authorization, content-type, accept, last-event-id, mcp-session-id, mcp-protocol-version, mcp-method, mcp-name';
const CORS_EXPOSED = 'mcp-session-id, mcp-protocol-version, www-authenticate';

/** A response that has not closed, and how far its socket has come. */
interface Open {
  readonly response: ServerResponse;
  readonly socket: Socket;
  leftBytes: number;
  movedMs: number;
}

/** Listens; resolves once it does. Throws `port_taken` when it cannot. */
export async function listen(door: HttpDoor, limits: HttpLimits = LIMITS): Promise<HttpServer> {
  const { admission } = door;
  const carriesToken = tokenCheck(admission.token);
  const allowedOrigins = new Set(admission.allowedOrigins);
  const surplus = new WeakSet<Socket>();
  let connections = 0;
  const budget = door.budget ?? { held: 0, max: limits.httpInFlightMaxBytes };
  /** Requests of a connection whose answers have not left: refusals wait in line behind the others, so they count too. */
  const unanswered = new WeakMap<Socket, number>();
  const running = new Set<Open>();
  let streams = 0;
  /** Requests that were read to their end and whose answers have not left. */
  let accepted = 0;
  let closing = false;
  let drained: (() => void) | null = null;

  const take = (request: IncomingMessage, response: ServerResponse, route: Route, query: string): void => {
    const method = METHODS.find((one) => one === request.method);
    const handler = method === undefined ? undefined : route[method];
    if (handler === undefined) {
      const allow = Object.keys(route).join(', ');
      return refuse(response, 405, `Use ${allow}.`, { allow });
    }
    const { socket } = request;
    if ((unanswered.get(socket) ?? 0) > limits.connectionInFlightMax) {
      return refuseForNow(response, 429, `At most ${limits.connectionInFlightMax} requests at once on one connection.`);
    }
    if (running.size >= limits.httpInFlightMax) {
      return refuseForNow(response, 503, 'Too many requests at once. Wait a second and send it again.');
    }
    const open: Open = { response, socket, leftBytes: -1, movedMs: monotonicMs() };
    running.add(open);
    let kind: 'arriving' | 'accepted' | 'stream' = 'arriving';
    let held = 0;
    const leave = (): void => {
      if (kind === 'stream') streams -= 1;
      if (kind !== 'accepted') return;
      accepted -= 1;
      if (accepted === 0) drained?.();
    };
    let aborter: AbortController | undefined;
    const whenLeft: (() => void)[] = [];
    response.on('close', () => {
      running.delete(open);
      budget.held -= held;
      held = 0;
      leave();
      kind = 'arriving';
      if (!response.writableFinished) aborter?.abort();
      for (const tell of whenLeft) tell();
    });
    const visit = (message: unknown): void => {
      kind = 'accepted';
      accepted += 1;
      const answered = handler({
        request,
        response,
        query,
        message,
        left: async () => {
          if (!response.closed) await new Promise<void>((resolve) => whenLeft.push(resolve));
        },
        gone: () => (aborter ??= new AbortController()).signal,
        hold: (bytes) => {
          if (response.closed) return;
          held += bytes;
          budget.held += bytes;
        },
        becomeStream: () => {
          if (streams >= limits.streamsMax) {
            refuseForNow(response, 503, 'Too many streams are open. Close some, or try again in a while.', 5);
            return false;
          }
          leave();
          kind = 'stream';
          streams += 1;
          return true;
        },
      });
      answered?.catch((thrown: unknown) => {
        const incident = door.onBug(thrown);
        if (response.headersSent) return void response.destroy();
        sendJson(response, 500, refusal(null, -32603, `Internal error, incident ${incident}.`));
      });
    };
    if (method !== 'POST') return visit(undefined);
    readJson(request, response, { maxBytes: limits.httpBodyMaxBytes, budget }, visit);
  };

  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    const { headers, socket } = request;
    if (socket.destroyed) return;
    const waiting = (unanswered.get(socket) ?? 0) + 1;
    // Each costs a few KiB until its turn comes: whoever piles them up does not read refusals either.
    if (waiting > limits.connectionUnansweredMax) return cutOff(socket);
    unanswered.set(socket, waiting);
    response.on('close', () => unanswered.set(socket, (unanswered.get(socket) ?? 1) - 1));
    if (surplus.has(socket)) {
      response.shouldKeepAlive = false;
      return refuseForNow(response, 503, `At most ${limits.connectionsMax} connections at once. Close some.`);
    }
    if (closing) response.shouldKeepAlive = false;
    const why = turnedAway(headers, admission);
    if (why !== null) return sendJson(response, 403, JSON.stringify({ error: 'forbidden', message: why }));
    const { origin } = headers;
    if (origin !== undefined && allowedOrigins.has(origin.toLowerCase())) {
      response.setHeader('access-control-allow-origin', origin);
      response.setHeader('access-control-expose-headers', CORS_EXPOSED);
      response.setHeader('vary', 'origin');
      if (request.method === 'OPTIONS') {
        response.writeHead(204, {
          'access-control-allow-methods': 'GET, POST, DELETE',
          'access-control-allow-headers': CORS_HEADERS,
          'access-control-max-age': '600',
        });
        response.end();
        return;
      }
    }
    const [path = '', query = ''] = (request.url ?? '').split('?', 2);
    const route = Object.hasOwn(door.routes, path) ? door.routes[path] : undefined;
    if (route !== undefined) {
      if (!carriesToken(headers)) return sendJson(response, 401, UNAUTHORIZED, { 'www-authenticate': 'Bearer' });
      if (!closing) return take(request, response, route, query);
      return refuseForNow(response, 503, 'The server is stopping. Send it again when it is back.', 2);
    }
    if (path !== '/healthz' && path !== '/readyz') {
      const message = `There are ${[...Object.keys(door.routes), '/healthz', '/readyz'].join(', ')}.`;
      return sendJson(response, 404, JSON.stringify({ error: 'not_found', message }));
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return refuse(response, 405, 'Use GET.', { allow: 'GET, HEAD' });
    }
    if (path === '/healthz') return sendJson(response, 200, '{"status":"ok"}');
    if (door.ready() && !closing) return sendJson(response, 200, '{"status":"ready"}');
    sendJson(response, 503, '{"status":"not_ready"}', { 'retry-after': '1' });
  };

  /** Cuts off whoever has stopped reading an answer: it is held in memory for them. */
  const cutOffStalled = (): void => {
    const nowMs = monotonicMs();
    for (const open of running) {
      const { socket } = open;
      const leftBytes = socket.bytesWritten - socket.writableLength;
      if (socket.writableLength === 0 || leftBytes !== open.leftBytes) {
        open.leftBytes = leftBytes;
        open.movedMs = nowMs;
      } else if (nowMs - open.movedMs > limits.answerStallMs) socket.destroy();
    }
  };
  const stallTimer = setInterval(cutOffStalled, limits.timeoutCheckMs).unref();

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
    const body = refusal(null, -32600, `${status.slice(4)}.`);
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
      for (const { response } of running) response.shouldKeepAlive = false;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const late = setTimeout(() => server.closeAllConnections(), limits.drainMs);
      if (accepted > 0) await new Promise<void>((resolve) => (drained = resolve));
      await Promise.race([door.drain?.(), closed]);
      // What is left has sent no whole request: silent connections and half bodies.
      server.closeAllConnections();
      await closed;
      clearTimeout(late);
      clearInterval(stallTimer);
    },
  };
}

/**
 * Ends a connection at once. Node parses what it has read of it to the end all the same, 64 KiB or 2,000 small requests, and
 * keeps a response for each until the connection has closed; its parser is told to make none (1,060
 * connections with 1,000 each: 265 MB and back after 35 ms instead of 2,211 MB and 21 s).
 */
function cutOff(socket: Socket & { readonly parser?: { onIncoming?: () => number } | null }): void {
  if (socket.parser) socket.parser.onIncoming = () => 0;
  socket.destroy();
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
