// Replays processes on HTTP: one server each, every recorded exchange as the bytes it was, and how the process ends.
import { readdirSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

import { startMimir, until, type Running } from '../support/processes.ts';
import { ourOutcome, theirOutcome, type Outcome } from './answers.ts';
import { compareOutcomes } from './compare.ts';
import type { Difference } from './difference.ts';
import { judge, type Judged, type SessionReport } from './judge.ts';
import { Ledger } from './ledger.ts';
import { askedBy, listed } from './lines.ts';
import {
  HTTP,
  isObject,
  readJson,
  type Exchange,
  type HttpRecording,
  type HttpResponse,
  type Json,
  type JsonObject,
} from './recording.ts';
import { freshFolder, type Names, type Reply } from './stage.ts';
import { bytesOf, eventsIn, headersIn, openWire, responsesIn, type Wire } from './wire.ts';

const SILENT: Outcome = { kind: 'silent' };
/** The name of the web page where it is missed. */
const PAGE = 'mimir serve --web';
/** The name of what is said in HTTP itself. */
const DOOR = 'HTTP';
/** A program that ends when its input does has ended by then. */
const END_MS = 500;

/** Replays one process, or those that found their port taken, and judges what differs. */
export async function replayHttp(recording: HttpRecording, table: readonly Difference[]): Promise<SessionReport> {
  const { argv = [], exchanges, processes, name } = recording;
  const judging = new Judging(`${HTTP}: ${name}`, table);
  if (processes !== undefined) await portTaken(processes, judging);
  else if (argv.includes('--transport')) await served(recording, judging);
  else return judging.report({ steps: exchanges?.length ?? 0, missing: PAGE });
  return judging.report(undefined);
}

/** Compares and collects. */
class Judging {
  readonly #session: string;
  readonly #table: readonly Difference[];
  readonly #ledger = new Ledger();
  readonly #judged: Judged[] = [];
  #compared = 0;

  constructor(session: string, table: readonly Difference[]) {
    this.#session = session;
    this.#table = table;
  }

  compare(step: number, tool: string, args: Json | undefined, theirs: Outcome, ours: Outcome): void {
    this.#compared += 1;
    const nowMs = Date.now();
    const place = { session: this.#session, step, tool, args, ledger: this.#ledger, askedMs: nowMs, nowMs };
    const { judged, cause } = judge(compareOutcomes(place, theirs, ours), this.#table);
    this.#judged.push(...judged);
    this.#ledger.note(tool, isObject(args) ? args : {}, theirs, ours, cause);
  }

  report(leftOut: SessionReport['leftOut']): SessionReport {
    return { name: this.#session, compared: this.#compared, skipped: 0, judged: this.#judged, leftOut };
  }
}

/** Starts on the port of somebody else. */
async function portTaken(processes: NonNullable<HttpRecording['processes']>, judging: Judging): Promise<void> {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  const { port } = holder.address() as AddressInfo;
  for (const [step, { argv, exit, stderr }] of processes.entries()) {
    const names = freshFolder();
    const running = start(argv, names, port);
    running.child.stdin.end();
    const code = (await running.ended) ?? -1;
    const ours = { exit: code, banner: bannerOf(running, names, port) };
    judging.compare(step, 'the process', { argv }, value({ exit, banner: bannerIn(stderr) }), value(ours));
    rmSync(names.folder, { recursive: true, force: true });
  }
  await new Promise((resolve) => holder.close(resolve));
}

async function served({ argv = [], exchanges, end }: HttpRecording, judging: Judging): Promise<void> {
  const names = freshFolder();
  const running = start(argv, names, 0);
  const port = await until(() => {
    if (running.child.exitCode !== null) throw new Error(`the server ended: ${running.printed.stderr}`);
    return /transport on http:\/\/[^:]+:(\d+)/.exec(running.printed.stderr)?.[1];
  });
  const place: Place = { port: Number(port), names, argv };
  const open = [...(exchanges ?? []).entries()];
  const streams = open.filter(([, { note }]) => /before the first POST/.test(note ?? ''));
  const early = await Promise.all(streams.map(async ([step, one]) => [step, await openStream(one, place)] as const));
  for (const [step, one] of open) {
    const bytes = bytesOf(one, (text) => ours(text, place));
    if (bytes !== undefined) await exchanged(step, one, bytes, place, judging);
    else if (!early.some(([at]) => at === step)) await closeStream(step, one, await openStream(one, place), judging);
  }
  await Promise.all(
    early.map(async ([step, stream]) => await closeStream(step, open[step]?.[1] ?? {}, stream, judging)),
  );

  running.child.stdin.end();
  await sleep(END_MS);
  const isAlive = running.child.exitCode === null;
  running.child.kill('SIGTERM');
  const code = await running.ended;
  const left = readdirSync(names.folder).filter((name) => name !== 'home');
  const ended = {
    banner: bannerOf(running, names, place.port),
    stdout: running.printed.stdout,
    alive_after_stdin_closed: isAlive,
    // Where a signal ends a process, the recording has its number.
    exit_after_SIGTERM: code ?? -constants.signals[running.child.signalCode ?? 'SIGKILL'],
    files_left: left,
  };
  if (end !== undefined && end !== null) {
    const { stderr, ...facts } = end;
    const theirs = { ...facts, banner: bannerIn(stderr) } as JsonObject;
    judging.compare(open.length, 'the process', { argv }, value(theirs), value(ended));
  }
  rmSync(names.folder, { recursive: true, force: true });
}

interface Place {
  readonly port: number;
  readonly names: Names;
  readonly argv: readonly string[];
}

function start(argv: readonly string[], names: Names, port: number): Running {
  const words = argv.map((word) => names.toOurs(word).replaceAll('$PORT', String(port)));
  return startMimir(words, names.environment({ HOME: '$HOME' }), { cwd: names.folder, lateMs: 120_000 });
}

function ours(text: string, { names, port }: Place): string {
  return names.toOurs(text).replaceAll('$PORT', String(port));
}

function value(facts: JsonObject): Outcome {
  return { kind: 'value', value: facts };
}

const SAYS = 'mimir: ';

/** What a process says on stderr in its own name. */
function bannerIn(lines: readonly string[]): string[] {
  return lines.filter((line) => line.startsWith(SAYS)).map((line) => line.slice(SAYS.length));
}

function bannerOf({ printed }: Running, { toTheirs }: Names, port: number): string[] {
  return bannerIn(toTheirs(printed.stderr).replaceAll(`:${port}`, ':$PORT').split('\n'));
}

async function exchanged(
  step: number,
  exchange: Exchange,
  bytes: Buffer,
  place: Place,
  judging: Judging,
): Promise<void> {
  const { request, response, received } = exchange;
  const wire = openWire(place.port, bytes);
  await wire.quiet;
  wire.close();
  const answers = responsesIn(wire.received(), request?.method === 'HEAD');
  const recorded =
    response === undefined ? responsesIn(received ?? '') : [response].filter(({ status }) => status !== null);
  const asked = requestsIn(exchange);
  for (let i = 0; i < Math.max(1, recorded.length, answers.length); i++) {
    const [theirs, our] = [recorded[i], answers[i]];
    const { args, message } = asked[i] ?? NO_REQUEST;
    const said = theirs === undefined ? SILENT : value(factsOf(theirs, messageOf(theirs) === undefined));
    judging.compare(step, DOOR, args, said, our === undefined ? SILENT : value(factsOf(our, true)));
    const [theirReply, ourReply] = [messageOf(theirs), messageOf(our)];
    // What is no answer of JSON-RPC was compared as it is; that there is none is one where the status says that all is well.
    if (theirReply === undefined || (ourReply === undefined && our?.status !== 202)) continue;
    const { tool, args: given } = askedBy(message);
    const answer = ourReply === undefined ? SILENT : ourOutcome(listed(ourReply) as unknown as Reply);
    judging.compare(step, tool, given, theirOutcome({ n: step, ...listed(theirReply) }), answer);
  }
}

interface Asked {
  /** The request as rules look at it. */
  readonly args: JsonObject;
  /** The message in it; of what is no JSON, the text. */
  readonly message: Json;
}

const NO_REQUEST: Asked = { args: {}, message: '' };
const REQUEST = /([A-Z]+) (\S+) HTTP\/1\.\d\r\n/g;

/** The requests of an exchange. */
function requestsIn({ request, sent = '' }: Exchange): Asked[] {
  if (request !== undefined) {
    const { method, path, headers, body, body_big: big } = request;
    // Of a long body only the ends say something.
    return [asked(method, path, headers, big === undefined ? (body ?? '') : big.prefix + big.suffix)];
  }
  const heads = [...sent.matchAll(REQUEST)];
  return heads.map(({ 0: head, 1: method = '', 2: path = '', index }, i) => {
    const [lines = '', body = ''] = sent.slice(index + head.length, heads[i + 1]?.index).split('\r\n\r\n');
    return asked(method, path, headersIn(lines.split('\r\n')), body);
  });
}

function asked(method: string, path: string, headers: JsonObject, body: string): Asked {
  const message = readJson(body) ?? body;
  const lower = Object.entries(headers).map(([name, text]) => [name.toLowerCase(), text]);
  return { args: { method, path, headers: Object.fromEntries(lower) as JsonObject, message }, message };
}

/** Headers that say how a body is carried, or when. */
const CARRYING: ReadonlySet<string> = new Set([
  'date',
  'connection',
  'keep-alive',
  'content-length',
  'transfer-encoding',
]);

/** A response as data. */
function factsOf({ status, headers = {}, body = '' }: HttpResponse, withBody: boolean): JsonObject {
  const told = Object.entries(headers).filter(([name]) => !CARRYING.has(name));
  const plain = told.map(([name, text]) => [name, name === 'allow' ? text.split(/, */).join(', ') : text]);
  return {
    status,
    headers: Object.fromEntries(plain) as JsonObject,
    ...(withBody && body !== '' && { body: readJson(body) ?? body }),
  };
}

/** The answer of JSON-RPC in a response. */
function messageOf(response: HttpResponse | undefined): JsonObject | undefined {
  const read = response?.body_json ?? readJson(response?.body ?? '');
  return isObject(read) && read['jsonrpc'] !== undefined ? read : undefined;
}

interface Stream {
  readonly wire: Wire;
  readonly args: JsonObject;
  /** When it was recorded to its end. */
  readonly over: Promise<void>;
}

/** Opens a stream; the recording says in words which one, and for how long. */
async function openStream({ note = '' }: Exchange, place: Place): Promise<Stream> {
  const [, path = ''] = /^GET ([^\s,]+)/.exec(note) ?? [];
  const [, seconds = '0'] = /\b(\d+) s\b/.exec(note) ?? [];
  const token = place.argv[place.argv.indexOf('--mcp-token') + 1];
  const headers = {
    Host: '127.0.0.1:$PORT',
    ...(note.includes('right token') && { Authorization: `Bearer ${token ?? ''}` }),
    // The recording does not say which.
    ...(note.includes('an Origin') && { Origin: 'http://127.0.0.1:$PORT' }),
  };
  const bytes = bytesOf({ request: { method: 'GET', path, headers } }, (text) => ours(text, place));
  const wire = openWire(place.port, bytes ?? Buffer.of());
  const over = sleep(Number(seconds) * 1_000);
  await until(() => (wire.received().includes('\r\n\r\n') ? true : undefined));
  return { wire, args: asked('GET', path, headers, '').args, over };
}

async function closeStream(step: number, { received = '' }: Exchange, stream: Stream, judging: Judging): Promise<void> {
  await stream.over;
  stream.wire.close();
  const [theirs, our] = [received, stream.wire.received()].map((text) => value(streamFacts(text)));
  judging.compare(step, DOOR, stream.args, theirs ?? SILENT, our ?? SILENT);
}

/** A stream as data: where to post, every message, and the comments that keep it open. */
function streamFacts(received: string): JsonObject {
  const [response] = responsesIn(received);
  if (response === undefined) return {};
  const events = eventsIn(response.body ?? '');
  const dataOf = (kind: string): string[] => events.filter(({ event }) => event === kind).map(({ data }) => data);
  return {
    ...factsOf(response, false),
    endpoint: dataOf('endpoint').join('\n'),
    messages: dataOf('message'),
    comments: [...new Set(dataOf('comment'))],
  };
}
