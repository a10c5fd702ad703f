// Runs the recorded command lines of the original and compares what can be compared.
import {
  chmodSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { startMimir } from '../support/processes.ts';
import { CLI_DIFFERENCES, type Match, type Part } from './cli-differences.ts';

/** A recorded run. */
export interface RecordedRun {
  readonly argv: readonly string[];
  readonly exit: number;
  readonly stdout?: string;
  /** Of help texts, only the first line was kept. */
  readonly stdout_first_line?: string;
  readonly stderr: string;
}

/** A recorded case: runs that follow each other in one fresh folder. */
export interface RecordedCase {
  readonly note: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
  readonly files_before: readonly { path: string; text?: string; dir?: boolean; copy_of?: string }[];
  readonly runs: readonly RecordedRun[];
  readonly files_after: readonly { path: string; mode: string; bytes?: number }[];
}

/** Something that is not as it was recorded. */
export interface Observed {
  readonly part: Part;
  readonly argv: string;
  readonly env: string;
  readonly original: string;
  readonly ours: string;
}

/** What of the table allows a difference. */
export function allowedBy(observed: Observed): Match | undefined {
  return CLI_DIFFERENCES.flatMap(({ matches }) => matches).find(
    (match) =>
      match.part === observed.part &&
      (match.argv?.test(observed.argv) ?? true) &&
      (match.env?.test(observed.env) ?? true) &&
      match.original.test(observed.original) &&
      match.ours.test(observed.ours),
  );
}

/** Files that the original wrote, beside the recordings. */
type CopyOf = (name: string) => string;

/** Runs one case in a folder of its own; answers what is not as it was recorded. */
export async function replayCase(recorded: RecordedCase, copyOf: CopyOf): Promise<readonly Observed[]> {
  const folder = mkdtempSync(join(tmpdir(), 'mimir-cli-'));
  const real = (text: string): string => text.replaceAll('$DIR', folder).replaceAll('$HOME', join(folder, 'home'));
  const named = (text: string): string => text.replaceAll(join(folder, 'home'), '$HOME').replaceAll(folder, '$DIR');
  try {
    mkdirSync(join(folder, 'home'));
    for (const { path, text, dir, copy_of: copy } of recorded.files_before) {
      mkdirSync(dirname(real(path)), { recursive: true });
      if (dir === true) mkdirSync(real(path), { recursive: true });
      else if (copy !== undefined) copyFileSync(copyOf(copy), real(path));
      else writeFileSync(real(path), text ?? '');
      if (dir !== true) chmodSync(real(path), 0o644);
    }
    return await replayRuns(recorded, { folder, real, named });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Place {
  readonly folder: string;
  readonly real: (text: string) => string;
  readonly named: (text: string) => string;
}

async function replayRuns(recorded: RecordedCase, { folder, real, named }: Place): Promise<readonly Observed[]> {
  const differences: Observed[] = [];
  const env = Object.fromEntries(Object.entries(recorded.env).map(([name, value]) => [name, real(value)]));
  const about = { env: Object.keys(recorded.env).toSorted().join(' '), argv: '' };
  for (const run of recorded.runs) {
    about.argv = run.argv.join(' ');
    const running = startMimir(run.argv.map(real), { HOME: '', ...env }, { cwd: folder });
    running.child.stdin.end(real(recorded.stdin));
    const exit = await running.ended;
    const [stdout, stderr] = [named(running.printed.stdout), named(running.printed.stderr)];
    const compare = (part: Part, original: string, ours: string): void => {
      if (original !== ours) differences.push({ part, ...about, original, ours });
    };
    compare('exit', String(run.exit), String(exit));
    if (run.stdout_first_line !== undefined) compare('stdout', run.stdout_first_line, stdout.split('\n')[0] ?? '');
    else if (exit === run.exit) compareOutput(run.stdout ?? '', stdout, compare);
    // With another exit code the words follow from it.
    if (exit === run.exit) compareErrors(run, stderr, compare);
  }
  const found = new Map(listFiles(folder).map(({ path, mode }) => [named(path), mode]));
  const before = new Set(recorded.files_before.map(({ path }) => path));
  for (const { path, mode } of recorded.files_after) {
    // What lay there before has the mode that it was given here.
    if (before.has(path) && found.has(path)) found.delete(path);
    else differences.push(...fileDifference(about, path, mode, found.get(path) ?? 'absent'));
    found.delete(path);
  }
  for (const [path, mode] of found) {
    if (!before.has(path)) differences.push(...fileDifference(about, path, 'absent', mode));
  }
  return differences;
}

function fileDifference(
  about: { env: string; argv: string },
  path: string,
  original: string,
  ours: string,
): Observed[] {
  if (original === ours) return [];
  return [{ part: 'file', ...about, original: `${path} ${original}`, ours: `${path} ${ours}` }];
}

function listFiles(folder: string): { path: string; mode: string }[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => lstatSync(path).isFile())
    .map((path) => ({ path, mode: (lstatSync(path).mode & 0o777).toString(8) }));
}

type Compare = (part: Part, original: string, ours: string) => void;

/** JSON member by member, JSON-RPC by who is answered, other text as it is; ids and times by their form. */
function compareOutput(original: string, ours: string, compare: Compare): void {
  if (original.startsWith('{"jsonrpc"')) return compare('stdout', answered(original), answered(ours));
  const [theirs, own] = [readJson(original), readJson(ours)];
  if (theirs === null || own === null) return compare('stdout', original, ours);
  for (const [name, value] of Object.entries(theirs)) {
    compare('stdout', `${name}: ${stable(name, value)}`, `${name}: ${stable(name, own[name])}`);
  }
}

function answered(text: string): string {
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
    .map((reply) => `${JSON.stringify(reply['id'])} ${'result' in reply ? 'result' : 'error'}`)
    .join('\n');
}

function readJson(text: string): Readonly<Record<string, unknown>> | null {
  return text.startsWith('{') ? (JSON.parse(text) as Readonly<Record<string, unknown>>) : null;
}

function stable(name: string, value: unknown): string {
  if (typeof value === 'number' && (name.endsWith('_unix_ms') || name.endsWith('_bytes'))) return 'a number';
  return JSON.stringify(value)?.replace(/\b([a-z]+)-[0-9a-f]{12}\b/g, '$1-x') ?? 'absent';
}

/** Of a failure: that it says so, in a line that begins with the program's name. Of a success: its lines. */
function compareErrors(run: RecordedRun, ours: string, compare: Compare): void {
  if (run.exit !== 0) {
    const isOneLine = /^mimir: [^\n]+\n$/.test(ours);
    return compare('stderr', 'an error', isOneLine ? 'an error' : ours);
  }
  const [theirLines, ourLines] = [run.stderr.split('\n'), ours.split('\n')];
  for (const line of theirLines) if (!ourLines.includes(line)) compare('stderr', line, 'absent');
  for (const line of ourLines) if (!theirLines.includes(line)) compare('stderr', 'absent', line);
}
