import { readFileSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

import type { BroughtOver, OpenSettings, OpenStore, RestoreWatch } from './cli/command.ts';
import { COMMANDS } from './cli/commands.ts';
import { generalHelp, helpOf } from './cli/help.ts';
import { parseLine, type ParsedLine } from './cli/parse.ts';
import { showProgress, type Progress } from './cli/progress.ts';
import { monotonicMs, systemClock } from './clock.ts';
import {
  demandVault,
  expandHome,
  silenceModelRuntime,
  type Config,
  type ConnectorsConfig,
  type EmbeddingConfig,
  type LanguageConfig,
  type StoreConfig,
} from './config.ts';
import type { CallOptions } from './engine/operation.ts';
import type { Execute } from './engine/operations.ts';
import { errorToData, EXIT_CODES, MimirError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { print, printError, stderrLog, type Log } from './log.ts';
import { OWNER } from './memory/scope.ts';
import type { Scope, TellProgress } from './memory/types.ts';
import type { Pool } from './pool/pool.ts';
import type { LanguageModel } from './provider/language-model.ts';
import type { Meaning, VectorShelf } from './provider/meaning.ts';
import type { Connectors } from './sources/connectors.ts';
import type { OpenOptions } from './storage/open.ts';
import type { ImportWatch } from './storage/original/import.ts';
import type { Trial } from './storage/trial.ts';
import type { ToolDeps } from './tools/define.ts';
import type { Offers } from './tools/offers.ts';
import type { TableDeps } from './tools/table.ts';
import type { Caller, ToolTable } from './tools/types.ts';

/** The version in package.json. */
function version(): string {
  const packageJson: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return typeof packageJson === 'object' && packageJson !== null && 'version' in packageJson
    ? String(packageJson.version)
    : '0';
}

/** Bytes of the young generation, both halves: 2 MB cost 7 % of the throughput, 32 MB (where it would end) 60 MB of memory. */
const YOUNG_BYTES = 8 * 1024 * 1024;

/**
 * Left to itself the heap of this thread grows on garbage: the young generation to 16 MB a half, the old one by as much again
 * as lives in it. Both flags are read at each collection, so they work after the start too.
 */
function boundHeap(): void {
  setFlagsFromString('--heap-growing-percent=30');
  const observer = new PerformanceObserver(() => {
    const young = getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space');
    if ((young?.space_size ?? 0) < YOUNG_BYTES) return;
    setFlagsFromString('--semi-space-growth-factor=1');
    observer.disconnect();
  });
  observer.observe({ entryTypes: ['gc'] });
}

/** Runs the command line; ends the process itself, with the exit code of the error table. */
export async function main(argv: readonly string[]): Promise<void> {
  boundHeap();
  let code: number;
  try {
    code = await run(parseLine(argv, COMMANDS));
  } catch (thrown) {
    const data = errorToData(thrown);
    const error = new MimirError(data.code, data.message, data.extras);
    const stack = error.facts?.['stack'];
    printError(
      [error.message, error.hint, typeof stack === 'string' ? stack : undefined]
        .filter((part) => part !== undefined)
        .join(' '),
    );
    code = EXIT_CODES[error.kind];
  }
  // What was printed leaves first; nothing that still runs may keep the process.
  process.stdout.write('', () => process.exit(code));
}

async function run({ command, call, asks, named }: ParsedLine): Promise<number> {
  if (asks === null) return await command.run(call, { version: version(), open: openStore, restore, bringOver, serve });
  if (asks === 'version') print(`mimir ${version()}`);
  else print(named ? helpOf(command) : generalHelp(COMMANDS));
  return 0;
}

/** A pool over a store, and the tool table over the pool. Loaded when they are needed: a help text is quicker without. */
async function assemble(config: OpenSettings, log: Log): Promise<Assembled> {
  const [{ openPool }, { createTable }] = await Promise.all([import('./pool/pool.ts'), import('./tools/table.ts')]);
  const pool = openPool({
    dbPath: config.dbPath,
    makeFolder: config.dbIsDefault,
    keyFile: config.keyFile,
    poolMax: config.poolMax,
    busyTimeoutMs: config.busyTimeoutMs,
    cores: config.cores,
    clock: systemClock,
    log,
    ...(config.importOriginal !== false && { importing: watchImport(log) }),
  });
  const { embedding = null, language: named = null } = config;
  const language = named === null ? undefined : await languageOf(named);
  const meaning = embedding === null ? undefined : await meaningOf(embedding, pool.execute, log);
  const execute = meaning === undefined ? pool.execute : await telling(pool.execute, meaning);
  const sources = config.connectors ? await connectorsOf(config.connectors, execute, log) : null;
  const deps = {
    execute,
    usage: pool.usage,
    clock: systemClock,
    facts: { dbPath: config.dbPath, encrypted: config.keyFile !== null, version: version() },
    folders: { atHome: (path: string) => expandHome(path), vault: () => demandVault(config) },
    ...(meaning !== undefined && { meaning }),
    ...(language !== undefined && { language }),
    ...(sources !== null && { connectors: sources.connectors }),
  };
  const onBug = (error: unknown, incident: string): void => log.error('bug', { incident, stack: bugStack(error) });
  const table = createTable({ ...deps, onBug, ...(config.tools !== undefined && { show: config.tools }) });
  const close = async (): Promise<void> => {
    language?.close();
    await sources?.connectors.close();
    await meaning?.close();
    await pool.close();
  };
  meaning?.nudge();
  return { pool, deps, table, onBug, close, loaded: sources?.loaded ?? [] };
}

/** The connectors of the configuration, and what is to be said about them. */
async function connectorsOf(
  { file, githubToken }: ConnectorsConfig,
  execute: Execute,
  log: Log,
): Promise<{ connectors: Connectors; loaded: readonly string[] }> {
  const [{ readConnectorSettings }, { createConnectors }, { fileSource }, { githubSource }, { bringIn }] =
    await Promise.all([
      import('./sources/settings.ts'),
      import('./sources/connectors.ts'),
      import('./sources/files.ts'),
      import('./sources/github.ts'),
      import('./engine/ingesting.ts'),
    ]);
  const { github, files, notes, problems } = readConnectorSettings(file, { githubToken, expandHome });
  const sources = [
    ...(github === null ? [] : [githubSource(github, systemClock.nowMs)]),
    ...(files === null ? [] : [fileSource(files, log)]),
  ];
  const scope: Scope = { principal: OWNER, workspace: '', actor: 'owner', client: 'connector' };
  const connectors = createConnectors(sources, (source, options) => bringIn(execute, scope, source, options), log, {
    problems,
    notes,
  });
  const loaded = `mimir: loaded ${sources.length} connector(s) from ${file}`;
  return { connectors, loaded: [loaded, ...[...problems, ...notes].map((note) => `mimir: ${note}`)] };
}

async function languageOf(named: LanguageConfig): Promise<LanguageModel> {
  const { remoteLanguageModel } = await import('./provider/language-model.ts');
  return remoteLanguageModel(named);
}

/** Shows how far an import of the original's database has come, and tells what it did. */
function watchImport(log: Log): ImportWatch {
  let bar: Progress | null = null;
  return {
    progress: (done, total) => {
      if (bar === null) {
        bar = showProgress('Importing', process.stderr, monotonicMs);
        // Where no bar is seen: 100,000 memories take a minute, in which nothing is answered.
        if (process.stderr.isTTY !== true) log.banner('mimir: importing the database of the original');
      }
      bar.update(done, total);
    },
    ended: (report) => {
      bar?.end();
      for (const line of report?.lines ?? []) log.banner(`mimir: ${line}`);
    },
  };
}

/** The model of the configuration, with the store of this pool as its shelf. */
async function meaningOf({ source, background }: EmbeddingConfig, execute: Execute, log: Log): Promise<Meaning> {
  // Who searches by words alone does not wait for this code at the start.
  const [{ Meaning }, { localEmbedder }, { remoteEmbedder }] = await Promise.all([
    import('./provider/meaning.ts'),
    import('./provider/local-embedder.ts'),
    import('./provider/remote-embedder.ts'),
  ]);
  if (source.kind === 'folder') silenceModelRuntime();
  const embedder = source.kind === 'folder' ? localEmbedder(source.folder) : remoteEmbedder(source);
  const scope: Scope = { principal: OWNER, workspace: null, actor: 'owner', client: 'embedding' };
  const shelf: VectorShelf = {
    open: (model, dimensions, prefix, mayTakeOver) =>
      execute('embedding_open', scope, { model, dimensions, prefix, mayTakeOver }),
    next: (space, count) => execute('embedding_next', scope, { space, count }),
    put: (space, upTo, vectors) => execute('embedding_put', scope, { space, upTo, vectors }),
  };
  return new Meaning({ embedder, shelf, log, background });
}

/** Runs operations, and tells the model of every write: there may be something new to embed. */
async function telling(execute: Execute, meaning: Meaning): Promise<Execute> {
  const { OPERATIONS } = await import('./engine/operations.ts');
  return (name, scope, input, options) => {
    const result = execute(name, scope, input, options);
    if (OPERATIONS[name].access === 'write' && name !== 'embedding_put') {
      void result.then(
        () => meaning.nudge(),
        () => undefined, // told to whoever called
      );
    }
    return result;
  };
}

interface Assembled {
  readonly pool: Pool;
  readonly deps: ToolDeps;
  readonly table: ToolTable;
  readonly onBug: TableDeps['onBug'];
  /** What is said of its connectors when it serves. */
  readonly loaded: readonly string[];
  /** Finishes what was accepted and closes the store. */
  readonly close: () => Promise<void>;
}

/** Who asks on the command line, and what its memories are marked with, as in the original. */
const COMMAND_LINE: Caller = {
  principal: OWNER,
  client: 'cli',
  anyFolder: true,
  origin: { idPrefix: 'cli-', source: 'cli-write' },
};
const WHOLE_STORE: Scope = { principal: OWNER, workspace: null, actor: 'owner', client: 'cli' };

/** Opens a store for a command: nothing is touched before its first call. */
export async function openStore(config: OpenSettings): Promise<OpenStore> {
  // Who ends at once embeds nothing unasked.
  const embedding = config.embedding && { ...config.embedding, background: false };
  const log = stderrLog('plain', systemClock.nowMs);
  const trial = config.isDry === true ? await tryOn(config, log) : null;
  const { pool, deps, table, close } = await assemble(
    { ...config, ...(embedding !== undefined && { embedding }), ...(trial !== null && { dbPath: trial.path }) },
    log,
  ).catch((thrown: unknown) => {
    trial?.remove();
    throw thrown;
  });
  return {
    toolNames: table.all.map(({ name }) => name),
    onlyReads: (tool) => table.access(tool) === 'read',
    connectorProblems: deps.connectors?.problems ?? [],
    connectorNotes: deps.connectors?.notes ?? [],
    call: (tool, args, progress) =>
      table.call(tool, args, { ...COMMAND_LINE, ...(progress !== undefined && { progress }) }),
    examine: (progress) => pool.execute('examine', WHOLE_STORE, {}, watched(progress)),
    exportOriginal: (path, progress) => pool.execute('export_original', WHOLE_STORE, { path }, watched(progress)),
    exportLines: (path, progress) => pool.execute('export_lines', WHOLE_STORE, { path }, watched(progress)),
    probeWrite: async () => void (await pool.execute('probe_write', WHOLE_STORE, {})),
    probeEmbedding: async (deadlineMs) => await demanded(deps.meaning).probe(deadlineMs),
    probeLanguage: async (deadlineMs) => await demanded(deps.language).probe(deadlineMs),
    bringIn: async (asked, dryRun, looked) => {
      const [{ importSource }, { bringIn }] = await Promise.all([
        import('./sources/imports.ts'),
        import('./engine/ingesting.ts'),
      ]);
      const scope: Scope = { ...WHOLE_STORE, workspace: '' };
      const source = importSource(asked);
      return await bringIn(pool.execute, scope, source, { dryRun, signal: new AbortController().signal, looked });
    },
    close: async () => {
      await close();
      trial?.remove();
    },
  };
}

/** The store that a dry run may open instead of one that it would make or import; null when it may open the one that is named. */
async function tryOn({ dbPath, keyFile, busyTimeoutMs }: StoreConfig, log: Log): Promise<Trial | null> {
  const [{ trialOf }, { readKeyFile }] = await Promise.all([
    import('./storage/trial.ts'),
    import('./storage/files.ts'),
  ]);
  const key = keyFile === null ? null : readKeyFile(keyFile);
  const bar = showProgress('Comparing', process.stderr, monotonicMs);
  const trial = await trialOf({ path: dbPath, key, clock: systemClock, busyTimeoutMs }, bar.update).finally(bar.end);
  if (trial !== null) log.banner(`mimir: dry run: ${trial.says}`);
  return trial;
}

function demanded<T>(model: T | undefined): T {
  if (model === undefined) throw new MimirError('no_model', 'No such model is set.');
  return model;
}

function watched(progress: TellProgress | undefined): CallOptions {
  return progress === undefined ? {} : { progress };
}

/** Makes a new store of an export. */
async function restore(config: StoreConfig, from: string, watch: RestoreWatch): Promise<number> {
  const { restoreStore } = await import('./storage/restore.ts');
  return await restoreStore(await newStoreOf(config), from, watch);
}

/** How a new store of these settings is opened. */
async function newStoreOf({ dbPath, dbIsDefault, keyFile, busyTimeoutMs }: StoreConfig): Promise<OpenOptions> {
  const { readKeyFile } = await import('./storage/files.ts');
  const key = keyFile === null ? null : readKeyFile(keyFile);
  return { path: dbPath, folder: dbIsDefault ? 'make' : 'demand', key, clock: systemClock, busyTimeoutMs };
}

/** Makes a new store of a database of the original that stays where it is, or only tries. */
async function bringOver(
  config: StoreConfig,
  from: string,
  isDry: boolean,
  progress: TellProgress,
): Promise<BroughtOver> {
  const { importCopy } = await import('./storage/original/import.ts');
  return await importCopy(await newStoreOf(config), from, isDry, progress);
}

async function serve(config: Config, notes: readonly string[]): Promise<void> {
  const log = stderrLog(config.transport === 'stdio' ? 'plain' : 'json', systemClock.nowMs);
  const stopped = stopAsked();
  const [{ pool, deps, table, onBug, close, loaded }, { createOffers }] = await Promise.all([
    assemble(config, log),
    import('./tools/offers.ts'),
  ]);
  const onStrayBug = (error: unknown): string => {
    const incident = Buffer.from(systemClock.randomBytes(4)).toString('hex');
    onBug(error, incident);
    return incident;
  };
  // Node would print the message of the error, and that can quote what a client sent.
  process.on('uncaughtException', (error) => {
    onStrayBug(error);
    process.exit(EXIT_CODES.bug);
  });
  const served: Served = {
    table,
    offers: createOffers(deps),
    pool,
    log,
    loaded,
    notes,
    stopped,
    onBug: onStrayBug,
    close: () => withDeadline(close()),
  };
  if (config.embedding?.background === false && config.embedding.named) {
    log.warn('recall_goes_by_words', {
      note: 'only mimir_embed uses the model server; --embedding-model turns the rest on',
    });
  }
  deps.connectors?.watch();
  if (config.transport !== 'stdio') await serveHttp(config, served);
  else await serveStandardInput(config, served);
}

interface Served {
  readonly table: ToolTable;
  readonly offers: Offers;
  readonly pool: Pool;
  readonly log: Log;
  /** What is said of its connectors. */
  readonly loaded: readonly string[];
  /** Told once it stands. */
  readonly notes: readonly string[];
  /** Resolves at the first SIGTERM or SIGINT. */
  readonly stopped: Promise<void>;
  /** Finishes what was accepted and closes the store. */
  readonly close: () => Promise<void>;
  readonly onBug: (error: unknown) => string;
}

function bugStack(error: unknown): string {
  const facts = error instanceof MimirError ? error.facts : errorToData(error).extras.facts;
  const stack = facts?.['stack'];
  return typeof stack === 'string' ? stack : '';
}

/**
 * A Ctrl-C under `npm start` arrives twice, from the terminal and forwarded by npm, within milliseconds; only a person
 * presses it again after so long.
 */
const AGAIN_AFTER_MS = 500;

/** Resolves at the first SIGTERM or SIGINT; a second one, asked for on purpose, ends the process at once. */
async function stopAsked(): Promise<void> {
  let askedMs: number | null = null;
  return await new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (askedMs !== null && monotonicMs() - askedMs > AGAIN_AFTER_MS) process.exit(130);
        askedMs ??= monotonicMs();
        resolve();
      });
    }
  });
}

