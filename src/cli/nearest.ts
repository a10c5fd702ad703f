import { editDistance } from '../memory/near.ts';

/** The part of its letters that may be wrong in a word that somebody meant: more only find chance. */
const WRONG_PART = 1 / 3;
const NAMED_MAX = 3;

/** "Did you mean recall?" with the names that are nearly this word, or begin with it; empty when none does. */
export function didYouMean(word: string, names: readonly string[]): string {
  const near = names
    .map((name) => {
      const most = Math.floor(Math.max(word.length, name.length) * WRONG_PART);
      return { name, most, wrong: name.startsWith(word) ? 0 : editDistance(word, name, most) };
    })
    .filter(({ most, wrong }) => wrong <= most)
    .toSorted((a, b) => a.wrong - b.wrong || a.name.length - b.name.length)
    .slice(0, NAMED_MAX)
    .map(({ name }) => name);
  return word === '' || near.length === 0 ? '' : `Did you mean ${near.join(' or ')}?`;
}
