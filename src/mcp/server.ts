import { ProtocolError, Server } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import type { JSONRPCMessage, Notification, RequestId, Transport } from '@modelcontextprotocol/server';

import { monotonicMs } from '../clock.ts';
import { LIMITS } from '../limits.ts';
import type { Offers } from '../tools/offers.ts';
import type { Caller, ToolListing } from '../tools/types.ts';
import {
  callTool,
  demandRoom,
  errorReply,
  INSTRUCTIONS,
  protocolError,
  SERVER_NAME,
  type Room,
  type Served,
} from './dispatch.ts';
import { OrderedLane } from './lane.ts';
import { callProblem, cancelledRequest, SUBSCRIBE, writtenArguments } from './mend.ts';

/** Lists change with a release only: a client may keep them for an hour. */
const LIST_TTL_MS = 60 * 60 * 1_000;

/** What a server shares with its connection, where it has one. */
export interface Connection {
  /** Calls keep the order in which they came. */
  readonly lane: OrderedLane;
  /** The requests that are being worked on. */
  readonly working: Set<RequestId>;
  /** Beside that of all connections together. */
  readonly room?: Room;
}

/** Makes a server for one connection, session or request. */
export type MakeServer = (connection?: Connection) => Server;

/** The SDK's servers over one tool table. They share the list that they show; each speaks the revision that its client opens with. */
export function toolServers(served: Served, list: readonly ToolListing[] = served.table.list): MakeServer {
  const tools = list.map((tool) => ({ ...tool }));
  return (connection) => toolServer(served, tools, connection);
}

/** The SDK would make one for each session, for forms that a server shows: this one shows none. */
const UNUSED_VALIDATOR = {
  getValidator: () => {
    throw new Error('no schema is checked here');
  },
};

const CACHE_HINTS = {
  'tools/list': { ttlMs: LIST_TTL_MS, cacheScope: 'public' },
  'prompts/list': { ttlMs: LIST_TTL_MS, cacheScope: 'public' },
  'resources/templates/list': { ttlMs: LIST_TTL_MS, cacheScope: 'public' },
} as const;

function toolServer(
  served: Served,
  tools: { -readonly [K in keyof ToolListing]: ToolListing[K] }[],
  connection?: Connection,
): Server {
  const { table, caller, offers } = served;
  const room: Room = (chars) => (connection?.room?.(chars) ?? true) && (served.room?.(chars) ?? true);
  const work: Work = async (id, run, facts) => {
    connection?.working.add(id);
    try {
      return await run();
    } catch (thrown) {
      const { code, message } = protocolError(thrown, served.onBug);
      throw new ProtocolError(code, message, facts);
    } finally {
      connection?.working.delete(id);
    }
  };
  const server = new Server(
    { name: SERVER_NAME, version: served.version },
    {
      capabilities: { tools: { listChanged: false }, ...(offers !== undefined && { resources: {}, prompts: {} }) },
      instructions: INSTRUCTIONS,
      jsonSchemaValidator: UNUSED_VALIDATOR,
      cacheHints: CACHE_HINTS,
    },
  );
  server.setRequestHandler('tools/list', async () => ({ tools }));
  server.setRequestHandler('tools/call', async ({ params }, { mcpReq: { id, signal, notify } }) => {
    const { name, arguments: args } = params;
    const token = params._meta?.progressToken;
    const from: Caller = {
      ...callerOf(server, caller, signal),
      // Where each request is one of HTTP, its answer would have to become a stream for it.
      ...(token !== undefined && connection !== undefined && { progress: notifying(token, notify) }),
    };
    const call = async () => await callTool({ table, room }, name, writtenArguments(args), from);
    const access = table.access(name) ?? 'read';
    const inTurn = async () => {
      if (connection === undefined) return await call();
      if (access !== 'network') return await connection.lane.run(access, call);
      // It begins in its turn, behind the writes before it, and nothing waits for its end.
      await connection.lane.run(access, async () => undefined);
      return await call();
    };
    const answer = await work(id, inTurn);
    return {
      content: [{ type: 'text' as const, text: answer.text }],
      structuredContent: JSON.parse(answer.json) as Record<string, unknown>,
      ...(answer.isError && { isError: true }),
    };
  });
  if (offers !== undefined) addOffers(server, offers, caller, work, room);
  return server;
}

/** Runs the work of a request; what it throws becomes a JSON-RPC error, with these facts in it. */
type Work = <T>(id: RequestId, run: () => Promise<T>, facts?: object) => Promise<T>;

