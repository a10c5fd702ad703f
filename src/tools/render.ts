import type { ContextOutput } from '../engine/context.ts';
import type { GetEntityOutput } from '../engine/entities.ts';
import { movingNumbers, unpackHits, type Hit } from '../engine/hits.ts';
import type { Node, TraverseOutput } from '../engine/links.ts';
import type { RecallOutput } from '../engine/recall.ts';
import type { UsageNotes } from '../engine/usage.ts';
import { linkJson } from '../memory/item.ts';
import type { JournalEntry } from '../memory/types.ts';

/** A recall's answer, and the rows that it strengthens, each with its stored count. */
export interface RenderedRecall {
  readonly json: string;
  readonly rows: ReadonlyMap<number, number>;
}

/**
 * The answer of a recall as JSON text: the hits' finished texts with their moving numbers behind, joined and not parsed.
 * The numbers are those before this recall.
 */
export function renderRecall(
  output: RecallOutput,
  usage: UsageNotes,
  nowMs: number,
  members: Readonly<Record<string, unknown>> = {},
): RenderedRecall {
  const hits = unpackHits(output.hits);
  let items = '';
  for (const hit of hits) items += `${items === '' ? '' : ','}${itemText(hit, usage, nowMs)}`;
  const rest = JSON.stringify({
    total: hits.length,
    ...members,
    ...(output.below !== undefined && { below_min_confidence: output.below }),
    ...(output.nextOffset !== undefined && { next_offset: output.nextOffset }),
  });
  return {
    json: `{"items":[${items}],${rest.slice(1)}`,
    rows: new Map(hits.filter((hit) => !hit.archived).map((hit) => [hit.row, hit.usage.count])),
  };
}

function itemText(hit: Hit, usage: UsageNotes, nowMs: number): string {
  const { count, lastAtMs, layer, strength } = movingNumbers(hit, usage.overlay(hit.row, hit.usage), nowMs);
  return `${hit.text},"retrieval_count":${count},"last_accessed_unix_ms":${lastAtMs},"layer":"${layer}","decay_score":${strength}}`;
}

/** One line for whoever found nothing, and its machine-readable reason; `behind`: some memories have no vector yet. */
export function emptyMembers(output: RecallOutput, offset: number, behind = false): Record<string, string> {
  if (output.empty === undefined) return {};
  if (output.empty === 'store_empty') return { reason: 'empty_store', hint: `Nothing is stored yet. ${HOW_TO_BEGIN}` };
  if (output.empty === 'filtered_out') {
    return { reason: 'filtered_out', hint: 'There are matches outside of the filters: leave one out.' };
  }
  if (output.empty === 'below_floor') {
    const hint = `${output.below ?? 0} memories share a word with it, and hardly answer it: \`min_confidence: 0\` shows them.`;
    return { reason: 'below_floor', hint };
  }
  if (output.empty === 'index_behind' || (behind && offset === 0)) {
    const hint = 'Nothing matched, but the index is still being made: ask again in a while.';
    return { reason: 'index_behind', hint };
  }
  const hint =
    offset > 0
      ? 'There is nothing behind this `offset`.'
      : 'Nothing matched. Try other words or fewer filters; an empty `query` lists the newest memories.';
  return { reason: 'no_match', hint };
}

const HOW_TO_BEGIN = 'Begin with mimir_remember: give `category`, `key` and `body_json`.';

/** A briefing as markdown, in the original's layout. */
export function renderContext(output: ContextOutput, usage: UsageNotes, nowMs: number): string {
  const pinned = unpackHits(output.pinned);
  const newest = unpackHits(output.newest);
  const line = (hit: Hit): string => (output.whole ? `${hit.text}\n` : lineText(hit, usage, nowMs));
  let markdown = '## Mimir Context\n\n';
  if (pinned.length > 0) {
    markdown += '### Always On\n\n';
    for (const hit of pinned) markdown += line(hit).replace(/^- /, '- [always-on] ');
    markdown += '\n';
  }
  for (const hit of newest) markdown += line(hit);
  markdown += `\n> ${pinned.length + newest.length} entities recalled\n`;
  if (output.storeEmpty) markdown += `> Nothing is stored yet. ${HOW_TO_BEGIN}\n`;
  if (output.cut) markdown += '> More was left out to keep this short: mimir_recall finds the rest.\n';
  return markdown;
}

function lineText(hit: Hit, usage: UsageNotes, nowMs: number): string {
  const { count, strength } = movingNumbers(hit, usage.overlay(hit.row, hit.usage), nowMs);
  return `${hit.text} (retrievals: ${count}, decay: ${strength.toFixed(2)})\n`;
}

/** One entity, with the names that this tool has always had (`entity_type`). */
export function renderEntity({ entity, links }: GetEntityOutput, usage: UsageNotes, nowMs: number): string {
  const { importance, layer, alwaysOn, verified } = entity;
  const moving = movingNumbers(
    { importance, layer, lasting: alwaysOn || verified },
    usage.overlay(entity.row, entity.usage),
    nowMs,
  );
  return JSON.stringify({
    id: entity.id,
    category: entity.category,
    key: entity.key,
    body_json: entity.bodyJson,
    status: entity.status,
    entity_type: entity.type,
    tags: entity.tags,
    decay_score: moving.strength,
    retrieval_count: moving.count,
    layer: moving.layer,
    always_on: alwaysOn,
    certainty: entity.certainty,
    created_at_unix_ms: entity.createdAtMs,
    last_accessed_unix_ms: moving.lastAtMs,
    workspace_hash: entity.workspace,
    visibility: entity.visibility,
    agent_id: entity.agentId,
    links: links.map(linkJson),
    archived: entity.archived,
  });
}

/** The entities that links lead to. */
export function renderTraversal({ entity, traversed, cut }: TraverseOutput): string {
  return JSON.stringify({
    entity: nodeMembers(entity),
    traversed: traversed.map(({ relationship, depth, ...node }) => ({ ...nodeMembers(node), relationship, depth })),
    ...(cut && { truncated: true }),
  });
}

function nodeMembers({ id, category, key, bodyJson, links }: Node): Record<string, unknown> {
  return {
    id,
    category,
    key,
    body_json: bodyJson,
    links: links.map(({ targetId, relationship }) => ({ target_id: targetId, relationship })),
  };
}

/** A journal entry as the timeline shows it. */
export function journalMembers(entry: JournalEntry): Record<string, unknown> {
  return {
    id: entry.id,
    event_type: entry.eventType,
    evaluated_json: entry.evaluatedJson,
    acted_json: entry.actedJson,
    forward_json: entry.forwardJson,
    category: entry.category,
    key: entry.key,
    entity_id: entry.entityId,
    agent_id: entry.agentId,
    created_at_unix_ms: entry.createdAtMs,
  };
}

/** The first `most` of some lines, and how many more there are. */
export function firstOf(lines: readonly string[], most: number): readonly string[] {
  const more = lines.length - most;
  return more <= 0 ? lines : [...lines.slice(0, most), `and ${more} more`];
}
