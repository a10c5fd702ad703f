import { z } from 'zod';
import { unpackHits, movingNumbers, type Hit } from '../engine/hits.ts';
import { homeOf, requireWrite } from '../engine/lookup.ts';
import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { dayOf } from '../memory/dates.ts';
import { meaningText, readBody } from '../memory/document.ts';
import { headOfChars } from '../memory/item.ts';
import type { ModelAnswer } from '../provider/language-model.ts';
import type { Passage } from '../provider/prompts.ts';
import { ADDS, defineTool, optionsOf, READS, scopeOf } from './define.ts';
import { filter, flag, name, names, text, within, workspaceHash } from './fields.ts';
import { meaningsOf } from './meaning.ts';
import { emptyMembers } from './render.ts';

const SET_A_MODEL = 'Start the server with --llm-endpoint URL --llm-model NAME.';

/** Answers a question from memories. */
export const ask = defineTool({
  name: 'mimir_ask',
  title: 'Ask',
  description:
    'Use to have a question answered from memory, if a language model is set; otherwise it shows what recall finds. `[1]` is the first of `sources`.',
  input: z.object({
    query: text('The question.', { maxBytes: LIMITS.bodyJsonMaxBytes }),
    top_k: within(
      `Memories to read, 1 to ${LIMITS.askMemoriesMax}; more is as many.`,
      1,
      Number.MAX_SAFE_INTEGER,
    ).default(5),
    workspace_hash: name('Only this workspace, "" too.').optional(),
  }),
  about:
    'Answers a question from memories: with a language model in its words, with the memories that it used; ' +
    'without one with the memories themselves. What was recalled goes to the model as data, marked as such.',
  example: { query: 'Which host is staging?', top_k: 5 },
  annotations: { ...READS, openWorldHint: true },
  profile: 'all',
  operation: 'network',
  run: async ({ query, top_k: wanted, workspace_hash: workspace }, caller, deps) => {
    const limit = Math.min(wanted, LIMITS.askMemoriesMax);
    const { execute, usage, clock, meaning, language } = deps;
    const meanings = await meaningsOf(meaning, [query], undefined);
    const [meant] = meanings.meant;
    const asked = { query, filters: {}, limit, offset: 0, minDecay: 0, ...(meant !== undefined && { meaning: meant }) };
    const found = await execute('recall', scopeOf(caller, workspace), asked, optionsOf(caller));
    meaning?.agreed(found.agreement);
    // As in the original, nothing is strengthened: that a model read it says nothing about its worth.
    const memories = unpackHits(found.hits).map(memoryOf);
    if (memories.length === 0) {
      const { reason } = emptyMembers(found, 0, meaning?.behind);
      throw new MimirError('not_found', 'No memory matches this question.', {
        hint: reason === 'empty_store' ? 'Nothing is stored yet.' : 'Ask in other words, or look with mimir_recall.',
        ...(reason !== undefined && { facts: { reason } }),
      });
    }
    const passages = memories.map(({ passage }) => passage);
    const answer = await language?.ask(query, passages, caller.signal);
    const nowMs = clock.nowMs();
    return JSON.stringify({
      answer: answer === undefined ? listed(passages) : answer.text,
      sources: memories.map(({ hit, id, bodyJson, passage: { category, key } }, at) => ({
        key,
        category,
        score: movingNumbers(hit, usage.overlay(hit.row, hit.usage), nowMs).strength,
        snippet: headOfChars(bodyJson, LIMITS.snippetMaxChars),
        id,
        ...(answer !== undefined && { cited: answer.cited.includes(at) }),
      })),
      ...meanings.members(found.agreement !== undefined),
      ...noteOf(answer),
    });
  },
});

interface AskedMemory {
  readonly hit: Hit;
  readonly id: string;
  readonly bodyJson: string;
  readonly passage: Passage;
}

