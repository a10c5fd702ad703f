import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import test from 'node:test';

import { callText, http, startHttp, temporaryFolder } from '../support/processes.ts';

const SESSIONS = 10_000;
const MORE_MAX_MIB = 150;
const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'idle', version: '1' } },
});

const linux = process.platform === 'linux' ? false : 'memory is read from /proc, which only Linux has';

test('ten thousand idle sessions cost little memory', { skip: linux }, async (t) => {
  const server = await startHttp(['--db', join(temporaryFolder(t), 'm.db')]);
  const agent = new Agent({ keepAlive: true, maxSockets: 10 });
  const begin = async (): Promise<number | undefined> =>
    await new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
      const sent = request({ port: server.port, path: '/mcp', method: 'POST', agent, headers }, (response) => {
        response.resume().on('end', () => resolve(response.statusCode));
      });
      sent.on('error', reject);
      sent.end(INITIALIZE);
    });
  const residentMib = (): number =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.child.pid}/status`, 'utf8'))?.[1]) / 1024;
  const many = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i += 10) {
      const codes = await Promise.all(Array.from({ length: 10 }, begin));
      assert.deepEqual(new Set(codes), new Set([200]));
    }
  };
  // What the first ones load and warm up is no cost of a session.
  await many(300);
  const before = residentMib();
  await many(SESSIONS);
  const more = residentMib() - before;
  t.diagnostic(`${more.toFixed(0)} MiB more`);
  assert.ok(more < MORE_MAX_MIB, `${more.toFixed(0)} MiB more`);
  assert.equal((await http(server.port, { body: callText(1, 'mimir_health', {}) })).status, 200);
  agent.destroy();
  server.child.kill('SIGTERM');
  assert.equal(await server.ended, 0);
});
