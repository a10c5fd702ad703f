import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { member, modelUrl, type RemoteModel } from './address.ts';
import { checkedVectors, prefixesOf, type Embedder } from './embedder.ts';
import { postJson } from './http.ts';

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

/** Asks a server that speaks OpenAI's `/v1/embeddings` or Ollama's `/api/embed`. */
export function remoteEmbedder({ endpoint, model, apiKey }: RemoteModel): Embedder {
  const { url, form } = modelUrl(endpoint, 'embed');
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
