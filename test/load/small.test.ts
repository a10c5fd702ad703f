import assert from 'node:assert/strict';
import test from 'node:test';

import { planOf } from '../../load/plan.ts';
import { runLoad } from '../../load/run.ts';

test('a small load run keeps its promises: no lock error, no other error, no lost write, no deadlock', async () => {
  const report = await runLoad(planOf({ clients: 4, writes: 5, reads: 15 }));
  assert.deepEqual(
    report.checks.filter((check) => !check.ok),
    [],
  );
});
