// The original's command line, replayed. What differs must stand in cli-differences.ts, and what stands there must be needed.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { CLI_DIFFERENCES, type Match } from './cli-differences.ts';
import { allowedBy, replayCase, type RecordedCase } from './cli-replay.ts';
import { GOLDEN } from './recording.ts';

const CLI = join(GOLDEN, 'cli');
const skip = existsSync(CLI) ? false : 'the recordings of the original are not here';
/** Runs at once: they mostly wait for their own process to start. */
const LANES = 3;

test('every recorded command does what it did, or differs as the table says', { skip }, async (t) => {
  const cases = readdirSync(CLI).flatMap((file) => {
    const { cases: recorded } = JSON.parse(readFileSync(join(CLI, file), 'utf8')) as { cases: RecordedCase[] };
    return recorded.map((one) => ({ name: `${file} ${one.note}`, recorded: one }));
  });
  const needed = new Set<Match>();
  const unexpected: string[] = [];
  let runs = 0;
  const waiting = cases.values();
  const lane = async (): Promise<void> => {
    for (const { name, recorded } of waiting) {
      runs += recorded.runs.length;
      for (const one of await replayCase(recorded, (file) => join(GOLDEN, 'files', file))) {
        const match = allowedBy(one);
        if (match === undefined)
          unexpected.push(`${name}: ${one.argv}\n  ${one.part}: ${one.original}\n  ours: ${one.ours}`);
        else needed.add(match);
      }
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  t.diagnostic(`${runs} runs compared`);
  assert.deepEqual(unexpected, [], `\n${unexpected.join('\n')}`);
  const useless = CLI_DIFFERENCES.flatMap(({ name, matches }) =>
    matches.filter((match) => !needed.has(match)).map(({ part }) => `${name}: ${part}`),
  );
  assert.deepEqual(useless, [], 'lines that no recording needs');
});
