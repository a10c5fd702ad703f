// What a step came to, in one form for both programs: the original fails in two styles and we in one.
import { asText, isObject, textAt, type Json, type JsonObject, type Step } from './recording.ts';
import type { Reply } from './stage.ts';

/** What a step came to. */
export type Outcome =
  | { readonly kind: 'value'; readonly value: JsonObject }
  | { readonly kind: 'failure'; readonly message: string; readonly code: string; readonly facts: JsonObject }
  | { readonly kind: 'died' }
  /** No answer at all, to something that the other program answered. */
  | { readonly kind: 'silent' }
  /** Only ours: an answer that contradicts itself. */
  | { readonly kind: 'broken'; readonly why: string };

/** What the original answered. */
export function theirOutcome(step: Step): Outcome {
  if (step.died !== undefined) return { kind: 'died' };
  if (step.error !== undefined) return rpcFailure(step.error);
  const result = isObject(step.result) ? step.result : {};
  const value = result['structuredContent'];
  if (value === undefined) return { kind: 'value', value: result };
  if (!isObject(value)) throw new Error(`step ${step.n} has no object as its answer`);
  if (result['isError'] === true) {
    const [first] = value['content'] as readonly Json[];
    return { kind: 'failure', message: textAt(first, 'text') ?? '', code: '', facts: {} };
  }
  const message = Object.keys(value).length === 1 ? textAt(value, 'error') : undefined;
  return message === undefined ? { kind: 'value', value } : { kind: 'failure', message, code: '', facts: {} };
}

/** What we answered. */
export function ourOutcome(reply: Reply): Outcome {
  if ('died' in reply) return { kind: 'died' };
  if ('error' in reply) return rpcFailure(reply.error);
  const result = isObject(reply.result) ? reply.result : {};
  const value = result['structuredContent'];
  if (!isObject(value)) return { kind: 'value', value: result };
  if (result['isError'] !== true) return { kind: 'value', value };
  return { kind: 'failure', message: textAt(value, 'error') ?? '', code: textAt(value, 'code') ?? '', facts: value };
}

function rpcFailure(error: Json): Outcome {
  const facts = isObject(error) ? error : {};
  return { kind: 'failure', message: textAt(facts, 'message') ?? '', code: asText(facts['code']), facts };
}

/** What is wrong with the form of our own answer, whatever the original said; nothing when all is well. */
export function brokenForm(reply: Reply): string | undefined {
  if (!('result' in reply) || !isObject(reply.result)) return undefined;
  const { content, structuredContent: value, isError } = reply.result;
  if (content === undefined) return undefined;
  const text = Array.isArray(content) ? textAt((content as readonly Json[])[0], 'text') : undefined;
  if (text === undefined) return 'there is no text';
  if (!isObject(value)) return 'there is no structuredContent';
  if (isError === true) {
    if (['error', 'code', 'kind'].some((name) => (textAt(value, name) ?? '') === ''))
      return 'an error without its facts';
    return text.startsWith(textAt(value, 'error') ?? '') ? undefined : 'the text of the error is another one';
  }
  const said = JSON.parse(text) as Json;
  // The text may leave out what stands in it twice, and must say nothing else.
  const same =
    isObject(said) && Object.entries(said).every(([name, one]) => JSON.stringify(one) === JSON.stringify(value[name]));
  return same ? undefined : 'text and structuredContent say different things';
}

/**
 * Tools that are there and whose differences from the original are not written down yet: a session ends at the first of them, and
 * the report counts it. Each goes from here when it has its lines.
 */
export const UNJUDGED: ReadonlySet<string> = new Set(['mimir serve --web']);

/** Whether the differences of a tool or command are not written down yet. */
export function isUnjudged(tool: string): boolean {
  return UNJUDGED.has(tool);
}

/** Whether an outcome says that there is no such tool. */
export function isUnknownTool(outcome: Outcome, tool: string): boolean {
  return outcome.kind === 'failure' && outcome.message.startsWith(`Unknown tool: ${tool}`);
}

/** The error codes that fit a message of the original. */
export function codesFor(message: string): readonly string[] {
  if (/^(Unknown tool|Missing params|Missing tool name)/.test(message)) return ['-32602'];
  if (
    /^Invalid |is not valid JSON|^Missing 'id'|exceeds 64KB|requires at least one token|^prune requires/.test(message)
  )
    return ['invalid_argument'];
  if (message.endsWith(' is required')) return ['invalid_argument'];
  if (/No embedding backend|LLM is not enabled/.test(message)) return ['no_model'];
  if (
    /^(Embed|Ask) failed: (Embed|LLM) API call|Failed to (read|parse)|Invalid embed response|No embeddings/.test(
      message,
    ) ||
    /^Synthesize failed: (http:|response body closed)/.test(message)
  )
    return ['provider_down', 'provider_refused'];
  if (/No connectors configured/.test(message)) return ['no_connectors'];
  if (message.endsWith('is not a directory')) return ['not_found'];
  if (/Not a directory \(os error/.test(message)) return ['cannot_open'];
  if (/unable to open database file|file is not a database/.test(message)) return ['cannot_open', 'not_a_store'];
  if (/not found|No matching memories found/.test(message)) return ['not_found'];
  return [];
}
