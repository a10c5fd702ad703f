// Cancels many calls with the official TypeScript client, first line: node cancel.mjs URL COUNT. The server must have a tool
// that waits. It prints how many were cancelled, and how many streams it has still open when all its attempts to resume are over.
import { setTimeout as sleep } from 'node:timers/promises';

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const [url, count] = process.argv.slice(2);
const resumed = {};
let lasting = 0;
/** Counts the responses to GET whose body goes on. */
async function countingFetch(target, init) {
  const response = await fetch(target, init);
  if (init?.method !== 'GET') return response;
  resumed[response.status] = (resumed[response.status] ?? 0) + 1;
  if (!response.ok) return response;
  lasting += 1;
  const { readable, writable } = new TransformStream();
  void response.body.pipeTo(writable).then(
    () => (lasting -= 1),
    () => (lasting -= 1),
  );
  return new Response(readable, response);
}

const client = new Client({ name: 'cancel', version: '1' });
// As often as it does by itself, and sooner.
const reconnectionOptions = {
  initialReconnectionDelay: 50,
  maxReconnectionDelay: 100,
  reconnectionDelayGrowFactor: 1.5,
  maxRetries: 2,
};
await client.connect(new StreamableHTTPClientTransport(new URL(url), { fetch: countingFetch, reconnectionOptions }));
let cancelled = 0;
await Promise.all(
  Array.from({ length: Number(count) }, async (_, i) => {
    const aborter = new AbortController();
    const call = client.callTool({ name: 'wait' }, undefined, { signal: aborter.signal });
    setTimeout(() => aborter.abort(), 100 + 10 * i);
    await call.catch(() => (cancelled += 1));
  }),
);
await sleep(1_000);
process.stdout.write(`${JSON.stringify({ cancelled, lasting, resumed })}\n`);
process.exit(0);
