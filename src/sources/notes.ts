import { basename, extname } from 'node:path';

import { parse } from 'yaml';

import { LIMITS } from '../limits.ts';
import type { DocumentLink, SourceDocument } from '../memory/sourced.ts';

const FRONT_MATTER = /^---[ \t]*\r?\n([\s\S]*?)\r?\n---[ \t]*(?:\r?\n|$)/;
const WIKILINK =
  /(?:^[ \t]*[-*][ \t]+([\p{L}\p{N}_][\p{L}\p{N}_ -]*?)[ \t]+)?\[\[([^\]|#\n]+)(?:#[^\]|\n]*)?(?:\|[^\]\n]*)?\]\]/gmu;

/**
 * A Markdown file with what its author wrote for programs: `tags` and `title` of the front matter, and `[[wikilinks]]`. A list item
 * that begins `- works_at [[Acme]]`, as basic-memory writes it, says what the link means. The text stays as it is, so that lines are right.
 */
export function asNote(document: SourceDocument): SourceDocument {
  const front = frontMatter(document.text);
  const file = basename(document.path, extname(document.path));
  const title = typeof front['title'] === 'string' ? front['title'] : '';
  const permalink = typeof front['permalink'] === 'string' ? front['permalink'] : '';
  const given = front['tags'];
  const tags = (Array.isArray(given) ? given : typeof given === 'string' ? given.split(/[,\s]+/) : [])
    .filter((tag) => typeof tag === 'string' || typeof tag === 'number')
    .map((tag) => String(tag).replace(/^#/, ''))
    .filter((tag) => tag !== '');
  return {
    ...document,
    tags: [...new Set([...document.tags, ...tags])].slice(0, LIMITS.tagsMax),
    meta: { ...document.meta, ...(title !== '' && { title }) },
    names: [title, permalink, file].filter((name) => name !== ''),
    links: linksIn(document.text),
  };
}

function frontMatter(text: string): Readonly<Record<string, unknown>> {
  const yaml = FRONT_MATTER.exec(text)?.[1];
  if (yaml === undefined) return {};
  try {
    // Looking for equal names takes the square of their number; notes may have any.
    const value: unknown = parse(yaml, { logLevel: 'error', uniqueKeys: false });
    return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {};
  } catch {
    return {}; // a note that begins with a line of dashes; it is stored as it is
  }
}

function linksIn(text: string): DocumentLink[] {
  const links = new Map<string, DocumentLink>();
  for (const [, meaning, target = ''] of text.matchAll(WIKILINK)) {
    const link = { to: target.trim(), relationship: meaning ?? 'mentions' };
    links.set(`${link.relationship}\0${link.to}`, link);
  }
  return [...links.values()];
}
