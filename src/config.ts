import { readFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { MimirError } from './errors.ts';
import { LIMITS } from './limits.ts';

/** Everything that can be set, resolved and frozen. */
export interface Config {
  readonly dbPath: string;
  /** The default place: its folder may be made. */
  readonly dbIsDefault: boolean;
  readonly transport: 'stdio' | 'http';
  readonly host: string;
  readonly port: number;
  /** Clients must send it; null asks for none. */
  readonly token: string | null;
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
  readonly keyFile: string | null;
  readonly poolMax: number;
  readonly busyTimeoutMs: number;
  readonly cores: number;
  /** The model that memories are embedded with; null: recall goes by words. */
  readonly embedding: EmbeddingConfig | null;
  /** Flags of the original that do nothing here yet. */
  readonly withoutEffect: readonly string[];
}

/** Which embedding model, and where it is. */
export interface EmbeddingConfig {
  readonly source:
    | { readonly kind: 'folder'; readonly folder: string }
    | { readonly kind: 'server'; readonly endpoint: string; readonly model: string; readonly apiKey: string | null };
  /** Memories are embedded as they come, and recall uses it; otherwise only `mimir_embed` does. */
  readonly background: boolean;
}

/** What the command line asks for. */
export type Command =
  | { readonly command: 'serve'; readonly config: Config }
  | { readonly command: 'help' }
  | { readonly command: 'version' }
  | { readonly command: 'keygen'; readonly keyFile: string };

type Environment = Readonly<Record<string, string | undefined>>;

const OPTIONS = {
  db: { type: 'string' },
  transport: { type: 'string' },
  port: { type: 'string' },
  'web-bind': { type: 'string' },
  'mcp-token': { type: 'string' },
  'mcp-token-file': { type: 'string' },
  'allow-host': { type: 'string', multiple: true },
  'allow-origin': { type: 'string', multiple: true },
  'encryption-key': { type: 'string' },
  'key-file': { type: 'string' },
  'workspace-token': { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'V' },
  // Accepted because configurations of the original carry them.
  mcp: { type: 'boolean' },
  offline: { type: 'boolean' },
  web: { type: 'boolean' },
  'llm-endpoint': { type: 'string' },
  'llm-api-key': { type: 'string' },
  'llm-model': { type: 'string' },
  'embedding-endpoint': { type: 'string' },
  'embedding-model': { type: 'string' },
  'embedding-api-key': { type: 'string' },
  'connectors-config': { type: 'string' },
  'web-auth-token': { type: 'string' },
} as const;

const WITHOUT_EFFECT = ['web', 'connectors-config', 'web-auth-token'] as const;

const LATER = 'write migrate forget prune decay stats purge reindex vault-export vault-import'.split(' ');

const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '::1', '[::1]']);

/** Whether an address can be reached from this machine only. `127.0.0.1.example.com` is a name of somebody else. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.has(host) || (isIPv4(host) && host.startsWith('127.'));
}

/** What can be sent in a header; anything else would lock everybody out. */
const TOKEN = /^[\x21-\x7e]{1,1024}$/;
const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[^/\s*]+$/;
const HOST = /^[^/\s*@]+$/;

/** The first sentence of what `parseArgs` says; it names flags, never their values. */
function firstSentence(thrown: unknown): string {
  const sentence = thrown instanceof Error ? thrown.message.split(/\.\s/)[0] : undefined;
  return `${sentence ?? 'The command line cannot be read'}.`.replace(/\.\.$/, '.');
}

function usage(message: string, hint = 'See mimir --help.'): MimirError {
  return new MimirError('invalid_argument', message, { hint });
}

function wholeNumber(name: string, text: string, least: number, most: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw usage(
    `${name} must be a whole number from ${least} to ${most}.`,
    `Set ${name} to such a number, or leave it out.`,
  );
}

