import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

import { COMMANDS } from '../../src/cli/commands.ts';
import { writeKey } from '../../src/cli/keygen.ts';
import { parseLine, type ParsedLine } from '../../src/cli/parse.ts';
import {
  demandVault,
  expandHome,
  isLoopback,
  readConfig,
  readStoreConfig,
  unknownVariables,
  wantsColours,
  type Config,
  type Environment,
} from '../../src/config.ts';
import { MimirError } from '../../src/errors.ts';
import { temporaryFolder } from '../support/processes.ts';

const HOME = { HOME: '/home/ada' };

/** A command line as it is read, with its settings where it serves. */
function read(args: readonly string[], environment: Environment): ParsedLine & { readonly config: Config | null } {
  const line = parseLine(args, COMMANDS, environment);
  const serves = line.command.word === 'serve' && line.asks === null;
  return { ...line, config: serves ? readConfig(line.call.values, environment) : null };
}

function serve(args: readonly string[], environment: Environment = HOME): Config {
  const { config } = read(args, environment);
  assert.ok(config !== null);
  return config;
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
  assert.equal(serve(['--transport', 'sse']).transport, 'sse');
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
  [['dance'], /^Unknown command: dance\. mimir --help/],
  [['recal'], /^Unknown command: recal\. Did you mean recall\? mimir --help/],
  [['vault'], /Did you mean vault-export or vault-import\? /],
  [['--tools', ','], /--tools \(MIMIR_TOOLS\) names no tool/],
  [['serve', 'twice'], /only flags may follow mimir serve/],
  [['call', 'a', 'b'], /only flags may follow mimir call TOOL/],
  [['call'], /mimir call needs TOOL.*For example: mimir call/],
  [['write', '--key', 'k'], /mimir write needs --category, --body.*For example/],
  [['--db', 'a', '--db', 'b'], /--db is given more than once/],
  [['--web', '--web'], /--web is given more than once/],
  [['prune', '--limit', '-1'], /--limit.*--flag=VALUE/],
  [['prune', '--limit=-1'], /--limit must be a whole number from 0/],
  [['prune', '--older-than-days', '4294967296'], /from 0 to 4294967295/],
  [['prune', '--min-decay', 'low'], /--min-decay must be a number/],
  [['prune', '--min-decay', 'NaN'], /--min-decay must be a number/],
  [['prune', '--dry-run=true'], /--dry-run/],
  [['stats', '--port', '1'], /--port is no flag of mimir stats.*mimir stats --help/],
  [['--frobnicate', '--help'], /--frobnicate/],
  [['serve', '--key-file', 'x'], /--key-file is no flag of mimir serve/],
  [['keygen', '--port', '1'], /--port is no flag of mimir keygen/],
];

