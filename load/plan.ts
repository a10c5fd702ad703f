import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CLIENTS, type ClientName } from './client.ts';
import { DOORS, type DoorName } from './doors.ts';

/** What one load test does. {@link planOf} fills in what nobody asked for. */
export interface Plan {
  /** The way to the server that the clients take, each with a session of its own. */
  readonly door: DoorName;
  /** How they speak HTTP. */
  readonly client: ClientName;
  readonly clients: number;
  /** Per client and round. */
  readonly writes: number;
  /** Per client and round; each is one recall and one context. */
  readonly reads: number;
  readonly rounds: number;
  /** Exactly the original's traffic. */
  readonly original: boolean;
  /** A new connection for each call. */
  readonly fresh: boolean;
  /** SIGKILL in the middle of each round. */
  readonly kill: boolean;
  /** Stdio servers that write to the same file meanwhile. */
  readonly processes: number;
  /** Rows in the store before the first round, and the one category they are in; absent: 20 categories. */
  readonly preload: number;
  readonly preloadCategory: string | undefined;
  /** One round of this length, without a pause between the clients' turns; 0: rounds of a fixed number of requests. */
  readonly durationMs: number;
  readonly deadlineMs: number;
  readonly seed: number;
  /** A file to keep; absent: a temporary one. */
  readonly db: string | undefined;
  /** What starts a server, before `serve`. */
  readonly server: readonly string[];
}

/** A wrong flag or variable; its message is for the person who typed it. */
export class UsageError extends Error {}

/** The text of `--help`. */
export const HELP = `npm run load [-- FLAGS]

Starts the real server on a fresh file and proves under load: no lock error, no other error, no lost write, no deadlock.

  --door D               message (plain JSON-RPC), mcp (Streamable HTTP), sse, or stdio (a server for each client)
  --client C             bare (sockets, the cheapest) or node (Node's HTTP client, as an agent's SDK uses), for the floor too
  --clients N            keep-alive HTTP clients (16; MIMIR_LOADTEST_CLIENTS)
  --writes N             remember calls of each client in a round (25; MIMIR_LOADTEST_WRITES)
  --reads N              recall and context calls of each client in a round (75; MIMIR_LOADTEST_READS)
  --rounds N             rounds on the same server, the floor after each; medians and ranges (1)
  --duration SECONDS     one round of this length in place of a number of requests
  --original             exactly the original's traffic
  --fresh                a new connection for each call, for the floor too
  --kill                 SIGKILL in the middle of each round, then look for every acknowledged write
  --processes P          P stdio servers write to the same file meanwhile (for 5 s, unless --duration says otherwise)
  --preload ROWS         rows in the store before the first round, in 20 categories
  --preload-category C   all of them in this one
  --db FILE              use and keep this file; it may hold preloaded rows, but none of an earlier test
  --server FILE          the server's entry, for testing another build (bin/mimir.js)
  --seed N               of words and queries; printed with the results (random)
  --deadline SECONDS     of everything; a run that does not end is a deadlock
  --json                 one JSON document on stdout in place of the table

The server inherits the environment: MIMIR_POOL_MAX_SIZE and MIMIR_BUSY_TIMEOUT_MS are swept from outside.
Exit code 0: everything holds. 1: something does not. 2: a wrong flag.
`;

/** How long the HTTP clients go on beside other processes: in half a second nothing can be said about fairness. */
const PROCESSES_DURATION_MS = 5_000;

/** A plan with every default filled in. */
export function planOf(wanted: Partial<Plan> = {}): Plan {
  const processes = wanted.processes ?? 0;
  const plan = {
    door: 'message' as const,
    client: 'bare' as const,
    clients: 16,
    writes: 25,
    reads: 75,
    rounds: 1,
    original: false,
    fresh: false,
    kill: false,
    processes,
    preload: 0,
    preloadCategory: undefined,
    durationMs: processes > 0 ? PROCESSES_DURATION_MS : 0,
    seed: Math.floor(Math.random() * 2 ** 31),
    db: undefined,
    server: [process.execPath, fileURLToPath(new URL('../bin/mimir.js', import.meta.url))],
    ...wanted,
  };
  // Generous on purpose: it tells a stall from work, it does not measure. The original's stalls have no end at all.
  const requests = plan.clients * (plan.writes * 2 + plan.reads * 2) * plan.rounds;
  const deadlineMs = 120_000 + 2 * plan.durationMs + plan.preload * 5 + requests * 10;
  return { deadlineMs, ...plan };
}

