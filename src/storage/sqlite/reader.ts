import type { Reader } from '../store.ts';
import { counts } from './counts.ts';
import { entityAt, entityById, items, recent, workspacesOf } from './entities.ts';
import { timeline } from './journal.ts';
import { linksOf } from './links.ts';
import { candidates, termStatistics, vocabulary } from './search.ts';
import type { Session } from './session.ts';
import { stateGet, stateKeys } from './state.ts';

/** The reading half of a store over one connection. */
export function sqliteReader(s: Session): Reader {
  return {
    get nowMs() {
      return s.nowMs;
    },
    entityAt: (scope, workspace, category, key) => entityAt(s, scope, workspace, category, key),
    workspacesOf: (scope, category, key) => workspacesOf(s, scope, category, key),
    entityById: (scope, id) => entityById(s, scope, id),
    linksOf: (_scope, row) => linksOf(s, row),
    termStatistics: (terms) => termStatistics(s, terms),
    vocabulary: (term) => vocabulary(s, term),
    candidates: (scope, query, filters, count) => candidates(s, scope, query, filters, count),
    items: (scope, bodies) => items(s, scope, bodies),
    recent: (scope, filters, count, offset) => recent(s, scope, filters, count, offset),
    timeline: (scope, filter, count, offset) => timeline(s, scope, filter, count, offset),
    stateGet: (scope, workspace, key) => stateGet(s, scope, workspace, key),
    stateKeys: (scope, prefix) => stateKeys(s, scope, prefix),
    counts: (scope, noted) => counts(s, scope, noted),
  };
}
