import assert from 'node:assert/strict';
import { it } from 'node:test';

import fc from 'fast-check';

import { tellsChange } from '../../src/memory/cues.ts';
import { packEntity } from '../../src/memory/document.ts';
import { aboutWords, sharedWords, WordSet } from '../../src/memory/newer.ts';

it('texts that tell a change are told from others, in several languages', () => {
  const tells = [
    'The host moved to stg-11',
    'no longer on Fridays',
    'Raised the limit to 7',
    'Die Biotonne wird jetzt freitags geleert',
    'La réunion passe au mercredi',
    'El bono ha subido a 44 euros',
    '会議は水曜日に変更',
    'Встреча перенесена на среду',
  ];
  const others = ['The host is stg-02', 'a known renewal', 'Nowhere near', 'Die Neun', 'un passeport'];
  assert.deepEqual(
    tells.filter((text) => !tellsChange(text)),
    [],
  );
  assert.deepEqual(others.filter(tellsChange), []);
});

it('what two memories are about is compared by words of their own, function words and category aside', () => {
  const about = (content: string, key: string) => {
    const { terms } = packEntity({ bodyJson: JSON.stringify({ content }), key, tags: [], category: 'same' });
    return aboutWords(terms, 0);
  };
  assert.equal(sharedWords(about('the heron', 'a'), about('a swan', 'b')), 0);
  assert.equal(sharedWords(about('heron pond', 'x'), about('the heron of a pond by the mill', 'x')), 1);
  assert.equal(sharedWords(new WordSet(0), new WordSet(1)), 0);
});

it('a set of word hashes holds what a Set holds', () => {
  const hash = fc.oneof(fc.integer({ min: -4, max: 4 }), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }));
  // Zero marks a free slot and is taken for one: hashes that are told apart by nothing else are not in the table.
  const words = fc.array(hash.map((word) => (word === 0 ? 1 : word)));
  fc.assert(
    fc.property(words, words, (some, others) => {
      const [a, b] = [new WordSet(some.length), new WordSet(others.length)];
      for (const word of some) a.add(word);
      for (const word of others) b.add(word);
      const [as, bs] = [new Set(some), new Set(others)];
      assert.equal(a.size, as.size);
      assert.equal(a.shared(b), [...as].filter((word) => bs.has(word)).length);
      for (const word of others) assert.equal(a.has(word), as.has(word));
    }),
  );
});
