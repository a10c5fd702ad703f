// Set-ups that do not work, each made for real; the doctor has to name every one of them.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

import Database from 'better-sqlite3-multiple-ciphers';

import { COMMANDS } from '../../src/cli/commands.ts';
import { examineSetup, type Finding } from '../../src/cli/doctor.ts';
import { parseLine } from '../../src/cli/parse.ts';
import { systemClock } from '../../src/clock.ts';
import { openStore } from '../../src/main.ts';
import { OWNER } from '../../src/memory/scope.ts';
import { openWriter, prepareStore } from '../../src/storage/open.ts';
import { rawAnswer, startModelServer, textAnswer } from '../support/model-server.ts';
import { makeOriginal } from '../support/original.ts';
import { startMimir, temporaryFolder } from '../support/processes.ts';

interface Setup {
  readonly flags: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Runs as a user without rights; the tests may run as root, who may do anything. */
  readonly asNobody?: boolean;
}

const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;
const FUTURE_MS = 60 * 60_000;

/** The command as a process of its own. */
async function runDoctor({ flags, env = {}, asNobody = false }: Setup): Promise<readonly Finding[]> {
  const running = startMimir(['doctor', '--json', ...flags], env, asNobody ? { uid: NOBODY } : {});
  running.child.stdin.end();
  const exit = await running.ended;
  assert.equal(running.printed.stderr, '');
  const { ok, findings } = JSON.parse(running.printed.stdout) as { ok: boolean; findings: Finding[] };
  assert.equal(exit, findings.some(({ level }) => level === 'fault') ? 5 : 0);
  assert.equal(ok, exit === 0);
  return findings;
}

/** The same in this process, which is quicker, where nothing asks for another user. */
async function examine(setup: Setup): Promise<readonly Finding[]> {
  if (setup.asNobody === true) return await runDoctor(setup);
  const { call } = parseLine(['doctor', ...setup.flags], COMMANDS, { HOME: '/nonexistent', ...setup.env });
  return await examineSetup(call, { version: '1.2.3', open: openStore });
}

/** A store with three memories, written with a clock of its own. */
async function makeStore(
  path: string,
  { key = null, aheadMs = 0 }: { key?: Uint8Array | null; aheadMs?: number } = {},
) {
  const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + aheadMs };
  const options = { path, key, clock, busyTimeoutMs: 1_000 };
  prepareStore(options);
  const store = openWriter(options);
  const scope = { principal: OWNER, workspace: null, actor: 'test', client: 'test' };
  const { remember } = (await import('../../src/engine/operations.ts')).OPERATIONS;
  for (const name of ['heron', 'stork', 'crane']) {
    const input = { category: 'bird', key: name, bodyJson: `{"content":"a ${name}"}`, recallWhen: [] };
    await store.transaction({ id: name, kind: 'remember', scope }, (tx) => remember.run(tx, scope, input));
  }
  store.close();
}

function keyFile(folder: string, name: string, byte: number, mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, Buffer.alloc(32, byte).toString('base64'));
  chmodSync(path, mode);
  return path;
}

/** Changes a store behind the server's back. */
function tamper(path: string, sql: string): void {
  const db = new Database(path);
  // The tables of an index are protected otherwise; its type does not know this.
  (db as unknown as { unsafeMode(): void }).unsafeMode();
  db.exec(sql);
  db.close();
}

/** Makes a disk of 2 MB that goes away with the test; null where this user may not. */
const mountSmallDisk = ((): ((t: TestContext) => string) | null => {
  const mount = (): string => {
    const folder = mkdtempSync(join(tmpdir(), 'mimir-disk-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', folder], { stdio: 'ignore' });
    return folder;
  };
  const unmount = (folder: string): void => {
    execFileSync('umount', ['-l', folder]);
    rmdirSync(folder);
  };
  try {
    unmount(mount());
  } catch {
    return null; // not root, or mounting is forbidden here: the test says so and is skipped
  }
  return (t) => {
    const folder = mount();
    t.after(() => unmount(folder));
    return folder;
  };
})();

interface Case {
  readonly name: string;
  readonly check: string;
  readonly says: RegExp;
  readonly mend: RegExp;
  readonly make: (folder: string, t: TestContext) => Setup | Promise<Setup>;
  readonly skip?: string | false;
}

