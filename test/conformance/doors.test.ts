import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import test from 'node:test';

import fc from 'fast-check';

import { LineSplitter } from '../../src/transport/stdio.ts';
import { callText, http, startHttp, startMimir, temporaryFolder, until } from '../support/processes.ts';

const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
});

type Answer = { id: unknown; result?: Record<string, unknown>; error?: { code: number; message: string } };

async function stdio(
  db: string,
  lines: readonly (string | Buffer)[],
): Promise<{ answers: Answer[]; code: number | null; stderr: string }> {
  const running = startMimir(['--db', db]);
  for (const line of lines) {
    running.child.stdin.write(line);
    running.child.stdin.write('\n');
  }
  running.child.stdin.end();
  const code = await running.ended;
  const answers = running.printed.stdout.split('\n').filter((line) => line !== '');
  return { answers: answers.map((line) => JSON.parse(line) as Answer), code, stderr: running.printed.stderr };
}

test('every split of the bytes gives the same lines', () => {
  const bytes = Buffer.from('{"a":1}\n\n  \r\nzwei – ü\n'.repeat(3) + 'last');
  const whole = new LineSplitter(100);
  const expected = [...whole.push(bytes), ...whole.end()].map(String);
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length), { maxLength: 12 }), (cuts) => {
      const splitter = new LineSplitter(100);
      const points = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
      const lines = points.slice(1).flatMap((end, i) => splitter.push(bytes.subarray(points[i], end)));
      assert.deepEqual([...lines, ...splitter.end()].map(String), expected);
    }),
  );
});

test('stdio answers malformed lines, and the next good request', async (t) => {
  const { answers, code } = await stdio(join(temporaryFolder(t), 'm.db'), [
    INITIALIZE,
    'not json',
    '{"jsonrpc":"2.0","id":1,',
    Buffer.from([0x22, 0xff, 0xfe, 0x22]),
    '[]',
    '5',
    '{"id":1,"method":"ping"}',
    '{"jsonrpc":"2.0","id":{},"method":"ping"}',
    '{"jsonrpc":"2.0","id":8}',
    '',
    '   ',
    '{"jsonrpc":"2.0","id":9,"method":"ping"}\r',
    '{"jsonrpc":"2.0","method":"notifications/unknown"}',
    '{"jsonrpc":"2.0","id":10,"method":"no/such"}',
  ]);
  assert.equal(code, 0);
  assert.deepEqual(
    answers.filter((answer) => answer.id === null).map((answer) => answer.error?.code),
    [-32700, -32700, -32700, -32600, -32600, -32600],
  );
  const byId = (id: number) => answers.find((answer) => answer.id === id);
  assert.equal(byId(1)?.error?.code, -32600);
  assert.equal(byId(8)?.error?.code, -32600);
  assert.deepEqual(byId(9)?.result, {});
  assert.equal(byId(10)?.error?.code, -32601);
});

test('a thousand requests before one answer is read do not block the server', async (t) => {
  const running = startMimir(['--db', join(temporaryFolder(t), 'm.db')]);
  running.child.stdout.pause();
  running.child.stdin.write(`${INITIALIZE}\n`);
  const body = JSON.stringify({ content: 'many words '.repeat(100) });
  for (let i = 1; i <= 1_000; i++) {
    const call =
      i <= 10
        ? callText(i, 'mimir_remember', { category: 'c', key: `k${i}`, body_json: body })
        : callText(i, 'mimir_recall', { query: 'words' });
    if (!running.child.stdin.write(`${call}\n`))
      await new Promise((resolve) => running.child.stdin.once('drain', resolve));
  }
  running.child.stdin.end();
  running.child.stdout.resume();
  assert.equal(await running.ended, 0);
  assert.equal(running.printed.stdout.trim().split('\n').length, 1_001);
});

