import { createHash } from 'node:crypto';

import type { Entity, EntityFields, Link, Usage } from './types.ts';

/**
 * What an entity says, wherever it is stored: no numbers of rows. Archived ones do not travel, so a reason is that of a live one:
 * why it was superseded.
 */
export interface Portable extends Omit<EntityFields, 'archived'> {
  readonly id: string;
  readonly workspace: string;
  readonly category: string;
  readonly key: string;
  /** JSON text, byte for byte. */
  readonly bodyJson: string;
  readonly links: readonly Link[];
  readonly createdAtMs: number;
  readonly usage: Usage;
}

/** The fields of a {@link Portable} that a version keeps, without identity and body. */
export type PortableFields = Omit<
  Portable,
  'id' | 'workspace' | 'category' | 'key' | 'bodyJson' | 'links' | 'createdAtMs' | 'usage'
>;

/** Those fields of an entity or of a version of it. */
export function fieldsOf(from: PortableFields & { readonly archived?: boolean }): PortableFields {
  const { status, type, tags, importance, layer, topicPath, verified, source, alwaysOn, certainty } = from;
  const { agentId, visibility } = from;
  return {
    status,
    type,
    tags,
    importance,
    layer,
    topicPath,
    verified,
    source,
    alwaysOn,
    certainty,
    agentId,
    visibility,
    archiveReason: from.archived === true ? '' : from.archiveReason,
  };
}

/** An entity with its links as it travels. */
export function portableOf(entity: Entity, links: readonly Link[]): Portable {
  const { id, workspace, category, key, bodyJson, createdAtMs, usage } = entity;
  return { id, workspace, category, key, bodyJson, ...fieldsOf(entity), links, createdAtMs, usage };
}

/** What {@link recordOf} looks at. */
export type Recorded = PortableFields &
  Pick<Portable, 'workspace' | 'category' | 'key' | 'bodyJson'> & { readonly archived?: boolean };

/** One text for what a version says: equal texts are equal versions. Links, use and times are no part of it. */
export function recordOf(from: Recorded): string {
  const { workspace, category, key, bodyJson } = from;
  // The body counts byte for byte, not by its meaning: an import must not change it.
  const { archiveReason, ...fields } = fieldsOf(from);
  const reason = archiveReason === '' ? {} : { archiveReason };
  return JSON.stringify([workspace, category, key, bodyJson, { ...fields, ...reason }]);
}

/** One text for links, in whatever order they were made. */
export function linksText(links: readonly Link[]): string {
  const texts = links.map(({ targetId, relationship, weight }) => JSON.stringify([targetId, relationship, weight]));
  return texts.toSorted().join();
}

/** A digest of {@link recordOf}, 16 hex digits. */
export function recordDigest(from: Recorded): string {
  return digestOf(recordOf(from));
}

/**
 * A digest of everything that a person could edit in a vault: record and links. Use and times move by themselves and do
 * not count. 16 hex digits.
 */
export function markOf(from: Recorded & Pick<Portable, 'links'>): string {
  return digestOf(`${recordOf(from)}\n${linksText(from.links)}`);
}

function digestOf(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex').slice(0, 16);
}