const CASES: readonly Case[] = [
  {
    name: 'no home folder, and no store named',
    check: 'invalid_argument',
    says: /Neither HOME nor USERPROFILE/,
    mend: /Set HOME/,
    make: () => ({ flags: [], env: { HOME: '' } }),
  },
  {
    name: 'a setting that is no number',
    check: 'invalid_argument',
    says: /MIMIR_POOL_MAX_SIZE must be/,
    mend: /Set MIMIR_POOL_MAX_SIZE/,
    make: (f) => ({ flags: ['--db', join(f, 'm.db')], env: { MIMIR_POOL_MAX_SIZE: 'many' } }),
  },
  {
    name: 'a tool to show that does not exist',
    check: 'invalid_argument',
    says: /no tool rekall/,
    mend: /mimir_recall/,
    make: (f) => ({ flags: ['--db', join(f, 'm.db')], env: { MIMIR_TOOLS: 'rekall' } }),
  },
  {
    name: 'an open door without a token',
    check: 'invalid_argument',
    says: /loopback only/,
    mend: /MIMIR_TOKEN/,
    make: (f) => ({ flags: ['--db', join(f, 'm.db'), '--transport', 'http', '--web-bind', '0.0.0.0'] }),
  },
  {
    name: 'a token file that is not there',
    check: 'invalid_argument',
    says: /token file .* cannot be read/,
    mend: /Name a file/,
    make: (f) => ({ flags: ['--db', join(f, 'm.db'), '--mcp-token-file', join(f, 'none')] }),
  },
  {
    name: 'a port that another program has',
    check: 'port_taken',
    says: /another program has it/,
    mend: /--port/,
    make: async (f, t) => {
      const holder = createServer().listen(0, '127.0.0.1');
      await new Promise((resolve) => holder.once('listening', resolve));
      t.after(() => holder.close());
      const { port } = holder.address() as AddressInfo;
      return { flags: ['--db', join(f, 'm.db'), '--transport', 'http', '--port', String(port)] };
    },
  },
  {
    name: 'a key file that is not there',
    check: 'key_file_missing',
    says: /does not exist/,
    mend: /mimir keygen/,
    make: (f) => ({ flags: ['--db', join(f, 'm.db'), '--encryption-key', join(f, 'none')] }),
  },
  {
    name: 'a key file that everybody can read',
    check: 'key_file_open',
    says: /Other users .* can read the key file/,
    mend: /^chmod 600/,
    make: (f) => ({ flags: ['--db', join(f, 'm.db'), '--encryption-key', keyFile(f, 'k', 1, 0o644)] }),
  },
  {
    name: 'a key file that holds no key',
    check: 'wrong_key',
    says: /does not hold a key/,
    mend: /--encryption-key/,
    make: async (f) => {
      await makeStore(join(f, 'm.db'), { key: Buffer.alloc(32, 1) });
      writeFileSync(join(f, 'k'), 'open sesame', { mode: 0o600 });
      return { flags: ['--db', join(f, 'm.db'), '--encryption-key', join(f, 'k')] };
    },
  },
  {
    name: 'the key of another store',
    check: 'wrong_key',
    says: /cannot be read with this key/,
    mend: /--encryption-key/,
    make: async (f) => {
      await makeStore(join(f, 'm.db'), { key: Buffer.alloc(32, 1) });
      return { flags: ['--db', join(f, 'm.db'), '--encryption-key', keyFile(f, 'k', 2)] };
    },
  },
  {
    name: 'an encrypted store without its key',
    check: 'not_a_store',
    says: /is encrypted, or it is no database/,
    mend: /--encryption-key/,
    make: async (f) => {
      await makeStore(join(f, 'm.db'), { key: Buffer.alloc(32, 1) });
      return { flags: ['--db', join(f, 'm.db')] };
    },
  },
  {
    name: 'a key for a plain store',
    check: 'not_encrypted',
    says: /not encrypted/,
    mend: /without --encryption-key/,
    make: async (f) => {
      await makeStore(join(f, 'm.db'));
      return { flags: ['--db', join(f, 'm.db'), '--encryption-key', keyFile(f, 'k', 1)] };
    },
  },
  {
    name: 'a folder that is not there',
    check: 'folder_missing',
    says: /does not exist/,
    mend: /^mkdir -p/,
    make: (f) => ({ flags: ['--db', join(f, 'no', 'm.db')] }),
  },
  {
    name: 'a folder that this user may not write into',
    check: 'folder_not_writable',
    says: /may not write into the folder/,
    mend: /writable/,
    skip: isRoot ? false : 'another user is needed',
    make: (f) => {
      mkdirSync(join(f, 'locked'), { mode: 0o755 });
      return { flags: ['--db', join(f, 'locked', 'm.db')], asNobody: true };
    },
  },
  {
    name: 'a store that this user may not write to',
    check: 'read_only',
    says: /may not read and write/,
    mend: /chmod 600/,
    skip: isRoot ? false : 'another user is needed',
    make: async (f) => {
      await makeStore(join(f, 'm.db'));
      chmodSync(join(f, 'm.db'), 0o644);
      chownSync(f, NOBODY, NOBODY);
      return { flags: ['--db', join(f, 'm.db')], asNobody: true };
    },
  },
  {
    name: 'a folder in place of the store',
    check: 'cannot_open',
    says: /is a folder/,
    mend: /--db/,
    make: (f) => ({ flags: ['--db', f] }),
  },
  {
    name: 'the database of another program',
    check: 'not_a_store',
    says: /another program/,
    mend: /--db/,
    make: (f) => {
      new Database(join(f, 'm.db')).exec('CREATE TABLE mine(x)').close();
      return { flags: ['--db', join(f, 'm.db')] };
    },
  },
  {
    name: 'a store of a newer version',
    check: 'newer_schema',
    says: /schema 99/,
    mend: /Upgrade/,
    make: async (f) => {
      await makeStore(join(f, 'm.db'));
      tamper(join(f, 'm.db'), 'PRAGMA user_version = 99');
      return { flags: ['--db', join(f, 'm.db')] };
    },
  },
  {
    name: 'a database of Mimir 0.1',
    check: 'original_store',
    says: /Mimir 0\.1/,
    mend: /mimir migrate --from/,
    make: (f) => {
      new Database(join(f, 'm.db')).exec('CREATE TABLE memories(id)').close();
      return { flags: ['--db', join(f, 'm.db')] };
    },
  },
  {
    name: 'a past that was changed',
    check: 'corrupt',
    says: /version row 1 was changed afterwards/,
    mend: /backup/,
    make: async (f) => {
      await makeStore(join(f, 'm.db'));
      tamper(join(f, 'm.db'), 'UPDATE version SET importance = 0.9 WHERE id = 1');
      return { flags: ['--db', join(f, 'm.db')] };
    },
  },
  {
    name: 'a damaged text index',
    check: 'corrupt',
    says: /fts5/,
    mend: /backup/,
    make: async (f) => {
      await makeStore(join(f, 'm.db'));
      tamper(join(f, 'm.db'), 'UPDATE text_data SET block = zeroblob(length(block)) WHERE id > 10');
      return { flags: ['--db', join(f, 'm.db')] };
    },
  },
  {
    name: 'pages full of rubbish',
    check: 'corrupt',
    says: /damaged|agree/,
    mend: /copy|backup/,
    make: async (f) => {
      await makeStore(join(f, 'm.db'));
      const bytes = readFileSync(join(f, 'm.db'));
      bytes.fill(0x7f, 4_096, bytes.length - 8_192);
      writeFileSync(join(f, 'm.db'), bytes);
      return { flags: ['--db', join(f, 'm.db')] };
    },
  },
  {
    name: 'operations from the future',
    check: 'clock',
    says: /still to come/,
    mend: /Set the clock/,
    make: async (f) => {
      await makeStore(join(f, 'm.db'), { aheadMs: FUTURE_MS });
      return { flags: ['--db', join(f, 'm.db')] };
    },
  },
  {
    name: 'a program that does not give the write lock back',
    check: 'locked',
    says: /Another process is writing/,
    mend: /write lock/,
    make: async (f, t) => {
      await makeStore(join(f, 'm.db'));
      const holder = new Database(join(f, 'm.db'));
      holder.exec('BEGIN IMMEDIATE');
      t.after(() => holder.close());
      return { flags: ['--db', join(f, 'm.db')], env: { MIMIR_BUSY_TIMEOUT_MS: '100' } };
    },
  },
  {
    name: 'a link that leads nowhere in place of the store',
    check: 'dangling_link',
    says: /is a link to .*gone\.db, and nothing is there/,
    mend: /rm '.*m\.db'/,
    make: (f) => {
      symlinkSync(join(f, 'gone.db'), join(f, 'm.db'));
      return { flags: ['--db', join(f, 'm.db')] };
    },
  },
  {
    name: 'a connector that does not run because of its settings',
    check: 'connector_left_out',
    says: /github/,
    mend: /docs\/sources\.md/,
    make: (f) => {
      writeFileSync(join(f, 'c.yaml'), 'connectors:\n  github:\n    enabled: true\n    repos: [no-slash]\n');
      return { flags: ['--db', join(f, 'm.db'), '--connectors-config', join(f, 'c.yaml')] };
    },
  },
  {
    name: 'an embedding server that is not there',
    check: 'embedding_model',
    says: /embedding model does not work\. The model server at 127\.0\.0\.1:1 cannot be reached/,
    mend: /--embedding-endpoint/,
    make: (f) => ({
      flags: ['--db', join(f, 'm.db'), '--embedding-endpoint', 'http://127.0.0.1:1', '--embedding-model', 'x'],
    }),
  },
  {
    name: 'an embedding server that fails',
    check: 'embedding_model',
    says: /answered 500/,
    mend: /look into its log/,
    make: async (f, t) => {
      const server = await startModelServer(t);
      server.answer = rawAnswer(500, 'oops');
      return { flags: ['--db', join(f, 'm.db'), '--embedding-endpoint', server.url, '--embedding-model', 'x'] };
    },
  },
  {
    name: 'a folder without a model in it',
    check: 'embedding_model',
    says: /There is no ONNX model in \/nope/,
    mend: /tokenizer\.json/,
    make: (f) => ({ flags: ['--db', join(f, 'm.db'), '--embedding-model', '/nope'] }),
  },
  {
    name: 'a model in a folder without what runs it',
    check: 'embedding_model',
    says: /needs the package/,
    mend: /npm install/,
    make: (f) => {
      mkdirSync(join(f, 'onnx'));
      writeFileSync(join(f, 'onnx/model.onnx'), 'a model');
      return { flags: ['--db', join(f, 'm.db'), '--embedding-model', f] };
    },
  },
  {
    name: 'a language model whose server is not there',
    check: 'language_model',
    says: /language model does not work\. The model server at 127\.0\.0\.1:1 cannot be reached/,
    mend: /--llm-endpoint/,
    make: (f) => ({ flags: ['--db', join(f, 'm.db'), '--llm-endpoint', 'http://127.0.0.1:1'] }),
  },
  {
    name: 'a language model that its server does not have',
    check: 'language_model',
    says: /answered 404/,
    mend: /It has the models heron:latest, stork/,
    make: async (f, t) => {
      const server = await startModelServer(t);
      server.answer = (asked, response) => {
        if (asked.path !== '/api/tags') return rawAnswer(404, '')(asked, response);
        response.end(JSON.stringify({ models: [{ name: 'heron:latest' }, { name: 'stork' }] }));
      };
      return { flags: ['--db', join(f, 'm.db'), '--llm-endpoint', server.url, '--llm-model', 'crane'] };
    },
  },
  {
    name: 'a full disk',
    check: 'disk_full',
    says: /MiB left/,
    mend: /Free some space/,
    skip: mountSmallDisk === null ? 'needs the right to mount a small tmpfs' : false,
    make: async (_, t) => {
      const disk = mountSmallDisk?.(t) ?? '';
      await makeStore(join(disk, 'm.db'));
      try {
        for (;;) appendFileSync(join(disk, 'filler'), Buffer.alloc(4_096));
      } catch (thrown) {
        assert.equal((thrown as NodeJS.ErrnoException).code, 'ENOSPC');
      }
      return { flags: ['--db', join(disk, 'm.db')] };
    },
  },
];

