import { isDeepStrictEqual } from 'node:util';

import { monotonicMs } from '../../clock.ts';
import { MimirError, shellWord } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import { OWNER } from '../../memory/scope.ts';
import type { EmbeddedBody, JournalEntry, Scope } from '../../memory/types.ts';
import { unpackVector } from '../../memory/vector.ts';
import {
  besidePath,
  buildBeside,
  copyPath,
  fileIdentity,
  keepUnderOtherName,
  mayWriteBeside,
  newFileOnly,
  realPath,
  refuseOwnNames,
  removeStoreFiles,
  replaceFile,
  storeChangedMs,
} from '../files.ts';
import { openWriter, prepareStore, type OpenOptions, type StoreWriter } from '../open.ts';
import { copyOriginal, storedVectors, takeOriginal, type OriginalFile, type RawRow } from '../sqlite/original.ts';
import type { Writer } from '../store.ts';
import { looksEncrypted, openBody } from './bodies.ts';
import { Mends } from './mends.ts';
import { readEntity, readJournal, readState, type Reading, type TakenEntity } from './rows.ts';

/** What an import is told about, while it goes on and when it is done. */
export interface ImportWatch {
  /** So many rows of so many. */
  readonly progress: (done: number, total: number) => void;
  /** Called once it has ended; null when it failed, and whoever wanted the store is told why. */
  readonly ended: (report: ImportReport | null) => void;
}

/** What an import did. */
export interface ImportReport {
  readonly entities: number;
  readonly journal: number;
  readonly state: number;
  readonly vectors: number;
  /** What was wrong in the original's file, a sentence each. */
  readonly mended: readonly string[];
  /** Where the original lies now. */
  readonly originalPath: string;
  /** All of it in sentences for a person. */
  readonly lines: readonly string[];
}

/** Names the space of vectors whose model the original has not written down. They are kept, and never compared with others. */
export const UNKNOWN_MODEL = 'unknown (mimir 2.1)';

/** Of the original's versions that are known here; later ones keep more in further tables. */
const NEWEST_SCHEMA = 1;

const SCOPE: Scope = { principal: OWNER, workspace: null, actor: 'owner', client: 'import' };
/** How long a waiting process sleeps between two looks. */
const LOOK_AGAIN_MS = 20;

/** As `prepareStore`; a database of the original is imported before, when there is somebody to be told of it. */
export async function prepareOrImport(options: OpenOptions, watch: ImportWatch | null): Promise<boolean> {
  const goesOn = (): boolean => importGoesOn(options.path, options.clock.nowMs());
  if (watch === null) return prepareStore(options);
  // Waiting for another process's import: not where this thread would sleep meanwhile.
  if (goesOn()) await importOriginal(options, watch);
  try {
    return prepareStore(options);
  } catch (thrown) {
    const isOriginal = thrown instanceof MimirError && thrown.code === 'original_store';
    const isBeingImported = thrown instanceof MimirError && thrown.code === 'locked' && goesOn();
    if (!isOriginal && !isBeingImported) throw thrown;
  }
  await importOriginal(options, watch);
  return prepareStore(options);
}

/** Whether a process is building a new store beside the original right now: what it writes changes all the time. */
function importGoesOn(path: string, nowMs: number): boolean {
  const changedMs = storeChangedMs(besidePath(realPath(path)));
  return changedMs !== null && nowMs - changedMs < LIMITS.importQuietMs;
}

/**
 * Puts a store of ours in the place of a database of the original, and keeps that one beside it. Does nothing when the file is none
 * of the original's (any more): of two processes that begin at the same moment, one does it and the other waits. Until the one
 * rename that ends it, the original is what lies under its name; an import that was cut off begins anew with the next open. Throws
 * `locked` when another program has the file open, `wrong_key`, or what the disk says; then nothing has changed.
 */
export async function importOriginal(options: OpenOptions, watch: ImportWatch): Promise<void> {
  const path = realPath(options.path);
  const started = monotonicMs();
  for (;;) {
    // A process that waited holds the file that was renamed away meanwhile: then it has to look again.
    const before = fileIdentity(path);
    const original = takeOriginal(path);
    if (original === 'busy') {
      const isOurs = importGoesOn(path, options.clock.nowMs());
      if (!isOurs && monotonicMs() - started >= options.busyTimeoutMs) throw takenByOthers(path);
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
      continue;
    }
    if (original === 'none') return;
    try {
      if (fileIdentity(path) !== before) continue;
      watch.ended(await takeOver(original, { ...options, path }, watch.progress));
      return;
    } catch (thrown) {
      watch.ended(null);
      throw thrown;
    } finally {
      original.close();
    }
  }
}

