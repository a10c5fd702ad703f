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

/** Some clients start a server with a pipe for stderr and never read it; what waits in this process for them is bounded. */
const UNREAD_MAX_BYTES = 64 * 1024;
/** A fault that repeats with every request must not fill a disk. */
const LINES_PER_MINUTE = 60;

/** A log to stderr: JSON lines for `json`, plain text otherwise. Lines above the limits are counted, not kept. */
export function stderrLog(form: 'json' | 'plain', nowMs: () => number): Log {
  let minute = 0;
  let lines = 0;
  let dropped = 0;
  // Nobody listening any more is no reason to stop serving.
  process.stderr.on('error', () => undefined);
  const fits = (): boolean => {
    const now = Math.floor(nowMs() / 60_000);
    if (now !== minute) [minute, lines] = [now, 0];
    lines += 1;
    const room = lines <= LINES_PER_MINUTE && process.stderr.writableLength <= UNREAD_MAX_BYTES;
    if (!room) dropped += 1;
    return room;
  };
  const event =
    (level: 'info' | 'warn' | 'error') =>
    (name: string, fields: LogFields = {}): void => {
      if ((form === 'plain' && level === 'info') || !fits()) return;
      const facts = dropped === 0 ? fields : { ...fields, lines_dropped: dropped };
      dropped = 0;
      const line =
        form === 'json'
          ? JSON.stringify({ at: new Date(nowMs()).toISOString(), level, event: name, ...facts })
          : `mimir: ${[name, ...Object.entries(facts).map(([field, value]) => `${field}=${String(value)}`)].join(' ')}`;
      process.stderr.write(`${line}\n`);
    };
  return {
    banner: (line) => void process.stderr.write(`${line}\n`),
    info: event('info'),
    warn: event('warn'),
    error: event('error'),
  };
}

/** Prints a command's own output on stdout. */
export function print(text: string): void {
  // A reader that has seen enough (`mimir --help | head -1`) is no error.
  process.stdout.on('error', () => undefined);
  process.stdout.write(`${text}\n`);
}

/** Prints one error sentence on stderr. */
export function printError(text: string): void {
  process.stderr.write(`mimir: ${text}\n`);
}
