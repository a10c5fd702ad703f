// Files that other memory programs really write, each driven as a process of its own, and what the import makes of them. The reference
// server comes with `npm run clients`, those in Python with `npm run foreign`.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import test, { type TestContext } from 'node:test';
import { promisify } from 'node:util';

import type { RpcAnswer } from '../support/mcp.ts';
import { startMimir, temporaryFolder } from '../support/processes.ts';

const CLIENTS = join(import.meta.dirname, '../../clients');
const REFERENCE = join(CLIENTS, 'node_modules/@modelcontextprotocol/server-memory/dist/index.js');
const PYTHON = join(CLIENTS, 'foreign/.venv/bin');
const withoutReference = existsSync(REFERENCE) ? false : 'the reference server is not installed: npm run clients';
const withoutPython = existsSync(join(PYTHON, 'basic-memory'))
  ? false
  : 'mem0 and basic-memory are not installed: npm run foreign';

/** A running MCP server of somebody else: its tools, and a way to end it. */
async function toolServer(t: TestContext, command: string, args: readonly string[], env: Record<string, string>) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'ignore'], env });
  t.after(() => child.kill());
  const ended = new Promise((resolve) => child.on('close', resolve));
  // By hand: to readline, a line separator within a text ends a line as well.
  const lines = linesOf(child.stdout);
  let id = 0;
  const send = (message: object): void => void child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  const request = async (method: string, params: object): Promise<RpcAnswer> => {
    id += 1;
    send({ id, method, params });
    for (;;) {
      const { value, done } = await lines.next();
      if (done === true) throw new Error('the server ended');
      const answer = JSON.parse(value) as RpcAnswer;
      if (answer.id === id) return answer;
    }
  };
  const clientInfo = { name: 'test', version: '1' };
  await request('initialize', { protocolVersion: '2025-06-18', capabilities: {}, clientInfo });
  send({ method: 'notifications/initialized' });
  return {
    call: async (name: string, given: object): Promise<void> => {
      const { result, error } = await request('tools/call', { name, arguments: given });
      assert.ok(error === undefined && result?.['isError'] !== true, `${name}: ${JSON.stringify(error ?? result)}`);
    },
    end: async (): Promise<void> => {
      child.stdin.end();
      await ended;
    },
  };
}

async function* linesOf(stream: AsyncIterable<unknown>): AsyncGenerator<string, undefined> {
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk as Buffer, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
}

interface Memory {
  readonly key: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly tags: readonly string[];
  /** `relationship key` of each. */
  readonly links: readonly string[];
}

/** A store, the command on it, and what is in it then, in the order in which it was stored. */
function store(t: TestContext) {
  const db = join(temporaryFolder(t), 'm.db');
  const mimir = async (...args: string[]): Promise<string> => {
    const { child, printed, ended } = startMimir([...args, '--db', db]);
    child.stdin.end();
    assert.equal(await ended, 0, printed.stderr);
    return printed.stdout;
  };
  const memories = async (): Promise<Memory[]> => {
    const answer = await mimir('call', 'recall', '--args', JSON.stringify({ query: '', limit: 100 }));
    const { items } = JSON.parse(answer) as {
      items: { id: string; key: string; body_json: string; tags: string[]; links: Link[] }[];
    };
    const keyOf = new Map(items.map(({ id, key }) => [id, key]));
    return items.toReversed().map(({ key, body_json: body, tags, links }) => ({
      key,
      body: JSON.parse(body) as Memory['body'],
      tags,
      links: links.map(({ target_id: target, relationship }) => `${relationship} ${keyOf.get(target)}`).toSorted(),
    }));
  };
  return { mimir, memories };
}

interface Link {
  readonly target_id: string;
  readonly relationship: string;
}

