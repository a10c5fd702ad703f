import assert from 'node:assert/strict';
import test from 'node:test';

import { DOORS } from '../../load/doors.ts';
import { planOf } from '../../load/plan.ts';
import { runLoad } from '../../load/run.ts';

for (const door of DOORS) {
  test(`a small load run through ${door} keeps its promises: no error, no lost write, no deadlock`, async () => {
    const report = await runLoad(planOf({ door, clients: 4, writes: 5, reads: 15 }));
    assert.deepEqual(
      report.checks.filter((check) => !check.ok),
      [],
    );
  });
}