function integer(name: string, text: string | undefined, least: number, most: number): number | undefined {
  if (text === undefined || text === '') return undefined;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most)
    throw new UsageError(`${name} is ${JSON.stringify(text)}: give a whole number from ${least} to ${most}.`);
  return value;
}

/** What the command line asked for. */
export interface Wish {
  readonly help: boolean;
  readonly json: boolean;
  readonly plan: Plan;
}

/** Reads flags and variables; a flag wins. Throws {@link UsageError}. */
export function parseWish(args: readonly string[], env: NodeJS.ProcessEnv): Wish {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const options = {
    door: text,
    client: text,
    clients: text,
    writes: text,
    reads: text,
    rounds: text,
    duration: text,
    processes: text,
    preload: text,
    'preload-category': text,
    seed: text,
    deadline: text,
    db: text,
    server: text,
    original: flag,
    fresh: flag,
    kill: flag,
    json: flag,
    help: { ...flag, short: 'h' },
  } as const;
  const { values } = parse(args, options);
  const number = (
    name: 'clients' | 'writes' | 'reads' | 'rounds' | 'duration' | 'processes' | 'preload' | 'seed' | 'deadline',
    least: number,
    most: number,
  ) => integer(`--${name}`, values[name], least, most);
  const clients =
    number('clients', 1, 1_000) ?? integer('MIMIR_LOADTEST_CLIENTS', env['MIMIR_LOADTEST_CLIENTS'], 1, 1_000);
  const writes =
    number('writes', 0, 1_000_000) ?? integer('MIMIR_LOADTEST_WRITES', env['MIMIR_LOADTEST_WRITES'], 0, 1_000_000);
  const reads =
    number('reads', 0, 1_000_000) ?? integer('MIMIR_LOADTEST_READS', env['MIMIR_LOADTEST_READS'], 0, 1_000_000);
  const rounds = number('rounds', 1, 10_000);
  const duration = number('duration', 1, 86_400);
  const processes = number('processes', 1, 100);
  const preload = number('preload', 0, 100_000_000);
  const seed = number('seed', 0, 2 ** 31 - 1);
  const deadline = number('deadline', 1, 7 * 86_400);
  if (rounds !== undefined && (duration ?? processes) !== undefined)
    throw new UsageError('--rounds does not go with --duration or --processes, which run one round of a given length.');
  if (values.kill && (duration ?? processes) !== undefined)
    throw new UsageError('--kill does not go with --duration or --processes: the server would be dead for most of it.');
  const door = oneOf('--door', DOORS, values.door);
  const client = oneOf('--client', CLIENTS, values.client);
  if (door !== 'message' && values.fresh)
    throw new UsageError('--fresh goes with --door message only: a session outlives a connection.');
  if (door === 'stdio' && values.client !== undefined)
    throw new UsageError('--client does not go with --door stdio, where nobody speaks HTTP.');
  if (door === 'stdio' && values.kill)
    throw new UsageError('--kill does not go with --door stdio: it kills the HTTP server.');
  const plan = planOf({
    door,
    client,
    ...(clients !== undefined && { clients }),
    ...(writes !== undefined && { writes }),
    ...(reads !== undefined && { reads }),
    ...(rounds !== undefined && { rounds }),
    ...(duration !== undefined && { durationMs: duration * 1_000 }),
    ...(processes !== undefined && { processes }),
    ...(preload !== undefined && { preload }),
    ...(seed !== undefined && { seed }),
    ...(deadline !== undefined && { deadlineMs: deadline * 1_000 }),
    ...(values['preload-category'] !== undefined && { preloadCategory: values['preload-category'] }),
    ...(values.db !== undefined && { db: values.db }),
    ...(values.server !== undefined && { server: [process.execPath, values.server] }),
    original: values.original,
    fresh: values.fresh,
    kill: values.kill,
  });
  if (plan.writes === 0 && plan.reads === 0) throw new UsageError('With 0 writes and 0 reads there is nothing to do.');
  if (plan.preloadCategory === 'loadtest')
    throw new UsageError('The category `loadtest` is the one whose rows are counted: name another one.');
  return { help: values.help, json: values.json, plan };
}

/** The one that is named; the first where none is. */
function oneOf<Name extends string>(flag: string, known: readonly [Name, ...Name[]], name?: string): Name {
  if (name === undefined) return known[0];
  const found = known.find((one) => one === name);
  if (found === undefined) throw new UsageError(`${flag} is ${JSON.stringify(name)}: give one of ${known.join(', ')}.`);
  return found;
}

function parse<O extends NonNullable<Parameters<typeof parseArgs>[0]>['options']>(args: readonly string[], options: O) {
  try {
    return parseArgs({ args: [...args], options, strict: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
