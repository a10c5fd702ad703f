// What goes through a language model, and copies of whole workspaces.
import { isDeepStrictEqual } from 'node:util';

import { defaultOf, type Finding } from '../compare.ts';
import type { Difference } from '../difference.ts';
import { listOf } from '../ledger.ts';
import { asText, isObject, textAt, type Json, type JsonObject } from '../recording.ts';
import { isAbout } from './finding.ts';

const NO_MODEL = 'LLM is not enabled.';
const NO_MATCH = 'Ask failed: No matching memories found for this question.';
const FEDERATE = 'mimir_federate';
const SHOWN_SOURCES = 5;

/** What our refusal says and means. */
function isRefusal({ kind, answers, ours }: Finding, code: string, words: string): boolean {
  return kind === 'refused' && textAt(answers.ours, 'code') === code && asText(ours).includes(words);
}

function argument({ args }: Finding, name: string): Json | undefined {
  return isObject(args) ? args[name] : undefined;
}

/** Whether an answer without a model is the list of its sources. */
function listsItsSources(answer: JsonObject): boolean {
  const sources = listOf(answer['sources']);
  const [, ...lines] = (textAt(answer, 'answer') ?? '').split('\n');
  const named = sources.map(({ category, key }, at) => `[${at + 1}] ${asText(category)}/${asText(key)}: `);
  return (
    sources.length > 0 && lines.length === sources.length && named.every((name, at) => lines[at]?.startsWith(name))
  );
}

/** How many lessons an answer has. */
function lessonCount(answer: JsonObject): number {
  return listOf(answer['lessons']).length;
}

/** Whether a finding is the number of lessons, or how the journal counts and names them, as our own answer was. */
function isCount({ tool, kind, at, ours, answers, foretold }: Finding): boolean {
  if (kind !== 'changed') return false;
  if (tool === 'mimir_synthesize') return at === '/entities_created' && ours === lessonCount(answers.ours);
  return /^\/items\/\[\]\/(acted|forward)_json$/.test(at) && foretold;
}

/** The lessons that the original had at the call that a finding is about. */
function theirLessonCount({ tool, answers, around }: Finding): number {
  if (tool === 'mimir_synthesize') return lessonCount(answers.theirs);
  const acted = JSON.parse(textAt(around.theirs, 'acted_json') ?? '{}') as JsonObject;
  return Number(acted['lessons_found']);
}

