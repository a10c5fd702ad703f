// Whoever calls from elsewhere names files in one folder only.
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { confined } from '../../src/files/confined.ts';
import { temporaryFolder } from '../support/processes.ts';

test('a path leads into the root or is refused, whether there is something or not', async (t) => {
  const folder = temporaryFolder(t);
  const root = join(folder, 'root');
  const outside = join(folder, 'root-beside');
  for (const path of [join(root, 'a', 'b'), outside]) mkdirSync(path, { recursive: true });
  writeFileSync(join(outside, 'secret.md'), 'x');
  symlinkSync(outside, join(root, 'out'));
  symlinkSync('..', join(root, 'up'));
  symlinkSync(join(outside, 'not there yet'), join(root, 'nowhere'));
  symlinkSync(join(root, 'a'), join(root, 'inner'));
  symlinkSync('loop', join(root, 'loop'));
  symlinkSync(root, join(folder, 'root-link'));

  const allowed: [string, string][] = [
    ['.', root],
    ['', root],
    ['a', join(root, 'a')],
    ['a/b/../..', root],
    ['new/deep/folder', join(root, 'new/deep/folder')],
    ['..a', join(root, '..a')],
    [root, root],
    [join(root, 'a'), join(root, 'a')],
    ['inner/b', join(root, 'inner/b')],
    ['up/root/a', join(root, 'up/root/a')],
  ];
  for (const [path, whole] of allowed) assert.equal(await confined(path, root), whole, path);

  const refused = [
    '..',
    '../root-beside',
    'a/../..',
    '/',
    '/etc',
    folder,
    outside,
    `${root}-beside`,
    'out',
    'out/deeper',
  ];
  for (const path of [...refused, 'out/secret.md', 'up', 'up/root-beside', 'nowhere', 'nowhere/x'])
    await assert.rejects(confined(path, root), { code: 'forbidden' }, path);
  for (const path of ['loop', 'loop/x', 'a\0b', '\0'])
    await assert.rejects(confined(path, root), { code: 'forbidden' }, path);

  // A root that is a link itself, or is not there yet, is a root.
  assert.equal(await confined('a', join(folder, 'root-link')), join(folder, 'root-link', 'a'));
  await assert.rejects(confined('out', join(folder, 'root-link')), { code: 'forbidden' });
  const missing = join(folder, 'not', 'made');
  assert.equal(await confined('a', missing), join(missing, 'a'));
  await assert.rejects(confined('../x', missing), { code: 'forbidden' });
});
