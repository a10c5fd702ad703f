import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

import { writeKey } from '../../src/cli/keygen.ts';
import { HELP, isLoopback, readCommand, type Config } from '../../src/config.ts';
import { MimirError } from '../../src/errors.ts';
import { temporaryFolder } from '../support/processes.ts';

const HOME = { HOME: '/home/ada' };

function serve(args: readonly string[], environment: Readonly<Record<string, string>> = HOME): Config {
  const command = readCommand(args, environment);
  assert.equal(command.command, 'serve');
  return (command as { config: Config }).config;
}

test('flags work before and after the word, and the word may be left out', () => {
  for (const args of [
    ['--db', '/x.db', '--port', '1'],
    ['serve', '--db', '/x.db', '--port=1'],
    ['--db', '/x.db', 'serve', '--port', '1'],
  ]) {
    assert.deepEqual(serve(args), serve(['serve', '--db=/x.db', '--port=1']));
    assert.equal(serve(args).port, 1);
  }
  assert.ok(Object.isFrozen(serve([])));
  assert.equal(serve(['--transport', 'sse']).transport, 'http');
});

test('the store is named by the flag, the variable, the home folder, in this order', () => {
  assert.equal(serve(['--db', 'a.db'], { ...HOME, MIMIR_DB_PATH: '/b.db' }).dbPath, resolve('a.db'));
  assert.equal(serve([], { ...HOME, MIMIR_DB_PATH: '~/b.db' }).dbPath, '/home/ada/b.db');
  assert.equal(serve([], { ...HOME, MIMIR_DB_PATH: '' }).dbPath, '/home/ada/.mimir/data/mimir.db');
  assert.equal(serve([], { USERPROFILE: '/users/ada' }).dbPath, '/users/ada/.mimir/data/mimir.db');
  assert.equal(serve(['--encryption-key', '~/k', '--db', '/x']).keyFile, '/home/ada/k');
  assert.equal(serve(['--db', '/x.db'], {}).dbPath, '/x.db', 'who names the store needs no home');
});

const REFUSED: readonly [args: readonly string[], says: RegExp, environment?: Record<string, string>][] = [
  [['--no-such'], /--no-such.*--help/],
  [['--db'], /--db/],
  [['--db', '--port'], /--db.*--flag=VALUE/],
  [['--db', ''], /--db is empty/],
  [['--mcp-token', ''], /--mcp-token is empty/],
  [['--mcp-token', 'two words'], /--mcp-token must be 1 to 1024 visible ASCII/],
  [[], /MIMIR_TOKEN must be/, { MIMIR_TOKEN: 'grün' }],
  [['--mcp-token', 'a', '--mcp-token-file', '/b'], /cannot both/],
  [['--mcp-token-file', '/nowhere/token'], /\/nowhere\/token cannot be read/],
  [['--port', '65536'], /--port must be a whole number from 0 to 65535/],
  [['--port', '-1'], /--port/],
  [[], /MIMIR_POOL_MAX_SIZE must be a whole number from 1 to 1024/, { MIMIR_POOL_MAX_SIZE: '1025' }],
  [[], /MIMIR_POOL_MAX_SIZE must be/, { MIMIR_POOL_MAX_SIZE: '4 ' }],
  [[], /MIMIR_BUSY_TIMEOUT_MS must be a whole number from 0 to 600000/, { MIMIR_BUSY_TIMEOUT_MS: '1.5' }],
  [['--transport', 'grpc'], /--transport must be stdio, http or sse/],
  [['--workspace-token', 'x'], /--workspace-token.*--mcp-token/],
  [['--allow-origin', '*'], /--allow-origin must be an origin/],
  [['--allow-origin', 'https://a.example/path'], /--allow-origin must be an origin/],
  [['--allow-host', 'https://a.example'], /--allow-host must be a name/],
  [['--transport', 'http', '--web-bind', '0.0.0.0'], /loopback only, not on 0\.0\.0\.0.*MIMIR_TOKEN/],
  [['--transport', 'http', '--web-bind', '127.0.0.1.example.com'], /loopback only/],
  [['vault-export', '--vault-dir', 'x'], /vault-export is not there yet/],
  [['dance'], /Unknown command: dance\. There are serve, keygen, help and version/],
  [['serve', 'twice'], /Only flags/],
  [['serve', '--key-file', 'x'], /--key-file is no flag of mimir serve/],
  [['keygen', '--port', '1'], /--port is no flag of mimir keygen/],
];

for (const [args, says, environment = {}] of REFUSED) {
  test(`refused with a sentence: ${args.join(' ')} ${Object.keys(environment).join(' ')}`, () => {
    assert.throws(
      () => readCommand(args, { ...HOME, ...environment }),
      (error) => {
        assert.ok(error instanceof MimirError && error.kind === 'invalid');
        assert.match(`${error.message} ${error.hint}`, says);
        assert.doesNotMatch(error.message, /\n/);
        return true;
      },
    );
  });
}

