// The recorded sessions with the original program, as they lie in a golden folder (its README says what each member means).
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Any JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
/** A JSON object. */
export interface JsonObject {
  readonly [name: string]: Json;
}

/** A file that is there before the start. */
export interface PlacedFile {
  readonly path: string;
  readonly text?: string;
  readonly base64?: string;
}

/** One answer of the fake model server. */
export interface FakeAnswer {
  readonly status: number;
  readonly body: string;
  readonly content_type?: string;
  /** A Content-Length larger than the body, after which the connection is closed. */
  readonly claim_length?: number;
  readonly delay_ms?: number;
}

/** What the fake model server was sent. */
export interface FakeRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Json;
}

/** One recorded step: a call of a tool (`name`), a request (`method`), or something done beside the server (`$...`). */
export interface Step {
  readonly n: number;
  readonly name?: string;
  readonly method?: string;
  readonly arguments?: Json;
  readonly params?: Json;
  /** Argument pointer to [step, pointer into that step's result]: taken from the replayer's own run. */
  readonly refs?: Readonly<Record<string, readonly [number, string]>>;
  readonly result?: Json;
  readonly error?: { readonly code: number; readonly message: string };
  readonly died?: { readonly exit: number };
  readonly note?: string;
  // Of `$age`, `$wait`, `$restart`, `$write`, `$files` and `$cli`.
  readonly ms?: number;
  readonly category?: string | null;
  readonly key?: string | null;
  readonly how?: string;
  readonly argv?: readonly string[];
  readonly path?: string;
  readonly text?: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly exit?: number;
  readonly stdout?: string;
}

/** One recorded session: one fresh folder, one server over stdio. */
export interface Recording {
  /** As in `tools/mimir_recall.json`. */
  readonly name: string;
  readonly started: { readonly argv: readonly string[]; readonly env: Readonly<Record<string, string>> };
  readonly files?: readonly PlacedFile[];
  readonly fake?: Readonly<Record<string, readonly FakeAnswer[]>>;
  /** The wording of prompts is left out. */
  readonly fake_requests?: readonly FakeRequest[];
  readonly steps: readonly Step[];
}

/** Where the recordings lie beside the project; they may not be shipped with it. */
export const GOLDEN = join(import.meta.dirname, '../../../shared/golden');

/** The sessions of a golden folder, longest first so that none is left over at the end; `only` keeps names that contain it. */
export function readRecordings(folder: string, only = ''): Recording[] {
  const names = ['tools', 'flows']
    .filter((part) => existsSync(join(folder, part)))
    .flatMap((part) => readdirSync(join(folder, part)).map((file) => `${part}/${file}`))
    .filter((name) => name.endsWith('.json') && name.includes(only))
    .toSorted();
  return names
    .map((name) => ({ ...(JSON.parse(readFileSync(join(folder, name), 'utf8')) as Omit<Recording, 'name'>), name }))
    .toSorted((one, other) => other.steps.length - one.steps.length);
}

/** What was sent as one line: text as it was, a long line in parts, or bytes that are no UTF-8. */
export type SentLine = string | LongText | { readonly base64: string };

/** One recorded process on raw lines: what was sent, what came back, how it ended. */
export interface LinesRecording {
  readonly note: string;
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly sent: readonly SentLine[];
  readonly line_end: string;
  readonly replies: readonly { readonly reply?: string; readonly reply_json?: Json }[];
  readonly exit: number;
}

/** The processes on raw lines of a golden folder; `only` keeps them when their file's name contains it. */
export function readLines(folder: string, only = ''): readonly LinesRecording[] {
  const path = join(folder, LINES);
  if (!LINES.includes(only) || !existsSync(path)) return [];
  return (JSON.parse(readFileSync(path, 'utf8')) as { readonly cases: readonly LinesRecording[] }).cases;
}

/** Their file in a golden folder. */
export const LINES = 'protocol/stdio.json';

/** A body that is too long to be written down. */
export interface LongText {
  readonly prefix: string;
  readonly repeat: string;
  readonly times: number;
  readonly suffix: string;
}

/** A recorded HTTP request. */
export interface HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | null;
  readonly body_big?: LongText;
}

/** What came back; no status when nothing did. */
export interface HttpResponse {
  readonly status: number | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly body_json?: Json;
}

/** One exchange on a connection of its own: a request, raw text, or a stream that is told of in the note. */
export interface Exchange {
  readonly note?: string;
  readonly request?: HttpRequest;
  readonly response?: HttpResponse;
  readonly sent?: string;
  /** What came back of raw text, and on a stream. */
  readonly received?: string;
}

/** How a process on HTTP ended. */
export interface HttpEnd {
  readonly alive_after_stdin_closed: boolean;
  readonly exit_after_SIGTERM?: number;
  readonly stdout: string;
  readonly stderr: readonly string[];
  readonly files_left: readonly string[];
}

/** One recorded process on HTTP, or some that could not begin because their port was taken. */
export interface HttpRecording {
  readonly name: string;
  readonly argv?: readonly string[];
  readonly exchanges?: readonly Exchange[] | null;
  readonly end?: HttpEnd | null;
  readonly processes?: readonly {
    readonly argv: readonly string[];
    readonly exit: number;
    readonly stderr: readonly string[];
  }[];
}

/** The processes on HTTP of a golden folder; `only` keeps them when their file's name contains it. */
export function readHttp(folder: string, only = ''): readonly HttpRecording[] {
  const path = join(folder, HTTP);
  if (!HTTP.includes(only) || !existsSync(path)) return [];
  return (JSON.parse(readFileSync(path, 'utf8')) as { readonly runs: readonly HttpRecording[] }).runs;
}

/** Their file in a golden folder. */
export const HTTP = 'protocol/http.json';

/** What a pointer of the form `/a/0/b` leads to; undefined when there is nothing. */
export function atPointer(value: Json | undefined, pointer: string): Json | undefined {
  let found = value;
  for (const part of pointer.split('/').slice(1)) found = memberOf(found, part);
  return found;
}

/** A copy in which a pointer of the form `/a/b` leads to another value. */
export function withPointer(value: Json, pointer: string, to: Json): Json {
  const [, part = '', ...rest] = pointer.split('/');
  if (!isObject(value)) throw new Error(`a reference points to ${pointer}, and there is no object`);
  const inner = rest.length === 0 ? to : withPointer(value[part] ?? {}, `/${rest.join('/')}`, to);
  return { ...value, [part]: inner };
}

function memberOf(value: Json | undefined, name: string): Json | undefined {
  if (Array.isArray(value)) return (value as readonly Json[])[Number(name)];
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

/** Whether a value is a JSON object. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A member that is text; otherwise nothing. */
export function textAt(value: Json | undefined, name: string): string | undefined {
  const found = isObject(value) ? value[name] : undefined;
  return typeof found === 'string' ? found : undefined;
}

/** A text as JSON, or undefined when it is none. */
export function readJson(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    // Bodies, lines and printed texts of recordings are what they are; those that read them have a way for this.
    return undefined;
  }
}

/** A text as it is; of anything else its JSON, and of nothing an empty text. */
export function asText(value: Json | undefined): string {
  return typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value);
}

/** A value with every text in it changed; names of members as well. */
export function mapTexts(value: Json, change: (text: string) => string): Json {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return (value as readonly Json[]).map((one) => mapTexts(one, change));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [change(name), mapTexts(one, change)]));
}
