import { createHash } from 'node:crypto';

import { readConfig, usage } from '../config.ts';
import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { print } from '../log.ts';
import type { ToolAnswer } from '../tools/types.ts';
import type { Call, Command, Flag } from './command.ts';
import { warnOfEarlyStore } from './early.ts';
import { CONNECTORS, JSON_OUT, MODEL_OF_CALL, SERVER, STORE, WORKSPACE } from './flags.ts';
import { generalHelp, helpOf } from './help.ts';
import { importFrom } from './import-from.ts';
import { didYouMean } from './nearest.ts';
import { namesOf } from './parse.ts';
import { callAnyTool, lookOf, toolCommand } from './run.ts';
import { harmless, members, prettyJson, showContext, showIngest, showRecall, textOf } from './show.ts';

// Nothing heavy may be imported here: a server over stdio reads this table before it answers.

const CATEGORY: Flag = {
  name: 'category',
  kind: 'text',
  value: 'NAME',
  help: 'its category',
  required: true,
  mayBeEmpty: true,
  field: 'category',
};
const KEY: Flag = { ...CATEGORY, name: 'key', help: 'its key within the category', field: 'key' };
const DRY_RUN: Flag = {
  name: 'dry-run',
  kind: 'switch',
  help: 'say what would be done, and do nothing',
  field: 'dry_run',
};
const VAULT: Flag = {
  name: 'vault-dir',
  kind: 'path',
  value: 'FOLDER',
  help: 'the folder (MIMIR_VAULT_DIR; ~/.mimir/vault)',
  field: 'vault_dir',
};

const pretty = (answer: ToolAnswer, call: Call): string =>
  call.values['json'] === true ? answer.json : prettyJson(answer.json);
const parsed = (answer: ToolAnswer): Readonly<Record<string, unknown>> => members(JSON.parse(answer.json) as unknown);
const jsonOr =
  (show: (answer: Readonly<Record<string, unknown>>, call: Call) => string) =>
  (answer: ToolAnswer, call: Call): string =>
    call.values['json'] === true ? answer.json : show(parsed(answer), call);

const linesOf = (value: unknown): readonly string[] => (Array.isArray(value) ? value.map(String) : []);

/** Beginning of a text as a key, and a few digits of its hash: the same text is the same memory, another one never is. */
function keyOf(text: string): string {
  const start = text
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '')
    .slice(0, 5)
    .join('-');
  return `${start.slice(0, 60)}-${createHash('sha256').update(text).digest('hex').slice(0, 8)}`;
}

