// What a note says that an export wrote and a person has changed, and which bodies stand in one.
import assert from 'node:assert/strict';
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { LIMITS } from '../../src/limits.ts';
import type { Entity } from '../../src/memory/types.ts';
import { both, counts, HERE } from '../support/vault-folder.ts';

test('a body that is no JSON goes out and comes in as it is, and can be edited', async (t) => {
  const here = both(t);
  const bodies = [
    'free text',
    '{"broken": ',
    '',
    ' blanks around \n',
    'a\r\nb',
    '%% mimir links %%\n- no: [[link]]',
    '---',
  ];
  for (const [i, bodyJson] of bodies.entries()) {
    await here.put(`k${i}`);
    // Only an imported database of the original holds such ones.
    here.store.entities = here.store.entities.map((one) => (one.key === `k${i}` ? { ...one, bodyJson } : one));
  }
  assert.deepEqual(counts(await here.take()), [bodies.length, 0, []]);
  assert.match(here.read(here.nameOf('k0')), /^body_form: text\n[\s\S]*---\n\nfree text\n$/m);
  const there = both(t);
  const bring = () => there.call('vault_import', { vault_dir: here.vault }, HERE);
  assert.deepEqual(counts(await bring()), [bodies.length, 0, []]);
  for (const [i, body] of bodies.entries()) assert.equal(there.get(`k${i}`)?.bodyJson, body);
  assert.deepEqual(counts(await here.take()), [0, 0, []]);
  here.edit(here.nameOf('k0'), 'free text', 'freer text');
  assert.deepEqual(counts(await bring()), [0, 1, []]);
  assert.equal(there.get('k0')?.bodyJson, 'freer text');
});

test('a text that another program wrote as JSON with blanks is prose, and stays written so when it is edited', async (t) => {
  const { call, take, bring, edit, read, nameOf, get } = both(t);
  const bodies = {
    ascii: ['{"content": "plain \\"words\\"\\nhere"}', 'plain "words"\nhere', 'spaced'],
    letters: ['{"content": "café 🗼"}', 'café 🗼', 'spaced'],
    escaped: ['{"content": "caf\\u00e9 \\ud83d\\uddfc\\u007f"}', 'café 🗼\u007f', 'spaced_ascii'],
  } as const;
  for (const [key, [body]] of Object.entries(bodies)) await call('remember', { category: 'c', key, body_json: body });
  await take();
  for (const [key, [, prose, form]] of Object.entries(bodies)) {
    assert.ok(read(nameOf(key)).endsWith(`\n---\n\n${prose}\n`), key);
    assert.match(read(nameOf(key)), new RegExp(`^body_form: ${form}$`, 'm'));
    edit(nameOf(key), prose, `new é ${prose}`);
  }
  assert.deepEqual(counts(await bring()), [0, 3, []]);
  assert.equal(get('letters')?.bodyJson, '{"content": "new é café 🗼"}');
  assert.equal(get('escaped')?.bodyJson, '{"content": "new \\u00e9 caf\\u00e9 \\ud83d\\uddfc\\u007f"}');
});

test('why a memory was superseded goes out and comes in, and why one was forgotten is no part of its file', async (t) => {
  const here = both(t);
  const names = { from_category: 'c', from_key: 'old', to_category: 'c', to_key: 'new' };
  for (const key of ['old', 'new']) await here.put(key);
  await here.call('supersede', { ...names, reason: 'more than: one machine' });
  await here.take();
  assert.match(here.read(here.nameOf('old')), /^archive_reason: "?'?more than: one machine'?"?$/m);
  const there = both(t);
  await there.call('vault_import', { vault_dir: here.vault }, HERE);
  assert.deepEqual([there.get('old')?.archiveReason, there.get('new')?.archiveReason], ['more than: one machine', '']);

  await here.call('forget', { category: 'c', key: 'old', reason: 'nobody needs it' });
  const brought = await here.bring();
  assert.deepEqual([brought['forgotten'], here.get('old')?.archiveReason], [[here.nameOf('old')], 'nobody needs it']);
  assert.equal((await here.take({ prune: true }))['pruned'], 1);
  await here.put('old', { content: 'again' });
  await here.take();
  assert.doesNotMatch(here.read(here.nameOf('old')), /archive_reason/);
});

