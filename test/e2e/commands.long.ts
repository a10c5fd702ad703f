// The commands as processes, on a real file: what they print, and how they end.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

import Database from 'better-sqlite3-multiple-ciphers';

import { callText, http, startHttp, startMimir, temporaryFolder } from '../support/processes.ts';

interface Ended {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function mimir(
  args: readonly string[],
  { env = {}, input = '' }: { env?: Record<string, string>; input?: string } = {},
): Promise<Ended> {
  const { child, printed, ended } = startMimir(args, env);
  child.stdin.end(input);
  const exit = await ended;
  return { exit, ...printed };
}

/** Commands on a store of their own; what they print when they succeed. */
function onStore(t: TestContext): {
  db: string;
  run: (...args: string[]) => Promise<string>;
  fail: (...args: string[]) => Promise<Ended>;
} {
  const db = join(temporaryFolder(t), 'm.db');
  return {
    db,
    run: async (...args) => {
      const { exit, stdout, stderr } = await mimir([...args, '--db', db]);
      assert.deepEqual([exit, stderr], [0, ''], args.join(' '));
      return stdout;
    },
    fail: async (...args) => {
      const ended = await mimir([...args, '--db', db]);
      assert.match(ended.stderr, /^mimir: [^\n]+\n$/, 'one line');
      return ended;
    },
  };
}

test('what is remembered is recalled, for people and for programs', async (t) => {
  const { run } = onStore(t);
  const sentence = 'The staging host is called heron';
  assert.match(
    await run('remember', sentence, '--tags', 'infra, hosts'),
    /^created note\/the-staging-host-is-called-[0-9a-f]{8}\n$/,
  );
  assert.match(
    await run('remember', ...sentence.split(' ')),
    /^updated note\//,
    'the same sentence is the same memory',
  );
  await run('remember', 'Lunch with the staging team is at noon', '--key', 'k', '--category', 'c');
  const shown = await run('recall', 'which', 'host', 'is', 'staging');
  assert.match(
    shown,
    /^1\. note\/the-staging[^\n]+\n {3}The staging host is called heron\n {3}cli-[0-9a-f]{12} · just now · \d+ % sure · #infra · #hosts\n\n2\. c\/k\n/,
  );
  const { items, total } = JSON.parse(await run('recall', 'staging', '--json')) as {
    items: { source: string }[];
    total: number;
  };
  assert.deepEqual([total, items[0]?.source], [2, 'cli-write']);
  assert.equal(
    (JSON.parse(await run('recall', '--limit', '1', '--json')) as { total: number }).total,
    1,
    'no words: the newest',
  );
  assert.match(await run('recall', 'zebra'), /^Nothing matched/);
  assert.match(
    await run('context'),
    /^## Mimir Context\n\n- \[c\] \*\*k\*\* — Lunch with the staging team is at noon\n/,
  );
  assert.match(await run('context', 'staging', 'host', '--json'), /^\{"markdown":"## Mimir Context/);
});

test('any tool can be called, with arguments from the command line or from standard input', async (t) => {
  const { db, run, fail } = onStore(t);
  assert.match(
    await run('call', 'state_set', '--args', '{"key":"k","value_json":"12345678901234567890"}'),
    /^\{"key":"k"/,
  );
  assert.match(
    await run('call', 'mimir_state_get', '--args={"key":"k"}'),
    /12345678901234567890/,
    'long numbers stay as they are',
  );
  const piped = await mimir(['call', 'state_get', '--args', '-', '--db', db], { input: '{"key":"k"}' });
  assert.match(piped.stdout, /12345678901234567890/);
  const missing = await fail('call', 'get_entity', '--args', '{"id":"mem-000000000000"}');
  assert.deepEqual([missing.exit, (JSON.parse(missing.stdout) as { code: string }).code], [3, 'not_found']);
  assert.equal((await fail('call', 'recall', '--args', '{"query":7}')).exit, 2);
  assert.equal((await fail('call', 'recall', '--args', '{planted')).exit, 2);
  assert.doesNotMatch((await fail('call', 'recall', '--args', '{planted')).stderr, /planted/);
  assert.equal(
    (await fail('call', 'rekall')).stderr,
    'mimir: There is no tool of that name. Did you mean recall? docs/tools.md shows all of them.\n',
  );
  assert.equal(
    (await fail('call', 'mimir_zzzzzzzz')).stderr,
    'mimir: There is no tool of that name. docs/tools.md shows all of them.\n',
  );
});

test('every word that prints JSON or has a result takes --json, before it and behind it', async (t) => {
  const { run } = onStore(t);
  const oneLine = (printed: string): unknown => {
    assert.match(printed, /^\{[^\n]*\}\n$/);
    return JSON.parse(printed);
  };
  const body = ['--category', 'c', '--key', 'k', '--body', '{"b":1}'];
  assert.deepEqual(Object.keys(oneLine(await run('--json', 'write', ...body)) as object), ['action', 'id', 'ok']);
  assert.equal((oneLine(await run('--json', 'stats')) as { total_entities: number }).total_entities, 1);
  assert.deepEqual(oneLine(await run('stats', '--json')), oneLine(await run('--json', 'stats')));
  for (const word of ['prune', 'decay', 'purge', 'reindex']) oneLine(await run('--json', word));
});

test('what only reads makes no store at a path that was named, and says that there is none', async (t) => {
  const folder = temporaryFolder(t);
  const db = join(folder, 'typo.db');
  for (const words of [['recall', 'x'], ['context'], ['call', 'stats']]) {
    const said = await mimir([...words, '--db', db]);
    assert.deepEqual(
      [said.exit, said.stdout, said.stderr],
      [5, '', `mimir: There is no store at ${db}. Name another file with --db.\n`],
    );
    assert.equal((await mimir(words, { env: { MIMIR_DB_PATH: db } })).exit, 5, 'a variable names it too');
  }
  assert.ok(!existsSync(db));
  const fresh = await mimir(['recall', 'x'], { env: { HOME: folder } });
  assert.deepEqual([fresh.exit, fresh.stdout.slice(0, 22)], [0, 'Nothing is stored yet.'], 'the default one is made');
});

test("the original's words: their output, and exit code 1 whatever failed", async (t) => {
  const { run, fail } = onStore(t);
  const write = (...more: string[]) => run('write', '--category', 'c', '--key', 'k', '--body', '{"b": 1}', ...more);
  assert.match(await write(), /^\{\n {2}"action": "created",\n {2}"id": "cli-[0-9a-f]{12}",\n {2}"ok": true\n\}\n$/);
  assert.match(await write('--importance=-1', '--tags', '', '--always-on'), /"action": "updated"/);
  const before = JSON.parse(await run('call', 'recall', '--args', '{"query":""}')) as {
    items: Record<string, unknown>[];
  };
  const [item] = before.items;
  assert.deepEqual(
    [item?.['body_json'], item?.['always_on'], item?.['type']],
    ['{"b": 1}', true, 'insight'],
    'byte for byte',
  );
  assert.match(await run('stats'), /^\{\n {2}"total_entities": 1,\n {2}"by_category": \{\n {4}"c": 1\n {2}\}/);
  assert.equal(await run('forget', '--category', 'c', '--key', 'k'), 'Archived c/k\n');
  const again = await fail('forget', '--category', 'c', '--key', 'k');
  assert.deepEqual([again.exit, again.stderr], [1, 'mimir: no active entity found for c/k\n']);
  assert.equal((await fail('write', '--category', 'c', '--key', 'k', '--body', '{bad')).exit, 1);
  assert.equal((await mimir(['stats', '--db', '/nowhere/m.db'])).exit, 1);
});

test('an export goes to the folder that ~ stands for, and one that cannot be made is said in a sentence', async (t) => {
  const home = temporaryFolder(t);
  const db = join(home, 'm.db');
  assert.equal((await mimir(['write', '--category', 'c', '--key', 'k', '--body', '{}', '--db', db])).exit, 0);
  const there = await mimir(['export', '~/x.jsonl', '--db', db], { env: { HOME: home } });
  assert.deepEqual([there.exit, existsSync(join(home, 'x.jsonl'))], [0, true], there.stderr);
  if (process.platform !== 'linux') return;
  for (const flags of [['/proc/x.jsonl'], ['--original', '/proc/x.db']]) {
    const nowhere = await mimir(['export', ...flags, '--db', db]);
    assert.deepEqual([nowhere.exit, nowhere.stderr.includes('cannot be opened')], [5, true], nowhere.stderr);
  }
});

test('commands work while a server has the file, and each sees what the other wrote', async (t) => {
  const { db, run } = onStore(t);
  const server = await startHttp(['--db', db]);
  const post = async (name: string, args: unknown) => (await http(server.port, { body: callText(1, name, args) })).body;
  await Promise.all([
    ...Array.from({ length: 4 }, (_, i) => run('write', '--category', 'c', '--key', `cli-${i}`, '--body', '{}')),
    ...Array.from({ length: 50 }, (_, i) =>
      post('mimir_remember', { category: 'c', key: `web-${i}`, body_json: '{}' }),
    ),
  ]);
  assert.match(await post('mimir_stats', {}), /"total_entities":54/);
  assert.match(await run('stats'), /"total_entities": 54/);
  assert.match(await run('verify'), /^All 54 operations of .* agree\.\n$/);
  server.child.kill('SIGTERM');
  assert.equal(await server.ended, 0);
  assert.ok(!existsSync(`${db}-wal`), 'the last one leaves one clean file');
});

test('verify finds what does not agree, and exits 5', async (t) => {
  const { db, run, fail } = onStore(t);
  assert.match((await fail('verify')).stderr, /There is no store at/);
  assert.ok(!existsSync(db));
  await run('remember', 'a heron', '--key', 'a');
  await run('remember', 'a stork', '--key', 'b');
  assert.deepEqual(JSON.parse(await run('verify', '--json')), {
    ok: true,
    operations: 2,
    problems: [],
    problem_count: 0,
    index_is_current: true,
  });
  const other = new Database(db);
  other.exec(`UPDATE body SET json = '{"content":"a crane"}' WHERE id = 1`);
  other.close();
  const people = await mimir(['verify', '--db', db]);
  assert.deepEqual([people.exit, people.stderr], [5, '']);
  assert.match(people.stdout, /body 1: its text was changed afterwards\n[^]*backup/);
  const programs = await mimir(['verify', '--json', '--db', db]);
  assert.equal((JSON.parse(programs.stdout) as { ok: boolean }).ok, false);
});

test('an encrypted store is used with its key, by every command', async (t) => {
  const folder = temporaryFolder(t);
  const [db, key] = [join(folder, 'm.db'), join(folder, 'deep', 'key')];
  const made = await mimir(['keygen', '--key-file', key]);
  assert.equal(made.stdout, `Key written to ${key}\nUse --encryption-key ${key} to enable encryption\n`);
  assert.equal(made.stderr, '', 'the warning is for terminals');
  const flags = ['--db', db, '--encryption-key', key];
  assert.equal((await mimir(['remember', 'plantedsecret', ...flags])).exit, 0);
  assert.ok(!readFileSync(db).includes('plantedsecret'));
  assert.match((await mimir(['recall', 'plantedsecret', ...flags])).stdout, /plantedsecret/);
  assert.match((await mimir(['verify', ...flags])).stdout, /^All 1 operations/);
  const without = await mimir(['recall', 'plantedsecret', '--db', db]);
  assert.deepEqual([without.exit, without.stdout], [5, '']);
  assert.match(without.stderr, /--encryption-key/);
});

test('help and version need no home, no store, and say what was asked', async () => {
  const env = { HOME: '' };
  assert.match((await mimir(['--version'], { env })).stdout, /^mimir \d+\.\d+\.\d+\n$/);
  assert.equal((await mimir(['version'], { env })).stdout, (await mimir(['-V'], { env })).stdout);
  const help = await mimir(['recall', '--help'], { env });
  assert.deepEqual([help.exit, help.stderr], [0, '']);
  assert.equal(help.stdout, (await mimir(['help', 'recall'], { env })).stdout);
  assert.equal((await mimir(['help'], { env })).stdout, (await mimir(['-h'], { env })).stdout);
  const none = await mimir(['help', 'none'], { env });
  assert.deepEqual([none.exit, none.stdout], [2, '']);
});

test('serve says of each flag that has no effect why, and an older store of the original is pointed at', async (t) => {
  const folder = temporaryFolder(t);
  const { stderr } = await mimir(['--web', '--web-auth-token', 'x'], { env: { HOME: folder } });
  assert.match(
    stderr,
    /ready\nmimir: --web has no effect: the web page is not there yet\nmimir: --web-auth-token has no effect: [^\n]+\n$/,
  );
  new Database(join(folder, 'mimir.db')).close();
  const early = await mimir(['recall', 'x'], { env: { HOME: folder } });
  assert.match(early.stderr, /^mimir: there is an older store at [^\n]+--db [^\n]+mimir\.db\n$/);
  assert.equal((await mimir(['recall', 'x'], { env: { HOME: folder } })).stderr, '', 'once, while the new one is new');
});
