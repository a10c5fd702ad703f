import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { connectionOf, drive, httpRequest, type Answer, type Talker } from './client.ts';
import { INITIALIZE, openDoor, type Door } from './doors.ts';
import { Ledger, rowsBefore, type Persisted } from './ledger.ts';
import type { Plan } from './plan.ts';
import { StdioWriter } from './processes.ts';
import { latencyOf, spreadOf, type Check, type LoadReport, type Processes, type Round } from './report.ts';
import { killAll, startFloor, startHttp, WalWatch, type HttpServer, type Memory } from './server.ts';
import {
  ClientLane,
  errorIn,
  FloorLane,
  judge,
  makeRow,
  OPERATIONS,
  rememberCall,
  Script,
  Tally,
  type Flow,
  type Frame,
  type Operation,
  type Step,
} from './traffic.ts';
import { between, randomOf } from './words.ts';

/** Connections that load the store before the test: as many as the server takes into one transaction. */
const PRELOAD_CLIENTS = 64;
const PRELOAD_CATEGORIES = 20;

/** The least that the slowest process may write, as a share of what they write on average. */
const SLOWEST_SHARE = 1 / 3;

/** Runs one load test. It answers a report also when something fails; it throws only when nothing could be measured. */
export async function runLoad(plan: Plan, progress: (line: string) => void = () => {}): Promise<LoadReport> {
  const folder = mkdtempSync(join(os.tmpdir(), 'mimir-load-'));
  const run = new Run(plan, plan.db ?? join(folder, 'mimir.db'), progress);
  const timer = setTimeout(() => run.expire(), plan.deadlineMs);
  const tidy = (): void => {
    killAll();
    rmSync(folder, { recursive: true, force: true });
  };
  // Ctrl-C ends the process without coming back here.
  process.once('exit', tidy);
  try {
    return await run.all();
  } finally {
    clearTimeout(timer);
    process.off('exit', tidy);
    tidy();
  }
}

class Run {
  readonly #plan: Plan;
  readonly #db: string;
  readonly #progress: (line: string) => void;
  readonly #ledger = new Ledger();
  readonly #tally = new Tally();
  readonly #scripts: readonly Script[];
  readonly #rounds: Round[] = [];
  readonly #checks: Check[] = [];
  readonly #random;
  readonly #started = performance.now();
  #connections: Talker[] = [];
  #flow: Flow | undefined;
  #expired = false;
  /** What is going on, for a deadline that has to say what did not end. */
  #phase = '';
  #clientsRunning = 0;
  #server: HttpServer | undefined;
  #memory: Memory | undefined;
  #preload: LoadReport['preload'];
  #processes: Processes | undefined;
  #stops: (number | null | 'hung')[] = [];
  #kills = 0;

  constructor(plan: Plan, db: string, progress: (line: string) => void) {
    this.#plan = plan;
    this.#db = db;
    this.#progress = progress;
    this.#random = randomOf(plan.seed, 'the test');
    this.#scripts = Array.from({ length: plan.clients }, (_, client) => new Script(plan, client));
  }

