// Folders as memories: what comes in, what never does, and that the store says what the folder says.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, chmodSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import fsPromises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';

import fc from 'fast-check';

import { MimirError } from '../../src/errors.ts';
import { LIMITS } from '../../src/limits.ts';
import { fileSource, type FileSettings } from '../../src/sources/files.ts';
import { DAY_MS } from '../../src/memory/dates.ts';
import { folderSettings, ingestInto, SILENT, writeFiles } from '../support/ingest.ts';
import { temporaryFolder } from '../support/processes.ts';
import { setUp } from '../support/tool-table.ts';

const dashed = (path: string): string => path.replaceAll('/', '-');

/** A long text of many paragraphs, some of them under headings. */
function longText(paragraphs: number): string {
  return Array.from({ length: paragraphs }, (_, i) =>
    i % 5 === 0 ? `## Part ${i}\n\nText ${i}. ${'word '.repeat(60)}\n` : `Text ${i}. ${'word '.repeat(60)}\n`,
  ).join('\n');
}

test('a file is a memory as in the original, and a long one is pieces that name their lines', async (t) => {
  const folder = temporaryFolder(t);
  writeFiles(folder, { 'a.md': '# Alpha\n\nThe importer reads mail.\n', 'empty.md': '', 'sub/long.md': longText(40) });
  const { run, store, live } = ingestInto();
  const done = await run(fileSource(folderSettings(folder), SILENT));
  assert.deepEqual([done.changed.length, done.errors, done.notes], [3, [], []]);
  const alpha = store.entities.find(({ key }) => key === dashed(join(folder, 'a.md')));
  assert.deepEqual(JSON.parse(alpha?.bodyJson ?? ''), {
    content: '# Alpha\n\nThe importer reads mail.\n',
    path: join(folder, 'a.md'),
  });
  const { id, category, type, layer, importance, certainty, source, visibility, tags } = alpha ?? {};
  assert.match(String(id), /^ingest-/);
  assert.deepEqual(
    [category, type, layer, importance, certainty, source, visibility, tags],
    ['file', 'insight', 'buffer', 1, 0.5, 'connector:file_watcher', 'workspace', ['ext:md']],
  );
  const pieces = live().filter(({ key }) => key.includes('long.md#L'));
  assert.ok(pieces.length > 5);
  const lines = longText(40).split('\n');
  for (const { key, bodyJson } of pieces) {
    const { content, lines: place, heading } = JSON.parse(bodyJson) as Record<string, string>;
    assert.ok(key.endsWith(`#${place}`));
    const [, first = 0, last = 0] = /^L(\d+)-L(\d+)$/.exec(place ?? '') ?? [];
    assert.equal(
      content?.trimEnd(),
      lines
        .slice(Number(first) - 1, Number(last))
        .join('\n')
        .trimEnd(),
    );
    assert.match(String(heading), /^Part \d+$/);
  }
});

test('nothing outside of the folder is read, whatever lies in it', async (t) => {
  const folder = temporaryFolder(t);
  const [root, outside] = [join(folder, 'root'), join(folder, 'outside')];
  writeFiles(outside, { 'secret.md': 'SECRET', 'deep/secret.md': 'SECRET' });
  writeFiles(root, { 'ok.md': 'fine', 'sub/ok.md': 'fine too' });
  const ways: Record<string, () => void> = {
    'a link to a file': () => symlinkSync(join(outside, 'secret.md'), join(root, 'file.md')),
    'a link to a folder': () => symlinkSync(outside, join(root, 'folder')),
    'a link over the folder above': () => symlinkSync('../outside', join(root, 'up')),
    'a link in a folder below': () => symlinkSync('../../outside/secret.md', join(root, 'sub/below.md')),
    'a link to a link': () => symlinkSync(join(root, 'file.md'), join(root, 'again.md')),
    'a link to itself': () => symlinkSync(root, join(root, 'loop')),
    'a link to nowhere': () => symlinkSync(join(root, 'none'), join(root, 'none.md')),
    'a pipe': () => void execFileSync('mkfifo', [join(root, 'pipe.md')]),
    'a .gitignore that is a link': () => symlinkSync(join(outside, 'secret.md'), join(root, '.gitignore')),
  };
  for (const [way, make] of Object.entries(ways)) {
    make();
    const { run, stored } = ingestInto();
    const settings = folderSettings(root, { extensions: [], include: ['../**', '/**', '**'] });
    const { errors, notes } = await run(fileSource(settings, SILENT));
    assert.deepEqual([errors, notes], [[], []], way);
    assert.doesNotMatch(JSON.stringify(stored()), /SECRET/, way);
    assert.equal(stored().length, 2, way);
  }
});

