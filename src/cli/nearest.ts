/** The part of its letters that may be wrong in a word that somebody meant: more only find chance. */
const WRONG_PART = 1 / 3;
const NAMED_MAX = 3;

/** "Did you mean recall?" with the names that are nearly this word, or begin with it; empty when none does. */
export function didYouMean(word: string, names: readonly string[]): string {
  const near = names
    .map((name) => ({ name, wrong: name.startsWith(word) ? 0 : wrongLetters(word, name) }))
    .filter(({ name, wrong }) => wrong <= Math.max(word.length, name.length) * WRONG_PART)
    .toSorted((a, b) => a.wrong - b.wrong || a.name.length - b.name.length)
    .slice(0, NAMED_MAX)
    .map(({ name }) => name);
  return word === '' || near.length === 0 ? '' : `Did you mean ${near.join(' or ')}?`;
}

/** Letters to change, add, take away or swap with their neighbour until one word is the other. */
function wrongLetters(one: string, other: string): number {
  let [before, row] = [[] as number[], Array.from({ length: other.length + 1 }, (_, at) => at)];
  for (let i = 1; i <= one.length; i++) {
    const next = [i];
    for (let j = 1; j <= other.length; j++) {
      const same = one[i - 1] === other[j - 1] ? 0 : 1;
      let least = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + same);
      const isSwapped = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      if (isSwapped) least = Math.min(least, (before[j - 2] ?? 0) + 1);
      next.push(least);
    }
    [before, row] = [row, next];
  }
  return row[other.length] ?? 0;
}
