import { LIMITS } from '../limits.ts';
import { FIELDS, packEntity } from '../memory/document.ts';
import { aboutWords, sharedWords } from '../memory/newer.ts';
import { FADED_BY_COHERE, layerOf, strengthNow, withNotes } from '../memory/retention.ts';
import { STOP_TOKENS } from '../memory/text.ts';
import type { Noted, Scope } from '../memory/types.ts';
import type { Item, Reader } from '../storage/store.ts';
import { LINK_WEIGHT } from './links.ts';
import { homeOf, requireWrite } from './lookup.ts';
import { reads, writes } from './operation.ts';

// Three operations make one `cohere`: two look, without holding anybody up, and one changes a few rows, which it looks at again.

/** From where on, and what is looked for. */
export interface SurveyInput {
  /** 0, then `next` of the answer before. */
  readonly after: number;
  /** Uses from which a `buffer` memory belongs to the `working` layer. */
  readonly promoteFrom: number;
  /** Memories weaker than this are to be archived. */
  readonly archiveBelow: number;
  /** Uses that are not stored yet. */
  readonly noted: Noted;
}

/** A memory that has become weak. */
export interface Weak {
  readonly id: string;
  readonly strength: number;
}

/** What a step found. */
export interface SurveyOutput {
  readonly examined: number;
  /** Where the next step begins; null: all was looked through. */
  readonly next: number | null;
  readonly promote: readonly string[];
  readonly archive: readonly Weak[];
  /** Size of the store. */
  readonly bytes: number;
}

/** Looks through live memories for those that are used so much that they should rise, or so little that they should go. */
export const cohereSurvey = reads<SurveyInput, SurveyOutput>('scan', async (tx, scope, input) => {
  const { after, promoteFrom, archiveBelow, noted } = input;
  const { found, next } = await tx.kept(own(scope), { archived: false }, after);
  const used = new Set([...noted.sent, ...noted.kept].map(({ row }) => row));
  const promote: string[] = [];
  const archive: Weak[] = [];
  for (const { row, id, layer, usage: stored, ...retained } of found) {
    const usage = used.has(row) ? withNotes(row, stored, noted) : stored;
    const strength = strengthNow({ ...retained, usage }, tx.nowMs);
    if (!retained.lasting && strength < archiveBelow) archive.push({ id, strength });
    else if (layerOf(layer, usage.count) === 'buffer' && usage.count >= promoteFrom) promote.push(id);
  }
  return { examined: found.length, next, promote, archive, bytes: await tx.bytes() };
});

/** Whose memories a principal keeps in order: the owner all, a bound one those of its workspace. */
function own(scope: Scope): Scope {
  if (scope.principal.kind === 'owner') return scope;
  requireWrite(scope, homeOf(scope));
  return { ...scope, workspace: homeOf(scope) };
}

/** Which of the newest memories to look at. */
export interface RelatedInput {
  readonly offset: number;
  /** Most links to propose. */
  readonly max: number;
}

/** Two memories about the same thing, and what they share. */
export interface ProposedLink {
  readonly fromId: string;
  readonly fromKey: string;
  readonly toId: string;
  readonly toKey: string;
  /** Share of the shorter one's words that both have, 0..1. */
  readonly shared: number;
}

/** What a step found. */
export interface RelatedOutput {
  readonly links: readonly ProposedLink[];
  readonly examined: number;
}

/** Two memories are about the same thing when they share so many words, and so large a part of the shorter one's. */
const SHARED_WORDS_MIN = 3;
const SHARED_MIN = 0.5;
/** Rarest words of a memory by which its relatives are looked for, and how many of them are compared. */
const ASKED_WORDS = 12;
const COMPARED_MAX = 50;
/** Links that one memory gets at a time: more say less. */
const LINKS_EACH = 3;
const ABOUT_FIELDS = FIELDS.findIndex(({ name }) => name === 'category');

interface Shown {
  readonly body_json: string;
  readonly category: string;
  readonly tags: readonly string[];
  readonly workspace_hash: string;
  readonly agent_id: string;
  readonly visibility: string;
}

/** Proposes links from some of the newest memories to older ones of the same workspace that are about the same thing. */
export const cohereRelated = reads<RelatedInput, RelatedOutput>('scan', async (tx, scope, { offset, max }) => {
  const scoped = own(scope);
  const items = await tx.recent(scoped, {}, LIMITS.relatedStepRows, offset);
  const links: ProposedLink[] = [];
  for (const item of items) {
    if (links.length >= max) break;
    links.push(...(await relativesOf(tx, scoped, item)).slice(0, max - links.length));
  }
  return { links, examined: items.length };
});