  /** The deadline: whoever still waits now waits for ever. */
  expire(): void {
    this.#expired = true;
    if (this.#clientsRunning > 0)
      this.#phase += `, ${this.#clientsRunning} of ${this.#plan.clients} clients without an answer`;
    if (this.#flow !== undefined) this.#flow.stopped = true;
    killAll();
    for (const connection of this.#connections) connection.close();
  }

  async all(): Promise<LoadReport> {
    const before = rowsBefore(this.#db, this.#plan.preloadCategory);
    if (before.test > 0)
      throw new Error(
        `${this.#db} holds ${before.test} rows of an earlier load test: name a new file, or a copy from before that test.`,
      );
    const wal = new WalWatch(this.#db);
    const floor = await startFloor();
    try {
      await this.#measure(before.preloaded, floor);
    } catch (error) {
      // After the deadline everything fails, because everything was ended; the report then says what was stuck.
      if (!this.#expired) throw error;
    } finally {
      wal.stop();
      await floor.child.hangUp();
    }
    return this.#report(this.#compare(), wal.maxBytes);
  }

  async #measure(preloaded: number, floor: HttpServer): Promise<void> {
    const plan = this.#plan;
    this.#enter('starting the server');
    this.#server = await startHttp(plan.server, this.#db);
    await this.#preloadRows(preloaded);
    this.#enter('starting the stdio servers');
    const writers = await this.#startWriters();
    for (let round = 0; round < plan.rounds && !this.#expired; round++) {
      this.#enter(`round ${round + 1} of ${plan.rounds}`);
      await this.#round(round, floor, writers);
    }
    this.#enter('stopping');
    for (const writer of writers) this.#stops.push(await writer.stop());
    this.#judgeWriters(writers);
    if (plan.kill) await this.#reopen();
    else await this.#stopServer();
  }

  #enter(phase: string): void {
    if (this.#expired) return;
    this.#phase = phase;
    this.#progress(phase);
  }

  async #stopServer(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#memory = server.child.memory() ?? this.#memory;
    this.#stops.push(await server.child.stop('SIGTERM'));
  }

  /** After the last SIGKILL: a fresh server must open the file, answer from it, and leave it in order. */
  async #reopen(): Promise<void> {
    this.#server = await startHttp(this.#plan.server, this.#db);
    await this.#initialize();
    const connection = this.#connect(this.#server.port);
    for (const script of this.#scripts) {
      const step = this.#plan.original ? undefined : script.wide((message) => httpRequest('/message', message));
      // The row may be one that was never acknowledged; what counts is that the recall is answered.
      if (step !== undefined) this.#expectAnswer(await connection.request(step.bytes));
    }
    connection.close();
    await this.#stopServer();
  }

  #connect(port: number): Talker {
    const connection = connectionOf(this.#plan.client, port, this.#plan.fresh);
    this.#connections.push(connection);
    return connection;
  }

  /** A door of its own for each client. */
  async #openDoors(port: number): Promise<Door[]> {
    const { door, client, fresh, server } = this.#plan;
    const doors = await Promise.all(
      this.#scripts.map(() => openDoor(door, { port, client, fresh, server, db: this.#db })),
    );
    this.#connections.push(...doors.map(({ talker }) => talker));
    return doors;
  }

  async #initialize(): Promise<void> {
    const connection = this.#connect(this.#server?.port ?? 0);
    const answer = await connection.request(httpRequest('/message', INITIALIZE));
    if (answer.status !== 200)
      throw new Error(`initialize was answered with HTTP ${answer.status}: ${answer.body.toString('utf8', 0, 300)}`);
    connection.close();
  }

  #expectAnswer(answer: Answer): void {
    const error = answer.status === 200 ? errorIn(JSON.parse(answer.body.toString())) : `HTTP ${answer.status}`;
    if (error !== undefined) this.#tally.error(`after the restart: ${error}`);
  }

