import { CATEGORY, type Ledger } from './ledger.ts';
import type { Plan } from './plan.ts';
import { START_MS, startStdio, type Child, type Memory } from './server.ts';
import { errorIn, judgeWrite, makeRow, rememberCall, type Flow, type Tally } from './traffic.ts';
import { randomOf, type Random } from './words.ts';

/** A second server on the same file, reached over stdio, that does nothing but write. */
export class StdioWriter {
  readonly ms: number[] = [];
  /** What it used at most, seen before it ended. */
  memory: Memory | undefined;
  readonly #child: Child;
  readonly #name: string;
  readonly #random: Random;
  readonly #words: boolean;
  readonly #tally: Tally;
  readonly #ledger: Ledger;
  #pending = '';
  #waiting: { resolve: (line: string) => void; reject: (error: Error) => void } | undefined;
  #id = 0;

  constructor(plan: Plan, db: string, number: number, tally: Tally, ledger: Ledger) {
    this.#name = `p${number}`;
    this.#random = randomOf(plan.seed, `process ${number}`);
    this.#words = !plan.original;
    this.#tally = tally;
    this.#ledger = ledger;
    this.#child = startStdio(plan.server, db);
    this.#child.process.stdout?.setEncoding('utf8').on('data', (text: string) => this.#take(text));
    void this.#child.ended.then((code) =>
      this.#waiting?.reject(
        new Error(
          `a stdio server ended with ${code === null ? 'a signal' : `code ${code}`}: ${this.#child.stderr.trim()}`,
        ),
      ),
    );
  }

  #take(text: string): void {
    this.#pending += text;
    for (let end = this.#pending.indexOf('\n'); end >= 0; end = this.#pending.indexOf('\n')) {
      const line = this.#pending.slice(0, end);
      this.#pending = this.#pending.slice(end + 1);
      this.#waiting?.resolve(line);
    }
  }

  async #ask(line: string): Promise<unknown> {
    const answer = await new Promise<string>((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#child.process.stdin?.write(`${line}\n`);
    });
    this.#waiting = undefined;
    return JSON.parse(answer);
  }

  /** Says hello and writes one row, which opens the store: starting is not what is compared. */
  async start(): Promise<void> {
    const timer = setTimeout(() => this.#child.process.kill('SIGKILL'), START_MS);
    timer.unref();
    const clientInfo = { name: 'mimir-load', version: '1' };
    const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo };
    await this.#ask(JSON.stringify({ jsonrpc: '2.0', id: ++this.#id, method: 'initialize', params }));
    this.#child.process.stdin?.write(`${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' })}\n`);
    await this.#write(`${this.#name}-first`);
    clearTimeout(timer);
  }

  /** Writes row after row until the round is over; never more than one at a time. */
  async run(flow: Flow): Promise<void> {
    for (let i = 0; !flow.stopped && performance.now() < (flow.until ?? 0); i++) {
      const from = performance.now();
      try {
        await this.#write(`${this.#name}-w${i}`);
      } catch (error) {
        if (!flow.stopped) this.#tally.error(error instanceof Error ? error.message : String(error));
        return;
      }
      this.ms.push(performance.now() - from);
    }
  }

  async #write(key: string): Promise<void> {
    const row = makeRow(this.#random, key, this.#words);
    this.#ledger.issue(row.key, row.hash);
    const reply = await this.#ask(rememberCall(++this.#id, CATEGORY, row));
    const error = errorIn(reply);
    if (error !== undefined) this.#tally.error(error);
    else
      judgeWrite(
        row.key,
        (reply as { result: { structuredContent: unknown } }).result.structuredContent,
        this.#tally,
        this.#ledger,
      );
  }

  /** Closes its stdin, as a client does that goes away, and waits for its end. */
  async stop(): Promise<number | null | 'hung'> {
    this.memory = this.#child.memory();
    return this.#child.hangUp();
  }
}
