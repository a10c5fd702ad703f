// What is found and how it is shown.
import { editDistance, wrongLettersMax } from '../../../src/memory/near.ts';
import { STOP_TOKENS, tokenise } from '../../../src/memory/text.ts';
import type { Finding } from '../compare.ts';
import type { Difference } from '../difference.ts';
import { listOf } from '../ledger.ts';
import { asText, isObject, readJson, textAt, type Json, type JsonObject } from '../recording.ts';

/** What a recall was asked, as far as rules look at it. */
interface Asked {
  readonly query: string;
  readonly limit: number;
  readonly offset: number;
  readonly args: JsonObject;
}

function asked({ args }: Finding): Asked {
  const all = isObject(args) ? args : {};
  const number = (name: string, otherwise: number): number => Number(all[name] ?? otherwise);
  const query = (textAt(all, 'query') ?? '').trim();
  return { query, limit: number('limit', 10), offset: Math.max(0, number('offset', 0)), args: all };
}

/** Whether an item is inside the filters of a recall. */
function isInside({ args }: Asked, item: JsonObject): boolean {
  const equal = (filter: string, field: string, emptyCounts: boolean): boolean => {
    const wanted = args[filter];
    if (wanted === undefined || wanted === null || (wanted === '' && !emptyCounts)) return true;
    return asText(wanted) === asText(item[field]);
  };
  const topic = textAt(args, 'topic_path') ?? '';
  return (
    equal('category', 'category', false) &&
    equal('type', 'type', false) &&
    equal('workspace_hash', 'workspace_hash', true) &&
    equal('agent_id', 'agent_id', true) &&
    equal('always_on', 'always_on', true) &&
    (textAt(item, 'topic_path') ?? '').startsWith(topic) &&
    (args['include_archived'] === true || item['archived'] === false)
  );
}

const WORD = /[\p{L}\p{M}\p{N}]+/gu;
/** The words of a text in small letters. */
export function wordsOf(text: string): string[] {
  return text.toLowerCase().match(WORD) ?? [];
}

/** The values of a body, without the names of its fields. */
function saidBy(body: Json): string {
  if (typeof body === 'string') return body;
  if (Array.isArray(body)) return (body as readonly Json[]).map(saidBy).join(' ');
  return isObject(body) ? Object.values(body).map(saidBy).join(' ') : asText(body);
}

/** Whether a telling word of the query stands in an item as a whole word: then a search has to find it. */
function holdsAWord({ query }: Asked, item: JsonObject): boolean {
  const body = textAt(item, 'body_json') ?? '';
  const words = new Set(wordsOf(saidBy(readJson(body) ?? body)));
  return wordsOf(query).some((word) => words.has(word) && !tokenise(word).every((token) => STOP_TOKENS.has(token)));
}

const STEM_CHARS = 3;

/** Whether one word is a slip of the other. */
function isNearly(asked: string, word: string): boolean {
  const [one = '', other = ''] = [asked, word].map((text) => tokenise(text)[0]);
  const slips = wrongLettersMax(one);
  return slips > 0 && editDistance(one, other, slips) <= slips;
}

/** Whether an item says anything that the query asks for: a word of it, one that begins alike, as forms do, or one that is nearly it. */
export function isAbout(query: string, item: JsonObject): boolean {
  const body = textAt(item, 'body_json') ?? '';
  const said = saidBy(readJson(body) ?? body);
  const others = ['category', 'key', 'topic_path', 'tags'].map((name) => saidBy(item[name] ?? ''));
  const words = wordsOf([said, ...others].join(' '));
  return wordsOf(query).some((asked) =>
    words.some(
      (word) =>
        word === asked ||
        (asked.length >= STEM_CHARS && word.startsWith(asked.slice(0, STEM_CHARS))) ||
        isNearly(asked, word),
    ),
  );
}

function isCut(body: string): boolean {
  return body.includes('\n--truncated (');
}

/** Whether an answer is a page among others: then its order says what is on it. */
function isPage(finding: Finding, side: 'theirs' | 'ours'): boolean {
  const { limit, offset } = asked(finding);
  return offset > 0 || listOf(finding.answers[side]['items']).length >= limit;
}

function isItem({ kind, at }: Finding, wanted: 'lacking' | 'extra'): boolean {
  return kind === wanted && at === '/items/[]';
}

