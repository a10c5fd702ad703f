// What lies beside the server for the tools that read and write files: our answers must be true of it, and what our store took in
// is what stood there.
import { layerOf } from '../../src/memory/retention.ts';
import type { Outcome } from './answers.ts';
import { DEFAULTS, type Ledger, type Row } from './ledger.ts';
import { asText, isObject, readJson, textAt, type Json, type JsonObject } from './recording.ts';
import type { Stage } from './stage.ts';
import { readVaultText } from './vault.ts';

/** What a call reads or writes, as it was before the call. */
export interface Beside {
  /** What of our answer is not true by what lies there now, a sentence each. */
  readonly wrong: (ledger: Ledger, ours: Outcome) => readonly string[];
  /** Tells the ledger what came in. */
  readonly note: (ledger: Ledger, theirs: Outcome, ours: Outcome, cause: string) => void;
}

/** The folder of a vault that nobody named. */
export const DEFAULT_VAULT = '$HOME/.mimir/vault';

/** Looks at what a call is going to use; nothing for tools that use no files. */
export function lookBeside(stage: Stage, tool: string, args: JsonObject): Beside | undefined {
  const [, word = ''] = /^mimir[ _](.*)$/.exec(tool) ?? [];
  if (word === 'migrate') return migration(stage.early(textAt(args, 'from_path') ?? textAt(args, 'from') ?? ''));
  if (word === 'ingest') return ingestion;
  const isExport = /^vault.export$/.test(word);
  if (!isExport && !/^vault.import$/.test(word)) return undefined;
  const asked = textAt(args, 'vault_dir') ?? '';
  const folder = asked === '' ? DEFAULT_VAULT : asked.replace(/^~(?=\/)/, '$HOME');
  const look = (): Files => stage.files(folder) ?? {};
  return isExport ? exported(folder, look, args) : imported(folder, look());
}

type Files = Readonly<Record<string, string>>;

/** What a call answered, or what a command printed. */
function answerOf(outcome: Outcome): JsonObject | undefined {
  if (outcome.kind !== 'value') return undefined;
  const { stdout } = outcome.value;
  if (stdout === undefined) return outcome.value;
  return isObject(stdout) ? stdout : undefined;
}

function exported(folder: string, look: () => Files, args: JsonObject): Beside {
  const before = look();
  return {
    wrong: (ledger, ours) => {
      const answer = answerOf(ours);
      if (answer === undefined) return [];
      const after = look();
      const created = Object.keys(after).filter((name) => !(name in before));
      const updated = Object.keys(after).filter((name) => name in before && after[name] !== before[name]);
      const files = Object.entries(after).map(([file, text]) => ({ ...readVaultText(text), file }));
      const saying = new Map(files.map((file) => [textAt(file, 'id'), file]));
      const workspace = textAt(args, 'workspace_hash');
      const rows = [...ledger.rows.values()].filter(
        ({ fields }) => workspace === undefined || fields['workspace_hash'] === workspace,
      );
      const live = rows.filter(({ archived }) => !archived);
      // Files of what is forgotten are named, and stay.
      const stale = rows.flatMap((row) => (row.archived ? (saying.get(row.id)?.file ?? []) : []));
      return [
        ...differing('vault_dir', folder, answer['vault_dir']),
        ...differing('files_created', created.length, answer['files_created']),
        ...differing('files_updated', updated.length, answer['files_updated']),
        ...differing('stale', stale.toSorted(), answer['stale'] ?? []),
        ...live.flatMap((row) => wrongFile(row, saying.get(row.id), created)),
      ];
    },
    note: () => undefined,
  };
}

function differing(name: string, due: Json, said: Json | undefined): string[] {
  return JSON.stringify(due) === JSON.stringify(said)
    ? []
    : [`${name} is ${asText(said)}, and by what lies there it is ${asText(due)}`];
}

const IN_FILES: readonly string[] = ['category', 'key', 'body_json', ...Object.keys(DEFAULTS)].filter(
  (name) => name !== 'archive_reason',
);

/** What in the file of a memory is not what our store was told of it; `created` are the names of new files. */
function wrongFile(row: Row, file: JsonObject | undefined, created: readonly string[]): string[] {
  if (file === undefined) return [`there is no file of ${row.id}`];
  if (row.changed === undefined) return [];
  const wrong = IN_FILES.filter((name) => {
    if (row.fields[name] === undefined) return false;
    // `recall_when` is put into the body.
    if (name === 'body_json' && row.fields['recall_when'] !== undefined)
      return readJson(asText(file[name])) === undefined;
    return JSON.stringify(file[name]) !== JSON.stringify(row.fields[name]);
  });
  if (row.importance !== undefined && file['importance'] !== row.importance) wrong.push('importance');
  // A file that is there is not written again for uses alone.
  const uses = Number(file['retrieval_count']);
  const isNew = created.includes(asText(file['file']));
  if (row.uses !== undefined && (isNew ? uses !== row.uses : uses > row.uses)) wrong.push('retrieval_count');
  return wrong.map((name) => `the file of ${row.id} says ${asText(file[name])} of ${name}`);
}

/** What the original does not write into its files: reading them, it makes all of that what it is by default. */
const LEFT_OUT = ['status', 'topic_path', 'verified', 'always_on', 'certainty', 'visibility', 'links', 'source'];

