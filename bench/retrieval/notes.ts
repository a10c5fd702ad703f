import { readFileSync } from 'node:fs';

import Database from 'better-sqlite3-multiple-ciphers';

import { meanOf, scoreOf, type Score } from './metrics.ts';
import { HITS, keysOf, type Mimir } from './systems.ts';

/** A note as people and agents keep them. */
export interface Note {
  readonly key: string;
  readonly category: string;
  readonly tags: readonly string[];
  /** When it was written, ISO 8601. */
  readonly written: string;
  readonly body: unknown;
}

/** A question about notes. */
export interface NoteQuestion {
  readonly id: string;
  readonly kind: string;
  readonly text: string;
  /** Keys of all notes that answer it; none for what is not stored. */
  readonly gold: readonly string[];
  /** The note that must stand first, of those that disagree or are alike. */
  readonly first?: string;
}

/** Notes and questions; the questions are asked at `now`. */
export interface Notebook {
  readonly dataset: string;
  readonly now: string;
  readonly notes: readonly Note[];
  readonly questions: readonly NoteQuestion[];
}

/** The test set of this project, `notes.json`. */
export function readNotebook(file: URL | string = new URL('./notes.json', import.meta.url)): Notebook {
  return JSON.parse(readFileSync(file, 'utf8')) as Notebook;
}

/** How well one kind of question was answered. */
export interface KindResult {
  readonly n: number;
  /** Of what is known; absent for questions about what is not stored. */
  readonly score?: Score;
  /** Of the questions that have one: the share in which the note that must stand first does. */
  readonly first?: number;
  /** Of the questions about what is not stored: the share that was answered all the same. */
  readonly answered?: number;
}

/** Figures for each kind, and `all` for those with an answer. */
export type NotesResult = Readonly<Record<string, KindResult>>;

/** Something that answers questions about notes with their keys, best first. */
export type Finder = (question: NoteQuestion) => Promise<readonly string[]>;

/** Asks every question. */
export async function measureNotes({ questions }: Notebook, find: Finder): Promise<NotesResult> {
  const asked: { question: NoteQuestion; hits: readonly string[] }[] = [];
  for (const question of questions) asked.push({ question, hits: await find(question) });
  const kinds = [...new Set(questions.map(({ kind }) => kind))];
  const result: Record<string, KindResult> = {};
  const known = asked.filter(({ question }) => question.gold.length > 0);
  for (const kind of ['all', ...kinds]) {
    const own = kind === 'all' ? known : asked.filter(({ question }) => question.kind === kind);
    const withGold = own.filter(({ question }) => question.gold.length > 0);
    const withFirst = own.filter(({ question }) => question.first !== undefined);
    const without = own.filter(({ question }) => question.gold.length === 0);
    const share = (some: typeof own, is: (one: (typeof own)[number]) => boolean): number =>
      some.filter(is).length / some.length;
    result[kind] = {
      n: own.length,
      ...(withGold.length > 0 && {
        score: meanOf(withGold.map(({ question, hits }) => scoreOf(hits, new Set(question.gold)))),
      }),
      ...(withFirst.length > 0 && { first: share(withFirst, ({ question, hits }) => hits[0] === question.first) }),
      ...(without.length > 0 && { answered: share(without, ({ hits }) => hits.length > 0) }),
    };
  }
  return result;
}

/** Mimir, filled with the notes at the times when they were written, through its tools. */
export async function mimirFinder({ notes, now }: Notebook, mimir: Mimir): Promise<Finder> {
  for (const { key, category, tags, written, body } of notes.toSorted(
    (a, b) => Date.parse(a.written) - Date.parse(b.written),
  )) {
    mimir.setNow(Date.parse(written));
    await mimir.call('mimir_remember', { category, key, tags, body_json: JSON.stringify(body) });
  }
  mimir.setNow(Date.parse(now));
  await mimir.embed();
  return async ({ text }) => keysOf((await mimir.call('mimir_recall', { query: text, limit: HITS }))['items']);
}

/** SQLite's full-text search as it comes, over the same texts. */
export function plainFinder({ notes }: Notebook): { find: Finder; close: () => void } {
  const db = new Database(':memory:');
  db.exec('CREATE VIRTUAL TABLE t USING fts5(id UNINDEXED, body)');
  const insert = db.prepare('INSERT INTO t(id, body) VALUES (?, ?)');
  for (const { key, category, tags, body } of notes) {
    const text = typeof body === 'string' ? body : Object.values(body as object).join(' ');
    insert.run(key, [text, key, tags.join(' '), category].join('\n'));
  }
  const ask = db.prepare(`SELECT id FROM t WHERE t MATCH ? ORDER BY bm25(t), rowid LIMIT ${HITS}`).pluck(true);
  return {
    find: async ({ text }) => {
      const words = [...new Set(text.toLowerCase().match(/[\p{L}\p{N}\p{M}]+/gu) ?? [])].map((word) => `"${word}"`);
      return words.length === 0 ? [] : (ask.all(words.join(' OR ')) as string[]);
    },
    close: () => void db.close(),
  };
}

/** The figures as a table. */
export function notesTable(name: string, result: NotesResult): string {
  const percent = (value: number | undefined): string =>
    (value === undefined ? '' : (100 * value).toFixed(1)).padStart(8);
  const lines = Object.entries(result).map(([kind, { n, score, first, answered }]) => {
    const figures = [score?.hit1, score?.r5, score?.ndcg10, first, answered].map(percent).join('');
    return `  ${kind.padEnd(12)}${String(n).padStart(5)}${figures}`;
  });
  return `${name}\n${' '.repeat(19)}${['hit1', 'r5', 'ndcg10', 'first', 'answered'].map((title) => title.padStart(8)).join('')}\n${lines.join('\n')}\n`;
}
