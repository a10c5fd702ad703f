import { createHash } from 'node:crypto';

import { nestsDeeperThan } from '../../memory/json.ts';
import { LAYERS } from '../../memory/retention.ts';
import type { JournalEntry, Link, NewEntity, StateEntry, Usage } from '../../memory/types.ts';
import type { RawRow } from '../sqlite/original.ts';
import { looksEncrypted, openBody } from './bodies.ts';
import type { Mend } from './mends.ts';

/** A row of the original's `entities` as a store of ours takes it. */
export interface TakenEntity {
  readonly entity: NewEntity & { readonly createdAtMs: number };
  readonly usage: Usage;
  readonly links: readonly Link[];
}

/** What reading a row needs beside it. */
export interface Reading {
  /** 32 bytes, or null. */
  readonly key: Uint8Array | null;
  /** Stands in for times that cannot be read, Unix milliseconds. */
  readonly nowMs: number;
  /** Nesting that a body may have. */
  readonly depthMax: number;
  readonly hasEntity: (id: string) => boolean;
  readonly note: (mend: Mend, row: string) => void;
}

/**
 * Reads a row. Pure, and total: whatever a column holds, there is a value for it, and `note` is told. A column that the file has
 * not (an older one) has its default and is no mend. With a key, an encrypted body is opened; one that does not open is taken from
 * the text index, where the original keeps the plain text of live rows.
 */
export function readEntity(raw: RawRow, { key, nowMs, depthMax, hasEntity, note }: Reading): TakenEntity {
  const id = textIdOf(raw, 'mem-');
  const { text, number, whole } = columnsOf(raw, () => note('column', id));
  if (id !== raw['id']) note('no_id', id);
  const category = text('category', 'general');
  const name = text('key', id);
  const archived = whole('archived', 0) !== 0;
  if (!archived && raw['indexed_text'] === null) note('not_indexed', id);
  const createdAtMs = whole('created_at_unix_ms', nowMs);
  const links = readLinks(raw['links'], () => note('links', id)).filter(({ targetId }) => {
    const isThere = hasEntity(targetId);
    if (!isThere) note('link_to_nowhere', `${id} to ${targetId}`);
    return isThere;
  });
  return {
    entity: {
      id,
      workspace: text('workspace_hash', ''),
      category,
      key: name,
      bodyJson: readStored(raw, { key, category, name, depthMax, note: (mend) => note(mend, id) }),
      status: text('status', 'active'),
      type: text('type', 'insight'),
      tags: readTags(raw['tags'], () => note('tags', id)),
      importance: number('decay_score', 1),
      layer: LAYERS.find((layer) => layer === raw['layer']) ?? 'buffer',
      topicPath: text('topic_path', ''),
      archived,
      archiveReason: text('archive_reason', ''),
      verified: whole('verified', 0) !== 0,
      source: text('source', 'agent'),
      alwaysOn: whole('always_on', 0) !== 0,
      certainty: number('certainty', 0.5),
      agentId: text('agent_id', ''),
      visibility: text('visibility', 'workspace'),
      createdAtMs,
    },
    usage: {
      count: Math.max(0, whole('retrieval_count', 0)),
      lastAtMs: whole('last_accessed_unix_ms', createdAtMs),
    },
    links,
  };
}

interface Columns {
  text(column: string, otherwise: string): string;
  number(column: string, otherwise: number): number;
  /** A number without its fraction. */
  whole(column: string, otherwise: number): number;
}

/** Reads the columns of a row; `unreadable` is called once when one holds what it cannot be, and has its default. */
function columnsOf(raw: RawRow, unreadable: () => void): Columns {
  let isWhole = true;
  const read = <T>(column: string, value: T | undefined, otherwise: T): T => {
    if (value !== undefined) return value;
    if (raw[column] !== undefined && isWhole) {
      isWhole = false;
      unreadable();
    }
    return otherwise;
  };
  const numberIn = (column: string, fits: (value: number) => boolean, otherwise: number): number => {
    const value = raw[column];
    return read(column, typeof value === 'number' && fits(value) ? value : undefined, otherwise);
  };
  return {
    text: (column, otherwise) => {
      const value = raw[column];
      return read(column, typeof value === 'string' ? value : undefined, otherwise);
    },
    number: (column, otherwise) => numberIn(column, Number.isFinite, otherwise),
    whole: (column, otherwise) =>
      Math.trunc(numberIn(column, (value) => Number.isSafeInteger(Math.trunc(value)), otherwise)),
  };
}

function textIdOf(raw: RawRow, prefix: string): string {
  const id = raw['id'];
  return typeof id === 'string' && id !== '' ? id : idOf(raw, prefix);
}

