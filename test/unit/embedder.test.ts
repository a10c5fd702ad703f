import assert from 'node:assert/strict';
import test from 'node:test';

import { errorToData, MimirError } from '../../src/errors.ts';
import { LIMITS } from '../../src/limits.ts';
import { modelUrl } from '../../src/provider/address.ts';
import { Breaker } from '../../src/provider/breaker.ts';
import { checkedVectors, prefixesOf } from '../../src/provider/embedder.ts';
import { localEmbedder } from '../../src/provider/local-embedder.ts';
import { remoteEmbedder } from '../../src/provider/remote-embedder.ts';
import {
  cutAnswer,
  endlessAnswer,
  fakeVector,
  goodAnswer,
  rawAnswer,
  startModelServer,
} from '../support/model-server.ts';
import type { ModelAnswer } from '../support/model-server.ts';

const SECRET = 'sk-very-secret';
const never = new AbortController().signal;

test('an address is completed as people mean it, for each of the two purposes', () => {
  for (const [given, embed, answer, form] of [
    ['http://h:1', 'http://h:1/api/embed', 'http://h:1/api/generate', 'ollama'],
    ['http://h:1/', 'http://h:1/api/embed', 'http://h:1/api/generate', 'ollama'],
    ['http://h:1/api', 'http://h:1/api/embed', 'http://h:1/api/generate', 'ollama'],
    ['http://h:1/api/embed', 'http://h:1/api/embed', 'http://h:1/api/generate', 'ollama'],
    ['http://h:1/api/generate', 'http://h:1/api/embed', 'http://h:1/api/generate', 'ollama'],
    ['http://h:1/api/chat', 'http://h:1/api/embed', 'http://h:1/api/generate', 'ollama'],
    ['http://h:1/x/api/generate/', 'http://h:1/x/api/embed', 'http://h:1/x/api/generate', 'ollama'],
    ['http://h:1/proxy/embed', 'http://h:1/proxy/embed', 'http://h:1/proxy/embed', 'ollama'],
    ['https://h/v1', 'https://h/v1/embeddings', 'https://h/v1/chat/completions', 'openai'],
    ['https://h/v1/', 'https://h/v1/embeddings', 'https://h/v1/chat/completions', 'openai'],
    ['https://h/v1/embeddings', 'https://h/v1/embeddings', 'https://h/v1/chat/completions', 'openai'],
    ['https://h/v1/chat/completions', 'https://h/v1/embeddings', 'https://h/v1/chat/completions', 'openai'],
    ['https://h/a/v1/embeddings?v=2', 'https://h/a/v1/embeddings?v=2', 'https://h/a/v1/chat/completions?v=2', 'openai'],
    ['https://h/v1/other', 'https://h/v1/other', 'https://h/v1/other', 'openai'],
    ['https://h/v10', 'https://h/v10', 'https://h/v10', 'ollama'],
    [
      'https://h/v1beta/openai',
      'https://h/v1beta/openai/embeddings',
      'https://h/v1beta/openai/chat/completions',
      'openai',
    ],
  ] as const) {
    assert.deepEqual(modelUrl(given, 'embed'), { url: embed, form }, given);
    assert.deepEqual(modelUrl(given, 'answer'), { url: answer, form }, given);
  }
});

test('models that want words before a text get them', () => {
  for (const [model, question, stored] of [
    ['intfloat/multilingual-e5-small', 'query: ', 'passage: '],
    ['nomic-embed-text', 'search_query: ', 'search_document: '],
    ['BAAI/bge-small-en-v1.5', 'Represent this sentence for searching relevant passages: ', ''],
    ['snowflake-arctic-embed2', 'query: ', ''],
    ['embeddinggemma:300m', 'task: search result | query: ', 'title: none | text: '],
    ['all-minilm', '', ''],
    ['text-embedding-3-small', '', ''],
    ['the5th-model', '', ''],
  ] as const) {
    assert.deepEqual(prefixesOf(model), { question, stored }, model);
  }
  // A folder, or the file in it as the original is given it.
  for (const given of ['/m/multilingual-e5-small', '/m/multilingual-e5-small/onnx/model.onnx']) {
    assert.equal(localEmbedder(given).storedPrefix, 'passage: ', given);
  }
});

test('both forms answer in the order of the texts, with the prefix, the name and the key', async (t) => {
  const server = await startModelServer(t);
  for (const path of ['/v1', '/api/embed']) {
    const embedder = remoteEmbedder({ endpoint: server.url + path, model: 'nomic-embed-text', apiKey: SECRET });
    const texts = ['a dog', 'a car', 'something else'];
    const vectors = await embedder.embed(texts, 'stored', never);
    assert.deepEqual(
      vectors,
      checkedVectors(
        texts.map((text) => fakeVector(`search_document: ${text}`)),
        3,
      ),
      path,
    );
    const seen = server.seen.at(-1);
    assert.deepEqual([seen?.authorization, seen?.model], [`Bearer ${SECRET}`, 'nomic-embed-text']);
    await embedder.embed(['one'], 'question', never);
    assert.deepEqual(server.seen.at(-1)?.input, ['search_query: one']);
  }
});

