import assert from 'node:assert/strict';
import { test } from 'node:test';

import { MimirError } from '../../src/errors.ts';
import type { BroughtIn, Source } from '../../src/memory/sourced.ts';
import { createConnectors } from '../../src/sources/connectors.ts';
import { connectorSettings } from '../../src/sources/settings.ts';
import { SILENT } from '../support/ingest.ts';
import { BOUND, OWNER, setUp } from '../support/tool-table.ts';
import { createTable, type TableDeps } from '../../src/tools/table.ts';

const around = { githubToken: 'from-env', expandHome: (path: string) => path.replace(/^~/, '/home/me') };
const read = (text: string) => connectorSettings(text, '/etc/mimir/c.yaml', around);

test('settings as the original has them, with its defaults; paths are from the home folder or that of the file on', () => {
  const { files, github, notes } = read(
    'connectors:\n  github: {enabled: true, repos: [a/b]}\n  file_watcher: {enabled: true, paths: [/x, ~/y, z]}\n',
  );
  assert.deepEqual(files, {
    paths: ['/x', '/home/me/y', '/etc/mimir/z'],
    extensions: ['.md', '.txt'],
    include: [],
    exclude: [],
    gitignore: true,
    maxBytes: 1024 * 1024,
    debounceMs: 1_500,
    watch: true,
  });
  assert.deepEqual(github, {
    token: 'from-env',
    repos: ['a/b'],
    daysPast: 90,
    itemsMax: 500,
    pullRequests: true,
    apiUrl: 'https://api.github.com',
  });
  assert.deepEqual(notes, []);
  assert.equal(read('connectors: {github: {enabled: true, token: own}}').github?.token, 'own');
});

test('nothing, nothing enabled and unknown names are no connectors, and are said', () => {
  for (const text of ['', 'connectors:\n', 'connectors: {}', 'connectors: {github: , file_watcher: {paths: [a]}}']) {
    const { files, github, notes, problems } = read(text);
    assert.deepEqual([files, github, notes, problems], [null, null, [], []], text);
  }
  assert.match(String(read('connectors: {slack: {enabled: true}}').notes), /there is no connector slack/);
  assert.match(String(read('connectors: {github: {tokn: x}}').notes), /no setting connectors\.github\.tokn/);
});

test('an ending without its dot is the same ending, and what brings nothing in is said', () => {
  const { files, notes } = read('connectors: {file_watcher: {enabled: true, path: [a], extensions: [md, .txt]}}');
  assert.deepEqual([files?.extensions, files?.paths], [['.md', '.txt'], []]);
  assert.deepEqual(
    notes.map((note) => note.replace('/etc/mimir/c.yaml: ', '')),
    [
      'there is no setting connectors.file_watcher.path',
      'connectors.file_watcher.paths names nothing, so nothing comes in',
    ],
  );
  assert.match(String(read('connectors: {github: {enabled: true, token: own}}').notes), /github\.repos names nothing/);
  assert.match(
    String(read('conectors: {github: {}}').notes),
    /there is no setting conectors; all stand under connectors/,
  );
});

test('what is wrong is named by its place, and never quoted', () => {
  const cases: [string, RegExp][] = [
    ['connectors: [SECRET]', /connectors must have settings/],
    ['connectors: {github: SECRET}', /github must have settings/],
    ['connectors: {github: {token: [SECRET]}}', /connectors\.github\.token/],
    ['connectors: {github: {repos: [SECRET]}}', /connectors\.github\.repos\.0 .*owner\/name/],
    ['connectors: {github: {repos: ["a/b/../SECRET"]}}', /connectors\.github\.repos\.0/],
    ['connectors: {github: {days_past: SECRET}}', /connectors\.github\.days_past/],
    ['connectors: {github: {api_url: "file:///SECRET"}}', /connectors\.github\.api_url/],
    ['connectors: {file_watcher: {paths: {a: SECRET}}}', /connectors\.file_watcher\.paths/],
    ['connectors: {file_watcher: {max_file_bytes: 99999999999}}', /max_file_bytes/],
    ['connectors: {file_watcher: {debounce_ms: -1}}', /debounce_ms/],
  ];
  for (const [text, says] of cases) {
    const { problems, files, github } = read(text);
    assert.equal(problems.length, 1, text);
    assert.match(String(problems), says, text);
    assert.doesNotMatch(String(problems), /SECRET/);
    assert.deepEqual([files, github], [null, null], 'the others are read all the same');
  }
  for (const text of ['a: [SECRET', '*SECRET']) {
    assert.throws(
      () => read(text),
      (error) => error instanceof MimirError && /is no YAML/.test(error.message) && !error.message.includes('SECRET'),
      text,
    );
  }
});

const nothing: BroughtIn = { changed: [], examples: [], forgotten: [], unchanged: 0, notes: [], errors: [] };
const source = (name: string, more: Partial<Source> = {}): Source => ({
  name,
  origin: `connector:${name}`,
  category: 'c',
  read: () => assert.fail('the runs of this test read nothing'),
  ...more,
});

