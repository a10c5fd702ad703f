import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { dayMatch, mentionsTime, parseDay, parseSpans, type DaySpan } from '../../src/memory/dates.ts';
import { analyseQuery } from '../../src/memory/query.ts';

// A Wednesday.
const NOW = Date.parse('2026-03-18T09:00:00Z');
const iso = (day: number): string => new Date(day * 86_400_000).toISOString().slice(0, 10);
const shown = ({ from, to, unit }: DaySpan): string =>
  from === to ? `${unit} ${iso(from)}` : `${unit} ${iso(from)}..${iso(to)}`;

describe('days that a query names', () => {
  const table: readonly (readonly [string, ...string[]])[] = [
    ['what did we say on 2025-12-24?', 'day 2025-12-24'],
    ['what happened on December 17th?', 'day 2025-12-17'],
    ['and on 3 March 2024', 'day 2024-03-03'],
    ['the 1st of February', 'day 2026-02-01'],
    ['May 7, 2023 and 8 May 2023', 'day 2023-05-07', 'day 2023-05-08'],
    ['in January', 'month 2026-01-01..2026-01-31'],
    ['in May', 'month 2025-05-01..2025-05-31', 'month 2026-05-01..2026-05-31'],
    ['in December', 'month 2025-12-01..2025-12-31'],
    ['on 24 March', 'day 2026-03-24', 'day 2025-03-24'],
    ['July 2023', 'month 2023-07-01..2023-07-31'],
    ['in 2024', 'year 2024-01-01..2024-12-31'],
    ['yesterday', 'day 2026-03-17'],
    ['the day before yesterday', 'day 2026-03-16'],
    ['last Sunday', 'day 2026-03-15'],
    ['on Wednesday', 'day 2026-03-11'],
    ['three days ago', 'day 2026-03-15'],
    ['8 months ago', 'month 2025-07-01..2025-07-31'],
    ['a year ago', 'year 2025-01-01..2025-12-31'],
    ['two weeks ago', 'week 2026-03-02..2026-03-08'],
    ['last week', 'week 2026-03-09..2026-03-15'],
    ['last weekend', 'week 2026-03-14..2026-03-15'],
    ['this month', 'month 2026-03-01..2026-03-31'],
    ['last month', 'month 2026-02-01..2026-02-28'],
    // Words that are no dates.
    ['may I march on?'],
    ['port 2024, version 10.5.3, decent augury'],
    [''],
  ];
  for (const [text, ...spans] of table) {
    it(`${JSON.stringify(text)} names ${spans.length === 0 ? 'none' : spans.join(' and ')}`, () => {
      assert.deepEqual(parseSpans(text, NOW).map(shown), spans);
    });
  }

  it('fit a day exactly, or a little after: what happened is told later', () => {
    const [day] = parseSpans('on 2026-03-01', NOW);
    const [month] = parseSpans('in January', NOW);
    assert.ok(day !== undefined && month !== undefined);
    const at = (date: string): number => parseDay(date);
    assert.deepEqual(
      ['2026-03-01', '2026-03-05', '2026-03-20', '2026-05-01', '2026-02-28'].map((date) => dayMatch(at(date), day)),
      [1, 0.6, 0.25, 0, 0],
    );
    assert.deepEqual(
      ['2026-01-31', '2026-02-10', '2026-04-01', '2025-12-31'].map((date) => dayMatch(at(date), month)),
      [1, 0.5, 0, 0],
    );
    assert.equal(dayMatch(0, day), 0, 'what has no date fits none');
  });

  it('are found in texts that tell time, and not in others', () => {
    assert.deepEqual(['we moved last week', 'in 2023', 'on the 3rd', 'we may go', 'port 80'].map(mentionsTime), [
      true,
      true,
      true,
      false,
      false,
    ]);
    assert.deepEqual(
      ['2023-05-08T13:56:00', '2023-05-08', '8.5.2023', 7].map((date) => parseDay(date) > 0),
      [true, true, false, false],
    );
  });
});

describe('a query', () => {
  const asked = (text: string) => analyseQuery(text, 64, NOW);

  it('drops function words in whatever form, unless there is nothing else', () => {
    assert.deepEqual(asked('What was the name of their dog?').terms, ['name', 'dog']);
    assert.deepEqual(asked('was this does').terms.length, 3);
  });
  it('knows irregular forms as the words they are of', () => {
    assert.deepEqual(asked('children went').terms, asked('child go').terms);
  });
  it('keeps neighbours as pairs, whatever stands between them', () => {
    assert.deepEqual(asked('the red door of the red house').pairs, [
      [1, 0],
      [0, 2],
    ]);
  });
  it('asks for the days that it names as words too, at a lower worth', () => {
    const { terms, shares } = asked('garden yesterday');
    assert.deepEqual(terms, ['garden', 'yesterdai', '2026-03-17']);
    assert.deepEqual(shares.slice(0, 2), [1, 1]);
    assert.ok((shares[2] ?? 1) < 1);
    assert.equal(asked('last week').terms.length, 2 + 7);
    assert.deepEqual(asked('in January').terms.slice(-1), ['2026-01']);
  });
  it('sees who asks and for what', () => {
    const cues = (text: string) => {
      const { firstPerson, asksWhen, asksHowMany } = asked(text);
      return [firstPerson, asksWhen, asksHowMany];
    };
    assert.deepEqual(cues('When did I move?'), [true, true, false]);
    assert.deepEqual(cues('How many cats has Anna?'), [false, false, true]);
    assert.deepEqual(cues('the theme of his book'), [false, false, false]);
  });
});
