import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';

import { MODERN_META, openSse, mcpPost, type RpcAnswer } from '../support/mcp.ts';
import { callText, http, startHttp, startMimir, temporaryFolder } from '../support/processes.ts';

const INITIALIZE = {
  jsonrpc: '2.0',
  id: 'first',
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
};

const CALLS: [string, unknown][] = [
  ['mimir_recall', { query: 'nothing yet' }],
  ['mimir_context', {}],
  [
    'mimir_remember',
    { category: 'd', key: 'a', body_json: '{"content":"The heron host runs staging"}', tags: ['ops'] },
  ],
  ['mimir_remember', { category: 'd', key: 'b', body_json: '"plain text"', importance: '0.75' }],
  ['mimir_remember', { category: 'd', key: 'a', body_json: '{"content":"The heron host runs production"}' }],
  ['mimir_recall', { query: 'heron', limit: '5' }],
  ['mimir_recall', { query: 'the "quoted" AND (broken OR * syntax' }],
  ['mimir_recall', { query: 'the of and' }],
  ['mimir_recall', { query: 'x'.repeat(10_000) }],
  ['mimir_state_set', { key: 'k', value_json: '1', ttl_seconds: null }],
  ['mimir_state_get', { key: 'k' }],
  ['mimir_state_list', {}],
  ['mimir_journal', { event_type: 'decision', evaluated: { a: 1 } }],
  ['mimir_timeline', {}],
  ['mimir_traverse', { category: 'd', key: 'a' }],
  ['mimir_forget', { category: 'd', key: 'b' }],
  ['mimir_forget', { category: 'd', key: 'b' }],
  ['mimir_get_entity', { id: 'mem-000000000000' }],
  ['mimir_link', { from_category: 'd', from_key: 'a', to_id: 'mem-000000000000' }],
  ['mimir_remember', { category: 'd', key: 'c' }],
  ['mimir_nope', {}],
];

/** Ids are random and times pass (a score falls with them); everything else must be equal. */
function stable(text: string): string {
  return text
    .replace(/(mem|jrn)-[0-9a-f]{12}/g, '$1-x')
    .replace(/\d{13}/g, 'T')
    .replace(/(decay_score\\*":)([\d.]+)/g, (_, name: string, score: string) => name + Number(score).toFixed(3))
    .replace(/"db_file_size_bytes":\d+/, '');
}

/** One call after the other through one door; answers their results, or errors. */
type Door = (port: number, calls: typeof CALLS) => Promise<RpcAnswer[]>;

const HTTP_DOORS: Readonly<Record<string, Door>> = {
  'POST /message': async (port, calls) =>
    await inTurn(calls, async (id, name, args) => {
      const { status, body } = await http(port, { body: callText(id, name, args) });
      assert.equal(status, 200);
      return JSON.parse(body) as RpcAnswer;
    }),
  '/mcp without a session': async (port, calls) =>
    await inTurn(calls, async (id, name, args) => (await mcpPost(port, callText(id, name, args))).answer),
  '/mcp with a session': async (port, calls) => {
    const { headers } = await mcpPost(port, JSON.stringify(INITIALIZE));
    const session = { 'mcp-session-id': String(headers['mcp-session-id']), 'mcp-protocol-version': '2025-06-18' };
    return await inTurn(
      calls,
      async (id, name, args) => (await mcpPost(port, callText(id, name, args), session)).answer,
    );
  },
  '/mcp in the revision 2026-07-28': async (port, calls) =>
    await inTurn(calls, async (id, name, args) => {
      const params = { name, arguments: args, _meta: MODERN_META };
      const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': name };
      const body = JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params });
      const { answer } = await mcpPost(port, body, headers);
      // Only this revision has these.
      const { resultType: _, _meta: __, ...result } = answer.result ?? {};
      return answer.result === undefined ? answer : { ...answer, result };
    }),
  '/sse': async (port, calls) => {
    const session = await openSse(port);
    assert.equal((await session.ask(INITIALIZE)).error, undefined);
    const answers = await inTurn(
      calls,
      async (id, name, args) => await session.ask(JSON.parse(callText(id, name, args)) as object),
    );
    session.close();
    return answers;
  },
};

async function inTurn(
  calls: typeof CALLS,
  call: (id: number, name: string, args: unknown) => Promise<RpcAnswer>,
): Promise<RpcAnswer[]> {
  const answers: RpcAnswer[] = [];
  for (const [i, [name, args]] of calls.entries()) answers.push(await call(i + 1, name, args));
  return answers;
}

test('the same calls give the same results through every door', async (t) => {
  const folder = temporaryFolder(t);
  const running = startMimir(['--db', join(folder, 'stdio.db')]);
  const lines = [JSON.stringify(INITIALIZE), ...CALLS.map(([name, args], i) => callText(i + 1, name, args))];
  running.child.stdin.end(lines.join('\n'));
  assert.equal(await running.ended, 0);
  assert.match(running.printed.stderr, /^mimir: using database at .*\nmimir: MCP server ready\n$/);
  const answers = running.printed.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as RpcAnswer);
  assert.deepEqual(
    answers.map((answer) => answer.id),
    ['first', ...CALLS.map((_, i) => i + 1)],
    'answers come in the order of the requests',
  );
  const expected = answers.slice(1);
  for (const [name, door] of Object.entries(HTTP_DOORS)) {
    await t.test(name, async () => {
      const db = join(folder, `${name.replaceAll(/\W/g, '')}.db`);
      const server = await startHttp(['--db', db]);
      const got = await door(server.port, CALLS);
      server.child.kill('SIGTERM');
      for (const [i, [tool]] of CALLS.entries()) {
        const [ours, theirs] = [got[i], expected[i]];
        assert.equal(ours?.id, i + 1);
        assert.equal(
          stable(JSON.stringify(ours.result ?? ours.error)),
          stable(JSON.stringify(theirs?.result ?? theirs?.error)),
          `${tool} ${i}`,
        );
      }
      assert.equal(await server.ended, 0);
      assert.throws(() => statSync(`${db}-wal`), 'the file is left clean');
      assert.equal(statSync(db).mode & 0o777, 0o600);
    });
  }
});
