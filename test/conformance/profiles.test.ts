// Which tools a client is shown: by the process, or by the URL that it asks.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';

import { createTable, type TableDeps } from '../../src/tools/table.ts';
import { lastEvent, MODERN_META, openSse, type RpcAnswer } from '../support/mcp.ts';
import { callText, http, startHttp, startMimir, temporaryFolder } from '../support/processes.ts';

const TABLE = createTable({} as unknown as TableDeps);
const NAMES = {
  core: TABLE.core.map(({ name }) => name),
  all: TABLE.all.map(({ name }) => name),
  two: ['mimir_recall', 'mimir_state_get'],
};
const LIST = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' });
const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
});
const HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

function named(answer: RpcAnswer): string[] {
  const { tools } = answer.result as { tools: readonly { name: string }[] };
  return tools.map(({ name }) => name);
}

async function listOver(port: number, path: string): Promise<string[][]> {
  const post = async (body: string, headers: Readonly<Record<string, string>> = {}) =>
    await http(port, { path, body, headers: { ...HEADERS, ...headers } });
  const alone = await post(LIST);
  const { headers } = await post(INITIALIZE);
  const session = { 'mcp-session-id': String(headers['mcp-session-id']), 'mcp-protocol-version': '2025-06-18' };
  const inSession = await post(LIST, session);
  const modern = await post(
    JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta: MODERN_META } }),
    { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' },
  );
  return [alone, inSession, modern].map(({ body }) =>
    named(body.startsWith('{') ? (JSON.parse(body) as RpcAnswer) : lastEvent(body)),
  );
}

test('the process says what is shown, and /mcp/core and /mcp/all say it for one client', async (t) => {
  const db = join(temporaryFolder(t), 'm.db');
  const server = await startHttp(['--db', db, '--tools', 'recall,state_get']);
  const byPath = { '/mcp': NAMES.two, '/mcp/core': NAMES.core, '/mcp/all': NAMES.all };
  for (const [path, names] of Object.entries(byPath)) {
    for (const shown of await listOver(server.port, path)) assert.deepEqual(shown, names, path);
  }
  assert.deepEqual(named(JSON.parse((await http(server.port, { body: LIST })).body) as RpcAnswer), NAMES.two);
  const stream = await openSse(server.port);
  await stream.ask(JSON.parse(INITIALIZE) as object);
  assert.deepEqual(named(await stream.ask(JSON.parse(LIST) as object)), NAMES.two);
  stream.close();
  const hidden = await http(server.port, { body: callText(2, 'mimir_stats', {}) });
  assert.match(hidden.body, /"total_entities":0/, 'what is not shown can be called');
  for (const path of ['/mcp/none', '/mcp/', '/mcp/all/x'])
    assert.equal((await http(server.port, { path })).status, 404);
  server.child.kill('SIGTERM');
  assert.equal(await server.ended, 0);
});

test('over stdio, by variable and by flag; core is what nobody has to ask for', async (t) => {
  const db = join(temporaryFolder(t), 'm.db');
  const cases: readonly (readonly [flags: readonly string[], env: Record<string, string>, names: readonly string[]])[] =
    [
      [[], {}, NAMES.core],
      [[], { MIMIR_TOOLS: 'all' }, NAMES.all],
      [['--tools', 'recall, mimir_state_get'], { MIMIR_TOOLS: 'all' }, NAMES.two],
    ];
  for (const [flags, env, names] of cases) {
    const running = startMimir(['--db', db, ...flags], env);
    running.child.stdin.end(`${INITIALIZE}\n${LIST}\n`);
    assert.equal(await running.ended, 0);
    const [, answer = ''] = running.printed.stdout.trim().split('\n');
    assert.deepEqual(named(JSON.parse(answer) as RpcAnswer), names);
  }
});
