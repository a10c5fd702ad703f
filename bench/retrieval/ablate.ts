// npm run bench:ablation: what each signal of the ranking is worth, by leaving it out. In memory, so that it takes seconds.
import { parseArgs } from 'node:util';

import { FIELDS, packEntity, readBody } from '../../src/memory/document.ts';
import { Postings } from '../../src/memory/postings.ts';
import { analyseQuery, type AnalysedQuery } from '../../src/memory/query.ts';
import { rank, WEIGHTS, type Weights } from '../../src/memory/rank.ts';
import { hash32 } from '../../src/memory/similarity.ts';
import { filesOf, nowOf, readDataset, type Dataset } from './data.ts';
import { meanOf, scoreOf } from './metrics.ts';

const CANDIDATES = 200;

/** A signal and how to leave it out. */
interface Variant {
  readonly name: string;
  readonly weights?: Partial<Weights>;
  /** Fields whose words are not taken in. */
  readonly without?: readonly string[];
  readonly asked?: (query: AnalysedQuery) => AnalysedQuery;
}

const VARIANTS: readonly Variant[] = [
  { name: 'everything' },
  { name: 'neighbouring words', weights: { pair: 0 } },
  { name: 'the session as a whole', weights: { session: 0 } },
  { name: 'what the speaker said last', weights: { lastSaid: 0 } },
  { name: 'the speaker is named', weights: { speakerNamed: 1 } },
  { name: '"I" means the user', weights: { userSaid: 1 } },
  { name: 'when: a text that tells time', weights: { tellsTime: 1 } },
  { name: 'how many: a text with a number', weights: { tellsNumber: 1 } },
  { name: 'dates', asked: (query) => ({ ...query, spans: [] }) },
  { name: 'the question before', without: ['question_before'] },
  { name: 'the rest of the turn before', without: ['before'] },
  { name: 'own questions', without: ['question'] },
  { name: 'captions', without: ['caption'] },
  { name: 'the speaker as a word', without: ['speaker'] },
];

interface Store {
  readonly postings: Postings;
  readonly rows: ReadonlyMap<number, { readonly id: string; readonly terms: Int32Array }>;
}

/** A list without the words of some fields. */
function cut(terms: Int32Array, without: readonly string[]): Int32Array {
  if (without.length === 0) return terms;
  const head = terms.length - FIELDS.reduce((sum, _, field) => sum + (terms[field] ?? 0), 0);
  const kept: number[] = [...terms.subarray(0, head)];
  let at = head;
  for (const [field, { name }] of FIELDS.entries()) {
    const end = at + (terms[field] ?? 0);
    if (without.includes(name)) kept[field] = 0;
    else kept.push(...terms.subarray(at, end));
    at = end;
  }
  return Int32Array.from(kept);
}

function fill({ conversations }: Dataset, without: readonly string[]): Store {
  const postings = new Postings();
  const rows = new Map<number, { id: string; terms: Int32Array }>();
  for (const { id: workspace, sessions } of conversations) {
    for (const session of sessions) {
      let before = '';
      for (const [i, { id, text, speaker, caption }] of session.turns.entries()) {
        const bodyJson = JSON.stringify({
          content: text,
          speaker,
          session: session.id,
          turn: i + 1,
          date: session.date,
          ...(caption !== undefined && { caption }),
        });
        const packed = packEntity({ bodyJson, key: id, tags: [], category: 'conversation', before });
        const terms = cut(packed.terms, without);
        before = readBody(bodyJson).text;
        const body = rows.size + 1;
        postings.add({ body, terms, workspace, category: 'conversation', key: id });
        rows.set(body, { id, terms });
      }
    }
  }
  return { postings, rows };
}

function measure(dataset: Dataset, { postings, rows }: Store, variant: Variant): string {
  const weights = { ...WEIGHTS, ...variant.weights };
  const scores = dataset.conversations.flatMap((conversation) => {
    const known = new Set(conversation.sessions.flatMap(({ turns }) => turns.map(({ id }) => id)));
    return conversation.questions.flatMap(({ text, gold }) => {
      const right = new Set(gold.filter((id) => known.has(id)));
      if (right.size === 0) return [];
      const analysed = analyseQuery(text, 64, Date.parse(nowOf(conversation)));
      const query = variant.asked?.(analysed) ?? analysed;
      const hashes = Int32Array.from(query.terms, hash32);
      const candidates = postings
        .best(hashes, CANDIDATES, { workspace: conversation.id })
        .map((body) => ({ body, words: rows.get(body)?.terms ?? new Int32Array(), offset: 0, keyIsQuery: false }));
      const statistics = {
        rows: postings.rows,
        meanLength: postings.meanLength,
        frequencies: Array.from(hashes, (hash) => postings.frequency(hash)),
      };
      const hits = rank(candidates, query, statistics, { weights }).rows.take(20);
      return [
        scoreOf(
          hits.map(({ body }) => rows.get(body)?.id ?? ''),
          right,
        ),
      ];
    });
  });
  const { r5, r10, ndcg10 } = meanOf(scores);
  return `${(100 * r5).toFixed(1).padStart(5)} / ${(100 * r10).toFixed(1)} / ${ndcg10.toFixed(3).slice(1)}`;
}

const { values } = parseArgs({ options: { data: { type: 'string' } } });
if (values.data === undefined) {
  process.stderr.write('npm run bench:ablation -- --data FILE_OR_FOLDER\n');
  process.exitCode = 2;
} else {
  const datasets = filesOf(values.data).map(readDataset);
  process.stdout.write(`left out | ${datasets.map(({ name }) => `${name}: R@5 / R@10 / nDCG@10`).join(' | ')}\n`);
  const whole = datasets.map((dataset) => fill(dataset, []));
  for (const variant of VARIANTS) {
    const cells = datasets.map((dataset, i) => {
      const store = variant.without === undefined ? whole[i] : fill(dataset, variant.without);
      return store === undefined ? '' : measure(dataset, store, variant);
    });
    process.stdout.write(`${variant.name} | ${cells.join(' | ')}\n`);
  }
}