/** Every word of the command line, in the order of the help. The first one is meant when there is no word. */
export const COMMANDS: readonly Command[] = [
  {
    word: 'serve',
    summary: 'Serve the memory to MCP clients, over stdio or HTTP.',
    notes: [
      'Over stdio a client starts it and ends it. Over HTTP it runs until Ctrl-C or SIGTERM.',
      `Environment: MIMIR_POOL_MAX_SIZE (${LIMITS.poolMaxDefault}), MIMIR_BUSY_TIMEOUT_MS (${LIMITS.busyTimeoutDefaultMs}).`,
    ],
    flags: SERVER,
    example: 'mimir serve --transport http --db ~/notes.db',
    run: async ({ values, environment }, host) => {
      const config = readConfig(values, environment);
      warnOfEarlyStore(config, environment);
      const notes = SERVER.filter(({ name, later: what }) => what !== undefined && values[name] !== undefined);
      await host.serve(
        config,
        notes.map(({ name, later: what }) => `mimir: --${name} has no effect: ${what}`),
      );
      return 0;
    },
  },
  toolCommand({
    word: 'remember',
    tool: 'mimir_remember',
    summary: 'Remember a sentence.',
    notes: ['Without --key, the key is made of the sentence: the same sentence is the same memory.'],
    words: { name: 'TEXT', required: true, most: Number.POSITIVE_INFINITY },
    flags: [
      { ...CATEGORY, required: false, fallback: 'note' },
      { ...KEY, required: false },
      { name: 'tags', kind: 'list', value: 'A,B', help: 'words to find it by', field: 'tags' },
      { name: 'type', kind: 'text', value: 'WORD', help: 'what it is (insight)', field: 'type' },
      { name: 'importance', kind: 'number', value: 'N', help: '0 to 1 (0.5)', field: 'importance' },
      { name: 'always-on', kind: 'switch', help: 'show it in every briefing', field: 'always_on' },
      WORKSPACE,
      JSON_OUT,
      ...STORE,
    ],
    example: 'mimir remember "The staging host is called heron" --tags infra',
    args: ({ words, values }) => {
      const content = words.join(' ');
      return { body_json: JSON.stringify({ content }), key: values['key'] ?? keyOf(content) };
    },
    show: jsonOr((answer) => {
      const { similar } = answer;
      const alike = Array.isArray(similar) ? similar.map((one) => textOf(members(one), 'key')) : [];
      const done = `${textOf(answer, 'action')} ${textOf(answer, 'category')}/${textOf(answer, 'key')}`;
      return harmless([done, ...(alike.length === 0 ? [] : [`nearly the same: ${alike.join(', ')}`])].join('\n'));
    }),
  }),
  toolCommand({
    word: 'recall',
    tool: 'mimir_recall',
    summary: 'Find memories by words, most relevant first; without words, the newest.',
    words: { name: 'WORDS', required: false, most: Number.POSITIVE_INFINITY },
    flags: [
      { ...CATEGORY, required: false, help: 'only this category' },
      { name: 'type', kind: 'text', value: 'WORD', help: 'only this type', field: 'type' },
      { name: 'limit', kind: 'count', value: 'N', help: 'how many (10)', field: 'limit' },
      { name: 'offset', kind: 'count', value: 'N', help: 'how many to skip (0)', field: 'offset' },
      { name: 'include-archived', kind: 'switch', help: 'forgotten ones too', field: 'include_archived' },
      { ...WORKSPACE, help: 'only this workspace' },
      JSON_OUT,
      ...STORE,
    ],
    example: 'mimir recall which host is staging --limit 3',
    args: ({ words }) => ({ query: words.join(' ') }),
    show: jsonOr((answer, call) => showRecall(answer, lookOf(call), Number(call.values['offset'] ?? 0) > 0)),
  }),
  toolCommand({
    word: 'context',
    tool: 'mimir_context',
    summary: 'Print a briefing: pinned memories, then the newest, or what a task needs.',
    words: { name: 'TASK', required: false, most: Number.POSITIVE_INFINITY },
    flags: [
      { name: 'categories', kind: 'list', value: 'A,B', help: 'only these, in this order', field: 'categories' },
      { name: 'limit', kind: 'count', value: 'N', help: 'lines for each category (10)', field: 'limit' },
      {
        name: 'max-tokens',
        kind: 'count',
        value: 'N',
        help: 'most tokens, 200 to 10000',
        fallback: '2000',
        field: 'max_tokens',
      },
      { ...WORKSPACE, help: 'only this workspace' },
      JSON_OUT,
      ...STORE,
    ],
    example: 'mimir context deploy the importer --max-tokens 500',
    args: ({ words }) => (words.length === 0 ? {} : { query: words.join(' ') }),
    show: jsonOr((answer, call) => showContext(answer, lookOf(call))),
  }),
  {
    word: 'call',
    summary: 'Call any tool, with its arguments as JSON, and print its answer as JSON.',
    notes: ['docs/tools.md or tools/list say which tools there are; mimir_ in front may be left out.'],
    words: { name: 'TOOL', required: true, most: 1 },
    flags: [
      {
        name: 'args',
        kind: 'text',
        value: 'JSON',
        help: 'the arguments; - reads them from standard input',
        fallback: '{}',
      },
      ...MODEL_OF_CALL,
      CONNECTORS,
      ...STORE,
    ],
    example: `mimir call traverse --args '{"category":"note","key":"heron"}'`,
    run: callAnyTool,
  },
  toolCommand({
    word: 'ingest',
    tool: 'mimir_ingest',
    summary: 'Bring in what connectors find: new and changed documents, and which are gone.',
    flags: [
      { ...CONNECTORS, required: true },
      {
        name: 'connector',
        kind: 'text',
        value: 'NAME',
        help: 'only this one: github or file_watcher',
        field: 'connector',
      },
      DRY_RUN,
      JSON_OUT,
      ...STORE,
    ],
    example: 'mimir ingest --connectors-config ~/connectors.yaml --dry-run',
    show: jsonOr(showIngest),
    troubles: (answer) => linesOf(parsed(answer)['errors']),
    doing: 'Bringing in',
  }),
  {
    word: 'import',
    summary: 'Make a new store of an export, or bring in what another program left.',
    notes: [
      'Without --from, FILE is an export in JSON lines (mimir export): the store must not be there yet, and is checked before it gets its name. Only the flags of the store go with it.',
      'With it, a file or folder of another memory program comes in; again later, what is new or changed. docs/sources.md says what each format looks like.',
      '--from original makes a new store, at --db, of a database of the original Mimir, which stays as it is. With --dry-run it is compared all the same, and thrown away. docs/moving.md has the ways in.',
    ],
    words: { name: 'PATH', required: true, most: 1 },
    flags: [
      {
        name: 'from',
        kind: 'text',
        value: 'FORMAT',
        help: 'reference, jsonl (.csv and .tsv too), markdown, mem0, basic-memory or original',
      },
      { ...CATEGORY, required: false, mayBeEmpty: false, help: 'store under this category, not that of the format' },
      {
        name: 'map',
        kind: 'list',
        value: 'A=B,C=D',
        help: 'jsonl: what its records call content, key, title and tags',
      },
      DRY_RUN,
      JSON_OUT,
      ...STORE,
    ],
    example: 'mimir import --from reference ~/memory.jsonl --dry-run',
    run: async (call, host) => {
      const { from } = call.values;
      if (from !== undefined && from !== 'original') return await importFrom(call, host);
      const { importStore, importOriginal } = await import('./export.ts');
      return await (from === undefined ? importStore(call, host) : importOriginal(call, host));
    },
  },
  toolCommand({
    word: 'write',
    ofOriginal: true,
    tool: 'mimir_remember',
    summary: 'Store a memory under a category and a key, or update it.',
    notes: ['An update keeps the fields that are left out.'],
    flags: [
      CATEGORY,
      KEY,
      {
        name: 'body',
        kind: 'text',
        value: 'JSON',
        help: 'its content',
        required: true,
        mayBeEmpty: true,
        field: 'body_json',
      },
      { name: 'tags', kind: 'list', value: 'A,B', help: 'words to find it by', mayBeEmpty: true, field: 'tags' },
      {
        name: 'entity-type',
        kind: 'text',
        value: 'WORD',
        help: 'what it is (insight)',
        mayBeEmpty: true,
        field: 'type',
      },
      { name: 'importance', kind: 'number', value: 'N', help: '0 to 1 (0.5)', field: 'importance' },
      { name: 'always-on', kind: 'switch', help: 'show it in every briefing', field: 'always_on' },
      {
        name: 'visibility',
        kind: 'text',
        value: 'WORD',
        help: 'private, workspace or public (workspace)',
        mayBeEmpty: true,
        field: 'visibility',
      },
      {
        name: 'agent-id',
        kind: 'text',
        value: 'NAME',
        help: 'the agent it belongs to',
        mayBeEmpty: true,
        field: 'agent_id',
      },
      WORKSPACE,
      JSON_OUT,
      ...STORE,
    ],
    example: `mimir write --category note --key heron --body '{"content":"staging"}'`,
    show: (answer, call) => {
      const { action, id, similar } = parsed(answer);
      return pretty({ ...answer, json: JSON.stringify({ action, id, ok: true, similar }) }, call);
    },
  }),
  toolCommand({
    word: 'forget',
    ofOriginal: true,
    tool: 'mimir_forget',
    summary: 'Archive a memory: it is left out from then on, and not erased.',
    flags: [
      CATEGORY,
      KEY,
      {
        name: 'reason',
        kind: 'text',
        value: 'TEXT',
        help: 'why',
        fallback: 'forgotten via CLI',
        mayBeEmpty: true,
        field: 'reason',
      },
      { ...WORKSPACE, help: 'which one, if several have the key' },
      JSON_OUT,
      ...STORE,
    ],
    example: 'mimir forget --category note --key heron --reason "host is gone"',
    show: (answer, call) => {
      const done = parsed(answer);
      const name = `${textOf(done, 'category')}/${textOf(done, 'key')}`;
      if (done['found'] === true) return call.values['json'] === true ? answer.json : `Archived ${name}`;
      throw new MimirError('not_found', `no active entity found for ${name}`);
    },
  }),
  toolCommand({
    word: 'prune',
    ofOriginal: true,
    tool: 'mimir_prune',
    summary: 'Archive many memories: by category, by strength, by age.',
    notes: [
      'All that is given must hold. With nothing given, it archives the first 100 memories: try --dry-run before.',
    ],
    flags: [
      { ...CATEGORY, required: false, help: 'only this category' },
      {
        name: 'min-decay',
        kind: 'number',
        value: 'N',
        help: 'only those weaker than this, 0 to 1',
        field: 'min_decay',
      },
      {
        name: 'older-than-days',
        kind: 'count',
        most: 4_294_967_295,
        value: 'N',
        help: 'only those made before so many days',
        field: 'older_than_days',
      },
      { name: 'limit', kind: 'count', value: 'N', help: 'how many at most; 0 is all', fallback: '100', field: 'limit' },
      DRY_RUN,
      JSON_OUT,
      ...STORE,
    ],
    example: 'mimir prune --category log --older-than-days 90 --dry-run',
    // The tool refuses to archive without a criterion; this command never did.
    args: () => ({ purge_all: true }),
    show: pretty,
    doing: 'Archiving',
  }),
  toolCommand({
    word: 'decay',
    ofOriginal: true,
    tool: 'mimir_decay',
    summary: 'Archive the memories that have faded.',
    flags: [JSON_OUT, ...STORE],
    example: 'mimir decay',
    show: pretty,
    doing: 'Looking for what has faded',
  }),
  toolCommand({
    word: 'stats',
    ofOriginal: true,
    tool: 'mimir_stats',
    summary: 'Count what is stored.',
    flags: [JSON_OUT, ...STORE],
    example: 'mimir stats --db ~/notes.db',
    show: pretty,
  }),
  toolCommand({
    word: 'purge',
    ofOriginal: true,
    tool: 'mimir_purge',
    summary: 'Erase archived memories for good, and give their room back.',
    flags: [DRY_RUN, JSON_OUT, ...STORE],
    example: 'mimir purge --dry-run',
    show: pretty,
    doing: 'Erasing',
  }),
  toolCommand({
    word: 'reindex',
    ofOriginal: true,
    tool: 'mimir_reindex',
    summary: 'Make the text index anew from what is stored.',
    flags: [JSON_OUT, ...STORE],
    example: 'mimir reindex',
    show: jsonOr((answer) => `Reindexed ${String(answer['reindexed'])} entities into FTS5`),
    doing: 'Making the index anew',
  }),
  toolCommand({
    word: 'vault-export',
    ofOriginal: true,
    tool: 'mimir_vault_export',
    summary: 'Write every live memory to a Markdown file in a folder.',
    flags: [
      VAULT,
      { ...WORKSPACE, help: 'only this workspace' },
      { name: 'prune', kind: 'switch', help: 'remove files of forgotten memories, unless edited', field: 'prune' },
      JSON_OUT,
      ...STORE,
    ],
    notes: ['Files that were edited by hand are left alone until they are imported.'],
    example: 'mimir vault-export --vault-dir ~/vault',
    show: pretty,
    doing: 'Exporting',
  }),
  toolCommand({
    word: 'vault-import',
    ofOriginal: true,
    tool: 'mimir_vault_import',
    summary: 'Read the Markdown files of a folder into the store.',
    notes: ['What was changed in the file and in the store is kept twice. Reading a folder again changes nothing.'],
    flags: [VAULT, JSON_OUT, ...STORE],
    example: 'mimir vault-import --vault-dir ~/vault',
    show: pretty,
    doing: 'Importing',
  }),
  toolCommand({
    word: 'migrate',
    ofOriginal: true,
    tool: 'mimir_migrate',
    summary: 'Bring a store of the original, version 0.1, into a store of today.',
    notes: [
      'A database of version 2 needs no command: name it with --db anywhere, and it is imported (docs/moving.md).',
    ],
    flags: [
      { name: 'from', kind: 'path', value: 'FILE', help: 'the old store', required: true, field: 'from_path' },
      { name: 'to', kind: 'path', value: 'FILE', help: 'the new one', required: true },
      DRY_RUN,
      JSON_OUT,
      { name: 'encryption-key', kind: 'path', value: 'FILE', help: 'key of the new one, if it is encrypted' },
    ],
    example: 'mimir migrate --from ~/old.db --to ~/new.db',
    store: 'to',
    show: pretty,
    doing: 'Migrating',
  }),
  {
    word: 'export',
    summary: 'Write the whole store to a file: as JSON lines, or as a database of the original.',
    notes: [
      'JSON lines hold everything, history included (docs/export-format.md). With --original, it is what is current, as a new database of Mimir 2 (docs/moving.md). Texts are in plain. Servers may go on meanwhile.',
    ],
    words: { name: 'FILE', required: false, most: 1 },
    flags: [
      { name: 'original', kind: 'path', value: 'FILE', help: 'write a new database of the original instead' },
      ...STORE,
    ],
    example: 'mimir export ~/all.jsonl',
    run: async (call, host) => (await import('./export.ts')).exportStore(call, host),
  },
  {
    word: 'keygen',
    ofOriginal: true,
    summary: 'Make a key for an encrypted store. A file that is there is never overwritten.',
    notes: ['Keep a copy of the key: without it nobody can open the store again.'],
    flags: [{ name: 'key-file', kind: 'path', value: 'FILE', help: 'where to', fallback: '~/.mimir/secret.key' }],
    example: 'mimir keygen && mimir serve --encryption-key ~/.mimir/secret.key',
    run: async (call) => (await import('./keygen.ts')).keygen(call),
  },
  {
    word: 'verify',
    summary: 'Read the whole store and compute it again: history, texts, indexes, references.',
    notes: ['It prints what does not agree, and exits 5 then. Servers may go on meanwhile.'],
    flags: [JSON_OUT, ...STORE],
    example: 'mimir verify --db ~/notes.db',
    run: async (call, host) => (await import('./verify.ts')).verify(call, host),
  },
  {
    word: 'doctor',
    summary: 'Say what is wrong with settings, key, folder, disk, store and models, and how to mend it.',
    notes: [
      'Give it the flags of the server that does not work. It opens the store as a server would, and stores nothing. It exits 5 when something is wrong.',
      'Of the models that are named, one has a text of its own embedded, and the other is looked up in the list of its server; nothing of the store is sent.',
    ],
    flags: [JSON_OUT, ...SERVER],
    example: 'mimir doctor --db ~/notes.db',
    run: async (call, host) => (await import('./doctor.ts')).doctor(call, host),
  },
  {
    word: 'help',
    summary: 'Explain the program, or one command.',
    words: { name: 'COMMAND', required: false, most: 1 },
    flags: [],
    example: 'mimir help recall',
    run: ({ words: [word] }) => {
      if (word === undefined) print(generalHelp(COMMANDS));
      else {
        const command = COMMANDS.find((one) => one.word === word);
        if (command === undefined)
          throw usage(
            'There is no such command.',
            `${didYouMean(word, namesOf(COMMANDS))} mimir help lists them.`.trim(),
          );
        print(helpOf(command));
      }
      return 0;
    },
  },
  {
    word: 'version',
    summary: 'Print the version.',
    flags: [],
    example: 'mimir version',
    run: (_, host) => {
      print(`mimir ${host.version}`);
      return 0;
    },
  },
];