for (const { name, check, says, mend, make, skip = false } of CASES) {
  test(`the doctor names ${name}`, { skip }, async (t) => {
    const folder = temporaryFolder(t);
    chmodSync(folder, 0o755);
    const findings = await examine(await make(folder, t));
    const faults = findings.filter(({ level }) => level === 'fault');
    assert.deepEqual(
      faults.map((one) => one.check),
      [check],
      JSON.stringify(findings, null, 1),
    );
    assert.match(faults[0]?.says ?? '', says);
    assert.match(faults[0]?.mend ?? '', mend);
  });
}

test('the doctor says of a database of the original that it will be imported, and does not do it', async (t) => {
  const path = join(temporaryFolder(t), 'm.db');
  makeOriginal(path).close();
  writeFileSync(`${path}.mimir-2.1`, '');
  chmodSync(path, 0o600);
  const before = readFileSync(path);
  const findings = await runDoctor({ flags: ['--db', path] });
  assert.deepEqual(
    findings.filter(({ level }) => level !== 'ok').map(({ level, check }) => `${level} ${check}`),
    ['note kept_copy', 'note original_store'],
  );
  assert.match(JSON.stringify(findings), /the original database from before its import.*It is imported when/);
  assert.deepEqual(readFileSync(path), before);
});

test('the doctor finds nothing wrong with a store in use, and says what is worth knowing', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'm.db');
  await makeStore(path);
  writeFileSync(`${path}.before-v2`, '');
  writeFileSync(join(folder, 'mimir.db'), '');
  chmodSync(path, 0o644);
  const before = statSync(path).mtimeMs;
  const other = new Database(path);
  other.prepare('SELECT 1 FROM operations').get();
  t.after(() => other.close());
  const env = { HOME: folder, MIMIR_ENCRYPTION_KEY: 'x' };
  const findings = await runDoctor({ flags: ['--db', path], env });
  assert.ok(
    findings.every(({ level }) => level !== 'fault'),
    JSON.stringify(findings, null, 1),
  );
  const notes = findings.filter(({ level }) => level === 'note');
  assert.deepEqual(
    notes.map((one) => one.check),
    ['unknown_variable', 'store_open', 'kept_copy', 'early_store', ...(process.platform === 'linux' ? ['in_use'] : [])],
  );
  assert.match(notes.at(-1)?.says ?? '', new RegExp(`Process ${process.pid} `));
  assert.match(JSON.stringify(findings), /all 3 operations of the store agree/);
  assert.equal(statSync(path).mtimeMs, before, 'nothing was written');
});

