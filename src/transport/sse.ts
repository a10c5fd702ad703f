import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/server';
import type { ServerResponse } from 'node:http';

import { invalidRequestReply, type Room } from '../mcp/dispatch.ts';
import { cancelledRequest, readMessage } from '../mcp/mend.ts';
import type { Route } from './http.ts';
import { refuse, refuseForNow, sendAccepted, sendJson } from './reply.ts';

/** The bounds of its sessions. */
export interface SseLimits {
  readonly sessionOpenMax: number;
  readonly sessionUnreadMaxBytes: number;
  readonly streamKeepAliveMs: number;
}

/** What it works with. */
export interface SseDeps {
  /** Puts a server behind the stream, whose large answers ask for room there. */
  readonly serve: (transport: Transport, room: Room) => { close(): Promise<void> };
  /** Cannot be guessed, safe in a URL. */
  readonly newSessionId: () => string;
  readonly limits: SseLimits;
}

/** The two halves of HTTP+SSE, the transport of 2024-11-05. */
export interface SseDoor {
  /** `GET /sse` opens a stream and says where to post. */
  readonly stream: Route;
  /** A POST that names a session: its answer goes to that session's stream and nowhere else. */
  readonly post: Route;
  /** Waits until every request that was accepted has been answered; called once, at the end. */
  drain(): Promise<void>;
}

/** A session lives as long as its stream. */
class SseTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage) => void;
  readonly #response: ServerResponse;
  readonly #hold: (bytes: number) => void;
  readonly #answered: () => void;
  /** Requests without an answer. */
  readonly open = new Set<string | number>();

  constructor(response: ServerResponse, hold: (bytes: number) => void, answered: () => void) {
    this.#response = response;
    this.#hold = hold;
    this.#answered = answered;
  }

  async start(): Promise<void> {
    // It began with the response.
  }

  async send(message: JSONRPCMessage): Promise<void> {
    this.write('message', JSON.stringify(message), () => {
      if (!('method' in message) && message.id !== undefined) this.settle(message.id);
    });
  }

  async close(): Promise<void> {
    this.#response.end();
  }

  /** `left` is called when the socket has taken it. */
  write(event: string, text: string, left?: () => void): void {
    if (this.#response.closed) return;
    const bytes = Buffer.byteLength(text);
    this.#hold(bytes);
    this.#response.write(`event: ${event}\ndata: ${text}\n\n`, () => {
      this.#hold(-bytes);
      left?.();
    });
  }

  beat(): void {
    this.#response.write(': keep-alive\n\n');
  }

  unreadBytes(): number {
    return this.#response.writableLength;
  }

  settle(id: string | number): void {
    if (this.open.delete(id)) this.#answered();
  }
}

const STREAM_HEADERS = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache, no-transform' };

/** Makes the door. Its sessions end with their streams; keep-alive comments find out those that are gone. */
export function createSseDoor({ serve, newSessionId, limits }: SseDeps): SseDoor {
  const sessions = new Map<string, SseTransport>();
  let idle: (() => void) | null = null;
  const openCount = (): number => [...sessions.values()].reduce((sum, { open }) => sum + open.size, 0);
  const answered = (): void => {
    if (idle !== null && openCount() === 0) idle();
  };
  const beats = setInterval(() => {
    for (const session of sessions.values()) session.beat();
  }, limits.streamKeepAliveMs).unref();

  const stream: Route = {
    GET: ({ response, becomeStream, hold, left }) => {
      if (!becomeStream()) return;
      response.writeHead(200, STREAM_HEADERS);
      const id = newSessionId();
      const session = new SseTransport(response, hold, answered);
      // One answer has room whatever its size: else it could never be told.
      const handle = serve(session, (chars) => {
        const unread = session.unreadBytes();
        return unread === 0 || unread + chars <= limits.sessionUnreadMaxBytes;
      });
      sessions.set(id, session);
      session.write('endpoint', `/message?session_id=${id}`);
      void left().then(() => {
        sessions.delete(id);
        session.open.clear();
        answered();
        // Takes what still waits out of the queues.
        session.onclose?.();
        void handle.close();
      });
    },
    HEAD: ({ response }) => {
      response.writeHead(200, STREAM_HEADERS).end();
    },
  };

  const post: Route = {
    POST: ({ response, message, query }) => {
      const ids = new URLSearchParams(query).getAll('session_id');
      const session = ids.length === 1 ? sessions.get(ids[0] ?? '') : undefined;
      if (ids.length !== 1)
        return refuse(response, 400, 'Name the session once: /message?session_id=ID, as GET /sse says.');
      if (session === undefined) {
        return refuse(response, 404, 'Session not found: its stream has ended. Open a new one with GET /sse.');
      }
      const read = readMessage(message);
      if ('problem' in read) return sendJson(response, 400, invalidRequestReply(read.id, read.problem));
      if (session.open.size >= limits.sessionOpenMax || session.unreadBytes() > limits.sessionUnreadMaxBytes) {
        return refuseForNow(
          response,
          429,
          'This session has too many answers outstanding. Read its stream, then go on.',
        );
      }
      const { message: valid } = read;
      if ('method' in valid && 'id' in valid) {
        if (session.open.has(valid.id)) {
          return sendJson(response, 400, invalidRequestReply(valid.id, 'a request with this id is still open'));
        }
        session.open.add(valid.id);
      }
      sendAccepted(response);
      session.onmessage?.(valid);
      const cancelled = cancelledRequest(valid);
      if (cancelled !== null) session.settle(cancelled);
    },
  };

  return {
    stream,
    post,
    drain: async () => {
      clearInterval(beats);
      if (openCount() > 0) await new Promise<void>((resolve) => (idle = resolve));
    },
  };
}
