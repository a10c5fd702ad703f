import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The command as users have it. */
export const LAUNCHER = new URL('../../bin/mimir.js', import.meta.url).pathname;

/** An empty folder that goes away with the test. */
export function temporaryFolder(t: { after(run: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'mimir-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A started `mimir` and everything it printed so far. */
export interface Running {
  readonly child: ChildProcessWithoutNullStreams;
  readonly printed: { stdout: string; stderr: string };
  readonly ended: Promise<number | null>;
}

/** Starts the real command with nothing of this environment but what is given; it is ended when it takes too long. */
export function startMimir(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  { lateMs = 30_000, ...who }: { readonly cwd?: string; readonly uid?: number; readonly lateMs?: number } = {},
): Running {
  const child = spawn(process.execPath, [LAUNCHER, ...args], {
    ...who,
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: '/nonexistent',
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? '',
      ...env,
    },
  });
  const printed = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (printed.stdout += chunk.toString('utf8')));
  child.stderr.on('data', (chunk: Buffer) => (printed.stderr += chunk.toString('utf8')));
  child.stdin.on('error', () => undefined);
  // A hang must end as a red test, not as a hanging suite.
  const late = setTimeout(() => child.kill('SIGKILL'), lateMs);
  const ended = new Promise<number | null>((resolve) =>
    child.on('close', (code) => {
      clearTimeout(late);
      resolve(code);
    }),
  );
  return { child, printed, ended };
}

/** Waits until a condition holds; throws after ten seconds. */
export async function until<T>(look: () => T | undefined): Promise<T> {
  const started = performance.now();
  for (;;) {
    const seen = look();
    if (seen !== undefined) return seen;
    if (performance.now() - started > 10_000) throw new Error('waited for ten seconds in vain');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Starts an HTTP server and answers its port. */
export async function startHttp(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  how: { readonly lateMs?: number } = {},
): Promise<Running & { port: number }> {
  const running = startMimir(['serve', '--transport', 'http', '--port', '0', ...args], env, how);
  const port = await until(() => {
    if (running.child.exitCode !== null) throw new Error(`the server ended: ${running.printed.stderr}`);
    return /http transport on http:\/\/[^:]+:(\d+)/.exec(running.printed.stderr)?.[1];
  });
  return { ...running, port: Number(port) };
}

/** What came back. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** One HTTP request on a connection of its own. */
export async function http(
  port: number,
  options: { path?: string; method?: string; headers?: Readonly<Record<string, string>>; body?: string | Buffer } = {},
): Promise<HttpAnswer> {
  return await new Promise((resolve, reject) => {
    const { path = '/message', method = 'POST', headers = { 'content-type': 'application/json' }, body } = options;
    const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** The text of a `tools/call`. */
export function callText(id: number | string, name: string, args: unknown): string {
  return JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } });
}
