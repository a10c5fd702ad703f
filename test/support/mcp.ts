import { request } from 'node:http';

import { http, until, type HttpAnswer } from './processes.ts';

/** A JSON-RPC answer. */
export interface RpcAnswer {
  readonly id?: unknown;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly code: number; readonly message: string };
}

/** What every request of 2026-07-28 carries. */
export const MODERN_META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
  'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
};

/** The last message in the text of an event stream. */
export function lastEvent(text: string): RpcAnswer {
  const data = text.split('\n').filter((line) => line.startsWith('data: {'));
  return JSON.parse(data.at(-1)?.slice('data: '.length) ?? 'null') as RpcAnswer;
}

/** A POST to `/mcp` by hand, and its answer, whichever form it has. */
export async function mcpPost(
  port: number,
  body: string,
  more: Readonly<Record<string, string>> = {},
): Promise<HttpAnswer & { readonly answer: RpcAnswer }> {
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...more };
  const got = await http(port, { path: '/mcp', body, headers });
  const isStream = String(got.headers['content-type']).startsWith('text/event-stream');
  const answer = isStream ? lastEvent(got.body) : got.body === '' ? {} : (JSON.parse(got.body) as RpcAnswer);
  return { ...got, answer };
}

/** An open session of HTTP+SSE. */
export interface SseSession {
  /** Where to post, as the server announced it. */
  readonly endpoint: string;
  /** Everything that came over the stream. */
  readonly text: () => string;
  readonly post: (message: object | string) => Promise<HttpAnswer>;
  /** Posts a request and waits for its answer on the stream. */
  readonly ask: (message: object) => Promise<RpcAnswer>;
  readonly close: () => void;
}

/** Opens `GET /sse` by hand. */
export async function openSse(port: number): Promise<SseSession> {
  let text = '';
  const stream = request({ host: '127.0.0.1', port, path: '/sse', agent: false }, (response) => {
    response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    response.on('error', () => undefined);
  });
  stream.on('error', () => undefined);
  stream.end();
  const endpoint = await until(() => /event: endpoint\ndata: (\S+)\n\n/.exec(text)?.[1]);
  const messages = (): RpcAnswer[] =>
    [...text.matchAll(/event: message\ndata: (.*)\n\n/g)].map(([, data = '']) => JSON.parse(data) as RpcAnswer);
  const post = async (message: object | string): Promise<HttpAnswer> =>
    await http(port, { path: endpoint, body: typeof message === 'string' ? message : JSON.stringify(message) });
  return {
    endpoint,
    text: () => text,
    post,
    ask: async (message) => {
      const { status, body } = await post(message);
      if (status !== 202) throw new Error(`${status} ${body}`);
      const { id } = message as { id?: unknown };
      return await until(() => messages().find((answer) => answer.id === id));
    },
    close: () => void stream.destroy(),
  };
}
