import assert from 'node:assert/strict';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { Server } from '@modelcontextprotocol/server';
import fc from 'fast-check';

import { LIMITS } from '../../src/limits.ts';
import { OrderedLane } from '../../src/mcp/lane.ts';
import { serveConnection } from '../../src/mcp/server.ts';
import { StdioTransport } from '../../src/transport/stdio.ts';
import { startModelServer } from '../support/model-server.ts';
import { callText, http, startHttp, startMimir, temporaryFolder, until } from '../support/processes.ts';

type Answer = { id?: unknown; result?: Record<string, unknown>; error?: { code: number; message: string } };

const rpc = (id: number, method: string, params?: unknown): string =>
  JSON.stringify({ jsonrpc: '2.0', id, method, ...(params !== undefined && { params }) });
const initialize = (protocolVersion: string): string =>
  rpc(0, 'initialize', { protocolVersion, capabilities: {}, clientInfo: { name: 'test', version: '1' } });
const MODERN = {
  _meta: {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
    'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
  },
};

function parse(stdout: string): Answer[] {
  const lines = stdout.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as Answer);
}

async function exchange(t: Parameters<typeof temporaryFolder>[0], lines: readonly string[]): Promise<Answer[]> {
  const running = startMimir(['--db', join(temporaryFolder(t), 'm.db')]);
  running.child.stdin.end(lines.map((line) => `${line}\n`).join(''));
  assert.equal(await running.ended, 0);
  return parse(running.printed.stdout);
}

test('a client that pipes its lines and closes gets every answer, in every revision with a handshake', async (t) => {
  for (const [asked, agreed] of [
    ['2024-11-05', '2024-11-05'],
    ['2025-03-26', '2025-03-26'],
    ['2025-06-18', '2025-06-18'],
    ['2025-11-25', '2025-11-25'],
    ['1999-01-01', '2025-11-25'],
  ] as const) {
    const answers = await exchange(t, [initialize(asked), rpc(1, 'tools/list'), callText(2, 'mimir_stats', {})]);
    assert.deepEqual(
      answers.map(({ id }) => id),
      [0, 1, 2],
    );
    assert.equal(answers[0]?.result?.['protocolVersion'], agreed);
    assert.deepEqual(answers[0]?.result?.['capabilities'], {
      tools: { listChanged: false },
      resources: {},
      prompts: {},
    });
    assert.ok(answers[2]?.result?.['structuredContent']);
  }
});

test('the revision without a handshake is served, and a subscription holds nothing back', async (t) => {
  const answers = await exchange(t, [
    rpc(1, 'server/discover', MODERN),
    rpc(2, 'subscriptions/listen', { ...MODERN, notifications: { toolsListChanged: true } }),
    rpc(3, 'tools/call', { ...MODERN, name: 'mimir_stats', arguments: {} }),
    rpc(4, 'tools/list', MODERN),
  ]);
  const answered = answers.filter(({ id }) => id !== undefined).map(({ id }) => id);
  assert.deepEqual(answered, [1, 3, 4]);
});

test('hurried clients are answered: no initialize, no params, params null', async (t) => {
  const early = await exchange(t, [rpc(1, 'tools/list'), callText(2, 'mimir_stats', {})]);
  assert.ok(early[0]?.result?.['tools'] && early[1]?.result?.['content']);
  const bare = await exchange(t, [rpc(1, 'initialize'), rpc(2, 'tools/list', null), rpc(3, 'ping')]);
  assert.deepEqual(
    bare.map(({ id, error }) => [id, error]),
    [
      [1, undefined],
      [2, undefined],
      [3, undefined],
    ],
  );
});

