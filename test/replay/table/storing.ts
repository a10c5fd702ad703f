// What is stored, counted and kept.
import { LAYERS, strengthNow } from '../../../src/memory/retention.ts';
import { defaultOf, type Finding } from '../compare.ts';
import type { Difference } from '../difference.ts';
import type { Row } from '../ledger.ts';
import { isObject, textAt } from '../recording.ts';

const SHOWS_ITEMS = ['mimir_recall', 'mimir_get_entity', 'mimir_recall_when', 'mimir_context'];

function fieldOf({ at }: Finding): string {
  return at.slice(at.lastIndexOf('/') + 1);
}

/** The strength of a row that was used just now. */
function strengthOf(row: Row | undefined): number {
  if (row?.importance === undefined || row.uses === undefined) return Infinity;
  return strengthNow({ importance: row.importance, lasting: true, usage: { count: row.uses, lastAtMs: 0 } }, 0);
}

/** Lines about storing. */
export const STORING: readonly Difference[] = [
  {
    name: 'nothing-is-merged',
    tools: ['mimir_remember'],
    original:
      'A new memory that shares 70 % of its trigrams with another of the category is thrown away: `deduped (new key not ' +
      'created)`, and the id is that of the other.',
    ours:
      'It is stored: `created` with an id of its own, and `similar` names the others. Merging is a decision of its own ' +
      '(`mimir_cohere`, `mimir_supersede`).',
    reason: '"must run as root" and "must not run as root" are 80 % alike. What was acknowledged must be found again.',
    explains: ({ kind, at, answers, ours }) =>
      kind === 'changed' &&
      textAt(answers.theirs, 'action') === 'deduped (new key not created)' &&
      (at === '/id' || (at === '/action' && (ours === 'created' || ours === 'updated'))),
  },
  {
    name: 'workspace-is-identity',
    tools: ['mimir_remember'],
    original:
      'Category and key alone say which memory it is: a write from another workspace overwrites it and takes it along.',
    ours: 'Workspace, category and key do: each workspace keeps its own.',
    reason: 'Two projects that use the same key would otherwise overwrite each other without noticing.',
    explains: ({ kind, at, answers, row, args }) =>
      kind === 'changed' &&
      (at === '/id' || at === '/action') &&
      textAt(answers.theirs, 'action') === 'updated' &&
      textAt(answers.ours, 'action') === 'created' &&
      row !== undefined &&
      isObject(args) &&
      row.fields['workspace_hash'] !== (args['workspace_hash'] ?? ''),
  },
  {
    name: 'several-of-one-name',
    original: 'A category and a key name one memory, in whatever workspace it is.',
    ours:
      'Without `workspace_hash` they name the one in the workspace "", or the only one that there is; when several workspaces have ' +
      'one, the call is refused (`ambiguous`) and names them.',
    reason: 'Guessing would change the wrong memory.',
    shownBy: 'test/unit/tools-call.test.ts',
    explains: ({ kind, answers }) => kind === 'refused' && textAt(answers.ours, 'code') === 'ambiguous',
  },
  {
    name: 'omitted-fields-stay',
    tools: SHOWS_ITEMS,
    original:
      'Storing an existing key again resets everything that is left out: type, tags, status, links, `verified` and so on. ' +
      'So does importing its file from a vault, which leaves out most of that.',
    ours: 'What is left out stays as it is, and files leave out nothing.',
    reason: 'A client that corrects a body does not mean to cut its links.',
    explains: (finding) => {
      const { kind, at, theirs, row, foretold } = finding;
      if (row === undefined) return false;
      if (kind === 'extra' && at.endsWith('/links/[]')) return row.omitted.has('links');
      const field = fieldOf(finding) === 'entity_type' ? 'type' : fieldOf(finding);
      if (kind !== 'changed' || !row.omitted.has(field) || !foretold) return false;
      return JSON.stringify(theirs) === JSON.stringify(defaultOf(field));
    },
  },
  {
    name: 'uses-follow-what-is-found',
    tools: [...SHOWS_ITEMS, '$files'],
    original: '`retrieval_count` counts what its own recalls returned and what its merging touched.',
    ours:
      'It counts each answer of a recall that showed the memory, and each update, on from what an imported file says; reads write nothing, so the numbers reach ' +
      'the disk a little later, and a kill loses the last ones.',
    reason: 'Another order and other hits make other counts.',
    explains: (finding) => finding.kind === 'changed' && fieldOf(finding) === 'retrieval_count' && finding.foretold,
  },
  {
    name: 'layers-follow-uses',
    tools: [...SHOWS_ITEMS, 'mimir_stats', 'mimir stats'],
    original: 'The layer is set by the count at the last touch, and can fall again.',
    ours: 'It follows from the count whenever it is read (5 uses: working, 20: core), and never falls.',
    reason: 'The counts differ, see above; a layer that was given stays.',
    explains: (finding) =>
      finding.kind === 'changed' &&
      finding.foretold &&
      ((fieldOf(finding) === 'layer' && LAYERS.some((layer) => layer === finding.theirs)) ||
        finding.at.includes('/by_layer/')),
  },
  {
    name: 'strength-is-computed',
    tools: SHOWS_ITEMS,
    original:
      '`decay_score` is a stored number: set by `importance` at the creation, raised by 0.25 with each use and 0.15 with each ' +
      'merge, overwritten by `mimir_decay`. Values outside of 0 to 1 are kept.',
    ours:
      'It is computed when it is read: `importance` (which an update may set) and 0.25 for each use, at most 1, fading with the ' +
      'time since the last use. Pinned and verified memories do not fade.',
    reason: 'A fading that has to be triggered is forgotten, and one that overwrites importance loses it.',
    explains: (finding) => {
      if (finding.kind === 'changed') return fieldOf(finding) === 'decay_score' && finding.foretold;
      // `min_decay` looks at the strength as it is now, the one in the answers.
      const least = isObject(finding.args) ? Number(finding.args['min_decay'] ?? 0) : 0;
      if (!(least > 0) || finding.at !== '/items/[]') return false;
      const ours = Number(finding.around.ours['decay_score']);
      return finding.kind === 'extra' ? ours >= least : finding.kind === 'lacking' && strengthOf(finding.row) < least;
    },
  },
  {
    name: 'expired-is-gone',
    tools: ['mimir_stats', 'mimir_state_delete'],
    original: 'A state entry that has expired is counted, and found by a delete, until a later call sweeps it away.',
    ours: 'It is not there any more for anybody from the moment it expires.',
    reason: 'Whether somebody looked in between must not change an answer.',
    explains: ({ kind, at, theirs, ours, foretold }) =>
      kind === 'changed' &&
      ((at === '/total_state_entries' && foretold && Number(ours) < Number(theirs)) ||
        (at === '/found' && theirs === true && ours === false)),
  },
  {
    name: 'counts-of-what-is-stored',
    tools: ['mimir_stats', 'mimir stats', 'mimir_conflicts', 'mimir_purge', 'mimir_reindex', 'mimir_vault_export'],
    original: 'The counts are those of what its merging and moving left over.',
    ours: 'They count every memory that was acknowledged.',
    reason: 'See nothing-is-merged and workspace-is-identity.',
    explains: ({ kind, at, foretold }) =>
      (kind === 'changed' || kind === 'type') && foretold && !at.includes('/by_layer/'),
  },
  {
    name: 'link-says-what-is-there',
    tools: ['mimir_link'],
    original: 'A second link between the same two changes nothing, and the answer claims the new relationship.',
    ours: 'It changes nothing, and the answer names the relationship that is there.',
    reason: 'The answer is true.',
    explains: ({ kind, at, theirs, ours, args }) =>
      kind === 'changed' &&
      at === '/relationship' &&
      isObject(args) &&
      theirs === (args['relationship'] === '' ? 'related' : (args['relationship'] ?? 'related')) &&
      typeof ours === 'string',
  },
];