test('the file of the reference memory server', { skip: withoutReference }, async (t) => {
  const file = join(temporaryFolder(t), 'memory.jsonl');
  const server = await toolServer(t, process.execPath, [REFERENCE], { MEMORY_FILE_PATH: file });
  await server.call('create_entities', {
    entities: [
      { name: 'Mara Lind', entityType: 'person', observations: ['keeps bees', 'says "hej"', 'one line\nand another'] },
      { name: 'mara lind', entityType: 'boat', observations: ['built 1974'] },
      { name: 'Harbour Office', entityType: 'organisation', observations: [] },
      { name: 'Ærø – 島 🐝', entityType: 'place', observations: ['ferry at 07:15\u2028then a bus', 'a\ttab'] },
      { name: 'queue.ts#L10-L20', entityType: 'code', observations: ['tries three times'] },
      { name: 'untyped', entityType: '', observations: ['has no type'] },
      { name: 'gone', entityType: 'x', observations: ['y'] },
      { name: '', entityType: 'x', observations: ['nameless'] },
    ],
  });
  await server.call('create_relations', {
    relations: [
      { from: 'Mara Lind', to: 'Harbour Office', relationType: 'works at' },
      { from: 'Mara Lind', to: 'mara lind', relationType: 'owns' },
      { from: 'mara lind', to: 'Ærø – 島 🐝', relationType: 'moored_at' },
      { from: 'Mara Lind', to: 'gone', relationType: 'had' },
      { from: 'Mara Lind', to: 'Nobody', relationType: 'knows' },
    ],
  });
  await server.call('add_observations', {
    observations: [{ entityName: 'Mara Lind', contents: ['moved to Ærø', 'keeps bees'] }],
  });
  await server.call('delete_observations', { deletions: [{ entityName: 'Mara Lind', observations: ['says "hej"'] }] });
  await server.call('delete_entities', { entityNames: ['gone'] });
  await server.end();

  const { mimir, memories } = store(t);
  const leftOut = [
    'left out:',
    '  memory.jsonl: line 7 is neither an entity with a name nor a relation',
    '  memory.jsonl: line 11 is a relation, and there is no entity "Nobody"',
    '',
  ].join('\n');
  const run = () => mimir('import', '--from', 'reference', file);
  assert.equal(await run(), `imported 6, forgot 0, unchanged 0\n${leftOut}`);
  const first = await memories();
  const row = (name: string, kind: string, content: string, ...links: string[]): Memory => ({
    key: name,
    body: { content, entity_type: kind, name },
    tags: kind === '' ? [] : [kind],
    links,
  });
  assert.deepEqual(first, [
    row(
      'Mara Lind',
      'person',
      'keeps bees\none line\nand another\nmoved to Ærø',
      'owns mara lind',
      'works at Harbour Office',
    ),
    row('mara lind', 'boat', 'built 1974', 'moored_at Ærø – 島 🐝'),
    row('Harbour Office', 'organisation', ''),
    row('Ærø – 島 🐝', 'place', 'ferry at 07:15\u2028then a bus\na\ttab'),
    row('queue.ts#L10-L20', 'code', 'tries three times'),
    row('untyped', '', 'has no type'),
  ]);
  assert.equal(await run(), `imported 0, forgot 0, unchanged 6\n${leftOut}`);
  assert.deepEqual(await memories(), first);
});

