/** A model server, as the operator names it. */
export interface RemoteModel {
  /** See {@link modelUrl}. */
  readonly endpoint: string;
  readonly model: string;
  readonly apiKey: string | null;
}

/** In which form a model server is spoken to. */
export type Form = 'openai' | 'ollama';

/** What a model is wanted for; `list`: which ones there are. */
export type Purpose = 'embed' | 'answer' | 'list';

/** Where a model is asked, and in which form. */
export interface ModelUrl {
  readonly url: string;
  readonly form: Form;
}

/** The end of the address by form and purpose. */
const PATHS = {
  openai: { embed: '/embeddings', answer: '/chat/completions', list: '/models' },
  ollama: { embed: '/api/embed', answer: '/api/generate', list: '/api/tags' },
} as const satisfies Record<Form, Record<Purpose, string>>;

/**
 * An address with `/v1` in it is OpenAI's form, anything else Ollama's, as in the original. What people leave out is added:
 * `http://host/v1` (or a path that ends in `/openai`) means `/v1/embeddings` or `/v1/chat/completions`, `http://host` Ollama's `/api/embed` or `/api/generate`;
 * and an address of the one purpose is that of the other too. Any other path stays as it is.
 */
export function modelUrl(endpoint: string, purpose: Purpose): ModelUrl {
  const url = new URL(endpoint);
  const path = url.pathname.replace(/\/+$/, '');
  const form = /\/v1(\/|$)|\/openai$/.test(path) ? 'openai' : 'ollama';
  const known =
    form === 'openai'
      ? /(\/v1|\/openai)(\/embeddings|\/chat\/completions)?$/
      : /()(^|^\/api|\/api\/(generate|chat|embed))$/;
  url.pathname = path.replace(known, `$1${PATHS[form][purpose]}`);
  return { url: url.href, form };
}

/** A member of what a server answered; undefined when there is none. */
export function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