test('no home at all is a sentence, for the default place and for ~', () => {
  for (const args of [[], ['--db', '~/x.db'], ['keygen']]) assert.throws(() => readCommand(args, {}), /Neither HOME/);
  for (const args of [['--help'], ['--version']]) assert.doesNotThrow(() => readCommand(args, {}));
});

test('no message quotes a token', () => {
  for (const args of [
    ['plantedtoken99 x'],
    ['serve', 'planted'],
    ['--mcp-token', 'planted word'],
    ['--mcp-tokn=planted'],
  ]) {
    assert.throws(
      () => readCommand(args, HOME),
      (error) => error instanceof MimirError && !`${error.message} ${error.hint}`.includes('planted'),
    );
  }
});

test('a token comes from the flag, the file or the variable', (t) => {
  const file = join(temporaryFolder(t), 'token');
  writeFileSync(file, 'from-file\n');
  assert.equal(serve(['--mcp-token-file', file], { ...HOME, MIMIR_TOKEN: 'from-env' }).token, 'from-file');
  assert.equal(serve(['--mcp-token', 'from-flag'], { ...HOME, MIMIR_TOKEN: 'from-env' }).token, 'from-flag');
  assert.equal(serve([], { ...HOME, MIMIR_TOKEN: 'from-env' }).token, 'from-env');
  assert.equal(serve([], { ...HOME, MIMIR_TOKEN: '' }).token, null);
  writeFileSync(file, '\n');
  assert.throws(() => serve(['--mcp-token-file', file]), /is empty/);
});

test('flags of the original are accepted, and those without effect are named', () => {
  const config = serve(['--mcp', '--offline', '--web', '--llm-endpoint', 'http://x', '--connectors-config', 'c']);
  assert.deepEqual(config.withoutEffect, ['web', 'connectors-config']);
});

test('a model is a name with a server, or a folder, and the one for answering stands in only where it is asked', () => {
  const server = (endpoint: string, model: string, background: boolean, apiKey: string | null = null) => ({
    source: { kind: 'server', endpoint, model, apiKey },
    background,
  });
  const table: readonly (readonly [args: readonly string[], env: Record<string, string>, expected: unknown])[] = [
    [[], {}, null],
    [['--embedding-model', '~/m'], {}, { source: { kind: 'folder', folder: '/home/me/m' }, background: true }],
    [['--embedding-model', 'm', '--embedding-endpoint', 'http://h/v1'], {}, server('http://h/v1', 'm', true)],
    [['--embedding-endpoint', 'http://h'], {}, server('http://h', 'llama3', false)],
    [['--llm-endpoint', 'http://l', '--llm-model', 'x'], {}, server('http://l', 'x', false)],
    [
      ['--llm-endpoint', 'http://l', '--llm-api-key', 'k', '--embedding-endpoint', 'http://h', '--llm-model', 'x'],
      {},
      server('http://h', 'x', false, 'k'),
    ],
    [
      [],
      { MIMIR_EMBEDDING_MODEL: 'm', MIMIR_EMBEDDING_ENDPOINT: 'http://h', MIMIR_EMBEDDING_API_KEY: 'e' },
      server('http://h', 'm', true, 'e'),
    ],
    [
      ['--embedding-model', 'm', '--llm-endpoint', 'http://l'],
      {},
      { source: { kind: 'folder', folder: resolve('m') }, background: true },
    ],
  ];
  for (const [args, env, expected] of table) {
    assert.deepEqual(serve(args, { HOME: '/home/me', ...env }).embedding, expected, args.join(' '));
  }
  for (const endpoint of ['h:80', 'ftp://h', 'not an address']) {
    assert.throws(
      () => serve(['--embedding-endpoint', endpoint, '--embedding-model', 'm']),
      /address of a model server/,
    );
  }
});

test('loopback is this machine only', () => {
  for (const host of ['127.0.0.1', '127.9.9.9', 'localhost', '::1', '[::1]']) assert.ok(isLoopback(host), host);
  for (const host of ['127.0.0.1.example.com', '127.example.com', '0.0.0.0', '::', 'localhost.example.com', '']) {
    assert.ok(!isLoopback(host), host);
  }
});

test('the help fits 80 columns', () => {
  for (const line of HELP.split('\n')) assert.ok(line.length <= 80, line);
  assert.match(HELP, /Example/);
});

test('a key is written once, for its owner only', (t) => {
  const path = join(temporaryFolder(t), 'new', 'secret.key');
  assert.equal(writeKey(path).split('\n').length, 2);
  assert.equal(Buffer.from(readFileSync(path, 'utf8').trim(), 'base64').length, 32);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(join(path, '..')).mode & 0o777, 0o700);
  assert.throws(
    () => writeKey(path),
    (error) => error instanceof MimirError && error.kind === 'refused',
  );
  assert.throws(() => writeKey('/proc/nowhere/deep/secret.key'), /cannot be written/);
  assert.ok(!existsSync('/proc/nowhere'));
});