test('a folder that becomes a link while it is read leads nowhere', async (t) => {
  const folder = temporaryFolder(t);
  const [root, outside] = [join(folder, 'root'), join(folder, 'outside')];
  writeFiles(outside, { 'x.md': 'SECRET', 'hidden-name.md': 'SECRET' });
  writeFiles(root, { 'a.md': 'first', 'sub/x.md': 'inside', 'z/x.md': 'last' });
  const { run, stored } = ingestInto();
  const source = fileSource(folderSettings(root), SILENT);
  // The trap closes after the folder above was listed.
  let armed = true;
  const { notes } = await run(source, {
    looked: () => {
      if (!armed) return;
      armed = false;
      renameSync(join(root, 'sub'), join(folder, 'was-sub'));
      symlinkSync(outside, join(root, 'sub'));
    },
  });
  assert.doesNotMatch(JSON.stringify(stored()), /SECRET/);
  assert.deepEqual([stored().length, notes], [2, [`${join(root, 'sub')}: leads out of the folder`]]);
});

/** Names of the files that come in. */
async function names(folder: string, more: Partial<FileSettings> = {}): Promise<string[]> {
  const { run, stored } = ingestInto();
  await run(fileSource(folderSettings(folder, more), SILENT));
  return stored().map(([key]) => key.slice(dashed(folder).length + 1));
}

test('endings, patterns, dot folders, .gitignore, sizes and what is no text', async (t) => {
  const folder = temporaryFolder(t);
  writeFiles(folder, {
    'a.md': 'a',
    'b.txt': 'b',
    'c.json': '{}',
    README: 'no ending',
    '.hidden/x.md': 'x',
    'node_modules/x.md': 'x',
    'target/x.md': 'x',
    'sub/d.md': 'd',
    'sub/deep/e.md': 'e',
    'big.md': 'x'.repeat(100_001),
    'fits.md': 'x '.repeat(1_000),
    'nul.md': 'a\0b',
    'latin1.md': Buffer.from([0x61, 0xe9, 0x62]),
    'bom.md': '\uFEFFwith a mark',
  });
  const all = ['a.md', 'b.txt', 'bom.md', 'fits.md', 'sub-d.md', 'sub-deep-e.md'];
  assert.deepEqual(await names(folder), all);
  assert.deepEqual(await names(folder, { extensions: [] }), ['README', ...all, 'c.json'].toSorted());
  assert.deepEqual(await names(folder, { include: ['sub/**'] }), ['sub-d.md', 'sub-deep-e.md']);
  assert.deepEqual(await names(folder, { include: ['*.md', '!a.md'], exclude: ['deep/', 'fits.*'] }), [
    'bom.md',
    'sub-d.md',
  ]);
  assert.deepEqual(await names(folder, { paths: [join(folder, 'sub'), folder, join(folder, 'a.md')] }), all);
  writeFiles(folder, { '.gitignore': '*.txt\n/sub/*\n!/sub/deep\n', 'sub/deep/.gitignore': '!e.md\n' });
  assert.deepEqual(await names(folder), ['a.md', 'bom.md', 'fits.md', 'sub-deep-e.md']);
  assert.deepEqual(await names(folder, { gitignore: false }), all);
  // The rules of the repository hold in its folders too; those of a folder above that is none do not.
  assert.deepEqual(await names(join(folder, 'sub')), ['d.md', 'deep-e.md']);
  mkdirSync(join(folder, '.git'));
  assert.deepEqual(await names(join(folder, 'sub')), ['deep-e.md']);
});

