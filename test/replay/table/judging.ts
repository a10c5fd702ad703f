// Tools that judge, copy and bring in order what is stored.
import { isDeepStrictEqual } from 'node:util';

import { FADED_BELOW } from '../../../src/memory/retention.ts';
import type { Finding } from '../compare.ts';
import type { Difference } from '../difference.ts';
import { isLasting, listOf, type Row } from '../ledger.ts';
import { asText, isObject, readJson, textAt, type JsonObject } from '../recording.ts';
import { wordsOf } from './finding.ts';

const LESSONS: ReadonlySet<string> = new Set(['mimir_correct', 'mimir_bench', 'mimir_synthesize']);
const RELATED = 'auto-related';

/** The limit of a call; `otherwise` where it gives none. */
function limitOf({ args }: Finding, otherwise: number): number {
  return Number((isObject(args) ? args['limit'] : undefined) ?? otherwise);
}

/** Whether a list of an answer is full, so that the order says what is on it. */
function isFull({ answers }: Finding, list: string, side: 'theirs' | 'ours', limit: number): boolean {
  return listOf(answers[side][list]).length >= limit;
}

/** The words of an item's triggers. */
function triggerWords(item: JsonObject): string[] {
  const body = readJson(textAt(item, 'body_json') ?? '');
  return wordsOf(isObject(body) ? asText(body['recall_when']) : '');
}

function situation({ args }: Finding): string[] {
  return wordsOf(isObject(args) ? (textAt(args, 'context') ?? '') : '');
}

/**
 * Whether an item is archived, or not, as the upkeep that goes by strength has to do it: what fades is weak by now, what does not is
 * left alone unless it was named by its age.
 */
function isFaded(at: string, item: JsonObject, row: Row | undefined): boolean {
  if (!/\/(archived|archive_reason)$/.test(at) || row === undefined) return false;
  if (!/[_ ](decay|compact|prune)$/.test(row.changedBy ?? '')) return false;
  const strength = Number(item['decay_score']);
  if (item['archived'] !== true) return isLasting(row) || strength >= FADED_BELOW;
  return item['archive_reason'] !== 'decay threshold' || (!isLasting(row) && strength < row.weakBelow);
}

