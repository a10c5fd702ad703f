// Documents, brought in by the real program.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

import { writeFiles } from '../support/ingest.ts';
import { callText, http, LAUNCHER, startHttp, startMimir, temporaryFolder } from '../support/processes.ts';

interface SetUp {
  readonly folder: string;
  readonly docs: string;
  readonly config: string;
  readonly mimir: (db: string, ...args: string[]) => Promise<{ exit: number | null; stdout: string; stderr: string }>;
}

function setUp(t: TestContext, more = ''): SetUp {
  const folder = temporaryFolder(t);
  const [docs, config] = [join(folder, 'docs'), join(folder, 'c.yaml')];
  writeFiles(docs, {});
  writeFileSync(
    config,
    `connectors:\n  file_watcher:\n    enabled: true\n    paths: [docs]\n    debounce_ms: 30\n${more}`,
  );
  const mimir: SetUp['mimir'] = async (db, ...args) => {
    const { child, printed, ended } = startMimir([...args, '--db', join(folder, db)]);
    child.stdin.end();
    return { exit: await ended, ...printed };
  };
  return { folder, docs, config, mimir };
}

const paragraphs = (count: number, secret: string): string =>
  Array.from({ length: count }, (_, i) => `Paragraph ${i} speaks of bridges. ${'and so on '.repeat(20)}`)
    .with(count >> 1, `The harbour master is called ${secret}.`)
    .join('\n\n');

test('mimir ingest says what it does, does it once, and recall names the lines of a long file', async (t) => {
  const { docs, config, mimir } = setUp(t);
  writeFiles(docs, { 'a.md': 'Alpha reads mail.', 'long.md': paragraphs(60, 'Grimshaw') });
  const ingest = (...more: string[]) => mimir('m.db', 'ingest', '--connectors-config', config, ...more);
  const dry = await ingest('--dry-run');
  assert.match(
    dry.stdout,
    /^would bring in 2, would forget 0, unchanged 0\nnew or changed:\n {2}\S+a\.md\n {2}\S+long\.md\n$/,
  );
  assert.equal((await ingest('--connector', 'file_watcher')).stdout, 'brought in 2, forgot 0, unchanged 0\n');
  assert.equal((await ingest()).stdout, 'brought in 0, forgot 0, unchanged 2\n');
  const { stdout } = await mimir('m.db', 'recall', 'who is the harbour master', '--json');
  const [first] = (JSON.parse(stdout) as { items: { key: string; lines: string; content: string; path: string }[] })
    .items;
  assert.match(first?.content ?? '', /Grimshaw/);
  const [, from = 0, to = 0] = /#L(\d+)-L(\d+)$/.exec(first?.key ?? '') ?? [];
  const named = paragraphs(60, 'Grimshaw')
    .split('\n')
    .slice(Number(from) - 1, Number(to));
  assert.match(named.join('\n'), /Grimshaw/);
  assert.ok(named.length < 20);
  assert.equal(first?.path, join(docs, 'long.md'));
  rmSync(join(docs, 'long.md'));
  assert.equal((await ingest()).stdout, 'brought in 0, forgot 1, unchanged 1\n');
  const unknown = await ingest('--connector', '../../etc/passwd');
  assert.match(
    unknown.stdout,
    /^brought in 0.*\nleft out:\n {2}No connector has this name; there is file_watcher\.\n$/,
  );
  assert.match((await mimir('m.db', 'verify')).stdout, /^All \d+ operations .* agree/);
});

