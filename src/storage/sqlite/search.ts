import { createHash } from 'node:crypto';

import { LIMITS } from '../../limits.ts';
import { LIST_HEAD, packEntity } from '../../memory/document.ts';
import { hash32 } from '../../memory/similarity.ts';
import { vocabularyBeginnings, type VocabularyWord } from '../../memory/near.ts';
import { TRIGGERS, type TriggerQuery } from '../../memory/triggers.ts';
import type { Candidate, Filters, Scope, TermStatistics } from '../../memory/types.ts';
import type { TextQuery } from '../store.ts';
import { entityConditions, placeConditions } from './conditions.ts';
import type { Session } from './session.ts';
import { cosineOf, nearestBodies } from './vectors.ts';

/** The text index of live rows and that of archived ones. */
export type IndexName = 'text' | 'text_past';

function scopeToken(kind: 'w' | 'c', text: string): string {
  return `${kind}:${createHash('sha256').update(text, 'utf8').digest('hex').slice(0, 20)}`;
}

/** Tokens of the unweighted column: narrow filters are terms there, never a join. */
export function scopeTokens(entity: { workspace: string; category: string }): string {
  return `${scopeToken('w', entity.workspace)} ${scopeToken('c', entity.category)}`;
}

/** Puts a body into an index. */
export function indexBody(
  s: Pick<Session, 'sql'>,
  index: IndexName,
  body: number,
  tokens: string,
  scope: string,
): void {
  s.sql.run(`INSERT INTO ${index}(rowid, terms, scope) VALUES (?, ?, ?)`, body, tokens, scope);
}

/** Takes a body out, by the very tokens that went in: only so N and the lengths stay exact. */
export function unindexBody(s: Session, index: IndexName, body: number, tokens: string, scope: string): void {
  s.sql.run(`INSERT INTO ${index}(${index}, rowid, terms, scope) VALUES ('delete', ?, ?, ?)`, body, tokens, scope);
}

function quoted(token: string): string {
  return `"${token.replaceAll('"', '""')}"`;
}

function readVarints(block: Buffer): number[] {
  const values: number[] = [];
  let value = 0;
  for (const byte of block) {
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) {
      values.push(value);
      value = 0;
    }
  }
  return values;
}

/** Size of an index, from the row that FTS5 keeps of it (record 1: rows, then tokens of each column). */
export function indexSize(s: Session, index: IndexName): { readonly rows: number; readonly tokens: number } {
  const record = s.sql.get<{ block: Buffer }>(`SELECT block FROM ${index}_data WHERE id = 1`);
  const [rows = 0, tokens = 0] = record === undefined ? [] : readVarints(record.block);
  return { rows, tokens };
}

function liveIndexSize(s: Session): { readonly rows: number; readonly tokens: number } {
  if (s.indexSize !== null) return s.indexSize;
  const size = indexSize(s, 'text');
  if (s.browses !== null) s.indexSize = size;
  return size;
}

function frequencyInIndex(s: Session, term: string): number {
  return s.sql.get<{ doc: number }>(`SELECT doc FROM temp.vocabulary WHERE term = ? AND col = 'terms'`, term)?.doc ?? 0;
}

/** See `Reader.termStatistics`. */
export function termStatistics(s: Session, terms: readonly string[], archived = false): TermStatistics {
  const live = liveStatistics(s, terms);
  if (!archived) return live;
  const past = indexSize(s, 'text_past');
  const tokens = live.rows * live.meanLength + past.tokens;
  return { ...live, meanLength: meanOf(tokens, live.rows + past.rows) };
}

function liveStatistics(s: Session, terms: readonly string[]): TermStatistics {
  const postings = s.ram?.postings;
  if (postings) {
    const { rows, meanLength } = postings;
    return { rows, meanLength, frequencies: terms.map((term) => postings.frequency(hash32(term) | 0)) };
  }
  const { rows, tokens } = liveIndexSize(s);
  const counted = s.frequencies?.complete === true ? s.frequencies : null;
  return {
    rows,
    meanLength: meanOf(tokens, rows),
    frequencies: terms.map((term) => (counted === null ? frequencyInIndex(s, term) : counted.of(term))),
  };
}

function meanOf(tokens: number, rows: number): number {
  return rows === 0 ? 1 : Math.max(1, tokens / rows);
}

/** Words looked at for one beginning: about 2 us each. */
const VOCABULARY_MAX = 1_000;

/** Words whose neighbours are kept, and the most of these: agents ask for the same unknown word again and again. */
const SPELLINGS_MAX = 64;
const SPELLINGS_WORDS_MAX = 100;

