import assert from 'node:assert/strict';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';

import Database from 'better-sqlite3-multiple-ciphers';

import { LIMITS } from '../../src/limits.ts';
import { UNRELATED } from '../../src/provider/unrelated.ts';
import { goodAnswer, startModelServer } from '../support/model-server.ts';
import { callText, http, startHttp, startMimir, temporaryFolder, until, type Running } from '../support/processes.ts';

type Answer = Readonly<Record<string, unknown>>;
interface Server extends Running {
  readonly call: (name: string, args: object) => Promise<Answer>;
  readonly stop: () => Promise<void>;
}

async function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Server> {
  const running = await startHttp(args, env);
  const call = async (name: string, given: object): Promise<Answer> => {
    const { body } = await http(running.port, { body: callText(1, name, given) });
    return (JSON.parse(body) as { result: { structuredContent: Answer } }).result.structuredContent;
  };
  const stop = async (): Promise<void> => {
    running.child.kill('SIGTERM');
    await running.ended;
  };
  return { ...running, call, stop };
}

const keys = (answer: Answer): string[] => (answer['items'] as { key: string }[]).map(({ key }) => key);
const NOTES = { pet: 'our dog is called Max', wheels: 'the car needs tyres', other: 'bread at eight' };

async function remember(server: Server): Promise<void> {
  for (const [key, content] of Object.entries(NOTES)) {
    await server.call('mimir_remember', { category: 'c', key, body_json: JSON.stringify({ content }) });
  }
}

/** Waits until every memory had its turn with the model. */
async function caughtUp(server: Server, model = 'm'): Promise<void> {
  for (let i = 0; i < 300; i++) {
    const { embedding } = (await server.call('mimir_stats', {})) as {
      embedding: { model: string | null; waiting: number };
    };
    if (embedding.model === model && embedding.waiting === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`not everything was embedded: ${server.printed.stderr}`);
}

const folder = (t: TestContext): string => join(temporaryFolder(t), 'm.db');

test('a memory is found by what it means; mode, explain and an empty query are honoured', async (t) => {
  const model = await startModelServer(t);
  const server = await start(['--db', folder(t), '--embedding-endpoint', `${model.url}/v1`, '--embedding-model', 'm']);
  await remember(server);
  await caughtUp(server);
  const found = await server.call('mimir_recall', { query: 'puppy', explain: true });
  assert.equal(keys(found)[0], 'pet');
  assert.equal(found['mode_used'], 'hybrid');
  assert.match(JSON.stringify(found['items']), /meaning 0\.\d\d/);
  const table: readonly (readonly [object, string | undefined, string[]])[] = [
    [{ query: 'puppy', mode: 'fts5' }, undefined, []],
    [{ query: 'puppy', mode: 'hybrid', limit: 1 }, 'hybrid', ['pet']],
    [{ query: 'truck', mode: 'dense', limit: 1 }, 'dense', ['wheels']],
    [{ query: '', limit: 1 }, undefined, ['other']],
    [{ query: 'puppy', category: 'none' }, 'fts5', []],
  ];
  for (const [args, mode, expected] of table) {
    const answer = await server.call('mimir_recall', args);
    assert.deepEqual([answer['mode_used'], keys(answer)], [mode, expected], JSON.stringify(args));
    assert.equal(answer['degraded'], undefined);
  }
  const many = (await server.call('mimir_recall_many', { queries: ['puppy', '', 'truck'], limit: 1 }))['results'];
  assert.deepEqual((many as Answer[]).map(keys), [['pet'], ['other'], ['wheels']]);
  const context = await server.call('mimir_context', { query: 'puppy', limit: 1 });
  assert.match(String(context['markdown']), /Max/);
  const { embedding } = await server.call('mimir_stats', {});
  assert.deepEqual(embedding, { model: 'm', dimensions: 64, embedded: 3, waiting: 0 });
  // A question is embedded once.
  const asked = model.seen.flatMap(({ input }) => input).filter((text) => text === 'puppy').length;
  assert.equal(asked, 1);
  await server.stop();
});

test('a model that is down, slow or wrong costs no write and no answer: words alone, in time, and told so', async (t) => {
  const model = await startModelServer(t);
  const secret = 'sk-not-in-any-log';
  const args = ['--db', folder(t), '--embedding-endpoint', model.url, '--embedding-model', 'm'];
  const server = await start(args, { MIMIR_EMBEDDING_API_KEY: secret });
  await remember(server);
  await caughtUp(server);
  const held: { destroy(): void }[] = [];
  for (const [what, answer] of [
    ['500', (_: unknown, response: { writeHead(status: number): { end(): void } }) => response.writeHead(500).end()],
    ['silent', (_: unknown, response: { destroy(): void }) => void held.push(response)],
  ] as const) {
    model.answer = answer;
    const started = performance.now();
    const found = await server.call('mimir_recall', { query: `dog ${what}` });
    const tookMs = performance.now() - started;
    assert.deepEqual([keys(found), found['degraded'], found['mode_used']], [['pet'], true, 'fts5'], what);
    assert.ok(tookMs < 2_500, `${what}: ${tookMs} ms`);
    // The next one does not even wait for it.
    const again = performance.now();
    assert.equal((await server.call('mimir_recall', { query: `car ${what}` }))['degraded'], true);
    assert.ok(performance.now() - again < 700, `${what}, again: ${performance.now() - again} ms`);
    await server.call('mimir_remember', { category: 'c', key: what, body_json: '"puppies while it was away"' });
    // What is known already needs no model.
    assert.equal((await server.call('mimir_recall', { query: 'nothing known' }))['degraded'], true);
    model.answer = goodAnswer();
    for (const response of held.splice(0)) response.destroy();
    const from = model.seen.length;
    await until(() => (model.seen.length > from ? true : undefined));
  }
  // What was written meanwhile got its vector later.
  await until(() => (model.seen.some(({ input }) => input.includes('puppies while it was away')) ? true : undefined));
  await server.stop();
  assert.ok(!server.printed.stderr.includes(secret) && !server.printed.stderr.includes('dog'), server.printed.stderr);
  assert.match(server.printed.stderr, /question_not_embedded/);
});

/** The first recall of a server over stdio, sent with its first bytes; and a second one behind it. */
async function firstRecalls(args: readonly string[]): Promise<{ answers: Answer[]; tookMs: number[] }> {
  const { child, printed, ended } = startMimir(args);
  const client = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 't', version: '1' } };
  const send = (message: object): void => void child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  const answered = (id: number): Promise<{ readonly structuredContent: Answer }> =>
    until(() => {
      const line = printed.stdout.split('\n').find((one) => one.includes(`"id":${id}`) && one.endsWith('}'));
      if (line === undefined) return undefined;
      return (JSON.parse(line) as { result: { structuredContent: Answer } }).result;
    });
  send({ id: 0, method: 'initialize', params: client });
  await answered(0);
  send({ method: 'notifications/initialized' });
  const [answers, tookMs]: [Answer[], number[]] = [[], []];
  for (const id of [1, 2]) {
    const startedMs = performance.now();
    send({
      id,
      method: 'tools/call',
      params: { name: 'mimir_recall', arguments: { query: 'puppy', mode: 'hybrid', min_confidence: 0 } },
    });
    answers.push((await answered(id)).structuredContent);
    tookMs.push(performance.now() - startedMs);
  }
  child.stdin.end();
  await ended;
  return { answers, tookMs };
}

