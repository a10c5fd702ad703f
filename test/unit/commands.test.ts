// The command table, and what people read of it.
/* oxlint-disable no-control-regex */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import type { Command } from '../../src/cli/command.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { generalHelp, helpOf, usageOf, wrap } from '../../src/cli/help.ts';
import { parseLine } from '../../src/cli/parse.ts';
import { showProgress } from '../../src/cli/progress.ts';
import { ago, harmless, prettyJson, showContext, showRecall, type Look } from '../../src/cli/show.ts';

const HOME = { HOME: '/home/ada' };

/** The words of an example, as a shell would split them: quotes keep words together. */
function shellWords(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    ([, single, double, bare]) => single ?? double ?? bare ?? '',
  );
}

for (const command of COMMANDS) {
  test(`mimir ${command.word}: its help fits 80 columns, and its example works`, () => {
    const help = helpOf(command);
    for (const line of help.split('\n')) {
      assert.ok(line.length <= 80, line);
      assert.equal(line, line.trimEnd());
    }
    assert.equal(help.split('\n')[0]?.slice(0, 20), command.summary.slice(0, 20), 'it begins with what it is for');
    assert.match(help, /^Example: mimir /m);
    const [first = ''] = command.example.split(' && ');
    const [program, ...argv] = shellWords(first);
    assert.equal(program, 'mimir');
    assert.equal(parseLine(argv, COMMANDS, HOME).command, command);
    for (const { name, help: text, value, kind, hidden } of command.flags) {
      assert.match(name, /^[a-z][a-z-]*$/);
      if (hidden === true) continue;
      assert.equal(value === undefined, kind === 'switch', `--${name}`);
      assert.ok(text !== '', `--${name}`);
    }
  });
}

test('the general help fits 80 columns and names every command', () => {
  const help = generalHelp(COMMANDS);
  for (const line of help.split('\n')) assert.ok(line.length <= 80, line);
  for (const { word } of COMMANDS) assert.match(help, new RegExp(`^  ${word} `, 'm'));
});

test('a flag takes the same everywhere, because it may stand before the word', () => {
  const takes = new Map<string, boolean>();
  for (const { word, flags } of COMMANDS) {
    for (const { name, kind } of flags) {
      assert.equal(takes.get(name) ?? kind === 'switch', kind === 'switch', `--${name} of ${word}`);
      takes.set(name, kind === 'switch');
    }
  }
});

test('flags work before and after every word', () => {
  for (const command of COMMANDS) {
    const [first = ''] = command.example.split(' && ');
    const [, ...argv] = shellWords(first);
    const after = [...argv.filter((word) => word !== command.word), command.word];
    if (command.words !== undefined) continue;
    assert.deepEqual(parseLine(after, COMMANDS, HOME).call, parseLine(argv, COMMANDS, HOME).call, command.word);
  }
  const words = parseLine(['--limit', '3', 'recall', 'a', '--json', 'b'], COMMANDS, HOME);
  assert.deepEqual(words.call.words, ['a', 'b']);
  assert.deepEqual([words.call.values['limit'], words.call.values['json']], [3, true]);
});

test('kinds of values', () => {
  const flags: Command['flags'] = [
    { name: 'text', kind: 'text', value: 'X', help: 'x', mayBeEmpty: true },
    { name: 'list', kind: 'list', value: 'X', help: 'x' },
    { name: 'number', kind: 'number', value: 'X', help: 'x' },
    { name: 'path', kind: 'path', value: 'X', help: 'x', fallback: '~/f' },
  ];
  const command: Command = { word: 'w', summary: '', flags, example: '', run: () => 0 };
  const read = (...argv: string[]): unknown => parseLine(argv, [command], HOME).call.values;
  assert.deepEqual(read('--text', '', '--list', ' x, y ,,z ', '--number=-1.5'), {
    text: '',
    list: ['x', 'y', 'z'],
    number: -1.5,
    path: '/home/ada/f',
  });
  assert.throws(() => read('--list', ''), /--list is empty/);
  for (const bad of ['', ' ', 'x', '1e400', 'NaN']) assert.throws(() => read(`--number=${bad}`), /--number/);
  assert.equal(usageOf({ ...command, flags: [] }), 'mimir w');
});

test('pretty JSON says the same, and moves white space only', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.boolean(), (value, spread) => {
      const json = JSON.stringify(value, null, spread ? 1 : 0);
      const pretty = prettyJson(json);
      assert.equal(pretty, JSON.stringify(value, null, 2));
      assert.equal(prettyJson(pretty), pretty);
    }),
  );
  assert.equal(prettyJson('{"n":12345678901234567890.10}'), '{\n  "n": 12345678901234567890.10\n}');
});

test('lines are broken at blanks and lose nothing', () => {
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[^\s]{1,12}$/)), fc.integer({ min: 1, max: 30 }), (words, columns) => {
      const lines = wrap(words.join(' '), columns);
      assert.equal(lines.join(' ').trim(), words.join(' '));
      for (const line of lines) assert.ok(line.length <= columns || !line.includes(' '), line);
    }),
  );
});

