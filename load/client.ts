import { Agent, request as httpCall, type OutgoingHttpHeaders } from 'node:http';
import { connect, type Socket } from 'node:net';

/** An HTTP answer, as far as the test looks at it. */
export interface Answer {
  readonly status: number;
  /** The status line and the headers. */
  readonly head: string;
  readonly body: Buffer;
}

/** Whoever can be asked, one request after the other. */
export interface Talker {
  request(bytes: Buffer): Promise<Answer>;
  close(): void;
}

const HEADER_END = '\r\n\r\n';
const CHUNKED = /\r\ntransfer-encoding: *chunked/i;
const LAST_CHUNK = '\r\n0\r\n\r\n';
const LENGTH = /\r\ncontent-length: *(\d+)/i;

/** A whole HTTP request. It is built before the clock starts, so that the client's own work is not measured. */
export function httpRequest(path: string, body: string, headers = 'Accept: application/json\r\n'): Buffer {
  const head = `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n${headers}`;
  return Buffer.from(`${head}Content-Length: ${Buffer.byteLength(body)}${HEADER_END}${body}`);
}

/**
 * One HTTP/1.1 client over a bare socket, one request at a time. The client shares the processors with the server that
 * it measures; an HTTP library would take half as much time again as the server's own HTTP side.
 */
export class Connection implements Talker {
  readonly #host: string;
  readonly #port: number;
  readonly #fresh: boolean;
  #socket: Socket | undefined;
  #waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined;
  #head: Buffer | undefined;
  #status = 0;
  #headText = '';
  /** An answer in chunks, as far as it has come. */
  #chunked: Buffer | undefined;
  #chunks: Buffer[] = [];
  #missing = 0;

  /** With `fresh`, every request gets a connection of its own. */
  constructor(port: number, fresh: boolean, host = '127.0.0.1') {
    this.#host = host;
    this.#port = port;
    this.#fresh = fresh;
  }

  /** Sends a request and waits for its answer; rejects when the connection ends first. */
  request(bytes: Buffer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket ??= this.#open();
      this.#socket.write(bytes);
    });
  }

  /** Ends the connection; a request that waits is rejected. */
  close(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.destroy();
    this.#fail(new Error('closed by the load test'));
  }

  #open(): Socket {
    const socket = connect({ host: this.#host, port: this.#port, noDelay: true });
    this.#head = undefined;
    this.#chunked = undefined;
    const ended = (error: Error): void => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      this.#fail(error);
    };
    socket.on('data', (chunk: Buffer) => {
      if (this.#socket === socket) this.#take(chunk);
    });
    socket.on('error', ended);
    socket.on('close', () => ended(new Error('the server closed the connection')));
    return socket;
  }

  #take(chunk: Buffer): void {
    if (this.#chunked !== undefined) return this.#takeChunked(Buffer.concat([this.#chunked, chunk]));
    if (this.#missing > 0) {
      this.#chunks.push(chunk);
      this.#missing -= chunk.length;
    } else {
      const seen = this.#head === undefined ? chunk : Buffer.concat([this.#head, chunk]);
      const end = seen.indexOf(HEADER_END);
      if (end < 0) {
        this.#head = seen;
        return;
      }
      this.#head = undefined;
      const head = seen.toString('latin1', 0, end);
      this.#headText = head;
      this.#status = Number(head.slice(9, 12));
      if (CHUNKED.test(head)) return this.#takeChunked(seen.subarray(end + HEADER_END.length - 2));
      const length = LENGTH.exec(head)?.[1];
      if (length === undefined) {
        this.#end(new Error('an answer without Content-Length'));
        return;
      }
      const body = seen.subarray(end + HEADER_END.length);
      this.#chunks = [body];
      this.#missing = Number(length) - body.length;
    }
    if (this.#missing === 0) this.#finish();
    else if (this.#missing < 0) this.#end(new Error('an answer longer than its Content-Length'));
  }

  /** `seen` begins with the line end before the first chunk's size. */
  #takeChunked(seen: Buffer): void {
    this.#chunked = seen;
    if (seen.toString('latin1', Math.max(0, seen.length - LAST_CHUNK.length)) !== LAST_CHUNK) return;
    this.#chunked = undefined;
    this.#chunks = [];
    for (let at = 2; at < seen.length;) {
      const lineEnd = seen.indexOf('\r\n', at);
      const size = Number.parseInt(seen.toString('latin1', at, lineEnd), 16);
      if (!(size > 0)) break;
      this.#chunks.push(seen.subarray(lineEnd + 2, lineEnd + 2 + size));
      at = lineEnd + 2 + size + 2;
    }
    this.#finish();
  }

  #finish(): void {
    const answer = {
      status: this.#status,
      head: this.#headText,
      body: this.#chunks.length === 1 ? (this.#chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#chunks),
    };
    this.#chunks = [];
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (this.#fresh) {
      const socket = this.#socket;
      this.#socket = undefined;
      socket?.destroy();
    }
    waiting?.resolve(answer);
  }

  #end(error: Error): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.destroy();
    this.#fail(error);
  }

  #fail(error: Error): void {
    this.#chunks = [];
    this.#missing = 0;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(error);
  }
}

