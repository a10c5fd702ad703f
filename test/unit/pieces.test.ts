import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { splitText } from '../../src/memory/pieces.ts';

const SIZES = { wholeMax: 60, pieceMax: 40 };

const line = fc.constantFrom(
  '',
  ' ',
  '# One',
  '## Two',
  '### Three ###',
  '```',
  '~~~',
  '# in code',
  'A short line.',
  'Words and words and words that go on. And on and on and on until it is too long for one piece, e.g. here.',
  'x'.repeat(95),
  '🚀'.repeat(45),
  '東京で会議。大阪で会議。',
  'carriage\r',
);
const text = fc
  .tuple(fc.array(line, { maxLength: 20 }), fc.boolean())
  .map(([lines, ended]) => lines.join('\n') + (ended ? '\n' : ''));

/** What a place says of a text. */
function at(place: string, whole: string): string {
  const [, first = '', from = '', last = '', to = ''] = /^L(\d+)(?:C(\d+))?-L(\d+)(?:C(\d+))?$/.exec(place) ?? [];
  const lines = whole.split(/(?<=\n)/);
  const taken = lines.slice(Number(first) - 1, Number(last));
  // The last line of a piece is cut first: it may be the first one too.
  if (to !== '') taken.push((taken.pop() ?? '').slice(0, Number(to)));
  if (from !== '') taken.unshift((taken.shift() ?? '').slice(Number(from) - 1));
  return taken.join('');
}

test('the pieces joined are the text, none is too long, and each place names exactly its piece', () => {
  fc.assert(
    fc.property(text, (whole) => {
      const pieces = splitText(whole, SIZES);
      assert.equal(pieces.map((piece) => piece.text).join(''), whole);
      if (whole.length <= SIZES.wholeMax) return assert.equal(pieces.length, 1);
      assert.equal(new Set(pieces.map(({ place }) => place)).size, pieces.length, 'places are names');
      for (const piece of pieces) {
        assert.ok(piece.text.length <= SIZES.pieceMax, piece.text);
        assert.ok(piece.text.isWellFormed(), 'no half of a character');
        // A line end that belongs to a part of a line has no column of its own.
        assert.equal(at(piece.place, whole).replace(/\r?\n$/, ''), piece.text.replace(/\r?\n$/, ''), piece.place);
      }
    }),
    { numRuns: 500 },
  );
});

test('a piece begins with its heading, knows those above, and code is no heading', () => {
  const whole = [
    '# Guide',
    'An introduction of some length, two lines',
    '## Install',
    '```',
    '# not a heading',
    '```',
    'Run the installer and wait for it.',
    '### Windows',
    'Double-click on the icon and wait.',
    '## Use',
    'Just start it, and stop it again later.',
  ].join('\n');
  const pieces = splitText(whole, { wholeMax: 60, pieceMax: 70 });
  assert.deepEqual(
    pieces.map(({ place, headings }) => [place, headings.join(' > ')]),
    [
      ['L1-L2', 'Guide'],
      ['L3-L7', 'Guide > Install'],
      ['L8-L9', 'Guide > Install > Windows'],
      ['L10-L11', 'Guide > Use'],
    ],
  );
});

test('small sections stay together while both fit, and never under a heading of a lower rank', () => {
  const whole = '## a\n1\n## b\n2\n# c\n3\n## d\n4\n## e\n' + 'x'.repeat(30) + '\n';
  assert.deepEqual(
    splitText(whole, SIZES).map(({ place }) => place),
    ['L1-L4', 'L5-L8', 'L9-L10'],
  );
});
