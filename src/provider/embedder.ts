import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { normalised } from '../memory/vector.ts';

/** What a text is embedded for: some models want different words before each. */
export type Role = 'question' | 'stored';

/** Turns texts into vectors. */
export interface Embedder {
  /** Names the model for the store, whatever serves it: equal names mean comparable vectors. */
  identity(): Promise<string>;
  /** What stands before a text that is stored. */
  readonly storedPrefix: string;
  /** Texts that are best sent at a time. */
  readonly batch: number;
  /** A vector of length 1 for each text, in order, all of the same size. Rejects with `provider_down` or `provider_refused`. */
  embed(texts: readonly string[], role: Role, signal: AbortSignal): Promise<Float32Array[]>;
  close(): Promise<void>;
}

/** What a model wants to have before a question and before a stored text. */
export interface Prefixes {
  readonly question: string;
  readonly stored: string;
}

/** By the family's name in the name of a model; each as its model card asks for. */
const PREFIXES: readonly (readonly [RegExp, Prefixes])[] = [
  [/e5.*instruct|e5-mistral/i, { question: 'Query: ', stored: '' }],
  [/qwen3-embedding/i, { question: 'Instruct: Find what answers the question\nQuery:', stored: '' }],
  [/embedding-?gemma/i, { question: 'task: search result | query: ', stored: 'title: none | text: ' }],
  [/arctic-embed.*(v2|2(\b|:))|arctic-embed2/i, { question: 'query: ', stored: '' }],
  [/(^|[/_-])e5([/_-]|$)/i, { question: 'query: ', stored: 'passage: ' }],
  [/nomic-embed/i, { question: 'search_query: ', stored: 'search_document: ' }],
  [
    /bge-(small|base|large)-en|mxbai-embed|arctic-embed/i,
    { question: 'Represent this sentence for searching relevant passages: ', stored: '' },
  ],
];

/** The prefixes of a model; none for one that is not known to want any. */
export function prefixesOf(model: string): Prefixes {
  return PREFIXES.find(([family]) => family.test(model))?.[1] ?? { question: '', stored: '' };
}

/** Checks what a model answered: as many vectors as texts, of one size, of finite numbers that are not all 0. */
export function checkedVectors(answered: unknown, texts: number): Float32Array[] {
  const wrong = (what: string): never => {
    throw new MimirError('provider_refused', `The embedding model answered ${what}.`);
  };
  if (!Array.isArray(answered) || answered.length !== texts) return wrong('with another number of vectors');
  const vectors = answered.map((one: unknown): Float32Array => {
    const isVector = one instanceof Float32Array || (Array.isArray(one) && one.every((x) => typeof x === 'number'));
    if (!isVector || one.length === 0) return wrong('what is no vector');
    if (one.length > LIMITS.vectorDimensionsMax)
      return wrong(`with more than ${LIMITS.vectorDimensionsMax} dimensions`);
    return normalised(one) ?? wrong('a vector without a direction');
  });
  if (vectors.some(({ length }) => length !== vectors[0]?.length)) return wrong('with vectors of different sizes');
  return vectors;
}
