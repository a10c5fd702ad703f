import { MimirError } from '../errors.ts';
import type { Profile, Tool, ToolDeps } from './define.ts';
import { recallMany, rememberMany } from './batches.ts';
import { journal, timeline } from './journal.ts';
import { link, traverse, unlink } from './links.ts';
import { context, forget, getEntity, recall, remember } from './memories.ts';
import { stateDelete, stateGet, stateList, stateSet } from './state.ts';
import { health, stats } from './status.ts';
import type { ToolAnswer, ToolTable } from './types.ts';
import { compact, decay, maintenance, prune, purge, reindex } from './upkeep.ts';

/** All tools in the order of the original's list; clients cache prompts by it. */
const TOOLS: readonly Tool[] = [
  remember,
  recall,
  getEntity,
  forget,
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
  context,
  traverse,
  decay,
  reindex,
  maintenance,
  // Not of the original: behind its tools, so that its list stays as clients know it.
  rememberMany,
  recallMany,
];

/** What the table works with. */
export interface TableDeps extends ToolDeps {
  /** Told of every error that is ours; the client gets only the incident's id. */
  readonly onBug: (error: unknown, incidentId: string) => void;
  /** Which tools `list` shows; all when absent. A tool that is not shown can be called all the same. */
  readonly show?: Profile | readonly string[];
}

/** Builds the one table that stands behind every door. */
export function createTable(deps: TableDeps): ToolTable {
  const byName = new Map(TOOLS.map((tool) => [tool.listing.name, tool]));
  const list = Object.freeze(TOOLS.filter((tool) => isShown(tool, deps.show ?? 'all')).map((tool) => tool.listing));
  return Object.freeze<ToolTable>({
    list,
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

function isShown(tool: Tool, show: Profile | readonly string[]): boolean {
  if (show === 'all') return true;
  return show === 'core' ? tool.profile === 'core' : show.includes(tool.listing.name);
}

const PLAIN_NAME = /^[\w.-]{1,64}$/;

function unknownTool(name: string): MimirError {
  return new MimirError('unknown_tool', PLAIN_NAME.test(name) ? `Unknown tool: ${name}.` : 'Unknown tool.');
}

/** An error as an answer. `error` is the member that clients of the original look for. */
function failure(error: MimirError): ToolAnswer {
  const { message, code, kind, hint, retryAfterMs, facts } = error;
  const json = JSON.stringify({ ...facts, error: message, code, kind, hint, retryAfterMs });
  return { json, text: hint === undefined ? message : `${message} ${hint}`, isError: true };
}

/** Notes the bug; what is thrown on names the incident and nothing else. */
function bugOf(error: unknown, { clock, onBug }: TableDeps): MimirError {
  const incident = Buffer.from(clock.randomBytes(4)).toString('hex');
  onBug(error, incident);
  return new MimirError('bug', `Internal error, incident ${incident}.`, { facts: { incident } });
}
