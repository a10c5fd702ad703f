// The documents name what the program has, no more and no less.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { COMMANDS } from '../../src/cli/commands.ts';
import { commandsPage, helpOf } from '../../src/cli/help.ts';
import { LIMITS } from '../../src/limits.ts';
import { toolsPage } from '../../scripts/tools-page.ts';
import { createTable, TOOLS, type TableDeps } from '../../src/tools/table.ts';
import { compatibilityDocument } from '../replay/document.ts';

const ROOT = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const readme = read('README.md');

/** The different texts that a pattern finds, sorted. */
function found(text: string, pattern: RegExp): string[] {
  return [...new Set([...text.matchAll(pattern)].map(([whole]) => whole))].toSorted();
}

test('docs/compatibility.md says what the table of differences says', () => {
  assert.equal(read('docs/compatibility.md'), compatibilityDocument(), 'stale: npm run docs:compatibility');
});

test('the README lists exactly the tools that there are', () => {
  const tools = createTable({ show: 'all' } as unknown as TableDeps).list.map(({ name }) => name);
  assert.deepEqual(found(readme, /\bmimir_[a-z_]+/g), tools.toSorted());
});

test('the README lists exactly the tools of core', () => {
  const [, sentence = ''] = /profile `core`,[^:]*: ([^.]*)\./.exec(readme) ?? [];
  const { core } = createTable({} as unknown as TableDeps);
  assert.deepEqual(
    sentence.split(/,\s+|\s+and\s+/).toSorted(),
    core.map(({ name }) => name.replace('mimir_', '')).toSorted(),
  );
});

test('docs/tools.md is what the tools say, and the snapshot is what clients are shown', () => {
  assert.equal(read('docs/tools.md'), toolsPage(TOOLS), 'npm run docs:tools writes it');
  const listed: unknown = JSON.parse(JSON.stringify(TOOLS.map(({ listing }) => listing)));
  assert.deepEqual(
    JSON.parse(read('test/snapshots/tools.json')),
    listed,
    'a change that clients see: npm run docs:tools',
  );
});

test('docs/commands.md is what the command table says', () => {
  assert.equal(read('docs/commands.md'), commandsPage(COMMANDS), 'npm run docs:commands writes it');
});

test('the README names every command', () => {
  const [, section = ''] = readme.split('## Commands');
  const rows = (section.split('\n## ')[0] ?? '').split('\n').filter((line) => line.startsWith('| `'));
  const words = rows.flatMap((row) => [...row.matchAll(/`mimir ([a-z-]+)/g)].map(([, word = '']) => word));
  assert.deepEqual(
    [...new Set(words)].filter((word) => word !== 'help'),
    COMMANDS.map(({ word }) => word).filter((word) => word !== 'help' && word !== 'version'),
  );
});

test('the README explains exactly the flags of serve', () => {
  const table = readme
    .split('\n')
    .filter((line) => line.startsWith('| `--'))
    .map((line) => line.split('`')[1] ?? '')
    .join('\n');
  const [serve] = COMMANDS;
  assert.ok(serve !== undefined);
  const [help = ''] = helpOf(serve).split('Accepted, without effect');
  const flags = found(help, /--[a-z-]+/g);
  assert.deepEqual(found(table, /--[a-z-]+/g), flags);
});

test('the README explains every environment variable of the program', () => {
  const variables = found(read('src/config.ts'), /\bMIMIR_[A-Z_]+/g);
  const rows = readme.split('\n').filter((line) => line.startsWith('| `MIMIR_'));
  const cells = rows.map((row) => row.split('|')[1] ?? '');
  assert.deepEqual(found(cells.join('\n'), /\bMIMIR_[A-Z_]+/g), variables.toSorted());
  assert.match(
    readme,
    new RegExp(`\`MIMIR_POOL_MAX_SIZE\` \\| ${LIMITS.poolMaxDefault} \\|.*1 to ${LIMITS.poolMaxMost} \\|`),
  );
  assert.match(
    readme,
    new RegExp(
      `\`MIMIR_BUSY_TIMEOUT_MS\` \\| ${LIMITS.busyTimeoutDefaultMs} \\|.*0 to ${LIMITS.busyTimeoutMostMs} ms \\|`,
    ),
  );
});

test('the dependencies in ARCHITECTURE.md are those of package.json', () => {
  const manifest = JSON.parse(read('package.json')) as {
    dependencies: Record<string, string>;
    peerDependencies: Record<string, string>;
    devDependencies: Record<string, string>;
  };
  const [, section = ''] = read('ARCHITECTURE.md').split('## Dependencies');
  const rows = [...section.matchAll(/^\| `([^`]+)`/gm)].map(([, name = '']) => name);
  const needed = { ...manifest.dependencies, ...manifest.peerDependencies };
  assert.deepEqual(rows.toSorted(), Object.keys(needed).toSorted());
  for (const name of Object.keys(manifest.devDependencies))
    assert.ok(section.includes(`\`${name}\``), `${name} is not explained`);
  for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) {
    assert.match(version, /^\d+\.\d+\.\d+$/, `the version of ${name} is not exact`);
  }
});