const onLinux = {
  skip: process.platform !== 'linux' && 'where large and small letters are the same, git is otherwise',
};

test(
  'rules keep out what git keeps out: letters as they are written, whatever bytes stand in them',
  onLinux,
  async (t) => {
    const folder = temporaryFolder(t);
    writeFiles(folder, {
      'Notes/plan.md': 'Notes/ is not notes/',
      'docs/readme.md': 'readme.md is not README.md',
      'docs/README.md': 'out',
      'docs/SECRETS.md': 'out',
      'docs/fine.md': 'fine',
      '.gitignore': Buffer.from('# r\xe8gles\nnotes/\nREADME.md\nSECRET*\n', 'latin1'),
    });
    mkdirSync(join(folder, '.git'));
    const wanted = ['Notes-plan.md', 'docs-fine.md', 'docs-readme.md'];
    assert.deepEqual(await names(folder), wanted);
    execFileSync('git', ['init', '-q'], { cwd: folder });
    const listed = execFileSync('git', ['ls-files', '--others', '--exclude-standard', '*.md'], { cwd: folder });
    assert.deepEqual(listed.toString().trim().split('\n').map(dashed).toSorted(), wanted, 'as git lists them');
    assert.deepEqual(await names(folder, { gitignore: false, exclude: ['NOTES/', 'secret*'] }), [
      'Notes-plan.md',
      'docs-README.md',
      'docs-SECRETS.md',
      'docs-fine.md',
      'docs-readme.md',
    ]);
  },
);

test('a folder whose rules cannot be read stays outside, and is said; what came from it stays', async (t) => {
  const folder = temporaryFolder(t);
  writeFiles(folder, { 'a.md': 'a', 'sub/b.md': 'b', 'sub/.gitignore': 'secret*\n' });
  const { run, stored } = ingestInto();
  const source = fileSource(folderSettings(folder), SILENT);
  await run(source);
  writeFiles(folder, { 'sub/.gitignore': '#'.repeat(LIMITS.sourceFileMostBytes + 1), 'sub/secret.md': 'SECRET' });
  const { notes, forgotten } = await run(source);
  assert.match(String(notes), /sub: is left out, because .*\.gitignore has \d+ bytes, more than/);
  assert.deepEqual([forgotten, stored().length], [[], 2]);
  mkdirSync(join(folder, '.git'));
  renameSync(join(folder, 'sub/.gitignore'), join(folder, '.gitignore'));
  assert.deepEqual(await names(join(folder, 'sub')), [], 'the rules above count, so they have to be read');
});

test('a folder that was named comes in although rules above cover it; its own rules hold, and other rules above', async (t) => {
  const folder = temporaryFolder(t);
  writeFiles(folder, {
    '.gitignore': 'notes/\n',
    'work/.gitignore': 'draft*\n',
    'work/notes/a.md': 'a',
    'work/notes/draft.md': 'd',
    'work/notes/private/b.md': 'b',
    'work/notes/.gitignore': 'private/\n',
  });
  mkdirSync(join(folder, '.git'));
  assert.deepEqual(await names(join(folder, 'work/notes')), ['a.md']);
  assert.deepEqual(await names(folder), [], 'what was not named stays outside');
  writeFiles(folder, { '.gitignore': '*\n' });
  assert.deepEqual(await names(join(folder, 'work/notes')), ['a.md'], 'a home folder that is a repository');
});

