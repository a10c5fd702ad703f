import { ProtocolError, Server } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/server';

import type { Offers } from '../tools/offers.ts';
import type { Caller, ToolListing } from '../tools/types.ts';
import { errorReply, INSTRUCTIONS, protocolError, SERVER_NAME, type Served } from './dispatch.ts';
import { OrderedLane } from './lane.ts';
import { callProblem, mend, writtenArguments } from './mend.ts';

/** Lists change with a release only: a client may keep them for an hour. */
const LIST_TTL_MS = 60 * 60 * 1_000;

/** Makes a server for one connection, session or request; with a lane, calls keep the order in which they came. */
export type MakeServer = (lane?: OrderedLane) => Server;

/** The SDK's servers over one tool table, whose list they share; each speaks the revision that its client opens with. */
export function toolServers(served: Served): MakeServer {
  const tools = served.table.list.map((tool) => ({ ...tool }));
  return (lane) => toolServer(served, tools, lane);
}

function toolServer(
  served: Served,
  tools: { -readonly [K in keyof ToolListing]: ToolListing[K] }[],
  lane?: OrderedLane,
): Server {
  const { table, caller, offers } = served;
  const server = new Server(
    { name: SERVER_NAME, version: served.version },
    {
      capabilities: { tools: { listChanged: false }, ...(offers !== undefined && { resources: {}, prompts: {} }) },
      instructions: INSTRUCTIONS,
      cacheHints: {
        'tools/list': { ttlMs: LIST_TTL_MS, cacheScope: 'public' },
        'prompts/list': { ttlMs: LIST_TTL_MS, cacheScope: 'public' },
        'resources/templates/list': { ttlMs: LIST_TTL_MS, cacheScope: 'public' },
      },
    },
  );
  server.setRequestHandler('tools/list', async () => ({ tools }));
  server.setRequestHandler('tools/call', async (request, context) => {
    const { name } = request.params;
    const args = writtenArguments(request.params.arguments);
    const from = callerOf(server, caller, context.mcpReq.signal);
    const call = async () => await table.call(name, args, from);
    try {
      const answer = await (lane === undefined ? call() : lane.run(table.access(name) ?? 'read', call));
      return {
        content: [{ type: 'text' as const, text: answer.text }],
        structuredContent: JSON.parse(answer.json) as Record<string, unknown>,
        ...(answer.isError && { isError: true }),
      };
    } catch (thrown) {
      throw sdkError(thrown, served);
    }
  });
  if (offers !== undefined) addOffers(server, offers, served);
  return server;
}

function addOffers(server: Server, offers: Offers, served: Served): void {
  const { caller } = served;
  const orError = async <T>(work: Promise<T>, facts?: object): Promise<T> => {
    try {
      return await work;
    } catch (thrown) {
      throw sdkError(thrown, served, facts);
    }
  };
  server.setRequestHandler('resources/list', async (_, { mcpReq: { signal } }) => {
    return { resources: [...(await orError(offers.resources(callerOf(server, caller, signal))))] };
  });
  server.setRequestHandler('resources/templates/list', async () => ({ resourceTemplates: [...offers.templates] }));
  server.setRequestHandler('resources/read', async ({ params: { uri } }, { mcpReq: { signal } }) => {
    const text = await orError(offers.read(uri, callerOf(server, caller, signal)), { uri });
    return { contents: [{ uri, mimeType: 'application/json', text }] };
  });
  server.setRequestHandler('prompts/list', async () => ({
    prompts: offers.prompts.map(({ arguments: args, ...prompt }) => ({
      ...prompt,
      ...(args !== undefined && { arguments: [...args] }),
    })),
  }));
  server.setRequestHandler('prompts/get', async ({ params }, { mcpReq: { signal } }) => {
    const text = await orError(offers.prompt(params.name, params.arguments ?? {}, callerOf(server, caller, signal)));
    return { messages: [{ role: 'user' as const, content: { type: 'text' as const, text } }] };
  });
}

function callerOf(server: Server, caller: Caller, signal: AbortSignal): Caller {
  return { ...caller, client: clientName(server) ?? caller.client, signal };
}

function sdkError(thrown: unknown, { onBug }: Served, facts?: object): ProtocolError {
  const { code, message } = protocolError(thrown, onBug);
  return new ProtocolError(code, message, facts);
}

/**
 * Serves one connection (a pipe, an SSE stream) by the official SDK, in whatever protocol revision the client opens with.
 * What the SDK would answer with a list of schema faults is put right or answered before it gets there.
 */
export function serveConnection(
  transport: Transport,
  makeServer: MakeServer,
  onBug: Served['onBug'],
): { close(): Promise<void> } {
  const lane = new OrderedLane();
  const handle = serveStdio(() => makeServer(lane), { transport, onerror: () => undefined });
  const deliver = transport.onmessage?.bind(transport);
  transport.onmessage = (message) => {
    try {
      const problem = callProblem(message);
      if (problem !== null) return void transport.send(errorReply(problem.id, -32602, problem.why));
      deliver?.(mend(message) as JSONRPCMessage);
    } catch (thrown) {
      const incident = onBug(thrown);
      if ('id' in message)
        void transport.send(errorReply(message.id ?? undefined, -32603, `Internal error, incident ${incident}.`));
    }
  };
  return handle;
}

/** What the client called itself, for the operation log: a short plain name or nothing. */
function clientName(server: Server): string | undefined {
  const name = server.getClientVersion()?.name;
  return name !== undefined && /^[\w .@/-]{1,64}$/.test(name) ? name : undefined;
}