test('what mem0 gives out', { skip: withoutPython }, async (t) => {
  const folder = temporaryFolder(t);
  const env = { PATH: process.env['PATH'] ?? '', HOME: folder };
  const script = join(CLIENTS, 'foreign/memories.py');
  await promisify(execFile)(join(PYTHON, 'python'), [script, folder], { env, timeout: 60_000 });

  const { mimir, memories } = store(t);
  const run = (name: string, ...more: string[]) => mimir('import', '--from', 'mem0', join(folder, name), ...more);
  const dry = await run('ana.json', '--dry-run');
  assert.match(
    dry,
    /^would import 7, would forget 0, unchanged 0\nnew or changed:\n  [0-9a-f-]{36}: Where do you dock\?\n/,
  );
  assert.equal(await run('ana.json'), 'imported 7, forgot 0, unchanged 0\n');
  assert.equal(await run('ana.json'), 'imported 0, forgot 0, unchanged 7\n');
  assert.equal(await run('agent.json'), 'imported 1, forgot 0, unchanged 2\n', 'two are those of ana');
  assert.equal(await run('bo.json'), 'imported 2, forgot 0, unchanged 0\n', 'alike is not the same');
  assert.equal(
    await run('found.json'),
    'imported 0, forgot 0, unchanged 7\n',
    "how well they were found is nobody's memory",
  );
  assert.equal(await run('one.json'), 'imported 0, forgot 0, unchanged 1\n');
  assert.match(
    await run('history.json'),
    /^imported 0, .*\nleft out:\n.*record 1 has no memory\n.*record 2 has no memory\n$/,
  );

  const stored = await memories();
  const short = stored
    .filter(({ body }) => !('lines' in body))
    .map(({ key, body: { created_at: created, updated_at: updated, ...body }, tags }) => {
      assert.match(key, /^[0-9a-f-]{36}$/);
      assert.ok([created, updated].every((date) => !Number.isNaN(Date.parse(String(date)))));
      return { ...body, tags };
    });
  const ana = (content: string, more: object = {}) => ({ content, user_id: 'ana', role: 'user', tags: [], ...more });
  const asked = { agent_id: 'harbour-bot', run_id: 'run-1' };
  const vet = { categories: ['health'], vet: { at: [1, null] } };
  const food = { category: 'food', tags: ['habit', 'drink'], cups: 3 };
  assert.deepEqual(short, [
    ana('Where do you dock?', { ...asked, actor_id: 'Mara' }),
    ana('At the east pier: "berth 7" – Ærø 島 🐝', { ...asked, role: 'assistant' }),
    ana('Meets the vet in May', { expiration_date: '2099-01-01', metadata: vet, tags: ['health'] }),
    ana('Rows on Sundays\n\n# Boats\n\ttwo of them', { metadata: { topic: 'boats' } }),
    {
      content: 'Keeps bees behind the boathouse',
      user_id: 'ana',
      attributed_to: 'user',
      metadata: { topic: 'bees' },
      tags: [],
    },
    ana('Drinks tea, and coffee on Sundays', { metadata: food, tags: ['food', 'habit', 'drink'] }),
    { content: 'Answers in short sentences', agent_id: 'harbour-bot', role: 'user', tags: [] },
    ana('drinks tea, never coffee', { user_id: 'bo' }),
    ana('Drinks tea, never coffee', { user_id: 'bo' }),
  ]);
  const long = stored.filter(({ body }) => 'lines' in body).map(({ body }) => String(body['content']));
  assert.equal(long.join(''), 'The tide table hangs in the hall. '.repeat(200));
  assert.match(await mimir('recall', 'what does ana drink', '--limit', '1'), /Drinks tea, and coffee on Sundays/);
});

/** What basic-memory is given to write. */
const NOTES: readonly { readonly directory: string; readonly title: string; readonly [more: string]: unknown }[] = [
  {
    title: 'Mara Lind',
    directory: 'people',
    tags: ['person', 'bee keeper', '#hash'],
    metadata: { status: 'active', born: 1971 },
    content: [
      '# Mara Lind',
      'Keeps bees since 1998.',
      '- [habit] drinks tea #tea (told in May)',
      '- [fact] born on Ærø – 島 🐝',
      '- works_at [[Harbour Office]]',
      '- "looks after" [[Bee Yard]] (since 2001)',
      "- 'is sister of' [[Jo: the Elder]]",
      '- rows with [[Harbour Office]]',
      '- Mother [[Jo: the Elder]] #bm:links_to',
      '- knows [[Nobody Yet]]',
      '- see [[places/north-shore/bee-yard|the yard]] and [[島の記録#潮]]',
    ].join('\n'),
  },
  {
    title: 'Harbour Office',
    directory: 'places',
    tags: 'harbour,office',
    note_type: 'place',
    content: '## Hours\n- [hours] 8 to 4',
  },
  {
    title: 'Bee Yard',
    directory: 'places/north shore',
    content: 'Nine hives. `[[not a link]]`\n```\n- in_code [[Mara Lind]]\n```\n![[Harbour Office]]',
  },
  {
    title: 'Jo: the Elder',
    directory: 'people',
    content:
      'Sister of [[people/mara-lind]]. [Office](../places/Harbour%20Office.md)\n+ plus [[Bee Yard]]\n1. first [[Bee Yard]]',
  },
  { title: '島の記録', directory: 'ノート', content: '- [記録] 潮が高い #潮\n- 参照 [[Mara Lind]]' },
  { title: 'Gone', directory: 'people', content: 'to be deleted' },
];