test('a tool call that is none gets the same answer through both doors', async (t) => {
  const odd = [undefined, null, [], {}, { name: 5 }, { name: 'mimir_nope' }].map((params, i) =>
    rpc(i + 1, 'tools/call', params),
  );
  for (const args of [null, [], 'text', 7]) odd.push(callText(odd.length + 1, 'mimir_recall', args));
  const [first, ...overStdio] = await exchange(t, [initialize('2025-06-18'), ...odd]);
  assert.equal(first?.id, 0, 'not even a refusal overtakes initialize');
  const server = await startHttp(['--db', join(temporaryFolder(t), 'm.db')]);
  for (const [i, body] of odd.entries()) {
    const answer = JSON.parse((await http(server.port, { body })).body) as Answer;
    // On stdio a list is no params at all: JSON-RPC allows it, MCP does not.
    if (i === 2) assert.equal(overStdio[i]?.error?.code, -32600);
    else assert.deepEqual(overStdio[i], answer, body);
  }
  server.child.kill('SIGTERM');
  assert.equal(await server.ended, 0);
});

/** Valid JSON that the SDK's schema does not take, so that its server would drop it without a word. */
const DROPPED = [
  '{"jsonrpc":"2.0","id":9007199254740993,"method":"ping"}',
  '{"jsonrpc":"2.0","id":1e20,"method":"ping"}',
  '{"jsonrpc":"2.0","id":1,"method":"ping","extra":1}',
  '{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":5}}',
  '{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"progressToken":{}}}}',
  '{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}',
  '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"_meta":[]}}',
];

test('what the schema of the SDK does not take is answered, and what comes behind it as well', async (t) => {
  const [, ...answers] = await exchange(t, [initialize('2025-06-18'), ...DROPPED, callText(2, 'mimir_stats', {})]);
  assert.deepEqual(
    answers.map(({ id, error }) => [id, error?.code]),
    [...[null, null, 1, 1, 1, 1, 1].map((id) => [id, -32600]), [2, undefined]],
  );
  for (const { error } of answers.slice(0, -1)) assert.ok((error?.message ?? '').length > 25, error?.message);
});

test('a request that the SDK drops all the same is answered, and what comes behind it as well', async () => {
  const { input, transport, text } = connected();
  const incidents: unknown[] = [];
  const drops = (): Server => {
    const server = new Server({ name: 'drops', version: '1' });
    return Object.assign(server, {
      _shouldDropInbound: ({ method }: { method: string }) => (method === 'drop' ? 'drop' : undefined),
    });
  };
  const handle = serveConnection(transport, drops, (error) => `i${incidents.push(error)}`, {
    droppedAfterMs: 30,
  });
  input.write(`${initialize('2025-06-18')}\n${rpc(1, 'drop')}\n${rpc(2, 'resources/list')}\n`);
  await until(() => (parse(text()).length === 3 ? true : undefined));
  assert.deepEqual(
    parse(text()).map(({ id, error }) => [id, error?.code]),
    [
      [0, undefined],
      [1, -32603],
      [2, -32601],
    ],
  );
  assert.equal(incidents.length, 1);
  await handle.close();
});

test('the process is there within a second, and stays quiet', async (t) => {
  const started = performance.now();
  const running = startMimir(['--db', join(temporaryFolder(t), 'm.db'), '--web', '--llm-model', 'x', '--offline']);
  running.child.stdin.write(`${initialize('2025-06-18')}\n`);
  await until(() => (running.printed.stdout.includes('\n') ? true : undefined));
  const firstAnswerMs = performance.now() - started;
  // Twice the promise: the machine of a test run is busy.
  assert.ok(firstAnswerMs < 2_000, `${Math.round(firstAnswerMs)} ms`);
  running.child.kill('SIGTERM');
  assert.equal(await running.ended, 0);
  assert.match(
    running.printed.stderr,
    /^mimir: using database at [^\n]+\nmimir: MCP server ready\nmimir: --web has no effect: the web page is not there yet\n$/,
  );
});

test('a client that goes away leaves no process and loses no write', async (t) => {
  const db = join(temporaryFolder(t), 'm.db');
  const running = startMimir(['--db', db]);
  const body_json = JSON.stringify({ content: 'kept' });
  const calls = Array.from({ length: 20 }, (_, i) =>
    callText(i + 1, 'mimir_remember', { category: 'c', key: `k${i}`, body_json }),
  );
  // It never reads and never closes its end of stdin.
  running.child.stdout.destroy();
  running.child.stdin.write(`${initialize('2025-06-18')}\n${calls.join('\n')}\n`);
  assert.equal(await running.ended, 0);
  const after = startMimir(['--db', db]);
  after.child.stdin.end(`${initialize('2025-06-18')}\n${callText(1, 'mimir_stats', {})}\n`);
  await after.ended;
  const stats = parse(after.printed.stdout)[1]?.result?.['structuredContent'] as { total_entities: number };
  assert.equal(stats.total_entities, 20);
});

