import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import Database from 'better-sqlite3-multiple-ciphers';

import { systemClock } from '../../src/clock.ts';
import { openWriter, prepareStore } from '../../src/storage/open.ts';
import { callText, http, startHttp, temporaryFolder } from '../support/processes.ts';

const ROWS = 400;

test('a server that dies while it purges leaves every memory whole or gone, and what was acknowledged there', async (t) => {
  const folder = temporaryFolder(t);
  // While rows go, and later while the index is merged and the file is made compact.
  for (const [round, killAfterMs] of [15, 90, 250].entries()) {
    const path = join(folder, `m${round}.db`);
    const server = await startHttp(['--db', path]);
    const call = async (name: string, args: object): Promise<Record<string, unknown>> => {
      const { body } = await http(server.port, { body: callText(1, `mimir_${name}`, args) });
      return (JSON.parse(body) as { result: { structuredContent: Record<string, unknown> } }).result.structuredContent;
    };
    const memory = (key: string, content: string) => ({ category: 'c', key, body_json: JSON.stringify({ content }) });
    for (let i = 0; i < ROWS; i += 200) {
      const memories = Array.from({ length: 200 }, (_, j) => memory(`old-${i + j}`, `heron number ${i + j}`));
      await call('remember_many', { memories });
    }
    await call('remember', memory('kept', 'swan'));
    assert.equal((await call('prune', { older_than_days: 0, category: 'c', limit: ROWS }))['archived'], ROWS);
    const acknowledged: string[] = [];
    const purging = call('purge', {}).catch(() => undefined);
    const writing = (async () => {
      for (let i = 0; ; i++) {
        await call('remember', memory(`new-${i}`, `swan ${i}`));
        acknowledged.push(`new-${i}`);
      }
    })().catch(() => undefined);
    await sleep(killAfterMs);
    server.child.kill('SIGKILL');
    await Promise.all([server.ended, purging, writing]);

    const options = { path, key: null, clock: systemClock, busyTimeoutMs: 1_000 };
    prepareStore(options);
    const writer = openWriter(options);
    assert.deepEqual(writer.verify(), [], `killed after ${killAfterMs} ms`);
    writer.close();
    const raw = new Database(path);
    const keys = raw.prepare('SELECT key FROM entity WHERE archived = 0').pluck().all();
    for (const key of ['kept', ...acknowledged]) assert.ok(keys.includes(key), key);
    raw.close();

    const again = await startHttp(['--db', path]);
    const { body } = await http(again.port, { body: callText(1, 'mimir_purge', {}) });
    assert.match(body, /"entities_deleted":\d+/);
    again.child.kill('SIGTERM');
    await again.ended;
    const after = new Database(path);
    assert.equal(after.prepare('SELECT count(*) FROM entity WHERE archived = 1').pluck().get(), 0);
    after.close();
  }
});