test('the folder of basic-memory', { skip: withoutPython }, async (t) => {
  const [home, settings] = [join(temporaryFolder(t), 'notes'), temporaryFolder(t)];
  const server = await toolServer(t, join(PYTHON, 'basic-memory'), ['mcp'], {
    PATH: process.env['PATH'] ?? '',
    HOME: settings,
    BASIC_MEMORY_HOME: home,
    BASIC_MEMORY_CONFIG_DIR: settings,
    // It would look for newer versions, and for a model.
    BASIC_MEMORY_AUTO_UPDATE: 'false',
    FASTMCP_CHECK_FOR_UPDATES: 'off',
    HF_HUB_OFFLINE: '1',
  });
  for (const note of NOTES) await server.call('write_note', note);
  const edits = [
    { identifier: 'places/harbour-office', operation: 'append', content: '\n- near [[Bee Yard]]\n' },
    { identifier: 'Mara Lind', operation: 'find_replace', find_text: 'since 1998', content: 'since 1999' },
  ];
  for (const edit of edits) await server.call('edit_note', edit);
  await server.call('delete_note', { identifier: 'people/gone' });
  await server.end();

  const { mimir, memories } = store(t);
  const run = () => mimir('import', '--from', 'basic-memory', home);
  assert.equal(await run(), 'imported 5, forgot 0, unchanged 0\n');
  const stored = await memories();
  const prefix = `${home.replaceAll('/', '-')}-`;
  const named = stored.map((memory) => ({ ...memory, key: memory.key.replace(prefix, '') }));
  assert.deepEqual(
    named.map(({ key, tags, body }) => [key, tags, body['title']]),
    [
      ['people-Jo- the Elder.md', ['ext:md'], 'Jo: the Elder'],
      ['people-Mara Lind.md', ['ext:md', 'person', 'bee keeper', 'hash'], 'Mara Lind'],
      ['places-Harbour Office.md', ['ext:md', 'harbour', 'office', 'place'], 'Harbour Office'],
      ['places-north shore-Bee Yard.md', ['ext:md'], 'Bee Yard'],
      ['ノート-島の記録.md', ['ext:md'], '島の記録'],
    ],
  );
  const text = String(named[1]?.body['content']);
  for (const part of [
    'status: active',
    'born: 1971',
    'Keeps bees since 1999.',
    '- [habit] drinks tea #tea (told in May)',
  ])
    assert.ok(text.includes(part), part);

  // What it says itself about where its notes lead.
  const own = new DatabaseSync(join(settings, 'memory.db'), { readOnly: true });
  const relations = own
    .prepare(
      `SELECT one.file_path AS source, relation.relation_type AS type, other.file_path AS target
       FROM relation JOIN entity one ON one.id = relation.from_id JOIN entity other ON other.id = relation.to_id`,
    )
    .all();
  own.close();
  const theirs = relations.map(({ source, type, target }) => {
    const [from, to] = [source, target].map((path) => String(path).replaceAll('/', '-'));
    return `${from} ${type === 'links_to' ? 'mentions' : String(type)} ${to}`;
  });
  const ours = named.flatMap(({ key, links }) => links.map((link) => `${key} ${link.replace(prefix, '')}`));
  assert.equal(theirs.length, 13);
  // It does not follow a link to a place in a note.
  const more = 'people-Mara Lind.md mentions ノート-島の記録.md';
  assert.deepEqual(ours.toSorted(), [...theirs, more].toSorted());
  assert.equal(await run(), 'imported 0, forgot 0, unchanged 5\n');
  assert.deepEqual(await memories(), stored);
});
