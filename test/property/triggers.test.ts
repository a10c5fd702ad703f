import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';

import fc from 'fast-check';

import { systemClock } from '../../src/clock.ts';
import { OPERATIONS } from '../../src/engine/operations.ts';
import { LIMITS } from '../../src/limits.ts';
import { OWNER } from '../../src/memory/scope.ts';
import { firingWords, readSituation } from '../../src/memory/triggers.ts';
import { openReader, openWriter, prepareStore } from '../../src/storage/open.ts';
import { temporaryFolder } from '../support/processes.ts';

const scope = { principal: OWNER, workspace: null, actor: 't', client: 't' };
const WORDS =
  'deploy deployment Deploying the CI dinner dinners cluster-wide x key_one v24 配置の前 配置 前に 배포를 café CAFÉ не деплоем ' +
  `recall_when won't !? "*^:`;
const words = fc.constantFrom(...WORDS.split(' '));
const text = fc.array(words, { maxLength: 4 }).map((list) => list.join(' '));
const row = fc.record({
  content: text,
  recallWhen: fc.array(text, { maxLength: 2 }),
  isTurn: fc.boolean(),
  forgotten: fc.boolean(),
});

test('the text index proposes every memory whose triggers fire, and nothing is brought up that does not', async (t) => {
  const path = join(temporaryFolder(t), 'm.db');
  const options = { path, key: null, clock: systemClock, busyTimeoutMs: 100 };
  prepareStore(options);
  const writer = openWriter(options);
  const reader = openReader(options);
  let operations = 0;
  let category = 0;
  const write = <T>(run: Parameters<typeof writer.transaction<T>>[1]): Promise<T> =>
    writer.transaction({ id: `op-${operations++}`, kind: 'test', scope }, run);
  await fc.assert(
    fc.asyncProperty(
      fc.array(row, { minLength: 1, maxLength: 8 }),
      fc.array(text, { minLength: 1 }),
      async (rows, situations) => {
        // Each run has a workspace of its own, so that one store serves all.
        const inside = { ...scope, workspace: `w${category++}` };
        const memories = rows.map(({ content, recallWhen, isTurn }, i) => {
          const body = isTurn ? { content, speaker: 'user', session: 's', turn: i } : { content };
          return { category: 'c', key: `k${i}`, bodyJson: JSON.stringify({ ...body, i }), recallWhen };
        });
        await write((tx) => OPERATIONS.remember_many.run(tx, inside, { memories }));
        for (const [i, { forgotten }] of rows.entries()) {
          if (forgotten)
            await write((tx) => OPERATIONS.forget.run(tx, inside, { category: 'c', key: `k${i}`, reason: '' }));
        }
        for (const context of situations) {
          const found = await reader.snapshot((tx) => OPERATIONS.recall_when.run(tx, inside, { context, limit: 100 }));
          const keys = [...found.hits.text.matchAll(/"key":"(k\d)"/g)].map(([, key = '']) => key);
          const expected = rows.flatMap(({ recallWhen, forgotten }, i) =>
            !forgotten && firingWords(readSituation(context), recallWhen) > 0 ? [`k${i}`] : [],
          );
          assert.deepEqual(new Set(keys), new Set(expected), context);
          assert.equal(keys.length, expected.length);
          assert.equal(found.cut, false);
        }
      },
    ),
    { numRuns: 100 },
  );
  reader.close();
  writer.close();
});

test('memories without triggers, however many have the word, leave room for those that have some', async (t) => {
  const path = join(temporaryFolder(t), 'm.db');
  const options = { path, key: null, clock: systemClock, busyTimeoutMs: 100 };
  prepareStore(options);
  const writer = openWriter(options);
  const memories = Array.from({ length: LIMITS.triggeredMax + 50 }, (_, i) => ({
    category: 'c',
    key: `k${i}`,
    bodyJson: JSON.stringify({ content: i === 0 ? 'word '.repeat(400) : 'dinner', i }),
    recallWhen: i === 0 ? ['after dinner'] : [],
  }));
  for (let at = 0; at < memories.length; at += LIMITS.rememberManyMax) {
    const input = { memories: memories.slice(at, at + LIMITS.rememberManyMax) };
    const meta = { id: `op-${at}`, kind: 'test', scope };
    await writer.transaction(meta, (tx) => OPERATIONS.remember_many.run(tx, scope, input));
  }
  const input = { context: 'dinner', limit: 10 };
  const found = await writer.snapshot((tx) => OPERATIONS.recall_when.run(tx, scope, input));
  assert.match(found.hits.text, /"key":"k0"/);
  assert.equal(found.cut, false);
  writer.close();
});