test('above a folder that was named, nothing is read but the rules of its repository', async (t) => {
  const folder = temporaryFolder(t);
  writeFiles(folder, {
    '.gitignore': '*\n',
    'repo/.gitignore': 'x.md\n',
    'repo/docs/a.md': 'a',
    'repo/docs/x.md': 'x',
  });
  const seen: string[] = [];
  const real = { readdir: fsPromises.readdir, open: fsPromises.open };
  const spied = (name: 'readdir' | 'open') =>
    ((path: string, ...more: unknown[]) => {
      seen.push(path);
      return (real[name] as (...all: unknown[]) => unknown)(path, ...more);
    }) as never;
  Object.assign(fsPromises, { readdir: spied('readdir'), open: spied('open') });
  syncBuiltinESMExports();
  t.after(() => {
    Object.assign(fsPromises, real);
    syncBuiltinESMExports();
  });
  const root = join(folder, 'repo/docs');
  assert.deepEqual(await names(root), ['a.md', 'x.md']);
  assert.deepEqual(
    seen.filter((path) => !path.startsWith(root)),
    [],
    'in no repository, nothing',
  );
  mkdirSync(join(folder, 'repo/.git'));
  assert.deepEqual(await names(root), ['a.md']);
  assert.deepEqual(
    seen.filter((path) => !path.startsWith(root)),
    [join(folder, 'repo/.gitignore')],
  );
});

test('two paths of one key are two memories, and stay them', async (t) => {
  const folder = temporaryFolder(t);
  writeFiles(folder, { 'a-b.md': 'one', 'a/b.md': 'two' });
  const { run, stored } = ingestInto();
  const source = fileSource(folderSettings(folder), SILENT);
  assert.equal((await run(source)).changed.length, 2);
  assert.deepEqual(
    stored()
      .map(([, body]) => (body as { content: string }).content)
      .toSorted(),
    ['one', 'two'],
  );
  assert.deepEqual(await run(source).then(({ changed, unchanged }) => [changed, unchanged]), [[], 2]);
  rmSync(join(folder, 'a-b.md'));
  assert.equal((await run(source)).forgotten.length, 1);
  assert.deepEqual(await run(source).then(({ changed, unchanged }) => [changed, unchanged]), [[], 1]);
});

test('a dry run says what the run does, and writes nothing', async (t) => {
  const folder = temporaryFolder(t);
  writeFiles(folder, { 'a.md': 'one', 'b.md': longText(20) });
  const { run, store } = ingestInto();
  const source = fileSource(folderSettings(folder), SILENT);
  const dry = await run(source, { dryRun: true });
  assert.equal(store.entities.length, 0);
  assert.deepEqual(await run(source), dry);
  writeFiles(folder, { 'a.md': 'other' });
  rmSync(join(folder, 'b.md'));
  const before = JSON.stringify(store.entities);
  const second = await run(source, { dryRun: true });
  assert.equal(JSON.stringify(store.entities), before);
  assert.deepEqual(await run(source), second);
  assert.deepEqual([second.changed.length, second.forgotten.length], [1, 1]);
});

test('what cannot be looked at is not gone: a folder without rights, a disk that is not there, a file that is too large', async (t) => {
  const folder = temporaryFolder(t);
  const root = join(folder, 'root');
  writeFiles(root, { 'sub/a.md': 'a', 'b.md': 'b', 'c.md': 'c' });
  const { run, stored } = ingestInto();
  const source = fileSource(folderSettings(root), SILENT);
  await run(source);
  writeFiles(root, { 'b.md': 'b'.repeat(100_001), 'c.md': 'c\0c' });
  const large = await run(source);
  assert.deepEqual(
    [large.forgotten, large.notes, stored().length],
    [
      [],
      [`${join(root, 'b.md')}: has 100001 bytes, more than 100000`, `${join(root, 'c.md')}: is no text in UTF-8`],
      3,
    ],
  );
  const { notes } = await run(fileSource(folderSettings(root, { extensions: [] }), SILENT));
  assert.equal(notes.length, 1, 'among all kinds of files, one that is no text is nothing to speak of');
  if (process.getuid?.() !== 0) {
    chmodSync(join(root, 'sub'), 0);
    const closed = await run(source);
    chmodSync(join(root, 'sub'), 0o700);
    assert.deepEqual([closed.forgotten, stored().length], [[], 3]);
    assert.match(String(closed.notes), /sub: may not be read/);
  }
  renameSync(root, join(folder, 'elsewhere'));
  const absent = await run(source);
  assert.deepEqual([absent.forgotten, absent.errors, stored().length], [[], [`${root}: is not there`], 3]);
  mkdirSync(root);
  assert.equal((await run(source)).forgotten.length, 3, 'an empty folder is empty');
});

