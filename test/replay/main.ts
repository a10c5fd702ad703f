// npm run replay [-- --golden DIR] [--only NAME] [--json FILE]
import { existsSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { isUnjudged } from './answers.ts';
import { DIFFERENCES } from './differences.ts';
import { GOLDEN, readHttp, readLines, readRecordings } from './recording.ts';
import { replay } from './replay.ts';
import { jsonReport, printedReport } from './report.ts';

const { values } = parseArgs({
  options: { golden: { type: 'string' }, only: { type: 'string' }, json: { type: 'string' } },
});
const { golden = GOLDEN, only, json } = values;

if (existsSync(golden)) {
  const report = await replay(
    readRecordings(golden, only),
    DIFFERENCES,
    readLines(golden, only),
    readHttp(golden, only),
  );
  if (json !== undefined) writeFileSync(json, jsonReport(report));
  // Another folder, or a part of one, need not show every line of the table.
  const isWhole = golden === GOLDEN && only === undefined;
  process.stdout.write(printedReport(isWhole ? report : { ...report, unneeded: [] }));
  const isLost = report.sessions.some(({ leftOut }) => leftOut !== undefined && !isUnjudged(leftOut.missing));
  const isFine = report.sessions.length > 0 && report.undecided.length === 0 && !isLost;
  if (!isFine || (isWhole && report.unneeded.length > 0)) process.exitCode = 1;
} else {
  process.stderr.write(`There are no recordings in ${golden}: name their folder with --golden DIR.\n`);
  process.exitCode = 2;
}