/** Lines about finding. */
export const FINDING: readonly Difference[] = [
  {
    name: 'relevance-orders',
    tools: ['mimir_recall'],
    original:
      'Hits are ordered by how often and how lately they were found before, then by strength and trust. No relevance is ' +
      'computed. Two equal searches order differently, because the first one changed the counts.',
    ours: 'The hit that answers the query best comes first. Uses only break ties.',
    reason: 'The right memory among the first five: 0.3 % of the questions of LoCoMo in the original, 76 % here.',
    explains: (finding) => finding.kind === 'order' && finding.at === '/items' && asked(finding).query !== '',
  },
  {
    name: 'newest-first',
    tools: ['mimir_recall'],
    original: 'An empty query lists what was found most often first.',
    ours: 'It lists what was stored or changed last first.',
    reason: 'Who browses wants to see what is new; and a count that orders makes early hits stay in front.',
    explains: (finding) =>
      finding.kind === 'order' && finding.at === '/items' && finding.foretold && asked(finding).query === '',
  },
  {
    name: 'twins-are-one-hit',
    tools: ['mimir_recall'],
    original: 'Memories with equal bodies fill the page side by side.',
    ours: 'Memories of equal workspace, category, type, agent, visibility and body are one hit; `also` names the others.',
    reason: 'Ten copies of one sentence leave no room for the second answer.',
    explains: (finding) =>
      isItem(finding, 'lacking') &&
      listOf(finding.answers.ours['items']).some((item) =>
        listOf(item['also']).some((twin) => twin['id'] === finding.row?.id && finding.row !== undefined),
      ),
  },
  {
    name: 'filters-always-hold',
    tools: ['mimir_recall'],
    original:
      'With `include_archived` and several words, the filters apply to the last word only: rows of other categories and workspaces come through.',
    ours: 'Filters apply to every hit.',
    reason: 'It shows memories to readers who asked for another workspace.',
    explains: (finding) => isItem(finding, 'lacking') && !isInside(asked(finding), finding.around.theirs),
  },
  {
    name: 'the-page-holds-the-best',
    tools: ['mimir_recall'],
    original: 'A full page holds what was found most often.',
    ours: 'It holds what answers best, or what is newest.',
    reason: 'It follows from the order.',
    explains: (finding) => {
      if (isItem(finding, 'lacking')) return isPage(finding, 'ours') && isInside(asked(finding), finding.around.theirs);
      return isItem(finding, 'extra') && isPage(finding, 'theirs') && isInside(asked(finding), finding.around.ours);
    },
  },
  {
    name: 'whole-words',
    tools: ['mimir_recall'],
    original:
      'The first word of a query is also searched as a part of the stored JSON text, with `%` and `_` as wildcards: "cat" finds ' +
      '"education", and "content" finds every body with such a field.',
    ours: 'Words find words: in all their forms, without the names of fields, and without words such as "and" beside others.',
    reason: 'A part of a word mostly means something else.',
    explains: (finding) => {
      const question = asked(finding);
      return isItem(finding, 'lacking') && question.query !== '' && !holdsAWord(question, finding.around.theirs);
    },
  },
  {
    name: 'unlikely-hits-are-held-back',
    tools: ['mimir_recall'],
    original: 'Every row that holds any word of the query is a hit.',
    ours: 'Hits that hardly answer are held back, and `below_min_confidence` counts them.',
    reason: 'An agent takes what it is given for an answer.',
    switch: '`min_confidence: 0`',
    shownBy: 'test/unit/tools-call.test.ts',
    explains: (finding) =>
      isItem(finding, 'lacking') &&
      asked(finding).query !== '' &&
      Number(finding.answers.ours['below_min_confidence'] ?? 0) > 0,
  },
  {
    name: 'forms-keys-and-tags',
    tools: ['mimir_recall'],
    original: 'Only bodies are searched, for the very words; what is archived, by parts of words only.',
    ours: 'Word forms, keys, tags, near-misses of unknown words and the archive are found as well.',
    reason: 'Agents ask in other words than they stored.',
    explains: (finding) =>
      isItem(finding, 'extra') &&
      asked(finding).query !== '' &&
      typeof finding.around.ours['confidence'] === 'number' &&
      isInside(asked(finding), finding.around.ours) &&
      (isAbout(asked(finding).query, finding.around.ours) || isCut(textAt(finding.around.ours, 'body_json') ?? '')),
  },
  {
    name: 'one-search-for-all-forms',
    tools: ['mimir_recall'],
    original: '`expansion` searches again with stemmed words; `variants` says how often.',
    ours: 'The index holds stems, so one search finds all forms: `variants` is 1.',
    reason: 'One search is enough.',
    explains: ({ kind, at, ours }) => kind === 'changed' && at === '/variants' && ours === 1,
  },
  {
    name: 'preview-footer',
    tools: ['mimir_recall'],
    original: 'The footer of a cut body advises to hand large reads to a sub-agent, and counts bytes as characters.',
    ours: 'It says how many characters are missing and which call shows them.',
    reason: 'Not every agent has sub-agents.',
    explains: ({ kind, at, theirs, ours, args }) =>
      kind === 'changed' &&
      at === '/items/[]/body_json' &&
      isObject(args) &&
      args['preview_cap'] !== undefined &&
      isCut(asText(theirs)) &&
      isCut(asText(ours)) &&
      sameBeginning(asText(theirs), asText(ours)),
  },
  {
    name: 'bodies-do-not-speak-for-columns',
    tools: ['mimir_recall', 'mimir_recall_when'],
    original:
      'A field of the body replaces the column of its name: a body that says `"verified": true` is shown as verified.',
    ours: 'Fields of the body are shown only where no column has their name. `body_json` has all of them.',
    reason: 'Who writes a text must not decide how far it is trusted.',
    explains: ({ kind, at, theirs, around }) => {
      const field = at.slice(at.lastIndexOf('/') + 1);
      const said = readJson(textAt(around.theirs, 'body_json') ?? '');
      if (!at.startsWith('/items/[]/') || (kind !== 'changed' && kind !== 'missing')) return false;
      return isObject(said) && field in said && JSON.stringify(said[field]) === JSON.stringify(theirs);
    },
  },
  {
    name: 'prefixes-are-literal',
    tools: ['mimir_state_list'],
    original: '`%` and `_` in `prefix` are wildcards, and ASCII letters match in either case.',
    ours: 'A key begins with the prefix or it does not.',
    reason: 'A key such as `a_b` is a name, not a pattern.',
    explains: ({ kind, theirs, args }) =>
      kind === 'lacking' && isObject(args) && !asText(theirs).startsWith(textAt(args, 'prefix') ?? ''),
  },
  {
    name: 'briefing-of-the-newest',
    tools: ['mimir_context'],
    original: 'Below the pinned memories stand those that were found most often, pinned ones among them once more.',
    ours: 'Below them stand the newest, each memory once and on one line.',
    reason: 'A briefing is for what is new, and a prompt has no room for the same line twice.',
    explains: ({ kind, at, answers, theirs, ours, args, foretold }) => {
      const { categories } = isObject(args) ? args : {};
      // With several categories each has its own order.
      if (at === '/recalled' && kind === 'order')
        return foretold || (Array.isArray(categories) && categories.length > 1);
      if (at === '/said')
        return ours === listOf(answers.ours['pinned']).length + listOf(answers.ours['recalled']).length;
      if (/\/(body|key|category)$/.test(at)) return asText(theirs).replace(/[\n\r]/g, ' ') === ours;
      const limit = Number((isObject(args) ? args['limit'] : undefined) ?? 10);
      if (at !== '/recalled/[]') return false;
      const isPinned = listOf(answers.theirs['pinned']).some((line) => isObject(theirs) && sameName(line, theirs));
      if (kind === 'lacking' && isPinned) return true;
      const isTwice =
        listOf(answers.theirs['recalled']).filter((line) => isObject(theirs) && sameName(line, theirs)).length > 1;
      if (kind === 'lacking' && isTwice) return true;
      return listOf(answers[kind === 'lacking' ? 'ours' : 'theirs']['recalled']).length >= limit;
    },
  },
];

function sameName(one: JsonObject, other: JsonObject): boolean {
  return one['key'] === other['key'] && one['category'] === other['category'];
}

function sameBeginning(theirs: string, ours: string): boolean {
  const [one = '', other = ''] = [theirs, ours].map((text) => text.split('\n--truncated (')[0] ?? '');
  return one.startsWith(other) || other.startsWith(one);
}
