// JSON-RPC and MCP themselves.
import { LIMITS } from '../../../src/limits.ts';
import type { Finding } from '../compare.ts';
import type { Difference } from '../difference.ts';
import { asText, isObject, textAt, type Json, type JsonObject } from '../recording.ts';

function hasId(request: Json | undefined): boolean {
  return isObject(request) && request['id'] !== undefined && request['id'] !== null;
}

function isWholePositive(text: string): boolean {
  return /^[1-9]\d*$/.test(text);
}

/** What an HTTP request was, as far as rules look at it. */
interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers: JsonObject;
  readonly message: Json;
}

function sent({ args }: Finding): Sent {
  const { headers, message = '' } = isObject(args) ? args : {};
  const path = (textAt(args, 'path') ?? '').split('?')[0] ?? '';
  return { method: textAt(args, 'method') ?? '', path, headers: isObject(headers) ? headers : {}, message };
}

/** Whether a status changed from one to another. */
function isStatus({ kind, at, theirs, ours }: Finding, from: number, to: number): boolean {
  return kind === 'changed' && at === '/status' && theirs === from && ours === to;
}

function isFromElsewhere({ headers }: Sent): boolean {
  const here = /^(https?:\/\/)?(127\.0\.0\.1|localhost)(:|$)/;
  const origin = headers['origin'];
  return !here.test(asText(headers['host'])) || (origin !== undefined && !here.test(asText(origin)));
}

/** What the original prints when a server begins. */
const BANNER = /^(using database at |MCP over |POST http|GET  http|fatal: MCP transport bind failed)/;
/** The failure that our server ended with, when it did not begin. */
function failedStart({ tool, answers }: Finding): string | undefined {
  const { exit, banner } = answers.ours;
  if (tool !== 'the process' || (exit !== 2 && exit !== 4) || !Array.isArray(banner) || banner.length !== 1)
    return undefined;
  const [line = ''] = (banner as readonly Json[]).map(asText);
  const says = exit === 4 ? /^Cannot listen on .*--port\.$/ : /^Without a token .*loopback only/;
  return says.test(line) ? line : undefined;
}

