import { LIMITS } from '../limits.ts';
import type { JournalEntry, TimelineFilter } from '../memory/types.ts';
import { agentOf, homeOf, requireWrite } from './lookup.ts';
import { reads, writes } from './operation.ts';

/** An event to be written down. The three texts are JSON. */
export interface JournalInput {
  readonly eventType: string;
  readonly evaluatedJson: string;
  readonly actedJson: string;
  readonly forwardJson: string;
  readonly category: string;
  readonly key: string;
  readonly entityId: string;
  readonly agentId: string;
}

/** The entry that was made. */
export interface JournalOutput {
  readonly id: string;
  readonly createdAtMs: number;
}

/** Appends an event to the journal of one workspace. */
export const journal = writes<JournalInput, JournalOutput>(async (tx, scope, input) => {
  const workspace = homeOf(scope);
  requireWrite(scope, workspace);
  const id = tx.newId('jrn-');
  const createdAtMs = tx.nowMs;
  const agentId = agentOf(scope, input.agentId) ?? '';
  await tx.appendJournal(scope, { ...input, id, workspace, agentId, createdAtMs });
  return { id, createdAtMs };
});

/** Which events, newest first. */
export interface TimelineInput {
  readonly filter: TimelineFilter;
  readonly limit: number;
  readonly offset: number;
}

/** The events found. */
export interface TimelineOutput {
  readonly entries: readonly JournalEntry[];
  /** Given when the page was cut short because its entries are large. */
  readonly nextOffset?: number;
}

/** Rows fetched at a time: entries may be large, so a page is not fetched before it is known to fit. */
const CHUNK = 100;

/** Reads the journal, newest first. */
export const timeline = reads<TimelineInput, TimelineOutput>('point', async (tx, scope, { filter, limit, offset }) => {
  const entries: JournalEntry[] = [];
  let chars = 0;
  while (entries.length < limit) {
    const count = Math.min(CHUNK, limit - entries.length);
    const chunk = await tx.timeline(scope, filter, count, offset + entries.length);
    for (const entry of chunk) {
      chars += entry.evaluatedJson.length + entry.actedJson.length + entry.forwardJson.length;
      if (entries.length > 0 && chars > LIMITS.answerMaxChars) return { entries, nextOffset: offset + entries.length };
      entries.push(entry);
    }
    if (chunk.length < count) break;
  }
  return { entries };
});