/** Reads the command line with the environment of this process. Throws `invalid_argument` with a sentence that mends it. */
export function readCommand(argv: readonly string[], environment: Environment = process.env): Command {
  const env = (name: string): string | undefined => (environment[name] === '' ? undefined : environment[name]);
  const home = env('HOME') ?? env('USERPROFILE');
  const atHome = (...parts: string[]): string => {
    if (home !== undefined) return join(home, ...parts);
    throw usage(
      'Neither HOME nor USERPROFILE is set, so there is no home folder.',
      'Name the file by its whole path: --db FILE',
    );
  };
  const expand = (path: string): string => (path === '~' || path.startsWith('~/') ? atHome(path.slice(1)) : path);

  // Their flags are not ours, so this comes before the flags are read.
  if (LATER.includes(argv[0] ?? '')) {
    throw usage(`mimir ${argv[0]} is not there yet.`, 'The tools of the running server can do most of it.');
  }
  let parsed;
  try {
    parsed = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true, strict: true });
  } catch (thrown) {
    throw usage(firstSentence(thrown), 'A value that begins with a dash is written --flag=VALUE. See mimir --help.');
  }
  const { values, positionals } = parsed;
  const empty = Object.entries(values).find(
    ([, value]) => value === '' || (Array.isArray(value) && value.includes('')),
  );
  if (empty !== undefined) throw usage(`--${empty[0]} is empty.`, 'Give it a value, or leave it out.');
  if (values.help === true) return { command: 'help' };
  if (values.version === true) return { command: 'version' };
  const word = positionals[0] ?? 'serve';
  if (positionals.length > 1) throw usage('Only flags may follow the command.');
  if (word === 'help' || word === 'version') return { command: word };
  const stray = Object.keys(values).find((flag) => (flag === 'key-file') !== (word === 'keygen'));
  if (stray !== undefined && (word === 'keygen' || word === 'serve')) {
    throw usage(`--${stray} is no flag of mimir ${word}.`);
  }
  if (word === 'keygen')
    return { command: 'keygen', keyFile: expand(values['key-file'] ?? atHome('.mimir', 'secret.key')) };
  if (LATER.includes(word)) throw usage(`mimir ${word} is not there yet.`);
  if (word !== 'serve') {
    const named = /^[a-z-]{1,20}$/.test(word) ? `Unknown command: ${word}.` : 'Unknown command.';
    throw usage(`${named} There are serve, keygen, help and version.`);
  }

  // The original opens GET /sse for this word only; here it is always open beside the others.
  const transport = values.transport === 'sse' ? 'http' : (values.transport ?? 'stdio');
  if (transport !== 'stdio' && transport !== 'http') throw usage('--transport must be stdio, http or sse.');
  if (values['workspace-token'] !== undefined) {
    throw usage(
      '--workspace-token is not there yet: it would bind nothing.',
      'Use --mcp-token, which guards the whole store.',
    );
  }
  const named = values.db ?? env('MIMIR_DB_PATH');
  const config: Config = {
    dbPath: resolve(named === undefined ? atHome('.mimir', 'data', 'mimir.db') : expand(named)),
    dbIsDefault: named === undefined,
    transport,
    host: (values['web-bind'] ?? '127.0.0.1').toLowerCase().replace(/^\[(.*)\]$/, '$1'),
    port: wholeNumber('--port', values.port ?? '8767', 0, 65_535),
    token: readToken(values['mcp-token'], values['mcp-token-file'], env('MIMIR_TOKEN'), expand),
    allowedHosts: allowList(
      '--allow-host',
      values['allow-host'],
      HOST,
      'a name as in a Host header, such as mimir.example.com',
    ),
    allowedOrigins: allowList(
      '--allow-origin',
      values['allow-origin'],
      ORIGIN,
      'an origin without a path, such as https://app.example.com',
    ),
    keyFile: values['encryption-key'] === undefined ? null : expand(values['encryption-key']),
    poolMax: wholeNumber(
      'MIMIR_POOL_MAX_SIZE',
      env('MIMIR_POOL_MAX_SIZE') ?? String(LIMITS.poolMaxDefault),
      1,
      LIMITS.poolMaxMost,
    ),
    busyTimeoutMs: wholeNumber(
      'MIMIR_BUSY_TIMEOUT_MS',
      env('MIMIR_BUSY_TIMEOUT_MS') ?? String(LIMITS.busyTimeoutDefaultMs),
      0,
      LIMITS.busyTimeoutMostMs,
    ),
    cores: availableParallelism(),
    embedding: embeddingOf(values, env, expand),
    withoutEffect: WITHOUT_EFFECT.filter((name) => values[name] !== undefined),
  };
  if (transport === 'http' && !isLoopback(config.host) && config.token === null) {
    throw usage(
      `Without a token the server listens on loopback only, not on ${config.host}.`,
      'Set MIMIR_TOKEN or --mcp-token-file FILE, or leave out --web-bind.',
    );
  }
  return { command: 'serve', config: Object.freeze(config) };
}

