// Judges differences by the table.
import type { Finding } from './compare.ts';
import type { Difference } from './difference.ts';

/** A finding and the line of the table that explains it; without one it is a difference that nobody decided. */
export interface Judged {
  readonly finding: Finding;
  readonly line: string | undefined;
}

/** What one session came to. */
export interface SessionReport {
  readonly name: string;
  readonly compared: number;
  /** Steps that take something from an earlier answer which we have not given. */
  readonly skipped: number;
  readonly judged: readonly Judged[];
  /** Set when a tool or command of the session is not there yet: the rest would compare two different stores. */
  readonly leftOut: { readonly steps: number; readonly missing: string } | undefined;
}

/** Name of the cause of what follows from a difference that nobody decided: it is reported once, where it began. */
const UNDECIDED = 'undecided';

/** Finds the line for each finding, and the first line as the cause of what follows from this step. */
export function judge(
  findings: readonly Finding[],
  table: readonly Difference[],
): { readonly judged: readonly Judged[]; readonly cause: string } {
  const judged: Judged[] = [];
  let cause = '';
  for (const finding of findings) {
    const line = lineFor(finding, table);
    if (line === UNDECIDED) continue;
    judged.push({ finding, line });
    if (cause === '' || line === undefined) cause = line ?? UNDECIDED;
  }
  return { judged, cause };
}

function lineFor(finding: Finding, table: readonly Difference[]): string | undefined {
  if (finding.kind === 'broken') return undefined;
  const { cause } = finding;
  if (cause !== undefined && cause !== '') return cause;
  const fits = ({ tools, explains }: Difference): boolean =>
    (tools === undefined || tools.includes(finding.tool)) && explains?.(finding) === true;
  return table.find(fits)?.name;
}