const LOOK: Look = { colours: false, columns: 40, nowMs: Date.parse('2026-03-10T00:00:00Z') };
const ITEM = {
  id: 'mem-0123456789ab',
  category: 'note',
  key: 'heron',
  body_json: '{"content":"The staging host is called heron and stands in the old hall","port":22}',
  tags: ['infra'],
  workspace_hash: '',
  confidence: 0.714,
  created_at_unix_ms: Date.parse('2026-03-07T00:00:00Z'),
};

test('the help of call says what its models are for: a recall from there goes by words', () => {
  const flagOf = (word: string) =>
    COMMANDS.find((one) => one.word === word)?.flags.find(({ name }) => name === 'embedding-model')?.help ?? '';
  assert.match(flagOf('call'), /^for mimir_embed.* goes by words/);
  assert.match(flagOf('serve'), /^search by meaning/);
});

test('a recall for people: name, words, what is known of them', () => {
  assert.equal(
    showRecall({ items: [ITEM], next_offset: 1 }, LOOK),
    [
      '1. note/heron',
      '   The staging host is called heron and',
      '   stands in the old hall',
      '   port: 22',
      '   mem-0123456789ab · 3 days ago · 71 % sure · #infra',
      '',
      'There is more: --offset 1',
    ].join('\n'),
  );
  assert.match(showRecall({ items: [ITEM] }, { ...LOOK, colours: true }), /\u001b\[1mnote\/heron\u001b\[0m/);
  assert.equal(showRecall({ items: [], hint: 'Nothing matched.' }, LOOK), 'Nothing matched.');
  assert.match(showRecall({ items: [], reason: 'empty_store', hint: 'x' }, LOOK), /mimir remember/);
  for (const reason of ['no_match', 'filtered_out', 'below_floor']) {
    const said = showRecall({ items: [], reason, hint: 'an empty `query`' }, LOOK);
    assert.doesNotMatch(said, /`/, 'nobody at a shell has arguments');
    assert.match(said, /mimir |flags/);
  }
  assert.match(showRecall({ items: [], reason: 'no_match' }, LOOK, true), /behind this --offset/);
  for (const body of ['not json', '"words"', '[1]', '{}', 'null'])
    assert.match(showRecall({ items: [{ ...ITEM, body_json: body }] }, LOOK), /heron/);
  assert.match(
    showContext({ markdown: '## A\n\n- b\n' }, { ...LOOK, colours: true }),
    /\u001b\[1m## A\u001b\[0m\n\n- b$/,
  );
});

test('stored text cannot drive the terminal', () => {
  const evil = 'a\u001b]0;title\u0007b\u001b[2Jc\rd\u009b31me\u202ef';
  const driving = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/;
  assert.doesNotMatch(harmless(evil), driving);
  assert.equal(harmless('tab\tline\nübung 東京 🚀'), 'tab\tline\nübung 東京 🚀');
  const shown = showRecall(
    { items: [{ ...ITEM, key: evil, tags: [evil], body_json: JSON.stringify({ [evil]: evil }) }] },
    LOOK,
  );
  assert.doesNotMatch(shown, driving);
  assert.doesNotMatch(showContext({ markdown: evil }, LOOK), driving);
});

test('ages are told in the largest unit that fits', () => {
  const MINUTE = 60_000;
  const cases: readonly (readonly [ms: number, says: string])[] = [
    [-5, 'just now'],
    [MINUTE - 1, 'just now'],
    [MINUTE, '1 minute ago'],
    [119 * MINUTE, '1 hour ago'],
    [48 * 60 * MINUTE, '2 days ago'],
    [400 * 24 * 60 * MINUTE, '1 year ago'],
  ];
  for (const [ms, says] of cases) assert.equal(ago(1_000_000, 1_000_000 + ms), says);
});

test('progress is one line on a terminal, and nothing anywhere else', () => {
  let now = 0;
  const written: string[] = [];
  const screen = { isTTY: true, columns: 30, write: (text: string) => written.push(text) };
  const progress = showProgress('Importing', screen, () => now);
  assert.deepEqual(written, ['\r\u001b[KImporting ...']);
  progress.update(1, 4);
  assert.equal(written.length, 1, 'not more often than ten times a second');
  now = 200;
  progress.update(2, 4);
  progress.update(4, 4);
  assert.match(written[1] ?? '', /^\r\u001b\[KImporting \[#{12}\.{6}$/u, 'cut at the edge');
  now = 400;
  progress.update(7);
  assert.equal(written.at(-1), '\r\u001b[KImporting ... 7');
  progress.end();
  assert.equal(written.at(-1), '\r\u001b[K');
  const silent = showProgress('x', { write: () => assert.fail('written to a pipe') }, () => now);
  silent.update(1, 2);
  silent.end();
});
