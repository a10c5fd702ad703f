import assert from 'node:assert/strict';
import test from 'node:test';

import fc from 'fast-check';

import { Agreement, fuse, MEANING_WEIGHT } from '../../src/memory/fusion.ts';

const SEED = 20_261_125;

function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const NONE = Float64Array.of();
/** What unrelated texts are like to a question: 0 on average, 0.1 apart. */
const UNRELATED = Float64Array.from({ length: 16 }, (_, i) => (i % 2 === 0 ? 0.1 : -0.1));

const scores = fc.array(fc.double({ min: 0, max: 50, noNaN: true }), { minLength: 1, maxLength: 60 });

test('nearness never takes anything from what the words give, and without weight or vectors changes nothing', () => {
  fc.assert(
    fc.property(scores, fc.infiniteStream(fc.double({ min: -1, max: 1, noNaN: true })), (list, stream) => {
      const words = Float64Array.from(list);
      const cosines = Float64Array.from(words, () => stream.next().value as number);
      const fused = fuse(words, { cosines, weight: 0.6, unrelated: NONE }, 1, 100).scores;
      assert.ok(fused.every((score, i) => score >= (words[i] ?? 0)));
      assert.deepEqual(fuse(words, { cosines, weight: 0, unrelated: NONE }, 1, 100).scores, words);
      const without = fuse(words, { cosines: cosines.map(() => Number.NaN), weight: 0.6, unrelated: NONE }, 1, 100);
      assert.deepEqual([without.scores, without.agreement], [words, Number.NaN]);
    }),
  );
});

test('where words tell nothing apart, nearness alone orders, in the unit it is given', () => {
  const fused = fuse(
    new Float64Array(3),
    { cosines: Float64Array.of(0.1, 0.7, 0.4), weight: 0.6, unrelated: NONE },
    9,
    100,
  ).scores;
  assert.ok((fused[1] ?? 0) > 9 * 0.6 && (fused[0] ?? 0) === 0, String(fused));
});

test('one row alone is near when it is nearer than unrelated texts, and nothing is near by chance', () => {
  const near = (cosines: number[], rows = cosines.length): Float64Array =>
    fuse(
      new Float64Array(cosines.length),
      { cosines: Float64Array.from(cosines), weight: 0.6, unrelated: UNRELATED },
      1,
      rows,
    ).scores;
  assert.ok((near([0.6])[0] ?? 0) > 1, 'the only memory of a store');
  assert.ok(
    near([0.6, 0.6]).every((score) => score > 1),
    'two that say the same',
  );
  assert.equal(near([0.02])[0], 0, 'one about something else');
  // The best of a thousand unrelated rows is three deviations off, which says nothing.
  const noise = Array.from({ length: 1_000 }, (_, i) => 0.3 * Math.sin(i));
  assert.ok(near(noise).every((score) => score === 0));
  assert.ok((near([...noise, 0.6]).at(-1) ?? 0) > 1);
});

test('asked for meaning only, words do not count', () => {
  const words = Float64Array.of(50, 0, 1);
  const { scores: only } = fuse(
    words,
    { cosines: Float64Array.of(-0.2, 0.9, 0.3), weight: 0.6, only: true, unrelated: NONE },
    1,
    100,
  );
  assert.ok((only[1] ?? 0) > (only[2] ?? 0) && (only[2] ?? 0) > (only[0] ?? 0) && only.every((score) => score >= 0));
});

test('a row without a vector is not behind one with an average vector that has fewer of the words', () => {
  const words = Float64Array.from({ length: 40 }, (_, i) => i);
  const cosines = Float64Array.from({ length: 40 }, (_, i) => i / 100);
  cosines[39] = Number.NaN;
  const { scores: fused } = fuse(words, { cosines, weight: 0.6, unrelated: NONE }, 1, 100);
  assert.equal(
    fused.reduce((best, score, i) => (score > (fused[best] ?? 0) ? i : best), 0),
    39,
  );
});

/** Inverse logarithm of the gold's rank, 0 below ten: nDCG@10 with one right row. */
function gain(list: Float64Array, gold: number): number {
  const rank = list.filter((score, i) => score > (list[gold] ?? 0) || (score === list[gold] && i < gold)).length;
  return rank < 10 ? 1 / Math.log2(rank + 2) : 0;
}

interface Measured {
  readonly words: number;
  readonly fused: number;
}

/**
 * A channel of chosen strength over 400 questions with 200 candidates each: the right row is its first with the chance `q`, and
 * anywhere otherwise, as the study of fusion did it; `kept` rows have a vector. Words have the right row first in 55 %.
 */
function simulate(q: number, kept: number): Measured {
  const next = random(SEED);
  const agreement = new Agreement();
  let [words, fused] = [0, 0];
  for (let question = 0; question < 400; question++) {
    const gold = Math.floor(next() * 200);
    // Scores of words have a long tail: most rows share one common word, a few nearly all.
    const byWords = Float64Array.from({ length: 200 }, () => -Math.log(1 - next()) * 4);
    byWords[gold] = next() < 0.55 ? Math.max(...byWords) * 1.3 : -Math.log(1 - next()) * 12;
    const cosines = Float64Array.from({ length: 200 }, () => 0.15 + 0.1 * (next() + next() + next() - 1.5));
    if (next() < q) cosines[gold] = Math.max(...cosines) * 1.1;
    // An encoder that knows something agrees with the words on other rows too.
    for (let i = 0; i < 200; i++) cosines[i] = (cosines[i] ?? 0) + q * 0.004 * (byWords[i] ?? 0);
    const least = cosines.toSorted()[200 - kept] ?? -1;
    const cut = cosines.map((cosine) => (cosine < least ? Number.NaN : cosine));
    const both = fuse(byWords, { cosines: cut, weight: agreement.weight(), unrelated: NONE }, 1, 200);
    agreement.seen(both.agreement);
    words += gain(byWords, gold) / 400;
    fused += gain(both.scores, gold) / 400;
  }
  return { words, fused };
}

test(`a channel of any strength hardly hurts, whole or cut to its first ten, and a strong one helps (seed ${SEED})`, () => {
  for (const kept of [200, 10]) {
    for (const q of [0, 0.1, 0.3, 0.5, 0.7]) {
      const { words, fused } = simulate(q, kept);
      const figures = `q ${q}, ${kept} kept: words ${words.toFixed(3)}, with meaning ${fused.toFixed(3)}`;
      assert.ok(fused >= words - 0.01, figures);
      if (kept === 200 && q >= 0.5) assert.ok(fused >= words + 0.02, figures);
    }
  }
});

test('a model that never agrees with the words loses its say within twenty questions, and gets it back when it is mended', () => {
  const agreement = new Agreement();
  assert.equal(agreement.weight(), MEANING_WEIGHT);
  for (let i = 0; i < 20; i++) agreement.seen(0);
  assert.equal(agreement.weight(), 0);
  for (let i = 0; i < 200; i++) agreement.seen(2);
  assert.ok(agreement.weight() > 0.9 * MEANING_WEIGHT);
  for (let i = 0; i < 1_000; i++) agreement.seen(Number.NaN);
  assert.ok(agreement.weight() > 0.9 * MEANING_WEIGHT, 'what is not known changes nothing');
});