test('the first recall after a start waits for the model, within the deadline of a question, and not twice', async (t) => {
  const model = await startModelServer(t);
  const args = ['--db', folder(t), '--embedding-endpoint', model.url, '--embedding-model', 'm'];
  const server = await start(args);
  await remember(server);
  await caughtUp(server);
  await server.stop();
  const good = goodAnswer();
  model.answer = async (asked, response) => {
    await new Promise((resolve) => setTimeout(resolve, 150));
    await good(asked, response);
  };
  // On a machine that is busy, a start may take longer than a question waits: once in three times it is not.
  const seen: unknown[] = [];
  for (let tries = 0; tries < 3 && !seen.includes('hybrid hybrid pet'); tries++) {
    const { answers } = await firstRecalls(args);
    seen.push(
      [...answers.map((answer) => answer['mode_used']), ...answers.slice(1).map((one) => keys(one)[0])].join(' '),
    );
  }
  assert.ok(seen.includes('hybrid hybrid pet'), seen.join('; '));
  model.answer = () => undefined;
  const silent = await firstRecalls(args);
  assert.deepEqual(
    silent.answers.map((answer) => answer['degraded']),
    [true, true],
  );
  const [first = 0, second = 0] = silent.tookMs;
  assert.ok(first < 4_000 && second < LIMITS.questionEmbedMs, `${first} ms, then ${second} ms`);
});

test('another model begins anew and vectors of two models are never compared; a text that a model refuses holds up no other', async (t) => {
  const model = await startModelServer(t);
  const db = folder(t);
  const endpoint = ['--db', db, '--embedding-endpoint', model.url];
  const first = await start([...endpoint, '--embedding-model', 'one']);
  await remember(first);
  await caughtUp(first, 'one');
  await first.stop();

  model.answer = (asked, response) => {
    if (asked.input.some((text) => text.includes('car'))) return void response.writeHead(400).end();
    return goodAnswer(32)(asked, response);
  };
  const second = await start([...endpoint, '--embedding-model', 'two']);
  await caughtUp(second, 'two');
  assert.equal(keys(await second.call('mimir_recall', { query: 'puppy' }))[0], 'pet');
  assert.match(second.printed.stderr, /not_embedded/);
  await second.stop();

  const file = new Database(db, { readonly: true });
  const rows = file
    .prepare('SELECT s.model, s.dimensions, length(v.data) AS bytes FROM vector v JOIN space s ON s.id = v.space')
    .all();
  file.close();
  const two = { model: 'two', dimensions: 32, bytes: 128 };
  // The one that the new model refuses keeps its old vector, which nobody compares with the others.
  assert.deepEqual(
    rows.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
    [{ model: 'one', dimensions: 64, bytes: 256 }, two, two],
  );
});

