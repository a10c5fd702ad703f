import { z } from 'zod';
import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { ConnectorReport } from '../sources/connectors.ts';
import { requireOwner } from '../engine/lookup.ts';
import { defineTool, REMOVES, scopeOf } from './define.ts';
import { flag, name } from './fields.ts';
import { firstOf } from './render.ts';

/** Brings in what connectors find. */
export const ingest = defineTool({
  name: 'mimir_ingest',
  title: 'Bring in documents',
  description: 'Use to bring in files and issues from the configured connectors: what is new, changed or gone.',
  input: z.object({
    connector: name('Only this one, as github or file_watcher.').optional(),
    dry_run: flag('Only say what would be done.').default(false),
  }),
  about:
    'Brings in what the configured connectors find: new and changed documents are stored, in pieces that ' +
    'recall can name, and those that are gone are archived. A second call without changes writes nothing. ' +
    '`--connectors-config` names the settings (docs/sources.md).',
  example: { connector: 'file_watcher', dry_run: true },
  annotations: { ...REMOVES, openWorldHint: true },
  profile: 'all',
  operation: 'network',
  run: async ({ connector, dry_run: dryRun }, caller, { connectors }) => {
    requireOwner(scopeOf(caller, undefined));
    if (connectors === undefined || connectors.names.length === 0) {
      const [problem] = [...(connectors?.problems ?? []), ...(connectors?.notes ?? [])];
      throw new MimirError(
        'no_connectors',
        'This server has no connectors.',
        problem === undefined ? {} : { hint: problem },
      );
    }
    const { signal, progress } = caller;
    const reports = await connectors.ingest({
      dryRun,
      ...(connector !== undefined && { name: connector }),
      ...(signal !== undefined && { signal }),
      ...(progress !== undefined && { looked: progress }),
    });
    const notes = [...connectors.notes, ...reports.flatMap((report) => report.notes)];
    if (reports.length === 0) notes.push(`No connector has this name; there is ${connectors.names.join(', ')}.`);
    return JSON.stringify({
      ingested: sum(reports, ({ changed }) => changed.length),
      forgotten: sum(reports, ({ forgotten }) => forgotten.length),
      unchanged: sum(reports, (report) => report.unchanged),
      dry_run: dryRun,
      errors: firstOf([...connectors.problems, ...reports.flatMap(({ errors }) => errors)], LIMITS.ingestExamples),
      ...(notes.length > 0 && { notes: firstOf(notes, LIMITS.ingestExamples) }),
      ...(dryRun && {
        would_ingest: firstOf(
          reports.flatMap(({ changed }) => changed),
          LIMITS.ingestExamples,
        ),
        would_forget: firstOf(
          reports.flatMap(({ forgotten }) => forgotten),
          LIMITS.ingestExamples,
        ),
      }),
    });
  },
});

function sum(reports: readonly ConnectorReport[], count: (report: ConnectorReport) => number): number {
  return reports.reduce((total, report) => total + count(report), 0);
}