test('what somebody forgot stays forgotten until the file says something else; what came back is back', async (t) => {
  const folder = temporaryFolder(t);
  writeFiles(folder, { 'a.md': 'one', 'b.md': 'two' });
  const { run, store, stored } = ingestInto();
  const source = fileSource(folderSettings(folder), SILENT);
  await run(source);
  const [first] = store.entities;
  assert.ok(first !== undefined);
  store.revise({ principal: { kind: 'owner' }, workspace: '', actor: 't', client: 't' }, first, {
    archived: true,
    archiveReason: 'manual',
  });
  assert.deepEqual((await run(source)).changed, []);
  assert.equal(stored().length, 1);
  appendFileSync(join(folder, 'a.md'), ' and more');
  assert.equal((await run(source)).changed.length, 1);
  renameSync(join(folder, 'b.md'), join(folder, 'b.kept'));
  assert.equal((await run(source)).forgotten.length, 1);
  renameSync(join(folder, 'b.kept'), join(folder, 'b.md'));
  assert.equal((await run(source)).changed.length, 1);
  assert.equal(stored().length, 2);
  assert.equal(store.entities.length, 2, 'the same memories');
});

test('what faded comes back whole when its file changes, what was forgotten stays so, and what was purged comes in anew', async (t) => {
  const folder = temporaryFolder(t);
  writeFiles(folder, { 'a.md': 'Alpha', 'long.md': longText(20), 'b.md': 'Beta' });
  const { store, call } = setUp();
  const { run, live } = ingestInto(store);
  const source = fileSource(folderSettings(folder), SILENT);
  await run(source);
  const pieces = live().length;
  await call('forget', { category: 'file', key: dashed(join(folder, 'b.md')), reason: 'not wanted' });
  store.nowMs += 60 * DAY_MS;
  assert.equal((await call('decay'))['auto_archived'], pieces - 1);
  assert.deepEqual((await run(source)).changed, [], 'upkeep has its effect');
  assert.equal(live().length, 0);
  const found = await call('recall', { query: 'Alpha', include_archived: true });
  assert.deepEqual(
    found.items.map(({ key }) => key),
    [dashed(join(folder, 'a.md'))],
    'and is found by who asks for it',
  );
  appendFileSync(join(folder, 'long.md'), 'One more line.\n');
  appendFileSync(join(folder, 'a.md'), ' and more');
  assert.equal((await run(source)).changed.length, 2);
  assert.equal(live().length, pieces - 1, 'a long file comes back with all of its pieces');
  assert.deepEqual((await run(source)).changed, []);
  await call('purge', {});
  assert.deepEqual(
    (await run(source)).changed,
    [dashed(join(folder, 'b.md'))],
    'nothing says any more that it was forgotten',
  );
});

test('a memory of somebody else under the same key is left alone, and said', async (t) => {
  const folder = temporaryFolder(t);
  writeFiles(folder, { 'a.md': 'one', 'b.md': 'two' });
  const { run, store } = ingestInto();
  const memory = { category: 'file', key: dashed(join(folder, 'a.md')), bodyJson: '"mine"', recallWhen: [] };
  const scope = { principal: { kind: 'owner' as const }, workspace: '', actor: 't', client: 't' };
  await store.execute('remember', scope, memory);
  const { errors, changed } = await run(fileSource(folderSettings(folder), SILENT));
  assert.match(String(errors), /a\.md holds a memory of somebody else/);
  assert.deepEqual(changed, [dashed(join(folder, 'b.md'))]);
  assert.deepEqual(
    store.entities.map(({ source, bodyJson }) => [source, bodyJson.includes('mine')]),
    [
      ['agent', true],
      ['connector:file_watcher', false],
    ],
  );
});

