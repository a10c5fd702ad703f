import { z } from 'zod';
import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Meaning } from '../provider/meaning.ts';
import { defineTool, optionsOf, scopeOf, SETS, type ToolDeps } from './define.ts';
import { clamped, name, text } from './fields.ts';
import { invalidArgument } from './input.ts';
import type { Caller } from './types.ts';

/** Embeds memories now. */
export const embed = defineTool({
  name: 'mimir_embed',
  title: 'Embed now',
  description: 'Use to give memories their vector at once; with a model set, that happens in the background anyway.',
  input: z.object({
    text: text('What to embed in place of the memory itself.', { maxBytes: LIMITS.bodyJsonMaxBytes }).optional(),
    category: name('Category of one memory.').optional(),
    key: name('Key of one memory.').optional(),
    batch_category: name('Instead: all of this category that have none.').optional(),
    batch_limit: clamped(`Of these, at most ${LIMITS.embedManyMax}.`, 0, LIMITS.embedManyMax).default(100),
    workspace_hash: name('Which one, if several have the key.').optional(),
  }),
  about:
    'Gives one memory, or all of a category that have none, a vector at once. Where `--embedding-model` is set ' +
    'this happens in the background; the tool says what is wrong when it does not work. Where `batch_limit` leaves some ' +
    'over, the answer has `more: true`.',
  example: { batch_category: 'decision' },
  annotations: { ...SETS, openWorldHint: true },
  profile: 'all',
  operation: 'network',
  run: async (args, caller, deps) => {
    if (args.batch_category !== undefined) return embedCategory(args.batch_category, args, caller, deps);
    const { category, key, workspace_hash: workspace, text: given } = args;
    if (category === undefined) throw invalidArgument('embed', 'category', 'is required', 'the category of a memory');
    if (key === undefined) throw invalidArgument('embed', 'key', 'is required', 'the key of a memory');
    const scope = scopeOf(caller, workspace);
    const [found] = await deps.execute('embedding_texts', scope, { space: 0, category, key }, optionsOf(caller));
    if (found === undefined) throw new Error('a memory was found and is not there');
    const model = modelOf(deps);
    const made = await model.embed(given ?? found.text, caller.signal);
    const embedded = await model.keep(made, found.body);
    return JSON.stringify({ embedded, id: found.id, dimensions: made.vector.length });
  },
});

function modelOf({ meaning }: ToolDeps): Meaning {
  if (meaning === undefined) throw new MimirError('no_model', 'No embedding model is set.');
  return meaning;
}

async function embedCategory(
  category: string,
  { batch_limit: limit, workspace_hash: workspace }: { batch_limit: number; workspace_hash?: string | undefined },
  caller: Caller,
  deps: ToolDeps,
): Promise<string> {
  const scope = scopeOf(caller, workspace);
  const known = await deps.execute('embedding_status', scope, {}, optionsOf(caller));
  const asked = { space: known.space, category, limit };
  const waiting = await deps.execute('embedding_texts', scope, asked, optionsOf(caller));
  const errors: string[] = [];
  let embedded = 0;
  let down: MimirError | null = null;
  for (const [at, { id, body, text: own }] of waiting.entries()) {
    try {
      // A server that does not answer for one memory will not for the next: a caller is not kept waiting for each.
      if (down !== null) throw down;
      const model = modelOf(deps);
      embedded += await model.keep(await model.embed(own, caller.signal), body);
    } catch (thrown) {
      if (!(thrown instanceof MimirError) || thrown.code === 'bug' || thrown.code === 'cancelled') throw thrown;
      if (thrown.code === 'provider_down') down = thrown;
      errors.push(`${id}: ${thrown.message}`);
    }
    caller.progress?.(at + 1, waiting.length);
  }
  // Those that failed are still without; only one beyond them is left over.
  const { space } = await deps.execute('embedding_status', scope, {}, optionsOf(caller));
  const left = { ...asked, space, limit: errors.length + 1 };
  const isMore = (await deps.execute('embedding_texts', scope, left, optionsOf(caller))).length > errors.length;
  return JSON.stringify({ batch_category: category, embedded, errors, ...(isMore && { more: true }) });
}