/** A transport over streams of this process, and what came through it. */
function connected(): {
  input: PassThrough;
  output: PassThrough;
  transport: StdioTransport;
  seen: string[];
  text: () => string;
} {
  const input = new PassThrough();
  const output = new PassThrough();
  const transport = new StdioTransport(input, output);
  const seen: string[] = [];
  let written = '';
  output.on('data', (chunk: Buffer) => (written += chunk.toString('utf8')));
  transport.onmessage = (message) => {
    seen.push(JSON.stringify(message));
    if ('id' in message && 'method' in message) void transport.send({ jsonrpc: '2.0', id: message.id, result: {} });
  };
  return { input, output, transport, seen, text: () => written };
}

async function through(chunks: readonly Buffer[]): Promise<{ seen: string[]; text: string }> {
  const { input, transport, seen, text } = connected();
  await transport.start();
  for (const chunk of chunks) input.write(chunk);
  input.end();
  await transport.finished();
  await sleep(0);
  return { seen, text: text() };
}

test('every split of the bytes gives the same messages and the same answers', async () => {
  const bytes = Buffer.from(
    `${rpc(1, 'ping')}\n\n  \r\n${rpc(2, 'größe', { q: '–ü😀' })}\r\nnot json\n[]\n{"jsonrpc":"2.0","id":3}\n"\u00ff"\n${rpc(4, 'last')}`,
  );
  const whole = await through([bytes]);
  assert.equal(whole.seen.length, 3);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 12 }), async (cuts) => {
      const points = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
      const split = await through(points.slice(1).map((end, i) => bytes.subarray(points[i], end)));
      assert.deepEqual(split, whole);
    }),
  );
});

test('a line above the limit is skipped to its end and refused by name', async () => {
  const half = Buffer.alloc(LIMITS.stdioLineMaxBytes / 2, 0x20);
  const { seen, text } = await through([half, half, Buffer.from(`{"x"\n${rpc(1, 'ping')}\n`)]);
  assert.equal(seen.length, 1);
  const [refused, answered] = parse(text);
  assert.equal(refused?.error?.code, -32600);
  assert.match(refused?.error?.message ?? '', new RegExp(String(LIMITS.stdioLineMaxBytes)));
  assert.equal(answered?.id, 1);
});

test('answers leave in the order of the requests; ping does not wait', async () => {
  const { input, transport, text } = connected();
  transport.onmessage = () => undefined;
  await transport.start();
  for (const [id, method] of ['a', 'b', 'ping', 'c'].entries()) input.write(`${rpc(id, method)}\n`);
  await sleep(5);
  for (const id of [3, 2, 1]) await transport.send({ jsonrpc: '2.0', id, result: {} });
  assert.deepEqual(
    parse(text()).map(({ id }) => id),
    [2],
  );
  await transport.send({ jsonrpc: '2.0', id: 0, result: {} });
  assert.deepEqual(
    parse(text()).map(({ id }) => id),
    [2, 0, 1, 3],
  );
});

test('a cancelled request, which gets no answer, holds nothing back', async () => {
  const { input, transport, text } = connected();
  transport.onmessage = () => undefined;
  await transport.start();
  input.write(`${rpc(1, 'a')}\n${rpc(2, 'b')}\n`);
  input.write('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}\n');
  await sleep(5);
  await transport.send({ jsonrpc: '2.0', id: 2, result: {} });
  assert.deepEqual(
    parse(text()).map(({ id }) => id),
    [2],
  );
});

