import { createHash } from 'node:crypto';

import { MimirError, sentenceOf } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { canonicalJson } from '../memory/canonical.ts';
import { headOfChars } from '../memory/item.ts';
import {
  documentKeyOf,
  piecesOf,
  type BroughtIn,
  type DocumentLink,
  type KnownPiece,
  type Source,
  type SourceDocument,
  type SourcedPiece,
} from '../memory/sourced.ts';
import type { Scope, TellProgress } from '../memory/types.ts';
import type { DocumentChange, IngestKnownInput, IngestKnownOutput, SourcedLink } from './ingest.ts';
import type { Execute } from './operations.ts';

/** How a source is to be brought in. */
export interface BringInOptions {
  /** Only say what would be done. */
  readonly dryRun: boolean;
  readonly signal: AbortSignal;
  /** Told after each document how many were looked at. */
  readonly looked?: TellProgress;
  /** Where nothing is stored of the source yet, leave it alone. */
  readonly onlyAgain?: boolean;
}

/**
 * Makes the store say what a source says: new and changed documents are stored, those that are gone are archived, all others are
 * left alone. There is no list of what was done that could be wrong: what is stored is compared with what is there. So a run
 * that was killed is finished by the next one, and a run without changes writes nothing.
 */
export async function bringIn(
  execute: Execute,
  scope: Scope,
  source: Source,
  options: BringInOptions,
): Promise<BroughtIn> {
  const { dryRun, signal, looked, onlyAgain = false } = options;
  const { origin } = source;
  const stored = await allKnown(execute, scope, { source: origin, category: source.category }, signal);
  const result = {
    changed: [] as string[],
    examples: [] as string[],
    forgotten: [] as string[],
    unchanged: 0,
    errors: [] as string[],
  };
  if (onlyAgain && stored.length === 0) return { ...result, notes: [] };
  const known = Map.groupBy(stored, documentKeyOf);
  const waiting: { change: DocumentChange; done: () => void }[] = [];

  const flush = async (): Promise<void> => {
    while (waiting.length > 0) {
      const input = {
        source: origin,
        category: source.category,
        documents: waiting.map(({ change }) => change),
        maxMs: LIMITS.ingestStepMs,
      };
      const { handled, taken } = dryRun
        ? { handled: waiting.length, taken: [] }
        : await execute('ingest_put', scope, input, { signal });
      const left = new Set(taken);
      for (const { change, done } of waiting.splice(0, handled)) {
        const [first, ...more] = change.put.filter(({ key }) => left.has(key));
        // Not for each piece of a document.
        if (first !== undefined)
          result.errors.push(`${first.key} holds a memory of somebody else, which was left alone.`);
        if (first === undefined || more.length + 1 < change.put.length) done();
      }
    }
  };
  const add = async (change: DocumentChange, done: () => void): Promise<void> => {
    for (const [at, part] of stepsOf(change).entries()) {
      waiting.push({ change: part, done: at === 0 ? done : () => undefined });
      if (sizeOf(waiting.map((one) => one.change)) >= 1) await flush();
    }
  };

  const seen = new Map<string, string>();
  const current = new Set<string>();
  const links = collectedLinks();
  const reading = source.read(stored, signal);
  let whole = false;
  try {
    for await (const document of reading.documents) {
      if (!('text' in document)) {
        seen.set(document.key, document.path);
        for (const piece of known.get(document.key) ?? []) current.add(piece.key);
        result.unchanged += 1;
        looked?.(seen.size);
        continue;
      }
      const key = ownKey(document, seen, known);
      seen.set(key, document.path);
      const pieces = piecesOf({ ...document, key }, SIZES);
      if (pieces.some(isTooLarge)) {
        const which = [document.place ?? [], key.slice(0, LIMITS.problemMaxChars)].flat().join(': ');
        result.errors.push(`${which} is too large: its name, a tag, or what stands beside its text.`);
        continue;
      }
      for (const piece of pieces) current.add(piece.key);
      links.add(document, key, pieces[0]?.key ?? key);
      const change = changeOf(pieces, known.get(key) ?? []);
      if (change === null) {
        result.unchanged += 1;
        document.stored?.(key, known.get(key) ?? []);
      } else {
        if (result.examples.length < LIMITS.ingestExamples) result.examples.push(exampleOf(document, key));
        await add(change, () => result.changed.push(key));
      }
      looked?.(seen.size, reading.total?.());
    }
    whole = true;
  } catch (thrown) {
    // What came before is kept, and the rest is for the next run.
    if (!(thrown instanceof MimirError) || thrown.code === 'bug' || thrown.code === 'cancelled') throw thrown;
    result.errors.push(sentenceOf(thrown));
  }
  if (whole) {
    for (const [key, all] of known) {
      // Somebody may have written over a piece what no longer says that it is one.
      const live = all.filter((piece) => piece.standing === 'live' && !current.has(piece.key));
      if (seen.has(key) || live.length === 0 || !live.every(({ path }) => reading.isGone(path))) continue;
      await add({ put: [], gone: live.map(({ id }) => id) }, () => result.forgotten.push(key));
    }
  }
  await flush();
  const made = links.resolved();
  for (let at = 0; at < made.length && !dryRun;) {
    const some = made.slice(at, at + LIMITS.ingestStepLinks);
    const input = { source: origin, category: source.category, links: some, maxMs: LIMITS.ingestStepMs };
    at += (await execute('ingest_link', scope, input, { signal })).handled;
  }
  return { ...result, errors: [...result.errors, ...reading.errors], notes: reading.notes };
}

