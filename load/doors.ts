import { get } from 'node:http';
import { connectionOf, httpRequest, type Answer, type ClientName, type Talker } from './client.ts';
import { startStdio, type Child } from './server.ts';

/** The ways to the server that can be put under load. */
export const DOORS = ['message', 'mcp', 'sse', 'stdio'] as const;

/** One of {@link DOORS}. */
export type DoorName = (typeof DOORS)[number];

/** A client's own way in: its session, where the door has one. */
export interface Door {
  /** A message as this door wants it on the wire; made before the clock starts. */
  readonly frame: (message: string) => Buffer;
  readonly talker: Talker;
}

/** What a door is opened to. */
export interface DoorTarget {
  readonly port: number;
  readonly client: ClientName;
  readonly fresh: boolean;
  readonly server: readonly string[];
  readonly db: string;
}

/** The first message of every client. */
export const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'mimir-load', version: '1' } },
});

/** Opens a door for one client; rejects when the server does not let it in. */
export async function openDoor(name: DoorName, target: DoorTarget): Promise<Door> {
  switch (name) {
    case 'message':
      return {
        frame: (message) => httpRequest('/message', message),
        talker: connectionOf(target.client, target.port, target.fresh),
      };
    case 'mcp':
      return await openMcp(target);
    case 'sse':
      return await openSse(target);
    case 'stdio':
      return await openStdio(target);
  }
}

async function openMcp({ port, client }: DoorTarget): Promise<Door> {
  const connection = connectionOf(client, port, false);
  const accept = 'Accept: application/json, text/event-stream\r\n';
  const begun = await connection.request(httpRequest('/mcp', INITIALIZE, accept));
  const session = /\r\nmcp-session-id: *(\S+)/i.exec(begun.head)?.[1];
  if (session === undefined) throw new Error(`/mcp gave no session: HTTP ${begun.status}`);
  const headers = `${accept}Mcp-Session-Id: ${session}\r\nMcp-Protocol-Version: 2025-06-18\r\n`;
  return {
    frame: (message) => httpRequest('/mcp', message, headers),
    talker: {
      request: async (bytes) => {
        const answer = await connection.request(bytes);
        return { ...answer, body: lastData(answer.body) };
      },
      close: () => connection.close(),
    },
  };
}

const DATA = Buffer.from('data: {');

/** The last message in an event stream, or all of it when there is none. */
function lastData(body: Buffer): Buffer {
  const at = body.lastIndexOf(DATA);
  if (at < 0) return body;
  const end = body.indexOf(10, at);
  return body.subarray(at + DATA.length - 1, end < 0 ? body.length : end);
}

/** One request at a time: whoever waits for the next line or event. */
class Turn {
  #waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined;

  async take(send: () => void): Promise<Answer> {
    return await new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      send();
    });
  }

  answer(text: string): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve({ status: 200, head: '', body: Buffer.from(text) });
  }

  fail(error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(error);
  }
}

async function openSse({ port, client }: DoorTarget): Promise<Door> {
  const posts = connectionOf(client, port, false);
  const turn = new Turn();
  let pending = '';
  let announced: (path: string) => void = () => {};
  const endpoint = new Promise<string>((resolve) => (announced = resolve));
  const stream = get({ host: '127.0.0.1', port, path: '/sse', agent: false }, (response) => {
    response.setEncoding('utf8').on('data', (text: string) => {
      pending += text;
      for (let end = pending.indexOf('\n\n'); end >= 0; end = pending.indexOf('\n\n')) {
        const [, event, data = ''] = /^event: (\w+)\ndata: (.*)$/.exec(pending.slice(0, end)) ?? [];
        pending = pending.slice(end + 2);
        if (event === 'endpoint') announced(data);
        if (event === 'message') turn.answer(data);
      }
    });
  });
  const ended = (): void => turn.fail(new Error('the stream ended'));
  stream.on('error', ended).on('close', ended);
  const path = await endpoint;
  const frame = (message: string): Buffer => httpRequest(path, message);
  const talker: Talker = {
    request: async (bytes) => {
      // The answer may come over the stream before the POST's own.
      const [answer] = await Promise.all([
        turn.take(() => undefined),
        posts.request(bytes).then(({ status }) => {
          if (status !== 202) throw new Error(`the POST was answered with HTTP ${status}`);
        }),
      ]);
      return answer;
    },
    close: () => {
      stream.destroy();
      posts.close();
    },
  };
  await talker.request(frame(INITIALIZE));
  return { frame, talker };
}

async function openStdio({ server, db }: DoorTarget): Promise<Door> {
  const child = startStdio(server, db);
  const talker = stdioTalker(child);
  await talker.request(line(INITIALIZE));
  return { frame: line, talker };
}

/** A message as stdio wants it. */
export function line(message: string): Buffer {
  return Buffer.from(`${message}\n`);
}

/** Asks a server over its pipes; closing hangs up. */
export function stdioTalker(child: Child): Talker {
  const turn = new Turn();
  let pending = '';
  child.process.stdout?.setEncoding('utf8').on('data', (text: string) => {
    pending += text;
    for (let end = pending.indexOf('\n'); end >= 0; end = pending.indexOf('\n')) {
      turn.answer(pending.slice(0, end));
      pending = pending.slice(end + 1);
    }
  });
  void child.ended.then((code) => {
    const how = code === null ? 'a signal' : `code ${code}`;
    turn.fail(new Error(`a stdio server ended with ${how}: ${child.stderr.trim()}`));
  });
  return {
    request: async (bytes) => await turn.take(() => child.process.stdin?.write(bytes)),
    close: () => void child.hangUp(),
  };
}
