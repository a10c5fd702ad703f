import type { Reply } from '../mcp/dispatch.ts';
import type { Route } from './http.ts';
import { sendAccepted, sendJson } from './reply.ts';

/**
 * `POST /message`: one JSON-RPC message in, its answer in the response. It needs no session and does not pass through the
 * SDK. A client that goes away takes its waiting call out of the queue.
 */
export function messageRoute(answer: (message: unknown, signal: AbortSignal) => Promise<Reply>): Route {
  return {
    POST: async ({ response, message, gone, hold }) => {
      const text = await answer(message, gone());
      if (text === null) return sendAccepted(response);
      hold(text.length);
      sendJson(response, 200, text);
    },
  };
}