  async #preloadRows(there: number): Promise<void> {
    const { preload: wanted, preloadCategory, seed } = this.#plan;
    if (wanted === 0) return;
    await this.#initialize();
    const random = randomOf(seed, 'preload');
    const from = performance.now();
    let next = there;
    let failure: string | undefined;
    let id = 0;
    const lane = {
      next: (): Buffer | undefined => {
        if (next >= wanted || failure !== undefined) return undefined;
        const i = next++;
        if (i % 1_000 === 0) this.#enter(`loading row ${i} of ${wanted}`);
        const category = preloadCategory ?? `preload-${i % PRELOAD_CATEGORIES}`;
        return httpRequest('/message', rememberCall(++id, category, makeRow(random, `p${i}`, true)));
      },
      answered: ({ status, body }: Answer): void => {
        if (status !== 200 || !body.includes('"created"'))
          failure ??= `HTTP ${status}: ${body.toString('utf8', 0, 300)}`;
      },
      failed: (error: Error): void => {
        failure ??= error.message;
      },
    };
    const connections = Array.from({ length: PRELOAD_CLIENTS }, () => this.#connect(this.#server?.port ?? 0));
    await Promise.all(connections.map((connection) => drive(connection, lane)));
    for (const connection of connections) connection.close();
    if (failure !== undefined) throw new Error(`loading rows before the test failed: ${failure}`);
    this.#preload = {
      rows: Math.max(there, wanted),
      perS: next > there ? (next - there) / ((performance.now() - from) / 1_000) : 0,
    };
  }

  async #startWriters(): Promise<StdioWriter[]> {
    const writers = Array.from(
      { length: this.#plan.processes },
      (_, i) => new StdioWriter(this.#plan, this.#db, i, this.#tally, this.#ledger),
    );
    await Promise.all(writers.map((writer) => writer.start()));
    return writers;
  }

  async #round(round: number, floor: HttpServer, writers: readonly StdioWriter[]): Promise<void> {
    const { plan, server } = {
      plan: this.#plan,
      server: this.#kills > 0 ? await startHttp(this.#plan.server, this.#db) : this.#server,
    };
    if (server === undefined) return;
    this.#server = server;
    await this.#initialize();
    const perClient = plan.writes * (plan.original ? 1 : 2) + plan.reads * 2;
    const killAt = plan.kill
      ? between(this.#random, Math.ceil(plan.clients * perClient * 0.3), Math.ceil(plan.clients * perClient * 0.7))
      : undefined;
    const doors = await this.#openDoors(server.port);
    const scripts = this.#scripts.map((script, i) => {
      const frame = doors[i]?.frame ?? Buffer.from;
      return plan.durationMs > 0 ? endless(script, frame) : [...script.round(round, frame)].values();
    });
    // Over stdio each client has a server of its own, and this one has nothing to do.
    const processorFrom = plan.door === 'stdio' ? undefined : server.child.processorMs();
    const from = performance.now();
    let answers = 0;
    const flow: Flow = {
      stopped: this.#expired,
      until: plan.durationMs > 0 ? from + plan.durationMs : undefined,
      answered: () => {
        if (++answers !== killAt) return;
        flow.stopped = true;
        server.child.process.kill('SIGKILL');
      },
    };
    this.#flow = flow;
    const lanes = scripts.map((steps) => new ClientLane(steps, flow, this.#tally, this.#ledger));
    const connections = doors.map(({ talker }) => talker);
    this.#clientsRunning = lanes.length;
    const driven = lanes.map(async (lane, i) => {
      const connection = connections[i];
      if (connection !== undefined) await drive(connection, lane);
      this.#clientsRunning--;
    });
    await Promise.all([...driven, ...writers.map(async (writer) => writer.run(flow))]);
    const wallS = (performance.now() - from) / 1_000;
    const processorTo = server.child.processorMs();
    const processorMs =
      processorFrom === undefined || processorTo === undefined ? undefined : processorTo - processorFrom;
    for (const lane of lanes) lane.judgeAll();
    if (this.#expired) return;
    if (plan.kill) {
      this.#kills++;
      await server.child.ended;
    } else {
      this.#memory = server.child.memory();
    }
    const floorPerS = plan.kill ? undefined : await this.#floor(floor, lanes, perClient);
    this.#rounds.push(roundOf(lanes, wallS, processorMs, floorPerS));
    if (!plan.kill && !plan.original) await this.#wide(doors);
    for (const connection of connections) connection.close();
    this.#connections = [];
  }

  /** The same clients, requests and sizes against the floor; its read-backs count here, so {@link roundOf} compares like with like. */
  async #floor(floor: HttpServer, lanes: readonly ClientLane[], perClient: number): Promise<number> {
    const floorLanes = lanes.map((lane) => new FloorLane(lane, perClient));
    const connections = floorLanes.map(() => this.#connect(floor.port));
    const from = performance.now();
    await Promise.all(floorLanes.map(async (lane, i) => connections[i] && drive(connections[i], lane)));
    const seconds = (performance.now() - from) / 1_000;
    for (const connection of connections) connection.close();
    if (!this.#expired && floorLanes.some((lane) => !lane.ok))
      throw new Error(`the floor failed: ${floor.child.stderr.trim()}`);
    return floorLanes.reduce((sum, lane) => sum + lane.requests, 0) / seconds;
  }

  /** Once per client, outside the timing, one after the other: a row of its own must be among the first thousand. */
  async #wide(doors: readonly Door[]): Promise<void> {
    for (const [i, script] of this.#scripts.entries()) {
      const door = doors[i];
      const step: Step | undefined = door && script.wide(door.frame);
      if (step === undefined || door === undefined) continue;
      const answer = await door.talker.request(step.bytes);
      judge(step, answer.status, answer.body, this.#tally, this.#ledger, true);
    }
  }

  #judgeWriters(writers: readonly StdioWriter[]): void {
    const [round] = this.#rounds;
    if (writers.length === 0 || round === undefined) return;
    const writesPerS = writers.map((writer) => writer.ms.length / round.wallS);
    const mean = writesPerS.reduce((sum, rate) => sum + rate, 0) / writers.length;
    const slowestShareOfMean = mean > 0 ? Math.min(...writesPerS) / mean : 0;
    const peaks = writers.map((writer) => writer.memory?.peakMb).filter((peak) => peak !== undefined);
    this.#processes = {
      writesPerS,
      httpWritesPerS: (round.operations.remember?.count ?? 0) / round.wallS,
      slowestShareOfMean,
      latency: latencyOf(writers.flatMap((writer) => writer.ms)),
      peakMb: peaks.length > 0 ? Math.max(...peaks) : undefined,
    };
    this.#check(
      'no process is starved',
      slowestShareOfMean >= SLOWEST_SHARE,
      `the slowest writes ${slowestShareOfMean.toFixed(2)} of the mean (at least ${SLOWEST_SHARE.toFixed(2)})`,
    );
  }

  #check(name: string, ok: boolean, detail: string): void {
    this.#checks.push({ name, ok, detail });
  }

  #compare(): Persisted | undefined {
    this.#progress('comparing every stored body with what was sent');
    try {
      return this.#ledger.compare(this.#db, this.#plan.kill);
    } catch (error) {
      this.#check('the file can be read', false, error instanceof Error ? error.message : String(error));
      return undefined;
    }
  }

  #report(stored: Persisted | undefined, walMaxBytes: number): LoadReport {
    const plan = this.#plan;
    const tally = this.#tally;
    const { issued, acknowledged } = this.#ledger;
    this.#check(
      'no deadlock',
      !this.#expired,
      this.#expired
        ? `the deadline of ${plan.deadlineMs / 1_000} s passed during: ${this.#phase}`
        : 'every client ended',
    );
    this.#check('no lock error', tally.lock === 0, `${tally.lock}`);
    this.#check('no other error', tally.other === 0, `${tally.other}`);
    if (stored !== undefined) {
      const { persisted, missing, unexpected, mismatched, integrity } = stored;
      // A request that SIGKILL met on its way may have been stored or not; nobody was promised anything.
      const all = plan.kill
        ? persisted >= acknowledged && persisted <= issued
        : acknowledged === issued && persisted === issued;
      this.#check(
        'no lost write',
        all && missing === 0 && unexpected === 0,
        `${issued} issued, ${acknowledged} acknowledged, ${persisted} persisted, ${missing} missing, ${unexpected} unexpected`,
      );
      this.#check(
        'every body is the one sent',
        mismatched === 0,
        `${persisted - mismatched - unexpected} equal, ${mismatched} different`,
      );
      if (integrity !== undefined)
        this.#check('the file is whole', integrity === 'ok', `integrity_check: ${integrity}`);
    }
    if (tally.readBacks > 0)
      this.#check(
        'every write is found at once',
        tally.readBacksMissed === 0,
        `${tally.readBacks} read back, ${tally.readBacksMissed} not found`,
      );
    if (tally.recalls > 0)
      this.#check(
        'every recall has hits',
        tally.recallsEmpty === 0,
        `${tally.recalls} recalls, ${tally.recallsEmpty} empty`,
      );
    if (tally.wide > 0)
      this.#check(
        'the row is among a thousand',
        tally.wideMissed === 0,
        `${tally.wide} recalls, ${tally.wideMissed} without it`,
      );
    if (plan.kill) this.#check('killed in the middle', this.#kills === plan.rounds, `${this.#kills} times`);
    const clean = this.#stops.every((code) => code === 0) && (this.#stops.length > 0 || this.#expired);
    this.#check('servers end with 0', clean, this.#stops.map((code) => code ?? 'signal').join(' '));
    const over = (of: (round: Round) => number | undefined) => spreadOf(this.#rounds.map(of));
    const { sqlite, bytes, integrity: _integrity, ...rows } = stored ?? {};
    return {
      ok: this.#checks.every((check) => check.ok),
      checks: this.#checks,
      plan,
      machine: {
        cpu: os.cpus()[0]?.model ?? 'unknown',
        cores: os.availableParallelism(),
        memoryGb: Math.round(os.totalmem() / 2 ** 30),
        system: `${os.type()} ${os.release()} ${os.arch()}`,
      },
      versions: { node: process.versions.node, sqlite, commit: commit() },
      poolMaxSize: setting('MIMIR_POOL_MAX_SIZE', '16'),
      busyTimeoutMs: setting('MIMIR_BUSY_TIMEOUT_MS', '5000'),
      preload: this.#preload,
      rounds: this.#rounds,
      medians: {
        wallS: over((r) => r.wallS),
        perS: over((r) => r.perS),
        floorPerS: over((r) => r.floorPerS),
        share: over((r) => r.share),
        processorUs: over((r) => r.processorUs),
      },
      writes: { issued, acknowledged, ...rows },
      errors: { lock: tally.lock, other: tally.other, messages: Object.fromEntries(tally.messages) },
      processes: this.#processes,
      memory: this.#memory,
      walMaxBytes,
      fileBytes: bytes,
      totalS: (performance.now() - this.#started) / 1_000,
    };
  }
}