/** The same over Node's HTTP client, which is what the SDKs of agents use; it takes more than the server's HTTP side. */
export class NodeConnection implements Talker {
  readonly #port: number;
  readonly #agent: Agent;

  /** With `fresh`, every request gets a connection of its own. */
  constructor(port: number, fresh: boolean) {
    this.#port = port;
    this.#agent = new Agent({ keepAlive: !fresh, maxSockets: 1 });
  }

  /** Sends what {@link httpRequest} has built, and waits for the answer; rejects when the connection ends first. */
  async request(bytes: Buffer): Promise<Answer> {
    const end = bytes.indexOf(HEADER_END);
    const [first = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
    const [method = '', path = ''] = first.split(' ');
    const headers: OutgoingHttpHeaders = Object.fromEntries(lines.map((line) => line.split(': ', 2)));
    const options = { host: '127.0.0.1', port: this.#port, agent: this.#agent, method, path, headers };
    return await new Promise((resolve, reject) => {
      const call = httpCall(options, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const pairs = Object.entries(response.headers).map(([name, value]) => `\r\n${name}: ${String(value)}`);
          resolve({ status: response.statusCode ?? 0, head: pairs.join(''), body: Buffer.concat(chunks) });
        });
      });
      call.on('error', reject);
      call.end(bytes.subarray(end + HEADER_END.length));
    });
  }

  /** Ends the connection; a request that waits is rejected. */
  close(): void {
    this.#agent.destroy();
  }
}

/** How the clients speak HTTP: over bare sockets, or with Node's HTTP client. */
export const CLIENTS = ['bare', 'node'] as const;

/** One of {@link CLIENTS}. */
export type ClientName = (typeof CLIENTS)[number];

/** One client's connection. */
export function connectionOf(name: ClientName, port: number, fresh: boolean): Talker {
  return name === 'bare' ? new Connection(port, fresh) : new NodeConnection(port, fresh);
}

/** What one client sends, and who hears what came back. */
export interface Lane {
  /** The next request, or undefined when this client is done. */
  next(): Buffer | undefined;
  answered(answer: Answer, ms: number): void;
  failed(error: Error): void;
}

/** A client without a server says so and stops, rather than filling the report with the same sentence. */
const FAILURES_IN_A_ROW_MAX = 3;

/** Runs a lane to its end: the next request leaves when the answer to the last one is complete. */
export async function drive(connection: Talker, lane: Lane): Promise<void> {
  let failures = 0;
  for (let bytes = lane.next(); bytes !== undefined; bytes = lane.next()) {
    const from = performance.now();
    try {
      const answer = await connection.request(bytes);
      lane.answered(answer, performance.now() - from);
      failures = 0;
    } catch (error) {
      lane.failed(error instanceof Error ? error : new Error(String(error)));
      if (++failures === FAILURES_IN_A_ROW_MAX) return;
    }
  }
}
