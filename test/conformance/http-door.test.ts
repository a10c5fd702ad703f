import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { LIMITS } from '../../src/limits.ts';
import { dispatch } from '../../src/mcp/dispatch.ts';
import { turnedAway } from '../../src/transport/guard.ts';
import { listen, type HttpLimits, type HttpServer } from '../../src/transport/http.ts';
import { messageRoute } from '../../src/transport/message.ts';
import type { ToolTable } from '../../src/tools/types.ts';
import { callText, http, startHttp, startMimir, temporaryFolder, until } from '../support/processes.ts';

const PING = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
const PONG = '{"jsonrpc":"2.0","id":1,"result":{}}';

/** A door of this process, with limits as small as a test wants them. */
async function door(
  t: TestContext,
  limits: Partial<HttpLimits> = {},
  answer: () => Promise<string> = async () => PONG,
): Promise<HttpServer> {
  const admission = { host: '127.0.0.1', allowedHosts: [], allowedOrigins: [], token: null };
  const server = await listen(
    {
      admission,
      port: 0,
      routes: { '/message': messageRoute(answer, () => true) },
      ready: () => true,
      onBug: () => 'none',
    },
    { ...LIMITS, timeoutCheckMs: 20, ...limits },
  );
  t.after(() => server.close());
  return server;
}

/** A raw connection, and what came back over it. */
async function connect(port: number): Promise<{ socket: Socket; text: () => string; closed: Promise<void> }> {
  const socket = createConnection(port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1'))).on('error', () => undefined);
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  await new Promise((resolve) => socket.once('connect', resolve));
  return { socket, text: () => text, closed };
}

const head = (length: number, more = ''): string =>
  `POST /message HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n${more}\r\n`;
const bodyOf = (text: string): { error: { code: number; message: string } } =>
  JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4)) as { error: { code: number; message: string } };

test('headers and bodies that come too slowly are cut off with a 408', async (t) => {
  const server = await door(t, { headersTimeoutMs: 60, requestTimeoutMs: 120 });
  for (const start of ['POST /message HTTP/1.1\r\nhost: loc', head(50) + '{"json']) {
    const { socket, text, closed } = await connect(server.port);
    socket.write(start);
    await closed;
    assert.match(text(), /^HTTP\/1\.1 408 /);
    assert.equal(bodyOf(text()).error.code, -32600);
  }
});

test('connections above the cap are told so, and there is room again when one closes', async (t) => {
  const server = await door(t, { connectionsMax: 2 });
  const held = [await connect(server.port), await connect(server.port)];
  const refused = await http(server.port, { body: PING });
  assert.equal(refused.status, 503);
  assert.equal(refused.headers['retry-after'], '1');
  assert.match(refused.body, /At most 2 connections/);
  held[0]?.socket.destroy();
  await until(() => (held[0]?.socket.closed === true ? true : undefined));
  await sleep(20);
  assert.equal((await http(server.port, { body: PING })).status, 200);
  for (const { socket } of held) socket.destroy();
});

test('bytes in flight are bounded, and are free again after the answer and after a client that went away', async (t) => {
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  const answer = async (): Promise<string> => await gate.then(() => PONG);
  const server = await door(t, { httpInFlightMaxBytes: 5_000 }, answer);
  const large = JSON.stringify('x'.repeat(3_000));
  const waiting = http(server.port, { body: large });
  await sleep(30);
  const refused = await http(server.port, { body: large });
  assert.equal(refused.status, 503);
  assert.match(refused.body, /Too many requests at once/);
  release();
  assert.equal((await waiting).status, 200);
  const gone = await connect(server.port);
  gone.socket.write(head(4_000) + 'y'.repeat(3_000));
  await sleep(30);
  gone.socket.destroy();
  await sleep(30);
  assert.equal((await http(server.port, { body: large })).status, 200);
});

