// Sessions and streams: who gets which answer, when a session ends, and what happens when there is too much of anything.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { LIMITS } from '../../src/limits.ts';
import { mcpDoors } from '../../src/transport/doors.ts';
import { listen, type HttpServer } from '../../src/transport/http.ts';
import type { Caller, ToolTable } from '../../src/tools/types.ts';
import { mcpPost, openSse, type RpcAnswer } from '../support/mcp.ts';
import { callText, http, until } from '../support/processes.ts';

const CLIENTS = join(import.meta.dirname, '../../clients');
const CANCEL = join(CLIENTS, 'cancel.mjs');
const withoutClients = existsSync(join(CLIENTS, 'node_modules'))
  ? false
  : 'the clients are not installed: npm run clients';
const PING = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
const INITIALIZE = {
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
};
const UNBOUND = { connectionInFlightMax: 1_000, connectionUnansweredMax: 1_000 };
const VERSION = { 'mcp-protocol-version': '2025-11-25' };

/** A server of this process whose tools wait until they are told, or answer much. */
async function house(t: TestContext, limits: Partial<Record<keyof typeof LIMITS, number>> = {}) {
  const calls: { readonly name: string; readonly caller: Caller; readonly finish: () => void }[] = [];
  const table: ToolTable = {
    list: [],
    core: [],
    all: [],
    access: (name) => (name.endsWith('written') ? 'write' : 'read'),
    call: async (name, _, caller) => {
      if (name.startsWith('wait')) await new Promise<void>((resolve) => calls.push({ name, caller, finish: resolve }));
      const text = name.includes('much') ? 'x'.repeat(1_000_000) : 'done';
      return { json: '{"name":"x"}', text, isError: false };
    },
  };
  const caller: Caller = { principal: { kind: 'owner' }, client: 'http' };
  const all = { ...LIMITS, timeoutCheckMs: 20, ...limits };
  const onBug = (error: unknown): string => assert.fail(String(error));
  const doors = mcpDoors({ table, caller, version: '1', onBug }, randomBytes, all);
  const admission = { host: '127.0.0.1', allowedHosts: [], allowedOrigins: [], token: null };
  const server = await listen({ admission, port: 0, ready: () => true, onBug, ...doors }, all);
  t.after(() => server.close());
  const begin = async (): Promise<string> => {
    const { headers } = await mcpPost(server.port, JSON.stringify(INITIALIZE));
    return String(headers['mcp-session-id']);
  };
  const ping = async (session: string): Promise<number> =>
    (await mcpPost(server.port, PING, { 'mcp-session-id': session, ...VERSION })).status;
  return { server, port: server.port, calls, begin, ping };
}