test('input waits while more is open or unread than is allowed, and goes on by itself', async () => {
  const input = new PassThrough();
  let release: (() => void) | null = null;
  // A client that reads nothing until it is told to.
  const output = new Writable({ highWaterMark: 1, write: (_chunk, _encoding, done) => void (release = done) });
  const transport = new StdioTransport(input, output);
  const open: number[] = [];
  transport.onmessage = (message) => {
    if ('id' in message && typeof message.id === 'number') open.push(message.id);
  };
  await transport.start();
  for (let id = 0; id < LIMITS.stdioOpenMax + 10; id++) input.write(`${rpc(id, 'a')}\n`);
  await sleep(20);
  assert.equal(open.length, LIMITS.stdioOpenMax);
  assert.ok(input.isPaused());
  for (const id of open.splice(0)) await transport.send({ jsonrpc: '2.0', id, result: {} });
  await sleep(20);
  assert.equal(open.length, 10, 'answered requests make room although nobody has read the answers');
  const large = 'x'.repeat(LIMITS.stdioUnreadMaxBytes);
  await transport.send({ jsonrpc: '2.0', id: open.shift() ?? -1, result: { large } });
  assert.ok(input.isPaused());
  while (release !== null) {
    const go: () => void = release;
    release = null;
    go();
    await sleep(0);
  }
  await sleep(5);
  assert.ok(!input.isPaused());
});

test('calls of one access run together, a change of access waits for all before it', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom('read', 'write'), fc.nat(3)), { maxLength: 12 }),
      async (calls) => {
        const lane = new OrderedLane();
        const running = new Set<number>();
        const finished = new Set<number>();
        const ends = calls.map(([access, turns], i) =>
          lane.run(access, async () => {
            for (const other of running) assert.equal(calls[other]?.[0], access);
            // Everything of another access that was asked before has ended.
            for (let before = 0; before < i; before++)
              if (calls[before]?.[0] !== access) assert.ok(finished.has(before));
            running.add(i);
            for (let turn = 0; turn < turns; turn++) await sleep(0);
            running.delete(i);
            finished.add(i);
            if (turns === 3) throw new Error('a call that fails holds nobody back');
          }),
        );
        await Promise.allSettled(ends).then((all) => {
          for (const [i, end] of all.entries())
            assert.equal(end.status, calls[i]?.[1] === 3 ? 'rejected' : 'fulfilled');
        });
        assert.equal(finished.size, calls.length);
      },
    ),
    { numRuns: 40 },
  );
});

test('a call with a progress token is told how far it has come, always further; one without hears nothing', async (t) => {
  const model = await startModelServer(t);
  const { answer } = model;
  model.answer = async (asked, response) => {
    await sleep(30);
    await answer(asked, response);
  };
  // A server for answering embeds nothing unasked.
  const running = startMimir(['--db', join(temporaryFolder(t), 'm.db'), '--llm-endpoint', model.url]);
  const items = (category: string): object[] =>
    Array.from({ length: 40 }, (_, n) => ({ category, key: `k${n}`, body_json: `"heron ${n}"` }));
  const embed = (id: number, batch_category: string, _meta?: object): string =>
    rpc(id, 'tools/call', { name: 'mimir_embed', arguments: { batch_category }, ...(_meta && { _meta }) });
  const lines = [
    initialize('2025-06-18'),
    callText(1, 'mimir_remember_many', { memories: [...items('loud'), ...items('quiet')] }),
    embed(2, 'loud', { progressToken: 'p' }),
    embed(3, 'quiet'),
  ];
  running.child.stdin.end(lines.map((line) => `${line}\n`).join(''));
  assert.equal(await running.ended, 0);
  const messages = running.printed.stdout.split('\n').filter((line) => line !== '');
  const told = messages
    .map((line) => JSON.parse(line) as { method?: string; params?: { progressToken: string; progress: number } })
    .filter(({ method }) => method === 'notifications/progress')
    .map(({ params }) => params);
  assert.ok(told.length > 1, running.printed.stdout.slice(-600));
  for (const [at, params] of told.entries()) {
    assert.deepEqual({ ...params, progress: 0 }, { progressToken: 'p', progress: 0, total: 40 });
    assert.ok((params?.progress ?? 0) > (told[at - 1]?.progress ?? 0));
  }
  assert.match(running.printed.stdout, /"embedded":40.*\n[^]*"embedded":40/);
});