function addOffers(server: Server, offers: Offers, caller: Caller, work: Work, room: Room): void {
  const fitting = async (text: Promise<string>): Promise<string> => {
    demandRoom(room, (await text).length);
    return await text;
  };
  server.setRequestHandler('resources/list', async (_, { mcpReq: { id, signal } }) => {
    return { resources: [...(await work(id, () => offers.resources(callerOf(server, caller, signal))))] };
  });
  server.setRequestHandler('resources/templates/list', async () => ({ resourceTemplates: [...offers.templates] }));
  server.setRequestHandler('resources/read', async ({ params: { uri } }, { mcpReq: { id, signal } }) => {
    const text = await work(id, () => fitting(offers.read(uri, callerOf(server, caller, signal))), { uri });
    return { contents: [{ uri, mimeType: 'application/json', text }] };
  });
  server.setRequestHandler('prompts/list', async () => ({
    prompts: offers.prompts.map(({ arguments: args, ...prompt }) => ({
      ...prompt,
      ...(args !== undefined && { arguments: [...args] }),
    })),
  }));
  server.setRequestHandler('prompts/get', async ({ params }, { mcpReq: { id, signal } }) => {
    const from = callerOf(server, caller, signal);
    const text = await work(id, () => fitting(offers.prompt(params.name, params.arguments ?? {}, from)));
    return { messages: [{ role: 'user' as const, content: { type: 'text' as const, text } }] };
  });
}

/** More often than this nobody looks at a bar. */
const PROGRESS_EVERY_MS = 250;

/** Tells a client how far its call has come, as the protocol asks: each time more than the time before. */
function notifying(
  progressToken: string | number,
  notify: (notification: Notification) => Promise<void>,
): NonNullable<Caller['progress']> {
  let [most, sinceMs] = [0, monotonicMs()];
  return (progress, total) => {
    if (progress <= most || monotonicMs() - sinceMs < PROGRESS_EVERY_MS) return;
    [most, sinceMs] = [progress, monotonicMs()];
    const params = { progressToken, progress, ...(total !== undefined && { total }) };
    // A client that has gone needs no news; that is found out where its answer is sent.
    notify({ method: 'notifications/progress', params }).catch(() => undefined);
  };
}

function callerOf(server: Server, caller: Caller, signal: AbortSignal): Caller {
  return { ...caller, client: clientName(server) ?? caller.client, signal };
}

/**
 * Serves one connection (a pipe, an SSE stream) by the official SDK, in whatever protocol revision the client opens with.
 * What the SDK would answer with a list of schema faults is answered before it gets there. No request stays without an answer:
 * one that nobody has worked on for so long was dropped in the SDK, and is answered here.
 */
export function serveConnection(
  transport: Transport,
  makeServer: MakeServer,
  onBug: Served['onBug'],
  { room, droppedAfterMs = LIMITS.droppedAfterMs }: { readonly room?: Room; readonly droppedAfterMs?: number } = {},
): { close(): Promise<void> } {
  const connection: Connection = {
    lane: new OrderedLane(),
    working: new Set(),
    ...(room !== undefined && { room }),
  };
  const handle = serveStdio(() => makeServer(connection), { transport, onerror: () => undefined });
  /** Since when nobody works on it. */
  const unanswered = new Map<RequestId, number>();
  const send = transport.send.bind(transport);
  transport.send = async (message, options) => {
    if (!('method' in message) && message.id !== undefined) unanswered.delete(message.id);
    await send(message, options);
  };
  const fail = (id: RequestId, thrown: unknown): void =>
    void transport.send(errorReply(id, -32603, `Internal error, incident ${onBug(thrown)}.`));
  const deliver = transport.onmessage?.bind(transport);
  transport.onmessage = (message) => {
    try {
      const problem = callProblem(message);
      if (problem !== null) return void transport.send(errorReply(problem.id, -32602, problem.why));
      // A subscription is answered when it ends.
      if ('method' in message && 'id' in message && message.method !== SUBSCRIBE)
        unanswered.set(message.id, monotonicMs());
      deliver?.(message);
      const cancelled = cancelledRequest(message);
      if (cancelled !== null) unanswered.delete(cancelled);
    } catch (thrown) {
      if ('method' in message && 'id' in message) fail(message.id, thrown);
      else onBug(thrown);
    }
  };
  const rounds = setInterval(() => {
    const nowMs = monotonicMs();
    for (const [id, sinceMs] of unanswered) {
      if (connection.working.has(id)) unanswered.set(id, nowMs);
      else if (nowMs - sinceMs > droppedAfterMs) fail(id, new Error('the SDK dropped a request'));
    }
  }, droppedAfterMs / 2).unref();
  return {
    close: async () => {
      clearInterval(rounds);
      await handle.close();
    },
  };
}

/** Whether a message calls a tool that waits for a network. */
export function waitsForNetwork({ table }: Pick<Served, 'table'>, message: JSONRPCMessage): boolean {
  if (!('method' in message) || message.method !== 'tools/call') return false;
  const name = message.params?.['name'];
  return typeof name === 'string' && table.access(name) === 'network';
}

/** What the client called itself, for the operation log: a short plain name or nothing. */
function clientName(server: Server): string | undefined {
  const name = server.getClientVersion()?.name;
  return name !== undefined && /^[\w .@/-]{1,64}$/.test(name) ? name : undefined;
}