function takenByOthers(path: string): MimirError {
  return new MimirError('locked', `Another program has ${path} open, a database of the original Mimir.`, {
    hint: `Stop the original server, and sqlite3 if it is open there (lsof ${shellWord(path)} names them), and send it again.`,
    retryAfterMs: 5_000,
  });
}

/** Puts a new store in the place of the original's file, which stays under another name. */
async function takeOver(
  original: OriginalFile,
  options: OpenOptions,
  progress: ImportWatch['progress'],
): Promise<ImportReport> {
  const { path, key } = options;
  return await buildBeside(path, async (fresh) => {
    const done = await build(original, { ...options, path: fresh }, progress);
    original.seal();
    const originalPath = keepUnderOtherName(path, `${path}.mimir-2.1`);
    replaceFile(fresh, path);
    const inPlain = key === null ? '' : ', and its index holds all texts in plain';
    const kept = `the original is kept as ${originalPath}${inPlain}; when all is well: rm ${shellWord(originalPath)}`;
    return { ...done, originalPath, lines: linesOf(`imported from the original's database into ${path}`, done, kept) };
  });
}

/**
 * Makes a new store, under the path of the options, of a database of the original that stays where and as it is; its server may go on
 * meanwhile. Dry: the store is built and compared as well, beside the original where that may be, and thrown away. Throws `exists`
 * when there is a file under that path, `not_a_store` when it is none of the original's, and as `importOriginal`.
 */
export async function importCopy(
  options: OpenOptions,
  from: string,
  isDry: boolean,
  progress: ImportWatch['progress'],
): Promise<ImportReport> {
  // A name of its own: an import in place may go on at the same time.
  const path = isDry ? `${mayWriteBeside(from) ? realPath(from) : options.path}.mimir-trial` : options.path;
  const copy = copyPath(path);
  newFileOnly(path, options.folder);
  refuseOwnNames(from, path);
  try {
    removeStoreFiles(copy);
    await copyOriginal(from, copy);
    const original = takeOriginal(copy);
    if (typeof original === 'string') throw new Error(`the copy ${copy} is ${original}`);
    try {
      return await buildBeside(path, async (fresh) => {
        const done = await build(original, { ...options, path: fresh }, progress);
        if (isDry) removeStoreFiles(fresh);
        else {
          newFileOnly(path);
          replaceFile(fresh, path);
        }
        const what = isDry ? `would import from ${from}` : `imported from ${from} into ${path}`;
        return { ...done, originalPath: from, lines: linesOf(what, done, `${from} is as it was`) };
      });
    } finally {
      original.close();
    }
  } finally {
    removeStoreFiles(copy);
  }
}

/** What came of building a store. */
type Built = Omit<ImportReport, 'originalPath' | 'lines'>;

/** Fills the empty file under the path of the options, and compares it with the original row by row. */
async function build(
  original: OriginalFile,
  { path, key, clock, busyTimeoutMs }: OpenOptions,
  progress: ImportWatch['progress'],
): Promise<Built> {
  refuseWrongKey(original, key);
  const options: OpenOptions = { path, key, clock, busyTimeoutMs };
  prepareStore(options);
  const mends = new Mends();
  const reading: Reading = {
    key,
    nowMs: clock.nowMs(),
    depthMax: LIMITS.jsonDepthMax,
    hasEntity: (id) => original.hasEntity(id),
    note: (mend, row) => mends.note(mend, row),
  };
  const writer = openWriter(options);
  const filling: Filling = { original, writer, reading, renamed: new Map(), progress, options };
  let vectors: number;
  try {
    await fill(filling);
    vectors = await fillVectors(filling);
    mends.add('stray_index', original.strayIndexEntries());
    mends.add('early_rows', original.earlyRows);
    if (original.schema > NEWEST_SCHEMA) mends.note('later_schema', `schema ${original.schema}`);
    await compare(filling);
  } finally {
    writer.close();
  }
  compareVectors(filling);
  return { ...original.counts, vectors, mended: mends.lines() };
}

/** Throws unless the key opens what is encrypted. A text that only looks so is what the index of the original says it is. */
function refuseWrongKey(original: OriginalFile, key: Uint8Array | null): void {
  let sealed = 0;
  let looking = 0;
  for (const { body_json: stored, category, key: name, indexed_text: indexed } of original.rows('entities')) {
    if (typeof stored !== 'string' || !looksEncrypted(stored)) continue;
    if (key !== null && openBody(stored, key, String(category), String(name)) !== null) return;
    looking += 1;
    // Of a row that is not in the index, nothing tells.
    if (typeof indexed === 'string' && indexed !== stored) sealed += 1;
  }
  // An original that made its index anew has the encrypted texts in there too.
  if (sealed === 0 && looking * 2 <= original.counts.entities) return;
  throw new MimirError(
    'wrong_key',
    key === null
      ? `The database of the original Mimir holds encrypted memories (${looking}). Nothing was written.`
      : `This key opens none of the ${looking} encrypted memories of the original's database. Nothing was written.`,
    { hint: 'Start with the key file that the original was started with: --encryption-key FILE.' },
  );
}