function idOf(raw: RawRow, prefix: string): string {
  const hash = createHash('sha256').update(JSON.stringify([raw['rowid'], raw['created_at_unix_ms']]));
  return prefix + hash.digest('hex').slice(0, 12);
}

function readStored(
  raw: RawRow,
  about: { key: Uint8Array | null; category: string; name: string; depthMax: number; note: (mend: Mend) => void },
): string {
  const stored = raw['body_json'];
  if (typeof stored !== 'string') {
    about.note('column');
    return '{}';
  }
  let body = stored;
  if (about.key === null && looksEncrypted(stored)) {
    // Far fewer than would make one ask for a key (`refuseWrongKey` in import.ts): most likely a text that only looks so.
    about.note('looks_sealed');
  } else if (about.key !== null && looksEncrypted(stored)) {
    const opened = openBody(stored, about.key, about.category, about.name);
    const indexed = raw['indexed_text'];
    if (opened !== null) body = opened;
    else if (typeof indexed === 'string' && indexed !== stored) {
      body = indexed;
      about.note('other_key');
    } else {
      about.note('sealed');
      return stored;
    }
  }
  // Nothing that reads or writes JSON may meet a depth on which it would end.
  if (nestsDeeperThan(body, about.depthMax)) {
    about.note('too_deep');
    return JSON.stringify(body);
  }
  try {
    JSON.parse(body);
  } catch {
    about.note('not_json');
  }
  return body;
}

/** Tags as the original writes them. `{}` stands in files of version 0.1 for none. */
export function readTags(stored: unknown, unreadable: () => void): string[] {
  if (stored === undefined || stored === '' || stored === '{}') return [];
  const tags = parsed(stored);
  if (!Array.isArray(tags)) {
    unreadable();
    return [];
  }
  return tags.map((tag: unknown) => (typeof tag === 'string' ? tag : JSON.stringify(tag)));
}

/** Links as the original writes them; `relationship` and `weight` may be missing. */
export function readLinks(stored: unknown, unreadable: () => void): Link[] {
  if (stored === undefined || stored === '') return [];
  const links = parsed(stored);
  if (!Array.isArray(links)) {
    unreadable();
    return [];
  }
  const read: Link[] = [];
  let isBad = false;
  for (const link of links as unknown[]) {
    const { target_id: targetId, relationship = '', weight = 0.5 } = membersOf(link);
    const isReadable =
      typeof targetId === 'string' &&
      typeof relationship === 'string' &&
      // Half of a character cannot be stored as text.
      relationship.isWellFormed() &&
      typeof weight === 'number' &&
      Number.isFinite(weight);
    // A zero has no sign in the store.
    if (isReadable) read.push({ targetId, relationship, weight: weight === 0 ? 0 : weight });
    else isBad = true;
  }
  if (isBad) unreadable();
  return read;
}

function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function parsed(stored: unknown): unknown {
  if (typeof stored !== 'string') return undefined;
  try {
    return JSON.parse(stored) as unknown;
  } catch {
    return undefined; // the caller says that it cannot be read
  }
}

/** Reads a journal entry; its chain value is kept as it stands. */
export function readJournal(raw: RawRow, { nowMs, note }: Pick<Reading, 'nowMs' | 'note'>): JournalEntry {
  const id = textIdOf(raw, 'jrn-');
  if (id !== raw['id']) note('no_id', id);
  const { text, whole } = columnsOf(raw, () => note('column', id));
  return {
    id,
    eventType: text('event_type', 'decision'),
    evaluatedJson: text('evaluated_json', '{}'),
    actedJson: text('acted_json', '{}'),
    forwardJson: text('forward_json', '{}'),
    workspace: '',
    category: text('category', ''),
    key: text('key', ''),
    entityId: text('entity_id', ''),
    agentId: text('agent_id', ''),
    createdAtMs: whole('created_at_unix_ms', nowMs),
    ...(typeof raw['audit_hash'] === 'string' && { auditHash: raw['audit_hash'] }),
  };
}

/** Reads a key of the state. One whose time is over stays over; one whose time cannot be read, or is beyond all numbers, has none. */
export function readState(raw: RawRow, { nowMs, note }: Pick<Reading, 'nowMs' | 'note'>): StateEntry {
  const id = idOf(raw, 'state-');
  const { text, whole } = columnsOf(raw, () => note('column', typeof raw['key'] === 'string' ? raw['key'] : id));
  const expires = raw['expires_at_unix_ms'] === null ? NEVER : whole('expires_at_unix_ms', NEVER);
  return {
    workspace: '',
    key: text('key', id),
    valueJson: text('value_json', '{}'),
    expiresAtMs: expires === NEVER ? null : expires,
    createdAtMs: whole('created_at_unix_ms', nowMs),
  };
}

const NEVER = Number.POSITIVE_INFINITY;