const say = rawAnswer;
const vectors = (...list: unknown[]): ModelAnswer => say(200, JSON.stringify({ embeddings: list }));

test('what a model server may answer wrongly is told apart: what time mends, and what the operator has to', async (t) => {
  const server = await startModelServer(t);
  const embedder = remoteEmbedder({ endpoint: server.url, model: 'm', apiKey: SECRET });
  const table: readonly (readonly [what: string, code: string, answer: ModelAnswer])[] = [
    ['500', 'provider_down', say(500, 'x')],
    ['503 and nothing', 'provider_down', say(503, '')],
    ['429', 'provider_down', say(429, 'slow down', { 'retry-after': '7' })],
    ['401', 'provider_refused', say(401, SECRET)],
    ['404', 'provider_refused', say(404, 'no such model')],
    ['moved', 'provider_down', say(307, '', { location: 'http://127.0.0.1:1/' })],
    ['half of the JSON', 'provider_down', say(200, '{"embeddings": [[1,')],
    ['a body that is cut short', 'provider_down', cutAnswer],
    ['a page', 'provider_down', say(200, '<html>')],
    ['a list', 'provider_refused', say(200, '[]')],
    ['another form', 'provider_refused', say(200, '{"data": []}')],
    ['no vector', 'provider_refused', vectors()],
    ['two for one', 'provider_refused', vectors([1, 2], [3, 4])],
    ['an empty one', 'provider_refused', vectors([])],
    ['a text in it', 'provider_refused', vectors([1, 'x'])],
    ['a null in it', 'provider_refused', vectors([1, null])],
    ['zeros', 'provider_refused', vectors([0, 0])],
    ['a number above all floats', 'provider_refused', say(200, '{"embeddings": [[1e999, 1]]}')],
    ['too many dimensions', 'provider_refused', vectors(Array(LIMITS.vectorDimensionsMax + 1).fill(1))],
  ];
  for (const [what, code, answer] of table) {
    server.answer = answer;
    const error = await embedder.embed(['t'], 'stored', never).then(
      () => assert.fail(`${what}: it was taken`),
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof MimirError && error.code === code, `${what}: ${String(error)}`);
    assert.ok(!JSON.stringify(errorToData(error)).includes(SECRET), what);
    if (what === '429') assert.equal(error.retryAfterMs, 7_000);
  }
  await assert.rejects(
    async () => {
      server.answer = vectors([1, 2], [1, 2, 3]);
      await embedder.embed(['a', 'b'], 'stored', never);
    },
    { code: 'provider_refused' },
    'vectors of different sizes',
  );
});

test('an answer without end is given up, and a request can be cancelled', { timeout: 20_000 }, async (t) => {
  const server = await startModelServer(t);
  const embedder = remoteEmbedder({ endpoint: server.url, model: 'm', apiKey: null });
  server.answer = endlessAnswer;
  await assert.rejects(embedder.embed(['t'], 'stored', never), { code: 'provider_refused' });
  server.answer = () => undefined;
  const cancelled = new AbortController();
  const asked = embedder.embed(['t'], 'stored', cancelled.signal);
  setTimeout(() => cancelled.abort(), 50);
  await assert.rejects(asked, { code: 'cancelled' });
  server.answer = goodAnswer();
  await server.close();
  await assert.rejects(embedder.embed(['t'], 'stored', never), { code: 'provider_down' });
});

test('a server that fails is left alone twice as long each time, at least as long as it asks, and not for ever', () => {
  const breaker = new Breaker();
  assert.equal(breaker.pauseMs(0), 0);
  let [pauseMs, now] = [0, 0];
  for (let i = 0; i < 12; i++) {
    const next = breaker.failed(now);
    assert.equal(next, Math.min(LIMITS.providerPauseMostMs, Math.max(LIMITS.providerPauseMs, pauseMs * 2)));
    assert.equal(breaker.failed(now + 1), next - 1, 'one that was out at the same time');
    assert.equal(breaker.pauseMs(now + 1), next - 1);
    [pauseMs, now] = [next, now + next];
    assert.equal(breaker.pauseMs(now), 0);
  }
  assert.ok(!breaker.admits(now - 1), 'in the pause');
  assert.ok(breaker.admits(now) && !breaker.admits(now), 'one tries after it');
  breaker.failed(now);
  assert.ok(breaker.admits(now + 2 * pauseMs), 'and one after the next');
  breaker.succeeded();
  assert.ok(breaker.admits(0) && breaker.admits(0), 'all may when it works');
  assert.equal(breaker.failed(0, 7_000), 7_000);
});
