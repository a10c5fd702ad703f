// What a replay found, for people and for programs.
import type { Finding } from './compare.ts';
import { asText, type Json } from './recording.ts';
import type { Report } from './replay.ts';

const SHOWN_CHARS = 200;
/** Findings shown of one group. */
const EXAMPLES = 3;

/** A report for people: how much was compared, what is not there yet, and what differs and nobody decided, in groups. */
export function printedReport(report: Report): string {
  const { sessions, undecided, unneeded, needed } = report;
  const sum = (count: (one: Report['sessions'][number]) => number): number =>
    sessions.reduce((all, one) => all + count(one), 0);
  const decided = [...needed.values()].reduce((all, one) => all + one, 0);
  const lines = [
    `${sessions.length} sessions, ${sum(({ compared }) => compared)} steps compared, ` +
      `${sum(({ leftOut, skipped }) => (leftOut?.steps ?? 0) + skipped)} left out.`,
    notThereYet(report),
    `${decided} differences are decided, by ${needed.size} lines of the table.`,
  ];
  for (const [group, findings] of grouped(undecided)) {
    lines.push('', `UNDECIDED ${group} (${findings.length} times)`);
    for (const finding of findings.slice(0, EXAMPLES)) lines.push(...shown(finding));
  }
  if (unneeded.length > 0) lines.push('', `Lines of the table that nothing needs: ${unneeded.join(', ')}.`);
  if (undecided.length === 0) lines.push('Nothing else differs.');
  return `${lines.filter((line, i) => line !== '' || i > 2).join('\n')}\n`;
}

/** One line about what the sessions need and is not there yet, or whose differences are not written down yet. */
export function notThereYet({ sessions }: Report): string {
  const counts = new Map<string, number>();
  for (const { leftOut } of sessions) {
    if (leftOut !== undefined) counts.set(leftOut.missing, (counts.get(leftOut.missing) ?? 0) + 1);
  }
  if (counts.size === 0) return '';
  const names = [...counts].toSorted(([one], [other]) => (one < other ? -1 : 1));
  const parts = names.map(([name, sessionCount]) => `${name} (ends ${sessionCount} of the sessions)`);
  return `Not there, or not judged yet: ${parts.join(', ')}.`;
}

/** The same for programs. */
export function jsonReport({ sessions, undecided, unneeded, needed }: Report): string {
  const told = undecided.map(({ session, step, tool, args, kind, at, theirs, ours }) => ({
    session,
    step,
    tool,
    args,
    kind,
    at,
    theirs,
    ours,
  }));
  const counted = sessions.map(({ name, compared, skipped, leftOut, judged }) => ({
    name,
    compared,
    skipped,
    ...(leftOut !== undefined && { leftOut }),
    differences: judged.length,
  }));
  return `${JSON.stringify({ sessions: counted, undecided: told, unneeded, needed: Object.fromEntries(needed) }, null, 2)}\n`;
}

function grouped(findings: readonly Finding[]): [string, Finding[]][] {
  const groups = new Map<string, Finding[]>();
  for (const finding of findings) {
    const group = [finding.tool, finding.kind, finding.at].filter((part) => part !== '').join(' ');
    groups.set(group, [...(groups.get(group) ?? []), finding]);
  }
  return [...groups].toSorted(([, one], [, other]) => other.length - one.length);
}

function shown({ session, step, args, kind, theirs, ours }: Finding): string[] {
  return [
    `  ${session}, step ${step}: ${brief(args)}`,
    `      ${kind === 'broken' ? 'it must be:  ' : 'the original:'} ${brief(theirs)}`,
    `      ours:         ${brief(ours)}`,
  ];
}

function brief(value: Json | undefined): string {
  const text = value === undefined ? 'nothing' : asText(value);
  return text.length <= SHOWN_CHARS ? text : `${text.slice(0, SHOWN_CHARS)}... (${text.length} characters)`;
}
