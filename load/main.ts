// The command behind `npm run load`. Tests call `runLoad` in run.ts.
import { HELP, parseWish, UsageError, type Wish } from './plan.ts';
import { table } from './report.ts';
import { runLoad } from './run.ts';

function readWish(): Wish {
  try {
    return parseWish(process.argv.slice(2), process.env);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`load: ${error.message}\nload: --help lists the flags.\n`);
    process.exit(2);
  }
}

/** Progress is for someone who watches; a log file gets the result only. */
function showProgress(line: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`);
}

async function main(): Promise<number> {
  const { help, json, plan } = readWish();
  if (help) {
    process.stdout.write(HELP);
    return 0;
  }
  try {
    const report = await runLoad(plan, showProgress);
    showProgress('');
    process.stdout.write(json ? `${JSON.stringify(report, undefined, 2)}\n` : table(report));
    return report.ok ? 0 : 1;
  } catch (error) {
    showProgress('');
    process.stderr.write(`load: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

// Through `exit`, so that no server is left behind.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));
process.exitCode = await main();
