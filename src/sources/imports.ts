import { readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';

import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Reading, Source, SourceDocument } from '../memory/sourced.ts';
import { readFiles } from './files.ts';
import { asNote } from './notes.ts';
import { csvRecords, jsonlRecords, mem0Records, referenceRecords, type FieldMap, type Records } from './records.ts';

/** What is to be imported, and as what. */
export interface ImportAsked {
  /** A key of {@link IMPORTS}. */
  readonly from: string;
  /** A file or a folder, the whole path. */
  readonly path: string;
  /** Absent: that of the format. */
  readonly category?: string;
  readonly map: FieldMap;
}

interface ImportFormat {
  readonly category: string;
  /** Null for a folder of Markdown. */
  readonly read: ((text: string, asked: ImportAsked) => Records | null) | null;
}

/** The formats, by the word that names them. */
export const IMPORTS: Readonly<Record<string, ImportFormat>> = {
  reference: { category: 'entity', read: referenceRecords },
  jsonl: {
    category: 'imported',
    read: (text, { path, map }) => (path.endsWith('.csv') ? csvRecords(text, map) : jsonlRecords(text, map)),
  },
  markdown: { category: 'note', read: null },
  mem0: { category: 'mem0', read: mem0Records },
  'basic-memory': { category: 'note', read: null },
};

/** A source that reads what another program left. Throws `invalid_argument` for a format that there is not. */
export function importSource(asked: ImportAsked): Source {
  const format = Object.hasOwn(IMPORTS, asked.from) ? IMPORTS[asked.from] : undefined;
  if (format === undefined) {
    throw new MimirError('invalid_argument', 'There is no such format to import from.', {
      hint: `Give --from ${Object.keys(IMPORTS).join(', ')}.`,
    });
  }
  const about = { name: asked.from, origin: `import:${asked.from}`, category: asked.category ?? format.category };
  const { read } = format;
  if (read === null) return { ...about, read: (_known, signal) => notesIn(asked.path, signal) };
  return { ...about, read: () => recordsIn(asked, read) };
}

function notesIn(path: string, signal: AbortSignal): Reading {
  const reading = readFiles(
    {
      paths: [path],
      extensions: ['.md', '.markdown', '.txt'],
      include: [],
      exclude: [],
      gitignore: true,
      maxBytes: LIMITS.sourceFileMaxBytes,
      watch: false,
      debounceMs: 0,
    },
    () => undefined,
    signal,
  );
  return { ...reading, documents: mapped(reading.documents, asNote) };
}

async function* mapped(
  documents: AsyncIterable<SourceDocument>,
  change: (document: SourceDocument) => SourceDocument,
): AsyncGenerator<SourceDocument> {
  for await (const document of documents) yield change(document);
}

function recordsIn(asked: ImportAsked, read: NonNullable<ImportFormat['read']>): Reading {
  const notes: string[] = [];
  const name = basename(asked.path);
  async function* documents(): AsyncGenerator<SourceDocument> {
    const records = read(textOf(asked.path), asked);
    if (records === null) {
      throw new MimirError('invalid_argument', `${name} is no file of ${asked.from}.`, {
        hint: 'docs/sources.md says what each format looks like.',
      });
    }
    notes.push(...records.notes.map((note) => `${name}: ${note}`));
    yield* records.documents;
  }
  // Another file of the same program may hold what is not in this one.
  return { documents: documents(), isGone: () => false, notes, errors: [] };
}

function textOf(path: string): string {
  try {
    if (statSync(path).size <= LIMITS.importFileMaxBytes) return readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
  } catch {
    throw new MimirError('invalid_argument', `${path} cannot be read.`, { hint: 'Name a file that is there.' });
  }
  throw new MimirError('invalid_argument', `${path} is larger than ${LIMITS.importFileMaxBytes} bytes.`, {
    hint: 'Split it into several files.',
  });
}
