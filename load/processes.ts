import type { Talker } from './client.ts';
import { INITIALIZE, line, stdioTalker } from './doors.ts';
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
  readonly #talker: Talker;
  readonly #name: string;
  readonly #random: Random;
  readonly #words: boolean;
  readonly #tally: Tally;
  readonly #ledger: Ledger;
  #id = 0;

  constructor(plan: Plan, db: string, number: number, tally: Tally, ledger: Ledger) {
    this.#name = `p${number}`;
    this.#random = randomOf(plan.seed, `process ${number}`);
    this.#words = !plan.original;
    this.#tally = tally;
    this.#ledger = ledger;
    this.#child = startStdio(plan.server, db);
    this.#talker = stdioTalker(this.#child);
  }

  /** Says hello and writes one row, which opens the store: starting is not what is compared. */
  async start(): Promise<void> {
    const timer = setTimeout(() => this.#child.process.kill('SIGKILL'), START_MS);
    timer.unref();
    await this.#talker.request(line(INITIALIZE));
    this.#child.process.stdin?.write(line(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' })));
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
    const { body } = await this.#talker.request(line(rememberCall(++this.#id, CATEGORY, row)));
    const reply: unknown = JSON.parse(body.toString());
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
