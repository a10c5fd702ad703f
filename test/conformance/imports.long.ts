// What other memory programs leave, brought in; the samples are made here, in the form that those programs write.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

import { ingestLink } from '../../src/engine/ingest.ts';
import { MimirError } from '../../src/errors.ts';
import { importSource, IMPORTS, type ImportAsked } from '../../src/sources/imports.ts';
import type { Writer } from '../../src/storage/store.ts';
import { ingestInto, writeFiles } from '../support/ingest.ts';
import { startMimir, temporaryFolder } from '../support/processes.ts';

function importing(
  t: TestContext,
  from: string,
  content: string | Buffer | Readonly<Record<string, string | Buffer>>,
  more: Partial<ImportAsked> = {},
) {
  const folder = temporaryFolder(t);
  const isFolder = typeof content !== 'string' && !Buffer.isBuffer(content);
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
    'export.json: line 5 is a relation, and there is no entity "Nobody"',
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

test('names are what they are: in large and small letters, like the lines of a file, of things and not of memories', async (t) => {
  const lines = [
    { type: 'entity', name: 'Bo Ek', entityType: 'person', observations: ['sails'] },
    { type: 'entity', name: 'bo ek', entityType: 'boat', observations: ['built 1974', 7, { wood: 'oak' }] },
    { type: 'entity', name: 'queue.ts', entityType: 'code', observations: ['a queue'] },
    { type: 'entity', name: 'queue.ts#L10-L20', entityType: 'code', observations: ['tries three times'] },
    {
      type: 'entity',
      name: 'Log',
      entityType: 'log',
      observations: Array<string>(200).fill('the tide was high again'),
    },
    { type: 'relation', from: 'Bo Ek', to: 'bo ek', relationType: 'owns' },
    { type: 'relation', from: 'bo ek', to: 'bo ek', relationType: 'is' },
    { type: 'relation', from: 'Gone', to: 'bo ek', relationType: 'built' },
  ];
  const { run, stored, links } = importing(t, 'reference', lines.map((line) => JSON.stringify(line)).join('\n'));
  const { notes, changed } = await run();
  assert.deepEqual(notes, [
    'export.json: line 7 is a relation of an entity with itself',
    'export.json: line 8 is a relation, and there is no entity "Gone"',
  ]);
  assert.equal(changed.length, 5);
  assert.deepEqual(links(), ['Bo Ek owns bo ek']);
  const { content } = new Map(stored()).get('bo ek') as { content: string };
  assert.equal(content, 'built 1974\n7\n{"wood":"oak"}');
  const again = await run();
  assert.deepEqual([again.changed, again.forgotten, again.unchanged], [[], [], 5]);
});

/** As mem0 writes it where it is installed, and what a search adds. */
const MEMORY = {
  id: 'm1',
  memory: 'Likes tea',
  hash: '0a1b2c',
  metadata: { category: 'food', tags: ['habit', 'drink'], n: 3 },
  score: null as number | null,
  created_at: '2026-01-02T03:04:05+00:00',
  updated_at: '2026-01-02T03:04:05+00:00',
  user_id: 'ana',
  agent_id: null,
};
const LATER = { id: 'm2', memory: 'Likes coffee', updated_at: '2026-01-02T04:00:00Z', categories: ['food'] };

test('mem0: memories in every form that it gives out', async (t) => {
  const { metadata, created_at, updated_at, user_id, memory: content } = MEMORY;
  const rest = { metadata, created_at, updated_at, user_id };
  const page = { count: 2, next: 'https://mem0.example/?page=2', previous: null, results: [LATER] };
  const forms: Readonly<Record<string, string>> = {
    list: JSON.stringify([LATER, MEMORY]),
    results: JSON.stringify({ results: [LATER, { ...MEMORY, score: 0.83 }] }, null, 2),
    memories: JSON.stringify({ memories: [LATER, MEMORY] }),
    'the lists of a user and of an agent': JSON.stringify([{ results: [MEMORY, LATER] }, { results: [MEMORY] }]),
    'all pages': JSON.stringify([page, { count: 2, next: null, previous: 'x', results: [MEMORY] }]),
    'an export, wrapped': JSON.stringify({ status: 'completed', data: { memories: [LATER, MEMORY] } }),
    'one a line': `${JSON.stringify(LATER)}\n${JSON.stringify(MEMORY)}\n`,
    'a page a line': `${JSON.stringify(page)}\n${JSON.stringify({ results: [MEMORY] })}`,
  };
  for (const [form, text] of Object.entries(forms)) {
    const { run, stored, store } = importing(t, 'mem0', text);
    const { notes, changed } = await run();
    assert.deepEqual([form, notes, changed], [form, [], ['m1', 'm2']], 'in the order in which they were said');
    assert.deepEqual(stored()[0], ['m1', { content, ...rest }]);
    const [first, second] = store.entities;
    assert.deepEqual([first?.category, first?.source], ['mem0', 'import:mem0']);
    assert.deepEqual([first?.tags, second?.tags], [['food', 'habit', 'drink'], ['food']]);
    assert.deepEqual([(await run()).changed, (await run()).unchanged], [[], 2]);
  }
  const one = importing(t, 'mem0', JSON.stringify(MEMORY));
  await one.run();
  assert.deepEqual(one.stored(), [['m1', { content, ...rest }]]);
  for (const part of [page, [{ ...page, next: null }, page]]) {
    const first = importing(t, 'mem0', JSON.stringify(part));
    assert.deepEqual((await first.run()).notes, ['export.json: there is a next page, which is not in this file']);
  }
});

test('mem0: an export in a form of its user is one memory, and what is none of it is said', async (t) => {
  const profile = { full_name: 'Ana Berg', skills: ['bees', 'boats'], employer: null, years: 8 };
  for (const text of [JSON.stringify(profile), JSON.stringify({ data: profile })]) {
    const { run, stored } = importing(t, 'mem0', text);
    await run();
    assert.deepEqual(stored(), [['export', { content: 'full_name: Ana Berg\nskills: ["bees","boats"]\nyears: 8' }]]);
  }
  const sentences = importing(t, 'mem0', '{"memories":["Likes tea","Likes tea","Rows"]}');
  await sentences.run();
  assert.deepEqual(
    sentences.stored().map(([, body]) => body),
    [{ content: 'Rows' }, { content: 'Likes tea' }],
  );
  const twice = importing(t, 'mem0', JSON.stringify([MEMORY, { ...MEMORY, memory: 'Likes rum' }]));
  await twice.run();
  assert.deepEqual(
    twice.stored().map(([key]) => key),
    ['m1', 'm1~2'],
  );
  for (const text of ['{"results": 5}', '{"memories": 5}', 'nothing', '"x"', '{}', '']) {
    const { errors } = await importing(t, 'mem0', text).run();
    assert.match(String(errors), /export\.json is no file of mem0/, text);
  }
});

test('lines of JSON: parts are guessed or named, equal keys stay apart, and what has no key has one of its own', async (t) => {
  const lines = [
    { text: 'one', id: 7, tags: ['a'], by: 'ana' },
    { text: 'two', id: '7' },
    { text: 'three' },
    { id: 'empty' },
  ].map((one) => JSON.stringify(one));
  const guessed = importing(t, 'jsonl', lines.join('\r\n'));
  assert.deepEqual((await guessed.run()).notes, ['export.json: line 4 has no text']);
  const texts = (): [string, string][] =>
    guessed.stored().map(([key, body]) => [key.replace(/^record-[0-9a-f]{12}$/, 'record'), textIn(body)]);
  assert.deepEqual(texts(), [
    ['7', 'one'],
    ['7~2', 'two'],
    ['record', 'three'],
  ]);
  assert.deepEqual((await guessed.run()).changed, []);
  // The first line of another file is another record.
  writeFileSync(join(guessed.folder, 'export.json'), '{"text":"four"}\n{"text":"three"}');
  assert.equal((await guessed.run()).changed.length, 1);
  assert.deepEqual(new Set(texts().map(([, text]) => text)), new Set(['one', 'two', 'three', 'four']));
  const named = importing(t, 'jsonl', '{"what":"x","who":"k","text":"left","content":"kept"}', {
    map: { content: 'what', key: 'who' },
    category: 'mine',
  });
  await named.run();
  assert.deepEqual(named.stored(), [['k', { body: 'x', text: 'left', content: 'kept', who: 'k' }]]);
  assert.equal(named.store.entities[0]?.category, 'mine');
});

function textIn(body: unknown): string {
  return (body as { content: string }).content;
}

test('a file that is no UTF-8: the form of Windows is read, and what cannot be read is said', async (t) => {
  const wide = importing(t, 'jsonl', Buffer.from('\uFEFF{"text":"café"}\r\n{"text":"zwei"}\r\n', 'utf16le'));
  assert.deepEqual((await wide.run()).notes, []);
  assert.deepEqual(
    wide
      .stored()
      .map(([, body]) => textIn(body))
      .toSorted(),
    ['café', 'zwei'],
  );
  const latin = importing(t, 'jsonl', Buffer.from('text\ncafé\nplain\n', 'latin1'), { path: 'notes.csv' });
  assert.deepEqual((await latin.run()).notes, ['notes.csv: line 2 is no UTF-8: what cannot be read stands as \uFFFD']);
  assert.equal(latin.stored().length, 2);
});

const DEEP = `${'['.repeat(5_000)}${']'.repeat(5_000)}`;
const LONG = 'k'.repeat(5_000);

/** Of each form: what is good in it, and what is said of the rest. */
const BAD: readonly (readonly [from: string, path: string, text: string, said: readonly RegExp[]])[] = [
  [
    'reference',
    'm.jsonl',
    [
      '{"type":"entity","name":"good"}',
      '{"type":"entity","name":"cut","obs',
      'null',
      '{"type":"thing"}',
      `{"type":"entity","name":"deep","observations":${DEEP}}`,
      '{"type":"entity","name":"a\\u0000b"}',
      '{"type":"entity","name":"half \\ud83d"}',
      `{"type":"entity","name":"${LONG}"}`,
      `{"type":"entity","name":"tag","entityType":"${LONG}"}`,
    ].join('\n'),
    [
      /line 2 is no JSON/,
      /line 3 is no/,
      /line 4 is ne/,
      /line 5 is nes/,
      /line 6 has a NUL/,
      /line 7 .* half/,
      /line 8: k+ is/,
      /line 9: tag is/,
    ],
  ],
  [
    'jsonl',
    'm.jsonl',
    [
      '{"text":"good"}',
      '{"text":',
      '5',
      '{"text":""}',
      `{"text":"deep","x":${DEEP}}`,
      '{"text":"\\u0000"}',
      '{"text":"x","\\ud83d":1}',
      `{"text":"x","id":"${LONG}"}`,
    ].join('\r\n'),
    [
      /line 2 is no JSON/,
      /line 3 is no/,
      /line 4 has no text/,
      /line 5 is nes/,
      /line 6 has a NUL/,
      /line 7 .* half/,
      /line 8: k+ is too large/,
    ],
  ],
  [
    'jsonl',
    'm.csv',
    `text,id\ngood,1\nshort\nlong,2,3\n,4\nnul\0,5\nx,${LONG}\n"open`,
    [
      /line 3 has 1 col/,
      /line 4 has 3/,
      /line 5 has no text/,
      /line 6 has a NUL/,
      /line 7: k+ is too large/,
      /line 8 has a quote that is not closed/,
    ],
  ],
  [
    'mem0',
    'm.json',
    `{"results":[{"memory":"good"},5,null,{},{"memory":""},{"memory":"x","metadata":${DEEP}},{"memory":"\\ud83d"},{"memory":"x","id":"${LONG}"}]}`,
    [
      /record 2 has no memory/,
      /record 3/,
      /record 4/,
      /record 5/,
      /record 6 is nested/,
      /record 7 has/,
      /record 8: k+ is too large/,
    ],
  ],
  [
    'mem0',
    'm.jsonl',
    '{"memory":"good"}\n{"memory":\n5\n{"results":[{"x":1}]}\n',
    [/line 2 is no JSON/, /line 3 is no object/, /line 4 has no memory/],
  ],
];

for (const [from, path, text, said] of BAD) {
  test(`what is bad in a file is said by its number, and keeps nothing else out: ${from}, ${path}`, async (t) => {
    const { run, stored } = importing(t, from, text, { path });
    const { notes, errors } = await run();
    const told = [...notes, ...errors];
    for (const one of said)
      assert.ok(
        told.some((line) => one.test(line)),
        String(one),
      );
    assert.equal(told.length, said.length);
    assert.equal(stored().length, 1);
    const again = await run();
    assert.deepEqual([again.changed, again.unchanged, [...again.notes, ...again.errors]], [[], 1, told]);
  });
}

test('an index of many notes is linked in short steps, and its links are read once a step', async (t) => {
  const notes = [...Array(1_200).keys()].map((i) => `n${i}`);
  const files = Object.fromEntries(notes.map((name) => [`${name}.md`, name]));
  const index = notes.map((name) => `[[${name}]]`).join('\n');
  const { run, links, store } = importing(t, 'markdown', { ...files, 'index.md': index });
  let [reads, steps] = [0, 0];
  const { execute } = store;
  const linksOf = store.linksOf.bind(store);
  const counted: typeof execute = (name, scope, input) => {
    if (name === 'ingest_link') steps += 1;
    return execute(name, scope, input);
  };
  Object.assign(store, {
    execute: counted,
    linksOf: (...all: Parameters<typeof linksOf>) => (reads++, linksOf(...all)),
  });
  await run();
  assert.equal(links().length, notes.length);
  [reads, steps] = [0, 0];
  await run();
  assert.ok(reads <= steps && steps < 100, `${reads} reads in ${steps} steps`);
});

test('a step of linking ends when others have waited long enough, and says how far it came', async () => {
  const entity = { id: 'x', row: 1, source: 's', archived: false };
  const tx = {
    entityAt: async () => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      return entity;
    },
    linksOf: () => [],
    openLink: () => undefined,
  };
  const scope = { principal: { kind: 'owner' as const }, workspace: '', actor: '', client: '' };
  const links = [...Array(20).keys()].map((i) => ({ from: 'a', to: String(i), relationship: 'mentions' }));
  const input = { source: 's', category: 'c', links, maxMs: 50 };
  const { handled } = await ingestLink.run(tx as unknown as Writer, scope, input);
  assert.ok(handled >= 1 && handled <= 4, `${handled}`);
});