test('two runs over one source are one after the other, and one that fails keeps no other one out', async () => {
  let running = 0;
  let runs = 0;
  const connectors = createConnectors(
    [source('a'), source('b')],
    async ({ name }) => {
      running += 1;
      runs += 1;
      assert.equal(running, 1);
      await new Promise((resolve) => setTimeout(resolve, 5));
      running -= 1;
      return name === 'a' ? { ...nothing, errors: ['broken'] } : { ...nothing, changed: ['x'] };
    },
    SILENT,
  );
  const [first, second] = await Promise.all([
    connectors.ingest({ name: 'a', dryRun: false }),
    connectors.ingest({ dryRun: false }).then((reports) => reports),
  ]);
  assert.equal(runs, 3);
  assert.deepEqual(
    [...first, ...second].map(({ name, errors, changed }) => [name, errors, changed.length]),
    [
      ['a', ['a: broken'], 0],
      ['a', ['a: broken'], 0],
      ['b', [], 1],
    ],
  );
  assert.deepEqual(await connectors.ingest({ name: 'none', dryRun: false }), []);
  await connectors.close();
});

test('what came in unasked is told once, each document once, and not by a dry run', async () => {
  let changed: () => void = () => undefined;
  const answers: string[][] = [[], ['x', 'y'], ['y'], [], ['z'], []];
  const connectors = createConnectors(
    [source('a', { watch: async (tell) => ((changed = tell), () => undefined) })],
    async (_source, { dryRun }) => ({ ...nothing, changed: dryRun ? [] : (answers.shift() ?? []) }),
    SILENT,
  );
  connectors.watch();
  await new Promise((resolve) => setTimeout(resolve, 50));
  changed();
  await new Promise((resolve) => setTimeout(resolve, 50));
  changed();
  await new Promise((resolve) => setTimeout(resolve, 50));
  const told = async (dryRun: boolean): Promise<readonly string[]> =>
    (await connectors.ingest({ dryRun }))[0]?.changed ?? [];
  assert.deepEqual(await told(true), []);
  assert.deepEqual(await told(false), ['x', 'y']);
  assert.deepEqual(await told(false), ['z']);
  assert.deepEqual(await told(false), []);
  await connectors.close();
});

test('where something changes all the time, a fifth of the time is spent on it', async () => {
  let changed: () => void = () => undefined;
  let runs = 0;
  const connectors = createConnectors(
    [source('a', { watch: async (tell) => ((changed = tell), () => undefined) })],
    async () => {
      runs += 1;
      await new Promise((resolve) => setTimeout(resolve, 20));
      return nothing;
    },
    SILENT,
  );
  connectors.watch();
  const endMs = performance.now() + 500;
  while (performance.now() < endMs) {
    changed();
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await connectors.close();
  assert.ok(runs >= 2 && runs <= 7, `${runs} runs`);
});

test('mimir_ingest without connectors says how to get some, and brings nothing in for others than the owner', async () => {
  const { call } = setUp();
  const none = await call('ingest');
  assert.deepEqual([none.isError, none['code']], [true, 'no_connectors']);
  assert.match(none.text, /--connectors-config/);
  const broken = createConnectors([], async () => nothing, SILENT, {
    problems: ['c.yaml: connectors.github.repos is not right'],
  });
  const told = await createTable({ ...({} as unknown as TableDeps), connectors: broken }).call(
    'mimir_ingest',
    {},
    OWNER,
  );
  assert.match(told.text, /no connectors.*connectors\.github\.repos is not right/);
  let runs = 0;
  const connectors = createConnectors(
    [source('a')],
    async () => ((runs += 1), { ...nothing, changed: [...Array(30).keys()].map(String), notes: ['n'] }),
    SILENT,
  );
  const table = createTable({ ...({} as unknown as TableDeps), connectors });
  const ask = async (args: object, caller = OWNER) =>
    JSON.parse((await table.call('mimir_ingest', args, caller)).json) as Record<string, unknown>;
  assert.equal((await ask({}, BOUND))['code'], 'forbidden');
  assert.equal(runs, 0);
  const dry = await ask({ dry_run: true });
  assert.deepEqual(
    [dry['ingested'], (dry['would_ingest'] as string[]).length, (dry['would_ingest'] as string[]).at(-1)],
    [30, 11, 'and 20 more'],
  );
  assert.deepEqual(await ask({}), {
    ingested: 30,
    forgotten: 0,
    unchanged: 0,
    dry_run: false,
    errors: [],
    notes: ['n'],
  });
  for (const name of ['', '..', '/etc/passwd', '../a', 'nobody']) {
    const answer = await ask({ connector: name });
    assert.deepEqual([answer['ingested'], answer['errors']], [0, []], name);
    assert.match(String(answer['notes']), /there is a\./);
  }
  assert.equal(runs, 2);
  assert.equal((await ask({ connector: 5 }))['code'], 'invalid_argument');
  assert.equal((await ask({ dry_run: 'soon' }))['code'], 'invalid_argument');
});
