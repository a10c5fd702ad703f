import { ProtocolError, Server } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/server';

import { errorReply, INSTRUCTIONS, protocolError, SERVER_NAME, type Served } from './dispatch.ts';
import { OrderedLane } from './lane.ts';
import { callProblem, mend, writtenArguments } from './mend.ts';

/** Lists change with a release only: a client may keep them for an hour. */
const LIST_TTL_MS = 60 * 60 * 1_000;

/** The SDK's server over the tool table, in whatever revision it is connected with. It serves one connection, session or request. */
export function toolServer(served: Served, lane?: OrderedLane): Server {
  const { table, caller } = served;
  const server = new Server(
    { name: SERVER_NAME, version: served.version },
    {
      capabilities: { tools: { listChanged: false } },
      instructions: INSTRUCTIONS,
      cacheHints: { 'tools/list': { ttlMs: LIST_TTL_MS, cacheScope: 'public' } },
    },
  );
  const tools = table.list.map((tool) => ({ ...tool }));
  server.setRequestHandler('tools/list', async () => ({ tools }));
  server.setRequestHandler('tools/call', async (request, context) => {
    const { name } = request.params;
    const { signal } = context.mcpReq;
    const client = clientName(server) ?? caller.client;
    const args = writtenArguments(request.params.arguments);
    const call = async () => await table.call(name, args, { ...caller, client, signal });
    try {
      const answer = await (lane === undefined ? call() : lane.run(table.access(name) ?? 'read', call));
      return {
        content: [{ type: 'text' as const, text: answer.text }],
        structuredContent: JSON.parse(answer.json) as Record<string, unknown>,
        ...(answer.isError && { isError: true }),
      };
    } catch (thrown) {
      const { code, message } = protocolError(thrown, served.onBug);
      throw new ProtocolError(code, message);
    }
  });
  return server;
}

/**
 * Serves one connection (a pipe, an SSE stream) by the official SDK, in whatever protocol revision the client opens with.
 * What the SDK would answer with a list of schema faults is put right or answered before it gets there.
 */
export function serveConnection(
  transport: Transport,
  makeServer: () => Server,
  onBug: Served['onBug'],
): { close(): Promise<void> } {
  const handle = serveStdio(makeServer, { transport, onerror: () => undefined });
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