/** Lines about judging, copying and upkeep. */
export const JUDGING: readonly Difference[] = [
  {
    name: 'bodies-stay-as-written',
    tools: [
      'mimir_recall_when',
      'mimir_recall',
      'mimir_get_entity',
      'mimir_traverse',
      'mimir_context',
      'mimir_ask',
      '$files',
    ],
    original:
      '`recall_when`, and `mimir write`, make a new text of the whole body: members sorted, blanks gone, numbers in another form.',
    ours: 'Bodies stay byte for byte; `recall_when` is put in at the end.',
    reason: 'What was stored must come back as it was.',
    explains: ({ kind, at, theirs, ours, row }) => {
      if (kind !== 'changed' || !/\/(body(_json)?|snippet)$/.test(at)) return false;
      const [one, other] = [asText(theirs), asText(ours)];
      const isCut = one.includes('...') || one.includes('\n--truncated (');
      if (isCut) return row?.fields['recall_when'] !== undefined;
      return readJson(one) !== undefined && isDeepStrictEqual(readJson(one), readJson(other));
    },
  },
  {
    name: 'every-lesson-is-kept',
    tools: ['mimir_correct', 'mimir_bench', 'mimir_synthesize', 'mimir_recall', 'mimir_context', 'mimir_conflicts'],
    original:
      'What `mimir_correct`, `mimir_bench` and `mimir_synthesize` write is merged away like everything else, and their answers ' +
      'name or count memories that do not exist.',
    ours: 'Each is a memory of its own.',
    reason: 'Two measurements that differ in a number are two measurements.',
    explains: ({ kind, row }) => kind === 'extra' && row !== undefined && LESSONS.has(row.madeBy),
  },
  {
    name: 'sharing-copies',
    tools: ['mimir_share', 'mimir_recall', 'mimir_get_entity'],
    original: '`mimir_share` moves the memory to the other workspace.',
    ours: 'It makes a copy there, with `source` naming the memory that it is a copy of.',
    reason: 'Who shares something still wants to have it.',
    explains: ({ tool, kind, at, answers, ours, row }) => {
      // Links stay behind: they lead into the workspace of the original.
      if (kind === 'lacking') return at.endsWith('/links/[]') && row?.madeBy === 'mimir_share';
      if (kind !== 'changed') return false;
      if (tool !== 'mimir_share') return at.endsWith('/source') && asText(ours).startsWith('share:');
      return answers.theirs['action'] === 'updated' && /^\/(action|shared_id|from_workspace)$/.test(at);
    },
  },
  {
    name: 'conflicts-most-alike-first',
    tools: ['mimir_conflicts'],
    original: 'Pairs come in the order of the last access, and the first ones fill the page.',
    ours: 'Of the pairs that differ enough, the most alike come first.',
    reason:
      'Two memories that have nothing in common are no conflict; the most alike are likeliest about the same thing.',
    explains: (finding) => {
      const { kind, at } = finding;
      const limit = limitOf(finding, 10);
      if (at === '/conflicts' && kind === 'order') return true;
      if (at !== '/conflicts/[]' || limit <= 0) return false;
      const isPage = isObject(finding.args) && Number(finding.args['offset'] ?? 0) > 0;
      if (kind === 'lacking') return isPage || isFull(finding, 'conflicts', 'ours', limit);
      return kind === 'extra' && (isPage || isFull(finding, 'conflicts', 'theirs', limit));
    },
  },
  {
    name: 'a-limit-of-nothing',
    tools: ['mimir_conflicts', 'mimir_recall_when'],
    original: 'A `limit` of 0 or less shows one.',
    ours: 'It shows none.',
    reason: 'It is what was asked for.',
    explains: (finding) => finding.kind === 'lacking' && limitOf(finding, 10) <= 0,
  },
  {
    name: 'ciphertext-is-not-compared',
    tools: ['mimir_conflicts'],
    original: 'With an encrypted store the ciphertexts are compared: every pair is a conflict.',
    ours: 'What was written is compared.',
    reason: 'Ciphertext says nothing about what it means.',
    explains: ({ kind, at, theirs }) =>
      kind === 'lacking' && at === '/conflicts/[]' && isObject(theirs) && theirs['similarity'] === 0,
  },
  {
    name: 'triggers-are-words',
    tools: ['mimir_recall_when'],
    original:
      'A trigger fires when it contains a word of the situation as a part, with the punctuation around it: "pro" fires ' +
      '"production", "production," does not. Strong memories come first.',
    ours: 'Words fire words, in all their forms and scripts. The memories with most of the words come first.',
    reason: 'A part of a word mostly means something else, and punctuation means nothing.',
    explains: (finding) => {
      const { kind, at, around } = finding;
      if (at === '/items' && kind === 'order') return true;
      if (at !== '/items/[]') return false;
      const limit = limitOf(finding, 10);
      if (kind === 'lacking') {
        const words = new Set(triggerWords(around.theirs));
        return isFull(finding, 'items', 'ours', limit) || !situation(finding).some((word) => words.has(word));
      }
      const words = triggerWords(around.ours);
      return (
        kind === 'extra' &&
        situation(finding).some((word) => words.some((other) => other.slice(0, 3) === word.slice(0, 3)))
      );
    },
  },
  {
    name: 'upkeep-lowers-nothing',
    tools: ['mimir_cohere', 'mimir_autocohere'],
    original: 'Each run lowers the strength of all memories, also a dry run of `mimir_autocohere`.',
    ours: '`decayed` and `decay_updates` are 0: strength is computed when it is read.',
    reason: 'How often upkeep runs must not change what is remembered.',
    explains: ({ kind, at, ours }) => kind === 'changed' && /^\/(decayed|decay_updates)$/.test(at) && ours === 0,
  },
  {
    name: 'links-between-what-is-related',
    tools: ['mimir_cohere', 'mimir_autocohere', 'mimir_recall', 'mimir_traverse', 'mimir_get_entity'],
    original: '`mimir_cohere` links any two rows of a category that both have tags; `mimir_autocohere` links none.',
    ours: 'Both link what is about the same thing.',
    reason: 'A link between two memories that have nothing to do with each other misleads.',
    explains: ({ kind, at, theirs, ours }) => {
      if (kind === 'changed' && /^\/(linked|links_created)$/.test(at)) return true;
      const link = kind === 'lacking' ? theirs : kind === 'extra' ? ours : undefined;
      if (/\/(links|traversed)\/\[\]$/.test(at)) return textAt(link, 'relationship') === RELATED;
      return kind === 'changed' && at.endsWith('/relationship') && (theirs === RELATED || ours === RELATED);
    },
  },
  {
    name: 'thresholds-and-dry-runs-count',
    tools: ['mimir_cohere', 'mimir_autocohere', 'mimir_recall'],
    original:
      '`promote_threshold` and `archive_threshold` are ignored, in any form. A dry run of `mimir_cohere` answers zeros, and one ' +
      'of `mimir_autocohere` archives.',
    ours: 'The thresholds count. A dry run says what would be done, and does nothing.',
    reason: 'That is what they are for.',
    explains: ({ tool, kind, at, row, args, ours }) => {
      if (kind === 'refused') return isObject(args) && /`(promote|archive)_threshold`/.test(asText(ours));
      if (kind !== 'changed') return false;
      if (tool !== 'mimir_recall')
        return /^\/(promoted|archived|promoted_entities|archived_entities|entities_examined|compact_archived_count)$/.test(
          at,
        );
      return /\/(archived|archive_reason)$/.test(at) && (row?.changedBy ?? '').endsWith('cohere');
    },
  },
  {
    name: 'decay-is-computed',
    tools: ['mimir_decay', 'mimir decay', 'mimir_compact', 'mimir_prune', 'mimir_recall'],
    original:
      '`mimir_decay` overwrites the strength of every row by its age alone, and archives what is below 0.05, pinned and verified ' +
      'memories too; `mimir_compact` and `mimir_prune` go by the number that is left.',
    ours:
      'Strength is computed when it is read, from importance, uses and age, and these tools archive by it. `entities_updated` counts ' +
      'what was archived. Pinned and verified memories are left alone.',
    reason: 'What somebody pinned or checked must not vanish because nobody asked for it for three weeks.',
    explains: ({ tool, kind, at, ours, theirs, around, row, foretold }) => {
      if (kind !== 'changed') return false;
      if (tool === 'mimir_recall') return isFaded(at, around.ours, row);
      const count = at.replace(/^\/stdout/, '');
      if (count === '/entities_updated') return Number(ours) <= Number(theirs);
      if (count === '/entities_checked') return foretold;
      return /^\/(auto_archived|entities_archived|entities_examined|archived|examined)$/.test(count);
    },
  },
  {
    name: 'purge-takes-links-along',
    tools: ['mimir_purge', 'mimir_maintenance', 'mimir_recall', 'mimir_get_entity', 'mimir_traverse'],
    original: '`mimir_purge` leaves the links to what it has erased.',
    ours: 'They are erased as well.',
    reason: 'A link to nothing tells the id of what was to be forgotten.',
    explains: ({ kind, at, theirs, ours, foretold }) =>
      (kind === 'changed' && at === '/orphan_links_found' && Number(ours) < Number(theirs)) ||
      (kind === 'lacking' && at.endsWith('/links/[]') && foretold),
  },
  {
    name: 'vectors-are-checked',
    tools: ['mimir_embed'],
    original: 'Members of a vector that are no numbers are dropped, and an empty vector is stored.',
    ours: 'Such an answer of a model is refused, and nothing is stored.',
    reason: 'A vector of another length is never found again.',
    explains: ({ kind, answers }) => kind === 'refused' && (textAt(answers.ours, 'code') ?? '').startsWith('provider_'),
  },
  {
    name: 'batches-have-their-order',
    tools: ['mimir_embed'],
    original: 'A batch goes through the memories that were found most often first.',
    ours: 'It goes through them as they were stored.',
    reason: 'How often something was found says nothing about when its turn is.',
    explains: ({ kind, at }) => kind === 'order' && at === '/errors',
  },
];
