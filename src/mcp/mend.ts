import { specTypeSchemas, type JSONRPCMessage, type RequestId } from '@modelcontextprotocol/server';

import { LIMITS } from '../limits.ts';
import { LATEST_REVISION, toolCallProblem } from './dispatch.ts';

/** What a door got: a message, or why it is none and the id to say so under. */
export type Read = { readonly message: JSONRPCMessage } | { readonly problem: string; readonly id: RequestId | null };

/**
 * Reads a value as one message, put right as {@link mend} says. What comes through is what the SDK's schema takes: its server
 * drops everything else without a word, and a client would wait for an answer for ever.
 */
export function readMessage(value: unknown): Read {
  const written = mend(value);
  const problem = problemOf(written);
  return problem === null ? { message: written as JSONRPCMessage } : { problem, id: readableId(written) };
}

/** Half a sentence, or null. */
function problemOf(message: unknown): string | null {
  if (Array.isArray(message)) return 'batches are not supported; send one message at a time';
  if (!isObject(message)) return 'a message is a JSON object';
  if ('id' in message && readableId(message) === null) return 'id must be text or a whole number that JSON can carry';
  if (!('method' in message || 'result' in message || 'error' in message)) return 'method is missing';
  const { issues } = specTypeSchemas[kindOf(message)]['~standard'].validate(message);
  const [issue] = issues ?? [];
  if (issue === undefined) return null;
  const place = issue.path?.map((part) => (typeof part === 'object' ? part.key : part)).join('.');
  return `${place === undefined || place === '' ? '' : `${place}: `}${issue.message}`.slice(0, LIMITS.problemMaxChars);
}

function kindOf(message: object): 'JSONRPCRequest' | 'JSONRPCNotification' | 'JSONRPCResponse' {
  if (!('method' in message)) return 'JSONRPCResponse';
  return 'id' in message ? 'JSONRPCRequest' : 'JSONRPCNotification';
}

/** The id of a message that may be none; null when there is nothing that can be an id. */
export function readableId(message: unknown): RequestId | null {
  if (!isObject(message)) return null;
  const { id } = message;
  // A number that JSON.parse has rounded is the id of nothing that the client knows.
  return typeof id === 'string' || Number.isSafeInteger(id) ? (id as RequestId) : null;
}

/** The method of 2026-07-28 whose answer comes when a subscription ends. */
export const SUBSCRIBE = 'subscriptions/listen';

/** The method of a message that may be none. */
export function methodOf(message: unknown): unknown {
  return isObject(message) ? message['method'] : undefined;
}

/** The id of the request that this message cancels; null for any other message. A cancelled request gets no answer. */
export function cancelledRequest(message: unknown): RequestId | null {
  if (!isObject(message) || message['method'] !== 'notifications/cancelled') return null;
  const { params } = message;
  return isObject(params) ? readableId({ id: params['requestId'] }) : null;
}

/** What the SDK would answer with a list of schema faults, in one sentence: the id and that sentence; or null. */
export function callProblem(message: unknown): { readonly id: RequestId; readonly why: string } | null {
  const id = readableId(message);
  if (id === null || !isObject(message) || message['method'] !== 'tools/call') return null;
  const why = toolCallProblem(message['params']);
  return why === null ? null : { id, why };
}

/**
 * The message with what hurried clients (shell scripts, older adapters) leave out or write otherwise, so that the SDK
 * lets it through: `params: null`, an `initialize` without a name, arguments that are no object. Others come back as they are.
 */
export function mend(message: unknown): unknown {
  if (!isObject(message)) return message;
  if (message['params'] === null) {
    const { params: _, ...rest } = message;
    return mend(rest);
  }
  const { params } = message;
  if (message['method'] === 'initialize') return { ...message, params: introduced(isObject(params) ? params : {}) };
  if (message['method'] === 'tools/call' && isObject(params)) {
    const args = params['arguments'];
    if (args !== undefined && !isObject(args)) return { ...message, params: { ...params, arguments: { [ODD]: args } } };
  }
  return message;
}

/** A key that no tool has: under it travel arguments that are no object. */
const ODD = '\u0000arguments';

/** The arguments as the client wrote them, before {@link mend}. */
export function writtenArguments(args: unknown): unknown {
  return isObject(args) && ODD in args ? args[ODD] : args;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function introduced(params: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { protocolVersion, capabilities, clientInfo } = params;
  const info = isObject(clientInfo) ? clientInfo : {};
  return {
    ...params,
    protocolVersion: typeof protocolVersion === 'string' ? protocolVersion : LATEST_REVISION,
    capabilities: isObject(capabilities) ? capabilities : {},
    clientInfo: {
      ...info,
      name: typeof info['name'] === 'string' ? info['name'] : 'unknown',
      version: typeof info['version'] === 'string' ? info['version'] : '0',
    },
  };
}
