// Runs the official conformance suite of MCP against the real server: npm run conformance
// It needs the foreign clients: npm run clients
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const SUITE = join(ROOT, 'clients/node_modules/@modelcontextprotocol/conformance/dist/index.js');
const REVISIONS = ['2025-11-25', '2026-07-28'];

if (!existsSync(SUITE)) {
  process.stderr.write('The conformance suite is not installed. Install it with: npm run clients\n');
  process.exit(1);
}
const folder = mkdtempSync(join(tmpdir(), 'mimir-conformance-'));
const db = join(folder, 'm.db');
let failed = false;
// The real server must fail exactly what its file says; the fixture server, on the same transports, nothing.
await run('the real server', ['bin/mimir.js', 'serve', '--transport', 'http', '--port', '0', '--db', db], true);
await run('the fixture server', ['test/conformance/official/fixture.ts'], false);
rmSync(folder, { recursive: true, force: true });
process.exit(failed ? 1 : 0);

async function run(name, command, hasBaseline) {
  const server = spawn(process.execPath, command, { cwd: ROOT, stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise((resolve) => server.on('exit', resolve));
  let printed = '';
  const url = await new Promise((resolve, reject) => {
    server.stderr.on('data', (chunk) => {
      printed += chunk;
      const found = /MCP clients connect to (\S+)/.exec(printed)?.[1];
      if (found !== undefined) resolve(found);
    });
    void ended.then(() => reject(new Error(`the server ended: ${printed}`)));
  });
  for (const revision of REVISIONS) {
    const baseline = join(ROOT, `test/conformance/official/${revision}.yml`);
    const args = ['server', '--url', url, '--requirements', revision, '-o', folder];
    if (hasBaseline) args.push('--expected-failures', baseline);
    const suite = spawn(process.execPath, [SUITE, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    suite.stdout.on('data', (chunk) => (text += chunk));
    const code = await new Promise((resolve) => suite.on('close', resolve));
    failed ||= code !== 0;
    process.stdout.write(`== ${name}, ${revision}\n${text.slice(Math.max(0, text.indexOf('=== SUMMARY ===')))}\n`);
  }
  server.kill('SIGTERM');
  await ended;
}
