import type { DocumentLink, SourceDocument } from '../memory/sourced.ts';
import { jsonLines, textAt, unique, type Records } from './records.ts';

/**
 * The file of the reference memory server: a line for each entity and for each relation. An entity is a document with its
 * observations as lines, a relation a link.
 */
export function referenceRecords(text: string): Records {
  const notes: string[] = [];
  const documents: SourceDocument[] = [];
  const relations: { line: number; from: string; link: DocumentLink }[] = [];
  for (const { line, members } of jsonLines(text, notes)) {
    const [name = '', from = '', to = ''] = ['name', 'from', 'to'].map((one) => textAt(members, [one]));
    if (members['type'] === 'relation' && from !== '' && to !== '') {
      const relationship = textAt(members, ['relationType']) || 'related';
      relations.push({ line, from, link: { to, relationship } });
    } else if (members['type'] === 'entity' && name !== '') {
      const kind = textAt(members, ['entityType']);
      const observations = [members['observations'] ?? []].flat();
      documents.push({
        key: name,
        path: '',
        place: `line ${line}`,
        text: observations.map(asText).join('\n'),
        textMember: 'content',
        meta: { name, entity_type: kind },
        tags: kind === '' ? [] : [kind],
      });
    } else notes.push(`line ${line} is neither an entity with a name nor a relation`);
  }
  const names = new Set(documents.map(({ key }) => key));
  for (const { line, from, link } of relations) {
    const missing = [from, link.to].find((end) => !names.has(end));
    if (missing !== undefined)
      notes.push(`line ${line} is a relation, and there is no entity ${JSON.stringify(missing)}`);
    else if (from === link.to) notes.push(`line ${line} is a relation of an entity with itself`);
  }
  const links = Map.groupBy(relations, ({ from }) => from);
  const linked = documents.map((one) => {
    const own = links.get(one.key) ?? [];
    links.delete(one.key); // of two entities with one name, the first has its relations
    return { ...one, links: own.map(({ link }) => link) };
  });
  return { documents: unique(linked), notes };
}

/** What is no text as JSON. */
function asText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
