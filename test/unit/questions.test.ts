import assert from 'node:assert/strict';
import test from 'node:test';

import { LIMITS } from '../../src/limits.ts';
import type { Log } from '../../src/log.ts';
import { Breaker } from '../../src/provider/breaker.ts';
import type { Embedder } from '../../src/provider/embedder.ts';
import { Questions } from '../../src/provider/questions.ts';

const log: Log = { banner: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** A model whose answers are let go by hand. */
function setUp(batch = 32) {
  const requests: { texts: readonly string[]; answer: () => void; fail: (error: Error) => void }[] = [];
  const embedder: Embedder = {
    identity: async () => 'm',
    storedPrefix: '',
    batch,
    embed: (texts) =>
      new Promise((resolve, reject) => {
        const answer = (): void => resolve(texts.map((text) => Float32Array.of(text.length, 1)));
        requests.push({ texts, answer, fail: reject });
      }),
    close: async () => undefined,
  };
  const breaker = new Breaker();
  const questions = new Questions({ embedder, breaker, log, ended: new AbortController().signal });
  return { requests, breaker, questions };
}

const turn = async (): Promise<void> => await new Promise((resolve) => setImmediate(resolve));

test('a few requests are out at a time, what comes meanwhile goes together, and the same is asked once', async () => {
  const { requests, questions } = setUp();
  const asked = Array.from({ length: 300 }, (_, i) => questions.vectors([`q${i % 150}`]));
  await turn();
  for (let done = 0; done < requests.length; done++) {
    assert.ok(requests.length - done <= LIMITS.questionRequestsMax);
    requests[done]?.answer();
    await turn();
  }
  const answers = await Promise.all(asked);
  assert.ok(answers.every((answer) => answer?.length === 1));
  const texts = requests.flatMap((one) => one.texts);
  assert.deepEqual([texts.length, new Set(texts).size], [150, 150]);
  assert.ok(requests.length <= 10, `${requests.length} requests`);
});

test('a vector that is known stays with its question, whoever else asks meanwhile', async () => {
  const { requests, questions } = setUp(1_000);
  const known = questions.vectors(['known']);
  await turn();
  requests[0]?.answer();
  await known;
  const both = questions.vectors(['known', 'new']);
  const others = questions.vectors(Array.from({ length: LIMITS.questionsKept + 1 }, (_, i) => `other ${i}`));
  await turn();
  for (const request of requests.slice(1)) request.answer();
  const [vectors] = await Promise.all([both, others]);
  assert.deepEqual(
    vectors?.map((vector) => vector[0]),
    [5, 3],
  );
});

test('too late for its question, a vector is there for the next; a failure leaves the model alone for a while', async () => {
  const { requests, questions, breaker } = setUp();
  const started = performance.now();
  assert.equal(await questions.vectors(['slow']), null);
  assert.ok(performance.now() - started < LIMITS.questionEmbedMs + 500);
  assert.ok(breaker.pauseMs(performance.now()) > 0);
  requests[0]?.answer();
  await turn();
  assert.equal((await questions.vectors(['slow']))?.length, 1);
  const failing = questions.vectors(['bad']);
  await turn();
  requests[1]?.fail(new Error('x'));
  assert.equal(await failing, null);
  assert.equal(await questions.vectors(['another']), null, 'not even asked');
  assert.equal(requests.length, 2);
});