test('bodies that arrive at the same time are bounded together, whether they say their length or not', async (t) => {
  const server = await door(t, { httpInFlightMaxBytes: 100_000, httpBodyMaxBytes: 50_000 });
  const almost = `"${'x'.repeat(40_000)}`;
  const chunked =
    'POST /message HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n' +
    `${almost.length.toString(16)}\r\n${almost}\r\n`;
  for (const [start, end] of [
    [head(almost.length + 1) + almost, '"'],
    [chunked, '1\r\n"\r\n0\r\n\r\n'],
  ] as const) {
    const half = await Promise.all(Array.from({ length: 10 }, () => connect(server.port)));
    for (const { socket } of half) socket.write(start);
    await until(() => (half.filter(({ text }) => text() !== '').length === 8 ? true : undefined));
    for (const { text } of half) assert.match(text(), /^$|^HTTP\/1\.1 503 [^]*retry-after: 1/);
    for (const { socket } of half) socket.write(end);
    await until(() => (half.every(({ text }) => text() !== '') ? true : undefined));
    assert.equal(half.filter(({ text }) => text().includes(PONG)).length, 2, 'those that fitted are answered');
    for (const { socket } of half) socket.write(head(PING.length) + PING);
    await until(() => (half.every(({ text }) => text().endsWith(PONG)) ? true : undefined));
    for (const { socket } of half) socket.destroy();
  }
});

test('a body in crumbs counts as what its pieces take', async (t) => {
  const server = await door(t, { httpInFlightMaxBytes: 100_000 });
  const { socket, text } = await connect(server.port);
  socket.write(
    'POST /message HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n' +
      '1\r\n \r\n'.repeat(1_000),
  );
  await until(() => (text().startsWith('HTTP/1.1 503') ? true : undefined));
  socket.destroy();
});

test('a body that is too large is answered 413 while it is still sent, and the connection can be used again', async (t) => {
  const server = await door(t, { httpBodyMaxBytes: 1_000 });
  const { socket, text } = await connect(server.port);
  socket.write(head(4_000) + 'x'.repeat(4_000));
  socket.write(head(PING.length) + PING);
  await until(() => (text().includes(PONG) ? true : undefined));
  assert.match(text(), /^HTTP\/1\.1 413 [^]*at most 1000 bytes[^]*HTTP\/1\.1 200 OK/);
  // Chunked: nothing announces the size.
  const chunked = await connect(server.port);
  chunked.socket.write(
    'POST /message HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n',
  );
  chunked.socket.write(`7d0\r\n${'x'.repeat(2_000)}\r\n`);
  await until(() => (chunked.text().includes('413') ? true : undefined));
  for (let i = 0; i < 20; i++) chunked.socket.write(`7d0\r\n${'x'.repeat(2_000)}\r\n`);
  await chunked.closed;
  socket.destroy();
});

test('who is refused reads why at once, and the connection ends when all was sent, not before', async (t) => {
  const server = await door(t);
  for (const [path, status] of [
    ['/message', 415],
    ['/nowhere', 404],
  ] as const) {
    const { socket, text, closed } = await connect(server.port);
    const ended = closed.then(() => 'closed');
    socket.write(`POST ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 2000\r\n\r\n`);
    await until(() => (text().includes('"error"') ? true : undefined));
    assert.match(text(), new RegExp(`^HTTP/1.1 ${status} `));
    // A client that meets a closed connection while it sends mostly reads nothing any more.
    assert.equal(await Promise.race([ended, sleep(100).then(() => 'open')]), 'open');
    socket.write('x'.repeat(2_000));
    assert.equal(await ended, 'closed');
  }
});

test('who asks before sending a body is told before sending it', async (t) => {
  const server = await door(t, { httpBodyMaxBytes: 1_000 });
  const polite = await connect(server.port);
  polite.socket.write(head(PING.length, 'expect: 100-continue\r\n'));
  await until(() => (polite.text().includes('100 Continue') ? true : undefined));
  polite.socket.write(PING);
  await until(() => (polite.text().includes(PONG) ? true : undefined));
  const refused = await connect(server.port);
  refused.socket.write(head(2_000, 'expect: 100-continue\r\n'));
  await until(() => (refused.text().includes('413') ? true : undefined));
  assert.ok(!refused.text().includes('100 Continue'));
  for (const { socket } of [polite, refused]) socket.destroy();
});

test('closing answers what was accepted, refuses what comes after, and waits for nobody else', async (t) => {
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  const server = await door(t, {}, async () => await gate.then(() => PONG));
  const [silent, half, slow] = [await connect(server.port), await connect(server.port), await connect(server.port)];
  half.socket.write(head(50) + '{"js');
  slow.socket.write(head(PING.length) + PING);
  await sleep(30);
  const closed = server.close();
  slow.socket.write(head(PING.length) + PING);
  await sleep(30);
  assert.equal(slow.text(), '');
  release();
  await closed;
  await Promise.all([silent.closed, half.closed, slow.closed]);
  assert.ok(slow.text().includes(PONG));
  assert.match(slow.text(), /connection: close/i);
  await assert.rejects(http(server.port, { body: PING }));
});

