// A vault loses nothing: what is written to files comes back as it was.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import fc from 'fast-check';

import type { Execute } from '../../src/engine/operations.ts';
import { overlaid } from '../../src/engine/vault.ts';
import type { Vault } from '../../src/files/reading.ts';
import { exportVault, importVault } from '../../src/files/vault.ts';
import { fileNameOf, renderFile } from '../../src/files/markdown.ts';
import { LIMITS } from '../../src/limits.ts';
import { markOf, portableOf, type Portable } from '../../src/memory/portable.ts';
import { OWNER } from '../../src/memory/scope.ts';
import type { Scope } from '../../src/memory/types.ts';
import { readVaultFile } from '../../src/tools/vault-file.ts';
import { ModelStore } from '../support/model-store.ts';
import { temporaryFolder } from '../support/processes.ts';

const ODD = [
  '',
  ' ',
  '---',
  '...',
  'true',
  'null',
  '~',
  '42',
  '0x1F',
  '1e3',
  '2020-01-02',
  '- a',
  'a: b',
  '#x',
  'x #y',
  '[a]',
  '{a: b}',
  '"q"',
  "it's",
  '\\',
  'a\nb',
  'a\n---\nb',
  '\n',
  ' \n',
  '\n ',
  ' \n \n x',
  'a\r\nb',
  '\t',
  '|',
  '>',
  '&a',
  '*a',
  '!t',
  '%% mimir links %%',
  '[[mem-1|x]]',
  '../etc/passwd',
  'CON',
  'café',
  'café',
  '東京 🗼',
  'مرحبا',
  '\u2028',
  '\u0085',
  '\ufeffx',
  '\u00a0x\u00a0',
  '\u0001',
  'x'.repeat(300),
];
const wild = fc
  .oneof(
    fc.constantFrom(...ODD),
    fc.string({ unit: 'grapheme', maxLength: 20 }),
    fc.string({ unit: 'binary', maxLength: 20 }),
  )
  .filter((text) => !text.includes('\0') && text.isWellFormed());
const anything = fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value));
const content = fc
  .oneof(
    wild,
    fc.array(wild, { maxLength: 4 }).map((lines) => lines.join('\n')),
  )
  .map((text) => JSON.stringify({ content: text }));
const spaced = fc.constantFrom(
  '{"content": "a"}',
  '{"content": "caf\\u00e9 \\ud83d\\uddfc \\u007f"}',
  '{"content": "caf\\u00E9"}',
  '{"content":  "a"}',
  ' {"a":1}\n',
  '{"a":\r\n1}',
  '"%% mimir links %%"',
  '{"content":"a","content":"b"}',
);
/** As Python writes it, where it is told to leave letters alone. */
const python = content.map((json) => json.replace(':', ': '));
const body = fc
  .oneof(content, content, python, anything, spaced, wild)
  .filter((json) => !/\\u0000|\\ud[89a-f]|e\+?\d{3}/i.test(json));
const number = fc
  .oneof(
    fc.constantFrom(0, 0.1, 0.30000000000000004, 1, -3, 1e-7, 1e21),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
  )
  .map((value) => value + 0);
const moment = fc.oneof(
  fc.constantFrom(0, -1, 8_640_000_000_000_000, 253_402_300_800_000),
  fc.integer({ min: 0, max: 2 ** 45 }),
);
/** Objects as programs make them, so that they compare. */
const PLAIN = { noNullPrototype: true };
const link = fc.record(
  { targetId: fc.oneof(fc.constantFrom('mem-0', 'mem-1', 'MEM-1'), wild), relationship: wild, weight: number },
  PLAIN,
);

const memory: fc.Arbitrary<Portable> = fc.record(
  {
    id: fc.oneof(
      fc.nat(50).map((n) => `mem-${n}`),
      wild.filter((id) => id !== ''),
    ),
    workspace: wild,
    category: wild,
    key: wild,
    bodyJson: body,
    status: wild,
    type: wild,
    tags: fc.array(wild, { maxLength: 3 }),
    importance: number,
    layer: fc.constantFrom('buffer', 'working', 'core'),
    topicPath: wild,
    verified: fc.boolean(),
    source: wild,
    alwaysOn: fc.boolean(),
    certainty: number,
    agentId: wild,
    visibility: wild,
    archiveReason: fc.oneof(fc.constant(''), wild),
    links: fc.array(link, { maxLength: 3 }),
    createdAtMs: moment,
    usage: fc.record({ count: fc.nat(), lastAtMs: moment }, PLAIN),
  },
  PLAIN,
);
const runs = Number(process.env['MIMIR_TEST_RUNS'] ?? 500);

test('a memory that is written as Markdown is read as it was, with every field, whatever is in it', () => {
  fc.assert(
    fc.property(memory, fc.boolean(), (one, windows) => {
      const text = renderFile({ memory: one, past: ['0123456789abcdef'], labels: one.links.map(() => one.key) });
      // What a careless editor or git may do to line ends loses nothing either.
      const file = readVaultFile(windows ? text.replaceAll('\n', '\r\n') : text, 0);
      const { links: _, ...blank } = { ...one, bodyJson: '', category: '', key: '' };
      assert.deepEqual(overlaid({ ...blank, links: [] }, file), one);
      assert.deepEqual([file.id, file.createdAtMs, file.usage], [one.id, one.createdAtMs, one.usage]);
      assert.equal(file.mark, markOf(one));
      assert.deepEqual(file.past, ['0123456789abcdef']);
    }),
    { numRuns: runs },
  );
});