test('memories of before the model, and those that a killed server left over, are embedded in the background', async (t) => {
  const model = await startModelServer(t);
  const db = folder(t);
  const plain = await start(['--db', db]);
  await remember(plain);
  for (let i = 0; i < 70; i++) {
    await plain.call('mimir_remember', { category: 'n', key: `n${i}`, body_json: JSON.stringify(`note number ${i}`) });
  }
  const without = await plain.call('mimir_recall', { query: 'puppy', mode: 'dense' });
  assert.deepEqual([keys(without), without['mode_used'], without['degraded']], [[], 'fts5', undefined]);
  const refused = await plain.call('mimir_embed', { category: 'c', key: 'pet' });
  assert.equal(refused['code'], 'no_model');
  await plain.stop();

  const args = ['--db', db, '--embedding-endpoint', model.url, '--embedding-model', 'm'];
  // It answers the first part of the backlog and then no more.
  let parts = 0;
  model.answer = (asked, response) => {
    if (!UNRELATED.includes(asked.input[0] ?? '') && ++parts > 1) return undefined;
    return goodAnswer()(asked, response);
  };
  const first = await start(args);
  await until(() => (parts === 2 ? true : undefined));
  const behind = await first.call('mimir_recall', { query: 'zzz', min_confidence: 1 });
  assert.ok(['index_behind', 'below_floor'].includes(String(behind['reason'])), JSON.stringify(behind));
  first.child.kill('SIGKILL');
  await first.ended;

  model.answer = goodAnswer();
  const from = model.seen.length;
  const second = await start(args);
  await caughtUp(second);
  const again = model.seen.slice(from).flatMap(({ input }) => input.filter((text) => !UNRELATED.includes(text)));
  assert.equal(new Set(again).size, 73 - 32, 'what was stored before the kill is not embedded again');
  assert.equal(keys(await second.call('mimir_recall', { query: 'puppy' }))[0], 'pet');
  // A body that changes loses its vector with the same transaction.
  await second.call('mimir_remember', { category: 'c', key: 'pet', body_json: '"a truck instead"' });
  await caughtUp(second);
  assert.notEqual(keys(await second.call('mimir_recall', { query: 'puppy', mode: 'dense' }))[0], 'pet');
  await second.stop();
});

test('mimir_embed gives one memory or a category its vector, also without background, and says what the model says', async (t) => {
  const model = await startModelServer(t);
  const server = await start(['--db', folder(t), '--llm-endpoint', `${model.url}/api/generate`, '--llm-model', 'chat']);
  await remember(server);
  const table: readonly (readonly [object, object])[] = [
    [
      { category: 'c', key: 'pet' },
      { embedded: 1, dimensions: 64 },
    ],
    [
      { category: 'c', key: 'pet', text: 'something else' },
      { embedded: 1, dimensions: 64 },
    ],
    [
      { batch_category: 'c', batch_limit: 1 },
      { batch_category: 'c', embedded: 1, errors: [], more: true },
    ],
    [{ batch_category: 'c' }, { batch_category: 'c', embedded: 1, errors: [], more: undefined }],
    [{ batch_category: 'c' }, { batch_category: 'c', embedded: 0, errors: [] }],
    [
      { batch_category: '', category: 'c', key: 'pet' },
      { batch_category: '', embedded: 0, errors: [] },
    ],
    [{}, { code: 'invalid_argument', field: 'category' }],
    [{ category: 'c' }, { code: 'invalid_argument', field: 'key' }],
    [{ category: 'c', key: 'none' }, { code: 'not_found' }],
    [
      { batch_category: 'c', batch_limit: 'many' },
      { code: 'invalid_argument', field: 'batch_limit' },
    ],
    [
      { category: 7, key: 'pet' },
      { code: 'invalid_argument', field: 'category' },
    ],
  ];
  for (const [args, expected] of table) {
    const answer = await server.call('mimir_embed', args);
    assert.deepEqual(Object.fromEntries(Object.keys(expected).map((name) => [name, answer[name]])), expected);
  }
  assert.deepEqual(
    model.seen.map(({ path, model: name }) => `${path} ${name}`),
    Array(4).fill('/api/embed chat'),
    'nothing is embedded unasked',
  );
  const { embedding } = await server.call('mimir_stats', {});
  assert.deepEqual(embedding, { model: 'chat', dimensions: 64, embedded: 3, waiting: 0 });
  // Asked for by words only, because this model was not named for embedding.
  assert.deepEqual(keys(await server.call('mimir_recall', { query: 'puppy' })), []);
  model.answer = (_, response) => void response.writeHead(503).end();
  await server.call('mimir_remember', { category: 'd', key: 'a', body_json: '"x"' });
  await server.call('mimir_remember', { category: 'd', key: 'b', body_json: '"y"' });
  const before = model.seen.length;
  const failed = await server.call('mimir_embed', { batch_category: 'd' });
  assert.equal(failed['embedded'], 0);
  assert.match(JSON.stringify(failed['errors']), /^\["mem-\w{12}: [^"]*503[^"]*","mem-\w{12}: [^"]*503[^"]*"\]$/);
  assert.equal(model.seen.length - before, 1, 'one that is down is not asked for each');
  await server.stop();
});