interface Filling {
  readonly original: OriginalFile;
  readonly writer: StoreWriter;
  readonly reading: Reading;
  /** Rows whose id or key is another one now, by their number. */
  readonly renamed: Map<unknown, { readonly id: string; readonly key: string }>;
  readonly progress: ImportWatch['progress'];
  readonly options: OpenOptions;
}

/** Splits rows into transactions: at most so many rows, and texts of so many characters beside the last one. */
function* inChunks(rows: Iterable<RawRow>): Iterable<RawRow[]> {
  let chunk: RawRow[] = [];
  let chars = 0;
  for (const row of rows) {
    chunk.push(row);
    for (const value of Object.values(row)) if (typeof value === 'string') chars += value.length;
    if (chunk.length < LIMITS.importRowsMax && chars < LIMITS.importChunkMaxChars) continue;
    yield chunk;
    [chunk, chars] = [[], 0];
  }
  if (chunk.length > 0) yield chunk;
}

/** Writes rows of a table chunk by chunk; in between, others of this process have their turn. */
async function writeRows(
  { original, writer, options }: Filling,
  table: Parameters<OriginalFile['rows']>[0],
  write: (tx: Writer, row: RawRow) => Promise<void>,
  wrote: (rows: number) => void,
): Promise<void> {
  for (const rows of inChunks(original.rows(table))) {
    await writer.transaction({ id: importId(options), kind: 'import', scope: SCOPE }, async (tx) => {
      for (const row of rows) await write(tx, row);
    });
    writer.checkpoint();
    wrote(rows.length);
    await breath();
  }
}

/** The id that a row has in the new store. */
function idOf(raw: RawRow, renamed: Filling['renamed']): string {
  return renamed.get(raw['rowid'])?.id ?? String(raw['id']);
}

function importId({ clock }: OpenOptions): string {
  return `import-${Buffer.from(clock.randomBytes(16)).toString('hex')}`;
}

