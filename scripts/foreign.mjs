// Installs memory programs of other people in Python, whose files test/e2e/foreign-files.long.ts imports: npm run foreign
// It needs Python 3.12 or later (npm run foreign -- PYTHON). Not a part of npm run clients, nor of .ci/run: it takes minutes.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const FOREIGN = join(import.meta.dirname, '../clients/foreign');
const ENOUGH = 'import sys; sys.exit(sys.version_info < (3, 12))';

const [named] = process.argv.slice(2);
const pythons = named === undefined ? ['python3', 'python3.14', 'python3.13', 'python3.12'] : [named];
const python = pythons.find((one) => spawnSync(one, ['-c', ENOUGH]).status === 0);
if (python === undefined) {
  process.stderr.write(
    `There is no Python 3.12 or later: tried ${pythons.join(', ')}. Name one: npm run foreign -- PYTHON\n`,
  );
  process.exit(1);
}
run(python, ['-m', 'venv', '.venv']);
run('.venv/bin/pip', ['install', '--quiet', '--disable-pip-version-check', '-r', 'requirements.txt']);

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: FOREIGN, stdio: 'inherit' });
  if (status === 0) return;
  process.stderr.write(`${command} ${args.join(' ')} failed${error === undefined ? '' : `: ${error.message}`}.\n`);
  process.exit(1);
}
