import { monotonicMs } from '../clock.ts';
import { LIMITS } from '../limits.ts';
import { dispatch, type Served } from '../mcp/dispatch.ts';
import { serveConnection, toolServers } from '../mcp/server.ts';
import { createStreamable, type SessionLimits } from '../mcp/streamable.ts';
import { roomIn, type Budget } from './body.ts';
import type { HttpDoor, Route } from './http.ts';
import { messageRoute } from './message.ts';
import { createSseDoor, type SseLimits } from './sse.ts';
import { webRoute } from './web.ts';

/** Bytes of a session id: 128 bits cannot be guessed. */
const SESSION_ID_BYTES = 16;
const SESSION_ID = /^[0-9a-f]{32}$/;

/**
 * Whether a POST to `/message` belongs to a stream. An id that no stream ever had is nobody's: with the original, clients make
 * them up, and read the answer in the response.
 */
function meansStream(query: string): boolean {
  if (!query.includes('session_id=')) return false;
  const ids = new URLSearchParams(query).getAll('session_id');
  return ids.length > 1 || SESSION_ID.test(ids[0] ?? '');
}

/** The MCP doors of an HTTP server, by path, over one table. Tests hand in smaller limits. */
export function mcpDoors(
  served: Served,
  randomBytes: (count: number) => Uint8Array,
  limits: SessionLimits & SseLimits & { readonly httpInFlightMaxBytes: number } = LIMITS,
): Required<Pick<HttpDoor, 'routes' | 'drain' | 'budget'>> {
  const budget: Budget = { held: 0, max: limits.httpInFlightMaxBytes };
  const room = roomIn(budget);
  const newSessionId = (): string => Buffer.from(randomBytes(SESSION_ID_BYTES)).toString('hex');
  const makeServer = toolServers({ ...served, room });
  const { core, all } = served.table;
  /** Who connects here asks for a profile; any other path shows what the process was started with. */
  const byPath = new Map([
    ['/mcp/core', toolServers({ ...served, room }, core)],
    ['/mcp/all', toolServers({ ...served, room }, all)],
  ]);
  const sse = createSseDoor({
    serve: (transport, ownRoom) => serveConnection(transport, makeServer, served.onBug, { room: ownRoom }),
    newSessionId,
    limits,
  });
  const streamable = createStreamable({
    makeServer: (request) => (byPath.get(pathOf(request)) ?? makeServer)(),
    newSessionId,
    nowMs: monotonicMs,
    onBug: served.onBug,
    limits,
  });
  const plain = messageRoute((message, signal, fits) => dispatch(message, { ...served, room: fits }, signal), room);
  const message: Route = { POST: (visit) => (meansStream(visit.query) ? sse.post : plain).POST?.(visit) };
  const mcp = webRoute(streamable.fetch);
  return {
    budget,
    routes: {
      '/mcp': mcp,
      ...Object.fromEntries([...byPath.keys()].map((path) => [path, mcp])),
      '/message': message,
      '/messages': sse.post,
      '/sse': sse.stream,
    },
    drain: async () => {
      await sse.drain();
      await streamable.close();
    },
  };
}

function pathOf(request: Request | undefined): string {
  return request === undefined ? '' : new URL(request.url).pathname;
}