test('a server brings in what changes while it runs, and what changed while it did not', async (t) => {
  const { folder, docs, config } = setUp(t);
  writeFiles(docs, { 'a.md': 'The ferry is red.' });
  const start = () => startHttp(['--db', join(folder, 'm.db'), '--connectors-config', config]);
  const stop = async ({ child, ended }: Awaited<ReturnType<typeof start>>): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
  };
  const first = await start();
  t.after(() => first.child.kill('SIGKILL'));
  assert.match(first.printed.stderr, /loaded 1 connector\(s\) from .*c\.yaml/);
  const call = async (port: number, name: string, args: object): Promise<Record<string, unknown>> => {
    const { body } = await http(port, { body: callText(1, name, args) });
    return (JSON.parse(body) as { result: { structuredContent: Record<string, unknown> } }).result.structuredContent;
  };
  const keys = async (port: number, query: string): Promise<string> =>
    JSON.stringify(await call(port, 'mimir_recall', { query }));
  const comes = async (port: number, query: string, pattern: RegExp): Promise<void> => {
    const started = performance.now();
    while (!pattern.test(await keys(port, query))) {
      assert.ok(performance.now() - started < 10_000, `${query} did not come`);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  };
  assert.deepEqual(await call(first.port, 'mimir_ingest', {}), {
    ingested: 1,
    forgotten: 0,
    unchanged: 0,
    dry_run: false,
    errors: [],
  });
  writeFiles(docs, { 'new/b.md': 'The lighthouse is blue.' });
  await comes(first.port, 'lighthouse', /The lighthouse is blue/);
  writeFiles(docs, { 'a.md': 'The ferry is green.' });
  await comes(first.port, 'ferry', /The ferry is green/);
  const asked = await call(first.port, 'mimir_ingest', {});
  assert.deepEqual([asked['ingested'], asked['errors']], [2, []], 'what came in unasked is told too');
  assert.equal((await call(first.port, 'mimir_ingest', {}))['ingested'], 0);
  await stop(first);
  writeFiles(docs, { 'c.md': 'The crane is yellow.' });
  rmSync(join(docs, 'a.md'));
  const second = await start();
  t.after(() => second.child.kill('SIGKILL'));
  await comes(second.port, 'crane', /The crane is yellow/);
  await comes(second.port, 'ferry', /"items":\[\]/);
  await stop(second);
});

test('while documents come in, clients go on working', async (t) => {
  const { folder, docs, config } = setUp(t);
  writeFiles(
    docs,
    Object.fromEntries([...Array(400).keys()].map((i) => [`${i}.md`, `Note ${i}. ${'bridge '.repeat(250)}`])),
  );
  const server = await startHttp(['--db', join(folder, 'm.db'), '--connectors-config', config]);
  t.after(() => server.child.kill('SIGKILL'));
  const call = async (
    name: string,
    args: object,
  ): Promise<{ isError?: boolean; structuredContent: { ingested: number } }> => {
    const { status, body } = await http(server.port, { body: callText(1, name, args) });
    assert.equal(status, 200, body);
    return (JSON.parse(body) as { result: { isError?: boolean; structuredContent: { ingested: number } } }).result;
  };
  let isDone = false;
  const ingesting = call('mimir_ingest', {}).finally(() => (isDone = true));
  const client = async (who: number): Promise<number> => {
    let calls = 0;
    for (; !isDone; calls++) {
      const body = JSON.stringify({ content: `client ${who} says ${calls}` });
      const name = calls % 2 === 0 ? 'mimir_remember' : 'mimir_recall';
      const { isError } = await call(name, { category: 'c', key: `${who}-${calls}`, body_json: body, query: 'bridge' });
      assert.ok(isError !== true);
    }
    return calls;
  };
  const calls = await Promise.all([...Array(16).keys()].map(client));
  assert.equal((await ingesting).structuredContent.ingested, 400);
  assert.ok(
    calls.every((count) => count > 0),
    calls.join(),
  );
});

test('what could not be brought in makes exit code 4, also for programs', async (t) => {
  const { config, mimir } = setUp(t);
  writeFileSync(
    config,
    'connectors:\n  github: {enabled: true, token: x, repos: [a/b], api_url: "http://127.0.0.1:1"}\n',
  );
  for (const json of [[], ['--json']]) {
    const { exit, stdout, stderr } = await mimir('m.db', 'ingest', '--connectors-config', config, ...json);
    assert.equal(exit, 4, stderr);
    assert.match(stderr, /^mimir: github: GitHub at 127\.0\.0\.1:1 cannot be reached/);
    assert.match(stdout, json.length === 0 ? /^brought in 0,/ : /"ingested":0/);
  }
});

