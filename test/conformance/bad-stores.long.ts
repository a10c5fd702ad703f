import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import test from 'node:test';

import Database from 'better-sqlite3-multiple-ciphers';

import { systemClock } from '../../src/clock.ts';
import { prepareStore } from '../../src/storage/open.ts';
import { callText, startHttp, startMimir, temporaryFolder } from '../support/processes.ts';

const INITIALIZE =
  '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}';

interface Case {
  readonly name: string;
  /** Makes the thing and answers the flags. */
  readonly make: (folder: string) => string[];
  readonly says: RegExp;
  readonly exit?: number;
  readonly env?: Record<string, string>;
}

const CASES: readonly Case[] = [
  {
    name: 'a folder that does not exist',
    make: (f) => ['--db', join(f, 'no', 'm.db')],
    says: /does not exist.*mkdir -p/,
  },
  { name: 'a folder in place of a file', make: (f) => ['--db', f], says: /is a folder.*--db/ },
  {
    name: 'a text file',
    make: (f) => {
      writeFileSync(join(f, 'notes.txt'), 'these are my notes, do not touch them');
      return ['--db', join(f, 'notes.txt')];
    },
    says: /encrypted, or it is no database.*--db/,
  },
  {
    name: 'a database of another program',
    make: (f) => {
      new Database(join(f, 'o.db')).exec('CREATE TABLE mine(x)').close();
      return ['--db', join(f, 'o.db')];
    },
    says: /another program.*--db/,
  },
  {
    name: 'a store of a newer schema',
    make: (f) => {
      const db = new Database(join(f, 'n.db'));
      db.exec('CREATE TABLE x(y)');
      db.pragma(`application_id = ${0x4d494d52}`);
      db.pragma('user_version = 99');
      db.close();
      return ['--db', join(f, 'n.db')];
    },
    says: /schema 99.*Upgrade/,
  },
  {
    name: 'a database of Mimir 0.1',
    make: (f) => {
      new Database(join(f, 'original.db')).exec('CREATE TABLE memories(id)').close();
      return ['--db', join(f, 'original.db')];
    },
    says: /Mimir 0\.1.*mimir migrate --from/,
  },
  {
    name: 'a damaged store',
    make: (f) => {
      const db = new Database(join(f, 'd.db'));
      db.exec('CREATE TABLE x(y); INSERT INTO x VALUES (1)');
      db.pragma(`application_id = ${0x4d494d52}`);
      db.close();
      const bytes = readFileSync(join(f, 'd.db'));
      bytes.fill(0x7f, 100, 2_000);
      writeFileSync(join(f, 'd.db'), bytes);
      return ['--db', join(f, 'd.db')];
    },
    says: /damaged/,
  },
  {
    name: 'a key for a plain store',
    make: (f) => {
      writeFileSync(join(f, 'k'), Buffer.alloc(32, 1).toString('base64'));
      prepareStore({ path: join(f, 'p.db'), key: null, clock: systemClock, busyTimeoutMs: 0 });
      return ['--db', join(f, 'p.db'), '--encryption-key', join(f, 'k')];
    },
    says: /not encrypted.*--encryption-key/,
  },
  {
    name: 'a key file that holds no key',
    make: (f) => {
      writeFileSync(join(f, 'k'), 'open sesame');
      return ['--db', join(f, 'm.db'), '--encryption-key', join(f, 'k')];
    },
    says: /does not hold a key/,
  },
  {
    name: 'an unwritable home',
    make: () => [],
    env: { HOME: '/proc/nowhere' },
    says: /cannot be opened|does not exist/,
  },
  {
    name: 'a bad pool size',
    make: (f) => ['--db', join(f, 'm.db')],
    env: { MIMIR_POOL_MAX_SIZE: '0' },
    says: /MIMIR_POOL_MAX_SIZE.*1 to 1024/,
    exit: 2,
  },
  {
    name: 'a bad busy timeout',
    make: (f) => ['--db', join(f, 'm.db')],
    env: { MIMIR_BUSY_TIMEOUT_MS: 'soon' },
    says: /MIMIR_BUSY_TIMEOUT_MS.*0 to 600000/,
    exit: 2,
  },
  {
    name: 'an open door without a token',
    make: (f) => ['--db', join(f, 'm.db'), '--web-bind', '0.0.0.0'],
    says: /token.*MIMIR_TOKEN/,
    exit: 2,
  },
  {
    name: 'a tool to show that does not exist',
    make: (f) => ['--db', join(f, 'm.db'), '--tools', 'core,rekall'],
    says: /no tool rekall.*--tools.*mimir_recall/,
    exit: 2,
  },
  { name: 'an unknown flag', make: () => ['--no-such-flag'], says: /no-such-flag.*--help/, exit: 2 },
];

for (const { name, make, says, exit = 5, env = {} } of CASES) {
  test(`${name}: one sentence with the mend, exit ${exit}, nothing touched`, async (t) => {
    const folder = temporaryFolder(t);
    const flags = make(folder);
    const path = flags[1] ?? '';
    const isFile = flags[0] === '--db' && existsSync(path) && path !== folder;
    const before = isFile ? readFileSync(path) : null;
    const running = startMimir(['serve', '--transport', 'http', '--port', '0', ...flags], { HOME: folder, ...env });
    assert.equal(await running.ended, exit, running.printed.stderr);
    assert.match(running.printed.stderr, /^mimir: [^\n]+\n$/, 'one line');
    assert.match(running.printed.stderr, says);
    if (before !== null) assert.deepEqual(readFileSync(path), before, 'the file is as it was');
  });
}