test('what a model refuses for a while is embedded later, and one text that it never takes holds up no other', async (t) => {
  const model = await startModelServer(t);
  const server = await start(['--db', folder(t), '--embedding-endpoint', model.url, '--embedding-model', 'm']);
  await remember(server);
  await caughtUp(server);
  model.answer = (_, response) => void response.writeHead(401).end();
  await server.call('mimir_remember', { category: 'c', key: 'later', body_json: '"a puppy in the meantime"' });
  await until(() => (server.printed.stderr.includes('embedding_failed') ? true : undefined));
  // This text it will never take: a server of its own fault, as some have for a single long text.
  model.answer = (asked, response) =>
    asked.input.some((text) => text.includes('poison'))
      ? void response.writeHead(500).end()
      : goodAnswer()(asked, response);
  await server.call('mimir_remember', { category: 'c', key: 'poison', body_json: '"poison"' });
  for (const key of ['x', 'y']) {
    await server.call('mimir_remember', { category: 'd', key, body_json: JSON.stringify(`truck ${key}`) });
  }
  await caughtUp(server);
  assert.ok(keys(await server.call('mimir_recall', { query: 'dog', mode: 'dense' })).includes('later'));
  const { embedding } = await server.call('mimir_stats', {});
  assert.deepEqual(embedding, { model: 'm', dimensions: 64, embedded: 6, waiting: 0 });
  for (let i = 0; i < 10; i++) {
    assert.equal((await server.call('mimir_recall', { query: `dog number ${i}` }))['degraded'], undefined);
  }
  await server.stop();
});

test('mimir_embed on a server that does not search by meaning takes no space away, and says when nothing was kept', async (t) => {
  const model = await startModelServer(t);
  const db = folder(t);
  const proper = await start(['--db', db, '--embedding-endpoint', model.url, '--embedding-model', 'proper']);
  await remember(proper);
  await caughtUp(proper, 'proper');
  const stray = await start(['--db', db, '--llm-endpoint', `${model.url}/api/generate`, '--llm-model', 'chat']);
  const refused = await stray.call('mimir_embed', { category: 'c', key: 'pet' });
  assert.deepEqual([refused['code'], refused['embedded']], ['exists', undefined]);
  await stray.stop();
  assert.equal(keys(await proper.call('mimir_recall', { query: 'puppy' }))[0], 'pet');

  // One that was started to search takes over, and the other says so.
  const other = await start(['--db', db, '--embedding-endpoint', model.url, '--embedding-model', 'other']);
  await caughtUp(other, 'other');
  const late = await proper.call('mimir_embed', { category: 'c', key: 'pet' });
  assert.equal(late['code'], 'provider_refused');
  await other.stop();
  await proper.stop();

  // Coming back, what was not embedded anew meanwhile need not be either.
  const from = model.seen.length;
  const again = await start(['--db', db, '--embedding-endpoint', model.url, '--embedding-model', 'other']);
  await until(() => (model.seen.length > from ? true : undefined));
  await caughtUp(again, 'other');
  assert.equal(keys(await again.call('mimir_recall', { query: 'puppy' }))[0], 'pet');
  assert.ok(!model.seen.slice(from).some(({ input }) => input.includes(NOTES.other)));
  await again.stop();
});

test('the only memory of a store is found by what it means', async (t) => {
  const model = await startModelServer(t);
  const server = await start(['--db', folder(t), '--embedding-endpoint', model.url, '--embedding-model', 'm']);
  await server.call('mimir_remember', { category: 'c', key: 'pet', body_json: JSON.stringify(NOTES.pet) });
  await caughtUp(server);
  for (const mode of ['hybrid', 'dense']) {
    assert.deepEqual(keys(await server.call('mimir_recall', { query: 'puppy', mode })), ['pet'], mode);
  }
  await server.stop();
});
