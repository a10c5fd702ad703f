// How requests are read and refused.
import type { Finding } from '../compare.ts';
import type { Difference } from '../difference.ts';
import { asText, atPointer, isObject, textAt, type Json } from '../recording.ts';

/** What our refusal says when a bound or a form is broken that the original does not have. */
const BOUND = /is too long|has too many members|is nested too deep|NUL character|half of a surrogate pair/;
const NUMBER = /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i;

function holds(value: Json | undefined, wanted: (one: Json) => boolean): boolean {
  if (value === undefined) return false;
  if (wanted(value)) return true;
  return isObject(value) && Object.values(value).some((one) => holds(one, wanted));
}

/** Whether we have read arguments that the original refuses, whatever came of it. */
function isTaken({ kind, answers }: Finding): boolean {
  return kind === 'accepted' || (kind === 'reason' && textAt(answers.ours, 'code') !== 'invalid_argument');
}

/** Lines about requests. */
export const REQUESTS: readonly Difference[] = [
  {
    name: 'unknown-tool',
    original: 'A tool that does not exist is a result with `isError`.',
    ours: 'It is the JSON-RPC error -32602.',
    reason: 'The specification says so, and the official SDKs expect it.',
    shownBy: 'test/conformance/five-doors.test.ts',
    explains: ({ kind, theirs, ours }) =>
      kind === 'wording' && asText(theirs).startsWith('Unknown tool') && asText(ours).startsWith('Unknown tool'),
  },
  {
    name: 'one-failure-style',
    original:
      'Failures come in two styles: `isError` around a text that holds JSON that holds the message, or, for twelve tools, a ' +
      'normal result with nothing but `error`.',
    ours:
      'Every failure has `isError: true`, a readable text with the mend in it, and `structuredContent` with `error`, `code`, ' +
      '`kind` and mostly `hint`. Sentences are our own; codes are stable.',
    reason: 'A client that looks at `isError` never takes a failure for a result, and a program can act on the code.',
    explains: ({ tool, kind, at }) =>
      kind === 'wording' || (tool === 'mimir_embed' && kind === 'changed' && at === '/errors/[]'),
  },
  {
    name: 'null-is-absent',
    original: '`null` for an argument, or for all of them, is mostly a type error.',
    ours: '`null` is the same as leaving the argument out.',
    reason: 'Many clients send every optional argument as null.',
    explains: (finding) =>
      isTaken(finding) &&
      /invalid type: null/.test(asText(finding.theirs)) &&
      holds(finding.args, (one) => one === null),
  },
  {
    name: 'numbers-and-booleans-as-text',
    original: 'A number or a boolean that comes as text is a type error.',
    ours: 'Text that is nothing but a number, `true` or `false` is read as that.',
    reason: 'Language models often quote them.',
    explains: (finding) =>
      isTaken(finding) &&
      /invalid type: string .*expected (a boolean|[fiu]\d\d|usize)/.test(asText(finding.theirs)) &&
      holds(finding.args, (one) => typeof one === 'string' && (NUMBER.test(one) || one === 'true' || one === 'false')),
  },
  {
    name: 'whole-numbers',
    original:
      'Where an integer is due, `10.0` and numbers beyond 64 bits are type errors, and -1 is one where it counts something.',
    ours: 'Numbers are read by their value: `10.0` is 10. What is outside of the range moves to its nearer end.',
    reason: 'JSON has one kind of number, and serialisers of other languages write 10 as 10.0.',
    explains: (finding) =>
      isTaken(finding) &&
      /invalid (type: floating point|value: integer).*expected ([iu]\d\d|usize)/.test(asText(finding.theirs)) &&
      holds(finding.args, (one) => typeof one === 'number'),
  },
  {
    name: 'arguments-are-an-object',
    original:
      '`arguments` may be a list: its members are taken in the order in which the program declares its fields. Tools without ' +
      'arguments take anything.',
    ours: '`arguments` must be an object, or absent.',
    reason: 'The specification knows only objects; the order of the fields was never published.',
    explains: ({ kind, args, ours }) =>
      (kind === 'refused' || kind === 'reason') &&
      !isObject(args) &&
      asText(ours).includes('they must be an object with named members'),
  },
  {
    name: 'bounded-texts',
    original: 'Texts may be of any length and may hold NUL characters; some of the latter fail inside SQLite.',
    ours:
      'Names, ids and tags have at most 2,048 bytes, bodies and state values 1 MiB, lists 64 members, JSON 128 levels. NUL ' +
      'and half surrogate pairs are refused. The error names the argument and the bound.',
    reason:
      'One request must not use up the memory or the time of everybody else, and what is stored must come back unchanged.',
    explains: ({ kind, ours }) => (kind === 'refused' || kind === 'reason') && BOUND.test(asText(ours)),
  },
  {
    name: 'known-words-only',
    tools: ['mimir_recall'],
    original: 'A `mode` that is none of the published ones is taken for `fts5`.',
    ours: 'It is refused, and the error lists the words.',
    reason: 'A typing error would otherwise search in another way than was asked, without a word.',
    explains: ({ kind, args, ours }) =>
      kind === 'refused' &&
      isObject(args) &&
      typeof args['mode'] === 'string' &&
      asText(ours).includes('`mode` is another word'),
  },
  {
    name: 'queries-of-any-length',
    tools: ['mimir_recall'],
    original: 'A query of about a thousand words fails: `Expression tree is too large`.',
    ours: 'The words that say most are searched.',
    reason: 'A pasted page is a fair question.',
    explains: ({ kind, theirs }) => kind === 'accepted' && asText(theirs).includes('Expression tree is too large'),
  },
  {
    name: 'no-crash-on-preview',
    tools: ['mimir_recall', 'HTTP'],
    original: 'A `preview_cap` that falls inside a character ends the server process; over HTTP, the status is 500.',
    ours: 'The cut moves to the beginning of that character.',
    reason: 'It is a crash.',
    explains: ({ tool, kind, at, args, theirs, ours }) => {
      if (tool !== 'HTTP')
        return kind === 'died' && theirs === 'died' && isObject(args) && typeof args['preview_cap'] === 'number';
      const given = atPointer(args, '/message/params/arguments/preview_cap');
      return at === '/status' && theirs === 500 && ours === 200 && typeof given === 'number';
    },
  },
  {
    name: 'state-aliases',
    tools: ['mimir_state_set'],
    original:
      '`value` and `ttl`, which the adapter for LangGraph sends, are unknown; `ttl_seconds` must be an integer.',
    ours: 'They are taken for `value_json` and `ttl_seconds`, and fractions of a second count as a whole one.',
    reason: 'The adapter then works.',
    explains: ({ kind, theirs, args }) =>
      kind === 'accepted' &&
      isObject(args) &&
      ((/missing field `value_json`/.test(asText(theirs)) && 'value' in args) ||
        (/floating point/.test(asText(theirs)) && typeof (args['ttl_seconds'] ?? args['ttl']) === 'number')),
  },
];
