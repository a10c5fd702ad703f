// JSON-RPC and MCP themselves.
import type { Difference } from '../difference.ts';
import { asText, isObject, textAt, type Json } from '../recording.ts';

function hasId(request: Json | undefined): boolean {
  return isObject(request) && request['id'] !== undefined && request['id'] !== null;
}

function isWholePositive(text: string): boolean {
  return /^[1-9]\d*$/.test(text);
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
    ours: 'A message with a method and no id gets no answer.',
    reason: 'JSON-RPC forbids it, and a client cannot tell what such an answer belongs to.',
    explains: ({ kind, theirs, ours, args }) =>
      kind === 'silent' &&
      theirs !== undefined &&
      ours === undefined &&
      isObject(args) &&
      textAt(args, 'method') !== undefined &&
      !hasId(args),
  },
  {
    name: 'every-request-is-answered',
    original:
      'After a line that is no UTF-8 the program stops reading, and `notifications/initialized` gets no answer even with an id.',
    ours: 'The line gets an error and reading goes on. What has an id gets an answer.',
    reason: 'One bad line of a client must not end its session.',
    explains: ({ kind, theirs, ours }) => kind === 'silent' && theirs === undefined && ours !== undefined,
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
];
