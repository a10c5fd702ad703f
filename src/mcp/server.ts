import { Server } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import type { Transport } from '@modelcontextprotocol/server';

import type { Caller, ToolTable } from '../tools/types.ts';
import { INSTRUCTIONS, SERVER_NAME } from './dispatch.ts';
import { OrderedLane } from './lane.ts';

/** Serves the table over one connection by the official SDK, in whatever protocol revision the client opens with. */
export function serveConnection(
  transport: Transport,
  table: ToolTable,
  caller: Caller,
  version: string,
): { close(): Promise<void> } {
  const lane = new OrderedLane();
  const tools = table.list.map((tool) => ({ ...tool }));
  const makeServer = (): Server => {
    const server = new Server(
      { name: SERVER_NAME, version },
      { capabilities: { tools: {} }, instructions: INSTRUCTIONS },
    );
    server.setRequestHandler('tools/list', async () => ({ tools }));
    server.setRequestHandler('tools/call', async (request, context) => {
      const { name, arguments: args } = request.params;
      const answer = await lane.run(table.access(name) ?? 'read', () =>
        table.call(name, args, { ...caller, signal: context.mcpReq.signal }),
      );
      return {
        content: [{ type: 'text' as const, text: answer.text }],
        structuredContent: JSON.parse(answer.json) as Record<string, unknown>,
        ...(answer.isError && { isError: true }),
      };
    });
    return server;
  };
  return serveStdio(makeServer, { transport });
}
