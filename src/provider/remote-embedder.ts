import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { checkedVectors, prefixesOf, type Embedder } from './embedder.ts';
import { postJson } from './http.ts';

/** A model server. */
export interface RemoteModel {
  /** As it was given; see {@link embeddingUrl}. */
  readonly endpoint: string;
  readonly model: string;
  readonly apiKey: string | null;
}

/** Where vectors are asked for, and in which form. */
export interface EmbeddingUrl {
  readonly url: string;
  readonly form: 'openai' | 'ollama';
}

/**
 * An address with `/v1` in it is OpenAI's form, anything else Ollama's, as in the original. What people leave out is added:
 * `http://host/v1` (or a path that ends in `/openai`) means `/v1/embeddings`, `http://host` Ollama's `/api/embed`, and its `/api/generate` as well.
 */
export function embeddingUrl(endpoint: string): EmbeddingUrl {
  const url = new URL(endpoint);
  const path = url.pathname.replace(/\/+$/, '');
  const form = /\/v1(\/|$)|\/openai$/.test(path) ? 'openai' : 'ollama';
  if (form === 'openai') url.pathname = /\/(v1|openai)$/.test(path) ? `${path}/embeddings` : path;
  else url.pathname = path === '' || path === '/api' ? '/api/embed' : path.replace(/\/api\/generate$/, '/api/embed');
  return { url: url.href, form };
}

/** Vectors in the order of the texts, whichever order the answer has them in. */
function openAiVectors(answer: unknown): unknown {
  const data = member(answer, 'data');
  if (!Array.isArray(data)) return undefined;
  const placed: unknown[] = [];
  for (const [at, one] of data.entries()) {
    const index = member(one, 'index');
    placed[typeof index === 'number' ? index : at] = member(one, 'embedding');
  }
  return placed;
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

/** Asks a server that speaks OpenAI's `/v1/embeddings` or Ollama's `/api/embed`. */
export function remoteEmbedder({ endpoint, model, apiKey }: RemoteModel): Embedder {
  const { url, form } = embeddingUrl(endpoint);
  const prefixes = prefixesOf(model);
  return {
    identity: async () => model,
    storedPrefix: prefixes.stored,
    batch: LIMITS.embedBatch,
    embed: async (texts, role, signal) => {
      const given = texts.map((text) => prefixes[role] + text);
      // A single text goes as one, as the original sends it.
      const input = given.length === 1 ? given[0] : given;
      const asked = { url, body: { model, input }, apiKey, deadlineMs: LIMITS.embedRequestMs, signal };
      const answer = await postJson(asked);
      const vectors = form === 'openai' ? openAiVectors(answer) : member(answer, 'embeddings');
      if (vectors === undefined) {
        throw new MimirError('provider_refused', 'The model server answered without vectors.');
      }
      return checkedVectors(vectors, texts.length);
    },
    close: async () => undefined,
  };
}
