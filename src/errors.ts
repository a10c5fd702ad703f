/** Who has to act on an error: the caller, time, the operator, or us. */
export type ErrorKind = 'invalid' | 'refused' | 'unavailable' | 'damaged' | 'bug';

interface ErrorRow {
  readonly kind: ErrorKind;
  /** What mends it, as one sentence; a thrower that knows better passes its own. */
  readonly hint?: string;
}

/** Every error this program can answer, by its stable code. A test pins the codes. */
export const ERRORS = {
  invalid_argument: { kind: 'invalid' },
  unknown_tool: { kind: 'invalid', hint: 'Ask tools/list for the names.' },
  not_found: { kind: 'refused' },
  ambiguous: { kind: 'refused', hint: 'Name the workspace with `workspace_hash`.' },
  forbidden: { kind: 'refused' },
  exists: { kind: 'refused' },
  idempotency_mismatch: { kind: 'refused', hint: 'Use a new `idempotency_key` for a different request.' },
  cancelled: { kind: 'refused' },
  queue_full: { kind: 'unavailable', hint: 'Wait and send it again.' },
  deadline: { kind: 'unavailable', hint: 'Nothing was done. Wait and send it again.' },
  locked: {
    kind: 'unavailable',
    hint: 'Another process holds the write lock. Send it again, or raise MIMIR_BUSY_TIMEOUT_MS.',
  },
  port_taken: { kind: 'unavailable' },
  closing: { kind: 'unavailable', hint: 'The server is stopping. Send it again when it is back.' },
  provider_down: { kind: 'unavailable', hint: 'Look whether the model server runs and answers; send it again then.' },
  no_model: {
    kind: 'refused',
    hint: 'Start the server with --embedding-endpoint URL --embedding-model NAME, or with --embedding-model FOLDER.',
  },
  no_connectors: {
    kind: 'refused',
    hint: 'Start it with --connectors-config FILE; docs/sources.md shows such a file.',
  },
  provider_refused: {
    kind: 'damaged',
    hint: 'Look at the address, the name of the model and the key of the model server.',
  },
  cannot_open: { kind: 'damaged' },
  wrong_key: { kind: 'damaged', hint: 'Start with the key file that this store was made with: --encryption-key FILE.' },
  not_encrypted: { kind: 'damaged', hint: 'Start without --encryption-key, or name another file with --db.' },
  not_a_store: { kind: 'damaged', hint: 'Name another file with --db.' },
  newer_schema: { kind: 'damaged', hint: 'Upgrade mimir-memory, or name another file with --db.' },
  original_store: {
    kind: 'damaged',
    hint: 'It is imported when a server or a command opens it: mimir stats --db FILE. The original file is kept.',
  },
  import_failed: {
    kind: 'damaged',
    hint: 'The original file is as it was. Go on with the original program, and report what this says.',
  },
  not_an_export: {
    kind: 'damaged',
    hint: 'Export it again: mimir export FILE. The store that it came from is as it was.',
  },
  corrupt: { kind: 'damaged', hint: 'Stop the server and restore a copy of the file.' },
  disk_full: {
    kind: 'damaged',
    hint: 'Free some space on the disk of the store; writing goes on by itself then. Reading still works.',
  },
  read_only: { kind: 'damaged', hint: 'Make the file and its folder writable for this user.' },
  io_error: { kind: 'damaged', hint: 'Look at the disk of the store; reading may still work.' },
  outcome_unknown: {
    kind: 'damaged',
    hint: 'The disk failed while saving: look whether the write is there before you repeat it.',
  },
  bug: { kind: 'bug' },
} as const satisfies Record<string, ErrorRow>;

/** A stable error code: a key of {@link ERRORS}. */
export type ErrorCode = keyof typeof ERRORS;

/** A text as one word of a shell's command line, for commands that a person copies. */
export function shellWord(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** What an error carries beside its sentence. */
export interface ErrorExtras {
  readonly hint?: string;
  /** Milliseconds after which trying again makes sense. */
  readonly retryAfterMs?: number;
  /** Facts for the caller's program, added to the structured answer. */
  readonly facts?: Readonly<Record<string, unknown>>;
}

/** The one error class. `message` is a sentence for people and never quotes a body, query, key or token. */
export class MimirError extends Error {
  readonly code: ErrorCode;
  readonly kind: ErrorKind;
  readonly hint: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly facts: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, message: string, extras: ErrorExtras = {}) {
    super(message);
    this.name = 'MimirError';
    const row: ErrorRow = ERRORS[code];
    this.code = code;
    this.kind = row.kind;
    this.hint = extras.hint ?? row.hint;
    this.retryAfterMs = extras.retryAfterMs;
    this.facts = extras.facts;
  }
}

/** What is wrong, and how to mend it. */
export function sentenceOf({ message, hint }: MimirError): string {
  return hint === undefined ? message : `${message} ${hint}`;
}

/** An error as plain data, for crossing a thread. */
export interface ErrorData {
  readonly code: ErrorCode;
  readonly message: string;
  readonly extras: ErrorExtras;
}

/** Turns any thrown value into plain data; what is not ours becomes `bug` with its stack in `facts.stack`. */
export function errorToData(thrown: unknown): ErrorData {
  if (thrown instanceof MimirError) {
    const { code, message, hint, retryAfterMs, facts } = thrown;
    return {
      code,
      message,
      extras: {
        ...(hint !== undefined && { hint }),
        ...(retryAfterMs !== undefined && { retryAfterMs }),
        ...(facts !== undefined && { facts }),
      },
    };
  }
  // Names and frames only: the message of a stranger's error (JSON.parse's, say) can quote what a client sent.
  const frames =
    thrown instanceof Error ? (thrown.stack ?? '').split('\n').filter((line) => line.startsWith('    at ')) : [];
  const stack = [thrown instanceof Error ? thrown.name : typeof thrown, ...frames].join('\n');
  return { code: 'bug', message: 'Something went wrong inside the server.', extras: { facts: { stack } } };
}

/** The inverse of {@link errorToData}. */
export function errorFromData(data: ErrorData): MimirError {
  return new MimirError(data.code, data.message, data.extras);
}

/** Exit code of a command that failed with this kind (house table: 2, 3, 4, 5, 70). */
export const EXIT_CODES = { invalid: 2, refused: 3, unavailable: 4, damaged: 5, bug: 70 } as const satisfies Record<
  ErrorKind,
  number
>;
