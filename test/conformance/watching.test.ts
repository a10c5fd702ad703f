// Folders and files under watch: what tells of a change, and what a change costs.
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import fsPromises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

import { systemClock } from '../../src/clock.ts';
import { fileSource, type FileSettings } from '../../src/sources/files.ts';
import { folderSettings, ingestInto, SILENT, writeFiles } from '../support/ingest.ts';
import { temporaryFolder, until } from '../support/processes.ts';

test('a watched folder tells of a new file, a change, a removal and a new folder', async (t) => {
  const folder = temporaryFolder(t);
  writeFiles(folder, { 'a.md': 'one', 'sub/b.md': 'two' });
  const source = fileSource(folderSettings(folder), SILENT);
  let told = 0;
  assert.equal(fileSource(folderSettings(folder, { watch: false }), SILENT).watch, undefined);
  const stop = await source.watch?.(() => (told += 1));
  t.after(() => stop?.());
  const { run } = ingestInto();
  const next = async (what: string, make: () => void): Promise<void> => {
    const before = told;
    make();
    await until(() => (told > before ? true : undefined)).catch(() => assert.fail(what));
    // What follows is told by watchers that a run has set.
    await run(source);
  };
  await next('a new file', () => writeFiles(folder, { 'c.md': 'three' }));
  await next('a change below', () => writeFileSync(join(folder, 'sub/b.md'), 'other'));
  await next('a removal', () => rmSync(join(folder, 'a.md')));
  await next('a new folder', () => mkdirSync(join(folder, 'new')));
  await next('a file in it', () => writeFiles(folder, { 'new/d.md': 'four' }));
  await next('a folder that goes', () => rmSync(join(folder, 'new'), { recursive: true }));
  await next('and comes back', () => mkdirSync(join(folder, 'new')));
  await next('and a file in it', () => writeFiles(folder, { 'new/d.md': 'five' }));
});

/** Watches, and brings in whenever something is told; `comes` waits until the store says exactly these texts. */
async function watching(t: TestContext, folder: string, more: Partial<FileSettings>) {
  const { run, stored } = ingestInto();
  const source = fileSource(folderSettings(folder, more), SILENT);
  let last: Promise<unknown> = run(source);
  const stop = await source.watch?.(() => void (last = last.then(() => run(source))));
  t.after(async () => {
    stop?.();
    await last;
  });
  await last;
  const texts = (): string =>
    stored()
      .map(([, body]) => (body as { content: string }).content)
      .join();
  const comes = (wanted: string): Promise<unknown> =>
    until(() => (texts() === wanted ? true : undefined)).catch(() => assert.fail(`${texts()} and not ${wanted}`));
  return { comes };
}

test('a file that was named is watched, also when an editor puts another one in its place', async (t) => {
  const folder = temporaryFolder(t);
  writeFiles(folder, { 'a.md': 'one', 'b.md': 'not named' });
  const { comes } = await watching(t, folder, { paths: [join(folder, 'a.md')] });
  await comes('one');
  writeFileSync(join(folder, 'a.md'), 'two');
  await comes('two');
  writeFileSync(join(folder, 'a.new'), 'three');
  renameSync(join(folder, 'a.new'), join(folder, 'a.md'));
  await comes('three');
});

test('a folder that was named is watched as soon as it is there, and when it is made anew', async (t) => {
  const folder = temporaryFolder(t);
  const root = join(folder, 'docs');
  const { comes } = await watching(t, root, {});
  await comes('');
  writeFiles(root, { 'a.md': 'one' });
  await comes('one');
  rmSync(root, { recursive: true });
  writeFiles(root, { 'b.md': 'two' });
  await comes('two');
  writeFiles(root, { 'sub/c.md': 'three' });
  await comes('two,three');
});

test('a link that was named is watched where it leads to now', async (t) => {
  const folder = temporaryFolder(t);
  writeFiles(folder, { 'one/a.md': 'one', 'two/a.md': 'two' });
  const root = join(folder, 'current');
  symlinkSync(join(folder, 'one'), root);
  const { comes } = await watching(t, root, {});
  await comes('one');
  symlinkSync(join(folder, 'two'), join(folder, 'next'));
  renameSync(join(folder, 'next'), root);
  await comes('two');
  writeFiles(folder, { 'two/a.md': 'changed' });
  await comes('changed');
});

test('a file that did not change is not read again, and one that only looks so is', async (t) => {
  const folder = temporaryFolder(t);
  writeFiles(folder, Object.fromEntries([...Array(50).keys()].map((i) => [`${i}.md`, `Note ${i}`])));
  const { open } = fsPromises;
  let opened: string[] = [];
  const counted = (...all: Parameters<typeof open>) => (opened.push(String(all[0])), open(...all));
  Object.assign(fsPromises, { open: counted });
  syncBuiltinESMExports();
  t.after(() => {
    Object.assign(fsPromises, { open });
    syncBuiltinESMExports();
  });
  const { run, store, stored } = ingestInto();
  let laterMs = 10_000;
  const source = fileSource(folderSettings(folder), SILENT, () => systemClock.nowMs() + laterMs);
  const next = async (): Promise<[changed: number, unchanged: number, opened: number]> => {
    opened = [];
    const { changed, unchanged } = await run(source);
    return [changed.length, unchanged, opened.length];
  };
  assert.deepEqual(await next(), [50, 0, 50]);
  assert.deepEqual(await next(), [0, 50, 50], 'what was just stored is compared once');
  assert.deepEqual(await next(), [0, 50, 0]);
  writeFileSync(join(folder, '7.md'), 'Note 8');
  utimesSync(join(folder, '7.md'), new Date(0), new Date(0));
  assert.deepEqual(await next(), [1, 49, 1], 'of the same length, with an older time');
  await next();
  const scope = { principal: { kind: 'owner' as const }, workspace: '', actor: 't', client: 't' };
  const [first] = store.entities;
  assert.ok(first !== undefined);
  store.revise(scope, first, { bodyJson: JSON.stringify({ content: 'mine', path: join(folder, '0.md') }) });
  assert.deepEqual(await next(), [1, 49, 1], 'somebody wrote over its memory');
  rmSync(join(folder, '9.md'));
  await next();
  assert.equal(stored().length, 49);
  laterMs = 0;
  writeFileSync(join(folder, '3.md'), 'Note X');
  assert.deepEqual((await next())[0], 1);
  await next();
  assert.equal((await next())[2], 49, 'what was written a moment ago is not known by its time');
});
