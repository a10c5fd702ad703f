import { readFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';

import { MimirError } from './errors.ts';
import { LIMITS } from './limits.ts';

/** What opening a store needs, resolved and frozen. */
export interface StoreConfig {
  readonly dbPath: string;
  /** The default place: its folder may be made. */
  readonly dbIsDefault: boolean;
  readonly keyFile: string | null;
  readonly poolMax: number;
  readonly busyTimeoutMs: number;
  readonly cores: number;
  /** The vault that nobody names, and the only place for folders that are named over HTTP; null without a home folder. */
  readonly vaultDir: string | null;
}

/** Everything that a server can be told, resolved and frozen. */
export interface Config extends StoreConfig {
  /** `sse` is `http` under the original's other word: here all doors are open under both. */
  readonly transport: 'stdio' | 'http' | 'sse';
  readonly host: string;
  readonly port: number;
  /** Clients must send it; null asks for none. */
  readonly token: string | null;
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
  /** Names of tools and of profiles that `tools/list` shows. */
  readonly tools: readonly string[];
  /** The model that memories are embedded with; null: recall goes by words. */
  readonly embedding: EmbeddingConfig | null;
  /** The model that answers questions; null: there is none. */
  readonly language: LanguageConfig | null;
  /** Where documents come in from; null: from nowhere. */
  readonly connectors: ConnectorsConfig | null;
}

/** Which language model, and where it is. */
export interface LanguageConfig {
  readonly endpoint: string;
  readonly model: string;
  readonly apiKey: string | null;
}

/** The file that says which connectors there are, and what is not in it. */
export interface ConnectorsConfig {
  readonly file: string;
  /** For a file without one; empty when there is none. */
  readonly githubToken: string;
}

/** Which embedding model, and where it is. */
export interface EmbeddingConfig {
  readonly source:
    | { readonly kind: 'folder'; readonly folder: string }
    | { readonly kind: 'server'; readonly endpoint: string; readonly model: string; readonly apiKey: string | null };
  /** Memories are embedded as they come, and recall uses it; otherwise only `mimir_embed` does. */
  readonly background: boolean;
  /** A server for embedding was named, and not only one for answering. */
  readonly named: boolean;
}

/** The variables of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What the flags of a command line say, by their names without dashes. Paths in it have no `~` any more. */
export type FlagValues = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '::1', '[::1]']);

/** Whether an address can be reached from this machine only. `127.0.0.1.example.com` is a name of somebody else. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.has(host) || (isIPv4(host) && host.startsWith('127.'));
}

/** What can be sent in a header; anything else would lock everybody out. */
const TOKEN = /^[\x21-\x7e]{1,1024}$/;
const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[^/\s*]+$/;
const HOST = /^[^/\s*@]+$/;

/** An error of the command line or the environment: its sentence, and what mends it. */
export function usage(message: string, hint = 'See mimir --help.'): MimirError {
  return new MimirError('invalid_argument', message, { hint });
}

/** An empty variable counts as unset. */
function variable(environment: Environment, name: string): string | undefined {
  return environment[name] === '' ? undefined : environment[name];
}

function homeOf(environment: Environment): string | undefined {
  return variable(environment, 'HOME') ?? variable(environment, 'USERPROFILE');
}

function atHome(environment: Environment, ...parts: string[]): string {
  const home = homeOf(environment);
  if (home !== undefined) return join(home, ...parts);
  throw usage(
    'Neither HOME nor USERPROFILE is set, so there is no home folder.',
    'Set HOME, or name files by their whole path: --db FILE',
  );
}

/** A path as it was meant, also where no shell has replaced the `~`. Throws `invalid_argument` when there is no home folder. */
export function expandHome(path: string, environment: Environment = process.env): string {
  return path === '~' || path.startsWith('~/') ? atHome(environment, path.slice(1)) : path;
}

/** A store of an early version of the original beside the default one; null when the environment has no home folder. */
export function earlyStorePath(environment: Environment = process.env): string | null {
  const home = homeOf(environment);
  return home === undefined ? null : join(home, 'mimir.db');
}

/** Whether text for people may carry colours: only on a terminal, and not where somebody has said no. */
export function wantsColours(isTerminal: boolean, environment: Environment = process.env): boolean {
  return isTerminal && variable(environment, 'NO_COLOR') === undefined && environment['TERM'] !== 'dumb';
}

const VARIABLES: ReadonlySet<string> = new Set([
  'MIMIR_DB_PATH',
  'MIMIR_TOKEN',
  'MIMIR_TOOLS',
  'MIMIR_VAULT_DIR',
  'MIMIR_POOL_MAX_SIZE',
  'MIMIR_BUSY_TIMEOUT_MS',
  'MIMIR_EMBEDDING_MODEL',
  'MIMIR_EMBEDDING_ENDPOINT',
  'MIMIR_EMBEDDING_API_KEY',
  'MIMIR_LLM_ENDPOINT',
  'MIMIR_LLM_MODEL',
  'MIMIR_LLM_API_KEY',
  'MIMIR_GITHUB_TOKEN',
]);

