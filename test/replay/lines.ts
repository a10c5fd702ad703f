// Replays raw lines: one process each, what it answers to each line, and how it ends.
import { rmSync } from 'node:fs';

import { isUnjudged, isUnknownTool, ourOutcome, theirOutcome, type Outcome } from './answers.ts';
import { compareOutcomes, type Place } from './compare.ts';
import type { Difference } from './difference.ts';
import { judge, type Judged, type SessionReport } from './judge.ts';
import { Ledger } from './ledger.ts';
import {
  isObject,
  LINES,
  readJson,
  textAt,
  type Json,
  type JsonObject,
  type LinesRecording,
  type SentLine,
} from './recording.ts';
import { freshFolder, type Reply } from './stage.ts';
import { startMimir } from '../support/processes.ts';

const SILENT: Outcome = { kind: 'silent' };

/** Replays one process and judges what differs, line by line. */
export async function replayLines(recording: LinesRecording, table: readonly Difference[]): Promise<SessionReport> {
  const name = `${LINES}: ${recording.note}`;
  const { replies, exit } = await answered(recording);
  const ledger = new Ledger();
  const judged: Judged[] = [];
  const compare = (
    place: Omit<Place, 'session' | 'ledger' | 'askedMs' | 'nowMs'>,
    theirs: Outcome,
    ours: Outcome,
  ): void => {
    const nowMs = Date.now();
    const known = { session: name, ledger, askedMs: nowMs, nowMs };
    const found = judge(compareOutcomes({ ...place, ...known }, theirs, ours), table);
    judged.push(...found.judged);
    ledger.note(place.tool, isObject(place.args) ? place.args : {}, theirs, ours, found.cause);
  };
  const ended = (code: number): Outcome => ({ kind: 'value', value: { exit: code } });
  const settings = { argv: recording.argv, env: recording.env ?? {} };
  compare({ step: recording.sent.length, tool: 'the process', args: settings }, ended(recording.exit), ended(exit));
  // One that did not start has nothing else to say.
  if (exit !== 0) return { name, compared: 1, skipped: 0, judged, leftOut: undefined };

  const waiting = [...recording.replies];
  for (const [step, line] of recording.sent.entries()) {
    const request = readRequest(line);
    const { tool, args } = askedBy(request);
    const theirs = theirReply(request, waiting);
    const ours = replies[step];
    const [said, answer] = [
      theirs === undefined ? SILENT : theirOutcome({ n: step, ...listed(theirs) }),
      ours === undefined ? SILENT : ourOutcome(listed(ours) as unknown as Reply),
    ];
    if (isUnjudged(tool) || (isUnknownTool(answer, tool) && !isUnknownTool(said, tool))) {
      return {
        name,
        compared: step + 1,
        skipped: 0,
        judged,
        leftOut: { steps: recording.sent.length - step, missing: tool },
      };
    }
    compare({ step, tool, args }, said, answer);
  }
  return { name, compared: recording.sent.length + 1, skipped: 0, judged, leftOut: undefined };
}

/** What a request asks for, and what the rules look at: where it is no call that waits for an answer, all of it. */
export function askedBy(request: Json): { readonly tool: string; readonly args: Json | undefined } {
  const params = isObject(request) ? request['params'] : undefined;
  const tool = textAt(params, 'name') ?? textAt(request, 'method') ?? 'no request';
  const isCall = isObject(request) && request['method'] === 'tools/call' && request['id'] !== undefined;
  return { tool, args: isCall && isObject(params) ? params['arguments'] : request };
}