/** A file is known by its path; a record by how it begins. */
function exampleOf({ path, text }: SourceDocument, key: string): string {
  const begins = headOfChars(text.trimStart(), LIMITS.exampleMaxChars).replace(/\s+/g, ' ').trimEnd();
  return path !== '' ? path : begins === '' ? key : `${key}: ${begins}`;
}

async function allKnown(
  execute: Execute,
  scope: Scope,
  asked: { readonly source: string; readonly category: string },
  signal: AbortSignal,
): Promise<KnownPiece[]> {
  // What changes while it is read comes twice: the later one counts.
  const known = new Map<string, KnownPiece>();
  for (const archived of [true, false]) {
    for (let afterVersion: number | null = 0; afterVersion !== null;) {
      const input: IngestKnownInput = { ...asked, archived, afterVersion };
      const step: IngestKnownOutput = await execute('ingest_known', scope, input, { signal });
      for (const piece of step.pieces) known.set(piece.key, piece);
      afterVersion = step.nextVersion;
    }
  }
  return [...known.values()];
}

/** The key of a document; when another path has it already (`a/b-c` and `a-b/c` are one), with a few digits of its own path's hash. */
function ownKey(
  { key, path }: SourceDocument,
  seen: ReadonlyMap<string, string>,
  known: ReadonlyMap<string, readonly KnownPiece[]>,
): string {
  const holder = seen.get(key) ?? known.get(key)?.[0]?.path ?? '';
  if (holder === path || (holder === '' && !seen.has(key))) return key;
  return `${key}~${createHash('sha256').update(path, 'utf8').digest('hex').slice(0, 8)}`;
}

const SIZES = { wholeMax: LIMITS.wholeDocumentMaxChars, pieceMax: LIMITS.pieceMaxChars };

/** Links wait until all documents are there: they lead forward too. */
function collectedLinks() {
  const [exactly, nearly] = [new Map<string, string>(), new Map<string, string>()];
  const waiting: (DocumentLink & { readonly from: string })[] = [];
  const called = (name: string): string | undefined => exactly.get(name) ?? nearly.get(name.toLowerCase());
  return {
    add: ({ names = [], links = [] }: SourceDocument, key: string, first: string): void => {
      for (const name of [key, ...names]) {
        if (!exactly.has(name)) exactly.set(name, first);
        if (!nearly.has(name.toLowerCase())) nearly.set(name.toLowerCase(), first);
      }
      for (const link of links) waiting.push({ ...link, from: first });
    },
    resolved: (): SourcedLink[] =>
      waiting.flatMap(({ from, to, orTo = '', relationship }) => {
        const target = called(to) ?? called(orTo);
        return target === undefined || target === from ? [] : [{ from, to: target, relationship }];
      }),
  };
}

/** What has to be done about a document; null: nothing. */
function changeOf(pieces: readonly SourcedPiece[], known: readonly KnownPiece[]): DocumentChange | null {
  const stored = new Map(known.map((piece) => [piece.key, piece]));
  const isNew = ({ key, bodyJson, tags }: SourcedPiece): boolean => {
    const old = stored.get(key);
    if (old === undefined || old.standing === 'gone') return true;
    const hash = createHash('sha256').update(canonicalJson(bodyJson), 'utf8').digest('hex');
    // What somebody forgot stays forgotten as long as it says the same.
    return hash !== old.bodyHash || JSON.stringify(tags) !== JSON.stringify(old.tags);
  };
  const changed = new Set(pieces.filter(isNew));
  const current = new Set(pieces.map(({ key }) => key));
  const gone = known.filter(({ key, standing }) => standing === 'live' && !current.has(key)).map(({ id }) => id);
  if (changed.size === 0 && gone.length === 0) return null;
  // A document that changes is in use again, and comes back whole.
  const put = pieces.filter((piece) => changed.has(piece) || stored.get(piece.key)?.standing === 'faded');
  return { put, gone };
}

function isTooLarge({ key, tags, bodyJson }: SourcedPiece): boolean {
  return (
    [key, ...tags].some((name) => Buffer.byteLength(name, 'utf8') > LIMITS.nameMaxBytes) ||
    Buffer.byteLength(bodyJson, 'utf8') > LIMITS.bodyJsonMaxBytes
  );
}

/** How much of one step changes are: at 1 it is full. */
function sizeOf(changes: readonly DocumentChange[]): number {
  let [items, chars] = [0, 0];
  for (const { put, gone } of changes) {
    items += put.length + gone.length;
    for (const { bodyJson } of put) chars += bodyJson.length;
  }
  return Math.max(items / LIMITS.ingestStepItems, chars / LIMITS.ingestStepMaxChars);
}

/** A change as a whole, or in several steps when it is too large for one: what is new comes first, so that nothing is missing. */
function stepsOf({ put, gone }: DocumentChange): DocumentChange[] {
  const steps: DocumentChange[] = [];
  let step: { put: DocumentChange['put'][number][]; gone: string[] } = { put: [], gone: [] };
  const next = (): void => {
    if (sizeOf([step]) < 1) return;
    steps.push(step);
    step = { put: [], gone: [] };
  };
  for (const piece of put) {
    step.put.push(piece);
    next();
  }
  for (const id of gone) {
    step.gone.push(id);
    next();
  }
  return step.put.length + step.gone.length > 0 ? [...steps, step] : steps;
}
