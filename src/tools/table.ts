import { MimirError, sentenceOf } from '../errors.ts';
import type { Profile, Tool, ToolDeps } from './define.ts';
import { recallMany, rememberMany } from './batches.ts';
import { embed } from './embed.ts';
import { ingest } from './ingest.ts';
import { autocohere, cohere } from './coherence.ts';
import { journal, timeline } from './journal.ts';
import { conflicts, score, supersede } from './judging.ts';
import { ask, synthesize } from './language.ts';
import { bench, correct } from './lessons.ts';
import { link, traverse, unlink } from './links.ts';
import { context, forget, getEntity, recall, remember } from './memories.ts';
import { migrate } from './migrate.ts';
import { recallWhen } from './recall-when.ts';
import { share, workspaceList } from './spaces.ts';
import { stateDelete, stateGet, stateList, stateSet } from './state.ts';
import { health, stats, verify } from './status.ts';
import { federate, vaultExport, vaultImport } from './vault.ts';
import type { ToolAnswer, ToolListing, ToolTable } from './types.ts';
import { compact, decay, maintenance, prune, purge, reindex } from './upkeep.ts';

/** All tools in the order of the original's list; clients cache prompts by it. */
export const TOOLS: readonly Tool[] = [
  remember,
  recall,
  ask,
  getEntity,
  forget,
  ingest,
  embed,
  prune,
  link,
  unlink,
  journal,
  timeline,
  stateSet,
  stateGet,
  stateDelete,
  stateList,
  health,
  stats,
  compact,
  purge,
  migrate,
  context,
  traverse,
  score,
  conflicts,
  vaultExport,
  vaultImport,
  decay,
  reindex,
  workspaceList,
  recallWhen,
  cohere,
  share,
  federate,
  correct,
  synthesize,
  bench,
  autocohere,
  supersede,
  maintenance,
  // Not of the original: behind its tools, so that its list stays as clients know it.
  rememberMany,
  recallMany,
  verify,
];

/** What the table works with. */
export interface TableDeps extends ToolDeps {
  /** Told of every error that is ours; the client gets only the incident's id. */
  readonly onBug: (error: unknown, incidentId: string) => void;
  /**
   * Which tools `list` shows: names of tools, without `mimir_` too, and of profiles; `core` when absent. A tool that is not
   * shown can be called all the same.
   */
  readonly show?: Profile | readonly string[];
}

/** Builds the one table that stands behind every door. Throws `invalid_argument` when `show` names what does not exist. */
export function createTable(deps: TableDeps): ToolTable {
  const byName = new Map(TOOLS.map((tool) => [tool.listing.name, tool]));
  return Object.freeze<ToolTable>({
    list: listingOf(typeof deps.show === 'string' ? [deps.show] : (deps.show ?? ['core'])),
    core: listingOf(['core']),
    all: listingOf(['all']),
    access: (name) => byName.get(name)?.access,
    call: async (name, args, caller) => {
      const tool = byName.get(name);
      if (tool === undefined) throw unknownTool(name);
      try {
        const rendered = await tool.run(args, caller, deps);
        return typeof rendered === 'string'
          ? { json: rendered, text: rendered, isError: false }
          : { ...rendered, isError: false };
      } catch (error) {
        if (error instanceof MimirError && error.code !== 'bug') return failure(error);
        throw bugOf(error, deps);
      }
    },
  });
}

/** The tools of these names and profiles, in the order of the table. */
function listingOf(show: readonly string[]): readonly ToolListing[] {
  const names = TOOLS.map(({ listing }) => listing.name);
  const wanted = show.map((word) => (names.includes(`mimir_${word}`) ? `mimir_${word}` : word));
  const unknown = wanted.find((word) => word !== 'core' && word !== 'all' && !names.includes(word));
  if (unknown !== undefined) {
    throw new MimirError(
      'invalid_argument',
      `There is no tool ${PLAIN_NAME.test(unknown) ? unknown : 'of that name'} to list.`,
      { hint: `Give --tools (MIMIR_TOOLS) core, all, or names with commas between them: ${names.join(', ')}.` },
    );
  }
  const isShown = ({ profile, listing }: Tool): boolean =>
    wanted.includes('all') || wanted.includes(listing.name) || (profile === 'core' && wanted.includes('core'));
  return Object.freeze(TOOLS.filter(isShown).map((tool) => tool.listing));
}

const PLAIN_NAME = /^[\w.-]{1,64}$/;

function unknownTool(name: string): MimirError {
  return new MimirError('unknown_tool', PLAIN_NAME.test(name) ? `Unknown tool: ${name}.` : 'Unknown tool.');
}

/** An error as an answer. `error` is the member that clients of the original look for. */
function failure(error: MimirError): ToolAnswer {
  const { message, code, kind, hint, retryAfterMs, facts } = error;
  const json = JSON.stringify({ ...facts, error: message, code, kind, hint, retryAfterMs });
  return { json, text: sentenceOf(error), isError: true };
}

/** Notes the bug; what is thrown on names the incident and nothing else. */
function bugOf(error: unknown, { clock, onBug }: TableDeps): MimirError {
  const incident = Buffer.from(clock.randomBytes(4)).toString('hex');
  onBug(error, incident);
  return new MimirError('bug', `Internal error, incident ${incident}.`, { facts: { incident } });
}