test('a setting that there is not is named by every command, and a path that is not there makes exit code 4', async (t) => {
  const { folder, docs, config, mimir } = setUp(t);
  writeFiles(docs, { 'a.md': 'Alpha.' });
  const ingest = (...more: string[]) => mimir('m.db', 'ingest', '--connectors-config', config, ...more);
  writeFileSync(config, `connectors:\n  file_watcher: {enabled: true, path: [docs]}\n`);
  const typo = await ingest();
  assert.match(
    typo.stdout,
    /^brought in 0,.*\nleft out:\n {2}\S+c\.yaml: there is no setting connectors\.file_watcher\.path\n/,
  );
  assert.match((await ingest('--json')).stdout, /"notes":\["\S+c\.yaml: there is no setting/);
  const doctor = await mimir('m.db', 'doctor', '--connectors-config', config);
  assert.match(doctor.stdout, /note +\S+c\.yaml: there is no setting connectors\.file_watcher\.path/);
  writeFileSync(config, `conectors:\n  file_watcher: {enabled: true, paths: [docs]}\n`);
  const none = await ingest();
  assert.equal(none.exit, 3);
  assert.match(none.stderr, /there is no setting conectors; all stand under connectors/);
  writeFileSync(config, `connectors:\n  file_watcher: {enabled: true, paths: [docs, absent], extensions: [md]}\n`);
  const absent = await ingest();
  assert.deepEqual([absent.exit, absent.stdout], [4, 'brought in 1, forgot 0, unchanged 0\n']);
  assert.equal(absent.stderr, `mimir: file_watcher: ${join(folder, 'absent')}: is not there\n`);
});

const withTerminal = { skip: process.platform !== 'linux' && 'needs script(1) of Linux' };

test('on a terminal it counts the documents', withTerminal, async (t) => {
  const { folder, docs, config } = setUp(t);
  writeFiles(
    docs,
    Object.fromEntries([...Array(600).keys()].map((i) => [`${i}.md`, `Note ${i}. ${'bridge '.repeat(99)}`])),
  );
  const command = [process.execPath, LAUNCHER, 'ingest', '--connectors-config', config, '--db', join(folder, 'm.db')];
  const shown = execFileSync('script', ['-qec', command.map((word) => `'${word}'`).join(' '), '/dev/null']).toString();
  const counts = [...shown.matchAll(/Bringing in \.\.\. (\d+)/g)].map(([, count]) => Number(count));
  assert.ok(counts.length > 0 && counts.every((count, at) => count <= 600 && count >= (counts[at - 1] ?? 0)), shown);
  assert.match(shown, /brought in 600/);
});

test('settings that are wrong are named by their place; a file that cannot be read stops the start', async (t) => {
  const { config, mimir } = setUp(t);
  const serve = () => mimir('m.db', 'serve', '--connectors-config', config);
  writeFileSync(config, 'connectors:\n  github: {enabled: yes please, token: S3CRET}\n');
  const wrong = await serve();
  assert.equal(wrong.exit, 0, 'the memory is served all the same');
  assert.match(wrong.stderr, /loaded 0 connector.*\nmimir: \S+c\.yaml: connectors\.github\.enabled is not right/);
  const doctor = await mimir('m.db', 'doctor', '--connectors-config', config);
  assert.match(doctor.stdout, /fault +\S+c\.yaml: connectors\.github\.enabled is not right/);
  const ingest = await mimir('m.db', 'ingest', '--connectors-config', config);
  assert.deepEqual([ingest.exit, ingest.stdout], [3, '']);
  assert.match(ingest.stderr, /connectors\.github\.enabled is not right/);
  writeFileSync(config, 'a: [1,\n b: S3CRET }');
  const broken = await serve();
  assert.deepEqual([broken.exit, broken.stderr.includes('S3CRET')], [2, false]);
  assert.match(broken.stderr, /c\.yaml is no YAML: line 2/);
  rmSync(config);
  assert.match((await serve()).stderr, /c\.yaml cannot be read/);
  assert.equal((await mimir('m.db', 'serve', '--offline', '--connectors-config', config)).exit, 0);
});
