import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';

/** Memory of a process, all its threads, in MB; undefined where the system does not tell. */
export interface Memory {
  readonly peakMb: number;
  readonly nowMb: number;
}

/** How long a server may take to say that it listens, or to answer for the first time. */
export const START_MS = 60_000;
/** How long it may take to end after SIGTERM, or after the end of its stdin. */
const STOP_MS = 30_000;
const STDERR_KEPT = 4_096;
/** USER_HZ, in which Linux tells processor time, is 100 on every platform that Node runs on. */
const TICK_MS = 10;

const children = new Set<ChildProcess>();
// No way out of the load test leaves a process behind.
process.on('exit', killAll);

/** Ends every process that the load test has started. */
export function killAll(): void {
  for (const child of children) child.kill('SIGKILL');
}

/** A process of ours that is being watched. */
export class Child {
  readonly process: ChildProcess;
  /** Its exit code, or null after a signal. */
  readonly ended: Promise<number | null>;
  /** The last that it said on stderr. */
  stderr = '';
  readonly #name: string;
  #over = false;

  constructor(name: string, command: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    const [file = process.execPath, ...args] = command;
    this.#name = name;
    this.process = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], env });
    children.add(this.process);
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-STDERR_KEPT);
    });
    // A server that has died is noticed by its requests; a broken pipe must not end the load test before they are counted.
    this.process.stdin?.on('error', () => {});
    this.ended = new Promise((resolve) => {
      const over = (code: number | null): void => {
        this.#over = true;
        children.delete(this.process);
        resolve(code);
      };
      this.process.on('error', (error) => {
        this.stderr += error.message;
        over(-1);
      });
      this.process.on('exit', over);
    });
  }

  /** Waits until `found` answers something about what the process has printed so far. */
  async waitFor<T>(stream: 'stdout' | 'stderr', found: (text: string) => T | undefined): Promise<T> {
    let text = stream === 'stderr' ? this.stderr : '';
    return new Promise((resolve, reject) => {
      const source = this.process[stream];
      const timer = setTimeout(
        () => done(new Error(`${this.#name} did not start within ${START_MS / 1_000} s: ${this.stderr.trim()}`)),
        START_MS,
      );
      const look = (chunk: string): void => {
        text += chunk;
        const value = found(text);
        if (value !== undefined) done(undefined, value);
      };
      const done = (error?: Error, value?: T): void => {
        clearTimeout(timer);
        source?.off('data', look);
        if (value !== undefined) resolve(value);
        else if (error !== undefined) reject(error);
      };
      source?.setEncoding('utf8').on('data', look);
      void this.ended.then((code) =>
        done(new Error(`${this.#name} ended with code ${code} at its start: ${this.stderr.trim()}`)),
      );
      look('');
    });
  }

  /** Sends a signal and waits for the end: the exit code, or a word when it had to be killed. */
  async stop(signal: NodeJS.Signals): Promise<number | null | 'hung'> {
    if (this.#over) return this.ended;
    this.process.kill(signal);
    return this.#end();
  }

  /** Closes its stdin and waits for the end. */
  async hangUp(): Promise<number | null | 'hung'> {
    this.process.stdin?.end();
    return this.#end();
  }

  async #end(): Promise<number | null | 'hung'> {
    let hung = false;
    const timer = setTimeout(() => {
      hung = true;
      this.process.kill('SIGKILL');
    }, STOP_MS);
    const code = await this.ended;
    clearTimeout(timer);
    return hung ? 'hung' : code;
  }

  /** Milliseconds of processor time that the process has used, in steps of 10. Linux only. */
  processorMs(): number | undefined {
    try {
      const stat = readFileSync(`/proc/${this.process.pid}/stat`, 'utf8');
      // After the name, which may hold blanks: utime and stime are fields 14 and 15 of proc_pid_stat(5), in clock ticks.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
    } catch {
      return undefined; // as for the memory
    }
  }

  /** What the process uses now and has used at most. Linux only. */
  memory(): Memory | undefined {
    try {
      const status = readFileSync(`/proc/${this.process.pid}/status`, 'utf8');
      const kb = (field: string): number =>
        Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? Number.NaN);
      return { peakMb: kb('VmHWM') / 1_024, nowMb: kb('VmRSS') / 1_024 };
    } catch {
      // There is no /proc here, or the process has just ended: the report then has no figure.
      return undefined;
    }
  }
}

/** The environment of a server: that of the load test, without the token, which its clients do not send. */
function serverEnv(): NodeJS.ProcessEnv {
  const { MIMIR_TOKEN: _token, ...rest } = process.env;
  return rest;
}

/** A started HTTP server. */
export interface HttpServer {
  readonly child: Child;
  readonly port: number;
}

/** Starts the real server on a file, on any free port, and waits until it listens. */
export async function startHttp(command: readonly string[], db: string): Promise<HttpServer> {
  const child = new Child(
    'the server',
    [...command, 'serve', '--transport', 'http', '--port', '0', '--db', db],
    serverEnv(),
  );
  child.process.stdout?.resume();
  const port = await child.waitFor(
    'stderr',
    (text) => /MCP over http transport on http:\/\/[^\s:]+:(\d+)/.exec(text)?.[1],
  );
  return { child, port: Number(port) };
}

/** Starts one more server on the same file, which speaks over its stdin and stdout. */
export function startStdio(command: readonly string[], db: string): Child {
  return new Child('a stdio server', [...command, 'serve', '--db', db], serverEnv());
}

/** Starts the echo that every result is a share of. */
export async function startFloor(): Promise<HttpServer> {
  const child = new Child('the floor', [process.execPath, new URL('./floor.ts', import.meta.url).pathname]);
  const port = await child.waitFor('stdout', (text) => /^(\d+)\n/.exec(text)?.[1]);
  return { child, port: Number(port) };
}

/** Watches the size of the write-ahead log from outside. `stat` opens nothing, so it cannot disturb the locks. */
export class WalWatch {
  maxBytes = 0;
  readonly #file: string;
  readonly #timer: NodeJS.Timeout;

  constructor(db: string) {
    this.#file = `${db}-wal`;
    this.#timer = setInterval(() => this.#look(), 100);
    this.#timer.unref();
  }

  #look(): void {
    const size = statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0;
    if (size > this.maxBytes) this.maxBytes = size;
  }

  stop(): void {
    this.#look();
    clearInterval(this.#timer);
  }
}
