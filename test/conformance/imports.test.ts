// What other memory programs leave, brought in; the samples are made here, in the form that those programs write.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

import fc from 'fast-check';

import { MimirError } from '../../src/errors.ts';
import { importSource, IMPORTS, type ImportAsked } from '../../src/sources/imports.ts';
import { csvRecords } from '../../src/sources/records.ts';
import { ingestInto, writeFiles } from '../support/ingest.ts';
import { startMimir, temporaryFolder } from '../support/processes.ts';

function importing(
  t: TestContext,
  from: string,
  content: string | Readonly<Record<string, string>>,
  more: Partial<ImportAsked> = {},
) {
  const folder = temporaryFolder(t);
  const isFolder = typeof content !== 'string';
  const path = isFolder ? folder : join(folder, more.path ?? 'export.json');
  if (isFolder) writeFiles(folder, content);
  else writeFileSync(path, content);
  const into = ingestInto();
  const source = importSource({ from, map: {}, ...more, path });
  /** `from relationship to` of every link. */
  const links = (): string[] => {
    const keyOf = new Map(into.store.entities.map(({ id, key }) => [id, key]));
    return into.store.entities
      .flatMap(({ row, key }) =>
        into.store
          .linksOf({ principal: { kind: 'owner' }, workspace: '', actor: '', client: '' }, row)
          .map(({ targetId, relationship }) => `${key} ${relationship} ${keyOf.get(targetId)}`),
      )
      .toSorted();
  };
  return { ...into, folder, links, run: (dryRun = false) => into.run(source, { dryRun }) };
}

const REFERENCE = [
  '{"type":"entity","name":"Mara Lind","entityType":"person","observations":["keeps bees","writes \\"quoted\\" notes"]}',
  '{"type":"entity","name":"Harbour Office","entityType":"organisation","observations":[]}',
  '{"type":"relation","from":"Mara Lind","to":"Harbour Office","relationType":"works_at"}',
  '{"type":"relation","from":"Mara Lind","to":"Harbour Office","relationType":"owns"}',
  '{"type":"relation","from":"Mara Lind","to":"Nobody","relationType":"knows"}',
].join('\n');

test('the reference memory server: entities, their observations, and relations as links', async (t) => {
  const { run, stored, links, store } = importing(t, 'reference', `${REFERENCE}\nbroken\n[1]\n{"type":"entity"}\n\n`);
  const done = await run();
  assert.deepEqual(done.notes, [
    'export.json: line 6 is no JSON',
    'export.json: line 7 is no object',
    'export.json: line 8 is neither an entity with a name nor a relation',
  ]);
  assert.deepEqual(stored(), [
    ['Harbour Office', { content: '', entity_type: 'organisation', name: 'Harbour Office' }],
    ['Mara Lind', { content: 'keeps bees\nwrites "quoted" notes', entity_type: 'person', name: 'Mara Lind' }],
  ]);
  assert.deepEqual(links(), ['Mara Lind owns Harbour Office', 'Mara Lind works_at Harbour Office']);
  const before = JSON.stringify([store.entities, [...store.links]]);
  const again = await run();
  assert.deepEqual(
    [again.changed, again.unchanged, JSON.stringify([store.entities, [...store.links]])],
    [[], 2, before],
  );
});

test('mem0: a list of memories, bare or under results', async (t) => {
  const memories = [
    {
      id: 'm1',
      memory: 'Likes tea',
      user_id: 'ana',
      categories: ['food', 'habits'],
      created_at: '2026-01-02T03:04:05Z',
      metadata: { a: 1 },
    },
    { id: 'm2', memory: '' },
    5,
  ];
  for (const text of [JSON.stringify(memories), JSON.stringify({ results: memories }), JSON.stringify({ memories })]) {
    const { run, stored, store } = importing(t, 'mem0', text);
    assert.deepEqual((await run()).notes, [
      'export.json: record 2 has no memory',
      'export.json: record 3 has no memory',
    ]);
    assert.equal(stored()[0]?.[0], 'm1');
    const [[, body] = []] = stored();
    const { content, user_id: user, metadata } = (body ?? {}) as Record<string, unknown>;
    assert.deepEqual([content, user, metadata], ['Likes tea', 'ana', { a: 1 }]);
    const [first] = store.entities;
    assert.deepEqual([first?.tags, first?.category, first?.source], [['food', 'habits'], 'mem0', 'import:mem0']);
  }
  for (const text of ['{"results": 5}', 'nothing', '"x"']) {
    const { errors } = await importing(t, 'mem0', text).run();
    assert.match(String(errors), /export\.json is no file of mem0/);
  }
});

test('lines of JSON: parts are guessed or named, equal keys stay apart, and what has no key has its number', async (t) => {
  const lines = [
    { text: 'one', id: 7, tags: ['a'], by: 'ana' },
    { text: 'two', id: '7' },
    { text: 'three' },
    { id: 'empty' },
  ].map((one) => JSON.stringify(one));
  const guessed = importing(t, 'jsonl', lines.join('\r\n'));
  assert.deepEqual((await guessed.run()).notes, ['export.json: line 4 has no text']);
  assert.deepEqual(
    guessed.stored().map(([key, body]) => [key, (body as { content: string }).content]),
    [
      ['7', 'one'],
      ['7~2', 'two'],
      ['record-3', 'three'],
    ],
  );
  assert.deepEqual((await guessed.run()).changed, []);
  const named = importing(t, 'jsonl', '{"what":"x","who":"k","text":"left"}', {
    map: { content: 'what', key: 'who' },
    category: 'mine',
  });
  await named.run();
  assert.deepEqual(named.stored(), [['k', { content: 'x', text: 'left', who: 'k' }]]);
  assert.equal(named.store.entities[0]?.category, 'mine');
});