/** A raw request whose connection can be cut at any moment. */
function raw(server: HttpServer, method: string, headers: Readonly<Record<string, string>>, body = '') {
  const socket = createConnection(server.port, '127.0.0.1').on('error', () => undefined);
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const lines = Object.entries({
    host: 'localhost',
    accept: 'application/json, text/event-stream',
    'content-type': 'application/json',
    'content-length': String(body.length),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`${method} /mcp HTTP/1.1\r\n${lines.join('')}\r\n${body}`);
  return { socket, text: () => text };
}

test('a session lives from initialize to DELETE, and an ended one answers 404', async (t) => {
  const { port, begin, ping } = await house(t);
  const [one, other] = [await begin(), await begin()];
  assert.match(one, /^[0-9a-f]{32}$/);
  assert.equal(await ping(one), 200);
  const ended = await http(port, { path: '/mcp', method: 'DELETE', headers: { 'mcp-session-id': one } });
  assert.equal(ended.status, 200);
  assert.deepEqual([await ping(one), await ping(other)], [404, 200]);
  const nameless = await http(port, { path: '/mcp', method: 'GET', headers: { accept: 'text/event-stream' } });
  assert.equal(nameless.status, 400);
});

test('idle sessions end, and those in use do not', async (t) => {
  const { server, begin, ping } = await house(t, { sessionIdleMs: 150 });
  const [idle, listening] = [await begin(), await begin()];
  const stream = raw(server, 'GET', { 'mcp-session-id': listening, ...VERSION });
  await until(() => (stream.text().includes('200 OK') ? true : undefined));
  await sleep(500);
  assert.deepEqual([await ping(idle), await ping(listening)], [404, 200]);
  stream.socket.destroy();
  await sleep(500);
  assert.equal(await ping(listening), 404);
});

test('when there are too many sessions the idlest ends, and with all in use a new one is told to wait', async (t) => {
  const { server, port, begin, ping } = await house(t, { sessionsMax: 2 });
  const [first, second] = [await begin(), await begin()];
  assert.equal(await ping(first), 200);
  const third = await begin();
  assert.deepEqual([await ping(first), await ping(second), await ping(third)], [200, 404, 200]);
  const streams = [first, third].map((id) => raw(server, 'GET', { 'mcp-session-id': id, ...VERSION }));
  for (const { text } of streams) await until(() => (text().includes('200 OK') ? true : undefined));
  const refused = await mcpPost(port, JSON.stringify(INITIALIZE));
  assert.deepEqual([refused.status, refused.headers['retry-after']], [503, '5']);
  for (const { socket } of streams) socket.destroy();
});

test('an answer that was missed is sent again to its own session, and to no other', async (t) => {
  const { server, port, calls, begin } = await house(t);
  const [mine, foreign] = [await begin(), await begin()];
  const broken = raw(server, 'POST', { 'mcp-session-id': mine, ...VERSION }, callText(7, 'wait', {}));
  const id = await until(() => /id: (\S+)\ndata: \n/.exec(broken.text())?.[1]);
  await until(() => calls[0]);
  broken.socket.destroy();
  await sleep(30);
  calls[0]?.finish();
  await sleep(30);
  const theirs = raw(server, 'GET', { 'mcp-session-id': foreign, 'last-event-id': id, ...VERSION });
  await until(() => (theirs.text().includes('400 Bad Request') ? true : undefined));
  assert.doesNotMatch(theirs.text(), /done/);
  const again = raw(server, 'GET', { 'mcp-session-id': mine, 'last-event-id': id, ...VERSION });
  await until(() => (/"id":7.*|"text":"done".*"id":7/.test(again.text()) ? true : undefined));
  for (const { socket } of [theirs, again]) socket.destroy();
  assert.equal((await mcpPost(port, PING)).status, 200);
});

test('a cancelled call of a session stops, and its stream ends', async (t) => {
  const { server, port, calls, begin } = await house(t);
  const session = { 'mcp-session-id': await begin(), ...VERSION };
  const waiting = raw(server, 'POST', session, callText(7, 'wait', {}));
  const call = await until(() => calls[0]);
  await mcpPost(port, '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}', session);
  await until(() => (call.caller.signal?.aborted === true ? true : undefined));
  await until(() => (waiting.text().endsWith('0\r\n\r\n') ? true : undefined));
  waiting.socket.destroy();
  // The stream is over for good: who comes back for it is not left waiting.
  const event = /id: (\S+)\ndata: \n/.exec(waiting.text())?.[1] ?? '';
  const again = raw(server, 'GET', { ...session, 'last-event-id': event });
  await until(() => (again.text().endsWith('0\r\n\r\n') ? true : undefined));
  again.socket.destroy();
  for (const { text } of [waiting, again]) assert.match(text(), /"id":7,"error":\{"code":-32000/);
});

test('the official client cancels often and leaves no stream behind', { skip: withoutClients }, async (t) => {
  const { port } = await house(t, { streamsMax: 5 });
  const printed = await promisify(execFile)(process.execPath, [CANCEL, `http://127.0.0.1:${port}/mcp`, '30'], {
    timeout: 30_000,
  });
  t.diagnostic(printed.stdout.trim());
  const { cancelled, lasting } = JSON.parse(printed.stdout) as { cancelled: number; lasting: number };
  // The one that lasts is the stream of the session itself.
  assert.deepEqual([cancelled, lasting], [30, 1]);
});

test('a second request with an id that is still open is refused, in a session and in a batch', async (t) => {
  const { server, port, calls, begin } = await house(t);
  const session = { 'mcp-session-id': await begin(), ...VERSION };
  const first = raw(server, 'POST', session, callText(7, 'wait', {}));
  const call = await until(() => calls[0]);
  const second = await mcpPost(port, callText(7, 'quick', {}), session);
  assert.deepEqual([second.status, second.answer.error?.code, second.answer.id], [400, -32600, 7]);
  assert.equal((await mcpPost(port, callText('7', 'quick', {}), session)).status, 200, 'text is another id');
  call.finish();
  await until(() => (/"text":"done"[^]*0\r\n\r\n$/.test(first.text()) ? true : undefined));
  assert.equal((await mcpPost(port, callText(7, 'quick', {}), session)).status, 200, 'it is free again');
  // A request that did not get in holds no id.
  const accept = { accept: 'application/json' };
  assert.equal((await mcpPost(port, callText(8, 'quick', {}), { ...session, ...accept })).status, 406);
  assert.equal((await mcpPost(port, callText(8, 'quick', {}), session)).status, 200);
  const twice = await mcpPost(port, `[${callText(9, 'quick', {})},${callText(9, 'quick', {})}]`);
  assert.deepEqual([twice.status, twice.answer.error?.code], [400, -32600]);
  first.socket.destroy();
});

test('a batch is answered whole, with a call that it cancels and with one that is none', async (t) => {
  const { port, calls } = await house(t);
  const cancel = '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}';
  const bad = '{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{}}';
  const { status, body } = await mcpPost(
    port,
    `[${callText(1, 'wait', {})},${cancel},${callText(2, 'quick', {})},${bad}]`,
  );
  assert.equal(status, 200);
  const answers = JSON.parse(body) as RpcAnswer[];
  assert.deepEqual(
    answers.map(({ id, error }) => [id, error?.code, error?.message]),
    [
      [1, -32000, 'The request was cancelled.'],
      [2, undefined, undefined],
      [3, -32602, 'Missing tool name'],
    ],
  );
  await until(() => (calls.every(({ caller }) => caller.signal?.aborted === true) ? true : undefined));
});

test('initialize with the id of a session that has ended begins a new one', async (t) => {
  const { port, begin, ping } = await house(t);
  const stale = await begin();
  await http(port, { path: '/mcp', method: 'DELETE', headers: { 'mcp-session-id': stale } });
  const { status, headers } = await mcpPost(port, JSON.stringify(INITIALIZE), { 'mcp-session-id': stale });
  const fresh = String(headers['mcp-session-id']);
  assert.equal(status, 200);
  assert.notEqual(fresh, stale);
  assert.deepEqual([await ping(fresh), await ping(stale)], [200, 404]);
});

for (const path of ['/mcp', '/message']) {
  test(`a client of ${path} that goes away takes its call out of the queue`, async (t) => {
    const { server, calls } = await house(t);
    const socket = createConnection(server.port, '127.0.0.1').on('error', () => undefined);
    const body = callText(1, 'wait', {});
    socket.write(
      `POST ${path} HTTP/1.1\r\nhost: localhost\r\naccept: application/json, text/event-stream\r\n` +
        `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    const call = await until(() => calls[0]);
    assert.equal(call.caller.signal?.aborted, false);
    socket.destroy();
    await until(() => (call.caller.signal?.aborted === true ? true : undefined));
  });
}

test('HTTP+SSE: an answer goes to its own stream and to no other, and a POST is answered 202', async (t) => {
  const { port, calls } = await house(t);
  const [mine, other] = [await openSse(port), await openSse(port)];
  assert.match(mine.endpoint, /^\/message\?session_id=[0-9a-f]{32}$/);
  for (const session of [mine, other]) assert.equal((await session.ask(INITIALIZE)).error, undefined);
  const before = other.text();
  const answer = await mine.ask(JSON.parse(callText('only mine', 'quick', {})) as object);
  assert.equal(answer.id, 'only mine');
  assert.equal(other.text(), before);
  const alias = mine.endpoint.replace('/message', '/messages');
  assert.equal((await http(port, { path: alias, body: PING })).status, 202);
  const ended = `/message?session_id=${'0'.repeat(32)}`;
  for (const path of [ended, `${mine.endpoint}&session_id=x`, '/messages', '/messages?session_id=nobody']) {
    assert.ok([400, 404].includes((await http(port, { path, body: PING })).status), path);
  }
  // Ids that clients of the original make up: it answers in the response, too.
  for (const path of ['/message?session_id=', '/message?session_id=nobody']) {
    const answered = await http(port, { path, body: PING });
    assert.deepEqual([answered.status, (JSON.parse(answered.body) as RpcAnswer).result], [200, {}], path);
  }
  const looked = await http(port, { path: '/sse', method: 'HEAD' });
  assert.deepEqual([looked.status, looked.headers['content-type'], looked.body], [200, 'text/event-stream', '']);
  await mine.post(callText('left behind', 'wait', {}));
  const call = await until(() => calls[0]);
  mine.close();
  await until(() => (call.caller.signal?.aborted === true ? true : undefined));
  assert.equal((await http(port, { path: mine.endpoint, body: PING })).status, 404);
  other.close();
});

test('a session of HTTP+SSE with too many open requests is told to read first, and goes on when they are answered', async (t) => {
  const { port, calls } = await house(t, { sessionOpenMax: 2 });
  const session = await openSse(port);
  await session.ask(INITIALIZE);
  for (const id of [1, 2]) assert.equal((await session.post(callText(id, 'wait', {}))).status, 202);
  const refused = await session.post(callText(3, 'quick', {}));
  assert.deepEqual([refused.status, refused.headers['retry-after']], [429, '1']);
  for (const { finish } of calls) finish();
  await until(() => (session.text().includes('"id":2') ? true : undefined));
  assert.equal((await session.ask(JSON.parse(callText(3, 'quick', {})) as object)).id, 3);
  session.close();
});

test('what the SDK would drop opens no request in a session of HTTP+SSE', async (t) => {
  const { port } = await house(t, { sessionOpenMax: 2 });
  const session = await openSse(port);
  await session.ask(INITIALIZE);
  for (const more of ['"id":1e20', '"id":1,"extra":1', '"id":1,"params":{"_meta":5}', '"id":1,"result":{}']) {
    const refused = await session.post(`{"jsonrpc":"2.0","method":"ping",${more}}`);
    assert.deepEqual([refused.status, (JSON.parse(refused.body) as RpcAnswer).error?.code], [400, -32600], more);
  }
  assert.deepEqual((await session.ask(JSON.parse(PING) as object)).result, {});
  session.close();
});

test('streams are bounded, and there is room again when one closes', async (t) => {
  const { port } = await house(t, { streamsMax: 1 });
  const session = await openSse(port);
  const refused = await http(port, { path: '/sse', method: 'GET' });
  assert.deepEqual([refused.status, refused.headers['retry-after']], [503, '5']);
  assert.equal((await http(port, { body: PING })).status, 200, 'requests still find room');
  session.close();
  await sleep(50);
  (await openSse(port)).close();
});

test('a flood on one connection is answered 429 above the limit, and the connection can be used again', async (t) => {
  const { server, calls } = await house(t, { connectionInFlightMax: 4, connectionUnansweredMax: 50 });
  const socket = createConnection(server.port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const send = (body: string): boolean =>
    socket.write(
      `POST /message HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
  for (let id = 0; id < 50; id++) send(callText(id, 'wait', {}));
  await until(() => (calls.length === 4 ? true : undefined));
  await sleep(50);
  assert.equal(calls.length, 4);
  for (const { finish } of calls) finish();
  await until(() => (text.split('HTTP/1.1 ').length === 51 ? true : undefined));
  assert.deepEqual([text.split('HTTP/1.1 200').length - 1, text.split('HTTP/1.1 429').length - 1], [4, 46]);
  assert.match(text, /retry-after: 1/);
  send(PING);
  await until(() => (text.includes('"result":{}') ? true : undefined));
  socket.destroy();
});

test('requests at once are bounded over all connections', async (t) => {
  const { port, calls } = await house(t, { httpInFlightMax: 2 });
  const waiting = [1, 2].map((id) => http(port, { body: callText(id, 'wait', {}) }));
  await until(() => (calls.length === 2 ? true : undefined));
  const refused = await http(port, { body: PING });
  assert.deepEqual([refused.status, refused.headers['retry-after']], [503, '1']);
  for (const { finish } of calls) finish();
  for (const { status } of await Promise.all(waiting)) assert.equal(status, 200);
  assert.equal((await http(port, { body: PING })).status, 200);
});

test('a reader that stops reading is cut off, and nobody else notices', async (t) => {
  const { server, port } = await house(t, {
    answerStallMs: 200,
    ...UNBOUND,
  });
  const socket = createConnection(server.port, '127.0.0.1').on('error', () => undefined);
  socket.pause();
  const body = callText(1, 'much', {});
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  const one = `POST /message HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  socket.write(one.repeat(40));
  await sleep(1_000);
  assert.equal((await http(port, { body: PING })).status, 200);
  socket.resume();
  await closed;
  assert.ok(socket.bytesRead < 30 * 1_000_000, `${socket.bytesRead} bytes were kept for it`);
});

for (const [path, status] of [
  ['/message', 503],
  ['/mcp', 200],
] as const) {
  test(`large answers of ${path} that nobody reads are bounded, and what cannot be sent again is told`, async (t) => {
    const { server, port, calls } = await house(t, { httpInFlightMaxBytes: 8_000_000, ...UNBOUND });
    const socket = createConnection(server.port, '127.0.0.1').on('error', () => undefined);
    socket.pause();
    const names = Array.from({ length: 30 }, (_, i) => (i < 20 ? 'wait for much' : 'wait for much written'));
    const requests = [...names, 'wait'].map((name, i) => {
      const body = callText(100 + i, name, {});
      return (
        `POST ${path} HTTP/1.1\r\nhost: localhost\r\naccept: application/json, text/event-stream\r\n` +
        `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
      );
    });
    socket.write(requests.join(''));
    await until(() => (calls.length === requests.length ? true : undefined));
    for (const { finish } of calls) {
      finish();
      await sleep(1);
    }
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString())).resume();
    await until(() => ([...text.matchAll(/"id":1\d\d\b/g)].length === requests.length ? true : undefined));
    const refused = text.split('HTTP/1.1 ').filter((answer) => answer.includes('"error"'));
    t.diagnostic(`${refused.length} of 20 were refused`);
    assert.ok(refused.length >= 5 && refused.length < 20, `${refused.length}`);
    for (const answer of refused) {
      assert.match(answer, new RegExp(`^${status} [^]*"code":-32603.*send it again`));
      assert.ok(Number(/"id":1(\d\d)/.exec(answer)?.[1]) < 20, 'only reads are refused');
      if (status === 503) assert.match(answer, /retry-after: 1/);
    }
    assert.match((await http(port, { body: callText(1, 'much', {}) })).body, /xxx/, 'there is room again');
    socket.destroy();
  });
}

