// Installs other people's clients, which test/e2e/clients.long.ts and npm run conformance drive, and the runtime of local
// models: npm run clients
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const CLIENTS = join(import.meta.dirname, '../clients');

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: CLIENTS, stdio: 'inherit' });
  if (status === 0) return;
  process.stderr.write(`${command} ${args.join(' ')} failed${error === undefined ? '' : `: ${error.message}`}.\n`);
  process.exit(1);
}

const hasPython = spawnSync('python3', ['-m', 'venv', '--help']).status === 0;
if (!hasPython) {
  process.stderr.write('There is no python3 with venv here: the Python client is left out.\n');
  // In CI nobody reads this, and a client that is not driven would pass for one that works.
  if (process.env.CI === 'true') process.exit(1);
}
// Without their scripts: one of them fetches files that nobody needs here, and fails where it cannot.
run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund']);
if (hasPython) {
  run('python3', ['-m', 'venv', '.venv']);
  run('.venv/bin/pip', ['install', '--quiet', '--disable-pip-version-check', '-r', 'requirements.txt']);
}