/** See `Reader.vocabulary`. */
export function vocabulary(s: Session, term: string): readonly VocabularyWord[] {
  const known = s.spellings?.get(term);
  if (known !== undefined) return known;
  const words = readVocabulary(s, term);
  if (s.spellings !== null && s.spellings.size < SPELLINGS_MAX && words.length <= SPELLINGS_WORDS_MAX)
    s.spellings.set(term, words);
  return words;
}

function readVocabulary(s: Session, term: string): VocabularyWord[] {
  const beginning = (chars: string): VocabularyWord[] =>
    s.sql.all<VocabularyWord>(
      `SELECT term, doc AS rows FROM temp.vocabulary WHERE col = 'terms' AND term >= ? AND term < ? LIMIT ?`,
      chars,
      // The highest code point: above every word that begins so.
      `${chars}\u{10FFFF}`,
      VOCABULARY_MAX,
    );
  return vocabularyBeginnings(term).flatMap(([wide, ...narrow]) => {
    const words = beginning(wide);
    // What was cut may be what the word itself is the beginning of: that has to be found, however many begin nearly so.
    return words.length < VOCABULARY_MAX ? words : [...narrow.flatMap(beginning), ...words];
  });
}

/**
 * The terms that the first step asks for. Frequent ones are dropped, most frequent first, only while the rest still
 * covers enough rows: they cost most and tell least, and `rank` counts them all the same.
 */
export function askedTerms(terms: readonly string[], frequencies: readonly number[], enough: number): string[] {
  // A term that was never counted is asked for all the same: another process may have written it a moment ago.
  const known = terms.map((term, i) => ({ term, rows: frequencies[i] ?? 0 }));
  known.sort((a, b) => a.rows - b.rows || (a.term < b.term ? -1 : 1));
  const asked: string[] = [];
  let covered = 0;
  for (const { term, rows } of known) {
    if (asked.length > 0 && covered >= enough) break;
    asked.push(term);
    covered = Math.max(covered, rows);
  }
  return asked;
}

interface Narrowing {
  /** For the MATCH expression; a hash for each name, so it is made only when the index on disk is asked. */
  readonly match: string;
  /** Conditions on `e`, with their values; empty for callers without such a filter, who then pay for no join. */
  readonly conditions: readonly string[];
  readonly values: readonly unknown[];
}

function narrowing(scope: Scope, filters: Filters): Narrowing {
  const terms: string[] = [];
  if (scope.workspace !== null) terms.push(quoted(scopeToken('w', scope.workspace)));
  if (filters.category !== undefined) terms.push(quoted(scopeToken('c', filters.category)));
  return {
    match: terms.length === 0 ? '' : ` AND {scope} : (${terms.join(' AND ')})`,
    ...entityConditions(scope, filters),
  };
}

function search(s: Session, index: IndexName, match: string, narrow: Narrowing, count: number, few = false): number[] {
  const join = narrow.conditions.length === 0 ? '' : 'JOIN body n ON n.id = t.rowid JOIN entity e ON e.row = n.entity';
  const where = narrow.conditions.map((condition) => ` AND ${condition}`).join('');
  // bm25() as an expression is twice as fast as ORDER BY rank, and without weights (scope terms are the same for all that
  // match) half as dear again; of `few` rows all are wanted, so the index need not score them. No other table is touched before the cut, and `rank` makes the order total.
  return s.sql
    .of(
      `SELECT t.rowid FROM ${index} t ${join} WHERE ${index} MATCH ?${where}
       ${few ? '' : `ORDER BY bm25(${index})`} LIMIT ?`,
    )
    .pluck(true)
    .all(match + narrow.match, ...narrow.values, count) as number[];
}

function namedBodies(s: Session, scope: Scope, key: string, filters: Filters, count: number): number[] {
  const { conditions, values } = placeConditions(scope, filters);
  const where = conditions.map((condition) => ` AND ${condition}`).join('');
  return s.sql
    .of(
      `SELECT e.body FROM key k INDEXED BY key_named CROSS JOIN entity e ON e.row = k.entity
       WHERE k.key = ? AND k.seq_to IS NULL${where} LIMIT ?`,
    )
    .pluck(true)
    .all(key, ...values, count) as number[];
}

/** The list of a body whose turn in the rebuilding of an older file has not come; it is not kept. */
function listOf(s: Session, body: number): Int32Array {
  const row = s.sql.get<{ json: string; key: string; category: string; tags: string }>(
    `SELECT b.json, e.key, e.category, v.tags FROM body b CROSS JOIN entity e ON e.row = b.entity CROSS JOIN version v ON v.id = e.version
     WHERE b.id = ?`,
    body,
  );
  if (row === undefined) return new Int32Array(LIST_HEAD);
  const { json, key, category, tags } = row;
  return packEntity({ bodyJson: json, key, category, tags: JSON.parse(tags) as string[] }).terms;
}

