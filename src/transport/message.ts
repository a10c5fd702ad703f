import type { Reply, Room } from '../mcp/dispatch.ts';
import type { Route } from './http.ts';
import { RETRY_SOON, sendAccepted, sendJson } from './reply.ts';

/**
 * `POST /message`: one JSON-RPC message in, its answer in the response. It needs no session and does not pass through the
 * SDK. A client that goes away takes its waiting call out of the queue. An answer that found no room is a 503.
 */
export function messageRoute(
  answer: (message: unknown, signal: AbortSignal, room: Room) => Promise<Reply>,
  room: Room,
): Route {
  return {
    POST: async ({ response, message, gone, hold }) => {
      let fits = true;
      const text = await answer(message, gone(), (chars) => (fits = room(chars)));
      if (text === null) return sendAccepted(response);
      sendJson(response, fits ? 200 : 503, text, fits ? {} : RETRY_SOON, hold);
    },
  };
}
