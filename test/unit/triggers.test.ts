import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import fc from 'fast-check';

import { withTriggers } from '../../src/memory/json.ts';
import { similarities, jaccard, Trigrams } from '../../src/memory/similarity.ts';
import { firingWords, readSituation, triggerQuery, triggersOf } from '../../src/memory/triggers.ts';

describe('triggers in a body', () => {
  const cases: [string, string][] = [
    ['{}', '{"recall_when":["x\\"]"]}'],
    [' { } ', ' { "recall_when":["x\\"]"]} '],
    ['{"n":9007199254740993,"f":1.50}', '{"n":9007199254740993,"f":1.50,"recall_when":["x\\"]"]}'],
    ['{"a":"}","recall_when" : ["old", {"recall_when":1}] , "b":[{}]}', '{"a":"}","recall_when" :["x\\"]"], "b":[{}]}'],
    ['{"deep":{"recall_when":["stays"]}}', '{"deep":{"recall_when":["stays"]},"recall_when":["x\\"]"]}'],
    ['{"a":"\\\\","recall_when":"\\"}"}', '{"a":"\\\\","recall_when":["x\\"]"]}'],
    ['{"recall\\u005fwhen":1,"recall_when":2}', '{"recall\\u005fwhen":["x\\"]"],"recall_when":["x\\"]"]}'],
    ['[1]', '[1]'],
    ['"recall_when"', '"recall_when"'],
  ];
  for (const [body, expected] of cases) {
    it(`are put into ${body} and nothing else is touched`, () => {
      assert.equal(withTriggers(body, ['x"]']), expected);
      assert.equal(withTriggers(body, []), body);
    });
  }

  it('of any object are those that were given, and the other members stay', () => {
    const spaced = fc.constantFrom(undefined, 1, '\t');
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.array(fc.string()),
        spaced,
        (body, triggers, space) => {
          const written = JSON.stringify(body, null, space);
          const read = JSON.parse(withTriggers(written, triggers)) as Record<string, unknown>;
          const { recall_when: mine, ...others } = read;
          const { recall_when: theirs, ...rest } = JSON.parse(written) as Record<string, unknown>;
          assert.deepEqual(others, rest);
          assert.deepEqual(mine, triggers.length > 0 ? triggers : theirs);
        },
      ),
    );
  });
});

describe('a situation', () => {
  const cases: [string, string[], number][] = [
    ['deploying now', ['deploying the cluster'], 1],
    ['We DEPLOYED the cluster.', ['deploying clusters'], 2],
    ['production, deploying!', ['deploying the storage service'], 1],
    ['deploy', ['before a deployment'], 1],
    ['config', ['Configuration change'], 1],
    ['the', ['deploying the cluster'], 1],
    ['the weather', ['deploying the cluster'], 0],
    ['cluster', ['a', '', 'CLUSTER-wide'], 1],
    ['is the CI red?', ['CI failure'], 1],
    ['a cider', ['CI failure'], 0],
    ['port', ['import'], 0],
    ['x', ['x'], 0],
    ['', ['x'], 0],
    ['!?', ['!?'], 0],
    ['配置の前に確認する', ['配置の前'], 1],
    ['配置', ['データベースの配置の前'], 1],
    ['食事の前', ['配置の前'], 0],
    ['배포를 한다', ['배포 전에'], 1],
    ['café', ['at the CAFE'], 1],
    ['перед деплоем', ['деплоем занят'], 1],
  ];
  for (const [context, triggers, words] of cases) {
    it(`"${context}" fires ${words} words of ${JSON.stringify(triggers)}`, () => {
      assert.equal(firingWords(readSituation(context), triggers), words);
    });
  }

  it('asks the index for every word that can fire', () => {
    assert.deepEqual(triggerQuery(readSituation('CI deploys 配置の前')), {
      words: ['ci', '配置', '置の', 'の前'],
      beginnings: ['deploi', 'deploys'],
    });
  });

  it('is met by triggers that are a list of texts', () => {
    assert.deepEqual(triggersOf({ recall_when: ['a', 7, 'b'] }), ['a', 'b']);
    for (const recall_when of ['a', { 0: 'a' }, null, undefined]) assert.deepEqual(triggersOf({ recall_when }), []);
  });
});

describe('the likeness of many texts', () => {
  it('is that of each two alone', () => {
    const text = fc.array(fc.constantFrom('a', 'b', 'é', '東', '😀'), { maxLength: 9 }).map((list) => list.join(''));
    fc.assert(
      fc.property(fc.array(text, { maxLength: 6 }), (texts) => {
        const likeness = similarities(texts);
        for (const [i, a] of texts.entries()) {
          for (const [j, b] of texts.entries()) {
            const expected = a === b ? Number(a !== '') : jaccard(new Trigrams(a), new Trigrams(b), 0);
            assert.equal(likeness(i, j), expected);
          }
        }
      }),
    );
  });

  it('tells windows apart that differ in one bit of one character', () => {
    const windowOf = (scalars: readonly number[]): string => String.fromCodePoint(...scalars);
    const scalar = fc.integer({ min: 0, max: 0x10ffff });
    fc.assert(
      fc.property(fc.tuple(scalar, scalar, scalar), (scalars) => {
        const text = windowOf(scalars);
        for (let flipped = 0; flipped < 3 * 21; flipped++) {
          const others = scalars.map((one, i) => (i === flipped % 3 ? one ^ (1 << Math.floor(flipped / 3)) : one));
          if (others.some((one) => one > 0x10ffff)) continue;
          const other = windowOf(others);
          // Two halves of a pair that meet are one character.
          if (Array.from(text).length < 3 || Array.from(other).length < 3) continue;
          assert.equal(jaccard(new Trigrams(text), new Trigrams(other), 0), 0);
        }
      }),
    );
  });
});