/** Lines about the protocol. */
export const PROTOCOL: readonly Difference[] = [
  {
    name: 'revision-is-negotiated',
    tools: ['initialize'],
    original: '`initialize` answers the revision 2025-06-18, whatever was asked for.',
    ours: 'It answers the revision that was asked for where we know it, and the newest otherwise.',
    reason: 'The specification says so.',
    explains: ({ at, ours }) => at === '/protocolVersion' && /^20\d\d-\d\d-\d\d$/.test(asText(ours)),
  },
  {
    name: 'own-version',
    tools: ['initialize'],
    original: '`serverInfo.version` is 2.1.0.',
    ours: 'It is the version of this package; the name is `mimir` as well.',
    reason: 'Bug reports must name the program that runs.',
    explains: ({ at, ours }) => at === '/serverInfo/version' && /^\d+\.\d+\.\d+$/.test(asText(ours)),
  },
  {
    name: 'list-of-tools',
    tools: ['tools/list'],
    original: '`tools/list` shows all forty tools with all their arguments.',
    ours:
      'It shows those tools that most agents need, and leaves out arguments that have no effect. All others can be called and given ' +
      'all the same. There are some tools more, such as `mimir_remember_many`.',
    reason: 'Forty tools take 11,000 tokens of every prompt, and some clients cut longer lists.',
    switch: '`--tools all`, or `MIMIR_TOOLS=all`',
    explains: ({ kind, at, ours }) =>
      at === '/tools/[]'
        ? kind === 'lacking' || (kind === 'extra' && (textAt(ours, 'name') ?? '').startsWith('mimir_'))
        : kind === 'missing' && /^\/tools\/\[\]\/arguments\/(expansion|content_weight|diversity_halving)$/.test(at),
  },
  {
    name: 'ping-is-answered',
    tools: ['ping'],
    original: '`ping` is an unknown method.',
    ours: 'It is answered.',
    reason: 'The specification demands it.',
    explains: ({ kind, theirs }) => kind === 'accepted' && asText(theirs) === 'Method not found: ping',
  },
  {
    name: 'resources-and-prompts',
    tools: ['resources/list', 'prompts/list'],
    original: 'There are only tools.',
    ours: 'Memories are resources as well, and there are prompts.',
    reason: 'Clients let people pick from them.',
    explains: ({ kind, theirs }) => kind === 'accepted' && asText(theirs).startsWith('Method not found: '),
  },
  {
    name: 'no-handshake-needed',
    original: 'Requests before `initialize` are refused, and the first `initialize` of anybody lets everybody in.',
    ours: 'They are answered.',
    reason: 'Sessions are not what guards a store; newer revisions have no handshake at all.',
    explains: ({ kind, theirs }) => kind === 'accepted' && theirs === 'Not initialized',
  },
  {
    name: 'notifications-are-silent',
    original: 'A notification is answered, mostly with an error without an id.',
    ours: 'A message with a method and no id gets no answer; over HTTP, the status is 202.',
    reason: 'JSON-RPC forbids it, and a client cannot tell what such an answer belongs to.',
    explains: (finding) => {
      const { tool, kind, at, theirs, ours, args, answers } = finding;
      const request = tool === 'HTTP' ? sent(finding).message : args;
      if (!isObject(request) || textAt(request, 'method') === undefined || hasId(request)) return false;
      if (tool !== 'HTTP') return kind === 'silent' && theirs !== undefined && ours === undefined;
      const isEmpty = kind === 'missing' && at === '/headers/content-type' && answers.ours['status'] === 202;
      return isEmpty || isStatus(finding, 200, 202);
    },
  },
  {
    name: 'every-request-is-answered',
    original:
      'After a line that is no UTF-8 the program stops reading, and `notifications/initialized` gets no answer even with an id.',
    ours: 'The line gets an error and reading goes on. What has an id gets an answer.',
    reason: 'One bad line of a client must not end its session.',
    // Over HTTP, what gets no answer is no whole request.
    explains: ({ tool, kind, theirs, ours }) =>
      tool !== 'HTTP' && kind === 'silent' && theirs === undefined && ours !== undefined,
  },
  {
    name: 'ids-are-text-or-whole-numbers',
    original: 'Any JSON is taken for an id and sent back, rounded where it is a long number.',
    ours: 'An id is text or a whole number that JSON can carry; anything else is an invalid request.',
    reason: 'An id that comes back as another value leaves the client waiting for ever.',
    explains: ({ kind, ours }) =>
      (kind === 'reason' || kind === 'refused') && asText(ours).includes('id must be text or a whole number'),
  },
  {
    name: 'one-message-a-line',
    original:
      'A list of the values of a request, in the order of its members, is taken for a request; a batch is a parse error.',
    ours: 'A line is one JSON object; a list is an invalid request.',
    reason: 'The first is an accident of its parser, and MCP has no batches any more.',
    explains: ({ kind, args, ours }) =>
      (kind === 'reason' || kind === 'refused') &&
      Array.isArray(args) &&
      asText(ours).includes('batches are not supported'),
  },
  {
    name: 'invalid-requests-have-their-code',
    original:
      'JSON that is no request is a parse error (-32700) without an id; members that MCP does not know are ignored.',
    ours: 'It is an invalid request (-32600), under its id where it has one, and the error says what is wrong with it.',
    reason: 'JSON-RPC says so, and a client can tell which of its requests is meant.',
    explains: ({ kind, theirs, ours }) =>
      kind === 'reason' &&
      /^(Parse error|Method not found|Missing tool name|Not initialized)/.test(asText(theirs)) &&
      asText(ours).startsWith('Invalid Request: '),
  },
  {
    name: 'json-as-javascript-reads-it',
    original: 'A member that is given twice, and half of a surrogate pair, are parse errors.',
    ours: 'The last of two members counts, and half a pair is refused only in what is stored.',
    reason: 'It is how the JSON parser of the platform reads.',
    explains: ({ kind, theirs }) =>
      kind === 'accepted' && /^Parse error: (duplicate field|unexpected end of hex escape|lone )/.test(asText(theirs)),
  },
  {
    name: 'settings-are-checked',
    tools: ['the process'],
    original: 'A setting that cannot be read counts as its default, and an unknown `--transport` as stdio.',
    ours: 'The program does not start: exit code 2, and a sentence that names the setting and what it may be.',
    reason: 'Who sets something wants it to count.',
    explains: ({ at, theirs, ours, args }) => {
      if (at !== '/exit' || theirs !== 0 || ours !== 2 || !isObject(args)) return false;
      const { argv, env } = args;
      const words = Array.isArray(argv) ? (argv as readonly Json[]).map(asText) : [];
      const transport = words[words.indexOf('--transport') + 1] ?? '';
      if (words.includes('--transport') && !['stdio', 'http', 'sse'].includes(transport)) return true;
      return ['MIMIR_POOL_MAX_SIZE', 'MIMIR_BUSY_TIMEOUT_MS'].some(
        (name) => !isWholePositive(textAt(env, name) ?? '1'),
      );
    },
  },
  {
    name: 'one-json-text-a-body',
    tools: ['HTTP', 'no request'],
    original: 'Over HTTP, what stands behind the JSON of a body is ignored.',
    ours: 'Such a body is no JSON: status 400, and a parse error.',
    reason: 'Over stdio the original refuses it as well; a body that was sent twice must not look like one.',
    explains: (finding) => {
      const { tool, kind, ours, args } = finding;
      const body = tool === 'HTTP' ? sent(finding).message : args;
      if (typeof body !== 'string' || !/^\{.*\}\s+\S/.test(body)) return false;
      return isStatus(finding, 200, 400) || (kind === 'reason' && ours === 'Parse error: the body is not JSON');
    },
  },
  {
    name: 'refusals-are-json',
    tools: ['HTTP'],
    original: 'A request that cannot be read is answered with a sentence of a library, as plain text.',
    ours: 'The status is the same, and the body an error of JSON-RPC.',
    reason: 'A client that reads only bodies can act on it.',
    explains: ({ kind, at, theirs, ours, answers }) => {
      if (answers.theirs['status'] !== answers.ours['status'] || Number(answers.ours['status']) < 400) return false;
      if (at === '/headers/content-type') return asText(theirs).startsWith('text/plain') && ours === 'application/json';
      const error = isObject(ours) ? ours['error'] : undefined;
      return kind === 'type' && at === '/body' && isObject(error) && [-32700, -32600].includes(Number(error['code']));
    },
  },
  {
    name: 'larger-bodies',
    tools: ['HTTP'],
    original: 'A request has at most 2 MiB.',
    ours: 'It has at most 4.',
    reason: 'A body of a memory may have 1 MiB, and escapes make it longer.',
    explains: (finding) => {
      const { at, answers } = finding;
      const bytes = Number(sent(finding).headers['content-length']);
      if (answers.theirs['status'] !== 413 || answers.ours['status'] !== 200) return false;
      return bytes <= LIMITS.httpBodyMaxBytes && /^\/(status|headers\/content-type|body)$/.test(at);
    },
  },
  {
    name: 'other-sites-are-kept-out',
    tools: ['HTTP'],
    original: 'Every site may read every answer: `*` stands in its CORS headers. Nobody looks at Host and Origin.',
    ours:
      'Host must name this machine, and Origin a page of it, else the status is 403. Only an origin that was allowed gets CORS headers; ' +
      'otherwise OPTIONS is a method that no path has.',
    reason: 'Any page that somebody looks at could read and erase what is stored.',
    switch: '`--allow-origin ORIGIN`, `--allow-host NAME`',
    explains: (finding) => {
      const { kind, at, theirs, answers } = finding;
      const request = sent(finding);
      const status = Number(answers.ours['status']);
      if (status === 403 && !isFromElsewhere(request)) return false;
      if (at === '/status') return status === 403 || (request.method === 'OPTIONS' && status === 405);
      if (kind !== 'missing') return false;
      if (at === '/headers/allow') return status === 403;
      if (at === '/headers/vary') return asText(theirs).startsWith('origin');
      return at.startsWith('/headers/access-control-allow-') && theirs === '*';
    },
  },
  {
    name: 'bearer-in-any-case',
    tools: ['HTTP'],
    original: 'The word `Bearer` must be written so, with one blank behind it.',
    ours: 'It may be written in small letters too, and with more blanks.',
    reason: 'RFC 9110 says so of every scheme.',
    explains: (finding) => {
      const { kind, at, answers } = finding;
      if (answers.theirs['status'] !== 401 || answers.ours['status'] !== 200) return false;
      if (!/^bearer +\S+$/i.test(asText(sent(finding).headers['authorization']))) return false;
      return (
        at === '/status' || (kind === 'missing' && /^\/(headers\/www-authenticate|body\/(error|message))$/.test(at))
      );
    },
  },
  {
    name: 'strangers-learn-no-methods',
    tools: ['HTTP'],
    original: 'Who has no token, and uses a method that the path does not have, is told those that it has.',
    ours: 'They are told that they need a token, and nothing else.',
    reason: 'It comes first.',
    explains: ({ kind, at, answers }) =>
      kind === 'missing' &&
      at === '/headers/allow' &&
      answers.theirs['status'] === 401 &&
      answers.ours['status'] === 401,
  },
  {
    name: 'all-doors-are-open',
    tools: ['HTTP', 'the process'],
    original: '`--transport http` serves `POST /message`, and `--transport sse` also `GET /sse`.',
    ours: 'Both serve these and `/mcp`, and say so when they begin.',
    reason: 'Clients of every revision find what they speak.',
    explains: (finding) => {
      const { tool, kind, at, ours, theirs } = finding;
      if (tool === 'the process')
        return (
          kind === 'extra' &&
          at === '/banner/[]' &&
          /^(GET  http\S+\/sse|MCP clients connect to http\S+\/mcp)$/.test(asText(ours))
        );
      const { path } = sent(finding);
      return kind === 'changed' && at === '/status' && theirs === 404 && ours !== 404 && /^\/(mcp|sse)$/.test(path);
    },
  },
  {
    name: 'a-stream-of-its-own',
    tools: ['HTTP'],
    original:
      '`GET /sse` announces `/message`. What is posted there with any `session_id` is answered in the response, and on the streams of everybody.',
    ours:
      'It announces an address of its own. What is posted there is answered on this stream and on no other; with an id that somebody ' +
      'has made up, in the response alone.',
    reason: "What one client asks is none of the others' business, and the standard clients wait for their own stream.",
    explains: (finding) => {
      const { kind, at, theirs, ours, answers } = finding;
      if (sent(finding).path !== '/sse') return false;
      if (at === '/endpoint') return theirs === '/message' && /^\/message\?session_id=[0-9a-f]{32}$/.test(asText(ours));
      // Proxies that pack what they pass on would hold back events.
      if (at === '/headers/cache-control') return ours === `${asText(theirs)}, no-transform`;
      return kind === 'lacking' && at === '/messages/[]' && textAt(answers.ours, 'endpoint') !== undefined;
    },
  },
  {
    name: 'a-stop-is-clean',
    tools: ['the process'],
    original: 'SIGTERM ends a server on HTTP at once, and its write-ahead log is left beside the store.',
    ours: 'It answers what it has begun, folds the log into the store and ends with exit code 0.',
    reason: 'A service that is stopped has not failed, and its store can be copied.',
    explains: ({ kind, at, theirs, ours }) =>
      (at === '/exit_after_SIGTERM' && theirs === -15 && ours === 0) ||
      (kind === 'lacking' && at === '/files_left/[]' && /-(shm|wal)$/.test(asText(theirs))),
  },
  {
    name: 'a-start-that-fails',
    tools: ['the process'],
    original: 'A server that cannot listen prints its addresses, then a failure, and ends with exit code 1.',
    ours: 'It prints one sentence that says what helps. Exit code 4: the port is taken. Exit code 2: without a token it listens on loopback only.',
    reason:
      'A port may be free in a while, a wrong setting stays wrong; and who has read an address expects somebody there.',
    explains: (finding) => {
      const { kind, at, theirs, ours } = finding;
      const said = failedStart(finding);
      if (said === undefined) return false;
      if (at === '/exit') return theirs === 1;
      if (at !== '/banner/[]') return false;
      return kind === 'extra' ? ours === said : kind === 'lacking' && BANNER.test(asText(theirs));
    },
  },
  {
    name: 'no-web-page-yet',
    tools: ['the process'],
    original: '`--web` serves a page on the port of the server, or says that it is taken.',
    ours: 'A line says that the page is not there yet.',
    reason: 'Nobody should wait for what does not come.',
    explains: ({ kind, at, theirs, ours }) => {
      if (at !== '/banner/[]') return false;
      return kind === 'lacking'
        ? asText(theirs).startsWith('web dashboard ')
        : ours === '--web has no effect: the web page is not there yet';
    },
  },
];
