// Vaults of real stores: by the command line, over HTTP, after many operations, and those of the original.
import assert from 'node:assert/strict';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

import Database from 'better-sqlite3-multiple-ciphers';

import type { OpenStore } from '../../src/cli/command.ts';
import { readStoreConfig } from '../../src/config.ts';
import { LIMITS } from '../../src/limits.ts';
import { openStore } from '../../src/main.ts';
import { GOLDEN } from '../replay/recording.ts';
import { addEntity, makeOriginal, recorded, withoutFiles } from '../support/original.ts';
import { callText, http, startHttp, startMimir, temporaryFolder } from '../support/processes.ts';

async function mimir(...args: string[]): Promise<{ exit: number | null; stdout: string; stderr: string }> {
  const { child, printed, ended } = startMimir(args);
  child.stdin.end();
  return { exit: await ended, ...printed };
}

/** A store in this process, closed with the test. */
async function storeAt(
  t: TestContext,
  db: string,
): Promise<(tool: string, args: object) => Promise<Record<string, unknown>>> {
  const store: OpenStore = await openStore(readStoreConfig({ db }, { HOME: '/nonexistent' }));
  t.after(() => store.close());
  return async (tool, args) => {
    const answer = await store.call(`mimir_${tool}`, args);
    return JSON.parse(answer.json) as Record<string, unknown>;
  };
}

/** Every live memory of a store, as its tables have it, without numbers of rows. */
function liveRows(db: string): unknown[] {
  const file = new Database(db, { readonly: true });
  try {
    return file.prepare('SELECT * FROM entities WHERE archived = 0 ORDER BY id').all();
  } finally {
    file.close();
  }
}