/** Variables that look like ours and that nobody reads; those of the load test are read elsewhere. */
export function unknownVariables(environment: Environment = process.env): string[] {
  return Object.keys(environment)
    .filter((name) => /^MIMIR_(?!LOADTEST_)/.test(name) && !VARIABLES.has(name))
    .toSorted();
}

function wholeNumber(environment: Environment, name: string, fallback: number, least: number, most: number): number {
  const text = variable(environment, name) ?? String(fallback);
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw usage(
    `${name} must be a whole number from ${least} to ${most}.`,
    `Set ${name} to such a number, or leave it out.`,
  );
}

function textOf(values: FlagValues, name: string): string | undefined {
  const value = values[name];
  return typeof value === 'string' ? value : undefined;
}

function listOf(values: FlagValues, name: string): readonly string[] {
  const value = values[name];
  return Array.isArray(value) ? value : [];
}

/** What opening a store needs, from flags and environment. Throws `invalid_argument` with a sentence that mends it. */
export function readStoreConfig(values: FlagValues, environment: Environment = process.env): StoreConfig {
  const fromVariable = variable(environment, 'MIMIR_DB_PATH');
  const named = textOf(values, 'db') ?? (fromVariable && expandHome(fromVariable, environment));
  return Object.freeze({
    dbPath: resolve(named ?? atHome(environment, '.mimir', 'data', 'mimir.db')),
    dbIsDefault: named === undefined,
    keyFile: textOf(values, 'encryption-key') ?? null,
    poolMax: wholeNumber(environment, 'MIMIR_POOL_MAX_SIZE', LIMITS.poolMaxDefault, 1, LIMITS.poolMaxMost),
    busyTimeoutMs: wholeNumber(
      environment,
      'MIMIR_BUSY_TIMEOUT_MS',
      LIMITS.busyTimeoutDefaultMs,
      0,
      LIMITS.busyTimeoutMostMs,
    ),
    cores: availableParallelism(),
    vaultDir: vaultOf(environment),
  });
}

function vaultOf(environment: Environment): string | null {
  const named = variable(environment, 'MIMIR_VAULT_DIR');
  if (named !== undefined) return resolve(expandHome(named, environment));
  return homeOf(environment) === undefined ? null : atHome(environment, '.mimir', 'vault');
}

/** The vault that nobody names. Throws `invalid_argument` where there can be none. */
export function demandVault({ vaultDir }: StoreConfig): string {
  if (vaultDir !== null) return vaultDir;
  throw usage('No folder is named, and there is no home folder.', 'Set MIMIR_VAULT_DIR or HOME, or name the folder.');
}

/** What a server needs, from flags and environment. Throws `invalid_argument` with a sentence that mends it. */
export function readConfig(values: FlagValues, environment: Environment = process.env): Config {
  const transport = values['transport'] ?? 'stdio';
  if (transport !== 'stdio' && transport !== 'http' && transport !== 'sse')
    throw usage('--transport must be stdio, http or sse.');
  if (values['workspace-token'] !== undefined) {
    throw usage(
      '--workspace-token is not there yet: it would bind nothing.',
      'Use --mcp-token, which guards the whole store.',
    );
  }
  const tools = (textOf(values, 'tools') ?? variable(environment, 'MIMIR_TOOLS') ?? 'core')
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
  if (tools.length === 0) {
    throw usage('--tools (MIMIR_TOOLS) names no tool.', 'Give it core, all, or names with commas between them.');
  }
  const config: Config = {
    ...readStoreConfig(values, environment),
    transport,
    host: (textOf(values, 'web-bind') ?? '127.0.0.1').toLowerCase().replace(/^\[(.*)\]$/, '$1'),
    port: Number(values['port'] ?? 8767),
    token: readToken(values, environment),
    allowedHosts: allowList(
      '--allow-host',
      listOf(values, 'allow-host'),
      HOST,
      'a name as in a Host header, such as mimir.example.com',
    ),
    allowedOrigins: allowList(
      '--allow-origin',
      listOf(values, 'allow-origin'),
      ORIGIN,
      'an origin without a path, such as https://app.example.com',
    ),
    tools: Object.freeze(tools),
    embedding: readEmbedding(values, environment),
    language: readLanguage(values, environment),
    connectors: readConnectors(values, environment),
  };
  if (transport !== 'stdio' && !isLoopback(config.host) && config.token === null) {
    throw usage(
      `Without a token the server listens on loopback only, not on ${config.host}.`,
      'Set MIMIR_TOKEN or --mcp-token-file FILE, or leave out --web-bind.',
    );
  }
  return Object.freeze(config);
}

/**
 * The embedding model, or null. A model by name needs a server, a model without one is a folder. As in the original the server
 * and the model for answering stand in where none for embedding is named; but then nothing is embedded unasked, because a model
 * that answers makes poor vectors. Offline there is no server. Throws `invalid_argument` for what is no address.
 */