test('the doctor asks models that work for no more than it needs, and sends nothing of the store', async (t) => {
  const path = join(temporaryFolder(t), 'm.db');
  await makeStore(path);
  const [ollama, openai] = [await startModelServer(t), await startModelServer(t)];
  const { answer } = ollama;
  ollama.answer = (asked, response) =>
    asked.path === '/api/tags'
      ? void response.end(JSON.stringify({ models: [{ name: 'stork:latest' }] }))
      : answer(asked, response);
  openai.answer = (asked, response) =>
    (asked.path === '/v1/models' ? rawAnswer(404, '') : textAnswer('yes'))(asked, response);
  const flags = ['--db', path, '--embedding-endpoint', ollama.url, '--embedding-model', 'heron'];
  for (const [url, model, seen] of [
    [ollama.url, 'stork', ['/api/embed', '/api/tags']],
    [`${openai.url}/v1`, 'gpt', ['/v1/models', '/v1/chat/completions']],
  ] as const) {
    const findings = await runDoctor({ flags: [...flags, '--llm-endpoint', url, '--llm-model', model] });
    assert.deepEqual(
      findings.filter(({ check }) => check.endsWith('_model')).map(({ level }) => level),
      ['ok', 'ok'],
    );
    const asked = [...ollama.seen, ...openai.seen].map((one) => one.path);
    assert.ok(
      seen.every((one) => asked.includes(one)),
      asked.join(),
    );
  }
  assert.ok(![...ollama.seen, ...openai.seen].some((one) => one.path === '/api/generate'), 'a list is enough');
  assert.doesNotMatch(JSON.stringify([ollama.seen, openai.seen]), /a crane|a stork|a heron/);
  const offline = await runDoctor({ flags: ['--db', path, '--llm-endpoint', 'http://127.0.0.1:1', '--offline'] });
  assert.ok(!offline.some(({ check }) => check.endsWith('_model')));
});

