// What meets when a vault and a store have both changed, and what files of others mean.
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { LIMITS } from '../../src/limits.ts';
import type { Caller } from '../../src/tools/types.ts';
import { BOUND, setUp } from '../support/tool-table.ts';
import { both, counts, HERE } from '../support/vault-folder.ts';

test('prose is prose, links are wikilinks that lead to files, and a body with members is its JSON', async (t) => {
  const { put, call, take, read, nameOf, get, vault } = both(t);
  await put('host', { content: 'The staging host\nis called heron' }, { tags: ['infra'] });
  await put('port', { content: 'It listens', port: 5433 });
  await call('link', { from_category: 'c', from_key: 'port', to_id: get('host')?.id, relationship: 'depends_on' });
  const answer = await take();
  assert.deepEqual(counts(answer), [2, 0, []]);
  assert.deepEqual(
    [answer['vault_dir'], answer['exported'], answer['completed_at_unix_ms']],
    [vault, 2, 1_700_000_000_000],
  );
  assert.match(
    read(nameOf('host')),
    /^---\nid: mem-\d+\ncategory: c\nkey: host\n[\s\S]*\n---\n\nThe staging host\nis called heron\n$/,
  );
  const port = read(nameOf('port'));
  assert.match(port, /\n---\n\n\{"content":"It listens","port":5433\}\n/);
  assert.ok(port.endsWith(`\n- depends_on: [[${get('host')?.id}|host]]\n`), port);
  assert.ok(existsSync(join(vault, `${get('host')?.id}.md`)), 'the file that the wikilink names');
});

test('use moves without a file being written', async (t) => {
  const { put, call, take } = both(t);
  await put('host');
  await take();
  await call('recall', { query: 'host' });
  await put('host', { content: 'body of host' });
  assert.deepEqual(counts(await take()), [0, 0, []]);
});

test('a file says the uses of a moment ago, as an answer does', async (t) => {
  const { put, call, take, read, nameOf, usage } = both(t);
  await put('host');
  await call('recall', { query: 'host' });
  assert.equal(usage.size, 1, 'it is not stored yet');
  await take();
  assert.match(read(nameOf('host')), /^retrieval_count: 1$/m);
});

test('an edited file is left alone by an export, and changes its memory by an import', async (t) => {
  const { put, call, take, bring, edit, read, get, nameOf, store } = both(t);
  await put('host', { content: 'called heron' }, { tags: ['a'] });
  await put('other');
  await take();
  const name = nameOf('host');
  edit(name, 'called heron', 'called egret');
  edit(name, /tags:\n {2}- a\n/, 'tags: [b, "c d"]\nrating: 5\n');
  edit(name, /$/, `\n%% mimir links %%\n- about: [[${get('other')?.id}]]\n`);
  const edited = read(name);
  assert.deepEqual([(await take({ prune: true }))['edited'], read(name)], [[name], edited]);
  const answer = await bring();
  assert.deepEqual([...counts(answer), answer['files_unchanged']], [0, 1, [], 1]);
  assert.deepEqual([get('host')?.bodyJson, get('host')?.tags], ['{"content":"called egret"}', ['b', 'c d']]);
  assert.deepEqual(store.links.get(get('host')?.row ?? 0), [
    { targetId: get('other')?.id, relationship: 'about', weight: 0.5 },
  ]);
  assert.deepEqual(counts(await bring()), [0, 0, []], 'a second import does nothing');
  const again = await take();
  assert.deepEqual([...counts(again), again['edited']], [0, 1, [], undefined]);
  assert.match(read(name), /^rating: 5$/m);
  assert.deepEqual(counts(await take()), [0, 0, []]);
  edit(name, /\n%% mimir links[\s\S]*$/, '');
  await bring();
  assert.deepEqual(store.links.get(get('host')?.row ?? 0), [], 'a link that is taken out of the file is taken away');
  assert.equal((await call('recall', { query: 'egret' })).total, 1);
});

