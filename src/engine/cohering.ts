import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Noted, Scope } from '../memory/types.ts';
import type { CohereInput, CohereOutput, ProposedLink, SurveyInput, SurveyOutput } from './coherence.ts';
import type { CallOptions } from './operation.ts';
import type { Execute } from './operations.ts';

/** How memories are to be brought in order. */
export interface Order {
  /** Only say what would be done. */
  readonly dryRun: boolean;
  readonly linksMax: number;
  /** Uses from which a `buffer` memory belongs to the `working` layer. */
  readonly promoteFrom: number;
  /** What is weaker is archived. */
  readonly archiveBelow: number;
  /** What is weaker than this is archived as well, and counted apart; 0 for nothing. */
  readonly compactBelow: number;
  /** Uses that are not stored yet. */
  readonly noted: () => Noted;
}

/** What was done, or would be. */
export interface Ordered {
  readonly examined: number;
  readonly promoted: number;
  readonly links: readonly ProposedLink[];
  readonly archived: number;
  readonly compacted: number;
  /** Changes for which this call had no room or no time: the next one goes on. */
  readonly left: number;
  /** What the store has grown by meanwhile, also by what others wrote. */
  readonly grownBytes: number;
}

/**
 * Looks through all live memories in steps, then changes what should be changed in small transactions: nobody waits for it
 * long, and each of them is a whole.
 */
export async function bringInOrder(
  execute: Execute,
  scope: Scope,
  order: Order,
  options: CallOptions,
): Promise<Ordered> {
  const { archiveBelow, compactBelow, promoteFrom } = order;
  const promote: string[] = [];
  const archive: string[] = [];
  const compact: string[] = [];
  let [examined, bytes] = [0, 0];
  let after: number | null = 0;
  while (after !== null) {
    const below = Math.max(archiveBelow, compactBelow);
    const input: SurveyInput = { after, promoteFrom, archiveBelow: below, noted: order.noted() };
    const found: SurveyOutput = await execute('cohere_survey', scope, input, options);
    promote.push(...found.promote);
    for (const { id, strength } of found.archive) (strength < archiveBelow ? archive : compact).push(id);
    ({ next: after, bytes } = found);
    examined += found.examined;
  }
  const going = new Set([...archive, ...compact]);
  const links: ProposedLink[] = [];
  for (let offset = 0; offset < LIMITS.relatedRowsMax && links.length < order.linksMax;) {
    const found = await execute('cohere_related', scope, { offset, max: order.linksMax - links.length }, options);
    links.push(...found.links.filter(({ fromId, toId }) => !going.has(fromId) && !going.has(toId)));
    offset += found.examined;
    if (found.examined < LIMITS.relatedStepRows) break;
  }
  if (order.dryRun) {
    const would = { promoted: promote.length, archived: archive.length, compacted: compact.length };
    return { examined, ...would, links, left: 0, grownBytes: 0 };
  }

  const before = bytes;
  let [handled, stopped] = [0, false];
  const apply = async (changes: Partial<CohereInput>): Promise<CohereOutput> => {
    const input = { promote: [], archive: [], archiveBelow, links: [], ...changes };
    const nothing = { promoted: 0, archived: 0, looked: input.archive.length, links: [], bytes };
    if (stopped) return nothing;
    try {
      const done = await execute('cohere', scope, input, options);
      handled += input.promote.length + done.looked + input.links.length;
      bytes = done.bytes;
      return done;
    } catch (thrown) {
      // What was done before stays done, and has to be told; the rest is left for another call.
      if (handled === 0 || !(thrown instanceof MimirError)) throw thrown;
      if (thrown.kind !== 'unavailable' && thrown.code !== 'cancelled') throw thrown;
      stopped = true;
      return nothing;
    }
  };
  let room: number = LIMITS.cohereChangesMax;
  const fitting = (ids: readonly string[]): string[] => {
    const taken = ids.slice(0, room);
    room -= taken.length;
    return taken;
  };
  const archiveAll = async (ids: readonly string[], below: number): Promise<number> => {
    let count = 0;
    for (let at = 0; at < ids.length;) {
      const some = ids.slice(at, at + LIMITS.cohereStepChanges);
      const done = await apply({ archive: some, archiveBelow: below });
      count += done.archived;
      at += done.looked;
    }
    return count;
  };
  const made: ProposedLink[] = [];
  for (const some of chunks(links)) made.push(...(await apply({ links: some })).links);
  let promoted = 0;
  for (const some of chunks(fitting(promote))) promoted += (await apply({ promote: some })).promoted;
  const archived = await archiveAll(fitting(archive), archiveBelow);
  const compacted = await archiveAll(fitting(compact), compactBelow);
  const left = promote.length + archive.length + compact.length + links.length - handled;
  return { examined, promoted, links: made, archived, compacted, left, grownBytes: bytes - before };
}

function chunks<T>(all: readonly T[]): T[][] {
  const parts: T[][] = [];
  for (let at = 0; at < all.length; at += LIMITS.cohereStepChanges)
    parts.push(all.slice(at, at + LIMITS.cohereStepChanges));
  return parts;
}