test('a table is known by its ending in any letters, and a list of objects is one record each', async (t) => {
  for (const [path, text] of [
    ['a.CSV', 'id,text\n1,one\n2,two\n'],
    ['a.tsv', 'id\ttext\n1\tone\n2\ttwo\n'],
    ['a.json', '[\n {"id": 1, "text": "one"},\n {"id": 2, "text": "two"}\n]\n'],
  ] as const) {
    const { run, stored } = importing(t, 'jsonl', text, { path });
    assert.deepEqual((await run()).notes, [], path);
    assert.deepEqual(
      stored().map(([key, body]) => [key, textIn(body)]),
      [
        ['1', 'one'],
        ['2', 'two'],
      ],
    );
  }
  const { notes } = await importing(t, 'jsonl', '[{"text":"a"},5,{"text":""}]', { path: 'a.json' }).run();
  assert.deepEqual(notes, ['a.json: record 2 is no object', 'a.json: record 3 has no text']);
});

test('a name in --map that nothing has keeps all out, and --map goes with records of any form only', async (t) => {
  const { run, stored } = importing(t, 'jsonl', 'text,id\na,1\n', {
    path: 'a.csv',
    map: { content: 'text', key: 'nr' },
  });
  const { errors } = await run();
  assert.deepEqual(errors, ['No record has "nr", which --map names as key. They have text, id.']);
  assert.equal(stored().length, 0);
  for (const from of ['reference', 'mem0', 'markdown', 'basic-memory'])
    assert.throws(() => importSource({ from, path: '/x', map: { key: 'id' } }), /--map does not go with --from/);
});

