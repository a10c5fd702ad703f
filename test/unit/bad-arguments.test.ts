// Every tool, and every argument of it that there is: wrong kinds are refused with the name of the field, and nothing is stored.
import assert from 'node:assert/strict';
import test from 'node:test';

import { TOOLS } from '../../src/tools/table.ts';
import { setUp } from '../support/tool-table.ts';

interface Property {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Property[];
}

/** A hundred arrays in each other, and more than anybody means. */
const DEEP: unknown = JSON.parse('['.repeat(300) + ']'.repeat(300));

/** What no argument of this kind can be. */
function wrongFor({ type, enum: words, anyOf }: Property): readonly (readonly [what: string, value: unknown])[] {
  const kinds = [type, ...(anyOf ?? []).map((one) => one.type)];
  const is = (kind: string): boolean => kinds.includes(kind);
  return [
    ['nested deeply', DEEP],
    ...(is('object') ? [] : [['an object', { a: 1 }] as const]),
    ...(is('array') ? [] : [['a list', [1, 2]] as const]),
    ...(words === undefined ? [] : [['a word that is none of them', 'no-such-word'] as const]),
    ...(is('integer') || is('number') ? [['words', 'many'] as const] : []),
    ...(is('boolean') ? [['a word', 'perhaps'] as const] : []),
    ...(is('string') && words === undefined
      ? [
          ['half a character', 'a\ud800'] as const,
          ['a NUL', 'a\0b'] as const,
          ['16 MB', 'x'.repeat(16 * 1024 * 1024)] as const,
        ]
      : []),
  ];
}

/** Any JSON is taken here, as the original does. */
const ANY_JSON: ReadonlySet<string> = new Set(
  ['evaluated', 'acted', 'forward'].map((field) => `mimir_journal ${field}`),
);

for (const { listing, example } of TOOLS) {
  const { name } = listing;
  const { properties = {} } = listing.inputSchema as { properties?: Readonly<Record<string, Property>> };
  test(`${name} refuses what its arguments cannot be, by their names, and stores nothing`, async () => {
    const { call, store } = setUp();
    const before = JSON.stringify(store.entities);
    for (const [field, property] of Object.entries(properties)) {
      for (const [what, value] of wrongFor(property)) {
        if (what === 'a list' && ANY_JSON.has(`${name} ${field}`)) continue;
        const answer = await call(name.replace('mimir_', ''), { ...(example as object), [field]: value });
        const about = `${field}: ${what}: ${answer.text.slice(0, 200)}`;
        assert.deepEqual(
          [answer.isError, answer['kind'], answer['code']],
          [true, 'invalid', 'invalid_argument'],
          about,
        );
        assert.ok(answer.text.includes(field), about);
      }
    }
    assert.equal(JSON.stringify(store.entities), before);
  });
}