test('a file and a memory that both changed are both kept, whichever side is asked first', async (t) => {
  for (const first of ['import', 'export'] as const) {
    const { put, take, bring, edit, get, nameOf, store, files, read } = both(t);
    await put('host', { content: 'called heron' });
    await take();
    const name = nameOf('host');
    edit(name, 'called heron', 'called egret');
    await put('host', { content: 'called stork' });
    if (first === 'export') {
      const answer = await take({ prune: true });
      const aside = files().filter((one) => one !== name);
      assert.deepEqual([answer['conflicts'], answer['stale']], [aside, undefined]);
      assert.match(read(aside[0] ?? ''), /egret/);
      assert.match(read(name), /stork/);
    }
    const answer = await bring();
    const second = store.entities.find(({ bodyJson }) => bodyJson.includes('egret'));
    assert.ok(second !== undefined, first);
    assert.match(second.key, /^host \(vault [0-9a-f]{8}\)$/);
    assert.equal(get('host')?.bodyJson, '{"content":"called stork"}');
    assert.deepEqual(store.links.get(second.row), [
      { targetId: get('host')?.id, relationship: 'conflicts_with', weight: 0.5 },
    ]);
    assert.deepEqual(counts(answer), [1, 0, []]);
    assert.match(String((answer['conflicts'] as string[])[0]), /^mem-.*: host \(vault/);
    const before = JSON.stringify(store.entities);
    for (let i = 0; i < 2; i++) {
      await take({ prune: true });
      assert.deepEqual(counts(await bring()), [0, 0, []], 'it comes to rest');
    }
    assert.equal(JSON.stringify(store.entities), before);
    const texts = files().map(read).join('\n');
    for (const word of ['egret', 'stork']) assert.ok(texts.includes(`called ${word}`), `${word} after ${first}`);
  }
});

test('an older export changes nothing, and a newer one of another store brings the memory on', async (t) => {
  const here = both(t);
  const there = both(t);
  await here.put('host', { content: 'one' });
  await here.take();
  await there.call('vault_import', { vault_dir: here.vault }, HERE);
  const old = here.read(here.nameOf('host'));
  await here.put('host', { content: 'two' });
  await here.put('host', { content: 'three' });
  assert.deepEqual(counts(await here.bring()), [0, 0, []], 'the store has moved on from its own file');
  await here.take();
  assert.deepEqual(counts(await there.call('vault_import', { vault_dir: here.vault }, HERE)), [0, 1, []]);
  assert.equal(there.get('host')?.bodyJson, '{"content":"three"}');
  here.write(here.nameOf('host'), old);
  assert.deepEqual(counts(await there.call('vault_import', { vault_dir: here.vault }, HERE)), [0, 0, []]);
  assert.equal(there.get('host')?.bodyJson, '{"content":"three"}');

  // A store that has gone its own way since keeps its own, and gets the other as well.
  await there.put('host', { content: 'elsewhere' });
  await here.put('host', { content: 'four' });
  await here.take();
  assert.deepEqual(counts(await there.call('vault_import', { vault_dir: here.vault }, HERE)), [1, 0, []]);
  const bodies = there.store.entities.map(({ bodyJson }) => bodyJson);
  assert.deepEqual(bodies, ['{"content":"elsewhere"}', '{"content":"four"}']);
});

test('a store that is brought on keeps the links that it made itself', async (t) => {
  const here = both(t);
  const there = both(t);
  for (const key of ['host', 'port']) await here.put(key);
  await here.take();
  await there.call('vault_import', { vault_dir: here.vault }, HERE);
  await there.call('link', { from_category: 'c', from_key: 'host', to_id: there.get('port')?.id });
  await here.put('host', { content: 'newer' });
  await here.take();
  await there.call('vault_import', { vault_dir: here.vault }, HERE);
  const { bodyJson, row = 0 } = there.get('host') ?? {};
  assert.deepEqual([bodyJson, there.store.links.get(row)?.length], ['{"content":"newer"}', 1]);
});

test('an id that another memory has is not given again, and of two files for one memory the one put aside comes second', async (t) => {
  const { put, take, bring, edit, nameOf, files, read, write, vault, get, store } = both(t);
  await put('host', { content: 'called heron' });
  write('renamed.md', `---\nid: ${get('host')?.id}\nkey: another\n---\nx\n`);
  assert.deepEqual(counts(await bring()), [1, 0, []]);
  assert.equal(new Set(store.entities.map(({ id }) => id)).size, 2);

  await take();
  edit(nameOf('host'), 'called heron', 'called egret');
  await put('host', { content: 'called stork' });
  await take();
  const aside = files().find((name) => name.includes('.conflict-')) ?? '';
  assert.match(read(aside), /egret/);
  assert.ok(aside < nameOf('host'), 'by name alone it would be first');
  const empty = both(t);
  await empty.call('vault_import', { vault_dir: vault }, HERE);
  assert.equal(empty.get('host')?.bodyJson, '{"content":"called stork"}');
});

test('what was forgotten stays forgotten, its file is stale, and only an edit brings it back', async (t) => {
  const { put, call, take, bring, edit, get, nameOf, files, read, write } = both(t);
  for (const key of ['gone', 'kept', 'edited']) await put(key);
  await take();
  for (const key of ['gone', 'edited']) await call('forget', { category: 'c', key });
  write('by-hand.md', '# A note of mine, no memory\n');
  const answer = await bring();
  assert.deepEqual(answer['forgotten'], [nameOf('gone'), nameOf('edited')]);
  assert.equal(get('gone')?.archived, true);
  edit(nameOf('edited'), 'body of', 'new body of');
  write('hand.md', '---\nkey: never imported\n---\nx\n');

  const before = files();
  assert.deepEqual((await take())['stale'], [nameOf('gone'), nameOf('edited')]);
  assert.deepEqual(files(), before, 'nothing is removed unasked');
  const pruned = await take({ prune: true });
  assert.deepEqual([pruned['pruned'], pruned['stale']], [1, [nameOf('edited')]], 'what somebody edited stays');
  assert.deepEqual(
    before.filter((name) => !files().includes(name)),
    [nameOf('gone')],
  );
  assert.match(read('by-hand.md'), /no memory/);
  await bring();
  assert.deepEqual([get('edited')?.archived, get('edited')?.bodyJson], [false, '{"content":"new body of edited"}']);
});

test('prune removes nothing that this store never had, in these words or at all', async (t) => {
  const here = both(t);
  const { vault, files } = here;
  for (const key of ['a', 'b', 'moved']) await here.put(key);
  await here.take();
  const names = ['a', 'b', 'moved'].map(here.nameOf);
  const prune = (store: typeof here) => store.call('vault_export', { vault_dir: vault, prune: true }, HERE);

  // A new store, or the wrong one.
  const fresh = await prune(both(t));
  assert.deepEqual([fresh['pruned'], fresh['stale'], files()], [0, names, names]);

  // A second store that has forgotten what the first one goes on with.
  const there = both(t);
  await there.call('vault_import', { vault_dir: vault }, HERE);
  await there.call('forget', { category: 'c', key: 'a' });
  await there.call('forget', { category: 'c', key: 'b' });
  await here.put('b', { content: 'newer than what the other had' });
  await here.take();
  const shared = await prune(there);
  assert.deepEqual([shared['pruned'], shared['stale'], files()], [1, [here.nameOf('b')], names.slice(1)]);

  // What was purged left no name behind.
  await there.call('forget', { category: 'c', key: 'moved' });
  await there.call('purge', {});
  const purged = await prune(there);
  assert.deepEqual([purged['pruned'], purged['stale'], files()], [0, names.slice(1), names.slice(1)]);
});

test('a file of a forgotten memory is stale under any name, and one of a live memory under none', async (t) => {
  const { put, call, take, nameOf, read, write, files } = both(t);
  for (const key of ['gone', 'kept']) await put(key);
  await take();
  write('Renamed.md', read(nameOf('gone')));
  write('A copy.md', read(nameOf('kept')));
  await call('forget', { category: 'c', key: 'gone' });
  assert.deepEqual((await take())['stale'], ['Renamed.md', nameOf('gone')]);
  const pruned = await take({ prune: true });
  assert.deepEqual([pruned['pruned'], pruned['stale']], [2, undefined]);
  assert.deepEqual(files(), ['A copy.md', nameOf('kept')]);
});

test('one workspace is exported alone, and then files of the others are not stale', async (t) => {
  const { put, take, files, nameOf, get } = both(t);
  await put('a');
  await put('b', undefined, { workspace_hash: 'w' });
  await take();
  const answer = await take({ workspace_hash: 'w', prune: true });
  assert.deepEqual([answer['exported'], answer['stale'], answer['pruned'], files().length], [1, undefined, 0, 2]);
  assert.ok(files().includes(nameOf('a')) && files().includes(`${get('b', 'w')?.id}.md`));
});

test('a bound caller exports what it may see, prunes nothing of others, and imports into its workspace only', async (t) => {
  const { put, take, bring, files, write, store } = both(t);
  const inside: Caller = { ...BOUND, anyFolder: true };
  await put('own', undefined, { workspace_hash: 'w', agent_id: 'ag' });
  await put('private of another', undefined, { workspace_hash: 'w', agent_id: 'x', visibility: 'private' });
  await put('elsewhere', undefined, { workspace_hash: 'v' });
  await take();
  assert.equal(files().length, 3);
  const answer = await take({ prune: true }, inside);
  assert.deepEqual([answer['exported'], answer['pruned'], answer['stale'], files().length], [1, 0, undefined, 3]);
  write('in.md', '---\nkey: taken\nworkspace_hash: w\n---\nx\n');
  write('out.md', '---\nkey: not taken\nworkspace_hash: v\n---\nx\n');
  const taken = await bring({}, inside);
  assert.match(String(taken['errors']), /out\.md: This token may not write/);
  assert.deepEqual(
    store.entities.slice(3).map(({ key, agentId }) => [key, agentId]),
    [['taken', 'ag']],
  );
});

test('files by hand and of the original mean what they meant there', async (t) => {
  const { bring, write, get, store, take, read, call } = both(t);
  const original = (key: string, body: string, more = ''): string =>
    `---\nid: mem-0123456789ab\ncategory: imported\nkey: ${key}\ntype: fact\nworkspace_hash: w9\nagent_id: a9\ntags: ["x","y \\"z"]\n` +
    `decay_score: 0.5\nretrieval_count: 12\nlayer: core\ncreated: 2020-01-02T03:04:05Z\nlast_accessed: 2020-01-02T03:04:05Z\n${more}---\n\n${body}\n`;
  write('good.md', original('a: b # "c', '{"content":"A body"}'));
  write('plain.md', '---\ncategory: imported\n---\njust text, not JSON\nsecond line\n');
  write('nan.md', '---\ncategory: imported\nkey: nan\ndecay_score: NaN\n---\n{"content":"no number"}\n');
  write('slash.md', '---\nid: a/b\ncategory: \nkey: slashed\ntags: a, b,  "c"\nagent_id: x: y\n---\n{"content":"1"}\n');
  write('blank.md', '\n\n---\nkey: blank-first\n---\n\n"quoted"\n');
  write('yaml.md', '---\nkey: "yaml"\ntags:\n  - one\n  - 2\nverified: true\ncertainty: 0.9\nnested: {a: 1}\n---\n');
  write('skip.txt', 'not markdown');
  const answer = await bring();
  assert.deepEqual(counts(answer), [6, 0, []]);
  const good = get('a: b # "c', 'w9');
  assert.deepEqual(
    [good?.id, good?.type, good?.agentId, good?.tags, good?.importance, good?.layer, good?.source, good?.bodyJson],
    ['mem-0123456789ab', 'fact', 'a9', ['x', 'y "z'], 0.5, 'core', 'vault-import', '{"content":"A body"}'],
  );
  assert.deepEqual(
    [good?.createdAtMs, good?.usage],
    [Date.UTC(2020, 0, 2, 3, 4, 5), { count: 12, lastAtMs: store.nowMs }],
  );
  assert.equal(get('imported')?.bodyJson, '{"content":"just text, not JSON\\nsecond line"}');
  assert.deepEqual([get('nan')?.importance, get('slashed')?.category], [0.5, 'general']);
  assert.deepEqual([get('slashed')?.tags, get('slashed')?.agentId], [['a', 'b', 'c'], 'x: y']);
  assert.equal(get('blank-first')?.bodyJson, '"quoted"');
  const { tags, verified, certainty, bodyJson } = get('yaml') ?? {};
  assert.deepEqual([tags, verified, certainty, bodyJson], [['one', '2'], true, 0.9, '{"content":""}']);
  assert.deepEqual(counts(await bring()), [0, 0, []], 'again they say nothing new');

  // By hand, what a file says holds, and what it leaves out stays.
  write('yaml.md', '---\nkey: yaml\n---\nwritten again\n');
  assert.deepEqual(counts(await bring()), [0, 1, []]);
  assert.deepEqual([get('yaml')?.bodyJson, get('yaml')?.tags], ['{"content":"written again"}', ['one', '2']]);

  // Reading it once more does not undo what was said, or forgotten, since.
  await call('remember', { category: 'general', key: 'yaml', body_json: '"by an agent"' });
  await call('forget', { category: 'general', key: 'blank-first' });
  const again = await bring();
  assert.deepEqual([counts(again), again['forgotten']], [[0, 0, []], ['blank.md']]);
  assert.deepEqual([get('yaml')?.bodyJson, get('blank-first')?.archived], ['"by an agent"', true]);

  // A file of the original that says the same is taken over by an export; one that says something else is put aside.
  // How strong it was there is no part of what it says: it moved with every day.
  write('mem-0123456789ab.md', original('a: b # "c', '{"content":"A body"}').replace('score: 0.5', 'score: 0.4'));
  assert.deepEqual(counts(await bring()), [0, 0, []]);
  assert.equal((await take())['conflicts'], undefined);
  assert.match(read('mem-0123456789ab.md'), /^mimir:$/m);
  write('mem-0123456789ab.md', original('a: b # "c', '{"content":"An older body"}'));
  const [aside = ''] = (await take())['conflicts'] as string[];
  assert.match(read(aside), /An older body/);
  await bring();
  assert.deepEqual(
    store.entities
      .filter(({ id, bodyJson: body }) => id === good?.id || body.includes('older'))
      .map((one) => one.bodyJson),
    ['{"content":"A body"}', '{"content":"An older body"}'],
  );
});

test('what the original wrote comes in as it read it itself', async (t) => {
  const { bring, write, get, take, read, store } = both(t);
  const front = (more: Record<string, string>): string => {
    const lines = {
      id: 'mem-0123456789ab',
      category: 'c',
      key: 'k',
      type: 'fact',
      workspace_hash: '',
      agent_id: '',
      tags: '[]',
      decay_score: '0.5000',
      retrieval_count: '1',
      layer: 'core',
      created: '2020-01-02T03:04:05Z',
      last_accessed: '2020-01-02T03:04:05Z',
      ...more,
    };
    return `---\n${Object.entries(lines)
      .map((line) => `${line.join(': ')}\n`)
      .join('')}---\n\n`;
  };
  const bodies = { marker: 'a\n\n%% mimir links %%\nno link', last: 'a\n\n%% mimir links %%' };
  write('layer.md', `${front({ id: 'mem-1', key: 'layer', layer: 'odd layer' })}{"content":"x"}\n`);
  write('lines.md', `${front({ id: 'mem-2', key: 'first\n: second\nid: third\n\tfourth' })}{"content":"x"}\n`);
  write('comma.md', `${front({ id: 'mem-3', key: 'comma', tags: 'a,b' })}{"content":"x"}\n`);
  write('mixed.md', `${front({ id: 'mem-4', key: 'mixed', tags: '["a, b",1,{"c":2}]' })}{"content":"x"}\n`);
  write('marker.md', `${front({ id: 'mem-5', key: 'marker' })}${bodies.marker}\n`);
  write('last.md', `${front({ id: 'mem-6', key: 'last' })}${bodies.last}\n`);
  write(
    'edited.md',
    `${front({ id: 'mem-7', key: 'a # b', tags: '["x"]\nrating: 5' })}x\n\n%% mimir links %%\n- by: [[layer]]\n`,
  );
  write('listed.md', `${front({ id: 'mem-8', key: 'listed', tags: '\n  - y' })}x\n`);
  assert.deepEqual(counts(await bring()), [8, 0, []]);
  assert.deepEqual([get('layer')?.layer, get('first')?.id, get('first')?.layer], ['buffer', 'mem-2', 'core']);
  assert.deepEqual(
    [get('comma')?.tags, get('mixed')?.tags],
    [
      ['a', 'b'],
      ['a, b', '1', '{"c":2}'],
    ],
  );
  for (const key of ['marker', 'last'] as const)
    assert.equal(get(key)?.bodyJson, JSON.stringify({ content: bodies[key] }));
  assert.deepEqual([get('a # b')?.tags, store.links.get(get('a # b')?.row ?? 0)?.[0]?.targetId], [['x'], 'mem-1']);
  assert.deepEqual(get('listed')?.tags, ['y']);

  assert.deepEqual(counts(await bring()), [0, 0, []]);
  const exported = await take();
  assert.deepEqual([exported['conflicts'], exported['errors']], [undefined, []]);
  assert.match(read('edited.md'), /^rating: 5$/m);
  assert.deepEqual(
    [counts(await bring()), counts(await take())],
    [
      [0, 0, []],
      [0, 0, []],
    ],
  );
});

test('a file that cannot be taken is named with what is wrong, and stops no other', async (t) => {
  const { bring, write, vault, store, take } = both(t);
  const front = (lines: string, body = 'x'): string => `---\n${lines}\n---\n${body}\n`;
  const bad: [string, string | Buffer, RegExp][] = [
    ['empty.md', '', /no front matter/],
    ['nofront.md', 'text\n', /no front matter/],
    ['open.md', '---\nkey: x\n', /unclosed front matter/],
    ['yaml.md', front('key: k\ntags: [a\nmore:\n  - x'), /no YAML in its line \d/],
    ['list.md', front('- a\n- b'), /must be lines of "name: value"/],
    [
      'bomb.md',
      front(
        `a0: &a0 [x, x]\n${[1, 2, 3, 4, 5].map((i) => `a${i}:\n  &a${i} [${`*a${i - 1}, `.repeat(20)}]`).join('\n')}`,
      ),
      /nested too deep/,
    ],
    ['many.md', front(`${'k: {'}${Array.from({ length: 3_000 }, (_, i) => `a${i}: b`).join()}}\nkey: [x]`), /`key`/],
    ['long.md', front(`key: ${'k'.repeat(3000)}`), /`key` is too long/],
    ['number.md', front('key: n\ncertainty: much'), /`certainty`.*a number/],
    ['deep.md', front('key: d', '['.repeat(200) + ']'.repeat(200)), /nested too deep/],
    ['nested.md', front(`a:\n  ${'['.repeat(5_000)}`), /no YAML|nested too deep/],
    ['front.md', front(`key: f\nmore: ${'x'.repeat(LIMITS.vaultFrontMaxChars)}`), /front matter has more than/],
    ['twice.md', front('key: a\ntags:\n  - b\nkey: c'), /a name twice/],
    ['link.md', front('key: l', 'x\n\n%% mimir links %%\n- [[mem-1]]'), /is no link; write it as/],
    ['nul.md', front('key: "\\0"'), /NUL/],
    ['latin1.md', Buffer.from([0x2d, 0x2d, 0x2d, 0x0a, 0xe9, 0xff]), /no UTF-8/],
    ['large.md', front('key: large', 'x'.repeat(LIMITS.vaultFileMaxBytes)), /more than \d+ bytes/],
  ];
  for (const [name, text] of bad) write(name, text as string);
  symlinkSync('/etc/hostname', join(vault, 'linked.md'));
  mkdirSync(join(vault, 'folder.md'));
  write('good.md', front('key: good'));
  const answer = await bring();
  const errors = answer['errors'] as string[];
  for (const [name, , mend] of [
    ...bad,
    ['linked.md', '', /no plain file/],
    ['folder.md', '', /no plain file/],
  ] as typeof bad) {
    const error = errors.find((one) => one.startsWith(`${vault}/${name}: `)) ?? '';
    assert.match(error, mend, name);
  }
  assert.deepEqual([answer['files_created'], errors.length], [1, bad.length + 2]);
  assert.equal(store.entities.length, 1);
  assert.deepEqual(
    (await take())['errors'],
    errors.filter((one) => /linked|folder|latin1|large/.test(one)),
    'an export has to look at strangers too, and says which it could not',
  );
});

test('a folder that is none is an error with its name, and one that cannot be written is told for each file', async (t) => {
  const { call, put, vault, write, take, nameOf } = both(t);
  const absent = await call('vault_import', { vault_dir: join(vault, 'none') }, HERE);
  assert.deepEqual([absent.isError, absent['code']], [true, 'not_found']);
  assert.ok(String(absent['error']).includes(`${vault}/none is not a directory`));
  write('file', 'x');
  const inFile = await call('vault_export', { vault_dir: join(vault, 'file', 'sub') }, HERE);
  assert.deepEqual([inFile.isError, inFile['code']], [true, 'cannot_open']);
  const isFile = await call('vault_export', { vault_dir: join(vault, 'file') }, HERE);
  assert.deepEqual([isFile.isError, isFile['code']], [true, 'cannot_open']);
  if (process.getuid?.() === 0) return; // who may do everything cannot be kept from writing
  await put('k');
  chmodSync(vault, 0o500);
  t.after(() => chmodSync(vault, 0o700));
  const [error = ''] = (await take())['errors'] as string[];
  assert.ok(error.startsWith(`${vault}/${nameOf('k')}: it cannot be written`), error);
});

test('federate copies a workspace, brings copies up to date, keeps what is there, and writes files only where it is told', async (t) => {
  const { put, call, get, vault, files, read, store } = both(t);
  for (const key of ['a', 'b', 'mine']) await put(key, undefined, { workspace_hash: 'w', tags: ['t'] });
  await put('mine', { content: 'of its own' }, { workspace_hash: 'far' });
  await put('elsewhere', undefined, { workspace_hash: 'wx' });
  const first = await call('federate', { from_workspace: 'w', to_workspace: 'far' });
  assert.deepEqual([first['exported'], first['remapped'], first['imported']], [3, 2, 2]);
  assert.match(String(first['import_errors']), /^c\/mine: That workspace has a memory of its own/);
  assert.deepEqual(
    [get('a', 'w')?.archived, get('a', 'far')?.tags, get('elsewhere', 'far')],
    [false, ['t'], undefined],
  );
  assert.equal(get('mine', 'far')?.bodyJson, '{"content":"of its own"}');
  assert.equal(existsSync(vault), false);
  await put('a', { content: 'new' }, { workspace_hash: 'w' });
  const second = await call('federate', { from_workspace: 'w', to_workspace: 'far', vault_dir: vault }, HERE);
  assert.deepEqual([second['imported'], get('a', 'far')?.bodyJson], [2, '{"content":"new"}']);
  assert.deepEqual(files(), [get('a', 'far')?.id, get('b', 'far')?.id].map((id) => `${id}.md`).toSorted());
  assert.match(read(files()[0] ?? ''), /^workspace_hash: far$/m);
  const none = await call('federate', { from_workspace: 'absent', to_workspace: 'x' });
  assert.deepEqual([none['exported'], none['remapped'], none['imported'], none['import_errors']], [0, 0, 0, []]);
  const before = store.entities.length;
  const refused = await call('federate', { from_workspace: 'w', to_workspace: 'v' }, BOUND);
  assert.deepEqual([refused.isError, refused['code'], store.entities.length], [true, 'forbidden', before]);
});

test('over HTTP only folders below that of the vault are reached', async () => {
  const { call } = setUp();
  const tries = [
    ['vault_export', { vault_dir: '/tmp/x' }],
    ['vault_import', { vault_dir: '../etc' }],
    ['federate', { from_workspace: 'a', to_workspace: 'b', vault_dir: '/etc' }],
  ] as const;
  for (const [tool, args] of tries) assert.equal((await call(tool, args))['code'], 'forbidden', tool);
  assert.match(
    String((await call('vault_import', { vault_dir: 'sub' }))['error']),
    /^\/nowhere\/sub is not a directory/,
  );
  assert.match(String((await call('vault_import'))['error']), /^\/nowhere is not a directory/);
});
