import type { Scope } from '../memory/types.ts';
import type { Execute, OutputOf } from './operations.ts';

/** No row is as weak as this. */
const NONE = { belowStrength: -1 };

/** How many live memories upkeep and vaults would go through, a stretch at a time: what a bar counts up to. */
export async function countLive(execute: Execute, scope: Scope): Promise<number> {
  let count = 0;
  for (let after: number | null = 0; after !== null;) {
    const input = { filter: { archived: false }, due: NONE, after };
    const stretch: OutputOf<'survey'> = await execute('survey', scope, input);
    count += stretch.looked;
    after = stretch.next;
  }
  return count;
}
