// Replays recorded sessions against our server and judges every difference by the table.
import { setTimeout as sleep } from 'node:timers/promises';

import { filesOf, lookBeside, type Beside } from './beside.ts';
import { brokenForm, isUnjudged, isUnknownTool, ourOutcome, theirOutcome, type Outcome } from './answers.ts';
import { compareOutcomes, type Finding } from './compare.ts';
import type { Difference } from './difference.ts';
import { replayHttp } from './http.ts';
import { judge, type Judged, type SessionReport } from './judge.ts';
import { replayLines } from './lines.ts';
import { Ledger } from './ledger.ts';
import {
  asText,
  atPointer,
  isObject,
  readJson,
  textAt,
  withPointer,
  type FakeRequest,
  type HttpRecording,
  type Json,
  type JsonObject,
  type LinesRecording,
  type Recording,
  type Step,
} from './recording.ts';
import { openStage, type Stage } from './stage.ts';

/** What all sessions came to. */
export interface Report {
  readonly sessions: readonly SessionReport[];
  readonly undecided: readonly Finding[];
  /** Names of lines of the table that no session needed, though their tools are there. */
  readonly unneeded: readonly string[];
  /** How often each line was needed. */
  readonly needed: ReadonlyMap<string, number>;
}

/** Sessions that run at once. They mostly wait. */
const AT_ONCE = 4;
/** The pause between calls, as the recording had it: rows of one millisecond have no order in the original. */
const PAUSE_MS = 3;

/** Replays all sessions, some at once, each against a server of its own. */
export async function replay(
  recordings: readonly Recording[],
  table: readonly Difference[],
  lines: readonly LinesRecording[] = [],
  http: readonly HttpRecording[] = [],
): Promise<Report> {
  const reports: SessionReport[] = [];
  const queue = [
    ...recordings.map((one) => async () => await replaySession(one, table)),
    ...http.map((one) => async () => await replayHttp(one, table)),
    ...lines.map((one) => async () => await replayLines(one, table)),
  ];
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) reports.push(await next());
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return summary(
    reports.toSorted((one, other) => (one.name < other.name ? -1 : 1)),
    table,
  );
}

function summary(sessions: readonly SessionReport[], table: readonly Difference[]): Report {
  const judged = sessions.flatMap((session) => session.judged);
  const needed = new Map<string, number>();
  for (const { line } of judged) if (line !== undefined) needed.set(line, (needed.get(line) ?? 0) + 1);
  const missing = new Set(sessions.flatMap(({ leftOut }) => (leftOut === undefined ? [] : [leftOut.missing])));
  const waits = ({ tools }: Difference): boolean => tools?.some((tool) => missing.has(tool)) ?? false;
  return {
    sessions,
    undecided: judged.filter(({ line }) => line === undefined).map(({ finding }) => finding),
    unneeded: table
      .filter((line) => line.shownBy === undefined && !needed.has(line.name) && !waits(line))
      .map(({ name }) => name),
    needed,
  };
}

async function replaySession(recording: Recording, table: readonly Difference[]): Promise<SessionReport> {
  const stage = await openStage(recording);
  const session = new Session(recording, stage, table);
  try {
    return await session.run();
  } finally {
    await stage.close();
  }
}

/** Something that was done, by both programs. */
interface Done {
  readonly step: Step;
  readonly tool: string;
  readonly args: Json | undefined;
  /** Of the program that did it. */
  readonly argv: readonly string[];
  readonly theirs: Outcome;
  readonly ours: Outcome;
  /** What is wrong with ours, whatever theirs was. */
  readonly wrong: readonly string[];
}

class Session {
  readonly #recording: Recording;
  readonly #stage: Stage;
  readonly #table: readonly Difference[];
  /** What is known of each store, by its path. */
  readonly #ledgers = new Map<string, Ledger>();
  /** The key file that each store was made with. */
  readonly #keys = new Map<string, string>();
  #argv: readonly string[];
  readonly #judged: Judged[] = [];
  /** Our own result of each step, for later steps that take something from it. */
  readonly #results = new Map<number, Json>();
  #askedMs = 0;
  #compared = 0;
  #skipped = 0;