test('a run in which nothing could be read is an error; an empty file is none', async (t) => {
  for (const from of ['reference', 'jsonl', 'mem0']) {
    const none = await importing(t, from, 'some host\n').run();
    assert.match(String(none.errors), /Not one record of export\.json could be read|is no file of mem0/, from);
  }
  const folder = await importing(t, 'markdown', { 'a.md': 'a\0b' }).run();
  assert.match(String(folder.errors), /^Nothing in .* could be read\.$/);
  assert.deepEqual((await importing(t, 'reference', '').run()).errors, []);
});

test('of two entities with one name, the first has the relations', async (t) => {
  const entity = (name: string) => JSON.stringify({ type: 'entity', name, entityType: 't', observations: [name] });
  const relation = JSON.stringify({ type: 'relation', from: 'A', to: 'B', relationType: 'knows' });
  const { run, links } = importing(t, 'reference', [entity('A'), entity('A'), entity('B'), relation].join('\n'));
  await run();
  assert.deepEqual(links(), ['A knows B']);
});

test('notes: tags, title and type of the front matter, wikilinks, and what a link means', async (t) => {
  const { run, stored, links, store, folder } = importing(t, 'basic-memory', {
    'people/Mara Lind.md': [
      '---',
      'title: Mara Lind',
      'type: person',
      'tags: [keeper, "#bees", 7]',
      'permalink: main/people/mara-lind',
      '---',
      '# Mara Lind',
      '',
      '- [habit] keeps bees #honey',
      '- works_at [[Harbour Office]]',
      '- "looks after" [[C# notes]] (since (about) 2001)',
      "* 'is sister of' [[people/jo|Jo]]",
      '1. reads: [[C# notes]]',
      '- Talks with [[people/jo|Jo]] and [[Nowhere]]',
      '- knows [[Nowhere]]',
    ].join('\n'),
    'Harbour Office.md':
      'See [[mara lind#habits]], `[[people/jo]]` and\n```\n- in_code [[people/jo]]\n```\n- owns [[Harbour Office]]\n',
    'people/jo.md':
      '---\npermalink: main/people/jo-ek\n---\nFriend of [[people/mara-lind]]; see [this](../C%23%20notes.md#x "t").',
    'C# notes.md':
      '---\ntype: note\n---\n[me](/people/jo.md), [web](https://example.org/people/jo.md), [odd](100%.md), ![[C]]',
    'C.md': 'A language.',
    'CLAUDE.md': '--- no front matter: [\n---\nAlways run the tests.',
    'bad.md': Buffer.from([0x63, 0x61, 0x66, 0xe9]),
  });
  const { notes, errors } = await run();
  assert.deepEqual([notes, errors, stored().length], [[`${join(folder, 'bad.md')}: is no text in UTF-8`], [], 6]);
  const prefix = `${folder.replaceAll('/', '-')}-`;
  assert.deepEqual(
    links().map((link) => link.replaceAll(prefix, '')),
    [
      'C# notes.md mentions C.md',
      'C# notes.md mentions people-jo.md',
      'Harbour Office.md mentions people-Mara Lind.md',
      'people-Mara Lind.md is sister of people-jo.md',
      'people-Mara Lind.md looks after C# notes.md',
      'people-Mara Lind.md mentions people-jo.md',
      'people-Mara Lind.md reads C# notes.md',
      'people-Mara Lind.md works_at Harbour Office.md',
      'people-jo.md mentions C# notes.md',
      'people-jo.md mentions people-Mara Lind.md',
    ],
  );
  const tagsOf = (name: string) => store.entities.find(({ key }) => key === `${prefix}${name}`)?.tags;
  assert.deepEqual(tagsOf('people-Mara Lind.md'), ['ext:md', 'keeper', 'bees', '7', 'person']);
  assert.deepEqual(tagsOf('C# notes.md'), ['ext:md']);
  assert.equal(store.entities[0]?.category, 'note');
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
  const folder = await gone.run(importSource({ from: 'markdown', path: '/no/such', map: {} }));
  assert.match(String(folder.errors), /cannot be read/);
  const long = importing(t, 'jsonl', `${JSON.stringify({ text: 'x', id: 'k'.repeat(5_000) })}\n{"text":"fits"}`);
  const done = await long.run();
  assert.match(String(done.errors), /^line 1: k+ is too large/);
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
    [
      'would import 2, would forget 0, unchanged 0',
      'new or changed:',
      '  Mara Lind: keeps bees writes "quoted" notes',
      '  Harbour Office',
      'left out:',
      '  memory.jsonl: line 6 is no JSON',
      '  memory.jsonl: line 5 is a relation, and there is no entity "Nobody"',
      '',
    ].join('\n'),
  );
  assert.match((await mimir('import', '--from', 'reference', file)).stdout, /^imported 2,/);
  assert.match((await mimir('import', '--from', 'reference', file)).stdout, /^imported 0, forgot 0, unchanged 2/);
  assert.match((await mimir('recall', 'who keeps bees')).stdout, /Mara Lind/);
  const memories = join(folder, 'memories.json');
  writeFileSync(memories, JSON.stringify([LATER, MEMORY]));
  const { stdout: examples } = await mimir('import', '--from', 'mem0', memories, '--dry-run');
  assert.equal(
    examples,
    'would import 2, would forget 0, unchanged 0\nnew or changed:\n  m1: Likes tea\n  m2: Likes coffee\n',
  );
  writeFileSync(memories, 'bad\n'.repeat(300));
  const { stdout: bad, stderr: why, exit } = await mimir('import', '--from', 'jsonl', memories);
  assert.deepEqual([exit, why], [4, 'mimir: Not one record of memories.json could be read as jsonl.\n']);
  assert.match(bad, /line 100 is no JSON\n  and 200 more; --json has all\n$/);
  const wrong = await mimir('import', '--from', 'nothing', file);
  assert.deepEqual([wrong.exit, wrong.stdout], [2, '']);
  assert.match(wrong.stderr, /--from reference, jsonl/);
  assert.equal((await mimir('import', '--from', 'jsonl', file, '--map', 'colour=x')).exit, 2);
  assert.equal((await mimir('import', '--from', 'reference', file, '--map', 'key=id')).exit, 2);
  assert.equal((await mimir('import', '--from', 'jsonl', join(folder, 'none'))).exit, 4);
  const unasked = await mimir('import', file, '--dry-run');
  assert.deepEqual([unasked.exit, unasked.stdout], [2, '']);
  assert.match(unasked.stderr, /--dry-run goes with --from FORMAT only/);
});
