import type { Plan } from './plan.ts';
import type { Memory } from './server.ts';
import type { Persisted } from './ledger.ts';
import { OPERATIONS, type Operation } from './traffic.ts';

/** Latencies of one kind of request, in milliseconds. */
export interface Latency {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Sorts and picks: the nearest index to (n - 1) p, as the original's test does. */
export function latencyOf(ms: readonly number[]): Latency {
  const sorted = Float64Array.from(ms).sort();
  const at = (p: number): number => sorted[Math.round((sorted.length - 1) * p)] ?? 0;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}

/** One round: `requests` counts remember, recall and context; `extra` our own read-backs, which took part of the time. */
export interface Round {
  readonly wallS: number;
  readonly requests: number;
  readonly extra: number;
  readonly perS: number;
  /** Processor time of the server for a request, read-backs counted, microseconds; unknown without /proc and after SIGKILL. */
  readonly processorUs: number | undefined;
  /** Floor, requests per second of the same mix; and what share of it the server reached. */
  readonly floorPerS: number | undefined;
  readonly share: number | undefined;
  readonly all: Latency;
  readonly operations: Readonly<Partial<Record<Operation, Latency>>>;
}

/** A figure over the rounds. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Median and range; undefined for nothing. */
export function spreadOf(values: readonly (number | undefined)[]): Spread | undefined {
  const sorted = values.filter((value) => value !== undefined).sort((a, b) => a - b);
  const [min] = sorted;
  const max = sorted.at(-1);
  if (min === undefined || max === undefined) return undefined;
  const upper = sorted[sorted.length >> 1] ?? min;
  const lower = sorted[(sorted.length - 1) >> 1] ?? min;
  return { median: (lower + upper) / 2, min, max };
}

/** Something that must hold. */
export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** The processes beside the HTTP server. */
export interface Processes {
  readonly writesPerS: readonly number[];
  readonly httpWritesPerS: number;
  readonly slowestShareOfMean: number;
  readonly latency: Latency;
  readonly peakMb: number | undefined;
}

/** Everything that a load test has found. */
export interface LoadReport {
  readonly ok: boolean;
  readonly checks: readonly Check[];
  readonly plan: Plan;
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly memoryGb: number;
    readonly system: string;
  };
  readonly versions: { readonly node: string; readonly sqlite: string | undefined; readonly commit: string };
  readonly poolMaxSize: string;
  readonly busyTimeoutMs: string;
  readonly preload: { readonly rows: number; readonly perS: number } | undefined;
  readonly rounds: readonly Round[];
  readonly medians: {
    readonly wallS: Spread | undefined;
    readonly perS: Spread | undefined;
    readonly floorPerS: Spread | undefined;
    readonly share: Spread | undefined;
    readonly processorUs: Spread | undefined;
  };
  readonly writes: { readonly issued: number; readonly acknowledged: number } & Omit<
    Partial<Persisted>,
    'sqlite' | 'bytes' | 'integrity'
  >;
  readonly errors: {
    readonly lock: number;
    readonly other: number;
    readonly messages: Readonly<Record<string, number>>;
  };
  readonly processes: Processes | undefined;
  readonly memory: Memory | undefined;
  readonly walMaxBytes: number;
  readonly fileBytes: number | undefined;
  readonly totalS: number;
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function ms(value: number): string {
  return value < 100 ? value.toFixed(1) : whole(value);
}

function mb(bytes: number): string {
  return `${(bytes / 1_048_576).toFixed(1)} MB`;
}

function share(value: number): string {
  return value.toFixed(3).replace(/^0/, '');
}

function spread(value: Spread | undefined, text: (value: number) => string): string {
  if (value === undefined) return '-';
  if (value.min === value.max) return text(value.median);
  return `${text(value.median)} [${text(value.min)} .. ${text(value.max)}]`;
}

/** Columns under each other: the first to the left, the others to the right. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map(
    (row) =>
      `  ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  ')}`,
  );
}

function trafficLine(plan: Plan): string {
  const { clients, door, writes, reads, rounds } = plan;
  const through = door === 'message' ? '' : ` through ${door}`;
  const each = `${clients} clients${through}, each ${writes} remember, ${reads} recall, ${reads} context`;
  const flags = [
    plan.original && "the original's traffic",
    plan.client === 'node' && "Node's HTTP client",
    plan.fresh && 'a new connection for each call',
    plan.kill && 'SIGKILL in the middle',
    plan.processes > 0 && `${plan.processes} stdio servers beside`,
  ].filter((flag) => flag !== false);
  const total =
    plan.durationMs > 0
      ? `repeated for ${plan.durationMs / 1_000} s`
      : `${whole(clients * (writes + 2 * reads))} requests, ${rounds} round${rounds === 1 ? '' : 's'}`;
  return [each, total, ...flags].join('; ');
}

function facts(report: LoadReport): string[] {
  const { machine, versions, plan, preload, memory, writes, errors } = report;
  const rows: [string, string][] = [
    ['machine', `${machine.cores} x ${machine.cpu}, ${machine.memoryGb} GB, ${machine.system}`],
    ['versions', `Node ${versions.node}, SQLite ${versions.sqlite ?? 'unknown'}, commit ${versions.commit}`],
    ['pool', `MIMIR_POOL_MAX_SIZE ${report.poolMaxSize}, MIMIR_BUSY_TIMEOUT_MS ${report.busyTimeoutMs}`],
    ['traffic', `${trafficLine(plan)}; seed ${plan.seed}`],
  ];
  if (preload !== undefined)
    rows.push([
      'rows before',
      preload.perS > 0 ? `${whole(preload.rows)}, loaded at ${whole(preload.perS)} rows/s` : whole(preload.rows),
    ]);
  rows.push(
    ['wall time', `${spread(report.medians.wallS, (value) => value.toFixed(2))} s`],
    ['requests/s', spread(report.medians.perS, whole)],
    ['floor', `${spread(report.medians.floorPerS, whole)} requests/s`],
    ['share of floor', spread(report.medians.share, share)],
    ['processor', `${spread(report.medians.processorUs, whole)} us of the server for a request`],
    [
      'writes',
      `${whole(writes.issued)} issued, ${whole(writes.acknowledged)} acknowledged, ${writes.persisted === undefined ? '?' : whole(writes.persisted)} persisted`,
    ],
    ['errors', `${errors.lock} lock errors, ${errors.other} others`],
    [
      'memory',
      memory === undefined ? 'unknown' : `${whole(memory.peakMb)} MB at most, ${whole(memory.nowMb)} MB at the end`,
    ],
    [
      'file',
      `${report.fileBytes === undefined ? '?' : mb(report.fileBytes)}, write-ahead log at most ${mb(report.walMaxBytes)}`,
    ],
  );
  return rows.map(([name, text]) => `  ${name.padEnd(14)}  ${text}`);
}

function latencies(rounds: readonly Round[]): string[] {
  const over = (name: string, of: (round: Round) => Latency | undefined): string[] | undefined => {
    const found = rounds.map(of).filter((latency) => latency !== undefined);
    if (found.length === 0) return undefined;
    const count = found.reduce((sum, latency) => sum + latency.count, 0);
    return [
      name,
      whole(count),
      spread(spreadOf(found.map((l) => l.p50)), ms),
      spread(spreadOf(found.map((l) => l.p99)), ms),
      ms(Math.max(...found.map((l) => l.max))),
    ];
  };
  const rows = [
    over('all', (round) => round.all),
    ...OPERATIONS.map((operation) =>
      over(operation === 'read_back' ? 'read-back (not in all)' : operation, (round) => round.operations[operation]),
    ),
  ];
  return columns([['latency, ms', 'requests', 'p50', 'p99', 'max'], ...rows.filter((row) => row !== undefined)]);
}

function eachRound(rounds: readonly Round[]): string[] {
  if (rounds.length < 2) return [];
  const rows = rounds.map((round, i) => [
    `${i + 1}`,
    round.wallS.toFixed(2),
    whole(round.perS),
    round.floorPerS === undefined ? '-' : whole(round.floorPerS),
    round.share === undefined ? '-' : share(round.share),
    ms(round.all.p50),
    ms(round.all.p99),
    ms(round.all.max),
  ]);
  return ['', ...columns([['round', 'wall s', 'req/s', 'floor', 'share', 'p50', 'p99', 'max'], ...rows])];
}

/** The report for people. */
export function table(report: LoadReport): string {
  const lines = ['mimir load test', ...facts(report), '', ...latencies(report.rounds), ...eachRound(report.rounds)];
  const { processes } = report;
  if (processes !== undefined) {
    const rates = processes.writesPerS.map(whole).join(' ');
    lines.push(
      '',
      `  stdio servers   ${rates} writes/s, beside ${whole(processes.httpWritesPerS)} over HTTP; slowest ${processes.slowestShareOfMean.toFixed(2)} of the mean`,
    );
    lines.push(
      `                  write p50 ${ms(processes.latency.p50)}, p99 ${ms(processes.latency.p99)}, max ${ms(processes.latency.max)} ms; memory at most ${processes.peakMb === undefined ? '?' : whole(processes.peakMb)} MB each`,
    );
  }
  lines.push(
    '',
    ...columns(
      report.checks.map(({ name, ok, detail }) => [`${ok ? 'ok  ' : 'FAIL'}  ${name}`.padEnd(44), detail]),
    ).map((line) => line.replace(/^(\s{2}\S.{43})\s+/, '$1 ')),
  );
  for (const [message, count] of Object.entries(report.errors.messages)) lines.push(`        ${count} x ${message}`);
  lines.push(
    '',
    report.ok ? `  passed in ${report.totalS.toFixed(1)} s` : `  FAILED after ${report.totalS.toFixed(1)} s`,
  );
  return `${lines.join('\n')}\n`;
}
