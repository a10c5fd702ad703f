// How long a new client waits for its first tool answer. The bounds are those that were promised; the figures are printed.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';

import { mcpPost } from '../support/mcp.ts';
import { callText, startHttp, startMimir, temporaryFolder, until } from '../support/processes.ts';

const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
});
const INITIALIZED = '{"jsonrpc":"2.0","method":"notifications/initialized"}';
const CALL = callText(1, 'mimir_recall', { query: 'anything' });

const STDIO_MAX_MS = 500;
const HTTP_MAX_MS = 50;

/** Runs it several times in turn: how long each took, in milliseconds. */
async function times(count: number, run: (i: number) => Promise<void>): Promise<number[]> {
  const tookMs: number[] = [];
  for (let i = 0; i < count; i++) {
    const started = performance.now();
    await run(i);
    tookMs.push(performance.now() - started);
  }
  return tookMs;
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
const shown = (values: readonly number[]): string => values.map((value) => value.toFixed(0)).join(', ');

test('by stdio, a new process answers its first tool call within half a second', async (t) => {
  const folder = temporaryFolder(t);
  const tookMs = await times(5, async (i) => {
    const { child, printed } = startMimir(['--db', join(folder, `${i}.db`)]);
    t.after(() => child.kill('SIGKILL'));
    child.stdin.write(`${INITIALIZE}\n`);
    await until(() => (printed.stdout.includes('"id":0') ? true : undefined));
    child.stdin.write(`${INITIALIZED}\n${CALL}\n`);
    await until(() => (printed.stdout.includes('"id":1') ? true : undefined));
  });
  t.diagnostic(`${shown(tookMs)} ms`);
  assert.ok(median(tookMs) < STDIO_MAX_MS, `${shown(tookMs)} ms`);
});

test('over HTTP, a new client has its first tool answer within 50 ms', async (t) => {
  const { port, child } = await startHttp(['--db', join(temporaryFolder(t), 'm.db')]);
  t.after(() => child.kill('SIGKILL'));
  const tookMs = await times(9, async () => {
    const { headers } = await mcpPost(port, INITIALIZE);
    const session = { 'mcp-session-id': String(headers['mcp-session-id']), 'mcp-protocol-version': '2025-11-25' };
    assert.equal((await mcpPost(port, INITIALIZED, session)).status, 202);
    assert.ok((await mcpPost(port, CALL, session)).answer.result);
  });
  t.diagnostic(`${shown(tookMs)} ms`);
  assert.ok(median(tookMs) < HTTP_MAX_MS, `${shown(tookMs)} ms`);
});