test('the commands write a vault and read it into another store', async (t) => {
  const folder = temporaryFolder(t);
  const [db, other, vault] = ['a.db', 'b.db', 'deep/vault'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await mimir('remember', 'The staging host is called heron', '--key', 'host', '--db', db);
  await mimir('remember', 'Ana leads the team', '--key', 'ana', '--workspace-hash', 'w', '--db', db);
  const exported = await mimir('vault-export', '--vault-dir', vault, '--db', db);
  assert.deepEqual([exported.exit, exported.stderr], [0, '']);
  const report = JSON.parse(exported.stdout) as Record<string, unknown>;
  assert.deepEqual(
    [report['files_created'], report['files_updated'], report['errors'], report['vault_dir']],
    [2, 0, [], vault],
  );
  assert.equal(statSync(vault).mode & 0o777, 0o700);
  assert.deepEqual(
    readdirSync(vault).map((name) => statSync(join(vault, name)).mode & 0o777),
    [0o600, 0o600],
  );
  const imported = await mimir('vault-import', '--vault-dir', vault, '--db', other);
  assert.match(imported.stdout, /"files_created": 2/);
  assert.deepEqual(liveRows(other), liveRows(db));

  await mimir('forget', '--category', 'note', '--key', 'host', '--db', db);
  const pruned = await mimir('vault-export', '--vault-dir', vault, '--prune', '--db', db);
  assert.match(pruned.stdout, /"pruned": 1/);
  assert.equal(readdirSync(vault).length, 1);
  const missing = await mimir('vault-import', '--vault-dir', join(folder, 'none'), '--db', db);
  assert.equal(missing.exit, 1);
  assert.match(missing.stderr, /^mimir: \S+\/none is not a directory\.[^\n]*\n$/);
});

test('over HTTP a vault is below the folder of the server, and nothing else is read or written', async (t) => {
  const folder = temporaryFolder(t);
  const root = join(folder, 'root');
  mkdirSync(join(folder, 'secret'), { recursive: true });
  mkdirSync(root);
  writeFileSync(join(folder, 'secret', 's.md'), '---\nkey: secret\n---\nsecret\n');
  symlinkSync(join(folder, 'secret'), join(root, 'linked'));
  const { child, port, ended } = await startHttp(['--db', join(folder, 'm.db')], { MIMIR_VAULT_DIR: root });
  t.after(async () => {
    child.kill();
    await ended;
  });
  const call = async (tool: string, args: object): Promise<Record<string, unknown>> => {
    const { body } = await http(port, { body: callText(1, `mimir_${tool}`, args) });
    const { result } = JSON.parse(body) as { result: { structuredContent: Record<string, unknown> } };
    return result.structuredContent;
  };
  await call('remember', { category: 'c', key: 'k', body_json: '"x"', workspace_hash: 'w' });
  for (const dir of ['..', folder, '/etc', 'linked', 'linked/deeper', '~/x', join(root, '..', 'secret')]) {
    for (const tool of ['vault_export', 'vault_import'])
      assert.equal((await call(tool, { vault_dir: dir }))['code'], 'forbidden', `${tool} ${dir}`);
    const federated = await call('federate', { from_workspace: 'w', to_workspace: 'v', vault_dir: dir });
    assert.equal(federated['code'], 'forbidden', dir);
  }
  assert.deepEqual(readdirSync(join(folder, 'secret')), ['s.md']);
  assert.equal((await call('stats', {}))['total_entities'], 1, 'nothing came in, nothing was copied');
  assert.equal((await call('vault_export', {}))['vault_dir'], root);
  assert.equal((await call('vault_export', { vault_dir: 'mine' }))['vault_dir'], join(root, 'mine'));
  assert.equal(readdirSync(join(root, 'mine')).length, 1);
});

test('a store of 2,000 random operations comes back from its vault as it was', async (t) => {
  const folder = temporaryFolder(t);
  const [db, other] = [join(folder, 'a.db'), join(folder, 'b.db')];
  const call = await storeAt(t, db);
  const seed = Number(process.env['MIMIR_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  t.diagnostic(`seed ${seed}`);
  let state = seed;
  const below = (n: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state >> 8) % n;
  };
  const pick = <T>(all: readonly T[]): T => all[below(all.length)] as T;
  const words = [
    'heron',
    'ünï',
    '東京 🗼',
    '"quoted"',
    "it's",
    'a: b',
    '# x',
    '---',
    '',
    '\n',
    'x\r\ny',
    '\\',
    '{}',
    '42',
    '[[k]]',
    '%% mimir links %%',
  ];
  const ids: string[] = [];
  const text = (): string => Array.from({ length: below(4) }, () => pick(words)).join(pick([' ', '\n', '']));
  const place = () => ({
    category: pick(['c', 'note: x']),
    key: `${pick(words)}${below(40)}`,
    workspace_hash: pick(['', 'w', 'ws "q"']),
  });
  const body = (): string =>
    pick([
      () => JSON.stringify({ content: text() }),
      () => JSON.stringify({ content: text(), n: below(9) / 7, deep: [text(), { [text()]: null }] }),
      () => JSON.stringify(text()),
      () => ` {"content":\t${JSON.stringify(text())}} `,
      () => '12345678901234567890.10',
    ])();
  const steps: (() => Promise<unknown>)[] = [
    async () =>
      ids.push(
        String(
          (
            await call('remember', {
              ...place(),
              body_json: body(),
              tags: [text()],
              importance: below(100) / 99,
              certainty: below(7) / 7,
              topic_path: text(),
              always_on: below(9) === 0,
              visibility: pick(['private', 'workspace', 'public']),
              agent_id: text(),
              type: pick(['insight', 'fact']),
              status: pick(['active', 'draft']),
            })
          )['id'],
        ),
      ),
    async () => ids.push(String((await call('remember', { ...place(), body_json: body() }))['id'])),
    () => call('forget', place()),
    () => {
      const { category, key, workspace_hash } = place();
      return call('link', {
        from_category: category,
        from_key: key,
        workspace_hash,
        to_id: ids.length === 0 ? 'mem-x' : pick(ids),
        relationship: pick(['about', 'says: "no"', 'a\nb']),
      });
    },
    () => {
      const [from, to] = [place(), place()];
      return call('supersede', {
        from_category: from.category,
        from_key: from.key,
        to_category: to.category,
        to_key: to.key,
        workspace_hash: from.workspace_hash,
        reason: text(),
      });
    },
    () => call('score', { ...place(), score: below(10) / 9 }),
    () => call('share', { ...place(), to_workspace: pick(['w', 'v']) }),
    () => call('recall', { query: pick(words) }),
    () => call('correct', { wrong_approach: text(), user_correction: text(), task_context: text() }),
  ];
  // Some at once: the writer takes them in this order, and in fewer transactions.
  for (let i = 0; i < 2_000; i += 40)
    await Promise.all(Array.from({ length: 40 }, () => pick([...steps, steps[0], steps[0]] as typeof steps)()));
  const vault = join(folder, 'vault');
  const out = await call('vault_export', { vault_dir: vault });
  const count = liveRows(db).length;
  assert.ok(count > 300, `${count}`);
  assert.deepEqual([out['files_created'], out['errors']], [count, []]);
  const callOther = await storeAt(t, other);
  const back = await callOther('vault_import', { vault_dir: vault });
  assert.deepEqual(
    [back['files_created'], back['files_updated'], back['errors'], back['conflicts']],
    [count, 0, [], undefined],
  );
  // Uses that are still noted in memory when the export runs reach the disk, not the files.
  const withoutUse = (rows: unknown[]): unknown[] =>
    rows.map((row) => ({ ...(row as object), retrieval_count: 0, last_accessed_unix_ms: 0 }));
  const [came, was] = [withoutUse(liveRows(other)), withoutUse(liveRows(db))];
  for (const [i, row] of was.entries()) assert.deepEqual(came[i], row);
  assert.equal(came.length, was.length);
  const again = await callOther('vault_import', { vault_dir: vault });
  assert.deepEqual([again['files_created'], again['files_updated'], again['files_unchanged']], [0, 0, count]);
  const second = await call('vault_export', { vault_dir: vault, prune: true });
  assert.deepEqual(
    [second['files_created'], second['files_updated'], second['pruned'], second['stale']],
    [0, 0, 0, undefined],
  );
});

test('what came from a database of the original goes through a vault as it is, or is told by name', async (t) => {
  const folder = temporaryFolder(t);
  const own = join(folder, 'own.db');
  const db = makeOriginal(own);
  const whole = {
    text: { body_json: 'free text' },
    broken: { body_json: '{"content": "x"' },
    empty: { body_json: '' },
    blanks: { body_json: ' \n{"content":"x"}\r\n' },
    python: { body_json: '{"content": "caf\\u00e9"}' },
    'key of\ntwo lines': { body_json: '42', layer: 'odd layer' },
    tagged: { body_json: '{"content":"x"}', tags: '["a, b", "\\"c\\"", 1]' },
    linked: {
      body_json: '{"content":"x"}',
      links: '[{"target_id":"mem-0"},{"target_id":"mem-1","relationship":"a: b"}]',
    },
  };
  const beyond = {
    long: { body_json: JSON.stringify({ content: 'x'.repeat(LIMITS.bodyJsonMaxBytes) }) },
    longer: { body_json: JSON.stringify({ content: 'x'.repeat(LIMITS.vaultFileMaxBytes) }) },
    tags: { body_json: '{}', tags: JSON.stringify(Array.from({ length: LIMITS.tagsMax + 1 }, String)) },
    'nul\0': { body_json: '{}' },
    ['k'.repeat(LIMITS.nameMaxBytes + 1)]: { body_json: '{}' },
  };
  for (const [i, [key, row]] of Object.entries({ ...whole, ...beyond }).entries())
    addEntity(db, { id: `mem-${i}`, category: 'c', key, ...row });
  db.close();
  const stores = [own];
  if (withoutFiles === false) {
    for (const name of ['plain.db', 'v02.db']) {
      copyFileSync(recorded(name), join(folder, name));
      chmodSync(join(folder, name), 0o600);
      stores.push(join(folder, name));
    }
  }
  for (const store of stores) {
    const [vault, other] = [`${store}-vault`, `${store}-other.db`];
    const call = await storeAt(t, store);
    const out = await call('vault_export', { vault_dir: vault });
    const told = store === own ? Object.keys(beyond).length : 0;
    const errors = out['errors'] as string[];
    assert.deepEqual(
      [errors.length, errors.filter((one) => /mem-\d+\.md: not written, /.test(one)).length],
      [told, told],
    );
    const back = await (await storeAt(t, other))('vault_import', { vault_dir: vault });
    const was = liveRows(store) as Record<string, unknown>[];
    const due = was.filter(({ key }) => store !== own || Object.hasOwn(whole, String(key)));
    assert.ok(due.length > 3);
    assert.deepEqual([back['files_created'], back['errors']], [due.length, []]);
    const withoutVector = (rows: readonly Record<string, unknown>[]) =>
      rows.map((row) => ({ ...row, embedding: null }));
    assert.deepEqual(withoutVector(liveRows(other) as Record<string, unknown>[]), withoutVector(due));
  }
});

const FLOW = join(GOLDEN, 'flows', 'vault.json');
const skip = existsSync(FLOW) ? false : 'the recordings of the original are not here';

interface RecordedStep {
  readonly name?: string;
  readonly method?: string;
  readonly arguments?: Readonly<Record<string, unknown>>;
  readonly path?: string;
  readonly files?: Readonly<Record<string, string>>;
}

test('what the original exported comes in whole, and in vain a second time', { skip }, async (t) => {
  const { steps } = JSON.parse(readFileSync(FLOW, 'utf8')) as { steps: readonly RecordedStep[] };
  const files = steps.find(({ method }) => method === '$files')?.files ?? {};
  const folder = temporaryFolder(t);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const call = await storeAt(t, join(folder, 'm.db'));
  const count = Object.keys(files).length;
  assert.ok(count > 10);
  const taken = await call('vault_import', { vault_dir: folder });
  assert.deepEqual([taken['files_created'], taken['errors']], [count, []]);
  const { items } = await call('recall', { query: '', limit: 100 });
  const found = items as readonly Readonly<Record<string, unknown>>[];
  const told = steps.filter(({ name }) => name === 'mimir_remember').map((step) => step.arguments ?? {});
  let compared = 0;
  for (const item of found) {
    const asked = told.find(({ category, key }) => category === item['category'] && key === item['key']);
    assert.ok(asked !== undefined);
    const {
      recall_when: _,
      status: _s,
      certainty: _c,
      always_on: _a,
      visibility: _v,
      topic_path: _t,
      importance,
      body_json: body,
      ...rest
    } = asked;
    for (const [name, value] of Object.entries(rest))
      assert.deepEqual(item[name], value, `${String(asked['key'])} ${name}`);
    if (asked['recall_when'] === undefined) assert.equal(item['body_json'], body);
    if (importance !== undefined) assert.ok(Math.abs(Number(item['decay_score']) - Number(importance)) < 1e-4);
    compared += 1;
  }
  assert.equal(compared, count);
  const again = await call('vault_import', { vault_dir: folder });
  assert.deepEqual([again['files_created'], again['files_updated'], again['files_unchanged']], [0, 0, count]);
  // An export into the same folder takes the files over: nothing is put aside, and each memory has one file.
  const exported = await call('vault_export', { vault_dir: folder });
  assert.deepEqual(
    [exported['files_updated'], exported['conflicts'], exported['stale']],
    [count, undefined, undefined],
  );
});
