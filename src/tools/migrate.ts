import { resolve } from 'node:path';

import { z } from 'zod';

import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { defineTool, optionsOf, scopeOf, SETS } from './define.ts';
import { flag, name } from './fields.ts';
import { invalidArgument } from './input.ts';
import { firstOf } from './render.ts';
import type { EarlyPage } from '../memory/types.ts';

/** What is said of a file without memories of version 0.1. */
const NOTHING = {
  early: [],
  original: ['This is a database of Mimir 2, not of 0.1: name it with --db, and it is imported.'],
  none: ['No table of memories of Mimir 0.1 is in this file.'],
} as const;

/** Takes the memories of an old file over. */
export const migrate = defineTool({
  name: 'mimir_migrate',
  title: 'Migrate a file of version 0.1',
  description: 'Use to take over the memories of a Mimir 0.1 file. What is here already stays as it is.',
  input: z.object({
    from_path: name('The old file, on the machine of the server.'),
    dry_run: flag('Only say what would be done.').default(false),
  }),
  about:
    'Takes over the memories of a file that Mimir 0.1 wrote, in steps; rows that cannot be read are named by ' +
    'their number, and a second run leaves alone what is there. A database of Mimir 2.1 needs no tool: it is ' +
    'imported when it is opened (docs/moving.md).',
  example: { from_path: '/old/mimir.db', dry_run: true },
  annotations: SETS,
  profile: 'all',
  operation: 'several',
  run: async ({ from_path: fromPath, dry_run: dryRun }, caller, { execute, clock, folders }) => {
    if (caller.anyFolder !== true) {
      throw new MimirError('forbidden', 'Over HTTP no file can be named.', {
        hint: 'Use the command line on the machine of the server: mimir migrate --from FILE --to STORE',
      });
    }
    if (fromPath === '') throw invalidArgument('migrate', 'from_path', 'is empty', 'the path of a file');
    const [scope, options] = [scopeOf(caller, undefined), optionsOf(caller)];
    const path = resolve(folders.atHome(fromPath));
    const errors: string[] = [];
    const notes: string[] = [];
    let [total, created, present, seen] = [0, 0, 0, 0];
    for (let after: number | null = null; ;) {
      const page: EarlyPage = await execute('migrate_read', scope, { path, after, seen }, options);
      total = page.total;
      seen += page.memories.length + page.errors.length;
      errors.push(...NOTHING[page.kind], ...page.errors);
      const done = await execute('migrate_write', scope, { memories: page.memories, dryRun }, options);
      created += done.created;
      present += done.present;
      notes.push(...done.notes);
      options.progress?.(seen, total);
      if (page.next === null) break;
      after = page.next;
    }
    return JSON.stringify({
      total_old_memories: total,
      entities_created: created,
      entities_updated: 0,
      errors: firstOf(errors, LIMITS.migrateNamedMax),
      completed_at_unix_ms: clock.nowMs(),
      ...(present > 0 && { already_there: present }),
      ...(notes.length > 0 && { mended: firstOf(notes, LIMITS.migrateNamedMax) }),
      ...(dryRun && { dry_run: true }),
    });
  },
});
