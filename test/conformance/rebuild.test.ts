import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';

import Database from 'better-sqlite3-multiple-ciphers';

import { systemClock } from '../../src/clock.ts';
import { OPERATIONS } from '../../src/engine/operations.ts';
import { OWNER } from '../../src/memory/scope.ts';
import type { Scope } from '../../src/memory/types.ts';
import {
  makeSharedMemory,
  openReader,
  openWriter,
  prepareStore,
  type StoreReader,
  type StoreWriter,
} from '../../src/storage/open.ts';
import { scopeTokens } from '../../src/storage/sqlite/search.ts';
import { startHttp, temporaryFolder, until } from '../support/processes.ts';

const SCOPE: Scope = { principal: OWNER, workspace: null, actor: 'o', client: 't' };
const TURNS = ['What is your cat called?', 'Luna', 'And the children went where?', 'To the sea'];

let writes = 0;
async function fill(store: StoreWriter): Promise<void> {
  const remember = async (key: string, body: object): Promise<unknown> =>
    await store.transaction({ id: `w${writes++}`, kind: 'remember', scope: SCOPE }, (tx) =>
      OPERATIONS.remember.run(tx, SCOPE, { category: 'c', key, bodyJson: JSON.stringify(body), recallWhen: [] }),
    );
  for (let i = 0; i < 250; i++) await remember(`note-${i}`, { content: `heron number ${i}` });
  for (const [i, content] of TURNS.entries())
    await remember(`turn-${i}`, { content, speaker: i % 2 === 0 ? 'Bo' : 'Al', session: 's', turn: i });
  await store.transaction({ id: `w${writes++}`, kind: 'forget', scope: SCOPE }, (tx) =>
    OPERATIONS.forget.run(tx, SCOPE, { category: 'c', key: 'note-7', reason: '' }),
  );
}

/** Turns a file into one of schema 1, whose lists had other tokens. */
function age(path: string): void {
  const db = new Database(path);
  const rows = db.prepare(`SELECT b.id, b.tokens, e.archived FROM body b JOIN entity e ON e.body = b.id`).all() as {
    id: number;
    tokens: string;
    archived: number;
  }[];
  const scope = scopeTokens({ workspace: '', category: 'c' });
  for (const { id, tokens, archived } of rows) {
    const [body = '', ...others] = tokens.split('\n');
    const old = [body.replaceAll(' go ', ' went '), ...others.slice(3, 6)].join('\n');
    const index = archived === 1 ? 'text_past' : 'text';
    db.prepare(`INSERT INTO ${index}(${index}, rowid, terms, scope) VALUES ('delete', ?, ?, ?)`).run(id, tokens, scope);
    db.prepare(`INSERT INTO ${index}(rowid, terms, scope) VALUES (?, ?, ?)`).run(id, old, scope);
    db.prepare('UPDATE body SET tokens = ? WHERE id = ?').run(old, id);
  }
  db.exec(
    `ALTER TABLE journal DROP COLUMN audit_hash; DROP INDEX body_before; DROP INDEX version_body; DROP INDEX link_target;
     DROP INDEX link_entity; DROP INDEX key_entity; DROP INDEX changes_repacked; DROP TABLE vector; DROP TABLE space; DROP TABLE turn;
     ALTER TABLE body DROP COLUMN before; UPDATE meta SET value = 1 WHERE name = 'index_version'; PRAGMA user_version = 1`,
  );
  db.close();
}

async function keys(store: StoreReader, query: string): Promise<string[]> {
  const input = { query, filters: {}, limit: 3, offset: 0, minDecay: 0 };
  const { hits } = await store.snapshot((tx) => OPERATIONS.recall.run(tx, SCOPE, input));
  return [...hits.text.matchAll(/"key":"([^"]+)"/g)].map(([, key = '']) => key);
}

test('a file with an older text index answers while it is made anew, and then like a fresh one', async (t) => {
  const path = join(temporaryFolder(t), 'm.db');
  const options = { path, key: null, clock: systemClock, busyTimeoutMs: 100, shared: makeSharedMemory() };
  assert.equal(prepareStore(options), true);
  const fresh = openWriter(options);
  await fill(fresh);
  const expected = [
    await keys(fresh, 'heron 42'),
    await keys(fresh, 'name of the cat'),
    await keys(fresh, 'where did the child go'),
  ];
  fresh.close();
  age(path);

  assert.equal(prepareStore(options), false, 'it says that there is work to do');
  assert.ok(existsSync(`${path}.before-v2`), 'a copy was kept');
  const writer = openWriter(options);
  const reader = openReader(options, 'searches');
  const { problems, indexIsCurrent } = await reader.snapshot(async (tx) => tx.examine());
  assert.deepEqual([problems, indexIsCurrent], [[], false], 'an older form is no damage');
  let steps = 0;
  for (; writer.cold; steps++) {
    assert.equal((await keys(reader, 'heron 42'))[0], 'note-42', `after ${steps} steps`);
    assert.equal((await keys(writer, 'heron 42'))[0], 'note-42', `after ${steps} steps`);
    if (steps === 2) {
      await writer.transaction({ id: 'in-between', kind: 'remember', scope: SCOPE }, (tx) =>
        OPERATIONS.remember.run(tx, SCOPE, { category: 'c', key: 'late', bodyJson: '"a late swan"', recallWhen: [] }),
      );
    }
    writer.warmUp();
  }
  assert.ok(steps > 3, `${steps} steps`);
  while (reader.cold && reader.warmUp());
  for (const store of [writer, reader]) {
    assert.deepEqual(
      [
        await keys(store, 'heron 42'),
        await keys(store, 'name of the cat'),
        await keys(store, 'where did the child go'),
      ],
      expected,
    );
    assert.deepEqual(await keys(store, 'swan'), ['late']);
  }
  assert.deepEqual(writer.verify(), []);
  reader.close();
  writer.close();
  assert.equal(prepareStore(options), true);
});

test('a server says how far it has come with an older text index, and when it is done', async (t) => {
  const path = join(temporaryFolder(t), 'm.db');
  const options = { path, key: null, clock: systemClock, busyTimeoutMs: 100 };
  prepareStore(options);
  const fresh = openWriter(options);
  await fill(fresh);
  fresh.close();
  age(path);
  const { child, printed, ended } = await startHttp(['--db', path]);
  await until(() => (printed.stderr.includes('"text_index_rebuilt"') ? true : undefined));
  child.kill('SIGTERM');
  assert.equal(await ended, 0);
  const told = printed.stderr.split('\n').filter((line) => line.includes('"text_index_rebuild"'));
  const lines = told.map((line) => JSON.parse(line) as { done: number; of: number });
  assert.ok(lines.length >= 1);
  for (const { done, of } of lines) assert.ok(done <= of && of === 254, JSON.stringify(lines));
  assert.equal(prepareStore(options), true);
});
