import assert from 'node:assert/strict';
import { it } from 'node:test';

import { tellsChange } from '../../src/memory/cues.ts';
import { packEntity } from '../../src/memory/document.ts';
import { aboutWords, sharedWords } from '../../src/memory/newer.ts';

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
  assert.equal(sharedWords(new Set(), new Set([1])), 0);
});
