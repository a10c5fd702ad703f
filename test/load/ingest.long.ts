// What is promised of many documents: they come in while clients go on, and a second run is quick and changes nothing.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import test from 'node:test';

import Database from 'better-sqlite3-multiple-ciphers';

import { systemClock } from '../../src/clock.ts';
import { openWriter } from '../../src/storage/open.ts';
import { writeFiles } from '../support/ingest.ts';
import { callText, startHttp, startMimir, temporaryFolder } from '../support/processes.ts';

const FILES = 5_000;
const FILE_BYTES = 2_048;
const CLIENTS = 16;
const FIRST_MAX_MS = 60_000;
const SECOND_MAX_MS = 5_000;

const noteOf = (i: number): string =>
  `# Note ${i}\n\n${`The keeper of lighthouse ${i} counts ships, tides and gulls. `.repeat(60)}`.slice(0, FILE_BYTES);

interface Ingested {
  readonly ingested: number;
  readonly forgotten: number;
  readonly unchanged: number;
  readonly errors: readonly string[];
}

test('5,000 files of 2 KB come in within a minute while 16 clients work without an error; again within 5 s', async (t) => {
  const folder = temporaryFolder(t);
  const [docs, config, db] = [join(folder, 'docs'), join(folder, 'c.yaml'), join(folder, 'm.db')];
  const names = [...Array(FILES).keys()].map((i): [string, string] => [`d${i % 50}/n${i}.md`, noteOf(i)]);
  writeFiles(docs, Object.fromEntries(names));
  writeFileSync(config, `connectors:\n  file_watcher: {enabled: true, paths: [docs]}\n`);
  const server = await startHttp(['--db', db, '--connectors-config', config], {}, { lateMs: 300_000 });
  t.after(() => server.child.kill('SIGKILL'));
  const agent = new Agent({ keepAlive: true });
  const call = async (name: string, args: object): Promise<{ isError?: boolean; structuredContent: unknown }> => {
    const text = await new Promise<string>((resolve, reject) => {
      const headers = { 'content-type': 'application/json' };
      const sent = request({ port: server.port, path: '/message', method: 'POST', agent, headers }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
        response.on('end', () => (response.statusCode === 200 ? resolve(body) : reject(new Error(body))));
      });
      sent.on('error', reject);
      sent.end(callText(1, name, args));
    });
    return (JSON.parse(text) as { result: { isError?: boolean; structuredContent: unknown } }).result;
  };
  const ingest = async (): Promise<Ingested & { readonly tookMs: number }> => {
    const started = performance.now();
    const { structuredContent } = await call('mimir_ingest', {});
    return { ...(structuredContent as Ingested), tookMs: Math.round(performance.now() - started) };
  };
  let isDone = false;
  let errors = 0;
  const client = async (who: number): Promise<number> => {
    let calls = 0;
    for (; !isDone; calls++) {
      const body = JSON.stringify({ content: `client ${who} says ${calls}` });
      const writes = { category: 'c', key: `${who}-${calls}`, body_json: body };
      const done =
        calls % 2 === 0 ? call('mimir_remember', writes) : call('mimir_recall', { query: 'lighthouse ships' });
      const { isError } = await done.catch(() => ({ isError: true }));
      if (isError === true) errors += 1;
    }
    return calls;
  };
  const first = ingest().finally(() => (isDone = true));
  const calls = await Promise.all([...Array(CLIENTS).keys()].map(client));
  const { tookMs, ...result } = await first;
  const total = calls.reduce((sum, count) => sum + count, 0);
  t.diagnostic(`${tookMs} ms beside ${total} calls of ${CLIENTS} clients, ${errors} errors`);
  assert.deepEqual(result, { ingested: FILES, forgotten: 0, unchanged: 0, dry_run: false, errors: [] });
  assert.deepEqual([errors, calls.every((count) => count > 10)], [0, true], calls.join());
  assert.ok(tookMs < FIRST_MAX_MS, `${tookMs} ms`);
  const again = await ingest();
  t.diagnostic(`${again.tookMs} ms for the second run`);
  assert.deepEqual([again.ingested, again.unchanged, again.errors], [0, FILES, []]);
  assert.ok(again.tookMs < SECOND_MAX_MS, `${again.tookMs} ms`);
  agent.destroy();
  server.child.kill('SIGTERM');
  assert.equal(await server.ended, 0);

  // By a process of its own, which knows nothing of the first run but what is stored.
  const before = operationsOf(db);
  const started = performance.now();
  const { printed, ended, child } = startMimir(['ingest', '--connectors-config', config, '--db', db]);
  child.stdin.end();
  assert.equal(await ended, 0);
  const alone = Math.round(performance.now() - started);
  t.diagnostic(`${alone} ms for one on the command line`);
  assert.equal(printed.stdout, `brought in 0, forgot 0, unchanged ${FILES}\n`);
  assert.ok(alone < SECOND_MAX_MS, `${alone} ms`);
  assert.equal(operationsOf(db), before, 'it changes nothing');
});

/** How many operations the log has; the store must agree with itself. */
function operationsOf(path: string): number {
  const store = openWriter({ path, key: null, clock: systemClock, busyTimeoutMs: 1_000 });
  try {
    assert.deepEqual(store.verify(), []);
  } finally {
    store.close();
  }
  const raw = new Database(path, { readonly: true });
  try {
    return Number(raw.prepare('SELECT count(*) FROM operations').pluck().get());
  } finally {
    raw.close();
  }
}
