import { monotonicMs, systemClock } from '../clock.ts';
import {
  readConnectors,
  readEmbedding,
  readLanguage,
  readStoreConfig,
  usage,
  wantsColours,
  type StoreConfig,
} from '../config.ts';
import { ERRORS, EXIT_CODES, MimirError, type ErrorCode } from '../errors.ts';
import { print, printError } from '../log.ts';
import type { TellProgress } from '../memory/types.ts';
import type { ToolAnswer } from '../tools/types.ts';
import type { Call, Command, Host, OpenStore } from './command.ts';
import { demandStore, warnOfEarlyStore } from './early.ts';
import { didYouMean } from './nearest.ts';
import { showProgress, type Progress } from './progress.ts';
import { harmless, members, prettyJson, type Look } from './show.ts';

/** A command that is one call of one tool. Its flags with a `field` are the arguments. */
export interface ToolCommand extends Omit<Command, 'run'> {
  readonly tool: string;
  /** Arguments beside those of the flags. */
  readonly args?: (call: Call) => Readonly<Record<string, unknown>>;
  /** What is printed; throws a `MimirError` when the answer is a failure in the eyes of this command. */
  readonly show: (answer: ToolAnswer, call: Call) => string;
  /** What did not work although the tool answered: it is said on stderr, and the exit code is 4. */
  readonly troubles?: (answer: ToolAnswer) => readonly string[];
  /** What a terminal reads while it takes long. */
  readonly doing?: string;
  /** The flag that names the store, where it is not `db`. */
  readonly store?: string;
}

/** The exit code of a tool's failure; the original's commands say 1 whatever it was. */
export function failed(answer: ToolAnswer, ofOriginal: boolean): number {
  printError(answer.text);
  if (ofOriginal) return 1;
  const { code } = members(JSON.parse(answer.json) as unknown);
  const row = typeof code === 'string' && Object.hasOwn(ERRORS, code) ? ERRORS[code as ErrorCode] : ERRORS.bug;
  return EXIT_CODES[row.kind];
}

const WIDEST = 100;

/** How text for people is set on this terminal. */
export function lookOf({ environment }: Call): Look {
  const { isTTY, columns } = process.stdout;
  // A pipe has no columns, and some terminals say that they have 0; very long lines are hard to read.
  const width = columns > 0 ? Math.min(columns, WIDEST) : 80;
  return { colours: wantsColours(isTTY, environment), columns: width, nowMs: systemClock.nowMs() };
}

function argumentsOf(row: ToolCommand, call: Call): Record<string, unknown> {
  const fromFlags = row.flags
    .filter(({ field, name }) => field !== undefined && call.values[name] !== undefined)
    .map(({ field = '', name }): [string, unknown] => [field, call.values[name]]);
  return { ...Object.fromEntries(fromFlags), ...row.args?.(call) };
}

/** Who hears how far a tool has come; nobody without a terminal, because counting what there is to do is a look at all of it. */
function heardBy(progress: Progress | null): TellProgress | undefined {
  return process.stderr.isTTY ? progress?.update : undefined;
}

/** Makes a command of a tool. */
export function toolCommand(row: ToolCommand): Command {
  const { tool, show, doing, store: storeFlag, args: _, troubles = () => [], ...command } = row;
  const codeOf = ({ kind }: MimirError): number => (row.ofOriginal === true ? 1 : EXIT_CODES[kind]);
  return {
    ...command,
    run: async (call, host) => {
      const values = storeFlag === undefined ? call.values : { ...call.values, db: call.values[storeFlag] };
      const config = readStoreConfig(values, call.environment);
      const store = await host.open({
        ...config,
        isDry: call.values['dry-run'] === true,
        connectors: readConnectors(values, call.environment),
      });
      warnOfEarlyStore(config, call.environment);
      const progress = doing === undefined ? null : showProgress(doing, process.stderr, monotonicMs);
      let answer: ToolAnswer;
      try {
        // Those of the original make one all the same, as theirs do.
        if (row.ofOriginal !== true) demandRead(store, tool, config);
        answer = await store.call(tool, argumentsOf(row, call), heardBy(progress));
      } finally {
        progress?.end();
        await store.close();
      }
      if (answer.isError) {
        if (call.values['json'] === true) print(answer.json);
        return failed(answer, row.ofOriginal === true);
      }
      try {
        print(show(answer, call));
        const bad = troubles(answer);
        for (const one of bad) printError(harmless(one));
        return bad.length === 0 ? 0 : EXIT_CODES.unavailable;
      } catch (thrown) {
        if (!(thrown instanceof MimirError)) throw thrown;
        printError(thrown.message);
        return codeOf(thrown);
      }
    },
  };
}

/** Throws `cannot_open` for a tool that only reads, where a store was named that is not there: that is a mistake and no beginning. */
function demandRead(store: OpenStore, tool: string, config: StoreConfig): void {
  if (!config.dbIsDefault && store.onlyReads(tool)) demandStore(config);
}

const withoutPrefix = (name: string): string => name.replace(/^mimir_/, '');

/** Most tools have ended by then, and what flickers past tells nobody anything. */
const SHORT_MS = 500;

/** `mimir call`: any tool, with arguments as JSON. */
export async function callAnyTool(call: Call, host: Host): Promise<number> {
  const [word = ''] = call.words;
  const args = await readArguments(String(call.values['args']));
  const { values, environment } = call;
  const models = { embedding: readEmbedding(values, environment), language: readLanguage(values, environment) };
  const connectors = readConnectors(values, environment);
  const config = readStoreConfig(values, environment);
  warnOfEarlyStore(config, environment);
  const store = await host.open({ ...config, ...models, connectors });
  const name = [word, `mimir_${word}`].find((one) => store.toolNames.includes(one));
  if (name === undefined) {
    const near = didYouMean(withoutPrefix(word), store.toolNames.map(withoutPrefix));
    throw usage('There is no tool of that name.', `${near} docs/tools.md shows all of them.`.trim());
  }
  const progress = showProgress(name, process.stderr, monotonicMs, SHORT_MS);
  let answer: ToolAnswer;
  try {
    demandRead(store, name, config);
    answer = await store.call(name, args, heardBy(progress));
  } finally {
    progress.end();
    await store.close();
  }
  print(process.stdout.isTTY ? prettyJson(answer.json) : answer.json);
  return answer.isError ? failed(answer, false) : 0;
}

async function readArguments(text: string): Promise<unknown> {
  let json = text;
  if (text === '-') {
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
    json = Buffer.concat(chunks).toString('utf8');
  }
  try {
    return JSON.parse(json) as unknown;
  } catch {
    // The parser's own message quotes the text.
    throw usage(
      '--args is not JSON.',
      `Write it as '{"query":"staging"}', or give --args - and send it on standard input.`,
    );
  }
}
