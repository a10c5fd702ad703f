// Garbage through every door: a status and a body that a client can act on, and the next good request is answered.
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import test from 'node:test';

import {
  createMcpHandler,
  isLegacyRequest,
  ProtocolError,
  Server,
  WebStandardStreamableHTTPServerTransport as SdkTransport,
} from '@modelcontextprotocol/server';

import { lastEvent, MODERN_META, mcpPost, openSse, type RpcAnswer } from '../support/mcp.ts';
import { http, startHttp, startMimir, temporaryFolder, until } from '../support/processes.ts';

const VERSION = { 'mcp-protocol-version': '2025-11-25' };
const BOTH = 'application/json, text/event-stream';
const PING = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
});

/** Status and JSON-RPC code; null stands for none. */
type Outcome = readonly [status: number | null, code: number | null];

/** The doors, and what each answers to a row; a door that is left out is not asked: it has no such input. */
interface Expected {
  readonly stdio?: Outcome;
  readonly message?: Outcome;
  readonly mcp?: Outcome;
  readonly session?: Outcome;
  readonly sse?: Outcome;
}

interface Case extends Expected {
  readonly sent: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  /** Why the official server answers something else at `/mcp`; without it, it answers the same. */
  readonly own?: string;
}

const LIMITED = 'The specification names no status for it; it is the one that the other doors of this server give.';

const everyDoor = (status: number, code: number | null): Expected => ({
  stdio: [null, code],
  ...everyPost(status, code),
});
const everyPost = (status: number, code: number | null): Expected => ({
  message: [status, code],
  mcp: [status, code],
  session: [status, code],
  sse: [status, code],
});
/** JSON that is no request: a script reads the body, so `/message` says 200 as the original does. */
const noRequest: Expected = { ...everyDoor(400, -32600), message: [200, -32600] };
/** A request that is answered with this error; HTTP+SSE answers it on the stream. */
const answered = (code: number): Expected => ({ ...everyDoor(200, code), sse: [202, code] });
const atMcp = (status: number, code: number): Expected => ({ mcp: [status, code], session: [status, code] });

const withId = (id: string): string => `{"jsonrpc":"2.0","id":${id},"method":"ping"}`;
const modern = (method: string, params: object = {}): string =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: MODERN_META } });
const MODERN = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' };

