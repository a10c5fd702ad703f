import { Server } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/server';

import type { Caller, ToolTable } from '../tools/types.ts';
import { errorReply, INSTRUCTIONS, REVISIONS, SERVER_NAME, toolCallProblem } from './dispatch.ts';
import { OrderedLane } from './lane.ts';

type Params = Readonly<Record<string, unknown>>;

/** What stands behind a connection. */
export interface Connection {
  readonly table: ToolTable;
  readonly caller: Caller;
  readonly version: string;
  /** Notes an error that is ours and answers the id of the incident. */
  readonly onBug: (error: unknown) => string;
}

/**
 * Serves the table over one connection by the official SDK, in whatever protocol revision the client opens with. What the
 * SDK would answer with a list of schema faults is put right or answered before it gets there, as `POST /message` does it.
 */
export function serveConnection(transport: Transport, connection: Connection): { close(): Promise<void> } {
  const { table, caller, version, onBug } = connection;
  const lane = new OrderedLane();
  const tools = table.list.map((tool) => ({ ...tool }));
  /** Arguments that are no object, by request: the SDK lets none through, but the table has the better sentence. */
  const oddArguments = new Map<unknown, unknown>();

  const makeServer = (): Server => {
    const server = new Server(
      { name: SERVER_NAME, version },
      { capabilities: { tools: { listChanged: false } }, instructions: INSTRUCTIONS },
    );
    server.setRequestHandler('tools/list', async () => ({ tools }));
    server.setRequestHandler('tools/call', async (request, context) => {
      const { name } = request.params;
      const { id, signal } = context.mcpReq;
      const args = oddArguments.has(id) ? oddArguments.get(id) : request.params.arguments;
      oddArguments.delete(id);
      const client = clientName(server) ?? caller.client;
      const answer = await lane.run(table.access(name) ?? 'read', () =>
        table.call(name, args, { ...caller, client, signal }),
      );
      return {
        content: [{ type: 'text' as const, text: answer.text }],
        structuredContent: JSON.parse(answer.json) as Record<string, unknown>,
        ...(answer.isError && { isError: true }),
      };
    });
    return server;
  };

  const handle = serveStdio(makeServer, { transport, onerror: () => undefined });
  const deliver = transport.onmessage?.bind(transport);
  transport.onmessage = (message) => {
    try {
      if (!('method' in message) || !('id' in message)) return deliver?.(message);
      const params = message.params as Params | undefined;
      if (message.method === 'tools/call') {
        const problem = toolCallProblem(params);
        if (problem !== null) return void transport.send(errorReply(message.id, -32602, problem));
        const args = params?.['arguments'];
        if (args !== undefined && !isObject(args)) {
          oddArguments.set(message.id, args);
          return deliver?.({ ...message, params: { ...params, arguments: {} } } as JSONRPCMessage);
        }
      }
      if (message.method === 'initialize') return deliver?.({ ...message, params: introduced(params) });
      deliver?.(message);
    } catch (thrown) {
      const incident = onBug(thrown);
      if ('id' in message)
        void transport.send(errorReply(message.id ?? undefined, -32603, `Internal error, incident ${incident}`));
    }
  };
  return handle;
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `initialize` with what a hurried client (a shell script) left out. */
function introduced(params: Params | undefined): Params {
  const { protocolVersion, capabilities, clientInfo } = params ?? {};
  const info: Params = isObject(clientInfo) ? (clientInfo as Params) : {};
  return {
    ...params,
    protocolVersion: typeof protocolVersion === 'string' ? protocolVersion : REVISIONS[0],
    capabilities: isObject(capabilities) ? capabilities : {},
    clientInfo: {
      ...info,
      name: typeof info['name'] === 'string' ? info['name'] : 'unknown',
      version: typeof info['version'] === 'string' ? info['version'] : '0',
    },
  };
}

/** What the client called itself, for the operation log: a short plain name or nothing. */
function clientName(server: Server): string | undefined {
  const name = server.getClientVersion()?.name;
  return name !== undefined && /^[\w .@/-]{1,64}$/.test(name) ? name : undefined;
}
