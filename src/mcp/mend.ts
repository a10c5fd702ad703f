import { LATEST_REVISION, toolCallProblem } from './dispatch.ts';

/** What is wrong with the form of a JSON-RPC message, as half a sentence; or null. */
export function structureProblem(message: unknown): string | null {
  if (Array.isArray(message)) return 'batches are not supported; send one message at a time';
  if (!isObject(message)) return 'a message is a JSON object';
  if (message['jsonrpc'] !== '2.0') return 'jsonrpc must be "2.0"';
  if ('id' in message) {
    const { id } = message;
    if (typeof id !== 'string' && !(typeof id === 'number' && Number.isInteger(id)))
      return 'id must be text or a whole number';
  }
  if ('method' in message) {
    if (typeof message['method'] !== 'string') return 'method must be text';
    const { params } = message;
    // `params: null` is the same as none, and mended later.
    return params === undefined || params === null || isObject(params) ? null : 'params must be an object';
  }
  return 'result' in message || 'error' in message ? null : 'method is missing';
}

/** The id of a message that may be none; null when there is nothing that can be an id. */
export function readableId(message: unknown): string | number | null {
  if (!isObject(message)) return null;
  const { id } = message;
  return typeof id === 'string' || typeof id === 'number' ? id : null;
}

/** The method of a message that may be none. */
export function methodOf(message: unknown): unknown {
  return isObject(message) ? message['method'] : undefined;
}

/** The id of the request that this message cancels; null for any other message. A cancelled request gets no answer. */
export function cancelledRequest(message: unknown): string | number | null {
  if (!isObject(message) || message['method'] !== 'notifications/cancelled') return null;
  const { params } = message;
  return isObject(params) ? readableId({ id: params['requestId'] }) : null;
}

/** What the SDK would answer with a list of schema faults, in one sentence: the id and that sentence; or null. */
export function callProblem(message: unknown): { readonly id: string | number; readonly why: string } | null {
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
