import {
  createMcpHandler,
  isLegacyRequest,
  WebStandardStreamableHTTPServerTransport as SdkTransport,
  type RequestId,
  type Server,
} from '@modelcontextprotocol/server';

import { errorReply, invalidRequestReply, refusal } from './dispatch.ts';
import { EventLog } from './events.ts';
import { callProblem, cancelledRequest, mend, methodOf, readableId } from './mend.ts';

/** The bounds of the sessions. */
export interface SessionLimits {
  readonly sessionsMax: number;
  readonly sessionIdleMs: number;
  readonly sessionEventsMaxChars: number;
  readonly streamKeepAliveMs: number;
}

/** What it works with. */
export interface StreamableDeps {
  /** A new server for each session, and for each request without one; the request is the one that asks for it. */
  readonly makeServer: (request: Request | undefined) => Server;
  /** Cannot be guessed, visible ASCII. */
  readonly newSessionId: () => string;
  /** A clock that only goes forward, in milliseconds. */
  readonly nowMs: () => number;
  readonly onBug: (error: unknown) => string;
  readonly limits: SessionLimits;
}

/** Streamable HTTP for every revision, as a function from request to response. */
export interface Streamable {
  /**
   * Answers one request; `body` is the JSON of a POST. `left` must resolve when the answer has left or its reader has: until
   * then the session counts as in use.
   */
  fetch(request: Request, body: unknown, left: Promise<void>): Promise<Response>;
  /** Ends all sessions and streams. */
  close(): Promise<void>;
}

/** A transport of the SDK with its server. */
interface Link {
  readonly transport: SdkTransport;
  readonly server: Server;
  /** Ids of requests without an answer. */
  readonly asked: Set<RequestId>;
}

interface Session extends Link {
  /** Requests and streams that have not left. */
  open: number;
  usedMs: number;
}

/**
 * The way of a request: with the envelope of 2026-07-28 to a server of its own; with a session id to the server of that
 * session; an `initialize` makes a session; anything else is answered by a server of its own as well, since a session is an
 * offer and no duty. Sessions that nobody uses for a while end, the idlest first when there are too many.
 */