async function serveStandardInput(
  config: Config,
  { table, offers, log, loaded, notes, stopped, close, onBug }: Served,
): Promise<void> {
  const [{ StdioTransport, openStandardOutput }, { serveConnection, toolServers, waitsForNetwork }] = await Promise.all(
    [import('./transport/stdio.ts'), import('./mcp/server.ts')],
  );
  log.banner(`mimir: using database at ${config.dbPath}`);
  announceModel(config, log);
  for (const line of loaded) log.banner(line);
  const transport = new StdioTransport(process.stdin, openStandardOutput(), (message) =>
    waitsForNetwork({ table }, message),
  );
  const caller: Caller = { principal: OWNER, client: 'stdio', anyFolder: true };
  const behind = { table, offers, caller, version: version(), onBug };
  serveConnection(transport, toolServers(behind), onBug);
  log.banner('mimir: MCP server ready');
  for (const note of notes) log.banner(note);
  void stopped.then(() => transport.stopReading());
  await transport.finished();
  await close();
  process.exit(0);
}

async function serveHttp(
  config: Config,
  { table, offers, pool, log, loaded, notes, stopped, close, onBug }: Served,
): Promise<void> {
  const [{ listen }, { mcpDoors }] = await Promise.all([import('./transport/http.ts'), import('./transport/doors.ts')]);
  const caller: Caller = { principal: OWNER, client: 'http' };
  const doors = mcpDoors({ table, offers, caller, version: version(), onBug }, systemClock.randomBytes);
  const { host, allowedHosts, allowedOrigins, token } = config;
  let server;
  try {
    await pool.ready();
    server = await listen({
      admission: { host, allowedHosts, allowedOrigins, token },
      port: config.port,
      ...doors,
      onBug,
      ready: () => true,
    });
  } catch (thrown) {
    // A port that is taken must not leave a -wal behind.
    await close();
    throw thrown;
  }
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${server.port}`;
  log.banner(`mimir: using database at ${config.dbPath}`);
  announceModel(config, log);
  for (const line of loaded) log.banner(line);
  log.banner(`mimir: MCP over ${config.transport} transport on ${url}`);
  log.banner(`mimir: POST ${url}/message`);
  log.banner(`mimir: GET  ${url}/sse`);
  log.banner(`mimir: MCP clients connect to ${url}/mcp`);
  for (const line of tryItLines(url, token !== null)) log.banner(line);
  for (const note of notes) log.banner(note);
  await stopped;
  await server.close();
  await close();
  process.exit(0);
}

/** In the words of the original. An address may carry a key in its query, so that is left out. */
function announceModel({ language }: Config, log: Log): void {
  if (language === null) return;
  const { endpoint, model } = language;
  log.banner(`mimir: LLM enabled (endpoint: ${endpoint.replace(/[?#].*/s, '')}, model: ${model})`);
}

function tryItLines(url: string, guarded: boolean): string[] {
  const curl = (name: string, args: unknown): string => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } });
    const token = guarded ? ` -H "authorization: Bearer $MIMIR_TOKEN"` : '';
    return `  curl -s ${url}/message -H 'content-type: application/json'${token} -d '${body}'`;
  };
  return [
    'Try it. Remember something:',
    curl('mimir_remember', {
      category: 'note',
      key: 'first',
      body_json: '{"content":"The staging host is called heron"}',
    }),
    'and find it again:',
    curl('mimir_recall', { query: 'which host is staging?' }),
  ];
}

async function withDeadline(work: Promise<void>): Promise<void> {
  await Promise.race([work, new Promise((resolve) => setTimeout(resolve, LIMITS.drainMs).unref())]);
}