/** Sends one line after the other, each when the one before is dealt with; answers the reply to each and the exit code. */
async function answered({ argv, env = {}, sent, line_end: end }: LinesRecording) {
  const { folder, toOurs, environment } = freshFolder();
  const { child, printed, ended } = startMimir(argv.map(toOurs), environment({ HOME: '$HOME', ...env }), {
    cwd: folder,
  });
  let over = false;
  void ended.then(() => (over = true));
  let taken = 0;
  const nextReply = async (): Promise<JsonObject | undefined> => {
    while (printed.stdout.indexOf('\n', taken) === -1) {
      if (over) return undefined;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const at = printed.stdout.indexOf('\n', taken);
    const line = printed.stdout.slice(taken, at);
    taken = at + 1;
    return JSON.parse(line) as JsonObject;
  };
  const replies: (JsonObject | undefined)[] = [];
  for (const line of sent) {
    child.stdin.write(Buffer.concat([bytesOf(line), Buffer.from(end)]));
    const request = readRequest(line);
    const ids = hasOwnId(line, request) ? [idOf(request), 'null'] : [BARRIER_ID];
    // What cannot be answered under an id of its own gets its answer before this one, or none.
    if (ids.includes(BARRIER_ID)) child.stdin.write(BARRIER + end);
    let reply = await nextReply();
    replies.push(idOf(reply) === BARRIER_ID ? undefined : reply);
    while (reply !== undefined && !ids.includes(idOf(reply))) reply = await nextReply();
  }
  child.stdin.end();
  const exit = (await ended) ?? -1;
  rmSync(folder, { recursive: true, force: true });
  return { replies, exit };
}

const BARRIER_ID = '"barrier"';
const BARRIER = `{"jsonrpc":"2.0","id":${BARRIER_ID},"method":"ping"}`;

function hasOwnId(line: SentLine, request: Json): boolean {
  if (typeof line !== 'string' && 'base64' in line) return false;
  const id = isObject(request) ? request['id'] : undefined;
  return typeof id === 'string' || Number.isSafeInteger(id);
}

/** Their reply to a line, taken from the front: replies come in the order of the lines, and some lines get none. */
function theirReply(request: Json | undefined, waiting: LinesRecording['replies'][number][]): JsonObject | undefined {
  const [next] = waiting;
  if (next === undefined || request === '' || textAt(request, 'method') === 'notifications/initialized')
    return undefined;
  const reply = (next.reply_json ?? JSON.parse(next.reply ?? '')) as JsonObject;
  if (idOf(reply) !== 'null' && idOf(reply) !== idOf(request)) return undefined;
  waiting.shift();
  return reply;
}

/** A line as JSON; as text when it is none. */
function readRequest(line: SentLine): Json {
  const text = bytesOf(line).toString('utf8').trim();
  return readJson(text) ?? text;
}

function bytesOf(line: SentLine): Buffer {
  if (typeof line === 'string') return Buffer.from(line);
  if ('base64' in line) return Buffer.from(line.base64, 'base64');
  return Buffer.from(line.prefix + line.repeat.repeat(line.times) + line.suffix);
}

/** The id of a message as text; of a positional list its second member. */
function idOf(message: Json | undefined): string {
  const id = Array.isArray(message) ? (message as readonly Json[])[1] : isObject(message) ? message['id'] : null;
  return JSON.stringify(id ?? null);
}

/** A list of tools with what a caller needs: the names, the arguments with their types, and which of them must be given. */
export function listed(reply: JsonObject): JsonObject {
  const { result } = reply;
  const tools = isObject(result) ? result['tools'] : undefined;
  if (!Array.isArray(tools)) return reply;
  return { ...reply, result: { tools: (tools as readonly JsonObject[]).map(brief) } };
}

function brief({ name, inputSchema }: JsonObject): JsonObject {
  const schema = isObject(inputSchema) ? inputSchema : {};
  const properties = isObject(schema['properties']) ? schema['properties'] : {};
  const types = Object.entries(properties).map(([input, property]) => [
    input,
    isObject(property) ? property['type'] : null,
  ]);
  return {
    name: name ?? '',
    arguments: Object.fromEntries(types) as JsonObject,
    required: schema['required'] ?? [],
  };
}
