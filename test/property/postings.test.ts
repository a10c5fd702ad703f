import assert from 'node:assert/strict';
import test from 'node:test';

import fc from 'fast-check';

import { BestFirst, nthLargest } from '../../src/memory/order.ts';
import { Postings, WEIGHT_UNIT } from '../../src/memory/postings.ts';
import { rank, WEIGHTS } from '../../src/memory/rank.ts';
import { hash32 } from '../../src/memory/similarity.ts';
import { FIELDS, LIST_HEAD, packEntity } from '../../src/memory/document.ts';
import { analyseQuery } from '../../src/memory/query.ts';

const words = fc.constantFrom('heron', 'staging', 'deploy', 'key', 'rollback', 'cache', 'owner', 'a:b', '東京');
const text = fc.array(words, { minLength: 1, maxLength: 12 }).map((list) => list.join(' '));
const row = fc.record({
  text,
  key: words,
  category: fc.constantFrom('c', 'd'),
  workspace: fc.constantFrom('', 'w'),
  leaves: fc.boolean(),
  // Longer than a piece of the index, now and then.
  long: fc.nat(9).map((one) => one === 0),
});

function posted(body: number, { text: content, key, category, workspace, long }: Record<string, string | boolean>) {
  const { terms } = packEntity({
    bodyJson: JSON.stringify(`${String(content)}${long === true ? ' filler'.repeat(1_100) : ''}`),
    key: String(key),
    tags: [],
    category: String(category),
  });
  return { body, terms, key: String(key), category: String(category), workspace: String(workspace) };
}

test('the index in memory proposes exactly the rows with the best scores, after any rows have come and gone', () => {
  fc.assert(
    fc.property(
      fc.array(row, { maxLength: 60, size: 'max' }),
      fc.uniqueArray(fc.oneof(words, fc.constant('filler')), { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 20 }),
      fc.option(fc.constantFrom('', 'w', 'w', 'nowhere'), { nil: undefined, freq: 1 }),
      fc.option(fc.constantFrom('c', 'c', 'c', 'nothing'), { nil: undefined, freq: 1 }),
      (rows, query, count, workspace, category) => {
        // Small pieces, so that rows and blocks come to their ends.
        const postings = new Postings(10);
        const all = rows.map((one, i) => ({ ...posted(i + 1, one), leaves: one.leaves }));
        for (const one of all) postings.add(one);
        for (const one of all) if (one.leaves) postings.remove(one);
        const live = all.filter((one) => !one.leaves);
        // Pairs, sessions, dates and what is newer only reorder; what is proposed are the best by words alone.
        const asked = { ...analyseQuery(query.join(' '), 64, 0), pairs: [] };
        const { terms } = asked;
        const statistics = {
          rows: live.length,
          meanLength: Math.max(
            1,
            live.reduce((sum, one) => sum + one.terms.length - LIST_HEAD, 0) / Math.max(1, live.length),
          ),
          frequencies: terms.map(
            (term) => live.filter((one) => one.terms.includes(hash32(term) | 0, LIST_HEAD)).length,
          ),
        };
        assert.equal(postings.rows, live.length);
        assert.equal(Math.round(postings.meanLength * 1e6), Math.round(statistics.meanLength * 1e6));
        assert.deepEqual(
          terms.map((term) => postings.frequency(hash32(term) | 0)),
          statistics.frequencies,
        );
        assert.deepEqual(
          all.map((one) => postings.hasKey(one.key)),
          all.map((one) => live.some((other) => other.key === one.key)),
        );
        const wanted = live
          .filter((one) => workspace === undefined || one.workspace === workspace)
          .filter((one) => category === undefined || one.category === category)
          .map((one) => ({ body: one.body, words: one.terms, offset: 0, keyIsQuery: false }));
        for (const one of live) {
          const at = postings.listAt(one.body) ?? 0;
          const offset = postings.lists.offsetOf(at);
          assert.deepEqual(postings.lists.wordsAt(at).slice(offset, offset + one.terms.length), one.terms);
        }
        const found = postings.best(Int32Array.from(terms, hash32), count, { workspace, category });
        const ranked = rank(wanted, asked, statistics, {
          weights: { ...WEIGHTS, newerNearly: Infinity, changeNearly: Infinity },
        })
          .rows.take(all.length)
          .filter(({ score }) => score > 0);
        const scoreOf = new Map(ranked.map(({ body, score }) => [body, score]));
        assert.equal(found.length, Math.min(count, ranked.length));
        assert.equal(new Set(found).size, found.length);
        // Sums are rounded otherwise there, so equal scores may change places at the cut.
        const least = ranked[found.length - 1]?.score ?? 0;
        for (const body of found) assert.ok((scoreOf.get(body) ?? 0) > least - 1e-9, `${body}`);
        assert.equal(postings.best(Int32Array.of(hash32('nowhere-at-all')), 5).length, 0);
      },
    ),
  );
});