test('the tables in ARCHITECTURE.md are those of the schema', () => {
  const schema = read('src/storage/sqlite/schema.ts');
  const tables = [
    ...[...schema.matchAll(/CREATE TABLE (\w+)\(/g)].map(([, name = '']) => name),
    ...[...schema.matchAll(/textIndex\('(\w+)'\)/g)].map(([, name = '']) => name),
  ];
  const [, section = ''] = read('ARCHITECTURE.md').split('**On disk**');
  const rows = section.split('\n\n')[1]?.split('\n').slice(2) ?? [];
  const named = rows.flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map(([, name = '']) => name));
  assert.deepEqual(named.toSorted(), tables.toSorted());
});

test('every client that connects by URL has settings without a token, and with one', () => {
  const sections = read('docs/clients.md').split('\n## ').slice(1);
  const byUrl = sections.filter((section) => /```\w+\n[^`]*8767\/mcp/.test(section));
  assert.equal(byUrl.length, 7);
  for (const section of byUrl) {
    const blocks = [...section.matchAll(/```\w+\n([^`]*)```/g)].map(([, text = '']) => text);
    const settings = blocks.filter((text) => text.includes('8767/mcp'));
    const withToken = settings.filter((text) => /Bearer|bearer_token/.test(text));
    assert.ok(withToken.length > 0 && withToken.length < settings.length, section.split('\n')[0]);
  }
});

test('every setting to paste can be read, and none of it starts the npm package of somebody else', () => {
  const clients = read('docs/clients.md');
  const blocks = [...clients.matchAll(/```json\n([\s\S]*?)```/g)].map(([, text = '']) => text);
  assert.ok(blocks.length > 10, 'there are settings');
  for (const text of [...blocks, read('.mcp.json')]) {
    const [servers] = Object.values(JSON.parse(text) as Record<string, { mimir: Record<string, unknown> }>);
    const { command, args, url, httpUrl, serverUrl } = servers?.mimir ?? {};
    if (command === undefined) assert.equal(url ?? httpUrl ?? serverUrl, 'http://127.0.0.1:8767/mcp');
    else assert.deepEqual([command, args], ['npx', ['-y', 'mimir-memory']]);
  }
});

test('docs/sources.md names the versions of other programs that are installed to be tried', () => {
  const clients = JSON.parse(read('clients/package.json')) as { dependencies: Record<string, string> };
  const server = '@modelcontextprotocol/server-memory';
  const python = read('clients/foreign/requirements.txt').trim().split('\n');
  const pinned = [`${server}==${clients.dependencies[server]}`, ...python];
  const rows = [...read('docs/sources.md').matchAll(/^\| `([^`]+)` \| ([\d.]+) \|/gm)];
  assert.deepEqual(rows.map(([, name, version]) => `${name}==${version}`).toSorted(), pinned.toSorted());
});

test('CONTRIBUTING.md shows the code that there is', () => {
  const [, section = ''] = /\n## Add a source\n([\s\S]*?)\n## /.exec(read('CONTRIBUTING.md')) ?? [];
  const shown = [...section.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code = '']) => code);
  const files = ['src/sources/reference.ts', 'src/sources/imports.ts'].map(read);
  assert.equal(shown.length, files.length);
  for (const [at, code] of shown.entries()) assert.ok(files[at]?.includes(code), code);
});
