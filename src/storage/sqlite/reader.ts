import { writeLines } from '../files.ts';
import { earlyMemories } from '../original/early.ts';
import type { Reader } from '../store.ts';
import { counts, fileBytes, names } from './counts.ts';
import { dumpLines } from './dump.ts';
import { entityAt, entityById, inOrder, items, recent, versionsOf, workspacesOf } from './entities.ts';
import { timeline } from './journal.ts';
import { kept, orphans } from './kept.ts';
import { linksOf } from './links.ts';
import { exportOriginal } from './original-export.ts';
import { indexIsCurrent } from './schema.ts';
import { candidates, termStatistics, triggered, vocabulary } from './search.ts';
import type { Session } from './session.ts';
import { stateGet, stateKeys } from './state.ts';
import { embedding, space, textOf, unembedded } from './vectors.ts';
import { examine } from './verify.ts';

/** The reading half of a store over one connection. */
export function sqliteReader(s: Session): Reader {
  return {
    get nowMs() {
      return s.nowMs;
    },
    entityAt: (scope, workspace, category, key) => entityAt(s, scope, workspace, category, key),
    workspacesOf: (scope, category, key) => workspacesOf(s, scope, category, key),
    entityById: (scope, id) => entityById(s, scope, id),
    versionsOf: (_scope, row, count) => versionsOf(s, row, count),
    linksOf: (_scope, row) => linksOf(s, row),
    termStatistics: (terms, archived) => termStatistics(s, terms, archived),
    indexIsCurrent: () => indexIsCurrent(s.sql),
    vocabulary: (term) => vocabulary(s, term),
    candidates: (scope, query, filters, count) => candidates(s, scope, query, filters, count),
    triggered: (scope, query, count) => triggered(s, scope, query, count),
    items: (scope, bodies) => items(s, scope, bodies),
    recent: (scope, filters, count, offset) => recent(s, scope, filters, count, offset),
    inOrder: (scope, category, archived, after, count) => inOrder(s, scope, category, archived, after, count),
    names: (scope) => names(s, scope),
    bytes: () => fileBytes(s),
    timeline: (scope, filter, count, offset) => timeline(s, scope, filter, count, offset),
    stateGet: (scope, workspace, key) => stateGet(s, scope, workspace, key),
    stateKeys: (scope, prefix) => stateKeys(s, scope, prefix),
    counts: (scope, noted) => counts(s, scope, noted),
    examine: (progress) => examine(s, progress),
    space: () => space(s),
    unembedded: (scope, filters, spaceId, after, count) => unembedded(s, scope, filters, spaceId, after, count),
    meaningText: (entity) => textOf(s, entity),
    embedding: () => embedding(s),
    kept: (scope, filter, after) => kept(s, scope, filter, after),
    orphans: (scope, after) => orphans(s, scope, after),
    exportLines: (path, progress) => writeLines(path, dumpLines(s, progress)),
    exportOriginal: (path, progress) => exportOriginal(s, path, progress),
    earlyMemories: (path, after, seen, count) => earlyMemories(path, after, seen, count),
  };
}
