import { monotonicMs } from '../clock.ts';
import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { headOfChars } from '../memory/item.ts';
import { member, modelUrl, type Form, type RemoteModel } from './address.ts';
import { Breaker } from './breaker.ts';
import { exchange, postJson } from './http.ts';
import { askPrompt, citedIn, lessonsPrompt, readLessons } from './prompts.ts';
import type { Cited, Passage, Prompt, ReadLessons } from './prompts.ts';

/** An answer from memories. */
export interface ModelAnswer extends Cited {
  readonly text: string;
  /** True when it was longer. */
  readonly cut: boolean;
}

/** Reads and writes. Rejects with `provider_down`, `provider_refused`, `queue_full` or `cancelled`, never with a text in the error. */
export interface LanguageModel {
  /** Answers a question from these memories. */
  ask(question: string, passages: readonly Passage[], signal?: AbortSignal): Promise<ModelAnswer>;
  /** What the record of a session teaches. */
  lessons(session: string, signal?: AbortSignal): Promise<ReadLessons>;
  /** Looks whether the model is there: in the list of its server, or else by a question of one word. Rejects with what is wrong. */
  probe(deadlineMs: number): Promise<void>;
  /** Gives up what is asked. */
  close(): void;
}

/**
 * A model behind Ollama's `/api/generate` or OpenAI's `/v1/chat/completions`. Every caller asks for itself, so a server that
 * fails is asked again at once; only one that is silent, or asks for it by `Retry-After`, is left alone: nobody has to find
 * that out by waiting.
 */
export function remoteLanguageModel(
  { endpoint, model, apiKey }: RemoteModel,
  deadlineMs: number = LIMITS.modelAnswerMs,
): LanguageModel {
  const { url, form } = modelUrl(endpoint, 'answer');
  const breaker = new Breaker();
  const ended = new AbortController();
  let asked = 0;
  const say = async (prompt: Prompt, cancelled?: AbortSignal): Promise<string> => {
    const pauseMs = Math.ceil(breaker.pauseMs(monotonicMs()));
    if (pauseMs > 0) {
      const why = 'The language model is left alone for a while: it was silent, or asked for a pause.';
      throw new MimirError('provider_down', why, { retryAfterMs: pauseMs });
    }
    if (asked >= LIMITS.modelRequestsMax) {
      const why = 'Too many requests wait for the language model.';
      throw new MimirError('queue_full', why, { retryAfterMs: LIMITS.providerPauseMs });
    }
    asked += 1;
    const startedMs = monotonicMs();
    const signal = cancelled === undefined ? ended.signal : AbortSignal.any([ended.signal, cancelled]);
    try {
      const answer = await postJson({ url, body: bodyOf(form, model, prompt), apiKey, deadlineMs, signal });
      breaker.succeeded();
      return withoutThinking(textOf(form, answer));
    } catch (thrown) {
      if (!(thrown instanceof MimirError) || thrown.code !== 'provider_down') throw thrown;
      const { retryAfterMs = 0 } = thrown;
      const wasSilent = monotonicMs() - startedMs >= deadlineMs;
      if (wasSilent || retryAfterMs > LIMITS.providerPauseMs) breaker.failed(monotonicMs(), retryAfterMs);
      throw thrown;
    } finally {
      asked -= 1;
    }
  };
  return {
    ask: async (question, passages, signal) => {
      const whole = await say(askPrompt(question, passages), signal);
      const text = headOfChars(whole, LIMITS.modelAnswerMaxChars);
      return { text, ...citedIn(text, passages), cut: text.length < whole.length };
    },
    lessons: async (session, signal) => readLessons(await say(lessonsPrompt(session), signal)),
    probe: async (probeMs) => {
      const { signal } = ended;
      const names = await listedModels({ endpoint, model, apiKey }, probeMs, signal);
      if (names.some((name) => name === model || name === `${model}:latest`)) return;
      try {
        textOf(form, await postJson({ url, body: bodyOf(form, model, PROBE), apiKey, deadlineMs: probeMs, signal }));
      } catch (thrown) {
        if (names.length === 0 || !(thrown instanceof MimirError) || thrown.code !== 'provider_refused') throw thrown;
        const some = names.slice(0, LIMITS.modelsNamed).join(', ');
        throw new MimirError('provider_refused', thrown.message, { hint: `It has the models ${some}.` });
      }
    },
    close: () => ended.abort(),
  };
}

const PROBE: Prompt = { system: 'Answer with one word.', user: 'Is anybody there?' };

/** The names in the list of a server; none where it has no such list. Rejects with `provider_down` when nobody answers. */
async function listedModels(
  { endpoint, apiKey }: RemoteModel,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { url, form } = modelUrl(endpoint, 'list');
  const { text } = await exchange({
    url,
    method: 'GET',
    headers: apiKey === null ? {} : { authorization: `Bearer ${apiKey}` },
    deadlineMs,
    signal,
    who: 'The model server',
  });
  let listed: unknown;
  try {
    listed = JSON.parse(text);
  } catch {
    return []; // another path than that of the list, or a server without one
  }
  const models = member(listed, form === 'ollama' ? 'models' : 'data');
  if (!Array.isArray(models)) return [];
  const names = models.map((one: unknown) => member(one, form === 'ollama' ? 'name' : 'id'));
  return names.filter((name) => typeof name === 'string');
}

function bodyOf(form: Form, model: string, { system, user }: Prompt): unknown {
  // To Ollama exactly the members that the original sends: whatever stands behind such an address knows them.
  if (form === 'ollama') return { model, prompt: `${system}\n\n${user}`, stream: false };
  const messages = [
    { role: 'system', content: system },
    { role: 'user', content: user },
  ];
  return { model, messages, stream: false };
}

function textOf(form: Form, answer: unknown): string {
  const choices = member(answer, 'choices');
  const first: unknown = Array.isArray(choices) ? choices[0] : undefined;
  const text = form === 'ollama' ? member(answer, 'response') : member(member(first, 'message'), 'content');
  if (typeof text === 'string') return text;
  throw new MimirError('provider_refused', 'The model server answered without a text.', {
    hint: 'Look at its address: one with /v1 in it is spoken to as OpenAI, any other as Ollama (/api/generate).',
  });
}

/** Some models think aloud before they answer. */
function withoutThinking(text: string): string {
  return text.replace(/^\s*<think>[\s\S]*?<\/think>/i, '').trim();
}