test('a piece that somebody wrote over is the piece again, and is not taken for a file that is gone', async (t) => {
  const folder = temporaryFolder(t);
  writeFiles(folder, { 'a.md': longText(40) });
  const { run, store, stored } = ingestInto();
  const source = fileSource(folderSettings(folder), SILENT);
  await run(source);
  const before = stored();
  const [first] = store.entities;
  assert.ok(first !== undefined);
  const bodyJson = JSON.stringify({ content: 'mine', path: join(folder, 'a.md') });
  store.revise({ principal: { kind: 'owner' }, workspace: '', actor: 't', client: 't' }, first, { bodyJson });
  const { changed, forgotten } = await run(source);
  assert.deepEqual([changed.length, forgotten, stored()], [1, [], before]);
});

/** A folder under change: in each step some files are written, changed or removed. */
const change = fc.record({
  name: fc.constantFrom('a.md', 'a-b.md', 'a/b.md', 'c/d.md', 'e.txt'),
  text: fc.constantFrom(null, '', 'short', longText(3), longText(30), `${longText(10)}end\n`, longText(12)),
});

test('after any changes, and any run that was cut short, the store says what the folder says', async (t) => {
  const base = temporaryFolder(t);
  let count = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.array(change, { minLength: 1, maxLength: 6 }), fc.option(fc.nat(3))), {
        minLength: 1,
        maxLength: 4,
      }),
      async (steps) => {
        const folder = join(base, `f${count++}`);
        mkdirSync(folder);
        const { run, store, stored } = ingestInto();
        const { execute } = store;
        const source = fileSource(folderSettings(folder), SILENT);
        for (const [changes, cutAfter] of steps) {
          for (const { name, text } of changes) {
            if (text === null) rmSync(join(folder, name), { force: true });
            else writeFiles(folder, { [name]: text });
          }
          if (cutAfter !== null) {
            let writes = 0;
            const cut: typeof execute = (name, scope, input) => {
              if (name === 'ingest_put' && writes++ >= cutAfter) throw new MimirError('cancelled', 'cut');
              return execute(name, scope, input);
            };
            Object.assign(store, { execute: cut });
            await run(source).catch((thrown: unknown) => {
              if (!(thrown instanceof MimirError)) throw thrown;
            });
            Object.assign(store, { execute });
          }
          await run(source);
          const again = await run(source);
          assert.deepEqual([again.changed, again.forgotten], [[], []], 'a second run changes nothing');
        }
        const fresh = ingestInto();
        await fresh.run(source);
        const texts = (all: [string, unknown][]): string[] => all.map(([, body]) => JSON.stringify(body)).toSorted();
        assert.deepEqual(texts(stored()), texts(fresh.stored()));
      },
    ),
    { numRuns: 40 },
  );
});

test('others wait for no step longer than for a few dozen pieces', async (t) => {
  const folder = temporaryFolder(t);
  writeFiles(folder, {
    'long.md': longText(1_500),
    ...Object.fromEntries([...Array(200).keys()].map((i) => [`${i}.md`, `n ${i}`])),
  });
  const store = ingestInto().store;
  const { execute } = store;
  const sizes: number[] = [];
  const counting: typeof execute = (name, scope, input) => {
    if (name === 'ingest_put') {
      const { documents } = input as unknown as { documents: { put: { bodyJson: string }[]; gone: string[] }[] };
      sizes.push(documents.reduce((sum, { put, gone }) => sum + put.length + gone.length, 0));
      const chars = documents.flatMap(({ put }) => put).reduce((sum, { bodyJson }) => sum + bodyJson.length, 0);
      assert.ok(chars < LIMITS.ingestStepMaxChars + 10_000);
    }
    return execute(name, scope, input);
  };
  Object.assign(store, { execute: counting });
  const { run } = ingestInto(store);
  const source = fileSource(folderSettings(folder, { maxBytes: 1_000_000 }), SILENT);
  assert.equal((await run(source)).changed.length, 201);
  // A document is a whole, so a step that was nearly full may be as large again.
  assert.ok(sizes.length > 5 && sizes.every((size) => size <= 2 * LIMITS.ingestStepItems), sizes.join());
  assert.deepEqual((await run(source)).changed, []);
});