export function createStreamable(deps: StreamableDeps): Streamable {
  const { makeServer, newSessionId, nowMs, onBug, limits } = deps;
  /** Least recently used first. */
  const sessions = new Map<string, Session>();
  const events = new EventLog(limits.sessionEventsMaxChars);
  const onerror = (): void => undefined; // What a client did wrong is in its answer.
  const modern = createMcpHandler(({ requestInfo }) => makeServer(requestInfo), {
    legacy: 'reject',
    onerror,
    keepAliveMs: limits.streamKeepAliveMs,
  });

  const end = (id: string): void => {
    const session = sessions.get(id);
    if (session === undefined) return;
    sessions.delete(id);
    events.drop(id);
    void session.server.close();
  };

  const sweep = (): void => {
    const oldestMs = nowMs() - limits.sessionIdleMs;
    for (const [id, { open, usedMs }] of sessions) {
      if (usedMs > oldestMs) break;
      if (open === 0) end(id);
    }
  };
  const timer = setInterval(sweep, Math.min(60_000, limits.sessionIdleMs)).unref();

  /** Makes room for one more session; false when every one is in use. */
  const makeRoom = (): boolean => {
    if (sessions.size < limits.sessionsMax) return true;
    for (const [id, { open }] of sessions) {
      if (open > 0) continue;
      end(id);
      return true;
    }
    return false;
  };

  const use = (id: string, session: Session, left: Promise<void>): void => {
    const touch = (): void => {
      session.usedMs = nowMs();
      if (sessions.delete(id)) sessions.set(id, session);
    };
    session.open += 1;
    touch();
    void left.then(() => {
      session.open -= 1;
      touch();
    });
  };

  /**
   * Puts a server behind a transport, and answers what the SDK leaves open: a cancelled request. Its stream would never
   * end, and a client that is sent away without an answer comes back for it.
   */
  const connect = async (transport: SdkTransport, request: Request): Promise<Link> => {
    const server = makeServer(request);
    server.onerror = onerror;
    await server.connect(transport);
    const asked = new Set<RequestId>();
    const send = transport.send.bind(transport);
    transport.send = async (message, options) => {
      if (!('method' in message) && message.id !== undefined) asked.delete(message.id);
      await send(message, options);
    };
    const answer = (id: RequestId, code: number, why: string): void => {
      // There is nobody to tell when a session ends at the same time.
      if (asked.has(id)) void transport.send(errorReply(id, code, why)).catch(onerror);
    };
    const deliver = transport.onmessage;
    transport.onmessage = (message, extra) => {
      const problem = callProblem(message);
      if (problem !== null) return answer(problem.id, -32602, problem.why);
      deliver?.(message, extra);
      const cancelled = cancelledRequest(message);
      if (cancelled !== null) answer(cancelled, -32000, 'The request was cancelled.');
    };
    return { transport, server, asked };
  };

  /** Hands a request over, unless an id in it is still open: the SDK would leave the first one without an answer. */
  const ask = async ({ transport, asked }: Link, request: Request, body: unknown): Promise<Response> => {
    const ids = new Set<RequestId>();
    for (const message of Array.isArray(body) ? body : [body]) {
      const id = methodOf(message) === undefined ? null : readableId(message);
      if (id === null) continue;
      if (asked.has(id) || ids.has(id)) {
        return json(400, invalidRequestReply(id, 'a request with this id is still open'));
      }
      ids.add(id);
    }
    for (const id of ids) asked.add(id);
    const response = await transport.handleRequest(request, { parsedBody: body });
    if (response.status !== 200) for (const id of ids) asked.delete(id);
    return response;
  };

  const begin = async (request: Request, body: unknown, left: Promise<void>): Promise<Response> => {
    if (!makeRoom()) return tooMany('All sessions are in use. Send it again in a while.');
    const id = newSessionId();
    const transport = new SdkTransport({
      sessionIdGenerator: () => id,
      eventStore: events.of(id),
      keepAliveMs: limits.streamKeepAliveMs,
      onsessionclosed: () => end(id),
    });
    const link = await connect(transport, request);
    const response = await ask(link, request, body);
    if (response.status !== 200) {
      await link.server.close();
      return response;
    }
    const session: Session = { ...link, open: 0, usedMs: 0 };
    sessions.set(id, session);
    use(id, session, left);
    return response;
  };

  const alone = async (request: Request, body: unknown): Promise<Response> => {
    const link = await connect(new SdkTransport({ enableJsonResponse: true }), request);
    const stop = (): void => void link.server.close();
    request.signal.addEventListener('abort', stop, { once: true });
    try {
      return await ask(link, request, body);
    } finally {
      request.signal.removeEventListener('abort', stop);
      stop();
    }
  };

  const within = async (id: string, request: Request, body: unknown, left: Promise<void>): Promise<Response> => {
    const session = sessions.get(id);
    if (session === undefined) {
      return json(
        404,
        refusal(null, -32001, 'Session not found. It has ended: send initialize without Mcp-Session-Id.'),
      );
    }
    use(id, session, left);
    return await ask(session, request, body);
  };

  const fetch: Streamable['fetch'] = async (request, written, left) => {
    try {
      const body = Array.isArray(written) ? written.map(mend) : mend(written);
      if (!(await isLegacyRequest(request, body))) return await modern.fetch(request, { parsedBody: body });
      const id = request.headers.get('mcp-session-id');
      // Some clients never forget the id of a session that has ended: what begins a new one need not name an old one.
      if (id !== null && (sessions.has(id) || !isInitialize(body))) return await within(id, request, body, left);
      if (request.method !== 'POST') {
        return json(400, refusal(null, -32000, 'Mcp-Session-Id is missing: it comes with the answer to initialize.'));
      }
      return await (isInitialize(body) ? begin(request, body, left) : alone(request, body));
    } catch (thrown) {
      return json(500, refusal(null, -32603, `Internal error, incident ${onBug(thrown)}.`));
    }
  };

  return {
    fetch,
    close: async () => {
      clearInterval(timer);
      for (const id of sessions.keys()) end(id);
      await modern.close();
    },
  };
}

function json(status: number, text: string, headers?: Readonly<Record<string, string>>): Response {
  return new Response(text, { status, headers: { 'content-type': 'application/json', ...headers } });
}

function tooMany(why: string): Response {
  return json(503, refusal(null, -32000, why), { 'retry-after': '5' });
}

function isInitialize(body: unknown): boolean {
  return (Array.isArray(body) ? body : [body]).some((message) => methodOf(message) === 'initialize');
}