interface ModelFlags {
  readonly 'llm-endpoint'?: string | undefined;
  readonly 'llm-model'?: string | undefined;
  readonly 'llm-api-key'?: string | undefined;
  readonly 'embedding-endpoint'?: string | undefined;
  readonly 'embedding-model'?: string | undefined;
  readonly 'embedding-api-key'?: string | undefined;
}

/**
 * A model by name needs a server, a model without one is a folder. As in the original the server and the model for
 * answering stand in where none for embedding is named; but then nothing is embedded unasked, because a model that answers
 * makes poor vectors.
 */
function embeddingOf(
  flags: ModelFlags,
  env: (name: string) => string | undefined,
  expand: (path: string) => string,
): EmbeddingConfig | null {
  const named = flags['embedding-model'] ?? env('MIMIR_EMBEDDING_MODEL');
  const endpoint = flags['embedding-endpoint'] ?? env('MIMIR_EMBEDDING_ENDPOINT');
  const server = endpoint ?? (named === undefined ? flags['llm-endpoint'] : undefined);
  if (server === undefined) {
    return named === undefined
      ? null
      : { source: { kind: 'folder', folder: resolve(expand(named)) }, background: true };
  }
  if (!URL.canParse(server) || !/^https?:$/.test(new URL(server).protocol)) {
    throw usage(
      '--embedding-endpoint must be the address of a model server.',
      'Such as http://127.0.0.1:11434 or https://host/v1.',
    );
  }
  const apiKey =
    flags['embedding-api-key'] ??
    env('MIMIR_EMBEDDING_API_KEY') ??
    flags['llm-api-key'] ??
    env('MIMIR_LLM_API_KEY') ??
    null;
  const model = named ?? flags['llm-model'] ?? 'llama3';
  return { source: { kind: 'server', endpoint: server, model, apiKey }, background: named !== undefined };
}

function allowList(
  flag: string,
  given: readonly string[] | undefined,
  allowed: RegExp,
  shape: string,
): readonly string[] {
  const entries = (given ?? []).map((entry) => entry.toLowerCase().replace(/\/$/, ''));
  if (entries.every((entry) => allowed.test(entry))) return Object.freeze(entries);
  throw usage(`${flag} must be ${shape}.`);
}

function readToken(
  flag: string | undefined,
  file: string | undefined,
  variable: string | undefined,
  expand: (path: string) => string,
): string | null {
  if (flag !== undefined && file !== undefined) throw usage('--mcp-token and --mcp-token-file cannot both be given.');
  const token = file === undefined ? (flag ?? variable) : readTokenFile(file, expand(file));
  if (token === undefined) return null;
  if (TOKEN.test(token)) return token;
  const source = file !== undefined ? `The token in ${file}` : flag !== undefined ? '--mcp-token' : 'MIMIR_TOKEN';
  throw usage(
    `${source} must be 1 to 1024 visible ASCII characters without blanks.`,
    'Make one with: openssl rand -hex 32',
  );
}

function readTokenFile(named: string, path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch {
    throw usage(`The token file ${named} cannot be read.`, 'Name a file that holds the token and nothing else.');
  }
  if (text === '') throw usage(`The token file ${named} is empty.`, 'Put the token into it.');
  return text;
}

/** The text of `mimir --help`, for 80 columns. */
export const HELP = `mimir: durable memory for AI agents, over MCP

Usage: mimir [serve] [flags]      serve over stdio (default) or HTTP
       mimir keygen [--key-file FILE]
       mimir --version | --help

  --db FILE               the store (MIMIR_DB_PATH; ~/.mimir/data/mimir.db)
  --transport stdio|http  how clients reach it (stdio); sse is the same as http
  --port N                HTTP port (8767); 0 takes a free one
  --web-bind ADDRESS      HTTP address (127.0.0.1); others need a token
  --mcp-token TOKEN       demand this bearer token (MIMIR_TOKEN)
  --mcp-token-file FILE   the same, read from a file
  --allow-host NAME       accept this Host header too (repeatable)
  --allow-origin ORIGIN   accept this web origin, with CORS (repeatable)
  --encryption-key FILE   key of an encrypted store (see mimir keygen)
  --embedding-model NAME  search by meaning as well, with this model of the
                          server below; without one, the folder of a model
  --embedding-endpoint URL  Ollama, or any server with /v1/embeddings

Environment: MIMIR_POOL_MAX_SIZE (16), MIMIR_BUSY_TIMEOUT_MS (5000),
             MIMIR_EMBEDDING_MODEL, _ENDPOINT and _API_KEY

Example: mimir serve --transport http --db ~/notes.db`;