  constructor(recording: Recording, stage: Stage, table: readonly Difference[]) {
    this.#recording = recording;
    this.#stage = stage;
    this.#table = table;
    this.#argv = recording.started.argv;
  }

  /** The ledger of the store that arguments name, or of the server's. */
  #ledgerOf(argv: readonly string[]): Ledger {
    const path = flagOf(argv, '--db') ?? flagOf(this.#argv, '--db') ?? '';
    const [first] = this.#ledgers.values();
    const ledger = this.#ledgers.get(path) ?? new Ledger(first);
    this.#ledgers.set(path, ledger);
    return ledger;
  }

  /** Whether a program with these arguments has another key than its store was made with, or none. */
  #isShut(argv: readonly string[]): boolean {
    const path = flagOf(argv, '--db') ?? '';
    const key = flagOf(argv, '--encryption-key') ?? '';
    const made = this.#keys.get(path) ?? key;
    this.#keys.set(path, made);
    return made !== key;
  }

  async run(): Promise<SessionReport> {
    const { name, steps } = this.#recording;
    for (const [i, step] of steps.entries()) {
      const missing = await this.#step(step);
      if (missing !== undefined) return this.#report(name, { steps: steps.length - i, missing });
      await sleep(PAUSE_MS);
    }
    this.#asked(steps.length);
    return this.#report(name, undefined);
  }

  /**
   * A language model is asked in the same form and with the same key, as often as the original asked it and once more for each call
   * that only we have taken. When and how texts are embedded is our own.
   */
  #asked(n: number): void {
    const recorded = (this.#recording.fake_requests ?? []) as unknown as readonly JsonObject[];
    const [first] = recorded;
    if (first === undefined || !isObject(first['body']) || !('prompt' in first['body'])) return;
    const taken = this.#judged.filter(({ finding: { tool, kind, theirs: said } }) => {
      const isModels = /^(Ask|Synthesize) failed: (LLM API|Failed to|http:|response body)/.test(asText(said));
      return kind === 'accepted' && !isModels && (tool === 'mimir_ask' || tool === 'mimir_synthesize');
    });
    const theirs = [...recorded, ...taken.map(() => first)];
    const ours = this.#stage.requests().map(withoutPrompt);
    this.#judge({
      step: { n },
      tool: 'the model server',
      args: undefined,
      argv: this.#argv,
      theirs: beside({ requests: theirs }),
      ours: beside({ requests: ours }),
      wrong: [],
    });
  }

  #report(name: string, leftOut: SessionReport['leftOut']): SessionReport {
    return { name, compared: this.#compared, skipped: this.#skipped, judged: this.#judged, leftOut };
  }

  /** Does one step; answers the name of what it needs and is not there. */
  async #step(step: Step): Promise<string | undefined> {
    this.#askedMs = Date.now();
    switch (step.method) {
      case '$wait':
        await sleep(step.ms ?? 0);
        return undefined;
      case '$write':
        this.#stage.write(step.path ?? '', step.text ?? '');
        return undefined;
      case '$restart':
        if (step.how === 'SIGKILL') this.#ledgerOf([]).killed(Date.now());
        await this.#stage.restart(step.how, step.argv);
        this.#argv = step.argv ?? this.#argv;
        return undefined;
      case '$age':
        await this.#stage.age(step.category ?? null, step.key ?? null, step.ms ?? 0);
        return undefined;
      case '$files':
        this.#judge({
          step,
          tool: '$files',
          args: undefined,
          argv: this.#argv,
          theirs: beside(filesOf(step.files ?? {})),
          ours: beside(filesOf(this.#stage.files(step.path ?? '') ?? {})),
          wrong: [],
        });
        return undefined;
      case '$cli':
        return await this.#command(step);
      case undefined:
      default:
        return await this.#request(step);
    }
  }

  async #request(step: Step): Promise<string | undefined> {
    const isCall = step.method === undefined;
    let args = step.arguments;
    for (const [pointer, [from, to]] of Object.entries(step.refs ?? {})) {
      const value = atPointer(this.#results.get(from), to);
      if (value === undefined) {
        this.#skipped += 1;
        return undefined;
      }
      args = withPointer(args ?? {}, pointer, value);
    }
    const params = isCall ? { name: step.name ?? '', ...(args !== undefined && { arguments: args }) } : step.params;
    const tool =
      isCall || step.method === 'tools/call' ? (textAt(params, 'name') ?? 'tools/call') : (step.method ?? '');
    const given = isCall ? args : isObject(params) ? params['arguments'] : undefined;
    const files = lookBeside(this.#stage, tool, isObject(given) ? given : {});
    const reply = await this.#stage.ask(isCall ? 'tools/call' : (step.method ?? ''), params);
    const theirs = theirOutcome(step);
    const ours = ourOutcome(reply);
    if (isUnjudged(tool) || (isUnknownTool(ours, tool) && !isUnknownTool(theirs, tool))) return tool;
    if ('result' in reply) this.#results.set(step.n, reply.result);
    const broken = brokenForm(reply);
    const wrong = broken === undefined ? [] : [broken];
    this.#done({ step, tool, args: given, argv: this.#argv, theirs, ours, wrong }, files);
    return undefined;
  }

  async #command(step: Step): Promise<string | undefined> {
    const argv = step.argv ?? [];
    const name = `mimir ${argv[0] ?? ''}`;
    const args = flagsOf(argv);
    const files = lookBeside(this.#stage, name, args);
    const { exit, stdout } = await this.#stage.command(argv);
    if (isUnjudged(name)) return name;
    const theirs = beside({ exit: step.exit ?? 0, stdout: readJson(step.stdout ?? '') ?? step.stdout ?? '' });
    const ours = beside({ exit, stdout: readJson(stdout) ?? stdout });
    this.#done({ step, tool: name, args, argv, theirs, ours, wrong: [] }, files);
    return undefined;
  }

  /** Judges what was done, and takes in what came of it. */
  #done(done: Done, files: Beside | undefined): void {
    const ledger = this.#ledgerOf(done.argv);
    const { tool, args, theirs, ours } = done;
    const wrong = [...done.wrong, ...(files?.wrong(ledger, ours) ?? [])];
    const cause = this.#judge({ ...done, wrong });
    ledger.note(tool, isObject(args) ? args : {}, theirs, ours, cause);
    files?.note(ledger, theirs, ours, cause);
  }

  /** Compares and explains; answers the cause of what follows from it. */
  #judge({ step, tool, args, argv, theirs, ours, wrong }: Done): string {
    this.#compared += 1;
    const ledger = this.#ledgerOf(argv);
    const place = {
      session: this.#recording.name,
      step: step.n,
      tool,
      args,
      ledger,
      isShut: this.#isShut(argv),
      askedMs: this.#askedMs,
      nowMs: Date.now(),
    };
    const findings = compareOutcomes(place, theirs, ours);
    for (const why of wrong) findings.push(...compareOutcomes(place, theirs, { kind: 'broken', why }));
    const { judged, cause } = judge(findings, this.#table);
    this.#judged.push(...judged);
    for (const { finding, line } of judged) {
      if (finding.at === '/items/[]/archived' && line !== undefined) ledger.archivedBy(finding.row, line);
    }
    return cause;
  }
}

/** A request without the wording of its prompt; an empty one is none. */
function withoutPrompt({ body, ...head }: FakeRequest): JsonObject {
  const prompt = textAt(body, 'prompt') ?? '';
  return { ...head, body: isObject(body) && prompt !== '' ? { ...body, prompt: '$PROMPT' } : body };
}

/** What was seen beside the server. */
function beside(value: JsonObject): Outcome {
  return { kind: 'value', value };
}

const FLAGS: Readonly<Record<string, string>> = { '--body': 'body_json' };

/** The value of a flag. */
function flagOf(argv: readonly string[], flag: string): string | undefined {
  return argv.includes(flag) ? argv[argv.indexOf(flag) + 1] : undefined;
}

/** The flags of a command as arguments of the tool behind it. */
function flagsOf(argv: readonly string[]): JsonObject {
  const args: Record<string, Json> = {};
  for (const [i, word] of argv.entries()) {
    if (!word.startsWith('--')) continue;
    const value = argv[i + 1];
    const name = FLAGS[word] ?? word.slice(2).replaceAll('-', '_');
    if (value === undefined || value.startsWith('--')) args[name] = true;
    else args[name] = name === 'tags' ? value.split(',').flatMap((tag) => tag.trim() || []) : value;
  }
  return args;
}
