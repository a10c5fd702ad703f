import {
  createMcpHandler,
  isLegacyRequest,
  WebStandardStreamableHTTPServerTransport as SdkTransport,
  type Server,
} from '@modelcontextprotocol/server';

import { refusal } from './dispatch.ts';
import { EventLog } from './events.ts';
import { callProblem, cancelledRequest, mend, methodOf } from './mend.ts';

/** The bounds of the sessions. */
export interface SessionLimits {
  readonly sessionsMax: number;
  readonly sessionIdleMs: number;
  readonly sessionEventsMaxChars: number;
  readonly streamKeepAliveMs: number;
}

/** What it works with. */
export interface StreamableDeps {
  /** A new server for each session, and for each request without one. */
  readonly makeServer: () => Server;
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

interface Session {
  readonly transport: SdkTransport;
  readonly server: Server;
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
  const modern = createMcpHandler(makeServer, {
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

  const begin = async (request: Request, body: unknown, left: Promise<void>): Promise<Response> => {
    if (!makeRoom()) return tooMany('All sessions are in use. Send it again in a while.');
    const id = newSessionId();
    const transport = new SdkTransport({
      sessionIdGenerator: () => id,
      eventStore: events.of(id),
      keepAliveMs: limits.streamKeepAliveMs,
      onsessionclosed: () => end(id),
    });
    const server = makeServer();
    server.onerror = onerror;
    await server.connect(transport);
    const response = await transport.handleRequest(request, { parsedBody: body });
    if (response.status !== 200) {
      await server.close();
      return response;
    }
    const session: Session = { transport, server, open: 0, usedMs: 0 };
    sessions.set(id, session);
    use(id, session, left);
    return response;
  };

  const alone = async (request: Request, body: unknown): Promise<Response> => {
    const transport = new SdkTransport({ enableJsonResponse: true });
    const server = makeServer();
    server.onerror = onerror;
    await server.connect(transport);
    const stop = (): void => void server.close();
    request.signal.addEventListener('abort', stop, { once: true });
    try {
      return await transport.handleRequest(request, { parsedBody: body });
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
    const response = await session.transport.handleRequest(request, { parsedBody: body });
    // A cancelled request gets no answer, so its stream would stay open for good.
    const cancelled = cancelledRequest(body);
    if (cancelled !== null) session.transport.closeSSEStream(cancelled);
    return response;
  };

  const fetch: Streamable['fetch'] = async (request, written, left) => {
    try {
      const body = Array.isArray(written) ? written.map(mend) : mend(written);
      if (!(await isLegacyRequest(request, body))) return await modern.fetch(request, { parsedBody: body });
      const problem = callProblem(body);
      if (problem !== null) return json(200, refusal(problem.id, -32602, problem.why));
      const id = request.headers.get('mcp-session-id');
      if (id !== null) return await within(id, request, body, left);
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
