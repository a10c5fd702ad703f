// Long work on a terminal: the bars as a person sees them. A pseudo-terminal comes from `script`.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { startModelServer } from '../support/model-server.ts';
import { LAUNCHER, temporaryFolder } from '../support/processes.ts';

const MEMORIES = 1_500;
const hasScript = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') === true;
const skip = hasScript ? false : 'needs the command `script` of util-linux, which makes a terminal';

/** What a command writes on a terminal. */
async function onTerminal(...args: readonly string[]): Promise<string> {
  const words = [process.execPath, LAUNCHER, ...args].map((word) => `'${word}'`);
  return await new Promise((resolve, reject) => {
    const env = { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', TERM: 'xterm' };
    const command = ['-qec', `stty cols 120; ${words.join(' ')}`, '/dev/null'];
    execFile('script', command, { env, timeout: 60_000 }, (error, stdout) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${args.join(' ')}: ${stdout}`, { cause: error }));
    });
  });
}

interface Shown {
  readonly done: number;
  readonly total: number;
}

/** Takes a line away, so that the next one can stand there. */
const CLEARED = '\r\u001b[K';

/** The bars with this label, in the order in which they were shown. */
function barsOf(screen: string, label: string): Shown[] {
  return screen.split(CLEARED).flatMap((line) => {
    const [, said, done, total] = /^([^[]+) \[[#.]{24}\] \d+ % \((\d+) of (\d+)\)$/.exec(line) ?? [];
    return said === label ? [{ done: Number(done), total: Number(total) }] : [];
  });
}

/** A bar was shown that never went back, came to its end, and was taken away. */
function assertBar(screen: string, label: string): readonly Shown[] {
  const bars = barsOf(screen, label);
  const [last] = bars.slice(-1);
  assert.ok(last !== undefined, `there is a bar: ${screen.slice(-400)}`);
  assert.equal(last.done, last.total, 'it comes to its end');
  const counts = bars.map(({ done }) => done);
  assert.deepEqual(
    counts,
    counts.toSorted((one, other) => one - other),
  );
  assert.ok(screen.includes(CLEARED, screen.lastIndexOf('%')), 'its line is taken away');
  return bars;
}

/** The same of what takes long enough to be seen on its way. */
function assertMoves(screen: string, label: string): readonly Shown[] {
  const bars = assertBar(screen, label);
  assert.ok(
    bars.some(({ done, total }) => done < total),
    'it moves',
  );
  return bars;
}

test('on a terminal a bar moves while memories come in and go out, are checked and indexed', { skip }, async (t) => {
  const folder = temporaryFolder(t);
  const [db, lines, vault] = [join(folder, 'm.db'), join(folder, 'in.jsonl'), join(folder, 'vault')];
  const words = 'the quick brown heron stands by the staging host and waits for a deploy that never comes '.repeat(8);
  const records = Array.from({ length: MEMORIES }, (_, n) =>
    JSON.stringify({ key: `k${n}`, content: `${n} ${words}` }),
  );
  writeFileSync(lines, records.join('\n'));
  const imported = await onTerminal('import', '--from', 'jsonl', lines, '--category', 'c', '--db', db);
  assert.equal(assertMoves(imported, 'Importing').at(-1)?.total, MEMORIES);
  // What is forgotten is none of those that a bar counts up to.
  await onTerminal('forget', '--category', 'c', '--key', 'k7', '--db', db);
  assertMoves(await onTerminal('reindex', '--db', db), 'Making the index anew');
  assertMoves(await onTerminal('verify', '--db', db), 'Verifying');
  const out = await onTerminal('vault-export', '--vault-dir', vault, '--db', db);
  assert.equal(assertMoves(out, 'Exporting').at(-1)?.total, MEMORIES - 1);
  assertMoves(await onTerminal('vault-import', '--vault-dir', vault, '--db', join(folder, 'back.db')), 'Importing');
  const file = join(folder, 'all.jsonl');
  assertBar(await onTerminal('export', file, '--db', db), 'Exporting');
  assertBar(await onTerminal('export', '--original', join(folder, 'original.db'), '--db', db), 'Exporting');
  const restored = await onTerminal('import', file, '--db', join(folder, 'restored.db'));
  assertBar(restored, 'Importing');
  assertBar(restored, 'Checking');
});

test('on a terminal a bar moves while a category is embedded', { skip }, async (t) => {
  const folder = temporaryFolder(t);
  const [db, lines] = [join(folder, 'm.db'), join(folder, 'in.jsonl')];
  writeFileSync(
    lines,
    Array.from({ length: 60 }, (_, n) => JSON.stringify({ key: `k${n}`, content: `heron ${n}` })).join('\n'),
  );
  await onTerminal('import', '--from', 'jsonl', lines, '--category', 'c', '--db', db);
  const server = await startModelServer(t);
  const { answer } = server;
  server.answer = async (request, response) => {
    await new Promise((resolve) => setTimeout(resolve, 30));
    await answer(request, response);
  };
  const model = ['--embedding-endpoint', server.url, '--embedding-model', 'fake'];
  const screen = await onTerminal('call', 'embed', '--args', '{"batch_category":"c"}', '--db', db, ...model);
  assert.match(screen, /"embedded": 60/);
  assertMoves(screen, 'mimir_embed');
});

test('what is over at once shows no bar', { skip }, async (t) => {
  const db = join(temporaryFolder(t), 'm.db');
  assert.doesNotMatch(await onTerminal('call', 'decay', '--db', db), /mimir_decay/);
});
