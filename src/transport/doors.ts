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
  const sse = createSseDoor({
    serve: (transport, ownRoom) => serveConnection(transport, makeServer, served.onBug, { room: ownRoom }),
    newSessionId,
    limits,
  });
  const streamable = createStreamable({
    makeServer: () => makeServer(),
    newSessionId,
    nowMs: monotonicMs,
    onBug: served.onBug,
    limits,
  });
  const plain = messageRoute((message, signal, fits) => dispatch(message, { ...served, room: fits }, signal), room);
  const message: Route = {
    POST: (visit) => (visit.query.includes('session_id=') ? sse.post : plain).POST?.(visit),
  };
  return {
    budget,
    routes: { '/mcp': webRoute(streamable.fetch), '/message': message, '/messages': sse.post, '/sse': sse.stream },
    drain: async () => {
      await sse.drain();
      await streamable.close();
    },
  };
}
