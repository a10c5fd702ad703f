// 100,000 vectors: the nearest ten are those of a search through all of them with double precision.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';

import { systemClock } from '../../src/clock.ts';
import { OWNER } from '../../src/memory/scope.ts';
import type { Scope } from '../../src/memory/types.ts';
import { normalised } from '../../src/memory/vector.ts';
import { makeSharedMemory, openReader, openWriter, prepareStore } from '../../src/storage/open.ts';
import { OPERATIONS } from '../../src/engine/operations.ts';
import { temporaryFolder } from '../support/processes.ts';

const ROWS = 100_000;
const DIMENSIONS = 384;
const QUESTIONS = 50;
const SEED = 7;
const SCOPE: Scope = { principal: OWNER, workspace: null, actor: 'o', client: 't' };

function random(): () => number {
  let state = SEED;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
}

test(`the nearest ten of ${ROWS} are the right ones in at least 99 of 100 places (seed ${SEED})`, async (t) => {
  const next = random();
  const options = {
    path: join(temporaryFolder(t), 'm.db'),
    key: null,
    clock: systemClock,
    busyTimeoutMs: 5_000,
    shared: makeSharedMemory(),
  };
  prepareStore(options);
  const store = openWriter(options);
  let operations = 0;
  const write = async <T>(
    run: (tx: Parameters<Parameters<typeof store.transaction>[1]>[0]) => Promise<T>,
  ): Promise<T> => (await store.transaction({ id: `w${operations++}`, kind: 't', scope: SCOPE }, run)) as T;
  const space = await write(async (tx) => tx.openSpace('m', DIMENSIONS, ''));
  // Texts of some subjects lie close together, as real ones do: far harder to tell apart than random directions.
  const subjects = Array.from({ length: 500 }, () => Array.from({ length: DIMENSIONS }, next));
  const vectors: Float32Array[] = [];
  for (let from = 0; from < ROWS; from += 500) {
    await write(async (tx) => {
      const memories = Array.from({ length: 500 }, (_, i) => ({
        category: 'c',
        key: `k${from + i}`,
        bodyJson: '"x"',
        recallWhen: [],
      }));
      await OPERATIONS.remember_many.run(tx, SCOPE, { memories });
      const waiting = await tx.unembedded(SCOPE, {}, space.id, from, 500);
      const made = waiting.map(({ body }) => {
        const subject = subjects[body % subjects.length] ?? [];
        const vector = normalised(subject.map((value) => value + 0.6 * next())) ?? new Float32Array(DIMENSIONS);
        vectors[body] = vector;
        return { body, vector };
      });
      await tx.putVectors(space.id, from + 500, made);
    });
  }
  store.close();
  const reader = openReader(options, 'searches');
  let right = 0;
  const times: number[] = [];
  const questions = Array.from({ length: QUESTIONS }, (_, i) => {
    const subject = subjects[i * 7] ?? [];
    return normalised(subject.map((value) => value + 0.6 * next())) ?? new Float32Array(DIMENSIONS);
  });
  const ask = async (vector: Float32Array): Promise<number[]> =>
    await reader.snapshot(async (tx) => {
      const found = await tx.candidates(SCOPE, { terms: [], keyText: '', nearTo: { space: space.id, vector } }, {}, 10);
      return found.map(({ body }) => body);
    });
  // The first question begins to fill the memory, and idle time goes on with it.
  const filledFrom = performance.now();
  await ask(questions[0] ?? new Float32Array());
  while (reader.cold) reader.warmUp();
  const filledMs = performance.now() - filledFrom;
  for (const question of questions) {
    const from = performance.now();
    const found = await ask(question);
    times.push(performance.now() - from);
    const exact = vectors
      .map((vector, body) => {
        let sum = 0;
        for (let k = 0; k < DIMENSIONS; k++) sum += (vector[k] ?? 0) * (question[k] ?? 0);
        return { body, sum };
      })
      .filter((one) => one !== undefined)
      .toSorted((a, b) => b.sum - a.sum)
      .slice(0, 10);
    right += exact.filter(({ body }) => found.slice(0, 10).includes(body)).length;
  }
  reader.close();
  times.sort((a, b) => a - b);
  const recall = right / (QUESTIONS * 10);
  t.diagnostic(
    `recall@10 ${recall.toFixed(4)}; a search ${times[25]?.toFixed(1)} ms (p50), ${times[47]?.toFixed(1)} ms (p95); filled in ${Math.round(filledMs)} ms`,
  );
  assert.ok(recall >= 0.99, String(recall));
});
