import { monotonicMs } from '../clock.ts';
import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Log } from '../log.ts';
import type { BroughtIn, Source } from '../memory/sourced.ts';
import type { TellProgress } from '../memory/types.ts';

/** Brings one source into the store. */
export type BringIn = (
  source: Source,
  options: {
    readonly dryRun: boolean;
    readonly signal: AbortSignal;
    readonly onlyAgain?: boolean;
    readonly looked?: TellProgress;
  },
) => Promise<BroughtIn>;

/** What one connector brought in since it was last asked, its watching included. */
export interface ConnectorReport extends BroughtIn {
  readonly name: string;
}

/** The connectors of a running program. */
export interface Connectors {
  readonly names: readonly string[];
  /** Why others, which were asked for, are not there. */
  readonly problems: readonly string[];
  /** What stands in the settings and has no effect. */
  readonly notes: readonly string[];
  /** Runs one of them, or all, one after the other. A connector that fails says so in its report, and the next one runs. */
  readonly ingest: (asked: {
    readonly name?: string;
    readonly dryRun: boolean;
    readonly signal?: AbortSignal;
    /** Told of each connector how many documents were looked at. */
    readonly looked?: TellProgress;
  }) => Promise<readonly ConnectorReport[]>;
  /** Begins to bring in by itself what changes. What is stored already is looked through once, for what was missed. */
  readonly watch: () => void;
  readonly close: () => Promise<void>;
}

/** What has come in without being asked for. */
interface Unasked {
  readonly changed: ReadonlySet<string>;
  readonly forgotten: ReadonlySet<string>;
}

/** Puts sources, each with its own queue of runs, over what brings them in. */
export function createConnectors(
  sources: readonly Source[],
  bringIn: BringIn,
  log: Log,
  { problems = [], notes = [] }: Partial<Pick<Connectors, 'problems' | 'notes'>> = {},
): Connectors {
  const ended = new AbortController();
  const stops: (() => void)[] = [];
  const unasked = new Map<string, Unasked>();
  const queues = new Map<string, Promise<unknown>>();

  // Two runs over one source at once would store everything twice for nothing.
  const inTurn = <T>({ name }: Source, run: () => Promise<T>): Promise<T> => {
    const mine = (queues.get(name) ?? Promise.resolve()).then(run);
    const settled = mine.catch(() => undefined); // told to whoever asked
    queues.set(name, settled);
    return mine;
  };

  const runOnce = async (source: Source, options: Parameters<BringIn>[1]): Promise<ConnectorReport> => {
    const { name } = source;
    const { dryRun } = options;
    const done = await bringIn(source, options);
    const errors = done.errors.map((error) => `${name}: ${error}`);
    const before = unasked.get(name);
    if (dryRun || before === undefined) return { ...done, name, errors };
    unasked.delete(name);
    return {
      ...done,
      name,
      errors,
      changed: [...new Set([...before.changed, ...done.changed])],
      forgotten: [...new Set([...before.forgotten, ...done.forgotten])],
    };
  };

  const runUnasked = async (source: Source, onlyAgain: boolean): Promise<void> => {
    if (ended.signal.aborted) return;
    try {
      const done = await bringIn(source, { dryRun: false, signal: ended.signal, onlyAgain });
      const before = unasked.get(source.name);
      unasked.set(source.name, {
        changed: new Set([...(before?.changed ?? []), ...done.changed]),
        forgotten: new Set([...(before?.forgotten ?? []), ...done.forgotten]),
      });
      if (done.errors.length > 0) log.warn('connector_failed', { connector: source.name, errors: done.errors.length });
    } catch (thrown) {
      const error = thrown instanceof MimirError ? thrown.message : 'bug';
      if (!ended.signal.aborted) log.warn('connector_failed', { connector: source.name, error });
    }
  };

  const watchOne = async (source: Source): Promise<void> => {
    let [isWanted, isRunning, quietUntilMs] = [false, false, 0];
    let timer: NodeJS.Timeout | null = null;
    const run = (onlyAgain: boolean): Promise<void> =>
      inTurn(source, async () => {
        if (timer !== null) clearTimeout(timer);
        [isWanted, isRunning] = [false, true];
        const startedMs = monotonicMs();
        await runUnasked(source, onlyAgain);
        // Where something changes all the time, most of the processor is left to others.
        quietUntilMs = monotonicMs() + (monotonicMs() - startedMs) * LIMITS.watchPauses;
        isRunning = false;
        if (isWanted) runLater();
      });
    const runLater = (): void => {
      timer = setTimeout(() => void run(false), Math.max(0, quietUntilMs - monotonicMs())).unref();
    };
    const changed = (): void => {
      if (isWanted) return;
      isWanted = true;
      if (!isRunning) runLater();
    };
    const stop = await source.watch?.(changed);
    if (stop === undefined) return;
    stops.push(() => {
      if (timer !== null) clearTimeout(timer);
      stop();
    });
    if (ended.signal.aborted) stop();
    else await run(true);
  };

  return {
    names: sources.map(({ name }) => name),
    problems,
    notes,
    ingest: async ({ name, dryRun, signal, looked }) => {
      const signals = signal === undefined ? ended.signal : AbortSignal.any([ended.signal, signal]);
      const reports: ConnectorReport[] = [];
      const options = { dryRun, signal: signals, ...(looked !== undefined && { looked }) };
      for (const source of sources.filter((one) => name === undefined || one.name === name))
        reports.push(await inTurn(source, () => runOnce(source, options)));
      return reports;
    },
    watch: () => {
      for (const source of sources) {
        void watchOne(source).catch((thrown: unknown) => {
          const error = thrown instanceof MimirError ? thrown.message : 'bug';
          log.warn('not_watched', { connector: source.name, error });
        });
      }
    },
    close: async () => {
      ended.abort();
      for (const stop of stops) stop();
      await Promise.all(queues.values());
    },
  };
}
