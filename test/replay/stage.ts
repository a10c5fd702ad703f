// Our own server in the place of the original: a fresh folder, the real process over stdio, and what is done beside it.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { connect } from '../../src/storage/sqlite/driver.ts';
import { LAUNCHER, startMimir, type Running } from '../support/processes.ts';
import { startFake, type Fake } from './fake.ts';
import { mapTexts, type FakeRequest, type Json, type JsonObject, type Recording } from './recording.ts';

/** How long one answer may take: the original gives up on a silent model after 30 s. */
const ANSWER_MS = 60_000;

/** What came back: a JSON-RPC answer, or the end of the process. */
export type Reply = { readonly result: Json } | { readonly error: Json } | { readonly died: number | null };

/** A session that is being replayed. */
export interface Stage {
  /** Sends a request and waits for its answer. Texts such as `$DIR` are replaced on the way there and back. */
  readonly ask: (method: string, params: Json | undefined) => Promise<Reply>;
  /** Stops the server and starts it again, with other arguments when some are given. */
  readonly restart: (how: string | undefined, argv: readonly string[] | undefined) => Promise<number | null>;
  /** Moves the times of memories back; answers how many. The server is stopped meanwhile, so that it keeps nothing else. */
  readonly age: (category: string | null, key: string | null, ms: number) => Promise<number>;
  readonly write: (path: string, text: string) => void;
  /** What the fake model server was sent so far. */
  readonly requests: () => readonly FakeRequest[];
  /** The files of a folder, without those of folders in it; undefined when there is none. */
  readonly files: (path: string) => Readonly<Record<string, string>> | undefined;
  /** The rows of a database of version 0.1 in their order; none where it is no such database. */
  readonly early: (path: string) => readonly JsonObject[];
  /** Runs a command beside the server. */
  readonly command: (argv: readonly string[]) => Promise<{ readonly exit: number; stdout: string; stderr: string }>;
  readonly close: () => Promise<void>;
}

/** Where Node keeps the compiled sources of all servers of this process, so that only the first one starts slowly. */
const COMPILED = mkdtempSync(join(tmpdir(), 'mimir-replay-cache-'));
process.on('exit', () => rmSync(COMPILED, { recursive: true, force: true }));

/** What stands for a folder of the recording in a fresh one of ours, and the environment of a program in it. */
export interface Names {
  readonly folder: string;
  readonly toOurs: (text: string) => string;
  readonly toTheirs: (text: string) => string;
  readonly environment: (recorded: Readonly<Record<string, string>>) => Record<string, string>;
}

/** Makes a fresh folder with an empty home in it. */
export function freshFolder(fakePort = 9): Names {
  const folder = mkdtempSync(join(tmpdir(), 'mimir-replay-'));
  const home = join(folder, 'home');
  mkdirSync(home);
  // The longer name first: $HOME is inside $DIR.
  const names: readonly (readonly [string, string])[] = [
    ['$DASHED_DIR', folder.replaceAll('/', '-')],
    ['$HOME', home],
    ['$DIR', folder],
    ['$FAKE', String(fakePort)],
  ];
  const toOurs = (text: string): string => names.reduce((all, [name, value]) => all.replaceAll(name, value), text);
  return {
    folder,
    toOurs,
    toTheirs: (text) =>
      names.reduce((all, [name, value]) => (name === '$FAKE' ? all : all.replaceAll(value, name)), text),
    environment: (recorded) => ({
      ...Object.fromEntries(Object.entries(recorded).map(([name, value]) => [name, toOurs(value)])),
      NODE_COMPILE_CACHE: COMPILED,
    }),
  };
}

