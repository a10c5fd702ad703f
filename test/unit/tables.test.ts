// Tables of other programs: read as they were meant, or said by their lines.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { tableRecords } from '../../src/sources/records.ts';

test('a table of any cells is read as it was written', () => {
  const cell = fc.constantFrom('', 'plain', 'with, comma', 'with "quotes"', 'two\nlines', 'ünï', ' blank ');
  fc.assert(
    fc.property(
      fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 6 }),
      fc.constantFrom('\n', '\r\n'),
      (rows, end) => {
        const quote = (text: string): string => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
        const table = ['text,more', ...rows.map((row) => row.map(quote).join(','))].join(end);
        const { documents, notes } = tableRecords(table, {});
        const told = rows.filter(([text]) => text !== '');
        assert.deepEqual(
          documents.map(({ text, meta }) => [text, meta['more']]),
          told,
        );
        assert.equal(notes.length, rows.length - told.length);
      },
    ),
  );
  const { documents, notes } = tableRecords('text,more\na,b\nc\n"d\n",e\nf,g,h\n', {});
  assert.deepEqual(
    [documents.map(({ text }) => text), notes],
    [
      ['a', 'd\n'],
      ['line 3 has 1 columns instead of 2', 'line 6 has 3 columns instead of 2'],
    ],
  );
});

/** What a table says, and what is said about it. */
const TABLES: readonly [name: string, text: string, cells: readonly string[], notes: readonly RegExp[]][] = [
  ['a quote in the middle of a cell', 'text,id\nhe said "hi" there,1\n', ['he said "hi" there'], []],
  ['blanks behind a closing quote', 'id,text\n"1","a" \n"2" ,"b"\n', ['a', 'b'], []],
  ['letters behind a closing quote', 'id,text\n1,"bad"x\n2,good\n', ['good'], [/^line 2 has a quote/]],
  ['a quote that is not closed', 'id,text\n1,a\n2,"open\n3,b\n4,c\n', ['a', 'b', 'c'], [/^line 3 has a quote/]],
  ['one behind a cell of two lines', 'id,text\n1,"a\nb"\n2,"open\n3,c', ['a\nb', 'c'], [/^line 4 has a quote/]],
  ['line ends of old Macs', 'id,text\r1,a\r2,"b\r"\r', ['a', 'b\r'], []],
  ['line ends of Windows', 'id,text\r\n1,"a\r\nb"\r\n\r\n2,c\r\n', ['a\r\nb', 'c'], []],
  ['both kinds of line ends', 'id,text\r\n1,a\n2,b\r\n3,"c\r"\n', ['a', 'b', 'c\r'], []],
  ['a mark of UTF-8', '\uFEFFtext,id\na,1\n', ['a'], []],
  ['semicolons', 'id;text;more\n1;a, b;2,5\n', ['a, b'], []],
  ['tabs', 'id\ttext\n1\ta;b,c,d\n', ['a;b,c,d'], []],
  ['a separator in a name that is quoted', '"a,b,c";text\n1;a\n', ['a'], []],
  ['two columns of one name', 'text,text,id\na,b,1\n', ['a'], [/^line 1 names two columns "text": .* "text 2"$/]],
];

for (const [name, text, cells, said] of TABLES) {
  test(`a table with ${name} is read as it was meant, or said by its line`, () => {
    const { documents, notes } = tableRecords(text, {});
    assert.deepEqual(
      documents.map((document) => document.text),
      cells,
    );
    assert.equal(notes.length, said.length, notes.join());
    for (const [at, pattern] of said.entries()) assert.match(notes[at] ?? '', pattern);
  });
}

test('many quotes that are not closed take no time that grows with their square, and keep no other row out', () => {
  const rows = Array.from({ length: 60_000 }, (_, i) => (i % 2 === 0 ? `${i},"open` : `${i},plain`));
  const started = performance.now();
  const { documents, notes } = tableRecords(['id,text', ...rows].join('\n'), {});
  assert.deepEqual([documents.length, notes.length], [30_000, 30_001]);
  assert.match(notes[100] ?? '', /^from line 201 on each line is read by itself/);
  // By their square it would be more than a minute.
  assert.ok(performance.now() - started < 10_000);
});
