/** Facts of a log line: numbers, codes, names of ours. Never a body, query, key or token. */
export type LogFields = Readonly<Record<string, string | number | boolean>>;

/** Where the program tells its operator something: stderr. */
export interface Log {
  /** A line that scripts of the original wait for, as it is. */
  banner(line: string): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

/** A client that never reads stderr blocks whoever fills the pipe (64 KiB), so lines are counted. */
const LINES_MAX = 200;

/** A log to stderr: JSON lines for `json`, plain text otherwise. It falls silent after many lines rather than block. */
export function stderrLog(form: 'json' | 'plain', nowMs: () => number): Log {
  let lines = 0;
  // Nobody listening any more is no reason to stop serving.
  process.stderr.on('error', () => undefined);
  const write = (line: string): void => {
    lines += 1;
    if (form === 'plain' && lines > LINES_MAX) return;
    process.stderr.write(`${line}\n`);
  };
  const event =
    (level: 'info' | 'warn' | 'error') =>
    (name: string, fields: LogFields = {}): void => {
      if (form === 'json')
        return write(JSON.stringify({ at: new Date(nowMs()).toISOString(), level, event: name, ...fields }));
      if (level === 'info') return;
      const facts = Object.entries(fields).map(([field, value]) => ` ${field}=${String(value)}`);
      write(`mimir: ${name}${facts.join('')}`);
    };
  return { banner: write, info: event('info'), warn: event('warn'), error: event('error') };
}

/** Prints a command's own output on stdout. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Prints one error sentence on stderr. */
export function printError(text: string): void {
  process.stderr.write(`mimir: ${text}\n`);
}
