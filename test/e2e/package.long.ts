// The package as its users get it: packed, installed in an empty folder, started.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';

import { createTable, type TableDeps } from '../../src/tools/table.ts';

const ROOT = join(import.meta.dirname, '../..');
const LAUNCHER = join(ROOT, 'bin/mimir.js');
const PACKING = process.env['CI'] === 'true' || process.env['MIMIR_TEST_PACK'] === '1';

/** This environment with the running Node first, and without what npm and the test runner tell their own children. */
function environment(): NodeJS.ProcessEnv {
  const theirs = /^(MIMIR_|npm_(package|lifecycle|config_local_prefix)|NODE_(OPTIONS|TEST_CONTEXT|V8_COVERAGE)$)/;
  const entries = Object.entries(process.env).filter(([name]) => !theirs.test(name));
  const path = `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}`;
  return { ...Object.fromEntries(entries), PATH: path };
}

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'mimir-package-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Sends lines to a server over stdio and ends its input; answers its messages by id, and how it ended. */
async function talk(command: string, args: readonly string[], messages: readonly object[]) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'ignore'], env: environment(), timeout: 60_000 });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stdin.end(messages.map((message) => `${JSON.stringify(message)}\n`).join(''));
  const code = await new Promise<number | null>((resolve, reject) => child.on('close', resolve).on('error', reject));
  const lines = output.split('\n').filter((line) => line !== '');
  const answers = new Map(
    lines.map((line) => {
      const message = JSON.parse(line) as { id: number; result?: Record<string, unknown> };
      return [message.id, message.result] as const;
    }),
  );
  return { code, answers };
}

test(
  'the packed package installs in an empty folder and serves',
  {
    skip: PACKING ? false : 'It installs from the registry and takes a while: set MIMIR_TEST_PACK=1 to run it.',
    timeout: 300_000,
  },
  async (t) => {
    const folder = temporaryFolder(t);
    const run = (command: string, ...args: string[]): string =>
      execFileSync(command, args, {
        cwd: folder,
        env: environment(),
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      });

    execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], {
      cwd: ROOT,
      env: environment(),
      stdio: 'pipe',
    });
    const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'));
    assert.ok(tarball !== undefined, 'npm pack made no tarball');
    const packed = run('tar', '-tf', tarball).split('\n');
    for (const file of [
      'dist/main.js',
      'dist/main.d.ts',
      'dist/pool/thread.js',
      'bin/mimir.js',
      'bin/node-version.js',
      'LICENSE',
      'docs/your-data.md',
    ]) {
      assert.ok(packed.includes(`package/${file}`), `${file} is not in the tarball`);
    }
    assert.deepEqual(
      packed.filter((file) => /^package\/(src|test|load|bench)\//.test(file)),
      [],
      'sources do not belong in the tarball',
    );

    run('npm', 'init', '--yes', '--silent');
    run('npm', 'install', '--no-audit', '--no-fund', '--silent', `./${tarball}`);
    // Without `--`, npx 11 takes `mimir` for the value of `--no` and prints its own version.
    assert.match(run('npx', '--no', '--', 'mimir', '--version'), /^mimir \d+\.\d+\.\d+\n$/);

    const { code, answers } = await talk(
      join(folder, 'node_modules/.bin/mimir'),
      ['serve', '--db', join(folder, 'packed.db')],
      [
        {
          jsonrpc: '2.0',
          id: 1,
          method: 'initialize',
          params: {
            protocolVersion: '2025-06-18',
            capabilities: {},
            clientInfo: { name: 'package-test', version: '1' },
          },
        },
        { jsonrpc: '2.0', method: 'notifications/initialized' },
        { jsonrpc: '2.0', id: 2, method: 'tools/list' },
        {
          jsonrpc: '2.0',
          id: 3,
          method: 'tools/call',
          params: {
            name: 'mimir_remember',
            arguments: { category: 'note', key: 'first', body_json: '{"content":"packed"}' },
          },
        },
      ],
    );
    const result = (id: number): Record<string, unknown> => answers.get(id) ?? {};
    assert.equal(code, 0, 'the server ends with 0 when its input ends');
    assert.equal((result(1)['serverInfo'] as { name: string }).name, 'mimir');
    const { core } = createTable({} as unknown as TableDeps);
    assert.equal((result(2)['tools'] as unknown[]).length, core.length);
    // A write needs the thread, whose file has another name in the package.
    assert.equal((result(3)['structuredContent'] as { action: string }).action, 'created');
  },
);

test('the version check knows what is too old', async () => {
  const { nodeProblem } = (await import(join(ROOT, 'bin/node-version.js'))) as {
    nodeProblem: (version: string, isCheckout: boolean) => string;
  };
  for (const version of ['12.22.12', '20.20.2', '22.17.1'])
    assert.match(nodeProblem(version, false), /needs Node 22\.18 or newer and found Node /);
  for (const version of ['22.18.0', '23.0.0', '24.21.0']) assert.equal(nodeProblem(version, true), '');
  assert.match(nodeProblem('20.20.2', true), /npm ci/);
  assert.doesNotMatch(nodeProblem('20.20.2', false), /npm ci/);
});

/** A Node on this machine that is older than 22. */
function findOldNode(): string | undefined {
  const places = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/bin', '/usr/local/bin'];
  return places
    .map((place) => join(place, 'node'))
    .filter((file) => existsSync(file))
    .find(
      (file) => Number(/^v(\d+)/.exec(spawnSync(file, ['--version'], { encoding: 'utf8' }).stdout)?.[1] ?? 99) < 22,
    );
}

const oldNode = findOldNode();
const noOldNode = oldNode === undefined ? 'There is no Node older than 22 on this machine.' : false;
for (const script of [LAUNCHER, join(ROOT, 'scripts/test.mjs')]) {
  test(`${script.slice(ROOT.length + 1)} says in one sentence that Node is too old`, { skip: noOldNode }, () => {
    const { status, stdout, stderr } = spawnSync(oldNode ?? '', [script], { encoding: 'utf8', env: environment() });
    assert.equal(status, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /^Mimir needs Node 22\.18 or newer and found Node \d+\.\d+\.\d+: .+\.\n$/);
  });
}
