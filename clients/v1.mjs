// The official TypeScript client, first line: node v1.mjs stdio|http|sse TARGET...
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

import { exercise } from './exercise.mjs';

const [kind, target, ...args] = process.argv.slice(2);
const transport =
  kind === 'stdio'
    ? new StdioClientTransport({ command: process.execPath, args: [target, ...args], stderr: 'ignore' })
    : kind === 'sse'
      ? new SSEClientTransport(new URL(target))
      : new StreamableHTTPClientTransport(new URL(target));
const client = new Client({ name: 'v1', version: '1' });
await client.connect(transport);
await exercise(client);
if (kind === 'http') await transport.terminateSession();
await client.close();
