// Runs the tests: all but the long ones (*.long.ts, npm run test:long), or the files that are named:
// npm test -- test/unit/house.test.ts
import { spawn } from 'child_process';
import { tmpdir } from 'os';
import { join } from 'path';

import { nodeProblem } from '../bin/node-version.js';

const problem = nodeProblem(process.versions.node, true);
if (problem !== '') {
  process.stderr.write(`${problem}\n`);
  process.exit(1);
}

const named = process.argv.slice(2);
const files = named.length > 0 ? named : ['test/**/*.test.ts'];
// Some of the long ones measure times, and have the machine to themselves.
const atOnce = named.some((file) => file.endsWith('.long.ts')) ? 1 : 2;
// Hundreds of processes are started: compiled once, they need half the time.
const env = { NODE_COMPILE_CACHE: join(tmpdir(), 'mimir-test-compiled'), ...process.env };
const child = spawn(process.execPath, ['--test', `--test-concurrency=${atOnce}`, ...files], { stdio: 'inherit', env });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code) => process.exit(code === null ? 1 : code));
