import { LIMITS } from '../limits.ts';
import { firingWords, readSituation, triggerQuery, triggersOf } from '../memory/triggers.ts';
import type { Item } from '../storage/store.ts';
import { packHits } from './hits.ts';
import { reads } from './operation.ts';
import { Page, type RecallOutput } from './recall.ts';

/** A situation, and how many memories it may bring up. */
export interface RecallWhenInput {
  readonly context: string;
  readonly limit: number;
}

/** What was brought up. */
export interface RecallWhenOutput extends RecallOutput {
  /** True when there may be more than what was looked at or shown. */
  readonly cut: boolean;
}

/** Rows looked at in one go: their bodies may be large. */
const CHUNK = 32;

/** A row whose triggers fire; its text is fetched again when it is shown, so that many large ones take no memory. */
interface Fired extends Pick<Item, 'body' | 'importance' | 'version'> {
  readonly words: number;
  readonly uses: number;
}

/**
 * Finds memories by their triggers. The text index proposes rows that have triggers and a word of the situation, each is
 * looked at, and those with most of the words come first, then the more important, the more used, the newer.
 */
export const recallWhen = reads<RecallWhenInput, RecallWhenOutput>('scan', async (tx, scope, { context, limit }) => {
  const situation = readSituation(context.slice(0, LIMITS.queryMaxChars));
  const { words, beginnings } = triggerQuery(situation);
  const query = {
    words: words.slice(0, LIMITS.triggerTermsMax),
    beginnings: beginnings.slice(0, LIMITS.triggerTermsMax),
  };
  const bodies = limit <= 0 ? [] : await tx.triggered(scope, query, LIMITS.triggeredMax);
  const fired: Fired[] = [];
  let chars = 0;
  let looked = 0;
  for (; looked < bodies.length && chars < LIMITS.triggeredMaxChars; looked += CHUNK) {
    for (const item of await tx.items(scope, bodies.slice(looked, looked + CHUNK))) {
      chars += item.json.length;
      const { body, importance, version, usage } = item;
      const firing = firingWords(situation, triggersOf(membersOf(item)));
      if (firing > 0) fired.push({ body, importance, version, uses: usage.count, words: firing });
    }
  }
  fired.sort((a, b) => b.words - a.words || b.importance - a.importance || b.uses - a.uses || b.version - a.version);
  const page = new Page({ filters: {}, limit, offset: 0, minDecay: 0 }, tx.nowMs);
  for (let at = 0; at < fired.length && !page.full; at += CHUNK) {
    const chunk = fired.slice(at, at + CHUNK).map(({ body }) => body);
    for (const item of await tx.items(scope, chunk)) page.offer(item);
  }
  const cut = page.cut || looked < bodies.length || bodies.length === LIMITS.triggeredMax;
  return { hits: packHits(page.hits()), cut };
});

function membersOf({ json }: Item): Readonly<Record<string, unknown>> {
  return JSON.parse(`${json}}`) as Record<string, unknown>;
}
