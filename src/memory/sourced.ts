import { sortedJson } from './json.ts';
import { splitText, type PieceSizes } from './pieces.ts';

/** A text that a source brings. */
export interface SourceDocument {
  /** Names it among all of its source, and stays the same when its text changes. */
  readonly key: string;
  /** The path of a file; empty for what is no file. */
  readonly path: string;
  /** Where it stands in its file, if it is a record of one: `line 7`. */
  readonly place?: string;
  readonly text: string;
  /** The member of the body that holds the text. */
  readonly textMember: 'content' | 'body';
  /** What else stands in the body: path or address, title, when it was changed. */
  readonly meta: Readonly<Record<string, unknown>>;
  readonly tags: readonly string[];
  /** What other documents call it, beside its key. */
  readonly names?: readonly string[];
  /** Which documents it leads to. */
  readonly links?: readonly DocumentLink[];
  /** Told when the store says already what it says: its key there, and the memories that say it. */
  readonly stored?: (key: string, pieces: readonly KnownPiece[]) => void;
}

/** A document without links that is as it was when its source was told that it is stored, as are the memories that say it. */
export interface UnchangedDocument {
  /** As it was told. */
  readonly key: string;
  readonly path: string;
}

/** Where a document leads to. */
export interface DocumentLink {
  /** The key or a name of the other document; large and small letters are the same where nothing is written exactly so. */
  readonly to: string;
  /** What is meant when nothing is called `to`. */
  readonly orTo?: string;
  readonly relationship: string;
}

/** One memory that a document becomes: the whole of it, or a piece. */
export interface SourcedPiece {
  readonly key: string;
  readonly bodyJson: string;
  readonly tags: readonly string[];
}

/** What is stored of a source: one of its memories. */
export interface KnownPiece {
  readonly id: string;
  readonly key: string;
  /** Another one as soon as anything of it is changed. */
  readonly version: number;
  readonly tags: readonly string[];
  /** Hex of the SHA-256 of the canonical body. */
  readonly bodyHash: string;
  /** `live`; archived: `gone` because its source has it no more, `faded` by age, `forgotten` because somebody wanted it so. */
  readonly standing: 'live' | 'gone' | 'faded' | 'forgotten';
  /** The member `path` of its body; empty without. */
  readonly path: string;
  /** The member `updated_at` of its body; empty without. */
  readonly updatedAt: string;
  /** The member `lines` of its body, which a piece of a document has; empty without. */
  readonly lines: string;
}

/** A source that is being read. */
export interface Reading {
  /** Ends with a `MimirError` when the rest cannot be read now; what came before is kept. */
  readonly documents: AsyncIterable<SourceDocument | UnchangedDocument>;
  /** How many documents will come, once that is known; absent where nobody can tell before the end. */
  readonly total?: () => number | undefined;
  /** Asked after the last document: whether what was stored with this path, and did not come, is not there any more. */
  readonly isGone: (path: string) => boolean;
  /** What its user should know and what is no error; grows while it is read. */
  readonly notes: readonly string[];
  /** What could not be read while the rest could; grows while it is read. */
  readonly errors: readonly string[];
}

/** Where documents come from. */
export interface Source {
  /** As the argument `connector` and the settings name it. */
  readonly name: string;
  /** Stands as `source` in its memories, which are told from all others by it. */
  readonly origin: string;
  /** The category of its memories. */
  readonly category: string;
  /** Begins to read. `known` is what is stored of it already. */
  readonly read: (known: readonly KnownPiece[], signal: AbortSignal) => Reading;
  /** Calls back, not too often, when there may be something new. Answers how to stop. Absent where nobody tells. */
  readonly watch?: (changed: () => void) => Promise<() => void>;
}

/** What one run over a source did, or would do. */
export interface BroughtIn {
  /** Keys of the documents that are new or have changed. */
  readonly changed: readonly string[];
  /** The first of these, as a person knows them: a key may be a number that says nothing. */
  readonly examples: readonly string[];
  /** Keys of those that were forgotten because they are gone. */
  readonly forgotten: readonly string[];
  readonly unchanged: number;
  readonly notes: readonly string[];
  /** Why it ended early, or what could not be stored. */
  readonly errors: readonly string[];
}

/** The key of the document that a memory is, or is a piece of. A document may itself be called `queue.ts#L10-L20`. */
export function documentKeyOf({ key, lines }: Pick<KnownPiece, 'key' | 'lines'>): string {
  return lines !== '' && key.endsWith(`#${lines}`) ? key.slice(0, -lines.length - 1) : key;
}

/** The memories that a document becomes. A piece says in its key and its body which lines it has, and under which headings. */
export function piecesOf({ key, text, textMember, meta, tags }: SourceDocument, sizes: PieceSizes): SourcedPiece[] {
  const pieces = splitText(text, sizes);
  if (pieces.length === 1) return [{ key, tags, bodyJson: sortedJson({ ...meta, [textMember]: text }) }];
  return pieces.map(({ text: part, place, headings }) => ({
    key: `${key}#${place}`,
    tags,
    bodyJson: sortedJson({
      ...meta,
      [textMember]: part,
      lines: place,
      ...(headings.length > 0 && { heading: headings.join(' > ') }),
    }),
  }));
}
