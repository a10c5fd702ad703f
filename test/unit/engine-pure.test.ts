import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { packHits, unpackHits, type Hit } from '../../src/engine/hits.ts';
import { bulletOf, headOfBytes, itemJson, previewItem } from '../../src/memory/item.ts';
import { nestsDeeperThan, sortedJson, valueNestsDeeperThan } from '../../src/memory/json.ts';
import { layerOf, LAYERS, strengthNow } from '../../src/memory/retention.ts';
import type { Entity } from '../../src/memory/types.ts';

function entityWith(some: Partial<Entity>): Entity {
  return {
    row: 1,
    version: 1,
    body: 1,
    id: 'mem-1',
    workspace: '',
    category: 'c',
    key: 'k',
    bodyJson: '{}',
    bodyHash: '',
    createdAtMs: 0,
    usage: { count: 0, lastAtMs: 0 },
    status: 'active',
    type: 'insight',
    tags: [],
    importance: 0.5,
    layer: 'buffer',
    topicPath: '',
    archived: false,
    archiveReason: '',
    verified: false,
    source: 'agent',
    alwaysOn: false,
    certainty: 0.5,
    agentId: '',
    visibility: 'workspace',
    ...some,
  };
}

describe('retention', () => {
  it('promotes by use and never below what was given', () => {
    assert.deepEqual(
      [0, 4, 5, 19, 20].map((count) => layerOf('buffer', count)),
      ['buffer', 'buffer', 'working', 'working', 'core'],
    );
    assert.equal(layerOf('core', 0), 'core');
    assert.equal(layerOf('nonsense', 5), 'working');
  });
  it('fades over seven days unless it lasts', () => {
    const week = 7 * 86_400_000;
    const kept = { importance: 0.5, lasting: false, usage: { count: 1, lastAtMs: 0 } };
    assert.equal(strengthNow(kept, 0), 0.75);
    assert.equal(strengthNow(kept, week), 0.27591);
    assert.equal(strengthNow({ ...kept, lasting: true }, week), 0.75);
    assert.equal(strengthNow({ ...kept, usage: { count: 9, lastAtMs: 9 } }, 0), 1);
  });
});

describe('packed hits', () => {
  const number = fc.double({ noNaN: true, noDefaultInfinity: true });
  const hit: fc.Arbitrary<Hit> = fc.record({
    text: fc.string({ unit: 'grapheme' }),
    row: fc.nat(),
    importance: number,
    lasting: fc.boolean(),
    archived: fc.boolean(),
    layer: fc.constantFrom(...LAYERS),
    usage: fc.record({ count: fc.nat(), lastAtMs: fc.maxSafeInteger() }),
  });
  it('come back as they were', () => {
    fc.assert(
      fc.property(fc.array(hit), (hits) =>
        assert.deepEqual(unpackHits(structuredClone(packHits(hits))), structuredClone(hits)),
      ),
    );
  });
});

describe('an item', () => {
  const text = fc.string({ unit: 'binary' }).map((s) => s.toWellFormed());
  it('is JSON whatever is stored, and its line is the beginning of the body', () => {
    fc.assert(
      fc.property(fc.json(), text, text, fc.nat(300), (bodyJson, category, key, cap) => {
        const json = itemJson(entityWith({ bodyJson, category, key }), []);
        const item = JSON.parse(`${json}}`) as Record<string, unknown>;
        assert.deepEqual(
          [item['body_json'], item['category'], item['key'], item['status']],
          [bodyJson, category, key, 'active'],
        );
        const characters = Array.from(bodyJson);
        const head = characters.length > 100 ? `${characters.slice(0, 100).join('')}...` : bodyJson;
        const flat = (s: string) => s.replace(/[\n\v\f\r\u0085\u2028\u2029]/g, ' ');
        assert.equal(bulletOf({ category, key, bodyJson }), flat(`- [${category}] **${key}** — ${head}`));
        const preview = JSON.parse(`${previewItem(json, cap)}}`) as { body_json: string };
        if (Buffer.byteLength(bodyJson) <= cap) assert.equal(preview.body_json, bodyJson);
        else assert.ok(preview.body_json.startsWith(`${headOfBytes(bodyJson, cap)}\n--truncated (`));
      }),
    );
  });
  it('of a body that is not JSON has no fields', () => {
    assert.equal(
      (JSON.parse(`${itemJson(entityWith({ bodyJson: '{nonsense' }), [])}}`) as Record<string, unknown>)['body_json'],
      '{nonsense',
    );
  });
});

describe('JSON', () => {
  it('depth is counted without recursion', () => {
    assert.equal(nestsDeeperThan('[{"a":"[[[[\\"[["}]', 2), false);
    assert.equal(nestsDeeperThan('[{"a":[]}]', 2), true);
    assert.equal(nestsDeeperThan('['.repeat(1_000_000), 128), true);
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), fc.nat(6), (value, max) => {
        assert.equal(nestsDeeperThan(JSON.stringify(value), max), valueNestsDeeperThan(value, max));
        assert.deepEqual(JSON.parse(sortedJson(value)), JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});