test('a 16 MB argument over stdio is refused by name, and the server goes on', async (t) => {
  const { answers } = await stdio(join(temporaryFolder(t), 'm.db'), [
    INITIALIZE,
    callText(1, 'mimir_remember', { category: 'c', key: 'k', body_json: JSON.stringify('x'.repeat(16_000_000)) }),
    callText(2, 'mimir_stats', {}),
  ]);
  assert.equal(answers[1]?.result?.['isError'], true);
  assert.match(JSON.stringify(answers[1]?.result), /body_json/);
  assert.match(JSON.stringify(answers[2]?.result), /total_entities\\":0/);
});

test('HTTP turns away who may not come in, with a status and a body to act on', async (t) => {
  const folder = temporaryFolder(t);
  const server = await startHttp(
    ['--db', join(folder, 'm.db'), '--allow-origin', 'https://app.example', '--allow-host', 'mimir.example'],
    {
      MIMIR_TOKEN: 's3cret-Token',
    },
  );
  const json = { 'content-type': 'application/json', authorization: 'Bearer s3cret-Token' };
  const ping = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
  const table: [string, Parameters<typeof http>[1], number][] = [
    ['good', { headers: json, body: ping }, 200],
    ['no token', { headers: { 'content-type': 'application/json' }, body: ping }, 401],
    ['wrong token', { headers: { ...json, authorization: 'Bearer s3cret-token' }, body: ping }, 401],
    ['token of another scheme', { headers: { ...json, authorization: 'Basic s3cret-Token' }, body: ping }, 401],
    ['foreign Host', { headers: { ...json, host: 'evil.example' }, body: ping }, 403],
    ['foreign Host on a health path', { path: '/healthz', method: 'GET', headers: { host: 'evil.example' } }, 403],
    ['allowed Host', { headers: { ...json, host: 'mimir.example:80' }, body: ping }, 200],
    ['foreign Origin', { headers: { ...json, origin: 'https://evil.example' }, body: ping }, 403],
    ['null Origin', { headers: { ...json, origin: 'null' }, body: ping }, 403],
    ['allowed Origin', { headers: { ...json, origin: 'https://app.example' }, body: ping }, 200],
    ['loopback Origin', { headers: { ...json, origin: 'http://localhost:3000' }, body: ping }, 200],
    ['wrong method', { method: 'GET', headers: json }, 405],
    ['wrong type', { headers: { ...json, 'content-type': 'text/plain' }, body: ping }, 415],
    [
      'type with parameters',
      { headers: { ...json, 'content-type': 'application/vnd.x+json; charset=utf-8' }, body: ping },
      200,
    ],
    ['not JSON', { headers: json, body: '{' }, 400],
    ['nothing', { headers: json, body: '' }, 400],
    ['not UTF-8', { headers: json, body: Buffer.from([0x22, 0xff, 0x22]) }, 400],
    ['too large', { headers: json, body: 'x'.repeat(5_000_000) }, 413],
    ['unknown path', { path: '/nowhere', headers: json, body: ping }, 404],
    ['health', { path: '/healthz', method: 'GET', headers: {} }, 200],
    ['readiness', { path: '/readyz', method: 'GET', headers: {} }, 200],
    ['notification', { headers: json, body: '{"jsonrpc":"2.0","method":"notifications/cancelled"}' }, 202],
    ['batch', { headers: json, body: `[${ping}]` }, 200],
  ];
  for (const [name, options, status] of table) {
    const answer = await http(server.port, options).catch((error: unknown) => ({
      status: `failed: ${String(error)}`,
      body: '',
      headers: {},
    }));
    // A server that answers 413 while the client still sends may close before the client has read it.
    if (name === 'too large' && typeof answer.status === 'string') continue;
    assert.equal(answer.status, status, name);
    if (status >= 400) assert.doesNotThrow(() => JSON.parse(answer.body), name);
  }
  const plain = await http(server.port, { headers: json, body: ping });
  assert.equal(
    plain.headers['access-control-allow-origin'],
    undefined,
    'no CORS for callers without an allowed Origin',
  );
  server.child.kill('SIGTERM');
  assert.equal(await server.ended, 0);
});

test('no body, query, key or token is logged', async (t) => {
  const folder = temporaryFolder(t);
  const words = ['plantedbody', 'plantedquery', 'plantedkey', 'plantedtoken'];
  const server = await startHttp(['--db', join(folder, 'm.db'), '--mcp-token', 'plantedtoken']);
  const headers = { 'content-type': 'application/json', authorization: 'Bearer plantedtoken' };
  const bodies = [
    callText(1, 'mimir_remember', {
      category: 'plantedkey',
      key: 'plantedkey',
      body_json: '{"content":"plantedbody"}',
    }),
    callText(2, 'mimir_recall', { query: 'plantedquery plantedbody' }),
    callText(3, 'mimir_remember', { category: 'plantedkey', key: 'plantedkey', body_json: '{plantedbody' }),
    '{"plantedbody":',
    callText(4, 'plantedquery', {}),
  ];
  for (const body of bodies) await http(server.port, { headers, body });
  await http(server.port, { headers: { ...headers, authorization: 'Bearer plantedtoken2' }, body: '{}' });
  server.child.kill('SIGTERM');
  await server.ended;
  for (const word of words)
    assert.ok(!(server.printed.stdout + server.printed.stderr).includes(word), `${word} was logged`);
});

test('two requests in one packet are both answered, and a half one does not stop others', async (t) => {
  const server = await startHttp(['--db', join(temporaryFolder(t), 'm.db')]);
  const ping = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
  const raw = `POST /message HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${ping.length}\r\n\r\n${ping}`;
  const half = createConnection(server.port, '127.0.0.1', () => half.write(raw.slice(0, 60)));
  const socket = createConnection(server.port, '127.0.0.1', () => socket.write(raw + raw));
  let seen = '';
  socket.on('data', (chunk: Buffer) => (seen += chunk.toString('latin1')));
  await until(() => (seen.split('"result":{}').length === 3 ? true : undefined));
  assert.equal((await http(server.port, { body: ping })).status, 200);
  socket.destroy();
  half.destroy();
  server.child.kill('SIGTERM');
  assert.equal(await server.ended, 0);
});
