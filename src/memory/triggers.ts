import { typedWords } from './query.ts';
import { STOP_TOKENS, tokenise, unspacedRuns } from './text.ts';

/** The member of a body that holds its triggers. As a word of the text index it marks the rows that may have some. */
export const TRIGGERS = 'recall_when';

/** Different words of a situation that are looked for: the first ones. */
const WORDS_MAX = 64;
/** A shorter word fires only a trigger that has just this word: it is the beginning of too many. */
const BEGINNING_MIN_CHARS = 3;

/** What a situation says, prepared once. */
export interface Situation {
  /** Its words, each in its forms as the index knows them: the stem, and the word as it was typed. */
  readonly words: readonly (readonly string[])[];
  /** Its runs in scripts without spaces. */
  readonly runs: readonly string[];
}

/** What the text index is asked for rows whose triggers a situation may fire. */
export interface TriggerQuery {
  readonly words: readonly string[];
  /** Words that begin so are meant as well. */
  readonly beginnings: readonly string[];
}

/** Reads a situation: single characters tell nothing, and function words only where there is nothing else. */
export function readSituation(text: string): Situation {
  const runs = [...new Set(unspacedRuns(text))].slice(0, WORDS_MAX);
  const tokens = tokenise(text).filter((token) => token.length > 1 && unspacedRuns(token).length === 0);
  const telling = tokens.filter((token) => !STOP_TOKENS.has(token));
  const kept = telling.length > 0 || runs.length > 0 ? telling : tokens;
  const typed = typedWords(text);
  const words = [...new Set(kept)].slice(0, WORDS_MAX).map((token) => [...new Set([token, typed.get(token) ?? token])]);
  return { words, runs };
}

/** The words of the index that a fired trigger has at least one of. */
export function triggerQuery({ words, runs }: Situation): TriggerQuery {
  const forms = words.flat();
  return {
    words: [...forms.filter((form) => !isBeginning(form)), ...runs.flatMap(tokenise)],
    beginnings: forms.filter(isBeginning),
  };
}

function isBeginning(form: string): boolean {
  return form.length >= BEGINNING_MIN_CHARS;
}

/** The triggers among the members of a body; none when the member is no list. */
export function triggersOf(members: Readonly<Record<string, unknown>>): string[] {
  const value = members[TRIGGERS];
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

/**
 * How many words of the situation fire the triggers; 0: none does. A word fires a trigger that has a word which is it, in any
 * form, or begins with it, whatever the case. A run without spaces fires a trigger with a run that is part of it, or the
 * other way round.
 */
export function firingWords({ words, runs }: Situation, triggers: readonly string[]): number {
  const text = triggers.join('\n');
  const tokens = new Set(tokenise(text));
  const fires = (form: string): boolean =>
    tokens.has(form) || (isBeginning(form) && [...tokens].some((token) => token.startsWith(form)));
  const theirs = unspacedRuns(text);
  const meets = (run: string): boolean => theirs.some((one) => one.includes(run) || run.includes(one));
  return words.filter((forms) => forms.some(fires)).length + runs.filter(meets).length;
}
