import { basename, dirname, extname, join, relative, resolve, sep } from 'node:path';

import { parse } from 'yaml';

import { LIMITS } from '../limits.ts';
import type { DocumentLink, SourceDocument } from '../memory/sourced.ts';
import { fileKey } from './files.ts';

const FRONT_MATTER = /^---[ \t]*\r?\n([\s\S]*?)\r?\n---[ \t]*(?:\r?\n|$)/;

/**
 * A Markdown file below `root` with what its author wrote for programs: `tags`, `title` and `type` of the front matter, and where it
 * leads to, as basic-memory reads it. The text stays as it is, so that lines are right.
 */
export function asNote(document: SourceDocument, root: string): SourceDocument {
  const front = frontMatter(document.text);
  const within = relative(root, document.path).split(sep).join('/');
  const bare = within.slice(0, within.length - extname(within).length);
  const title = textOf(front['title']);
  const permalink = textOf(front['permalink']);
  const kind = textOf(front['type']);
  const given = front['tags'];
  const tags = (Array.isArray(given) ? given : typeof given === 'string' ? given.split(/[,\s]+/) : [])
    .map((tag) => textOf(tag).replace(/^#/, ''))
    // Every file of basic-memory is a note, if it is nothing else.
    .concat(kind === 'note' ? '' : kind)
    .filter((tag) => tag !== '');
  return {
    ...document,
    tags: [...new Set([...document.tags, ...tags])].slice(0, LIMITS.tagsMax),
    meta: { ...document.meta, ...(title !== '' && { title }) },
    names: [title, permalink, withoutProject(permalink, within), bare, basename(bare)].filter((name) => name !== ''),
    links: linksIn(document.text, document.path, root),
  };
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

/** basic-memory puts the name of the project before a permalink, and leaves it out in links. */
function withoutProject(permalink: string, within: string): string {
  const parts = permalink.split('/');
  return parts.length === within.split('/').length + 1 ? parts.slice(1).join('/') : '';
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

const FENCE = /^[ \t]*(`{3,}|~{3,})/;
const CODE = /(`+)[^`]+\1(?!`)/g;
const ITEM = /^[ \t]*(?:[-*+]|\d+[.)])[ \t]+(.*)$/;
/** One word or several in quotes, a link, and at most a remark in brackets: anything else is a sentence. */
const RELATION =
  /^(?:"([^"]+)"|'([^']+)'|([\p{L}\p{N}_][^\s"'[\]]*))[ \t]+\[\[([^\]\n]+)\]\][ \t]*(?:\((?:[^()]|\([^()]*\))*\))?$/u;
const WIKILINK = /\[\[([^\]\n]+)\]\]/g;
const MARKDOWN_LINK = /\]\((?:<([^>\n]+)>|([^\s()]+))(?:[ \t]+"[^"]*")?\)/g;

function linksIn(text: string, path: string, root: string): DocumentLink[] {
  const links = new Map<string, DocumentLink>();
  const add = (relationship: string, to: string): void =>
    void links.set(`${relationship}\0${to}`, { to, relationship });
  const addNamed = (relationship: string, link: string): void => {
    const [shown = ''] = link.split('|');
    const [to, orTo] = [shown.trim(), shown.replace(/#.*$/, '').trim()];
    // A sign of a place in the note, or of its name: [[Harbour#Hours]], [[C# notes]].
    if (orTo !== '') links.set(`${relationship}\0${to}`, { to, ...(orTo !== to && { orTo }), relationship });
  };
  let fence = '';
  for (const written of text.split(/\r?\n/)) {
    const mark = FENCE.exec(written)?.[1] ?? '';
    if (fence !== '' || mark !== '') {
      if (fence === '') fence = mark;
      else if (mark.startsWith(fence)) fence = '';
      continue;
    }
    const line = written.replace(CODE, '');
    const [, quoted, single, word, target] = RELATION.exec(ITEM.exec(line)?.[1]?.trim() ?? '') ?? [];
    if (target !== undefined) {
      addNamed((quoted ?? single ?? word ?? '').trim().replace(/:+$/, ''), target);
      continue;
    }
    for (const [, linked = ''] of line.matchAll(WIKILINK)) addNamed('mentions', linked);
    for (const [, spaced, plain = ''] of line.matchAll(MARKDOWN_LINK)) {
      const file = fileIn(spaced ?? plain);
      if (file === '') continue;
      add('mentions', fileKey(file.startsWith('/') ? join(root, file) : resolve(dirname(path), file)));
    }
  }
  return [...links.values()];
}

/** The path in the address of a link; empty when it leads to no file. */
function fileIn(address: string): string {
  const path = address.replace(/[?#].*$/, '');
  if (/^(?:[a-z][a-z\d+.-]*:|\/\/)/i.test(path)) return '';
  try {
    return decodeURIComponent(path);
  } catch {
    return path; // a stray percent sign, which names may have
  }
}
