// A kill in the middle of bringing documents in, by the real program.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import Database from 'better-sqlite3-multiple-ciphers';

import { writeFiles } from '../support/ingest.ts';
import { startMimir, temporaryFolder } from '../support/processes.ts';

const DOCUMENTS = 400;
const numbers = [...Array(DOCUMENTS).keys()];
const linkOf = (i: number): number => (i * 7) % DOCUMENTS;

/** Some are long, and all lead to others. */
const noteOf = (i: number): string => {
  const link = `See [[n${linkOf(i)}]].\n\n`;
  const text = Array.from({ length: 40 }, (_, part) => `Part ${part} of ${i}. ${'and so on '.repeat(20)}`).join('\n\n');
  return link + (i % 20 === 0 ? text : `Note ${i} about ${'something '.repeat(30)}`);
};

/** As the reference memory server writes it. */
const reference = (): string =>
  numbers
    .flatMap((i) => [
      { type: 'entity', name: `e${i}`, entityType: 'thing', observations: [`thing ${i}`, 'and '.repeat(99)] },
      ...(linkOf(i) === i ? [] : [{ type: 'relation', from: `e${i}`, to: `e${linkOf(i)}`, relationType: 'knows' }]),
    ])
    .map((line) => JSON.stringify(line))
    .join('\n');

const WAYS: readonly [what: string, args: (folder: string) => string[], linked: boolean][] = [
  ['ingest of a folder', (folder) => ['ingest', '--connectors-config', join(folder, 'c.yaml')], false],
  ['import of notes', (folder) => ['import', '--from', 'markdown', join(folder, 'docs')], true],
  ['import of a file', (folder) => ['import', '--from', 'reference', join(folder, 'memory.jsonl')], true],
];

for (const [what, argsIn, linked] of WAYS) {
  test(`${what}: killed in the middle and run again, the store is the same as without the kill`, async (t) => {
    const folder = temporaryFolder(t);
    writeFiles(join(folder, 'docs'), Object.fromEntries(numbers.map((i) => [`d${i % 7}/n${i}.md`, noteOf(i)])));
    writeFileSync(join(folder, 'memory.jsonl'), reference());
    writeFileSync(join(folder, 'c.yaml'), 'connectors:\n  file_watcher: {enabled: true, paths: [docs]}\n');
    const start = (name: string) => startMimir([...argsIn(folder), '--db', join(folder, name)]);
    const finish = async (name: string): Promise<string> => {
      const { child, printed, ended } = start(name);
      child.stdin.end();
      assert.equal(await ended, 0, printed.stderr);
      return printed.stdout;
    };
    await finish('whole.db');
    const whole = contentOf(join(folder, 'whole.db'));
    assert.ok(whole.memories.length >= DOCUMENTS);
    assert.equal(whole.links.length > DOCUMENTS / 2, linked);
    const db = join(folder, 'killed.db');
    const all = whole.memories.length + whole.links.length;
    let cut = 0;
    // The last one is killed while links are made, where there are some.
    for (const least of [0, 130, ...(linked ? [whole.memories.length + 10] : [])]) {
      const { child, ended } = start('killed.db');
      let seen = 0;
      // As long as it takes on a busy machine; a process that hangs is killed by its starter.
      while (child.exitCode === null && child.signalCode === null && (seen <= least || seen >= all)) {
        await new Promise((resolve) => setTimeout(resolve, 3));
        seen = rowsIn(db);
      }
      if (child.exitCode === null && seen > least && seen < all) cut += 1;
      child.kill('SIGKILL');
      await ended;
    }
    assert.ok(cut > 0, 'at least one was killed in the middle');
    await finish('killed.db');
    assert.deepEqual(contentOf(db), whole);
    assert.match(await finish('killed.db'), new RegExp(`^(brought in|imported) 0, forgot 0, unchanged ${DOCUMENTS}\n`));
  });
}

/** All that a store says, but for ids and times, in one order. */
function contentOf(path: string): { memories: unknown[]; links: unknown[] } {
  const db = new Database(path, { readonly: true });
  try {
    const memories = db.prepare(
      'SELECT category, key, body_json, tags, archived, archive_reason, source FROM entities ORDER BY category, key',
    );
    const links = db.prepare(
      `SELECT a.key AS one, l.relationship, b.key AS other FROM link l
         JOIN entity e ON e.row = l.entity JOIN entities a ON a.id = e.id JOIN entities b ON b.id = l.target
       WHERE l.seq_to IS NULL ORDER BY 1, 2, 3`,
    );
    return { memories: memories.all(), links: links.all() };
  } finally {
    db.close();
  }
}

/** Memories and links of a store that another process writes; 0 while it is not there. */
function rowsIn(path: string): number {
  try {
    const db = new Database(path, { readonly: true, fileMustExist: true });
    try {
      return Number(db.prepare('SELECT (SELECT count(*) FROM entity) + (SELECT count(*) FROM link)').pluck().get());
    } finally {
      db.close();
    }
  } catch {
    return 0; // it is being made
  }
}
