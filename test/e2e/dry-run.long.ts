// Dry runs of the real program: nothing may be otherwise afterwards.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

import { addEntity, makeOriginal } from '../support/original.ts';
import { writeFiles } from '../support/ingest.ts';
import { startMimir, temporaryFolder } from '../support/processes.ts';

function setUp(t: TestContext) {
  const folder = temporaryFolder(t);
  const [docs, temporary, stores, config] = ['docs', 'tmp', 'stores', 'c.yaml'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
    string,
  ];
  writeFiles(docs, { 'a.md': 'Alpha.', 'b.md': 'Beta.' });
  for (const made of [temporary, stores]) mkdirSync(made);
  writeFileSync(config, `connectors:\n  file_watcher: {enabled: true, paths: [${docs}]}\n`);
  const runs = [
    ['ingest', '--connectors-config', config],
    ['import', '--from', 'markdown', docs],
    ['prune'],
    ['purge'],
  ];
  const dry = async (args: readonly string[], store: string) => {
    const { child, printed, ended } = startMimir([...args, '--dry-run', '--db', store], { TMPDIR: temporary });
    child.stdin.end();
    return { exit: await ended, ...printed };
  };
  return { folder, docs, temporary, stores, runs, dry };
}

test('where there is no store, a dry run says what would come in and makes nothing', async (t) => {
  const { folder, temporary, stores, runs, dry } = setUp(t);
  for (const store of [join(stores, 'm.db'), join(folder, 'none', 'm.db')]) {
    for (const args of runs) {
      const { exit, stdout, stderr } = await dry(args, store);
      assert.deepEqual(
        [exit, stderr],
        [0, `mimir: dry run: there is no store at ${store} yet, and none is made\n`],
        stdout,
      );
      if (args[0] === 'ingest' || args[0] === 'import') assert.match(stdout, /^would (bring in|import) 2,/);
    }
  }
  assert.deepEqual([readdirSync(stores), readdirSync(temporary), existsSync(join(folder, 'none'))], [[], [], false]);
});

test('a dry run leaves a database of the original as it is, and compares with what it holds', async (t) => {
  const { docs, temporary, stores, runs, dry } = setUp(t);
  const store = join(stores, 'm.db');
  const db = makeOriginal(store);
  const path = join(docs, 'a.md');
  addEntity(db, {
    id: 'mem-1',
    category: 'file',
    key: path.replaceAll('/', '-'),
    body_json: JSON.stringify({ content: 'Alpha.', path }),
    tags: '["ext:md"]',
    source: 'connector:file_watcher',
  });
  db.close();
  const before = readFileSync(store);
  for (const args of runs) {
    const { exit, stdout, stderr } = await dry(args, store);
    assert.equal(exit, 0, stderr);
    assert.equal(stderr, `mimir: dry run: ${store} is a database of the original, and stays as it is\n`);
    if (args[0] === 'ingest') assert.match(stdout, /^would bring in 1, would forget 0, unchanged 1\n/);
  }
  assert.deepEqual([readdirSync(stores), readdirSync(temporary)], [['m.db'], []]);
  assert.ok(readFileSync(store).equals(before));
});
