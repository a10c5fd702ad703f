// Entry of a thread that holds one connection. It runs whatever operation it is told; what that means is the engine's.
import { parentPort, workerData } from 'node:worker_threads';

import { systemClock } from '../clock.ts';
import { OPERATIONS, type OperationName } from '../engine/operations.ts';
import { errorToData } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import {
  openReader,
  openWriter,
  translate,
  type OpenOptions,
  type StoreReader,
  type StoreWriter,
} from '../storage/open.ts';
import type { WriteJob } from '../storage/sqlite/batch.ts';
import type { Exclusive, Reader, Writer } from '../storage/store.ts';
import type { Answer, Call, FromThread, ThreadSettings, ToThread } from './messages.ts';

const settings = workerData as ThreadSettings;
const port = parentPort;
if (port === null) throw new Error('thread.ts is the entry of a worker thread');

const send = (message: FromThread): void => port.postMessage(message);

type Outcome = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: unknown };
const toAnswer = (outcome: Outcome): Answer =>
  outcome.ok ? outcome : { ok: false, error: errorToData(outcome.error) };

type AnyRun<Tx> = (tx: Tx, scope: Call['scope'], input: unknown) => Promise<unknown>;
const runOf = <Tx>(call: Call): AnyRun<Tx> => OPERATIONS[call.name as OperationName].run as unknown as AnyRun<Tx>;

/** Filling that met a lock or a full disk is tried again after this. */
const WARM_UP_AGAIN_MS = 1_000;

/** Answers leave at the latest after this: the main thread works on the first ones while the next are being read. */
const ANSWER_AFTER_MS = 0.25;

// All reads of a message see one snapshot: a new one after somebody's commit starts with an empty page cache, and filling
// it again costs more than a small search.
async function readAll(store: StoreReader, calls: readonly Call[]): Promise<void> {
  let answers: Answer[] = [];
  let answered = 0;
  let since = performance.now();
  const push = (answer: Answer): void => {
    answers.push(answer);
    answered += 1;
    if (answered < calls.length && performance.now() - since < ANSWER_AFTER_MS) return;
    send({ kind: 'answers', answers });
    answers = [];
    since = performance.now();
  };
  try {
    await store.snapshot(async (tx: Reader) => {
      for (const call of calls) {
        try {
          push({ ok: true, value: await runOf<Reader>(call)(tx, call.scope, call.input) });
        } catch (thrown) {
          push({ ok: false, error: errorToData(translate(thrown)) });
        }
      }
    });
  } catch (thrown) {
    while (answered < calls.length) push({ ok: false, error: errorToData(thrown) });
  }
}

async function writeAll(store: StoreWriter, message: ToThread & { kind: 'calls' }): Promise<void> {
  const jobs = message.calls.map((call): WriteJob => ({
    id: call.id,
    kind: call.name,
    scope: call.scope,
    input: call.input,
    ...(call.idempotencyKey !== undefined && { idempotencyKey: call.idempotencyKey }),
    run: (tx: Writer) => runOf<Writer>(call)(tx, call.scope, call.input),
  }));
  const told: { outcomes: readonly Outcome[] | null } = { outcomes: null };
  const result = await store.batch(jobs, {
    usage: message.usage,
    prepared: (outcomes) => {
      told.outcomes = outcomes;
      send({ kind: 'prepared', answers: outcomes.map(toAnswer) });
    },
  });
  const held = told.outcomes === result.outcomes;
  send({ kind: 'done', answers: held ? null : result.outcomes.map(toAnswer), usageStored: result.usageStored });
}

async function runAlone(store: StoreWriter, call: Call): Promise<void> {
  let answer: Answer;
  try {
    answer = { ok: true, value: await runOf<Exclusive>(call)(store.exclusive, call.scope, call.input) };
  } catch (thrown) {
    answer = { ok: false, error: errorToData(translate(thrown)) };
  }
  send({ kind: 'done', answers: [answer], usageStored: false });
}

function serve(store: StoreReader, writer: StoreWriter | null): void {
  let busy = Promise.resolve();
  let batches = 0;

  const afterBatch = async (): Promise<void> => {
    if (writer === null) return;
    batches += 1;
    if (batches % LIMITS.checkpointEveryBatches === 0) {
      try {
        writer.checkpoint();
      } catch {
        // A checkpoint that fails (a full disk) loses nothing: the log keeps growing, the next one tries again.
      }
    }
    // Another process waits for the write lock as well: without a pause the one that just had it wins again.
    if (writer.othersWrote) await new Promise((resolve) => setTimeout(resolve, 1 + 2 * Math.random()));
  };

  let isRebuilding = false;
  let toldMs = Number.NEGATIVE_INFINITY;
  const tellRebuild = (): void => {
    const progress = writer?.rebuilding ?? null;
    if (progress === null ? !isRebuilding : performance.now() - toldMs < LIMITS.rebuildToldMs) return;
    isRebuilding = progress !== null;
    toldMs = performance.now();
    send({ kind: 'rebuilding', progress });
  };

  let warming = false;
  const warmUp = (): void => {
    if (warming || !store.cold) return;
    warming = true;
    busy = busy.then(() => {
      warming = false;
      try {
        const isMore = store.warmUp();
        tellRebuild();
        if (!isMore) return;
      } catch {
        setTimeout(warmUp, WARM_UP_AGAIN_MS).unref();
        // Without what is kept in memory the index on disk answers, and fewer look-alikes are found; both only cost time.
        return;
      }
      setImmediate(warmUp);
    });
  };

  port?.on('message', (message: ToThread) => {
    busy = busy.then(async () => {
      if (message.kind === 'close') {
        store.close();
        port.close();
        return;
      }
      if (message.access === 'read' || writer === null) {
        await readAll(store, message.calls);
        warmUp();
        return;
      }
      const [alone] = message.calls;
      if (message.access === 'exclusive' && alone !== undefined) await runAlone(writer, alone);
      else await writeAll(writer, message);
      await afterBatch();
      warmUp();
    });
  });
  send({ kind: 'open' });
  setImmediate(warmUp);
}

const options: OpenOptions = { ...settings, clock: systemClock };
try {
  const writer = settings.role === 'writer' ? openWriter(options) : null;
  serve(writer ?? openReader(options, 'searches'), writer);
} catch (thrown) {
  send({ kind: 'cannot_open', error: errorToData(thrown) });
}