test('large answers of a session of HTTP+SSE whose stream nobody reads are bounded', async (t) => {
  const { server, port, calls } = await house(t, { sessionUnreadMaxBytes: 4_000_000 });
  const socket = createConnection(server.port, '127.0.0.1').on('error', () => undefined);
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  socket.write('GET /sse HTTP/1.1\r\nhost: localhost\r\n\r\n');
  const path = await until(() => /event: endpoint\ndata: (\S+)\n/.exec(text)?.[1]);
  socket.pause();
  for (let id = 100; id < 140; id++) {
    assert.equal((await http(port, { path, body: callText(id, 'wait for much', {}) })).status, 202);
  }
  for (const { finish } of calls) {
    finish();
    await sleep(0);
  }
  socket.resume();
  await until(() => ([...text.matchAll(/"id":1\d\d\b/g)].length === 40 ? true : undefined));
  const refused = [...text.matchAll(/"id":1\d\d,"error":\{"code":-32603,[^}]*send it again/g)].length;
  t.diagnostic(`${refused} of 40 were refused`);
  assert.ok(refused >= 20 && refused < 40, `${refused}`);
  socket.destroy();
});

test('a client that closes its half has gone: nothing else would tell a dead one from a waiting one', async (t) => {
  const { server, calls } = await house(t);
  const socket = createConnection({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
  const body = callText(1, 'wait', {});
  socket.end(
    `POST /message HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  const call = await until(() => calls[0]);
  await until(() => (call.caller.signal?.aborted === true ? true : undefined));
  socket.destroy();
});

test('closing answers what is running behind streams, then ends them', async (t) => {
  const { server, port, calls } = await house(t);
  const session = await openSse(port);
  await session.ask(INITIALIZE);
  await session.post(callText('last', 'wait', {}));
  const call = await until(() => calls[0]);
  const closed = server.close();
  await sleep(50);
  call.finish();
  await until(() => (session.text().includes('"id":"last"') ? true : undefined));
  await closed;
});