test('the doctor makes no store, and says that there is none', async (t) => {
  const folder = temporaryFolder(t);
  const findings = await runDoctor({ flags: [], env: { HOME: folder } });
  assert.ok(findings.some((one) => one.check === 'no_store'));
  assert.ok(!existsSync(join(folder, '.mimir')));
});

test('people read the doctor line by line, without colours in a pipe', async (t) => {
  const { printed, child, ended } = startMimir(['doctor', '--db', join(temporaryFolder(t), 'no', 'm.db')]);
  child.stdin.end();
  assert.equal(await ended, 5);
  assert.match(
    printed.stdout,
    /^ok {5}Node [^\n]+\nok {5}the settings [^\n]+\nfault {2}The folder [^\n]+\n {7}mkdir -p '[^\n]+'\n$/,
  );
});

test('a Node that is too old is named before anything is loaded', (t) => {
  const preload = join(temporaryFolder(t), 'old.mjs');
  writeFileSync(preload, `Object.defineProperty(process.versions, 'node', { value: '18.20.0' });`);
  const launcher = new URL('../../bin/mimir.js', import.meta.url).pathname;
  assert.throws(
    () =>
      execFileSync(process.execPath, ['--import', preload, launcher, 'doctor'], { encoding: 'utf8', stdio: 'pipe' }),
    (error: Error & { status?: number; stderr?: string }) =>
      error.status === 1 && /22\.18.*18\.20\.0/.test(error.stderr ?? ''),
  );
});
