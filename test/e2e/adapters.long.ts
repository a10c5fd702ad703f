// The calls of the original's adapters (LangGraph, CrewAI, AutoGen, Obsidian), as they make them: one process over stdio,
// requests without `notifications/initialized`, answers matched by id, stderr never read.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import test, { type TestContext } from 'node:test';

import type { RpcAnswer } from '../support/mcp.ts';
import { temporaryFolder } from '../support/processes.ts';

const LAUNCHER = join(import.meta.dirname, '../../bin/mimir.js');

type Payload = Readonly<Record<string, unknown>>;

/** An adapter's way to call: what it makes of an answer is its payload. */
async function adapter(
  t: TestContext,
  name: string,
  step: number,
): Promise<(tool: string, args: object) => Promise<Payload>> {
  const db = join(temporaryFolder(t), 'm.db');
  const child = spawn(process.execPath, [LAUNCHER, 'serve', '--db', db], { stdio: ['pipe', 'pipe', 'pipe'] });
  t.after(() => child.kill());
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let id = 1 - step;
  const request = async (method: string, params: object): Promise<RpcAnswer> => {
    id += step;
    child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
    for (;;) {
      const { value, done } = await lines.next();
      if (done === true) throw new Error('the server ended');
      const answer = JSON.parse(value) as RpcAnswer;
      if (answer.id === id) return answer;
    }
  };
  const clientInfo = { name, version: '1.0.0' };
  await request('initialize', { protocolVersion: '2024-11-05', capabilities: {}, clientInfo });
  return async (tool, args) => {
    const { result, error } = await request('tools/call', { name: tool, arguments: args });
    if (error !== undefined) return { error: error.message };
    return (result?.['structuredContent'] ?? {}) as Payload;
  };
}

const itemsOf = (payload: Payload): Payload[] => payload['items'] as Payload[];

test('LangGraph: put, get, search, time to live, delete, namespaces', async (t) => {
  const call = await adapter(t, 'langgraph-mimir', 2);
  const value = { city: 'Bergen', notes: ['rain'] };
  const put = { category: 'users/7', key: 'home', body_json: JSON.stringify(value), type: 'langgraph_item' };
  assert.equal((await call('mimir_remember', put))['error'], undefined);
  const expiry = { key: 'users/7/home__ttl', value: '1790000000.5', ttl: 60.5 };
  assert.equal((await call('mimir_state_set', expiry))['ttl_seconds'], 61);
  const got = itemsOf(await call('mimir_recall', { query: 'home', category: 'users/7', limit: 5 }));
  const home = got.find((item) => item['key'] === 'home');
  assert.deepEqual(JSON.parse(String(home?.['body_json'])), value);
  assert.equal(typeof home?.['created_at_unix_ms'], 'number');
  assert.equal(typeof home?.['last_accessed_unix_ms'], 'number');
  const found = itemsOf(await call('mimir_recall', { query: '', limit: 10, offset: 0, category: 'users/7' }));
  assert.equal(typeof found[0]?.['decay_score'], 'number');
  assert.deepEqual(Object.keys((await call('mimir_stats', {}))['by_category'] as object), ['users/7']);
  await call('mimir_forget', { category: 'users/7', key: 'home', reason: 'LangGraph delete' });
  assert.deepEqual(itemsOf(await call('mimir_recall', { query: 'home', category: 'users/7', limit: 5 })), []);
});

test('CrewAI: remember, recall, journal, context', async (t) => {
  const call = await adapter(t, 'crewai-mimir', 1);
  const body_json = JSON.stringify({ content: 'The deploy runs at noon' });
  const stored = await call('mimir_remember', { category: 'crewai', key: 'auto-1', body_json, type: 'fact' });
  assert.ok(!('error' in stored));
  const [item] = itemsOf(await call('mimir_recall', { query: 'deploy', limit: 5 }));
  assert.deepEqual([item?.['category'], item?.['key']], ['crewai', 'auto-1']);
  assert.equal((JSON.parse(String(item?.['body_json'])) as { content: string }).content, 'The deploy runs at noon');
  const evaluated = { description: 'weighed', context: 'ci' };
  const noted = await call('mimir_journal', { event_type: 'decision', category: 'crewai', key: 'event-1', evaluated });
  assert.ok(!('error' in noted));
  assert.match(String((await call('mimir_context', {}))['context']).slice(0, 1000), /The deploy runs at noon/);
});

test('AutoGen: add, query, update of the context, and a failure is seen as one', async (t) => {
  const call = await adapter(t, 'autogen-mimir', 1);
  const body_json = JSON.stringify({ content: 'Prefers metric units', mime_type: 'text/plain' });
  const added = { category: 'autogen', key: 'autogen-1', body_json, type: 'autogen_memory' };
  assert.ok(!('error' in (await call('mimir_remember', added))));
  const [item] = itemsOf(await call('mimir_recall', { query: 'metric', limit: 10 }));
  assert.equal(typeof item?.['decay_score'], 'number');
  assert.match(String((await call('mimir_context', { limit: 10 }))['context']), /Prefers metric units/);
  // What it clears with is not there yet; it must not take that for success.
  assert.equal(typeof (await call('mimir_prune', { category: 'autogen' }))['error'], 'string');
  assert.equal(typeof (await call('mimir_remember', { category: 'autogen' }))['error'], 'string');
});

test('Obsidian: a fresh process for each action, two lines in, the second line out is the answer', async (t) => {
  const db = join(temporaryFolder(t), 'm.db');
  const act = async (name: string, args: object): Promise<Payload> => {
    const child = spawn(process.execPath, [LAUNCHER, 'serve', '--db', db], { stdio: ['pipe', 'pipe', 'ignore'] });
    const params = { protocolVersion: '2024-11-05', clientInfo: { name: 'obsidian-mimir', version: '0.1.0' } };
    const lines = [
      { jsonrpc: '2.0', id: 1, method: 'initialize', params },
      { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name, arguments: args } },
    ];
    child.stdin.end(lines.map((line) => JSON.stringify(line)).join('\n'));
    let text = '';
    for await (const chunk of child.stdout) text += String(chunk);
    const answer = JSON.parse(text.trim().split('\n')[1] ?? '') as RpcAnswer;
    return answer.result?.['structuredContent'] as Payload;
  };
  const push = {
    id: '',
    category: 'obsidian',
    key: 'Daily note',
    body_json: JSON.stringify({ content: 'Walked to the harbour', source: 'obsidian' }),
    type: 'insight',
    status: 'active',
    tags: ['daily'],
    topic_path: 'notes',
  };
  assert.equal((await act('mimir_remember', push))['action'], 'created');
  assert.equal((await act('mimir_remember', push))['error'], undefined);
  assert.equal(itemsOf(await act('mimir_recall', { query: 'harbour' }))[0]?.['key'], 'Daily note');
});