test('an index of many rows grows past every block and table, and says when it is wasteful', () => {
  const postings = new Postings();
  const head = [3, ...Array<number>(LIST_HEAD - 1).fill(0)];
  const list = (i: number): Int32Array => Int32Array.of(...head, 7, hash32(`only ${i}`), hash32(`tenth ${i % 10}`));
  const rowOf = (i: number) => ({ body: i, terms: list(i), workspace: '', category: '', key: `k${i}` });
  for (let i = 1; i <= 20_000; i++) postings.add(rowOf(i));
  assert.equal(postings.frequency(7), 20_000);
  assert.equal(postings.frequency(hash32('tenth 3') | 0), 2_000);
  assert.deepEqual(postings.best(Int32Array.of(hash32('only 12345')), 3), [12_345]);
  const newest = postings.best(Int32Array.of(7), 4).toSorted((a, b) => a - b);
  assert.deepEqual(newest, [19_997, 19_998, 19_999, 20_000]);
  assert.equal(postings.wasteful, false);
  for (let i = 1; i <= 15_000; i++) postings.remove(rowOf(i));
  assert.equal(postings.wasteful, true);
  assert.equal(postings.frequency(7), 5_000);
  assert.equal(postings.best(Int32Array.of(7), 9_999).length, 5_000);
});

test('the weight of every field is a whole number of the units that the index keeps, and what has no place in it is said', () => {
  for (const { name, weight } of FIELDS) assert.equal(weight * WEIGHT_UNIT, Math.round(weight * WEIGHT_UNIT), name);
  const postings = new Postings();
  const terms = new Int32Array(LIST_HEAD);
  const rowOf = (body: number, list = terms) => ({ body, terms: list, workspace: '', category: '', key: 'k' });
  for (let i = 1; i < 1 << 20; i++) postings.add(rowOf(i));
  const worded = Int32Array.of(1, ...terms.subarray(1), 7);
  postings.add(rowOf(1 << 20, worded));
  assert.deepEqual(postings.best(Int32Array.of(7), 5), [1 << 20], 'the highest place is told from the others');
  assert.deepEqual([postings.rows, postings.full], [1 << 20, false]);
  postings.add(rowOf(0));
  assert.deepEqual([postings.rows, postings.full], [1 << 20, true]);
});

test('a long memory that says a word very often is proposed before short ones that say it once', () => {
  const postings = new Postings();
  const add = (body: number, words: readonly number[]): void => {
    const terms = Int32Array.of(words.length, ...Array<number>(LIST_HEAD - 1).fill(0), ...words);
    postings.add({ body, terms, workspace: '', category: '', key: `k${body}` });
  };
  add(1, [...Array<number>(1_000).fill(7), ...Array.from({ length: 20_000 }, (_, i) => 1_000 + i)]);
  for (let body = 2; body <= 401; body++)
    add(body, [7, ...Array.from({ length: 9 }, (_, i) => 100_000 + body * 9 + i)]);
  assert.ok(postings.best(Int32Array.of(7), 300).includes(1));
});

test('rows come out best first, newest first among equals, however many are taken at a time', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 50 }),
      fc.integer({ min: 1, max: 60 }),
      (scores, step) => {
        const order = new BestFirst(Int32Array.from(scores.keys()), Float64Array.from(scores));
        const taken = [];
        while (order.left > 0) taken.push(...order.take(step));
        const expected = [...scores.entries()].map(([body, score]) => ({ body, score }));
        expected.sort((a, b) => b.score - a.score || b.body - a.body);
        assert.deepEqual(taken, expected);
      },
    ),
  );
});

test('the n-th largest is that of the sorted numbers', () => {
  const numbers = fc.array(fc.double({ noNaN: true }), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(numbers, fc.nat(), (values, at) => {
      const n = (at % values.length) + 1;
      const sorted = Float64Array.from(values).toSorted().toReversed();
      assert.equal(nthLargest(Float64Array.from(values), n), sorted[n - 1]);
    }),
  );
});
