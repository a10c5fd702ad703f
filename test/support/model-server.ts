import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the server was asked. */
export interface ModelRequestSeen {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly model: string;
  /** What is to be embedded. */
  readonly input: readonly string[];
  /** What is to be answered: all texts of it. */
  readonly prompt: string;
  /** The body as it came. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** How it answers: vectors of its own making, or something else. */
export type ModelAnswer = (request: ModelRequestSeen, response: ServerResponse) => void | Promise<void>;

/** A running fake of a model server. */
export interface ModelServer {
  readonly url: string;
  readonly seen: ModelRequestSeen[];
  /** Replaces how it answers. */
  answer: ModelAnswer;
  close(): Promise<void>;
}

const DIMENSIONS = 64;

/**
 * A deterministic stand-in for an encoder, for plumbing only: words of one group of meaning share a dimension. It says
 * nothing about quality.
 */
export function fakeVector(text: string, dimensions: number = DIMENSIONS): number[] {
  const groups: Readonly<Record<string, string>> = { dog: 'pet', puppy: 'pet', car: 'vehicle', truck: 'vehicle' };
  const vector = Array<number>(dimensions).fill(0.001);
  for (const word of text.toLowerCase().match(/\p{L}+/gu) ?? []) {
    const group = groups[word] ?? word;
    let hash = 7;
    for (const char of group) hash = (hash * 31 + (char.codePointAt(0) ?? 0)) % dimensions;
    vector[hash] = (vector[hash] ?? 0) + 1;
  }
  return vector;
}

/** Answers in the form that the path asks for. */
export function goodAnswer(dimensions: number = DIMENSIONS): ModelAnswer {
  return ({ path, input }, response) => {
    const vectors = input.map((text) => fakeVector(text, dimensions));
    const body = path.includes('/v1/')
      ? { data: vectors.map((embedding, index) => ({ index, embedding })).toReversed() }
      : { embeddings: vectors };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
  };
}

/** Answers this text in the form that the path asks for. */
export function textAnswer(text: string): ModelAnswer {
  return ({ path }, response) => {
    const body = path.includes('/v1/')
      ? { choices: [{ index: 0, message: { role: 'assistant', content: text } }] }
      : { response: text, done: true };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
  };
}

/** Answers these bytes. */
export function rawAnswer(status: number, body: string, headers: Readonly<Record<string, string>> = {}): ModelAnswer {
  return (_, response) => void response.writeHead(status, headers).end(body);
}

/** Promises more than it sends. */
export const cutAnswer: ModelAnswer = (_, response) => {
  response.writeHead(200, { 'content-length': '400' });
  response.write('{"response": "cut', () => response.destroy());
};

/** Sends for ever. */
export const endlessAnswer: ModelAnswer = (_, response) => {
  const fill = (): void => {
    while (response.write('x'.repeat(1 << 20)));
    response.once('drain', fill);
  };
  fill();
};

async function read(request: IncomingMessage): Promise<ModelRequestSeen> {
  let text = '';
  for await (const part of request.setEncoding('utf8')) text += String(part);
  const body = JSON.parse(text === '' ? '{}' : text) as {
    model?: string;
    input?: string | string[];
    prompt?: string;
    messages?: { content: string }[];
  };
  const { input = [], prompt, messages = [], model = '' } = body;
  return {
    path: request.url ?? '',
    authorization: request.headers.authorization,
    model,
    input: typeof input === 'string' ? [input] : input,
    prompt: prompt ?? messages.map(({ content }) => content).join('\n\n'),
    body,
  };
}

/** Starts one on a free port of loopback; closes with the test. */
export async function startModelServer(t: { after(run: () => Promise<void>): void }): Promise<ModelServer> {
  const seen: ModelRequestSeen[] = [];
  const server = createServer((request, response) => {
    void read(request).then((asked) => {
      seen.push(asked);
      return running.answer(asked, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const running: ModelServer = {
    url: `http://127.0.0.1:${port}`,
    seen,
    answer: goodAnswer(),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  t.after(() => running.close());
  return running;
}