function imported(folder: string, before: Files): Beside {
  const texts = Object.entries(before).filter(([name]) => name.endsWith('.md'));
  const files = texts.map(([, text]) => readVaultText(text)).filter((file) => file !== undefined);
  const isNew = (ledger: Ledger, file: JsonObject): boolean => ledger.at(file) === undefined;
  return {
    wrong: (ledger, ours) => {
      const answer = answerOf(ours);
      if (answer === undefined) return [];
      const fresh = files.filter((file) => isNew(ledger, file));
      return [
        ...differing('vault_dir', folder, answer['vault_dir']),
        ...differing('files_created', fresh.length, answer['files_created']),
        ...differing('the number of files', texts.length, filesTold(answer) + errorsOf(answer).length),
      ];
    },
    note: (ledger, theirs, ours, cause) => {
      if (answerOf(ours) === undefined) return;
      const fresh = files.filter((file) => isNew(ledger, file)).map((file) => made(ledger, file));
      // Without a new memory, the original has taken all of them for others that it has.
      if (answerOf(theirs)?.['files_created'] === 0) for (const row of fresh) row.only = cause;
      for (const file of files) {
        const row = ledger.at(file);
        for (const field of LEFT_OUT) row?.omitted.add(field);
        if (row?.archived === true) ledger.archivedBy(row, cause);
      }
    },
  };
}

/** Files that became memories, or were memories already, by an answer of ours. */
export function filesTold(answer: JsonObject): number {
  const counted = ['files_created', 'files_updated', 'files_unchanged'].map((name) => Number(answer[name] ?? 0));
  return counted.reduce((sum, count) => sum + count, lengthOf(answer['forgotten']));
}

function lengthOf(list: Json | undefined): number {
  return Array.isArray(list) ? list.length : 0;
}

/** What a file that is read for the first time makes: what it does not say is as in `mimir_remember`. */
function made(ledger: Ledger, file: JsonObject): Row {
  const id = textAt(file, 'id') ?? '';
  const isFree = id !== '' && !ledger.rows.has(id);
  const importance = file['importance'] ?? Math.min(1, Math.max(0, Number(file['decay_score'] ?? 0.5)));
  const row = ledger.made(
    isFree ? id : '',
    'mimir_vault_import',
    { ...file, importance },
    textAt(file, 'layer') ?? 'buffer',
  );
  row.fields = { ...row.fields, source: file['source'] ?? 'vault-import', links: file['links'] ?? [] };
  row.uses = Number(file['retrieval_count'] ?? 0);
  if (isFree && ledger.theirsOf(id) === undefined) ledger.pair(id, id);
  return row;
}

/** What a dry run names, the next run brings in. */
const ingestion: Beside = {
  wrong: (ledger, ours) => {
    const answer = answerOf(ours);
    return answer?.['dry_run'] === false && Number(answer['ingested']) < ledger.due
      ? differing('ingested', ledger.due, answer['ingested'])
      : [];
  },
  note: () => undefined,
};

/** Bytes of an id that are a key in the original. */
const KEY_BYTES = 20;

function migration(early: readonly JsonObject[]): Beside {
  /** What can be read and is not there yet. */
  const fresh = (ledger: Ledger, answer: JsonObject): readonly JsonObject[] => {
    const unread = (i: number): boolean =>
      errorsOf(answer).some((error) => error.startsWith(`Row ${i + 1} read error: `));
    return early.filter((memory, i) => !unread(i) && !ledger.rows.has(asText(memory['id'])));
  };
  return {
    wrong: (ledger, ours) => {
      const answer = answerOf(ours);
      if (answer === undefined) return [];
      return [
        ...differing('total_old_memories', early.length, answer['total_old_memories']),
        ...differing('entities_created', fresh(ledger, answer).length, answer['entities_created']),
      ];
    },
    note: (ledger, _theirs, ours) => {
      const answer = answerOf(ours);
      if (answer === undefined || answer['dry_run'] === true) return;
      for (const memory of fresh(ledger, answer)) migrated(ledger, memory);
    },
  };
}

/** A memory of version 0.1 as our store has to have it. */
function migrated(ledger: Ledger, memory: JsonObject): void {
  const id = asText(memory['id']);
  const short = `migrated-${Buffer.from(id).subarray(0, KEY_BYTES).toString()}`;
  const workspace = asText(memory['workspace_hash']);
  const tags = readJson(asText(memory['tags']));
  const told = {
    category: 'general',
    key: ledger.named('general', short).length > 0 ? `migrated-${id}` : short,
    body_json: JSON.stringify({ content: memory['content'], summary: memory['summary'] ?? '' }),
    type: memory['type'] ?? '',
    topic_path: memory['topic_path'] ?? '',
    verified: memory['verified'] !== 0,
    workspace_hash: workspace,
    tags: [
      ...(Array.isArray(tags) ? (tags as readonly Json[]) : []),
      ...(workspace === '' ? [] : [`workspace:${workspace}`]),
    ],
    importance: memory['decay_score'] ?? 0,
  };
  const row = ledger.made(id, 'mimir_migrate', told, layerOf(asText(memory['layer']), 0));
  row.uses = Number(memory['retrieval_count']);
  ledger.pair(id, id);
}

/** The messages of an answer. */
export function errorsOf(answer: JsonObject): readonly string[] {
  const { errors } = answer;
  return Array.isArray(errors) ? (errors as readonly Json[]).map(asText) : [];
}

/** Files as a step of a recording lists them: those of a vault by what they say, others as they are. */
export function filesOf(files: Files): JsonObject {
  const listed = Object.entries(files).map(([name, text]) => {
    const said = readVaultText(text);
    return said === undefined ? { name, text } : { ...said, file: name };
  });
  return { files: listed };
}
