import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';

import { writeKey } from './cli/keygen.ts';
import { systemClock } from './clock.ts';
import { HELP, readCommand, type Config } from './config.ts';
import { errorToData, EXIT_CODES, MimirError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { print, printError, stderrLog, type Log } from './log.ts';
import { OWNER } from './memory/scope.ts';
import { openPool, type Pool } from './pool/pool.ts';
import { createTable } from './tools/table.ts';
import type { Caller, ToolTable } from './tools/types.ts';

/** The version in package.json. */
function version(): string {
  const packageJson: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return typeof packageJson === 'object' && packageJson !== null && 'version' in packageJson
    ? String(packageJson.version)
    : '0';
}

/** Runs the command line; ends the process itself, with the exit code of the error table. */
export async function main(argv: readonly string[]): Promise<void> {
  // Left to itself the heap of this thread grows on garbage: the young generation to 16 MB a half, the old one by as much
  // again as lives in it. Both flags are read at each collection, so they work after the start too.
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--heap-growing-percent=30');
  try {
    const command = readCommand(argv);
    switch (command.command) {
      case 'help':
        return print(HELP);
      case 'version':
        return print(`mimir ${version()}`);
      case 'keygen':
        return print(writeKey(command.keyFile));
      case 'serve':
        return await serve(command.config);
    }
  } catch (thrown) {
    const data = errorToData(thrown);
    const error = new MimirError(data.code, data.message, data.extras);
    const stack = error.facts?.['stack'];
    printError(
      [error.message, error.hint, typeof stack === 'string' ? stack : undefined]
        .filter((part) => part !== undefined)
        .join(' '),
    );
    process.exit(EXIT_CODES[error.kind]);
  }
}

async function serve(config: Config): Promise<void> {
  const log = stderrLog(config.transport === 'http' ? 'json' : 'plain', systemClock.nowMs);
  const pool = openPool({
    dbPath: config.dbPath,
    makeFolder: config.dbIsDefault,
    keyFile: config.keyFile,
    poolMax: config.poolMax,
    busyTimeoutMs: config.busyTimeoutMs,
    cores: config.cores,
    clock: systemClock,
    log,
  });
  const table = createTable({
    execute: pool.execute,
    usage: pool.usage,
    clock: systemClock,
    facts: { dbPath: config.dbPath, encrypted: config.keyFile !== null, version: version() },
    onBug: (error, incident) => log.error('bug', { incident, stack: String(bugStack(error)) }),
  });
  if (config.withoutEffect.length > 0) log.warn('flags_without_effect_yet', { flags: config.withoutEffect.join(' ') });
  if (config.transport === 'http') await serveHttp(config, pool, table, log);
  else await serveStandardInput(config, pool, table, log);
}

function bugStack(error: unknown): unknown {
  if (error instanceof MimirError && error.facts?.['stack'] !== undefined) return error.facts['stack'];
  return errorToData(error).extras.facts?.['stack'] ?? '';
}

/** Runs `stop` at the first SIGTERM or SIGINT; the second ends the process at once. */
function onStop(stop: () => void): void {
  let asked = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (asked) process.exit(130);
      asked = true;
      stop();
    });
  }
}

async function serveStandardInput(config: Config, pool: Pool, table: ToolTable, log: Log): Promise<void> {
  const [{ StdioTransport, openStandardOutput }, { serveConnection }] = await Promise.all([
    import('./transport/stdio.ts'),
    import('./mcp/server.ts'),
  ]);
  log.banner(`mimir: using database at ${config.dbPath}`);
  const transport = new StdioTransport(process.stdin, openStandardOutput());
  const caller: Caller = { principal: OWNER, client: 'stdio' };
  serveConnection(transport, table, caller, version());
  log.banner('mimir: MCP server ready');
  onStop(() => transport.stopReading());
  await transport.finished();
  await withDeadline(pool.close());
  process.exit(0);
}

async function serveHttp(config: Config, pool: Pool, table: ToolTable, log: Log): Promise<void> {
  const [{ listen }, { dispatch }] = await Promise.all([import('./transport/http.ts'), import('./mcp/dispatch.ts')]);
  await pool.ready();
  const caller: Caller = { principal: OWNER, client: 'http' };
  const versionText = version();
  const { host, allowedHosts, allowedOrigins, token } = config;
  const server = await listen({
    admission: { host, allowedHosts, allowedOrigins, token },
    port: config.port,
    answer: (message) => dispatch(message, table, caller, versionText),
    ready: () => true,
  });
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${server.port}`;
  log.banner(`mimir: using database at ${config.dbPath}`);
  log.banner(`mimir: MCP over http transport on ${url}`);
  log.banner(`mimir: POST ${url}/message`);
  for (const line of tryItLines(url, token !== null)) log.banner(line);
  onStop(() => {
    void (async () => {
      await server.close();
      await withDeadline(pool.close());
      process.exit(0);
    })();
  });
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