/** Lines about language models, and about copies of whole workspaces. */
export const ASKING: readonly Difference[] = [
  {
    name: 'asked-without-a-model',
    tools: ['mimir_ask'],
    original: 'Without a language model it fails.',
    ours: 'It answers with the memories that match, a line each, and a `note` says which setting is missing; it fails only when none matches.',
    reason: 'An agent can read what was found, and mostly needs nobody to read it aloud.',
    explains: ({ kind, theirs, answers }) => {
      if (!asText(theirs).startsWith(NO_MODEL)) return false;
      if (kind === 'reason') return textAt(answers.ours, 'code') === 'not_found';
      const note = textAt(answers.ours, 'note') ?? '';
      return kind === 'accepted' && note.includes('--llm-endpoint') && listsItsSources(answers.ours);
    },
  },
  {
    name: 'an-ask-for-none-is-refused',
    tools: ['mimir_ask'],
    original: 'A `top_k` of 0 finds no memory that matches.',
    ours: 'It is refused, by its name.',
    reason: 'Memories may well match: what is wrong is the number.',
    explains: (finding) => {
      const { kind, theirs, answers } = finding;
      if (kind !== 'reason' || !(Number(argument(finding, 'top_k')) < 1)) return false;
      const isTheirs = asText(theirs) === NO_MATCH || asText(theirs).startsWith(NO_MODEL);
      return isTheirs && textAt(answers.ours, 'code') === 'invalid_argument';
    },
  },
  {
    name: 'sources-are-what-recall-finds',
    tools: ['mimir_ask'],
    original: 'A model is shown what was found most often.',
    ours: 'It is shown what recall finds: the best first, or the newest where nothing is asked, and keys and tags count.',
    reason: 'A model answers from what it is shown.',
    explains: (finding) => {
      const { kind, at, row, answers, foretold, theirs } = finding;
      const query = asText(argument(finding, 'query')).trim();
      if (kind === 'accepted')
        return (
          asText(theirs) === NO_MATCH &&
          listOf(answers.ours['sources']).every((one) => isAbout(query, { ...one, body_json: one['snippet'] ?? '' }))
        );
      if (at === '/sources') return kind === 'order' && (query !== '' || foretold);
      if (at !== '/sources/[]') return false;
      const limit = Number(argument(finding, 'top_k') ?? SHOWN_SOURCES);
      const isFull = (side: 'theirs' | 'ours'): boolean => listOf(answers[side]['sources']).length >= limit;
      if (kind === 'lacking') return isFull('ours');
      if (kind !== 'extra' || row === undefined) return false;
      return isFull('theirs') || (query !== '' && isAbout(query, row.fields));
    },
  },
  {
    name: 'patience-with-models',
    tools: ['mimir_ask'],
    original: 'It gives up on a model after 30 seconds.',
    ours: 'It waits for 55 seconds, and stops earlier when the caller cancels.',
    reason: 'A model may have to be loaded first, and clients wait for 60 seconds.',
    explains: ({ kind, theirs, answers }) =>
      kind === 'accepted' &&
      asText(theirs).endsWith('timed out reading response') &&
      textAt(answers.ours, 'answer') !== undefined &&
      listOf(answers.ours['sources']).length > 0,
  },
  {
    name: 'a-model-without-a-text-has-failed',
    tools: ['mimir_ask', 'mimir_synthesize'],
    original:
      'A model server that answers without a text is no error: the answer is "(no response from model)", or there are no lessons.',
    ours: 'It is an error with the code `provider_refused`, and the hint says how the form of the server is chosen.',
    reason: 'It is a server of another form, and nobody looks for that in an answer.',
    explains: (finding) => {
      const { answer, lessons } = finding.answers.theirs;
      const isEmpty = answer === '(no response from model)' || isDeepStrictEqual(lessons, []);
      return isRefusal(finding, 'provider_refused', 'answered without a text') && isEmpty;
    },
  },
  {
    name: 'what-is-no-lesson-is-an-error',
    tools: ['mimir_synthesize'],
    original:
      'A model that answers with something else than lessons counts as one that has found none, and the journal says so.',
    ours: 'It is an error, and nothing is stored.',
    reason: 'A session without lessons and a model that cannot keep to a form are two things.',
    explains: (finding) =>
      isRefusal(finding, 'provider_refused', 'answered with what are no lessons') &&
      lessonCount(finding.answers.theirs) === 0,
  },
  {
    name: 'lessons-in-any-wrapping',
    tools: ['mimir_synthesize', 'mimir_timeline'],
    original: 'Lessons in a fence, or as a list alone, are dropped.',
    ours: 'They are taken.',
    reason: 'Most models put their JSON into a fence.',
    explains: (finding) => {
      if (theirLessonCount(finding) !== 0) return false;
      return isCount(finding) || (finding.kind === 'extra' && finding.at === '/lessons/[]');
    },
  },
  {
    name: 'lessons-that-say-something',
    tools: ['mimir_synthesize', 'mimir_timeline'],
    original: 'A lesson of empty texts is stored, and a confidence may be any number.',
    ours: 'Without a summary there is no lesson, and `skipped` counts it. A confidence is from 0 to 1.',
    reason: 'Nobody ever finds what says nothing; and the confidence becomes `certainty`, which ends at 1.',
    explains: (finding) => {
      const { kind, at, theirs, ours, answers } = finding;
      if (kind === 'lacking' && at === '/lessons/[]')
        return textAt(theirs, 'summary') === '' && Number(answers.ours['skipped']) > 0;
      if (kind === 'changed' && at === '/lessons/[]/confidence')
        return ours === Math.min(1, Math.max(0, Number(theirs)));
      return isCount(finding) && theirLessonCount(finding) > 0;
    },
  },
  {
    name: 'federation-copies',
    tools: ['mimir_federate', 'mimir_recall', '$files'],
    original:
      '`mimir_federate` moves the memories of the workspace by way of files, and takes in whatever else lies in their folder, which ' +
      'is the same one below the temporary folder for everybody who names none.',
    ours:
      'It copies them, each as `mimir_share` does, and brings copies that are there up to date, but for those that were written to or forgotten ' +
      'there. It writes files only when `vault_dir` is given, and reads none.',
    reason: "Who hands on a workspace still wants to have it, and files of somebody else are nobody's memories.",
    explains: ({ tool, kind, at, theirs, ours, around, answers, row, foretold }) => {
      // That ours is the number of copies is looked at in any case.
      if (tool === 'mimir_federate') return kind === 'changed' && /^\/(exported|remapped|imported)$/.test(at);
      if (kind === 'extra' && /^\/(items|files)\/\[\]$/.test(at))
        return row !== undefined && (row.isMoved === true || row.madeBy === FEDERATE);
      if (kind !== 'changed' || !at.endsWith('/workspace_hash') || !foretold) return false;
      // Wherever the original has moved it to, there is a copy.
      const { category, key } = around.ours;
      return (
        ours === row?.fields['workspace_hash'] &&
        listOf(answers.ours['items']).some(
          (one) => one['category'] === category && one['key'] === key && one['workspace_hash'] === theirs,
        )
      );
    },
  },
  {
    name: 'copies-keep-every-field',
    tools: ['mimir_recall'],
    original: 'What was federated has lost its topic, certainty, visibility and `always_on`.',
    ours: 'A copy has every field of the memory, but links, which lead into the workspace of the original.',
    reason: 'A copy that says something else is none.',
    explains: ({ kind, at, theirs, row, foretold }) => {
      if (kind !== 'changed' || !foretold || row?.copyOf === undefined) return false;
      const field = at.slice('/items/[]/'.length);
      return isDeepStrictEqual(theirs, defaultOf(field));
    },
  },
  {
    name: 'files-of-copies',
    tools: ['$files'],
    original: 'Files of federated memories have the uses and the layer of the memory that was moved.',
    ours: 'They have those of the copy, which nobody had used when they were written.',
    reason: 'A copy has a life of its own.',
    explains: ({ kind, at, ours, row, foretold }) => {
      if (kind !== 'changed' || row?.madeBy !== FEDERATE) return false;
      // Nothing is written again because a memory was used.
      if (at === '/files/[]/retrieval_count') return Number(ours) <= (row.uses ?? 0);
      return at === '/files/[]/layer' && foretold;
    },
  },
];