function toCandidate(s: Session, body: number, keyIsQuery: boolean): Candidate | undefined {
  const postings = s.ram?.postings;
  const posted = postings?.listAt(body);
  if (postings && posted !== undefined) {
    const { lists } = postings;
    return { body, words: lists.wordsAt(posted), offset: lists.offsetOf(posted), keyIsQuery };
  }
  const known = s.terms.offsetOf(body);
  if (known !== undefined) return { body, words: s.terms.words, offset: known, keyIsQuery };
  const stored = s.sql.get<{ terms: Buffer }>('SELECT terms FROM body WHERE id = ?', body);
  if (stored === undefined) return undefined;
  if (stored.terms.length === 0) return { body, words: listOf(s, body), offset: 0, keyIsQuery };
  const offset = s.terms.put(body, stored.terms);
  if (offset !== undefined) return { body, words: s.terms.words, offset, keyIsQuery };
  return { body, words: new Int32Array(new Uint8Array(stored.terms).buffer), offset: 0, keyIsQuery };
}

/** See `Reader.triggered`. */
export function triggered(s: Session, scope: Scope, { words, beginnings }: TriggerQuery, count: number): number[] {
  const wanted = [...words.map(quoted), ...beginnings.map((beginning) => `${quoted(beginning)} *`)];
  if (wanted.length === 0) return [];
  const match = `{terms} : (${quoted(TRIGGERS)} AND (${wanted.join(' OR ')}))`;
  return search(s, 'text', match, narrowing(scope, {}), count);
}

/** Up to here it is quicker to rank every row that matches than to let the index score them first. */
const FEW_ROWS = 500;

/** See `Reader.candidates`. */
export function candidates(s: Session, scope: Scope, query: TextQuery, filters: Filters, count: number): Candidate[] {
  const { keyText } = query;
  const postings = filters.includeArchived === true ? null : (s.ram?.postings ?? null);
  const inMemory = entityConditions(scope, filters).conditions.length === 0 ? postings : null;
  const bodies =
    inMemory === null
      ? matchingOnDisk(s, scope, query, filters, count)
      : inMemory.best(Int32Array.from(query.terms, hash32), count, {
          workspace: scope.workspace ?? undefined,
          category: filters.category,
        });
  const { nearTo } = query;
  const near = nearTo === undefined ? [] : nearestBodies(s, scope, nearTo, filters);
  const mayBeNamed = keyText !== '' && keyText.length <= LIMITS.nameMaxBytes && postings?.hasKey(keyText) !== false;
  const named = new Set(mayBeNamed ? namedBodies(s, scope, keyText, filters, count) : []);
  const proposed: Candidate[] = [];
  // Each source names a row once; only several together may name it again.
  const all = near.length + named.size === 0 ? bodies : new Set([...bodies, ...near, ...named]);
  for (const body of all) {
    const candidate = toCandidate(s, body, named.has(body));
    if (candidate === undefined) continue;
    const cosine = nearTo === undefined ? undefined : cosineOf(s, nearTo, body);
    proposed.push(cosine === undefined ? candidate : { ...candidate, cosine });
  }
  return proposed;
}

function matchingOnDisk(s: Session, scope: Scope, query: TextQuery, filters: Filters, count: number): number[] {
  const narrow = narrowing(scope, filters);
  const indexes: IndexName[] = filters.includeArchived === true ? ['text', 'text_past'] : ['text'];
  const bodies: number[] = [];
  const { frequencies } = termStatistics(s, query.terms);
  for (const index of indexes) {
    // A filter that the counts know nothing of may leave little of a term, so then every term is asked for.
    const narrowed = narrow.match !== '' || narrow.conditions.length > 0 || index === 'text_past';
    const terms = narrowed ? query.terms : askedTerms(query.terms, frequencies, count);
    const expected = terms.reduce((sum, term) => sum + (frequencies[query.terms.indexOf(term)] ?? 0), 0);
    const few = !narrowed && expected <= FEW_ROWS;
    if (terms.length === 0) continue;
    const match = `{terms} : (${terms.map(quoted).join(' OR ')})`;
    let found = few ? search(s, index, match, narrow, 2 * FEW_ROWS, true) : [];
    // More than was counted: another process wrote them, and an unscored beginning would be the oldest rows.
    if (!few || found.length === 2 * FEW_ROWS) found = search(s, index, match, narrow, count);
    bodies.push(...found);
  }
  return bodies;
}
