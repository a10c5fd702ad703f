import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import fc from 'fast-check';

import { editDistance, nearTerms, slips, wrongLettersMax } from '../../src/memory/near.ts';

/** The definition itself, without bounds: what a word costs letter by letter. */
function slowly(a: string, b: string): number {
  const cost = (i: number, j: number): number => {
    if (i === 0 || j === 0) return i + j;
    const least = [cost(i - 1, j) + 1, cost(i, j - 1) + 1, cost(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)];
    if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least.push(cost(i - 2, j - 2) + 1);
    return Math.min(...least);
  };
  return cost(a.length, b.length);
}

describe('words that are nearly those of the store', () => {
  it('are told by their distance, exactly up to the bound', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 6 });
    fc.assert(
      fc.property(word, word, fc.integer({ min: 0, max: 3 }), (a, b, max) => {
        assert.equal(editDistance(a, b, max), Math.min(slowly(a, b), max + 1));
      }),
    );
  });

  const vocabulary = [
    'receiv',
    'recent',
    'heron',
    'herons',
    'econnrefused',
    'post',
    'port',
    '8767',
    '8766',
    'kubernet',
  ].map((term, i) => ({ term, rows: i + 1 }));
  const table: readonly (readonly [string, string, ...string[]])[] = [
    ['two swapped letters', 'reciev', 'receiv'],
    ['a left out letter', 'hern', 'heron'],
    ['two wrong letters in a long word', 'kobrenet', 'kubernet'],
    ['the beginning of an identifier', 'econnref', 'econnrefused'],
    ['a number with another digit is another number', '8765'],
    ['a short word is what it says', 'pot', 'port', 'post'].slice(0, 2) as [string, string],
    ['nothing near', 'zebra'],
  ];
  for (const [name, term, ...found] of table) {
    it(`${name}: ${term} finds ${found.length === 0 ? 'none' : found.join(', ')}`, () => {
      assert.deepEqual(
        nearTerms(term, vocabulary).map((near) => near.term),
        found,
      );
    });
  }
  it('are also what a slip of the fingers makes of a word with an ending', () => {
    assert.ok(slips('stagign').includes('staging'));
    assert.ok(slips('hosst').includes('host'));
    assert.deepEqual([slips('abc'), slips('port8767'), slips('x'.repeat(30))], [[], [], []]);
    assert.equal(slips('aabb').includes('aabb'), false);
  });
  it('the likelier the word the more it counts, and more than the one that was typed none does', () => {
    const weights = nearTerms('heron', [
      { term: 'herons', rows: 1 },
      { term: 'haron', rows: 9 },
      { term: 'heron', rows: 5 },
    ]);
    assert.deepEqual(
      weights.map(({ term }) => term),
      ['herons', 'haron'],
    );
    assert.ok(weights.every(({ weight }) => weight > 0 && weight < 1));
    assert.deepEqual(['abc', 'abcd', 'abcdefgh', 'v1234567'].map(wrongLettersMax), [0, 1, 2, 0]);
  });
});