test('Host and Origin: who is let in', () => {
  const admission = {
    host: '192.168.1.5',
    allowedHosts: ['mimir.example', 'other.example:444'],
    allowedOrigins: ['https://app.example'],
    token: null,
  };
  const isIn = (headers: Record<string, string>): boolean => turnedAway(headers, admission) === null;
  const hosts = [
    'localhost',
    'LOCALHOST:1',
    '127.0.0.1:8767',
    '[::1]:8767',
    '192.168.1.5:8767',
    'Mimir.Example:80',
    'other.example:444',
  ];
  for (const host of hosts) assert.ok(isIn({ host }), host);
  const strangers = [
    '',
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example:8767',
    '127.evil.example',
    'other.example',
    '0.0.0.0',
    'localhost@evil.example',
    '[::2]',
  ];
  for (const host of strangers) assert.ok(!isIn({ host }), host);
  for (const origin of ['http://localhost:3000', 'https://127.0.0.1', 'http://[::1]:5173', 'https://app.example']) {
    assert.ok(isIn({ host: 'localhost', origin }), origin);
  }
  for (const origin of [
    'null',
    'https://evil.example',
    'http://localhost.evil.example',
    'http://127.0.0.1.evil.example',
    'https://app.example.evil.example',
    'ftp://localhost',
    '',
  ]) {
    assert.ok(!isIn({ host: 'localhost', origin }), origin);
  }
});

test('an allowed origin gets its CORS headers and its preflight, nobody else does', async (t) => {
  const server = await startHttp(['--db', join(temporaryFolder(t), 'm.db'), '--allow-origin', 'https://App.example/']);
  const preflight = await http(server.port, { method: 'OPTIONS', headers: { origin: 'https://app.example' } });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers['access-control-allow-origin'], 'https://app.example');
  assert.equal(
    preflight.headers['access-control-allow-headers'],
    'authorization, content-type, accept, last-event-id, mcp-session-id, mcp-protocol-version, mcp-method, mcp-name',
  );
  const json = { 'content-type': 'application/json' };
  const posted = await http(server.port, { headers: { ...json, origin: 'https://app.example' }, body: PING });
  assert.equal(posted.headers['access-control-allow-origin'], 'https://app.example');
  const local = await http(server.port, { headers: { ...json, origin: 'http://localhost:1' }, body: PING });
  assert.equal(local.headers['access-control-allow-origin'], undefined);
  assert.equal((await http(server.port, { method: 'OPTIONS', headers: { origin: 'http://localhost:1' } })).status, 405);
  assert.equal((await http(server.port, { path: '/healthz', headers: json, body: PING })).status, 405);
  server.child.kill('SIGTERM');
  assert.equal(await server.ended, 0);
});

test('the printed commands work as they are pasted, with a token too', async (t) => {
  const server = await startHttp(['--db', join(temporaryFolder(t), 'm.db')], { MIMIR_TOKEN: 'planted-token' });
  const commands = await until(() => {
    const found = server.printed.stderr.split('\n').filter((line) => line.trim().startsWith('curl '));
    return found.length === 2 ? found : undefined;
  });
  assert.ok(!server.printed.stderr.includes('planted-token'));
  const { execFile } = await import('node:child_process');
  const run = async (command: string): Promise<string> =>
    await new Promise((resolve, reject) =>
      execFile(
        'sh',
        ['-c', command],
        { env: { PATH: process.env['PATH'], MIMIR_TOKEN: 'planted-token' } },
        (error, stdout) => (error === null ? resolve(stdout) : reject(error)),
      ),
    );
  if (!existsSync('/usr/bin/curl')) return t.skip('needs curl');
  assert.match(await run(commands[0] ?? ''), /\\"action\\":\\"created\\"/);
  assert.match(await run(commands[1] ?? ''), /heron/);
  server.child.kill('SIGTERM');
  assert.equal(await server.ended, 0);
});

