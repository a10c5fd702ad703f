import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Entity, Link, Scope } from '../memory/types.ts';
import type { Reader } from '../storage/store.ts';
import { findNamed, requireWrite, widened } from './lookup.ts';
import { reads, writes } from './operation.ts';

/** Names both ends of a link. */
export interface UnlinkInput {
  readonly category: string;
  readonly key: string;
  readonly toId: string;
}

/** Names both ends of a link and what it means. */
export interface LinkInput extends UnlinkInput {
  /** Empty means `related`. */
  readonly relationship: string;
}

/** The link as it stands. */
export interface LinkOutput {
  readonly relationship: string;
}

/** What a link weighs when nobody says. */
export const LINK_WEIGHT = 0.5;

/** Links an entity to another. There is one link between two: a second call changes nothing and answers what is there. */
export const link = writes<LinkInput, LinkOutput>(async (tx, scope, { category, key, toId, relationship }) => {
  const source = await sourceOf(tx, scope, category, key);
  const target = await tx.entityById(widened(scope), toId);
  if (target === undefined) {
    throw new MimirError('not_found', 'Target entity not found: there is none with the id in `to_id`.', {
      hint: 'mimir_recall finds ids.',
    });
  }
  const links = await tx.linksOf(scope, source.row);
  const present = links.find(({ targetId }) => targetId === toId);
  if (present !== undefined) return { relationship: present.relationship };
  const meaning = relationship === '' ? 'related' : relationship;
  await tx.openLink(scope, source.row, toId, meaning, LINK_WEIGHT);
  return { relationship: meaning };
});

/** How many links were there. */
export interface UnlinkOutput {
  readonly closed: number;
}

/** Takes away what links an entity to another; no link is an answer, not an error. */
export const unlink = writes<UnlinkInput, UnlinkOutput>(async (tx, scope, { category, key, toId }) => {
  const source = await sourceOf(tx, scope, category, key);
  return { closed: await tx.closeLinks(scope, source.row, toId) };
});

async function sourceOf(tx: Reader, scope: Scope, category: string, key: string): Promise<Entity> {
  const source = await findNamed(tx, scope, category, key);
  if (source === undefined) {
    throw new MimirError(
      'not_found',
      'Source entity not found: there is none with this `from_category` and `from_key`.',
    );
  }
  requireWrite(scope, source.workspace);
  return source;
}

/** Where to begin and how far to go. */
export interface TraverseInput {
  readonly category: string;
  readonly key: string;
  readonly maxDepth: number;
  readonly maxNodes: number;
}

/** An entity on the way, with its own links. */
export interface Node {
  readonly id: string;
  readonly category: string;
  readonly key: string;
  readonly bodyJson: string;
  readonly links: readonly Link[];
}

/** A node and how it was reached. */
export interface Reached extends Node {
  readonly relationship: string;
  /** Links from the beginning, from 1. */
  readonly depth: number;
}

/** The beginning and what was reached from it, depth first, each entity once. */
export interface TraverseOutput {
  readonly entity: Node;
  readonly traversed: readonly Reached[];
  /** True when it stopped because the answer got too large. */
  readonly cut: boolean;
}

/** Follows links outward. Links to entities that are gone are skipped; archived ones are shown. */
export const traverse = reads<TraverseInput, TraverseOutput>(
  'point',
  async (tx, scope, { category, key, maxDepth, maxNodes }) => {
    const root = await findNamed(tx, scope, category, key);
    if (root === undefined) {
      throw new MimirError('not_found', 'Entity not found: there is none with this `category` and `key`.');
    }
    const entity = await nodeOf(tx, scope, root);
    const traversed: Reached[] = [];
    const seen = new Set([root.id]);
    let chars = entity.bodyJson.length;
    let cut = false;

    const visit = async (links: readonly Link[], depth: number): Promise<void> => {
      if (depth > maxDepth) return;
      for (const { targetId, relationship } of links) {
        if (cut || traversed.length >= maxNodes) return;
        if (seen.has(targetId)) continue;
        seen.add(targetId);
        const target = await tx.entityById(scope, targetId);
        if (target === undefined) continue;
        const node = await nodeOf(tx, scope, target);
        chars += node.bodyJson.length;
        if (chars > LIMITS.answerMaxChars) {
          cut = true;
          return;
        }
        traversed.push({ ...node, relationship, depth });
        await visit(node.links, depth + 1);
      }
    };
    await visit(entity.links, 1);
    return { entity, traversed, cut };
  },
);

async function nodeOf(tx: Reader, scope: Scope, { id, category, key, bodyJson, row }: Entity): Promise<Node> {
  return { id, category, key, bodyJson, links: await tx.linksOf(scope, row) };
}