/** A client's rounds without a pause between them, for as long as it is asked. */
function* endless(script: Script, frame: Frame): Generator<Step, void, undefined> {
  for (let round = 0; ; round++) yield* script.round(round, frame);
}

function roundOf(
  lanes: readonly ClientLane[],
  wallS: number,
  processorMs: number | undefined,
  floorPerS: number | undefined,
): Round {
  const by: Record<Operation, number[]> = { remember: [], recall: [], context: [], read_back: [] };
  for (const lane of lanes) {
    for (const [i, operation] of lane.operations.entries()) by[operation].push(lane.ms[i] ?? 0);
  }
  const counted = [by.remember, by.recall, by.context].flat();
  const extra = by.read_back.length;
  return {
    wallS,
    requests: counted.length,
    extra,
    perS: counted.length / wallS,
    processorUs: processorMs === undefined ? undefined : (processorMs * 1_000) / (counted.length + extra),
    // The floor answered the same sequence, read-backs included; both sides are brought to the same count.
    floorPerS: floorPerS === undefined ? undefined : floorPerS * (counted.length / Math.max(1, counted.length + extra)),
    share: floorPerS === undefined ? undefined : (counted.length + extra) / wallS / floorPerS,
    all: latencyOf(counted),
    operations: Object.fromEntries(
      OPERATIONS.filter((operation) => by[operation].length > 0).map((operation) => [
        operation,
        latencyOf(by[operation]),
      ]),
    ),
  };
}

function setting(name: string, fallback: string): string {
  const value = process.env[name];
  return value === undefined || value === '' ? `${fallback} (default)` : value;
}

function commit(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  try {
    return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain') === '' ? '' : ' with changes');
  } catch {
    // Not a checkout, or no commit yet: the figures are then known by their date only.
    return 'unknown';
  }
}