test('writing a file again keeps what people added to its front matter, and no field of ours from before', () => {
  fc.assert(
    fc.property(memory, memory, (one, other) => {
      const before = renderFile({ memory: one, past: [], labels: [] }).replace(
        '---\n',
        '---\nrating: 5 # mine\ncssclasses: [wide]\n',
      );
      const text = renderFile({ memory: { ...other, id: one.id }, past: [], labels: [] }, { existing: before });
      assert.match(text, /^rating: 5 # mine$/m);
      assert.match(text, /^cssclasses: +\[ ?wide ?\]$/m);
      const file = readVaultFile(text, 0);
      assert.deepEqual(overlaid({ ...one, links: [] }, file), {
        ...other,
        id: one.id,
        createdAtMs: one.createdAtMs,
        usage: one.usage,
      });
    }),
    { numRuns: runs / 5 },
  );
});

test('different ids have different files, also where upper and lower case are the same', () => {
  fc.assert(
    fc.property(wild, wild, (one, other) => {
      fc.pre(one !== other);
      assert.notEqual(fileNameOf(one).toLowerCase(), fileNameOf(other).toLowerCase());
      assert.match(fileNameOf(one), /^[\w-]+\.md$/);
    }),
    { numRuns: runs },
  );
  assert.notEqual(fileNameOf('MEM-1').toLowerCase(), fileNameOf('mem-1'));
});

const scope: Scope = { principal: OWNER, workspace: null, actor: 't', client: 't' };

function vaultOf(store: ModelStore, folder: string): Vault {
  return {
    folder,
    execute: store.execute,
    scope,
    options: {},
    overlay: (_row, stored) => stored,
    read: (text) => readVaultFile(text, store.nowMs),
  };
}

/** A store with these memories; of two at the same place or with the same id, the first. */
async function filled(memories: readonly Portable[]): Promise<ModelStore> {
  const store = new ModelStore();
  const places = new Set<string>();
  for (const { links, usage, ...rest } of memories) {
    const place = JSON.stringify([rest.workspace, rest.category, rest.key]);
    if (places.has(place) || places.has(rest.id)) continue;
    places.add(place).add(rest.id);
    const { row } = store.create(scope, { ...rest, archived: false });
    for (const { targetId, relationship, weight } of links) store.openLink(scope, row, targetId, relationship, weight);
    if (usage.count > 0) store.noteUse(row, usage.count, usage.lastAtMs);
  }
  return store;
}

const said = (store: ModelStore): Map<string, Portable> =>
  new Map(
    store.entities
      .filter(({ archived }) => !archived)
      .map((entity) => [entity.id, portableOf(entity, store.linksOf(scope, entity.row))]),
  );

test('export, then import into an empty store, is identity; and doing either again does nothing', async (t) => {
  const folder = temporaryFolder(t);
  let folders = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(memory, { maxLength: 12 }), async (memories) => {
      const store = await filled(memories);
      const vault = vaultOf(store, join(folder, `v${folders++}`));
      const first = await exportVault(vault, { prune: false });
      assert.deepEqual([first.created, first.updated, first.errors], [store.entities.length, 0, []]);
      assert.ok(readdirSync(vault.folder).every((name) => (statSync(join(vault.folder, name)).mode & 0o777) === 0o600));

      const files = (): string[] =>
        readdirSync(vault.folder).map(
          (name) =>
            `${name} ${statSync(join(vault.folder, name)).mtimeMs} ${readFileSync(join(vault.folder, name), 'utf8')}`,
        );
      const before = files();
      const second = await exportVault(vault, { prune: true });
      assert.deepEqual([second.created, second.updated, second.pruned, second.stale, second.edited], [0, 0, 0, [], []]);
      assert.deepEqual(files(), before);

      const other = new ModelStore();
      const taken = await importVault(vaultOf(other, vault.folder));
      assert.deepEqual([taken.created, taken.updated, taken.errors], [store.entities.length, 0, []]);
      assert.deepEqual(said(other), said(store));
      const again = await importVault(vaultOf(other, vault.folder));
      assert.deepEqual([again.created, again.updated, again.unchanged], [0, 0, store.entities.length]);
      assert.deepEqual(said(other), said(store));
    }),
    { numRuns: Number(process.env['MIMIR_TEST_RUNS'] ?? 40) },
  );
});

test('a vault larger than one step goes out and in whole', async (t) => {
  const count = LIMITS.vaultPageRows * 2 + 3;
  const [one] = fc.sample(memory, 1);
  assert.ok(one !== undefined);
  const memories = Array.from({ length: count }, (_, i) => {
    const content = i % 100 === 0 ? 'x'.repeat(LIMITS.vaultStepMaxChars) : `note ${i}`;
    return { ...one, id: `mem-${i}`, key: `k${i}`, bodyJson: JSON.stringify({ content }) };
  });
  const store = await filled(memories);
  const vault = vaultOf(store, join(temporaryFolder(t), 'v'));
  assert.equal((await exportVault(vault, { prune: false })).created, count);
  const other = new ModelStore();
  let most = 0;
  const execute: Execute = (name, within, input) => {
    if (name === 'vault_take') most = Math.max(most, (input as { files: unknown[] }).files.length);
    return other.execute(name, within, input);
  };
  assert.equal((await importVault({ ...vaultOf(other, vault.folder), execute })).created, count);
  assert.equal(most, LIMITS.vaultStepMemories);
  assert.deepEqual(said(other), said(store));
});