test('a table of any cells is read as it was written', () => {
  const cell = fc.constantFrom('', 'plain', 'with, comma', 'with "quotes"', 'two\nlines', 'ünï', ' blank ');
  fc.assert(
    fc.property(
      fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 6 }),
      fc.constantFrom('\n', '\r\n'),
      (rows, end) => {
        const quote = (text: string): string => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
        const table = ['text,more', ...rows.map((row) => row.map(quote).join(','))].join(end);
        const { documents, notes } = csvRecords(table, {});
        const told = rows.filter(([text]) => text !== '');
        assert.deepEqual(
          documents.map(({ text, meta }) => [text, meta['more']]),
          told,
        );
        assert.equal(notes.length, rows.length - told.length);
      },
    ),
  );
  const { documents, notes } = csvRecords('text,more\na,b\nc\n"d\n",e\nf,g,h\n', {});
  assert.deepEqual(
    [documents.map(({ text }) => text), notes],
    [
      ['a', 'd\n'],
      ['line 3 has 1 columns instead of 2', 'line 6 has 3 columns instead of 2'],
    ],
  );
});

test('notes: tags and title of the front matter, wikilinks, and what a link means', async (t) => {
  const { run, stored, links, store, folder } = importing(t, 'basic-memory', {
    'people/Mara Lind.md': [
      '---',
      'title: Mara Lind',
      'type: note',
      'tags: [person, "#beekeeper"]',
      'permalink: people/mara-lind',
      '---',
      '# Mara Lind',
      '',
      '- [habit] keeps bees #honey',
      '- works_at [[Harbour Office]]',
      '- relates to [[people/jo|Jo]] and [[Nowhere]]',
    ].join('\n'),
    'Harbour Office.md': 'See [[mara lind#habits]].\n',
    'people/jo.md': '---\npermalink: people/jo\n---\nFriend of [[Mara Lind]].',
    'CLAUDE.md': '--- no front matter: [\n---\nAlways run the tests.',
  });
  const { notes, errors } = await run();
  assert.deepEqual([notes, errors, stored().length], [[], [], 4]);
  const prefix = `${folder.replaceAll('/', '-')}-`;
  assert.deepEqual(
    links().map((link) => link.replaceAll(prefix, '')),
    [
      'Harbour Office.md mentions people-Mara Lind.md',
      'people-Mara Lind.md relates to people-jo.md',
      'people-Mara Lind.md works_at Harbour Office.md',
      'people-jo.md mentions people-Mara Lind.md',
    ],
  );
  const mara = store.entities.find(({ key }) => key.endsWith('Mara Lind.md'));
  assert.deepEqual([mara?.tags, mara?.category], [['ext:md', 'person', 'beekeeper'], 'note']);
  assert.deepEqual((await run()).changed, []);
});

test('what is no format, no file and too large is said, and a dry run writes nothing', async (t) => {
  assert.throws(
    () => importSource({ from: 'toString', path: '/x', map: {} }),
    (error) =>
      error instanceof MimirError &&
      error.code === 'invalid_argument' &&
      Object.keys(IMPORTS).every((name) => error.hint?.includes(name)),
  );
  const gone = ingestInto();
  const { errors } = await gone.run(importSource({ from: 'jsonl', path: '/no/such.jsonl', map: {} }));
  assert.match(String(errors), /cannot be read/);
  const long = importing(t, 'jsonl', `${JSON.stringify({ text: 'x', id: 'k'.repeat(5_000) })}\n{"text":"fits"}`);
  const done = await long.run();
  assert.match(String(done.errors), /^k+ is too large/);
  assert.equal(long.stored().length, 1);
  const dry = importing(t, 'reference', REFERENCE);
  assert.equal((await dry.run(true)).changed.length, 2);
  assert.deepEqual([dry.store.entities.length, dry.links()], [0, []]);
});

test('mimir import says what came in, and how to mend what is wrong', async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'memory.jsonl');
  writeFileSync(file, `${REFERENCE}\nbroken\n`);
  const mimir = async (...args: string[]) => {
    const { child, printed, ended } = startMimir([...args, '--db', join(folder, 'm.db')]);
    child.stdin.end();
    return { exit: await ended, ...printed };
  };
  const dry = await mimir('import', '--from', 'reference', file, '--dry-run');
  assert.equal(
    dry.stdout,
    'would import 2, would forget 0, unchanged 0\nnew or changed:\n  Mara Lind\n  Harbour Office\nleft out:\n  memory.jsonl: line 6 is no JSON\n',
  );
  assert.match((await mimir('import', '--from', 'reference', file)).stdout, /^imported 2,/);
  assert.match((await mimir('import', '--from', 'reference', file)).stdout, /^imported 0, forgot 0, unchanged 2/);
  assert.match((await mimir('recall', 'who keeps bees')).stdout, /Mara Lind/);
  const wrong = await mimir('import', '--from', 'nothing', file);
  assert.deepEqual([wrong.exit, wrong.stdout], [2, '']);
  assert.match(wrong.stderr, /--from reference, jsonl/);
  assert.equal((await mimir('import', '--from', 'jsonl', file, '--map', 'colour=x')).exit, 2);
  assert.equal((await mimir('import', '--from', 'jsonl', join(folder, 'none'))).exit, 4);
  const unasked = await mimir('import', file, '--dry-run');
  assert.deepEqual([unasked.exit, unasked.stdout], [2, '']);
  assert.match(unasked.stderr, /--dry-run goes with --from FORMAT only/);
});