test('stdio stays up on a store that cannot be opened and answers damaged', async (t) => {
  const running = startMimir(['--db', temporaryFolder(t)]);
  running.child.stdin.end(
    `${INITIALIZE}\n${callText(1, 'mimir_recall', { query: 'x' })}\n${callText(2, 'mimir_stats', {})}\n`,
  );
  assert.equal(await running.ended, 0);
  const answers = running.printed.stdout.trim().split('\n');
  assert.equal(answers.length, 3);
  for (const answer of answers.slice(1)) assert.match(answer, /"kind":"damaged"/);
});

test('an encrypted store opens with its key only, and its file shows nothing of what is in it', async (t) => {
  const folder = temporaryFolder(t);
  const [db, key, other] = [join(folder, 'm.db'), join(folder, 'key'), join(folder, 'other')];
  for (const file of [key, other]) assert.equal(await startMimir(['keygen', '--key-file', file]).ended, 0);
  assert.equal(await startMimir(['keygen', '--key-file', key]).ended, 1, 'a key is never overwritten');
  const write = startMimir(['--db', db, '--encryption-key', key]);
  write.child.stdin.end(
    `${INITIALIZE}\n${callText(1, 'mimir_remember', { category: 'c', key: 'k', body_json: '"plantedsecret"' })}\n`,
  );
  assert.equal(await write.ended, 0);
  assert.ok(!readFileSync(db).includes('plantedsecret') && !readFileSync(db).includes('SQLite format'));
  const read = startMimir(['--db', db, '--encryption-key', key]);
  read.child.stdin.end(`${INITIALIZE}\n${callText(1, 'mimir_recall', { query: 'plantedsecret' })}\n`);
  await read.ended;
  assert.match(read.printed.stdout, /"total":1/);
  for (const flags of [['--encryption-key', other], []]) {
    const running = startMimir(['serve', '--transport', 'http', '--port', '0', '--db', db, ...flags]);
    assert.equal(await running.ended, 5);
    assert.match(running.printed.stderr, /--encryption-key/);
  }
});

test('a taken port is one sentence and exit 4', async (t) => {
  const holder = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => holder.once('listening', resolve));
  t.after(() => holder.close());
  const { port } = holder.address() as AddressInfo;
  const running = startMimir([
    'serve',
    '--transport',
    'http',
    '--port',
    String(port),
    '--db',
    join(temporaryFolder(t), 'm.db'),
  ]);
  assert.equal(await running.ended, 4);
  assert.match(running.printed.stderr, /^mimir: Cannot listen .*--port\.\n$/);
});

test('two servers on one file both write and see each other', async (t) => {
  const db = join(temporaryFolder(t), 'm.db');
  const servers = await Promise.all([startHttp(['--db', db]), startHttp(['--db', db])]);
  const post = async (port: number, body: string): Promise<string> =>
    await (
      await fetch(`http://127.0.0.1:${port}/message`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      })
    ).text();
  await Promise.all(
    servers.flatMap(({ port }, s) =>
      Array.from({ length: 50 }, async (_, i) => {
        const answer = await post(
          port,
          callText(i, 'mimir_remember', {
            category: 'two',
            key: `s${s}-${i}`,
            body_json: `{"content":"from ${s} number ${i}"}`,
          }),
        );
        assert.match(answer, /"action":"created"/);
      }),
    ),
  );
  for (const { port } of servers)
    assert.match(await post(port, callText(1, 'mimir_stats', {})), /"total_entities":100/);
  // The second server has counted its terms long ago and knows none of these words.
  const [first, second] = servers;
  for (const word of ['zebrafish', 'quagga', 'okapi']) {
    const answer = callText(1, 'mimir_remember', { category: 'late', key: word, body_json: `{"content":"a ${word}"}` });
    assert.match(await post(first.port, answer), /"action":"created"/);
    assert.match(await post(second.port, callText(2, 'mimir_recall', { query: `number ${word}` })), new RegExp(word));
    assert.match(await post(second.port, callText(3, 'mimir_recall', { query: word })), /"total":1/);
  }
  for (const { child, ended } of servers) {
    child.kill('SIGTERM');
    assert.equal(await ended, 0);
  }
});

test(
  'a read-only folder is refused for anybody but root',
  { skip: process.getuid?.() === 0 ? 'root may write anywhere' : false },
  async (t) => {
    const folder = join(temporaryFolder(t), 'locked');
    mkdirSync(folder);
    chmodSync(folder, 0o500);
    const running = startMimir(['serve', '--transport', 'http', '--port', '0', '--db', join(folder, 'm.db')]);
    assert.equal(await running.ended, 5);
  },
);

test('Ctrl-C under npm start, which arrives twice, still leaves a clean file', async (t) => {
  const folder = temporaryFolder(t);
  const server = await startHttp(['--db', join(folder, 'm.db')]);
  const headers = { 'content-type': 'application/json' };
  const body = callText(1, 'mimir_remember', { category: 'c', key: 'k', body_json: '1' });
  await (await fetch(`http://127.0.0.1:${server.port}/message`, { method: 'POST', headers, body })).text();
  server.child.kill('SIGINT');
  await new Promise((resolve) => setTimeout(resolve, 3));
  server.child.kill('SIGINT');
  assert.equal(await server.ended, 0);
  assert.equal(existsSync(join(folder, 'm.db-wal')), false);
});