async function relativesOf(tx: Reader, scope: Scope, item: Item): Promise<ProposedLink[]> {
  const shown = shownOf(item);
  // Packing costs by length, and a long text shares words with everything.
  if (shown.body_json.length > LIMITS.similarBodyMaxChars) return [];
  const packed = packEntity({ bodyJson: shown.body_json, key: item.key, tags: shown.tags, category: shown.category });
  const words = aboutWords(packed.terms, 0);
  if (words.size < SHARED_WORDS_MIN) return [];
  const terms = await rarest(tx, packed.tokens);
  const inside = { ...scope, workspace: shown.workspace_hash };
  const candidates = await tx.candidates(inside, { terms, keyText: '' }, {}, COMPARED_MAX);
  const alike = new Map<number, number>();
  for (const { body, words: list, offset } of candidates) {
    if (body === item.body) continue;
    const theirs = aboutWords(list, offset);
    const shared = sharedWords(words, theirs);
    if (shared >= SHARED_MIN && shared * Math.min(words.size, theirs.size) >= SHARED_WORDS_MIN) alike.set(body, shared);
  }
  const best = [...alike].toSorted((a, b) => b[1] - a[1] || b[0] - a[0]).map(([body]) => body);
  const links: ProposedLink[] = [];
  for (const other of await tx.items(inside, best)) {
    if (links.length === LINKS_EACH) break;
    // Each pair once, from the newer one: it knows of the older.
    if (other.version > item.version || !maySee(shown, shownOf(other)) || (await linked(tx, scope, item, other)))
      continue;
    const shared = Math.round((alike.get(other.body) ?? 0) * 1e4) / 1e4;
    links.push({ fromId: item.id, fromKey: item.key, toId: other.id, toKey: other.key, shared });
  }
  return links;
}

function shownOf({ json }: Item): Shown {
  return JSON.parse(`${json}}`) as Shown;
}

/** The rarest words of a packed list that other memories have as well. */
async function rarest(tx: Reader, packed: string): Promise<string[]> {
  const tokens = packed.split('\n').slice(0, ABOUT_FIELDS).join(' ').split(' ');
  const words = [...new Set(tokens)].filter((token) => token !== '' && !STOP_TOKENS.has(token));
  const { frequencies } = await tx.termStatistics(words);
  return words
    .map((word, i) => ({ word, rows: frequencies[i] ?? 0 }))
    .filter(({ rows }) => rows > 1)
    .toSorted((a, b) => a.rows - b.rows || (a.word < b.word ? -1 : 1))
    .slice(0, ASKED_WORDS)
    .map(({ word }) => word);
}

/** Whether whoever reads the one may know that there is the other: a link shows its id. */
function maySee(one: Shown, other: Shown): boolean {
  if (one.visibility !== 'private' && other.visibility !== 'private') return true;
  return one.visibility === other.visibility && one.agent_id === other.agent_id;
}

async function linked(tx: Reader, scope: Scope, one: Pick<Item, 'row' | 'id'>, other: Pick<Item, 'row' | 'id'>) {
  const [there, back] = [await tx.linksOf(scope, one.row), await tx.linksOf(scope, other.row)];
  return there.some(({ targetId }) => targetId === other.id) || back.some(({ targetId }) => targetId === one.id);
}

/** What to change, by ids: a few rows, so that nobody waits long. */
export interface CohereInput {
  readonly promote: readonly string[];
  readonly archive: readonly string[];
  readonly archiveBelow: number;
  readonly links: readonly ProposedLink[];
}

/** What was changed; less than asked for where a memory is not as it was any more. */
export interface CohereOutput {
  readonly promoted: number;
  readonly archived: number;
  /** How many of those to be archived were looked at: the others have large bodies before them, and belong to the next step. */
  readonly looked: number;
  readonly links: readonly ProposedLink[];
  readonly bytes: number;
}

/** What a link of `cohere` is called. */
const RELATED = 'auto-related';

/** Promotes, links and archives what the other two found, as far as it still holds. */
export const cohere = writes<CohereInput, CohereOutput>(
  async (tx, scope, { promote, archive, archiveBelow, links }) => {
    const scoped = own(scope);
    let [promoted, archived, looked, chars] = [0, 0, 0, 0];
    for (const id of promote) {
      const entity = await tx.entityById(scoped, id);
      if (entity === undefined || entity.archived || entity.layer !== 'buffer') continue;
      if (await tx.revise(scoped, entity, { layer: 'working' })) promoted += 1;
    }
    const made: ProposedLink[] = [];
    for (const link of links) {
      const from = await tx.entityById(scoped, link.fromId);
      const to = await tx.entityById(scoped, link.toId);
      if (from === undefined || to === undefined || from.archived || to.archived) continue;
      if (await linked(tx, scoped, from, to)) continue;
      await tx.openLink(scoped, from.row, to.id, RELATED, LINK_WEIGHT);
      made.push(link);
    }
    for (const id of archive) {
      if (chars > LIMITS.cohereStepMaxChars) break;
      looked += 1;
      const entity = await tx.entityById(scoped, id);
      if (entity === undefined || entity.archived || entity.alwaysOn || entity.verified) continue;
      if (strengthNow({ ...entity, lasting: false }, tx.nowMs) >= archiveBelow) continue;
      await tx.revise(scoped, entity, { archived: true, archiveReason: `${FADED_BY_COHERE} ${archiveBelow}` });
      archived += 1;
      chars += entity.bodyJson.length;
    }
    return { promoted, archived, looked, links: made, bytes: await tx.bytes() };
  },
);
