// The official TypeScript client, second line: node v2.mjs legacy|auto|modern stdio|http|sse TARGET...
import { Client, SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

import { exercise } from './exercise.mjs';

const [era, kind, target, ...args] = process.argv.slice(2);
const transport =
  kind === 'stdio'
    ? new StdioClientTransport({ command: process.execPath, args: [target, ...args], stderr: 'ignore' })
    : kind === 'sse'
      ? new SSEClientTransport(new URL(target))
      : new StreamableHTTPClientTransport(new URL(target));
const mode = era === 'modern' ? { pin: '2026-07-28' } : era;
const client = new Client({ name: 'v2', version: '1' }, { versionNegotiation: { mode } });
await client.connect(transport);
await exercise(client);
await client.close();
