import type { Meant } from '../engine/search.ts';
import type { Meaning } from '../provider/meaning.ts';

/** How recall is asked to search: by words, by meaning, or by both. */
export type Mode = 'fts5' | 'dense' | 'hybrid';

/** What is known of how near memories are to some questions. */
export interface Meanings {
  /** One for each question; undefined: it goes by words alone. */
  readonly meant: readonly (Meant | undefined)[];
  /** What the answer says of it; `used`: that nearness had a say in it. */
  members(used: boolean): Readonly<Record<string, unknown>>;
}

/**
 * Questions as vectors, when the server has a model and the caller does not want words alone. Without a word from the caller
 * both count. A model that does not answer in time is no error: the answer goes by words and says `degraded`.
 */
export async function meaningsOf(
  meaning: Meaning | undefined,
  questions: readonly string[],
  mode: Mode | undefined,
): Promise<Meanings> {
  const byWords = (members: Readonly<Record<string, unknown>>): Meanings => ({
    meant: questions.map(() => undefined),
    members: () => members,
  });
  if (meaning === undefined || !meaning.searches) {
    return byWords(mode === undefined || mode === 'fts5' ? {} : { mode_used: 'fts5' });
  }
  if (mode === 'fts5') return byWords({});
  const asked = questions.filter((question) => question.trim() !== '');
  if (asked.length === 0) return byWords({});
  const vectors = await meaning.questions(asked);
  if (vectors === null) return byWords({ mode_used: 'fts5', degraded: true });
  let next = 0;
  return {
    meant: questions.map((question) => {
      const vector = question.trim() === '' ? undefined : vectors[next++];
      return vector === undefined ? undefined : { ...vector, ...(mode === 'dense' && { only: true }) };
    }),
    members: (used) => ({ mode_used: used ? (mode ?? 'hybrid') : 'fts5' }),
  };
}
