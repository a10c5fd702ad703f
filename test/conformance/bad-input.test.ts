// Garbage through every HTTP door: a status and a body that a client can act on, and the next good request is answered.
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import test from 'node:test';

import { MODERN_META, mcpPost, openSse, type RpcAnswer } from '../support/mcp.ts';
import { http, startHttp, temporaryFolder, until } from '../support/processes.ts';

const BOTH = 'application/json, text/event-stream';
const PING = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
});

interface Case {
  readonly sent: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  /** Status and JSON-RPC code (null: there is none) at each door; a door that is left out is not asked. */
  readonly message?: readonly [number, number | null];
  readonly mcp?: readonly [number, number | null];
  readonly sse?: readonly [number, number | null];
}

const all = (status: number, code: number | null): Pick<Case, 'message' | 'mcp' | 'sse'> => ({
  message: [status, code],
  mcp: [status, code],
  sse: [status, code],
});
const withId = (id: string): string => `{"jsonrpc":"2.0","id":${id},"method":"ping"}`;
const modern = (method: string, params: object = {}): string =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: MODERN_META } });
const MODERN = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' };

const CASES: Readonly<Record<string, Case>> = {
  'not JSON': { sent: 'hello', ...all(400, -32700) },
  'half JSON': { sent: PING.slice(0, 20), ...all(400, -32700) },
  'an empty body': { sent: '', ...all(400, -32700) },
  'bytes that are not UTF-8': { sent: Buffer.from([0x22, 0xff, 0xfe, 0x22]), ...all(400, -32700) },
  'a body that is too large': { sent: Buffer.alloc(16 * 1024 * 1024, 0x20), ...all(413, -32600) },
  'a number': { sent: '5', message: [200, -32600], mcp: [400, -32600], sse: [400, -32600] },
  'an empty array': { sent: '[]', message: [200, -32600], mcp: [400, -32600], sse: [400, -32600] },
  'a batch': { sent: `[${PING}]`, message: [200, -32600], mcp: [200, null], sse: [400, -32600] },
  'no jsonrpc': { sent: '{"id":1,"method":"ping"}', message: [200, -32600], mcp: [400, -32600], sse: [400, -32600] },
  'no method': { sent: '{"jsonrpc":"2.0","id":1}', message: [200, -32600], mcp: [400, -32600], sse: [400, -32600] },
  'a method that is no text': {
    sent: '{"jsonrpc":"2.0","id":1,"method":7}',
    message: [200, -32600],
    mcp: [400, -32600],
    sse: [400, -32600],
  },
  'params that are no object': {
    sent: '{"jsonrpc":"2.0","id":1,"method":"ping","params":5}',
    message: [200, null],
    mcp: [400, -32600],
    sse: [400, -32600],
  },
  'an id that is an object': { sent: withId('{}'), message: [200, null], mcp: [400, -32600], sse: [400, -32600] },
  'an id that is a list': { sent: withId('[1]'), message: [200, null], mcp: [400, -32600], sse: [400, -32600] },
  'an id that is true': { sent: withId('true'), message: [200, null], mcp: [400, -32600], sse: [400, -32600] },
  'an id of null': { sent: withId('null'), message: [200, null], mcp: [400, -32600], sse: [400, -32600] },
  'an id with a fraction': { sent: withId('1.5'), message: [200, null], mcp: [400, -32600], sse: [400, -32600] },
  'an unknown method': {
    sent: '{"jsonrpc":"2.0","id":1,"method":"no/such"}',
    message: [200, -32601],
    mcp: [200, -32601],
    sse: [202, null],
  },
  'a tool that does not exist': {
    sent: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"nope"}}',
    message: [200, -32602],
    mcp: [200, -32602],
    sse: [202, null],
  },
  'a call without a name': {
    sent: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}',
    message: [200, -32602],
    mcp: [200, -32602],
    sse: [202, null],
  },
  'a content type that is not JSON': { sent: PING, headers: { 'content-type': 'text/plain' }, ...all(415, -32600) },
  'an Accept without streams': { sent: PING, headers: { accept: 'application/json' }, mcp: [406, -32000] },
  'a foreign Origin': { sent: PING, headers: { origin: 'https://evil.example' }, ...all(403, null) },
  'a foreign Host': { sent: PING, headers: { host: 'evil.example' }, ...all(403, null) },
  'a session that does not exist': { sent: PING, headers: { 'mcp-session-id': 'nobody' }, mcp: [404, -32001] },
  'a protocol version that does not exist': {
    sent: PING,
    headers: { 'mcp-protocol-version': '1999-01-01' },
    mcp: [400, -32000],
  },
  'a revision of 2026 without its envelope': {
    sent: PING,
    headers: { 'mcp-protocol-version': '2026-07-28' },
    mcp: [400, -32602],
  },
  'an envelope whose headers say something else': {
    sent: modern('tools/list'),
    headers: { ...MODERN, 'mcp-method': 'tools/call' },
    mcp: [400, -32020],
  },
  'an unknown method of 2026': {
    sent: modern('no/such'),
    headers: { ...MODERN, 'mcp-method': 'no/such' },
    mcp: [404, -32601],
  },
};

test('bad input is answered, and so is the next good request', async (t) => {
  const server = await startHttp(['--db', join(temporaryFolder(t), 'm.db')]);
  const { port } = server;
  const session = await openSse(port);
  for (const [name, { sent, headers, ...doors }] of Object.entries(CASES)) {
    const paths = { message: '/message', mcp: '/mcp', sse: session.endpoint };
    for (const [door, path] of Object.entries(paths)) {
      const expected = doors[door as keyof typeof doors];
      if (expected === undefined) continue;
      const got = await http(port, {
        path,
        body: sent,
        headers: { 'content-type': 'application/json', accept: BOTH, ...headers },
      });
      const parsed = (got.body === '' ? {} : JSON.parse(got.body)) as RpcAnswer & { message?: string };
      const [status, code] = expected;
      assert.deepEqual([got.status, parsed.error?.code ?? null], [status, code], `${name}, ${path}: ${got.body}`);
      if (status >= 400) assert.ok((parsed.error?.message ?? parsed.message ?? '').length > 10, `${name}: ${got.body}`);
    }
    assert.equal((await http(port, { body: PING })).status, 200, `after: ${name}`);
  }
  assert.equal((await mcpPost(port, PING)).answer.error, undefined);
  assert.deepEqual((await session.ask(JSON.parse(INITIALIZE) as object)).error, undefined);
  session.close();
  server.child.kill('SIGTERM');
  assert.equal(await server.ended, 0);
});

test('a request that is split at every byte is one request', async (t) => {
  const server = await startHttp(['--db', join(temporaryFolder(t), 'm.db')]);
  const whole = `POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: ${BOTH}\r\ncontent-length: ${PING.length}\r\n\r\n${PING}`;
  const socket = createConnection(server.port, '127.0.0.1').setNoDelay(true);
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  for (let cut = 1; cut < whole.length; cut++) {
    text = '';
    socket.write(whole.slice(0, cut));
    await new Promise((resolve) => setImmediate(resolve));
    socket.write(whole.slice(cut));
    await until(() => (text.includes('"result":{}') ? true : undefined));
  }
  socket.destroy();
  server.child.kill('SIGTERM');
  assert.equal(await server.ended, 0);
});
