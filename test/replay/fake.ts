// The fake model server of a recording: the n-th request to a path gets the n-th answer, and the last one repeats.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

import { readJson, type FakeAnswer, type FakeRequest } from './recording.ts';

/** A running fake. */
export interface Fake {
  readonly port: number;
  /** What it was sent so far. */
  readonly requests: readonly FakeRequest[];
  readonly close: () => Promise<void>;
}

/** Starts the fake on a free port of loopback. */
export async function startFake(answers: Readonly<Record<string, readonly FakeAnswer[]>>): Promise<Fake> {
  const asked = new Map<string, number>();
  const requests: FakeRequest[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    let sent = '';
    request.setEncoding('utf8').on('data', (text: string) => (sent += text));
    request.on('end', () => {
      requests.push({ method: request.method ?? '', path, headers: toldBy(request), body: readJson(sent) ?? sent });
      const times = asked.get(path) ?? 0;
      asked.set(path, times + 1);
      const list = answers[path] ?? [];
      void reply(response, list[Math.min(times, list.length - 1)]);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    requests,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The headers that say something to a model server. */
function toldBy({ headers }: IncomingMessage): Record<string, string> {
  const { accept, 'content-type': type, authorization } = headers;
  return {
    ...(accept !== undefined && { accept }),
    ...(type !== undefined && { 'content-type': type }),
    ...(authorization !== undefined && { authorization }),
  };
}

async function reply(response: ServerResponse, answer: FakeAnswer | undefined): Promise<void> {
  if (answer === undefined) {
    response.writeHead(404).end();
    return;
  }
  await sleep(answer.delay_ms ?? 0);
  const length = answer.claim_length ?? Buffer.byteLength(answer.body);
  response.writeHead(answer.status, {
    'content-type': answer.content_type ?? 'application/json',
    'content-length': length,
    connection: 'close',
  });
  // Less than was promised, and then the connection is cut.
  if (answer.claim_length !== undefined) response.write(answer.body, () => response.destroy());
  else response.end(answer.body);
}
