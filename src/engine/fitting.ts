import { LIMITS } from '../limits.ts';

/** The first of these texts, as many as fit an answer. */
export function fitting(texts: readonly string[]): readonly string[] {
  let chars = 0;
  const end = texts.findIndex((text) => (chars += text.length) > LIMITS.answerMaxChars);
  return end === -1 ? texts : texts.slice(0, end);
}