test('text below a body that stands in the front matter is told by both ways, and stays until one of the two is taken out', async (t) => {
  const { put, call, take, bring, edit, read, nameOf, get, files } = both(t);
  await call('remember', { category: 'c', key: 'host', body_json: '{"content":"heron"}\n' });
  await take();
  const name = nameOf('host');
  assert.match(read(name), /^body_json: /m);
  edit(name, /$/, 'It moved to the second rack\n');
  const edited = read(name);
  for (const ask of [take, bring]) {
    const answer = await ask();
    assert.match(String(answer['errors']), new RegExp(`${name}: .*two bodies`));
    assert.deepEqual(counts(answer).slice(0, 2), [0, 0]);
  }
  await put('host', { content: 'stork' });
  const [error = ''] = (await take())['errors'] as string[];
  assert.match(error, /two bodies/);
  assert.deepEqual([read(name), files()], [edited, [name]], 'nothing is written over it');
  edit(name, /^body_json: .*\n/m, '');
  assert.deepEqual((await bring())['conflicts']?.toString().startsWith(name), true, 'now it is an edit');
  assert.equal(get('host')?.bodyJson, '{"content":"stork"}');
});

test('aliases of a person and another moment of creation stay when a file is written again', async (t) => {
  const { put, take, bring, edit, read, nameOf, files } = both(t);
  const aliases: Record<string, [string, RegExp]> = {
    list: ['aliases:\n  - Mine # why\n  - list\n', /^aliases:\n {2}- Mine # why\n {2}- list\n(?! )/m],
    without: ['aliases: [Mine, 42]\n', /^aliases: \[ ?Mine, 42, without ?\]$/m],
    single: ['aliases: Mine\n', /^aliases:\n {2}- Mine\n {2}- single\n(?! )/m],
    single_own: ['aliases: single_own\n', /^aliases: single_own$/m],
    none: ['aliases:\n', /^aliases:\n {2}- none\n(?! )/m],
    'gone: "x"': ['', /^aliases:\n {2}- "?'?gone: \\?"x\\?"'?"?\n(?! )/m],
  };
  for (const key of Object.keys(aliases)) await put(key);
  await take();
  for (const [key, [text]] of Object.entries(aliases)) {
    edit(nameOf(key), /^aliases:\n {2}- .*\n/m, text);
    edit(nameOf(key), /^created: .*$/m, 'created: 2019-05-06');
  }
  assert.deepEqual(
    [counts(await take()), counts(await bring())],
    [
      [0, 0, []],
      [0, 0, []],
    ],
  );
  for (const key of Object.keys(aliases)) await put(key, { content: 'changed' });
  assert.deepEqual(counts(await take()), [0, files().length, []]);
  for (const [key, [, due]] of Object.entries(aliases)) {
    assert.match(read(nameOf(key)), due);
    assert.match(read(nameOf(key)), /^created: 2019-05-06$/m);
    assert.match(read(nameOf(key)), /\nchanged\n/);
  }
  assert.deepEqual(counts(await take()), [0, 0, []]);
});

test('a file that was put aside is stale once its words are stored, and pruned unless somebody wrote into it', async (t) => {
  const { put, take, bring, edit, read, write, nameOf, files, store } = both(t);
  const keys = ['stored', 'written', 'linked'];
  for (const key of keys) await put(key);
  await take();
  for (const key of keys) {
    edit(nameOf(key), `body of ${key}`, `${key} by hand`);
    edit(nameOf(key), 'status: active\n', 'status: active\nrating: 5\n');
    if (key === 'linked') edit(nameOf(key), /$/, '\n%% mimir links %%\n- by: [[Nothing]]\n');
    await put(key, { content: 'by an agent' });
  }
  const [stored = '', written = '', linked = ''] = keys.map(nameOf);
  assert.deepEqual(
    (await take({ prune: true }))['conflicts'],
    files().filter((name) => name.includes('conflict')),
  );
  const asideOf = (name: string): string =>
    files().find((one) => one.startsWith(name.replace('.md', '.conflict-'))) ?? 'none';
  const [aside, asideWritten, asideLinked] = [stored, written, linked].map(asideOf) as [string, string, string];
  assert.match(read(stored), /by an agent\n$/);
  assert.match(read(stored), /^rating: 5$/m, 'what else stood there goes into the new file too');
  const early = await take({ prune: true });
  assert.deepEqual([early['pruned'], early['stale']], [0, undefined], 'not before it is imported');

  await bring();
  edit(asideWritten, 'rating: 5', 'rating: 4');
  assert.deepEqual((await take())['stale'], [aside]);
  const pruned = await take({ prune: true });
  assert.deepEqual([pruned['pruned'], pruned['stale']], [1, undefined]);
  assert.deepEqual(
    [aside, asideWritten, asideLinked].map((name) => files().includes(name)),
    [false, true, true],
  );
  assert.ok(store.entities.some(({ bodyJson }) => bodyJson.includes('stored by hand')));

  // A person's own file of such a name is no file that was put aside.
  write(`${stored.replace('.md', '')}.conflict-00000000.md`, '---\nkey: mine\n---\nx\n');
  assert.equal((await take({ prune: true }))['pruned'], 0);
});

test('a note that is renamed stays the file of its memory, and the links to it mean what they meant', async (t) => {
  const { put, call, take, bring, edit, read, write, nameOf, get, files, vault, store } = both(t);
  for (const key of ['a', 'b']) await put(key);
  await call('link', { from_category: 'c', from_key: 'a', to_id: get('b')?.id, relationship: 'needs' });
  await take();
  const linked = () => store.links.get(get('a')?.row ?? 0);
  const before = linked();
  const [a, b] = [nameOf('a'), nameOf('b')];
  // As Obsidian does it, where a name with a folder is one of its settings.
  renameSync(join(vault, b), join(vault, 'Staging host.md'));
  edit(a, `[[${get('b')?.id}|b]]`, '[[notes/Staging host|b]]');
  assert.deepEqual(counts(await bring()), [0, 0, []]);
  assert.deepEqual(linked(), before);
  const untouched = await take({ prune: true });
  assert.deepEqual([...counts(untouched), untouched['edited'], untouched['stale']], [0, 0, [], undefined, undefined]);
  assert.deepEqual(files(), ['Staging host.md', a]);

  // The memory changes, and its file is the renamed one; what links to it leads there.
  await put('b', { content: 'called stork' });
  await put('a', { content: 'needs it' });
  assert.deepEqual(counts(await take()), [0, 2, []]);
  assert.deepEqual(files(), ['Staging host.md', a]);
  assert.match(read('Staging host.md'), /called stork/);
  assert.ok(read(a).endsWith(`\n- needs: [[Staging host|b]] "${get('b')?.id}"\n`), read(a));
  assert.deepEqual(counts(await take()), [0, 0, []]);
  assert.deepEqual(counts(await bring()), [0, 0, []]);

  // By other programs than Obsidian: the links are mended by the next export.
  renameSync(join(vault, 'Staging host.md'), join(vault, 'Host.md'));
  assert.deepEqual(counts(await take()), [0, 1, []]);
  assert.match(read(a), /\[\[Host\|b\]\] "/);
  assert.deepEqual(counts(await take()), [0, 0, []]);

  // With another id a copy of it is a note like any other.
  write('Copy.md', read('Host.md').replace(/^key: .*$/m, 'key: copy'));
  await bring();
  assert.notEqual(get('copy')?.id, get('b')?.id);
  edit(a, /$/, '- about: [[Copy]]\n');
  await bring();
  assert.deepEqual(linked()?.[1]?.targetId, get('copy')?.id);
  await take();
  edit(a, /- about: .*\n/, '');
  await bring();
  await take();
  assert.match(read('Host.md'), /called stork/);
  assert.deepEqual(linked(), before);
});

test('a link that a person writes means a note by its name or by an alias, a memory by its id, and else nothing', async (t) => {
  const { put, take, bring, edit, read, write, nameOf, get, files, vault, store } = both(t);
  for (const key of ['a', 'b', 'twin']) await put(key);
  await put('twin', undefined, { category: 'd' });
  await put('far', undefined, { workspace_hash: 'w' });
  await take({ workspace_hash: '' });
  const linked = () => store.links.get(get('a')?.row ?? 0)?.map(({ targetId }) => targetId) ?? [];
  const a = nameOf('a');
  write('Rack.md', '---\ncategory: note\nkey: rack\naliases: [The Rack]\n---\nIt is in the cellar\n');
  write('Odd.md', '---\ncategory: note\nkey: odd\n---\nx\n\n%% mimir links %%\n- by: [[Last]]\n');
  write('Last.md', '---\ncategory: note\nkey: last\n---\nx\n');
  const far = get('far', 'w')?.id ?? '';
  edit(a, /$/, `\n%% mimir links %%\n- by: [[rack]]\n- by: [[B]]\n- by: [[${far}]]\n- by: [[the rack]] 0.7\n`);
  assert.deepEqual(counts(await bring()), [3, 1, []]);
  const rack = get('rack')?.id ?? '';
  assert.deepEqual(linked().toSorted(), [get('b')?.id ?? '', far, rack, rack].toSorted());
  assert.deepEqual(store.links.get(get('odd')?.row ?? 0)?.[0]?.targetId, get('last')?.id, 'it came in behind it');
  assert.deepEqual(counts(await bring()), [0, 0, []]);
  await take();
  edit(a, /$/, '- again: [[RACK]]\n');
  rmSync(join(vault, 'Rack.md'));
  assert.deepEqual(counts(await bring()), [0, 1, []], 'the alias that an export gave it');
  await take();
  const settled = read(a);
  assert.deepEqual([files().filter((name) => name.includes('conflict')), counts(await take())], [[], [0, 0, []]]);

  // Two notes have that alias, and none is called so: the real link stays, and so does what the person wrote.
  const real = linked();
  edit(a, `[[${get('b')?.id}|b]]`, '[[twin]]');
  edit(a, /$/, '- by: [[Nothing]]\n');
  const edited = read(a);
  for (let i = 0; i < 2; i++) {
    const answer = await bring();
    assert.match(
      String(answer['errors']),
      new RegExp(`${a}: no note and no memory is called \\[\\[twin\\]\\], \\[\\[Nothing\\]\\]`),
    );
    assert.deepEqual([counts(answer).slice(0, 2), linked()], [[0, 0], real]);
    await take();
    assert.equal(read(a), edited);
  }
  await put('a', { content: 'changed by an agent' });
  assert.deepEqual(counts(await take()), [0, 1, []]);
  assert.match(read(a), /changed by an agent[\s\S]*\[\[twin\]\]\n- by: \[\[Nothing\]\]\n$/);
  assert.ok(read(a).includes(`[[${get('b')?.id}|b]]`), 'the real link is there again');
  assert.deepEqual(counts(await take()), [0, 0, []]);
  assert.notEqual(settled, edited);
});

test('what no import would take is named by the export and not written', async (t) => {
  const { put, take, get, files, nameOf, read, write, store } = both(t);
  const odd: Record<string, Partial<Entity>> = {
    'many tags': { tags: Array.from({ length: LIMITS.tagsMax + 1 }, String) },
    'long tag': { tags: ['x'.repeat(LIMITS.nameMaxBytes + 1)] },
    'NUL in a tag': { tags: ['a\0b'] },
    'long body': { bodyJson: JSON.stringify({ content: 'x'.repeat(LIMITS.bodyJsonMaxBytes) }) },
    'long file': { bodyJson: JSON.stringify({ content: 'x'.repeat(LIMITS.vaultFileMaxBytes) }) },
    'long text': { bodyJson: 'x'.repeat(LIMITS.bodyJsonMaxBytes + 1) },
    'endless number': { bodyJson: '1e999' },
  };
  for (const key of ['good', ...Object.keys(odd)]) await put(key);
  store.entities = store.entities.map((one) => ({ ...one, ...odd[one.key] }));
  const before = '---\nmine: yes\n---\n';
  write(nameOf('many tags'), before);
  const answer = await take();
  assert.deepEqual(
    [answer['files_created'], files().toSorted()],
    [1, [nameOf('good'), nameOf('many tags')].toSorted()],
  );
  assert.equal(read(nameOf('many tags')), before);
  const errors = answer['errors'] as string[];
  for (const key of Object.keys(odd))
    assert.match(
      errors.find((one) => one.includes(get(key)?.id ?? '?')) ?? '',
      /\.md: not written, because .*mimir export does/,
      key,
    );
  assert.equal(errors.length, Object.keys(odd).length);
});
