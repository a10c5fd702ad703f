import { isUtf8 } from 'node:buffer';
import { readFileSync, statSync } from 'node:fs';
import { basename, dirname, extname } from 'node:path';

import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Reading, Source, SourceDocument } from '../memory/sourced.ts';
import { readFiles } from './files.ts';
import { mem0Records } from './mem0.ts';
import { asNote } from './notes.ts';
import { jsonRecords, tableRecords, type FieldMap, type Records } from './records.ts';
import { referenceRecords } from './reference.ts';

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
  /** Whether its records call their parts as their author likes, so that `--map` says how. */
  readonly isMapped?: true;
  /** Null for a folder of Markdown. */
  readonly read: ((text: string, asked: ImportAsked) => Records | null) | null;
}

/** The formats, by the word that names them. */
export const IMPORTS: Readonly<Record<string, ImportFormat>> = {
  reference: { category: 'entity', read: referenceRecords },
  jsonl: {
    category: 'imported',
    isMapped: true,
    read: (text, { path, map }) => (/\.[ct]sv$/i.test(path) ? tableRecords(text, map) : jsonRecords(text, map)),
  },
  markdown: { category: 'note', read: null },
  mem0: { category: 'mem0', read: (text, { path }) => mem0Records(text, basename(path, extname(path))) },
  'basic-memory': { category: 'note', read: null },
};

/** A source that reads what another program left. Throws `invalid_argument` for a format that there is not. */
export function importSource(asked: ImportAsked): Source {
  const format = Object.hasOwn(IMPORTS, asked.from) ? IMPORTS[asked.from] : undefined;
  if (format === undefined) {
    throw new MimirError('invalid_argument', 'There is no such format to import from.', {
      hint: `Give --from ${[...Object.keys(IMPORTS), 'original'].join(', ')}.`,
    });
  }
  if (Object.keys(asked.map).length > 0 && format.isMapped !== true) {
    throw new MimirError('invalid_argument', `--map does not go with --from ${asked.from}.`, {
      hint: `It goes with ${Object.keys(IMPORTS)
        .filter((name) => IMPORTS[name]?.isMapped === true)
        .join(', ')}.`,
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
    signal,
  );
  const errors: string[] = [];
  async function* documents(): AsyncGenerator<SourceDocument> {
    const root = readable(path, () => statSync(path)).isDirectory() ? path : dirname(path);
    let came = 0;
    for await (const document of reading.documents) {
      came += 1;
      yield asNote(document, root);
    }
    errors.push(...reading.errors);
    if (came === 0 && reading.notes.length > 0) errors.push(`Nothing in ${path} could be read.`);
  }
  return { ...reading, documents: documents(), errors };
}

function recordsIn(asked: ImportAsked, read: NonNullable<ImportFormat['read']>): Reading {
  const [notes, errors]: [string[], string[]] = [[], []];
  const name = basename(asked.path);
  let total: number | undefined;
  async function* documents(): AsyncGenerator<SourceDocument> {
    const { text, notes: unread } = textOf(asked.path);
    const records = read(text, asked);
    if (records === null) {
      throw new MimirError('invalid_argument', `${name} is no file of ${asked.from}.`, {
        hint: 'docs/sources.md says what each format looks like.',
      });
    }
    for (const note of [...unread, ...records.notes]) notes.push(`${name}: ${note}`);
    total = records.documents.length;
    if (records.documents.length === 0 && notes.length > 0)
      errors.push(`Not one record of ${name} could be read as ${asked.from}.`);
    yield* records.documents;
  }
  // Another file of the same program may hold what is not in this one.
  return { documents: documents(), total: () => total, isGone: () => false, notes, errors };
}

/** UTF-8, or UTF-16 with its mark, which is what `>` makes in a shell of Windows; with notes about what is neither. */
function textOf(path: string): { text: string; notes: string[] } {
  const bytes = readable(path, () => (statSync(path).size > LIMITS.importFileMaxBytes ? null : readFileSync(path)));
  if (bytes === null) {
    throw new MimirError('invalid_argument', `${path} is larger than ${LIMITS.importFileMaxBytes} bytes.`, {
      hint: 'Split it into several files.',
    });
  }
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return { text: new TextDecoder('utf-16le').decode(bytes), notes: [] };
  const text = new TextDecoder().decode(bytes);
  if (isUtf8(bytes)) return { text, notes: [] };
  const lines = text.split('\n').flatMap((line, at) => (line.includes('\uFFFD') ? [at + 1] : []));
  return { text, notes: lines.map((line) => `line ${line} is no UTF-8: what cannot be read stands as \uFFFD`) };
}

function readable<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch {
    throw new MimirError('invalid_argument', `${path} cannot be read.`, { hint: 'Name a file that is there.' });
  }
}