const CASES: Readonly<Record<string, Case>> = {
  'not JSON': { sent: 'hello', ...everyDoor(400, -32700) },
  'half JSON': { sent: PING.slice(0, 20), ...everyDoor(400, -32700) },
  'an empty body': { sent: '', ...everyPost(400, -32700) },
  'bytes that are not UTF-8': { sent: Buffer.from([0x22, 0xff, 0xfe, 0x22]), ...everyDoor(400, -32700), own: LIMITED },
  'a body that is too large': { sent: Buffer.alloc(16 * 1024 * 1024, 0x20), ...everyPost(413, -32600), own: LIMITED },
  'a line that is too large': { sent: Buffer.alloc(40 * 1024 * 1024, 0x20), stdio: [null, -32600] },
  'a number': { sent: '5', ...noRequest },
  'an empty array': { sent: '[]', ...noRequest },
  'a batch': { sent: `[${PING}]`, ...noRequest, mcp: [200, null], session: [200, null] },
  'no jsonrpc': { sent: '{"id":1,"method":"ping"}', ...noRequest },
  'no method': { sent: '{"jsonrpc":"2.0","id":1}', ...noRequest },
  'a method that is no text': { sent: '{"jsonrpc":"2.0","id":1,"method":7}', ...noRequest },
  'params that are no object': {
    sent: '{"jsonrpc":"2.0","id":1,"method":"ping","params":5}',
    ...noRequest,
    message: [200, null],
  },
  'an id that is an object': { sent: withId('{}'), ...noRequest },
  'an id that is a list': { sent: withId('[1]'), ...noRequest },
  'an id that is true': { sent: withId('true'), ...noRequest },
  'an id that JSON rounds': { sent: withId('9007199254740993'), ...noRequest },
  'an id that is far too large': { sent: withId('1e400'), ...noRequest },
  'an id of null': { sent: withId('null'), ...noRequest, message: [200, null] },
  'an id with a fraction': { sent: withId('1.5'), ...noRequest, message: [200, null] },
  'a member that JSON-RPC does not know': {
    sent: '{"jsonrpc":"2.0","id":1,"method":"ping","extra":1}',
    ...noRequest,
    message: [200, null],
  },
  'an unknown method': { sent: '{"jsonrpc":"2.0","id":1,"method":"no/such"}', ...answered(-32601) },
  'a tool that does not exist': {
    sent: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"nope"}}',
    ...answered(-32602),
  },
  'a call without a name': {
    sent: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}',
    ...answered(-32602),
  },
  'a content type that is not JSON': {
    sent: PING,
    headers: { 'content-type': 'text/plain' },
    ...everyPost(415, -32600),
    own: LIMITED,
  },
  'an Accept without streams': { sent: PING, headers: { accept: 'application/json' }, ...atMcp(406, -32000) },
  'a foreign Origin': {
    sent: PING,
    headers: { origin: 'https://evil.example' },
    ...everyPost(403, null),
    own: LIMITED,
  },
  'a foreign Host': { sent: PING, headers: { host: 'evil.example' }, ...everyPost(403, null), own: LIMITED },
  'a session that does not exist': {
    sent: PING,
    headers: { 'mcp-session-id': 'nobody' },
    mcp: [404, -32001],
    session: [404, -32001],
  },
  'a protocol version that does not exist': {
    sent: PING,
    headers: { 'mcp-protocol-version': '1999-01-01' },
    ...atMcp(400, -32000),
  },
  'a revision of 2026 without its envelope': {
    sent: PING,
    headers: { 'mcp-protocol-version': '2026-07-28' },
    ...atMcp(400, -32602),
  },
  'an envelope whose headers say something else': {
    sent: modern('tools/list'),
    headers: { ...MODERN, 'mcp-method': 'tools/call' },
    ...atMcp(400, -32020),
  },
  'an unknown method of 2026': {
    sent: modern('no/such'),
    headers: { ...MODERN, 'mcp-method': 'no/such' },
    ...atMcp(404, -32601),
  },
};

type Headers = Readonly<Record<string, string>>;
/** What a door answered, and its text. */
interface Answered {
  readonly status: number | null;
  readonly text: string;
}
type Send = (sent: string | Buffer, headers?: Headers) => Promise<Answered>;

/** A POST to a path; where the answer comes on a stream, the text of the last event. */
function poster(port: number, path: string, always: Headers = {}): Send {
  return async (body, headers) => {
    const all = { 'content-type': 'application/json', accept: BOTH, ...always, ...headers };
    const got = await http(port, { path, body, headers: all });
    const isStream = String(got.headers['content-type']).startsWith('text/event-stream');
    return { status: got.status, text: isStream ? JSON.stringify(lastEvent(got.body)) : got.body };
  };
}

/** The official transport of the SDK over a server without a tool, as a session or without one. */
async function official(inSession: boolean): Promise<Send> {
  const makeServer = (): Server => {
    const server = new Server({ name: 'official', version: '1' }, { capabilities: { tools: {} } });
    server.setRequestHandler('tools/list', async () => ({ tools: [] }));
    server.setRequestHandler('tools/call', async () => {
      throw new ProtocolError(-32602, 'Unknown tool');
    });
    return server;
  };
  const handler = createMcpHandler(makeServer, { legacy: inSession ? 'reject' : 'stateless' });
  const transport = new SdkTransport({ sessionIdGenerator: () => 'official' });
  await makeServer().connect(transport);
  const ask = async (body: string | Buffer, headers?: Headers): Promise<Response> => {
    const all = { 'content-type': 'application/json', accept: BOTH, ...headers };
    const bytes = new Uint8Array(Buffer.from(body));
    const request = new Request('http://localhost/mcp', { method: 'POST', headers: all, body: bytes });
    const isOurs = inSession && (await isLegacyRequest(request.clone()));
    return await (isOurs ? transport.handleRequest(request) : handler.fetch(request));
  };
  const read = async (response: Response): Promise<Answered> => {
    const text = await response.text();
    const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
    return { status: response.status, text: isStream ? JSON.stringify(lastEvent(text)) : text };
  };
  if (inSession) await read(await ask(INITIALIZE));
  const session = inSession ? { 'mcp-session-id': 'official', ...VERSION } : {};
  return async (body, headers) => await read(await ask(body, { ...session, ...headers }));
}