test('SIGTERM under load: every acknowledged write is there, and the file is left clean', async (t) => {
  const db = join(temporaryFolder(t), 'm.db');
  const server = await startHttp(['--db', db]);
  let acknowledged = 0;
  const clients = Array.from({ length: 8 }, async (_, c) => {
    for (let i = 0; ; i++) {
      const body = callText(i, 'mimir_remember', {
        category: 'load',
        key: `${c}-${i}`,
        body_json: `{"content":"row ${c} ${i}"}`,
      });
      const answer = await http(server.port, { body }).catch(() => null);
      if (answer?.status !== 200) return;
      assert.match(answer.body, /"action":"created"/);
      acknowledged += 1;
    }
  });
  await until(() => (acknowledged > 50 ? true : undefined));
  server.child.kill('SIGTERM');
  assert.equal(await server.ended, 0);
  await Promise.all(clients);
  assert.ok(!existsSync(`${db}-wal`));
  const after = startMimir(['--db', db]);
  after.child.stdin.end(`${callText(1, 'mimir_stats', {})}\n`);
  await after.ended;
  const stored = Number(/"total_entities":(\d+)/.exec(after.printed.stdout)?.[1]);
  assert.ok(stored >= acknowledged, `${stored} stored, ${acknowledged} acknowledged`);
});

test('plain JSON-RPC: what is no request, and what is ours to answer for', async () => {
  const incidents: unknown[] = [];
  const table: ToolTable = {
    list: [],
    core: [],
    all: [],
    access: () => 'read',
    call: async (name) => {
      if (name === 'broken') throw new Error('planted words');
      return { json: '{"a":1}', text: 'tëxt "quoted"\n', isError: name === 'wrong' };
    },
  };
  const served = {
    table,
    caller: { principal: { kind: 'owner' }, client: 'test' },
    version: '1.2.3',
    onBug: (error: unknown) => `incident-${incidents.push(error)}`,
  } as const;
  const ask = async (message: unknown): Promise<unknown> => {
    const reply = await dispatch(message, served);
    return reply === null ? null : JSON.parse(reply);
  };
  const rpc = (method: string, params?: unknown, id: unknown = 1): unknown => ({ jsonrpc: '2.0', id, method, params });
  const error = (code: number, message: string, id: unknown = 1): unknown => ({
    jsonrpc: '2.0',
    ...(id !== undefined && { id }),
    error: { code, message },
  });

  for (const id of [1, 0, -1, 'text', '', Number.MAX_SAFE_INTEGER]) {
    assert.deepEqual(await ask(rpc('tools/call', { name: 'right' }, id)), {
      jsonrpc: '2.0',
      id,
      result: { content: [{ type: 'text', text: 'tëxt "quoted"\n' }], structuredContent: { a: 1 } },
    });
  }
  assert.equal(
    ((await ask(rpc('tools/call', { name: 'wrong' }))) as { result: { isError: boolean } }).result.isError,
    true,
  );
  assert.deepEqual(await ask(rpc('tools/call')), error(-32602, 'Missing params'));
  assert.deepEqual(await ask(rpc('tools/call', [])), error(-32602, 'Missing tool name'));
  assert.deepEqual(
    await ask(rpc('tools/call', { name: 'broken' })),
    error(-32603, 'Internal error, incident incident-1.'),
  );
  assert.deepEqual(await ask(rpc('resources/list')), error(-32601, 'Method not found: resources/list'));
  assert.deepEqual(
    await ask({ jsonrpc: '1.0', id: 1, method: 'ping' }),
    error(-32600, 'Invalid Request: jsonrpc must be "2.0"'),
  );
  assert.deepEqual(await ask({ jsonrpc: '2.0', id: 1 }), error(-32600, 'Invalid Request: method must be text'));
  for (const message of [5, null, 'x', [], [rpc('ping')]]) {
    assert.equal(((await ask(message)) as { id: unknown; error: { code: number } }).error.code, -32600);
  }
  assert.deepEqual(await ask({ jsonrpc: '2.0', method: 'tools/call', params: { name: 'right' } }), {
    jsonrpc: '2.0',
    result: { content: [{ type: 'text', text: 'tëxt "quoted"\n' }], structuredContent: { a: 1 } },
  });
  assert.equal(await ask({ jsonrpc: '2.0', method: 'notifications/cancelled' }), null);
  assert.deepEqual(await ask({ jsonrpc: '2.0', method: 'notifications/initialized' }), {
    jsonrpc: '2.0',
    id: null,
    result: null,
  });
  for (const asked of ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25', '2026-07-28', undefined]) {
    const { result } = (await ask(rpc('initialize', { protocolVersion: asked }))) as {
      result: Record<string, unknown>;
    };
    assert.equal(result['protocolVersion'], asked === undefined || asked === '2026-07-28' ? '2025-11-25' : asked);
    assert.deepEqual(result['serverInfo'], { name: 'mimir', version: '1.2.3' });
  }
});