/** Starts the server of a recording in a folder of its own. */
export async function openStage(recording: Recording): Promise<Stage> {
  const fake: Fake | undefined = recording.fake === undefined ? undefined : await startFake(recording.fake);

  const { folder, toOurs, toTheirs, environment } = freshFolder(fake?.port);

  const place = (path: string, content: string | Buffer): void => {
    mkdirSync(dirname(toOurs(path)), { recursive: true });
    writeFileSync(toOurs(path), content);
  };
  for (const { path, text, base64 } of recording.files ?? []) {
    place(path, base64 === undefined ? toOurs(text ?? '') : Buffer.from(base64, 'base64'));
  }

  const env = environment(recording.started.env);
  let argv = recording.started.argv;
  let server = openServer(argv.map(toOurs), env, folder);

  const stop = async (how?: string): Promise<number | null> => {
    if (how === 'SIGKILL') server.running.child.kill('SIGKILL');
    else server.running.child.stdin.end();
    return await server.running.ended;
  };
  const restart = async (how: string | undefined, other: readonly string[] | undefined): Promise<number | null> => {
    const exit = await stop(how);
    argv = other ?? argv;
    server = openServer(argv.map(toOurs), env, folder);
    return exit;
  };

  return {
    ask: async (method, params) => {
      const sent = params === undefined ? undefined : mapTexts(params, toOurs);
      const reply = await server.ask(method, sent);
      return 'died' in reply ? reply : (mapTexts(reply as JsonObject, toTheirs) as unknown as Reply);
    },
    restart,
    age: async (category, key, ms) => {
      await stop();
      const rows = moveTimesBack(toOurs(argv[argv.indexOf('--db') + 1] ?? ''), category, key, ms);
      server = openServer(argv.map(toOurs), env, folder);
      return rows;
    },
    requests: () => fake?.requests ?? [],
    write: (path, text) => place(path, toOurs(text)),
    files: (path) => {
      const at = toOurs(path);
      if (!statSync(at, { throwIfNoEntry: false })?.isDirectory()) return undefined;
      const found = readdirSync(at, { withFileTypes: true }).filter((one) => one.isFile());
      const texts = found.map(({ name }) => [name, toTheirs(readFileSync(join(at, name), 'utf8'))]);
      return Object.fromEntries(texts) as Record<string, string>;
    },
    early: (path) => earlyRows(toOurs(path)),
    command: async (words) => {
      const done = await run(words.map(toOurs), env, folder);
      return { ...done, stdout: toTheirs(done.stdout) };
    },
    close: async () => {
      await stop();
      await fake?.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function moveTimesBack(path: string, category: string | null, key: string | null, ms: number): number {
  const database = connect({ path, key: null });
  const named =
    'SELECT row FROM entity WHERE (:category IS NULL OR category = :category) AND (:key IS NULL OR key = :key)';
  const usage = `UPDATE usage SET last_ms = last_ms - :ms WHERE entity IN (${named})`;
  const created = `UPDATE entity SET created_at_ms = created_at_ms - :ms WHERE row IN (${named})`;
  database.prepare(usage).run({ category, key, ms });
  const { changes } = database.prepare(created).run({ category, key, ms });
  database.close();
  return changes;
}

function earlyRows(path: string): readonly JsonObject[] {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return [];
  const database = connect({ path, key: null });
  try {
    return database.prepare('SELECT * FROM memories ORDER BY rowid').all() as JsonObject[];
  } catch {
    // No database, or one without that table.
    return [];
  } finally {
    database.close();
  }
}

interface Server {
  readonly running: Running;
  readonly ask: (method: string, params: Json | undefined) => Promise<Reply>;
}

function openServer(argv: readonly string[], env: Readonly<Record<string, string>>, cwd: string): Server {
  const running = startMimir(argv, env, { cwd, lateMs: 10 * ANSWER_MS });
  const waiting = new Map<number, (reply: Reply) => void>();
  let id = 0;
  let rest = '';
  running.child.stdout.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString('latin1')).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const message = JSON.parse(Buffer.from(line, 'latin1').toString('utf8')) as Reply & { readonly id: number };
      waiting.get(message.id)?.(message);
    }
  });
  let over: Reply | undefined;
  void running.ended.then((exit) => {
    over = { died: exit };
    for (const answer of waiting.values()) answer(over);
  });
  const ask = async (method: string, params: Json | undefined): Promise<Reply> => {
    if (over !== undefined) return over;
    id += 1;
    const mine = id;
    const answered = new Promise<Reply>((resolve) => waiting.set(mine, resolve));
    running.child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id: mine, method, params })}\n`);
    const late = setTimeout(() => running.child.kill('SIGKILL'), ANSWER_MS);
    const reply = await answered;
    clearTimeout(late);
    waiting.delete(mine);
    return reply;
  };
  return { running, ask };
}

async function run(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd: string,
): Promise<{ readonly exit: number; readonly stdout: string; readonly stderr: string }> {
  return await new Promise((resolve) => {
    const child = execFile(process.execPath, [LAUNCHER, ...argv], { env, cwd }, (failed, stdout, stderr) => {
      resolve({ exit: failed === null ? 0 : (child.exitCode ?? 1), stdout, stderr });
    });
    child.stdin?.end();
  });
}
