import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { packEntity } from '../../src/memory/document.ts';
import { analyseQuery } from '../../src/memory/query.ts';
import { rank, WEIGHTS, type Weights } from '../../src/memory/rank.ts';
import type { Candidate } from '../../src/memory/types.ts';

const NOW = Date.parse('2026-03-18T09:00:00Z');

interface Row {
  readonly body: unknown;
  readonly key?: string;
  readonly before?: string;
}

/** Numbers of the rows in the order of the answer; the rows are numbered from 1. */
function order(query: string, rows: readonly Row[], weights: Weights = WEIGHTS): number[] {
  const asked = analyseQuery(query, 64, NOW);
  const candidates = rows.map(({ body, key, before }, i): Candidate => ({
    body: i + 1,
    words: packEntity({ bodyJson: JSON.stringify(body), key: key ?? `row${i}`, tags: [], category: '', before }).terms,
    offset: 0,
    keyIsQuery: key === query,
  }));
  const statistics = { rows: 1_000, meanLength: 10, frequencies: asked.terms.map(() => 20) };
  const best = rank(candidates, asked, statistics, { weights }).rows.take(rows.length);
  const turned = rank(candidates.toReversed(), asked, statistics, { weights }).rows.take(rows.length);
  assert.deepEqual(turned, best, 'the order of the input does not matter');
  return best.map(({ body }) => body);
}

const turn = (content: string, more: object = {}): Row => ({
  body: { content, speaker: 'x', session: 's', turn: 1, ...more },
});

describe('the ranking', () => {
  // The first row must win by the signal; with the signal off the other one does (newest first among equals).
  const signals: readonly (readonly [string, string, readonly Row[], Partial<Weights>])[] = [
    ['neighbouring words', 'red house', [turn('the red house by ends'), turn('red by ends the house')], { pair: 0 }],
    [
      'the named speaker',
      'Anna garden',
      [turn('garden', { speaker: 'Anna' }), turn('anna likes a garden')],
      { speakerNamed: 0.5 },
    ],
    [
      'what "I" said to an assistant',
      'my garden',
      [turn('garden', { speaker: 'user' }), turn('garden', { speaker: 'assistant' })],
      { userSaid: 1 },
    ],
    [
      'a text that tells when',
      'when did they move',
      [turn('they moved last week'), turn('they moved for good')],
      { tellsTime: 1 },
    ],
    ['a text with a number', 'how many cats', [turn('three cats'), turn('some cats')], { tellsNumber: 1 }],
    [
      'the day that was asked for',
      'garden in January',
      [turn('garden', { date: '2026-01-09' }), turn('garden', { date: '2025-09-09' })],
      { dayFactor: -0.9, dayShare: 0 },
    ],
    [
      'the session that is about it',
      'garden pond',
      [turn('garden', { session: 'a' }), turn('garden', { session: 'b' }), turn('pond pond', { session: 'a' })].slice(
        0,
        3,
      ),
      { session: 0 },
    ],
    [
      'a turn two turns after another match',
      'garden',
      [
        turn('garden', { session: 'a', turn: 5 }),
        turn('garden', { session: 'b', turn: 5 }),
        turn('garden', { session: 'a', turn: 3 }),
        turn('garden', { session: 'b', turn: 2 }),
      ],
      { lastSaid: 0 },
    ],
  ];
  for (const [name, query, rows, off] of signals) {
    it(`prefers ${name}, and only by that signal`, () => {
      const [first, second] = order(query, rows).filter((body) => body <= 2);
      assert.deepEqual([first, second], [1, 2]);
      assert.deepEqual(
        order(query, rows, { ...WEIGHTS, ...off }).filter((body) => body <= 2),
        [2, 1],
      );
    });
  }

  it('finds an answer by the question before it', () => {
    const rows = [{ ...turn('Luna'), before: 'What is the name of your cat?' }, turn('the weather is fine')];
    assert.deepEqual(order('name of the cat', rows), [1, 2]);
  });
  it('puts the row whose key is the query before all others', () => {
    assert.deepEqual(order('deploy', [{ body: 'nothing of it', key: 'deploy' }, { body: 'deploy deploy' }]), [1, 2]);
  });
  it('puts a newer note that tells a change above the older one about the same thing, and no other', () => {
    const old = { body: 'Tobias takes a flat white with oat milk in the morning after his run' };
    const changed = { body: 'Tobias stopped with oat milk: his coffee is black now' };
    assert.deepEqual(order('tobias takes milk', [old, changed]), [2, 1]);
    assert.deepEqual(order('tobias takes milk', [changed, old]), [2, 1], 'what is newer decides, not the cue');
    const other = {
      body: 'Tobias moved: a new house by the lake, and a long way to the milk bar',
    };
    assert.deepEqual(order('tobias takes milk', [old, other]), [1, 2], 'another subject');
    const turns = [turn('takes oat milk', { turn: 1 }), turn('oat milk no more now', { turn: 9 })];
    assert.deepEqual(order('takes oat milk', turns), [1, 2], 'turns follow each other');
  });
  it('puts the newer of equal rows first', () => {
    assert.deepEqual(order('garden', [{ body: 'garden' }, { body: 'garden' }]), [2, 1]);
  });

  it('takes the last word of the body and the first of the key for no neighbours', () => {
    const [apart, alike] = ['house by the red', 'red by the house'].map((content) => ({
      body: { content },
      key: 'house',
    }));
    assert.ok(apart && alike);
    const weights = { ...WEIGHTS, newerNearly: Infinity, changeNearly: Infinity };
    assert.deepEqual(
      order('red house', [apart, alike], weights),
      [2, 1],
      'neither is better, so the newer comes first',
    );
  });
});