function memoryOf(hit: Hit): AskedMemory {
  const item = JSON.parse(`${hit.text}}`) as {
    readonly id: string;
    readonly category: string;
    readonly key: string;
    readonly body_json: string;
    readonly created_at_unix_ms: number;
  };
  const { id, category, key, body_json: bodyJson } = item;
  const day = readBody(bodyJson).day || dayOf(item.created_at_unix_ms);
  return { hit, id, bodyJson, passage: { category, key, day, text: meaningText(bodyJson, null) } };
}

/** What was found, a line each: stored text cannot pass for a line of its own. */
function listed(passages: readonly Passage[]): string {
  const lines = passages.map(({ category, key, text: said }, at) =>
    `[${at + 1}] ${category}/${key}: ${headOfChars(said, LIMITS.snippetMaxChars)}`.replace(/\s+/g, ' '),
  );
  return `No language model is set. These memories match:\n${lines.join('\n')}`;
}

/** What is to be known of an answer beside its words. */
function noteOf(answer: ModelAnswer | undefined): { readonly note?: string } {
  if (answer === undefined) return { note: `No language model is set. ${SET_A_MODEL}` };
  if (answer.text === '') return { note: 'The language model answered with nothing.' };
  if (answer.cut) return { note: `The answer was longer than ${LIMITS.modelAnswerMaxChars} characters and is cut.` };
  if (answer.stray !== null) {
    return { note: `The answer names [${answer.stray}], which is none of the memories: check it against them.` };
  }
  return answer.cited.length === 0 ? { note: 'The answer names none of the memories: check it against them.' } : {};
}

/** Draws lessons from a session. */
export const synthesize = defineTool({
  name: 'mimir_synthesize',
  title: 'Draw lessons',
  description: 'Use at the end of a session to store what its record teaches; needs a language model.',
  input: z.object({
    session_content: text('The record.', { maxBytes: LIMITS.sessionMaxBytes }),
    session_id: filter('Session.'),
    tags: names('Tags.', LIMITS.tagsMax).optional(),
    visibility: filter('Default workspace.'),
    dry_run: flag('Store nothing.').default(false),
    // No `idempotency_key`: asked again, a model says something else, so a retry would be another request.
    workspace_hash: workspaceHash,
  }),
  about:
    'Has a language model draw lessons from the record of a session, and stores each as a memory with how sure ' +
    'the model is, and an entry in the journal. A dry run stores nothing. It needs a model.',
  example: {
    session_content: 'user: the tests fail on CI only. assistant: the clock is mocked there, so use the real one.',
    dry_run: true,
  },
  annotations: { ...ADDS, openWorldHint: true },
  profile: 'all',
  operation: 'network',
  run: async (args, caller, { execute, clock, language }) => {
    const scope = scopeOf(caller, args.workspace_hash);
    // Before a model has worked for a minute in vain.
    requireWrite(scope, homeOf(scope));
    if (language === undefined)
      throw new MimirError('no_model', 'No language model is set, and lessons need one.', { hint: SET_A_MODEL });
    const { session_content: session, session_id: sessionId = '', tags = [], visibility = 'workspace' } = args;
    const { lessons, skipped } = await language.lessons(session, caller.signal);
    const contentBytes = Buffer.byteLength(session);
    const done = args.dry_run
      ? null
      : await execute('synthesize', scope, { lessons, sessionId, contentBytes, tags, visibility }, optionsOf(caller));
    return JSON.stringify({
      lessons: lessons.map(({ type, summary, evidence, confidence }, at) => ({
        lesson_type: type,
        summary,
        evidence,
        confidence,
        ...done?.made[at],
      })),
      entities_created: done?.made.length ?? 0,
      journal_id: done?.journalId ?? '',
      dry_run: args.dry_run,
      completed_at_unix_ms: done?.createdAtMs ?? clock.nowMs(),
      ...(skipped > 0 && { skipped }),
    });
  },
});
