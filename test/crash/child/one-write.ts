// Makes one write through the pool and marks on stderr when it is asked for and when it is acknowledged.
import { writeSync } from 'node:fs';

import { systemClock } from '../../../src/clock.ts';
import { OWNER } from '../../../src/memory/scope.ts';
import { openPool } from '../../../src/pool/pool.ts';

const nothing = (): void => undefined;
const pool = openPool({
  dbPath: process.argv[2] ?? '',
  makeFolder: false,
  keyFile: null,
  poolMax: 4,
  busyTimeoutMs: 1_000,
  cores: 2,
  clock: systemClock,
  log: { banner: nothing, info: nothing, warn: nothing, error: nothing },
});
await pool.ready();
const scope = { principal: OWNER, workspace: null, actor: 'test', client: 'test' };
const write = (key: string) =>
  pool.execute('remember', scope, { category: 'sync', key, bodyJson: '{"content":"one"}', recallWhen: [] });
await write('first');
writeSync(2, 'MARK asked\n');
await write('second');
writeSync(2, 'MARK acknowledged\n');
await pool.close();