for (const [args, says, environment = {}] of REFUSED) {
  test(`refused with a sentence: ${args.join(' ')} ${Object.keys(environment).join(' ')}`, () => {
    assert.throws(
      () => read(args, { ...HOME, ...environment }),
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
  for (const args of [[], ['--db', '~/x.db'], ['keygen']]) assert.throws(() => read(args, {}), /Neither HOME/);
  for (const args of [['--help'], ['--version'], ['keygen', '-h'], ['keygen', '--key-file', 'k']])
    assert.doesNotThrow(() => read(args, {}));
});

test('no message quotes a token', () => {
  for (const args of [
    ['plantedtoken99 x'],
    ['serve', 'planted'],
    ['--mcp-token', 'planted word'],
    ['--mcp-tokn=planted'],
  ]) {
    assert.throws(
      () => read(args, HOME),
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

test('flags of the original are accepted', () => {
  for (const flag of ['--mcp', '--offline', '--web']) assert.doesNotThrow(() => serve([flag]));
  for (const flag of ['llm-endpoint', 'embedding-endpoint'])
    assert.doesNotThrow(() => serve([`--${flag}`, 'http://127.0.0.1:11434']));
  for (const flag of ['llm-api-key', 'llm-model', 'embedding-model'])
    assert.doesNotThrow(() => serve([`--${flag}`, 'x']));
});

test('an embedding model is a folder, or a name at a server; that of the original for answering stands in', () => {
  const sourceOf = (args: readonly string[], environment: Environment = HOME) => serve(args, environment).embedding;
  assert.equal(sourceOf([]), null);
  assert.deepEqual(sourceOf(['--embedding-model', '~/model']), {
    source: { kind: 'folder', folder: '/home/ada/model' },
    background: true,
    named: true,
  });
  const server = { kind: 'server', endpoint: 'http://x', apiKey: null };
  assert.deepEqual(sourceOf(['--embedding-model', 'm'], { ...HOME, MIMIR_EMBEDDING_ENDPOINT: 'http://x' }), {
    source: { ...server, model: 'm' },
    background: true,
    named: true,
  });
  assert.deepEqual(sourceOf(['--llm-endpoint', 'http://x', '--llm-api-key', 'k']), {
    source: { ...server, model: 'llama3', apiKey: 'k' },
    background: false,
    named: false,
  });
  // A variable for one server is not sent to another.
  const keyed = { ...HOME, MIMIR_LLM_API_KEY: 'k' };
  const keyOf = (args: readonly string[]): unknown => sourceOf(args, keyed)?.source;
  assert.deepEqual(keyOf(['--embedding-endpoint', 'http://x', '--embedding-model', 'm']), { ...server, model: 'm' });
  assert.deepEqual(keyOf(['--llm-endpoint', 'http://x']), { ...server, model: 'llama3', apiKey: 'k' });
  assert.throws(() => sourceOf(['--embedding-endpoint', 'http://u:p@x']), /must have no name and password/);
  assert.throws(() => sourceOf(['--embedding-endpoint', 'file:///x']), /must be the address of a model server/);
});

test('a language model is named by an address, from the flag or the variable; without one there is none', () => {
  const named = (args: readonly string[], environment: Environment = {}) =>
    serve(args, { ...HOME, ...environment }).language;
  const variables = { MIMIR_LLM_ENDPOINT: 'http://env', MIMIR_LLM_MODEL: 'e', MIMIR_LLM_API_KEY: 'ek' };
  assert.equal(named([]), null);
  assert.equal(named(['--llm-model', 'm', '--llm-api-key', 'k']), null);
  assert.deepEqual(named(['--llm-endpoint', 'http://x']), { endpoint: 'http://x', model: 'llama3', apiKey: null });
  assert.deepEqual(named([], variables), { endpoint: 'http://env', model: 'e', apiKey: 'ek' });
  assert.deepEqual(named(['--llm-endpoint', 'http://x', '--llm-model', 'm', '--llm-api-key', 'k'], variables), {
    endpoint: 'http://x',
    model: 'm',
    apiKey: 'k',
  });
  for (const address of ['x', 'file:///x', 'http://ada:planted@x']) {
    assert.throws(
      () => named([], { MIMIR_LLM_ENDPOINT: address }),
      (error) =>
        error instanceof MimirError && /--llm-endpoint must/.test(error.message) && !/planted/.test(error.message),
    );
  }
});

test('offline asks no model server, whatever else is set; a model in a folder is none', () => {
  const named = ['--llm-endpoint', 'http://x', '--embedding-endpoint', 'http://x', '--embedding-model', 'm'];
  const { language, embedding } = serve(['--offline', ...named]);
  assert.deepEqual([language, embedding], [null, null]);
  assert.equal(serve(['--offline', '--embedding-model', '/m']).embedding?.source.kind, 'folder');
  assert.equal(serve(['--offline'], { ...HOME, MIMIR_LLM_ENDPOINT: 'http://x' }).embedding, null);
});

test('which tools are shown comes from the flag, the variable, core, in this order', () => {
  assert.deepEqual(serve([]).tools, ['core']);
  assert.deepEqual(serve([], { ...HOME, MIMIR_TOOLS: 'all' }).tools, ['all']);
  assert.deepEqual(serve(['--tools', 'core, mimir_journal,,'], { ...HOME, MIMIR_TOOLS: 'all' }).tools, [
    'core',
    'mimir_journal',
  ]);
});

test('~ is the home folder wherever a path is expected', () => {
  const { call } = read(['vault-export', '--vault-dir', '~/v', '--db', '~/m.db'], HOME);
  assert.deepEqual([call.values['vault-dir'], call.values['db']], ['/home/ada/v', '/home/ada/m.db']);
  for (const path of ['~', '~/a/b']) assert.ok(expandHome(path, HOME).startsWith('/home/ada'), path);
  for (const path of ['/~', 'a/~', '~bob/x', './~/x']) assert.equal(expandHome(path, HOME), path);
});

test('the vault that nobody names is that of the variable, else in the home folder', () => {
  const vault = (environment: Environment): string => demandVault(readStoreConfig({ db: '/m.db' }, environment));
  assert.equal(vault(HOME), '/home/ada/.mimir/vault');
  assert.equal(vault({ ...HOME, MIMIR_VAULT_DIR: '~/v' }), '/home/ada/v');
  assert.equal(vault({ MIMIR_VAULT_DIR: 'v' }), resolve('v'));
  assert.throws(() => vault({}), { code: 'invalid_argument', hint: /MIMIR_VAULT_DIR or HOME/ });
});

test('colours are for terminals, and for those who want them', () => {
  const cases: readonly (readonly [terminal: boolean, environment: Environment, colours: boolean])[] = [
    [true, {}, true],
    [true, { NO_COLOR: '' }, true],
    [true, { NO_COLOR: '1' }, false],
    [true, { TERM: 'dumb' }, false],
    [false, {}, false],
  ];
  for (const [terminal, environment, colours] of cases) assert.equal(wantsColours(terminal, environment), colours);
});

test('a variable that looks like ours and is not is found', () => {
  const environment = { MIMIR_TOOLS: 'all', MIMIR_ENCRYPTION_KEY: 'x', MIMIR_LOADTEST_CLIENTS: '3', OTHER: 'y' };
  assert.deepEqual(unknownVariables(environment), ['MIMIR_ENCRYPTION_KEY']);
});

test('loopback is this machine only', () => {
  for (const host of ['127.0.0.1', '127.9.9.9', 'localhost', '::1', '[::1]']) assert.ok(isLoopback(host), host);
  for (const host of ['127.0.0.1.example.com', '127.example.com', '0.0.0.0', '::', 'localhost.example.com', '']) {
    assert.ok(!isLoopback(host), host);
  }
});

test('a key is written once, for its owner only', (t) => {
  const path = join(temporaryFolder(t), 'new', 'secret.key');
  writeKey(path);
  assert.equal(readFileSync(path, 'utf8').length, 44, 'as the original writes it');
  assert.equal(Buffer.from(readFileSync(path, 'utf8'), 'base64').length, 32);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(join(path, '..')).mode & 0o777, 0o700);
  assert.throws(
    () => writeKey(path),
    (error) => error instanceof MimirError && error.kind === 'refused',
  );
  assert.throws(() => writeKey('/proc/nowhere/deep/secret.key'), /cannot be written/);
  assert.ok(!existsSync('/proc/nowhere'));
});
