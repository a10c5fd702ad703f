import { dayMatch } from './dates.ts';
import { FACTS, FIELDS, LIST_HEAD, TRAITS } from './document.ts';
import type { AnalysedQuery } from './query.ts';
import { hash32 } from './similarity.ts';
import type { Candidate } from './types.ts';

/** Why a row came, in one line: which words of the query stand in which of its fields, and what else spoke for it. */
export function explain({ words, offset, keyIsQuery, cosine }: Candidate, query: AnalysedQuery): string {
  const hashes = query.terms.map((term) => hash32(term) | 0);
  const fields = query.terms.map(() => new Set<string>());
  let at = offset + LIST_HEAD;
  for (const [field, { name }] of FIELDS.entries()) {
    for (const end = at + (words[offset + field] ?? 0); at < end; at++)
      fields[hashes.indexOf(words[at] ?? 0)]?.add(name);
  }
  const found = query.terms.flatMap((term, i) => {
    const where = [...(fields[i] ?? [])];
    return where.length === 0 ? [] : [`${term} (${where.join(', ')})`];
  });
  const traits = words[offset + FACTS.traits] ?? 0;
  const days = [words[offset + FACTS.day] ?? 0, words[offset + FACTS.named] ?? 0];
  const also = [
    keyIsQuery && 'its key is the query',
    query.spans.some((span) => days.some((day) => dayMatch(day, span) > 0)) && 'the day that was asked for',
    query.firstPerson && (traits & TRAITS.user) !== 0 && 'said by the user',
    query.asksWhen && (traits & TRAITS.time) !== 0 && 'tells a time',
    query.asksHowMany && (traits & TRAITS.number) !== 0 && 'tells a number',
    cosine !== undefined && `meaning ${cosine.toFixed(2)}`,
  ].filter((one) => one !== false);
  return [...found, ...also].join('; ');
}