async function breath(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

async function fill(filling: Filling): Promise<void> {
  const { original, reading, renamed, progress } = filling;
  const { entities, journal, state } = original.counts;
  let done = 0;
  const wrote = (rows: number): void => progress((done += rows), 2 * entities + journal + state);
  await writeRows(
    filling,
    'entities',
    async (tx, raw) => {
      const { entity: read, usage, links } = readEntity(raw, reading);
      const entity = await withFreeName(tx, raw, read, reading);
      if (entity.key !== read.key || entity.id !== raw['id']) renamed.set(raw['rowid'], entity);
      const made = await tx.create(SCOPE, entity);
      if (usage.count > 0 || usage.lastAtMs !== entity.createdAtMs)
        await tx.noteUse(made.row, usage.count, usage.lastAtMs);
      for (const { targetId, relationship, weight } of links)
        await tx.openLink(SCOPE, made.row, targetId, relationship, weight);
    },
    wrote,
  );
  await writeRows(filling, 'journal', async (tx, raw) => tx.appendJournal(SCOPE, readJournal(raw, reading)), wrote);
  await writeRows(filling, 'state', async (tx, raw) => tx.stateSet(SCOPE, readState(raw, reading)), wrote);
}

/** A file without its unique index may hold a name twice; both stay, the later one under a longer key. */
async function withFreeName(
  tx: Writer,
  raw: RawRow,
  entity: TakenEntity['entity'],
  { note }: Reading,
): Promise<TakenEntity['entity']> {
  const suffix = ` (${String(raw['rowid'])})`;
  const isKeyTaken = (await tx.entityAt(SCOPE, entity.workspace, entity.category, entity.key)) !== undefined;
  const isIdTaken = (await tx.entityById(SCOPE, entity.id)) !== undefined;
  if (!isKeyTaken && !isIdTaken) return entity;
  note(isKeyTaken ? 'name_taken' : 'no_id', entity.id);
  return {
    ...entity,
    ...(isKeyTaken && { key: entity.key + suffix }),
    ...(isIdTaken && { id: entity.id + suffix }),
  };
}

async function fillVectors({ original, writer, renamed, reading, options }: Filling): Promise<number> {
  let kept = 0;
  for (const bytes of original.vectorBytes()) {
    const dimensions = bytes / 4;
    for (const rows of inChunks(original.vectors(bytes))) {
      await writer.transaction({ id: importId(options), kind: 'import', scope: SCOPE }, async (tx) => {
        const space = await tx.openSpace(UNKNOWN_MODEL, dimensions, '');
        const vectors: EmbeddedBody[] = [];
        for (const raw of rows) {
          const id = idOf(raw, renamed);
          const found = await tx.entityById(SCOPE, id);
          const vector = vectorOf(raw, bytes);
          if (found !== undefined && vector !== null) vectors.push({ body: found.body, vector });
          else reading.note('vector', id);
        }
        await tx.putVectors(space.id, 0, vectors);
        kept += vectors.length;
      });
      await breath();
    }
  }
  return kept;
}

function vectorOf({ embedding }: RawRow, bytes: number): Float32Array | null {
  if (!(embedding instanceof Uint8Array)) return null;
  const vector = unpackVector(embedding.subarray(0, bytes));
  return vector.every(Number.isFinite) ? vector : null;
}

/** Throws unless every vector lies in the new store, byte for byte. */
function compareVectors({ original, renamed, options }: Filling): void {
  for (const bytes of original.vectorBytes()) {
    const stored = storedVectors(options.path, options.key, bytes);
    try {
      for (const raw of original.vectors(bytes)) {
        if (vectorOf(raw, bytes) === null) continue;
        const next = stored.next();
        const isSame =
          next.done !== true &&
          next.value.id === idOf(raw, renamed) &&
          raw['embedding'] instanceof Uint8Array &&
          next.value.bytes.equals(raw['embedding'].subarray(0, bytes));
        if (!isSame) throw failed(`the vector of ${String(raw['id'])} did not arrive`);
      }
      if (stored.next().done !== true) throw failed('there are more vectors than before');
    } finally {
      stored.return(undefined);
    }
  }
}

/** Reads the original once more and compares every row with what the new store answers, then has that check itself. */
async function compare({ original, writer, reading, renamed, progress }: Filling): Promise<void> {
  const quiet: Reading = { ...reading, note: () => undefined };
  const { entities, journal, state } = original.counts;
  let done = entities + journal + state;
  for (const rows of inChunks(original.rows('entities'))) {
    await writer.snapshot(async (tx) => {
      for (const raw of rows) {
        const { entity: read, usage, links } = readEntity(raw, quiet);
        const { id, key } = renamed.get(raw['rowid']) ?? read;
        const wanted = { ...read, id, key };
        const found = await tx.entityById(SCOPE, wanted.id);
        if (found === undefined) throw failed(`the memory ${wanted.id} did not arrive`);
        const { row, version: _, body: __, bodyHash: ___, ...stored } = found;
        const arrived = { entity: stored, links: await tx.linksOf(SCOPE, row) };
        if (!isDeepStrictEqual(arrived, { entity: { ...wanted, usage }, links })) {
          throw failed(`the memory ${wanted.id} did not arrive as it was`);
        }
      }
    });
    progress((done += rows.length), 2 * entities + journal + state);
    await breath();
  }
  let expired = 0;
  const stored = await writer.snapshot(async (tx) => {
    let [atMs, near] = [Number.NaN, new Map<string, JournalEntry>()];
    for (const raw of original.rows('journal')) {
      const { auditHash: _, ...wanted } = readJournal(raw, quiet);
      if (wanted.createdAtMs !== atMs) {
        atMs = wanted.createdAtMs;
        const found = await tx.timeline(SCOPE, { fromMs: atMs, toMs: atMs }, original.counts.journal, 0);
        near = new Map(found.map((entry) => [entry.id, entry]));
      }
      if (!isDeepStrictEqual(near.get(wanted.id), wanted)) throw failed(`the entry ${wanted.id} did not arrive`);
    }
    for (const raw of original.rows('state')) {
      const wanted = readState(raw, quiet);
      // What has expired is there, and can neither be asked for nor counted.
      if (wanted.expiresAtMs !== null && wanted.expiresAtMs < tx.nowMs) {
        expired += 1;
        continue;
      }
      const found = await tx.stateGet(SCOPE, wanted.workspace, wanted.key);
      if (!isDeepStrictEqual(found, wanted)) throw failed(`the state key ${wanted.key} did not arrive`);
    }
    return await tx.counts(SCOPE);
  });
  if (stored.entities !== entities || stored.journal !== journal || stored.state !== state - expired)
    throw failed('the counts of the rows differ');
  const problems = writer.verify();
  if (problems.length > 0) throw failed(problems.slice(0, 3).join('; '));
}

function failed(why: string): MimirError {
  return new MimirError('import_failed', `The database of the original Mimir was not taken over: ${why}.`);
}

function linesOf(what: string, report: Built, last: string): string[] {
  const { entities, journal, state, vectors, mended } = report;
  const parts = [
    `${entities} memories`,
    ...(journal > 0 ? [`${journal} journal entries`] : []),
    ...(state > 0 ? [`${state} state keys`] : []),
    ...(vectors > 0 ? [`${vectors} vectors`] : []),
  ];
  return [
    `${what}: ${parts.join(', ')}, each compared with the original`,
    ...mended.map((line) => `mended: ${line}`),
    last,
  ];
}
