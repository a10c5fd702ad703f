import { monotonicMs } from '../clock.ts';
import { readStoreConfig } from '../config.ts';
import { EXIT_CODES } from '../errors.ts';
import { print } from '../log.ts';
import type { Call, Examination, Host } from './command.ts';
import { demandStore } from './early.ts';
import { showProgress } from './progress.ts';
import { harmless } from './show.ts';

/** `mimir verify`. Exit code 0 when all agrees, 5 when something does not. */
export async function verify(call: Call, host: Host): Promise<number> {
  const config = readStoreConfig(call.values, call.environment);
  demandStore(config);
  const store = await host.open({ ...config, importOriginal: false });
  const progress = showProgress('Verifying', process.stderr, monotonicMs);
  let found: Examination;
  try {
    found = await store.examine(progress.update);
  } finally {
    progress.end();
    await store.close();
  }
  const { problems, problemCount, operations, indexIsCurrent } = found;
  if (call.values['json'] === true)
    print(
      JSON.stringify({
        ok: problemCount === 0,
        operations,
        problems,
        problem_count: problemCount,
        index_is_current: indexIsCurrent,
      }),
    );
  else if (problemCount === 0) {
    print(`All ${operations} operations of ${config.dbPath} agree.${indexIsCurrent ? '' : ` ${INDEX_OLD}`}`);
  } else print([...problems.map(harmless), '', restoreAdvice(problemCount)].join('\n'));
  return problemCount === 0 ? 0 : EXIT_CODES.damaged;
}

/** What is said of a store whose index is being made anew. */
export const INDEX_OLD = 'Its text index is of an older version and is being made anew: look again later.';

/** What to do about a store that does not agree with itself. */
export function restoreAdvice(count: number): string {
  return `${count} found. Stop all servers of this store, keep the file as it is, and go on with a backup (docs/your-data.md).`;
}