function outcome({ status, text }: Answered): Outcome {
  const parsed: unknown = text === '' ? {} : JSON.parse(text);
  return [status, (parsed as RpcAnswer).error?.code ?? null];
}

test('bad input is answered at every door, and so is the next good request at the same door', async (t) => {
  const folder = temporaryFolder(t);
  const server = await startHttp(['--db', join(folder, 'm.db')]);
  const { port } = server;
  const stdio = startMimir(['--db', join(folder, 'stdio.db')]);
  for (const { child } of [server, stdio]) t.after(() => child.kill('SIGKILL'));
  const line: Send = async (sent) => {
    const { length } = stdio.printed.stdout;
    stdio.child.stdin.write(sent);
    stdio.child.stdin.write('\n');
    return { status: null, text: await until(() => /^(.+)\n/.exec(stdio.printed.stdout.slice(length))?.[1]) };
  };
  const stream = await openSse(port);
  const streamed: Send = async (sent, headers) => {
    const { length } = stream.text();
    const posted = await poster(port, stream.endpoint)(sent, headers);
    if (posted.status !== 202) return posted;
    return { status: 202, text: await until(() => /data: (.*)\n\n/.exec(stream.text().slice(length))?.[1]) };
  };
  const begun = await mcpPost(port, INITIALIZE);
  const session = { 'mcp-session-id': String(begun.headers['mcp-session-id']), ...VERSION };
  const doors: Readonly<Record<keyof Expected, Send>> = {
    stdio: line,
    message: poster(port, '/message'),
    mcp: poster(port, '/mcp'),
    session: poster(port, '/mcp', session),
    sse: streamed,
  };
  for (const door of [line, streamed]) assert.equal(outcome(await door(INITIALIZE))[1], null);
  for (const [name, { sent, headers, own: _, ...expected }] of Object.entries(CASES)) {
    for (const [door, wanted] of Object.entries(expected) as [keyof Expected, Outcome][]) {
      const got = await doors[door](sent, headers);
      assert.deepEqual(outcome(got), wanted, `${name}, ${door}: ${got.text.slice(0, 200)}`);
      const { error, message, id } = JSON.parse(got.text) as RpcAnswer & { readonly message?: string };
      if (wanted[1] !== null) assert.ok((error?.message ?? message ?? '').length > 10, `${name}, ${door}: ${got.text}`);
      // At /mcp the SDK answers, and repeats what it has read.
      const isTheirs = door === 'mcp' || door === 'session';
      if (name.startsWith('an id ') && wanted[1] !== null && !isTheirs) assert.equal(id, null, `${name}, ${door}`);
      const after = await doors[door]('{"jsonrpc":"2.0","id":"after","method":"ping"}');
      const { id: afterId, result } = JSON.parse(after.text) as RpcAnswer;
      assert.deepEqual([afterId, result !== undefined], ['after', true], `after ${name}, ${door}: ${after.text}`);
    }
  }
  stream.close();
  stdio.child.stdin.end();
  assert.equal(await stdio.ended, 0);
  server.child.kill('SIGTERM');
  assert.equal(await server.ended, 0);
});

test('at /mcp bad input gets the status and the code that the official server gives', async () => {
  for (const inSession of [false, true]) {
    const theirs = await official(inSession);
    for (const [name, { sent, headers, own, ...expected }] of Object.entries(CASES)) {
      const ours = inSession ? expected.session : expected.mcp;
      if (ours === undefined) continue;
      // Without a session of its own it is a server that has none, and looks at none.
      if (!inSession && headers?.['mcp-session-id'] !== undefined) continue;
      const got = outcome(await theirs(sent, headers));
      const where = `${name}, ${inSession ? 'in a session' : 'without a session'}`;
      if (own === undefined) assert.deepEqual(ours, got, where);
      else assert.notDeepEqual(ours, got, `${where}: the same by now, so it needs no reason`);
    }
  }
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
