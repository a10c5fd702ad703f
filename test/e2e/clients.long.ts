// Real clients of other people, each a process of its own.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';

import { createTable, type TableDeps } from '../../src/tools/table.ts';
import { startHttp, temporaryFolder } from '../support/processes.ts';

const CLIENTS = join(import.meta.dirname, '../../clients');
const LAUNCHER = join(import.meta.dirname, '../../bin/mimir.js');
const PYTHON = join(CLIENTS, '.venv/bin/python');
const INSPECTOR = join(CLIENTS, 'node_modules/.bin/inspector');
const withoutClients = existsSync(join(CLIENTS, 'node_modules'))
  ? false
  : 'the clients are not installed: npm run clients';
const withoutPython = existsSync(PYTHON) ? false : 'the Python client is not installed: npm run clients, with python3';

const run = async (command: string, args: readonly string[]): Promise<string> =>
  (await promisify(execFile)(command, args, { cwd: CLIENTS, timeout: 30_000 })).stdout;

const SHOWN = createTable({} as unknown as TableDeps).core.length;
const EXPECTED = { tools: SHOWN, action: 'created', keys: ['a'], same: true, refused: true };

const OFFERS = {
  resources: ['client/a'],
  read: 'a',
  templates: ['mimir://entity/{id}'],
  prompts: ['what_do_you_know', 'brief_me', 'wrap_up'],
  told: true,
  missing: -32602,
};

/** Client and arguments; `URL` and `STDIO` stand for the server. */
const RUNS: readonly (readonly string[])[] = [
  ['v1.mjs', 'stdio', 'STDIO'],
  ['v1.mjs', 'http', 'URL/mcp'],
  ['v1.mjs', 'sse', 'URL/sse'],
  ['v2.mjs', 'legacy', 'stdio', 'STDIO'],
  ['v2.mjs', 'auto', 'stdio', 'STDIO'],
  ['v2.mjs', 'modern', 'stdio', 'STDIO'],
  ['v2.mjs', 'legacy', 'http', 'URL/mcp'],
  ['v2.mjs', 'auto', 'http', 'URL/mcp'],
  ['v2.mjs', 'modern', 'http', 'URL/mcp'],
  ['v2.mjs', 'legacy', 'sse', 'URL/sse'],
  ['v2.mjs', 'auto', 'sse', 'URL/sse'],
  ['client.py', 'stdio', process.execPath, 'STDIO'],
  ['client.py', 'http', 'URL/mcp'],
  ['client.py', 'sse', 'URL/sse'],
];

for (const [file = '', ...args] of RUNS) {
  const isPython = file.endsWith('.py');
  test(`${file} ${args[0]} ${args[1]}`, { skip: isPython ? withoutPython : withoutClients }, async (t) => {
    const db = join(temporaryFolder(t), 'm.db');
    const overHttp = args.some((arg) => arg.startsWith('URL'));
    const server = overHttp ? await startHttp(['--db', db]) : null;
    const resolved = args.flatMap((arg) =>
      arg === 'STDIO' ? [LAUNCHER, '--db', db] : [arg.replace('URL', `http://127.0.0.1:${server?.port}`)],
    );
    const printed = await run(isPython ? PYTHON : process.execPath, [file, ...resolved]);
    assert.deepEqual(JSON.parse(printed), isPython ? EXPECTED : { ...EXPECTED, ...OFFERS });
    server?.child.kill('SIGTERM');
    if (server !== null) assert.equal(await server.ended, 0);
  });
}

test('installing the clients fails in CI where Python is missing, instead of leaving its client out', () => {
  const installed = spawnSync(process.execPath, [join(CLIENTS, '../scripts/clients.mjs')], {
    env: { CI: 'true', PATH: '/nonexistent' },
    encoding: 'utf8',
  });
  assert.equal(installed.status, 1);
  assert.match(installed.stderr, /no python3 with venv/);
});

test('the Inspector finds nothing to object to in the list, in any era', { skip: withoutClients }, async (t) => {
  const server = await startHttp(['--db', join(temporaryFolder(t), 'm.db')]);
  const target = [INSPECTOR, '--cli', `http://127.0.0.1:${server.port}/mcp`, '--transport', 'http'];
  for (const era of ['legacy', 'auto', 'modern']) {
    // It exits with 6 when a schema is one that some client cannot read.
    const args = ['--protocol-era', era, '--method', 'tools/list', '--strict', '--format', 'json'];
    const listed = JSON.parse(await run(process.execPath, [...target, ...args])) as { result: { tools: unknown[] } };
    assert.equal(listed.result.tools.length, EXPECTED.tools);
  }
  server.child.kill('SIGTERM');
  await server.ended;
});