export function readEmbedding(values: FlagValues, environment: Environment = process.env): EmbeddingConfig | null {
  const named = textOf(values, 'embedding-model') ?? variable(environment, 'MIMIR_EMBEDDING_MODEL');
  const endpoint = textOf(values, 'embedding-endpoint') ?? variable(environment, 'MIMIR_EMBEDDING_ENDPOINT');
  const language = readLanguage(values, environment);
  const server = endpoint ?? (named === undefined ? language?.endpoint : undefined);
  if (server === undefined) {
    if (named === undefined) return null;
    return {
      source: { kind: 'folder', folder: resolve(expandHome(named, environment)) },
      background: true,
      named: true,
    };
  }
  requireServer('--embedding-endpoint', server);
  if (values['offline'] === true) return null;
  const apiKey =
    textOf(values, 'embedding-api-key') ??
    variable(environment, 'MIMIR_EMBEDDING_API_KEY') ??
    textOf(values, 'llm-api-key') ??
    // A variable for one server is not sent to another.
    (server === language?.endpoint ? language.apiKey : undefined) ??
    null;
  const model = named ?? languageName(values, environment);
  return {
    source: { kind: 'server', endpoint: server, model, apiKey },
    background: named !== undefined,
    named: endpoint !== undefined,
  };
}

/**
 * Turns off the telemetry of ONNX Runtime (seen in 1.30: a device id and events under `~/.cache/Microsoft`, sent to its maker).
 * Must be called before a local model is loaded, on the main thread: a thread's own environment is not seen by native code.
 */
export function silenceModelRuntime(environment: NodeJS.ProcessEnv = process.env): void {
  environment['ORT_DISABLE_TELEMETRY'] = '1';
}

/** The language model, or null without an address, and offline. Throws `invalid_argument` for what is no address. */
export function readLanguage(values: FlagValues, environment: Environment = process.env): LanguageConfig | null {
  const endpoint = textOf(values, 'llm-endpoint') ?? variable(environment, 'MIMIR_LLM_ENDPOINT');
  if (endpoint === undefined) return null;
  requireServer('--llm-endpoint', endpoint);
  if (values['offline'] === true) return null;
  return { endpoint, model: languageName(values, environment), apiKey: languageKey(values, environment) };
}

/** The original's default. */
function languageName(values: FlagValues, environment: Environment): string {
  return textOf(values, 'llm-model') ?? variable(environment, 'MIMIR_LLM_MODEL') ?? 'llama3';
}

function languageKey(values: FlagValues, environment: Environment): string | null {
  return textOf(values, 'llm-api-key') ?? variable(environment, 'MIMIR_LLM_API_KEY') ?? null;
}

function requireServer(flag: string, address: string): void {
  const hint = 'Such as http://127.0.0.1:11434 or https://host/v1.';
  const url = URL.canParse(address) ? new URL(address) : null;
  if (url === null || !/^https?:$/.test(url.protocol))
    throw usage(`${flag} must be the address of a model server.`, hint);
  // `fetch` takes none, and other users can read a command line.
  if (url.username !== '' || url.password !== '') throw usage(`${flag} must have no name and password in it.`, hint);
}

/** Which file has the connectors; null without one, and where nothing may be asked of anybody. */
export function readConnectors(values: FlagValues, environment: Environment = process.env): ConnectorsConfig | null {
  const file = textOf(values, 'connectors-config');
  if (file === undefined || values['offline'] === true) return null;
  const githubToken = variable(environment, 'MIMIR_GITHUB_TOKEN') ?? variable(environment, 'GITHUB_TOKEN') ?? '';
  return { file: resolve(file), githubToken };
}

function allowList(flag: string, given: readonly string[], allowed: RegExp, shape: string): readonly string[] {
  const entries = given.map((entry) => entry.toLowerCase().replace(/\/$/, ''));
  if (entries.every((entry) => allowed.test(entry))) return Object.freeze(entries);
  throw usage(`${flag} must be ${shape}.`);
}

function readToken(values: FlagValues, environment: Environment): string | null {
  const flag = textOf(values, 'mcp-token');
  const file = textOf(values, 'mcp-token-file');
  if (flag !== undefined && file !== undefined) throw usage('--mcp-token and --mcp-token-file cannot both be given.');
  const token = file === undefined ? (flag ?? variable(environment, 'MIMIR_TOKEN')) : readTokenFile(file);
  if (token === undefined) return null;
  if (TOKEN.test(token)) return token;
  const source = file !== undefined ? `The token in ${file}` : flag !== undefined ? '--mcp-token' : 'MIMIR_TOKEN';
  throw usage(
    `${source} must be 1 to 1024 visible ASCII characters without blanks.`,
    'Make one with: openssl rand -hex 32',
  );
}

function readTokenFile(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch {
    throw usage(`The token file ${path} cannot be read.`, 'Name a file that holds the token and nothing else.');
  }
  if (text === '') throw usage(`The token file ${path} is empty.`, 'Put the token into it.');
  return text;
}
