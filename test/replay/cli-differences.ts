// What differs on the command line on purpose. test/replay/cli.long.ts judges by it, and docs/compatibility.md is made of it.
import type { Difference } from './difference.ts';

/** What of a run is compared. */
export type Part = 'exit' | 'stdout' | 'stderr' | 'file';

/**
 * Which observed differences are allowed. Argument lists are joined with blanks, and `env` with the names that are set. Values are
 * those of `cli-replay.ts`: of a file, its path and its mode, or `absent`.
 */
export interface Match {
  readonly part: Part;
  readonly argv?: RegExp;
  readonly env?: RegExp;
  readonly original: RegExp;
  readonly ours: RegExp;
}

/** One deliberate difference between the original's command line and ours; `tools` are commands. */
export interface CliDifference extends Pick<Difference, 'name' | 'tools' | 'original' | 'ours' | 'reason'> {
  /** How it shows; each of them must be needed. */
  readonly matches: readonly Match[];
}

const SERVES = /^(serve\b|--|-[a-zA-Z]|$)/;
const NO_HOME = /^$/;
const HOME_PATH = /(^|[ =])~\//;
const NO_NUMBERS = /NaN|inf|1e400/i;

/** All of them. A difference that no line allows fails the replay, and so does one that no recording needs. */
export const CLI_DIFFERENCES: readonly CliDifference[] = [
  {
    name: 'help-for-people',
    original: 'Its own help texts.',
    ours: 'Other texts, with an example, for 80 columns. The first line still says what the command is for.',
    reason: 'Help is read by people, who have terminals.',
    matches: [{ part: 'stdout', argv: /(^|\s)(--help|-h|help)\b/, original: /./, ours: /^[A-Z].*\.$|^mimir: ./ }],
  },
  {
    name: 'version-of-its-own',
    tools: ['mimir --version'],
    original: '`mimir 2.1.0`.',
    ours: 'The version of this package.',
    reason: 'It is another program.',
    matches: [
      { part: 'stdout', argv: /--version|-V/, original: /^mimir \d+\.\d+\.\d+$/m, ours: /^mimir \d+\.\d+\.\d+$/m },
    ],
  },
  {
    name: 'no-home-needed',
    original:
      'Without HOME, USERPROFILE and MIMIR_DB_PATH every command fails, also `--help`, `--version` and those that are told every file.',
    ours: 'A command fails only when it needs the home folder.',
    reason: 'Who names every file needs no home.',
    matches: [
      { part: 'exit', env: NO_HOME, original: /^1$/, ours: /^0$/ },
      { part: 'stdout', env: NO_HOME, argv: /--help|--version/, original: /^$/, ours: /^mimir/ },
      { part: 'file', env: NO_HOME, original: /absent$/, ours: / 600$/ },
    ],
  },
  {
    name: 'home-in-paths',
    original:
      'A path that begins with `~/` and was not expanded by a shell is taken literally, and fails after 30 seconds.',
    ours: 'It is in the home folder.',
    reason: 'Configurations of clients are read by no shell.',
    matches: [
      { part: 'exit', argv: HOME_PATH, original: /^1$/, ours: /^0$/ },
      { part: 'file', argv: HOME_PATH, original: /^\$HOME\/\S+ absent$/, ours: /^\$HOME\/\S+ 600$/ },
    ],
  },
  {
    name: 'files-for-their-owner',
    original: 'Every file that is written can be read by all users of the machine.',
    ours: 'It is for its owner only (0600).',
    reason: 'Memories are private.',
    matches: [{ part: 'file', original: / 644$/, ours: / 600$/ }],
  },
  {
    name: 'one-file-after-a-command',
    original: 'The write-ahead log often lies beside the store when a command has ended.',
    ours: 'It is folded into the store and removed.',
    reason: 'A clean stop leaves one file, which can be copied.',
    matches: [{ part: 'file', original: /-(wal|shm) 644$/, ours: /-(wal|shm) absent$/ }],
  },
  {
    name: 'the-first-call-makes-the-store',
    tools: ['mimir serve'],
    original: 'Over stdio the store is made at the start.',
    ours: 'It is made with the first call.',
    reason: 'Clients start servers to look at their tools; the start is quicker, and nobody is locked out.',
    matches: [{ part: 'file', argv: SERVES, original: /\.db 644$/, ours: /\.db absent$/ }],
  },
  {
    name: 'arguments-before-the-store',
    original:
      'A command whose arguments cannot be used (a body that is no JSON, a number that is none) makes the store before it fails.',
    ours: 'It makes nothing.',
    reason: 'The arguments are read before the store is opened.',
    matches: [{ part: 'file', argv: /^write |NaN|inf|1e400/i, original: /\.db 644$/, ours: /\.db absent$/ }],
  },
  {
    name: 'a-store-that-cannot-be-used',
    tools: ['mimir serve'],
    original: 'Over stdio, with a store or a key that cannot be used, it ends with exit code 1.',
    ours: 'It stays up and answers every call with the reason; exit code 0 at the end of the input.',
    reason: 'Clients show their user what a tool answers, and hide what a server prints before it ends.',
    matches: [{ part: 'exit', argv: SERVES, original: /^1$/, ours: /^0$/ }],
  },
  {
    name: 'encryption-is-not-announced',
    tools: ['mimir serve'],
    original: '`--encryption-key` prints that encryption is enabled, also for a store that is not encrypted.',
    ours: 'It prints nothing; `mimir_health` and `mimir_stats` say `encrypted`.',
    reason: 'The store is opened with the first call, and only then it is known.',
    matches: [{ part: 'stderr', original: /^mimir: encryption enabled /, ours: /^absent$/ }],
  },
  {
    name: 'flags-without-effect',
    tools: ['mimir serve'],
    original: 'An embedding model is announced, and `--web` opens a page.',
    ours: 'No embedding model is announced; the web page is not there yet, and a line says so of its flags.',
    reason: 'Nobody should wait for what does not come.',
    matches: [
      {
        part: 'stderr',
        argv: SERVES,
        original: /^mimir: local ONNX embedding enabled/,
        ours: /^absent$/,
      },
      { part: 'stderr', argv: SERVES, original: /^absent$/, ours: /^mimir: --[a-z-]+ has no effect: / },
    ],
  },
  {
    name: 'offline-is-not-announced',
    tools: ['mimir serve'],
    original: '`--offline` prints that the network is not used.',
    ours: 'It is not, and no model server is asked.',
    reason: 'The server makes no connection to anywhere unless it is told to.',
    matches: [
      {
        part: 'stderr',
        argv: /--offline/,
        original: /^mimir: (running in offline|web dashboard, LLM)/,
        ours: /^absent$/,
      },
    ],
  },
  {
    name: 'an-older-store-in-one-line',
    original: 'An older store at `~/mimir.db` beside a new default store is told in seven lines, by some commands.',
    ours: 'It is told in one line, by all, which says what to name with `--db`.',
    reason: 'A pipe that nobody reads must not fill.',
    matches: [
      { part: 'stderr', original: /^mimir: {2,}|^mimir: ⚠/, ours: /^absent$/ },
      { part: 'stderr', original: /^absent$/, ours: /^mimir: there is an older store at \$HOME\/mimir\.db/ },
    ],
  },
  {
    name: 'workspace-token-is-refused',
    tools: ['mimir serve'],
    original: '`--workspace-token` is accepted and does nothing.',
    ours: 'It is refused with exit code 2.',
    reason: 'Who sets it believes that it guards something.',
    matches: [{ part: 'exit', argv: /--workspace-token/, original: /^0$/, ours: /^2$/ }],
  },
  {
    name: 'a-key-is-not-overwritten',
    tools: ['mimir keygen'],
    original: 'A key file that is there is overwritten.',
    ours: 'It is refused with exit code 1.',
    reason: 'A store made with the old key could never be opened again.',
    matches: [{ part: 'exit', argv: /^keygen/, original: /^0$/, ours: /^1$/ }],
  },
  {
    name: 'each-workspace-writes-its-own',
    tools: ['mimir write'],
    original: 'A category and key that another workspace has: the memory of that workspace is updated.',
    ours: 'One is created in the own workspace.',
    reason: 'A memory is told apart by workspace, category and key.',
    matches: [{ part: 'stdout', argv: /^write /, original: /^action: "updated"$/, ours: /^action: "created"$/ }],
  },
  {
    name: 'unreadable-connector-settings-are-a-wrong-setting',
    tools: ['mimir serve'],
    original: 'A connectors file that cannot be read: exit code 1.',
    ours: 'Exit code 2.',
    reason: 'A wrong setting of `serve` exits 2, whichever it is.',
    matches: [{ part: 'exit', argv: /--connectors-config/, original: /^1$/, ours: /^2$/ }],
  },
  {
    name: 'wrong-connectors-are-named',
    tools: ['mimir serve'],
    original: 'A connectors file in which something is wrong: nothing is said.',
    ours: 'The place is named.',
    reason: 'A connector that is silently left out is missed much later.',
    matches: [
      {
        part: 'stderr',
        argv: /--connectors-config/,
        original: /^absent$/,
        ours: /^mimir: \S+: (there is no connector|connectors\.\S+ is not right)/,
      },
    ],
  },
  {
    name: 'what-is-written-is-stored',
    tools: ['mimir write'],
    original: 'What is nearly there already is thrown away.',
    ours: 'It is stored, and `similar` names the other.',
    reason: 'Nothing acknowledged is lost.',
    matches: [{ part: 'stdout', argv: /^write /, original: /^action: "deduped/, ours: /^action: "created"$/ }],
  },
  {
    name: 'numbers-are-numbers',
    original: 'Numbers that are none, or larger than all (`NaN`, `1e400`), are accepted.',
    ours: 'They are refused with exit code 2.',
    reason: 'No comparison with them means anything.',
    matches: [{ part: 'exit', argv: NO_NUMBERS, original: /^0$/, ours: /^2$/ }],
  },
  {
    name: 'vault-import-makes-no-empty-store',
    tools: ['mimir vault-import'],
    original: 'A folder that has nothing to take in, or is not there: the store is made.',
    ours: 'Nothing is made.',
    reason: 'A store is made with its first call.',
    matches: [{ part: 'file', argv: /^vault-import/, original: /\.db 644$/, ours: /\.db absent$/ }],
  },
  {
    name: 'unreadable-vault-files-say-what-they-lack',
    tools: ['mimir vault-import'],
    original: 'A file that cannot be read as a memory is named with two words.',
    ours: 'It is named with what it should be.',
    reason: 'Who wrote it by hand can mend it.',
    matches: [
      {
        part: 'stdout',
        argv: /^vault-import/,
        original: /^errors: \[.*no frontmatter/,
        ours: /^errors: \[.*no front matter/,
      },
    ],
  },
  {
    name: 'a-second-vault-import-changes-nothing',
    tools: ['mimir vault-import'],
    original: 'The same files again are all counted in `files_updated`.',
    ours: 'Those that changed a memory are, the others in `files_unchanged`.',
    reason: 'A second import changes nothing, and says so.',
    matches: [{ part: 'stdout', argv: /^vault-import/, original: /^files_updated: [1-9]/, ours: /^files_updated: 0$/ }],
  },
  {
    name: 'a-vault-keeps-the-layer',
    tools: ['mimir vault-import'],
    original: 'The layer of what was taken in twice is `buffer` from the second time on.',
    ours: 'It is what the file says.',
    reason: 'A vault loses nothing.',
    matches: [
      { part: 'stdout', argv: /^stats/, original: /^by_layer: \{"buffer":5\}$/, ours: /^by_layer: .*"core":1/ },
    ],
  },
  {
    name: 'originals-are-imported',
    original: "A command on a database of the original's: it works on the file.",
    ours: 'It imports it first, and says on stderr what it took over, what it mended, and where the original lies.',
    reason: 'Its people should know that there are two files now, and which one may go.',
    matches: [
      {
        part: 'stderr',
        original: /^absent$/,
        ours: /^mimir: (importing the database|imported from|mended: |the original is kept as )/,
      },
    ],
  },
  {
    name: 'a-dry-run-imports-nothing',
    original: "A dry run on a database of the original's: it looks at the file.",
    ours: 'It looks at what the file would become, in a temporary folder, and says so on stderr; the file stays as it is.',
    reason: 'A dry run changes nothing, so it does not import either.',
    matches: [
      {
        part: 'stderr',
        argv: / --dry-run$/,
        original: /^absent$/,
        ours: /^mimir: dry run: \S+ is a database of the original, and stays as it is$/,
      },
    ],
  },
  {
    name: 'originals-are-imported-before-a-failure',
    original: "A command on a database of the original's that fails: it prints one line.",
    ours: 'It prints what it imported before.',
    reason: 'Its people should know what was done before it failed.',
    matches: [
      {
        part: 'stderr',
        original: /^an error$/,
        ours: /^mimir: importing the database of the original\nmimir: imported from [^]*\nmimir: [^\n]+\n$/,
      },
    ],
  },
  {
    name: 'the-original-lies-beside',
    original: "A database of the original's, after the first command: it is the same file.",
    ours: 'It lies beside the store as FILE.mimir-2.1.',
    reason: 'Nothing of it is changed, so that the original program can go on with it.',
    matches: [{ part: 'file', original: / absent$/, ours: /\.mimir-2\.1 644$/ }],
  },
  {
    name: 'unreadable-rows-in-other-words',
    tools: ['mimir migrate'],
    original: "Migrate: what cannot be read: it is told in its library's words.",
    ours: 'It is told in other words, with the same number of the row.',
    reason: 'Nobody reads them by program; the number of the row is what helps.',
    matches: [
      {
        part: 'stdout',
        argv: /^migrate /,
        original: /^errors: \["(Row \d+ read error: |No v0\.1)/,
        ours: /^errors: \["(Row \d+ read error: column |This is a database of Mimir 2|No table )/,
      },
    ],
  },
  {
    name: 'two-long-ids-stay-two',
    tools: ['mimir migrate'],
    original: 'Migrate of two ids with the same first 20 bytes: it counts both and keeps one.',
    ours: 'It keeps both.',
    reason: 'Nothing acknowledged is lost.',
    matches: [
      {
        part: 'stdout',
        argv: /^stats .*new\.db/,
        original: /^(total_entities: 5|by_category: \{"general":5\}|by_type: \{"decision":1,)/,
        ours: /^(total_entities: 6|by_category: \{"general":6\}|by_type: \{"decision":2,)/,
      },
    ],
  },
  {
    name: 'unknown-layers-are-buffer',
    tools: ['mimir migrate'],
    original: 'Migrate of a memory with a layer that is none of the three: it keeps the word.',
    ours: 'It counts it as buffer.',
    reason: 'A layer is what use has earned, and other words mean nothing.',
    matches: [
      {
        part: 'stdout',
        argv: /^stats /,
        original: /^by_layer: .*"odd layer":1/,
        ours: /^by_layer: \{"buffer":2,"core":1/,
      },
    ],
  },
  {
    name: 'migrate-twice-is-as-once',
    tools: ['mimir migrate'],
    original: 'Migrate a second time: it writes all of it over what is there.',
    ours: 'It leaves what is there as it is, and says so in `already_there`.',
    reason: 'Somebody may have changed it meanwhile.',
    matches: [{ part: 'stdout', argv: /^migrate /, original: /^entities_created: 6$/, ours: /^entities_created: 0$/ }],
  },
  {
    name: 'migrate-makes-no-source',
    tools: ['mimir migrate'],
    original: 'Migrate from a file that is not there: it makes it, and finds nothing in it.',
    ours: 'It fails with exit code 1, and makes none.',
    reason: 'A path that was mistyped should not look like an empty store.',
    matches: [{ part: 'exit', argv: /^migrate .*none\.db/, original: /^0$/, ours: /^1$/ }],
  },
  {
    name: 'migrate-makes-no-source-file',
    tools: ['mimir migrate'],
    original: 'The source of such a migrate: it is an empty database.',
    ours: 'It is not made.',
    reason: 'A path that was mistyped should not look like an empty store.',
    matches: [{ part: 'file', argv: /^migrate .*none\.db/, original: /none\.db 644$/, ours: /none\.db absent$/ }],
  },
  {
    name: 'migrate-never-onto-itself',
    tools: ['mimir migrate'],
    original: 'Migrate of a file onto itself, and what comes after: it puts the tables of today beside the old ones.',
    ours: 'It fails with exit code 1, and changes nothing.',
    reason: 'The old file is only read; a new one beside it costs nothing.',
    matches: [{ part: 'exit', argv: /v01\.db$/, original: /^0$/, ours: /^1$/ }],
  },
  {
    name: 'expired-state-is-not-counted',
    tools: ['mimir stats'],
    original: '`total_state_entries` counts values that have expired, until somebody reads them.',
    ours: 'It counts those that can be read.',
    reason: 'What cannot be read is not there.',
    matches: [
      { part: 'stdout', argv: /^stats/, original: /^total_state_entries: 4$/, ours: /^total_state_entries: 2$/ },
    ],
  },
  {
    name: 'decay-rewrites-nothing',
    tools: ['mimir decay'],
    original: 'Every row is rewritten with its new score, and counted.',
    ours: 'Strength is computed when it is read; counted is what was archived.',
    reason: 'A tick that rewrites every row writes hundreds of megabytes.',
    matches: [
      { part: 'stdout', argv: /^decay/, original: /^entities_updated: [1-9]\d*$/, ours: /^entities_updated: 0$/ },
    ],
  },
  {
    name: 'pinned-and-verified-do-not-fade',
    tools: ['mimir prune'],
    original: 'Pinned and verified memories are taken for weak like all others.',
    ours: 'They are spared where strength is what counts.',
    reason: 'Somebody said that they matter.',
    matches: [{ part: 'stdout', argv: /^prune .*--min-decay/, original: /^examined: 54$/, ours: /^examined: 50$/ }],
  },
  {
    name: 'freed-bytes-are-counted',
    tools: ['mimir purge'],
    original: '`bytes_freed` is 0, whatever was freed.',
    ours: 'It is what the file has become smaller by.',
    reason: 'A count that is always 0 says nothing.',
    matches: [{ part: 'stdout', argv: /^purge/, original: /^bytes_freed: 0$/, ours: /^bytes_freed: [1-9]\d*$/ }],
  },
  {
    name: 'an-encrypted-original-needs-its-key',
    tools: ['mimir reindex', 'mimir vault-export'],
    original: 'A command without `--encryption-key` works on the cipher text of the bodies.',
    ours: 'It fails with exit code 1, and nothing is written.',
    reason: 'Cipher text in an index or a vault is of no use to anybody.',
    matches: [
      { part: 'exit', argv: /^(reindex|vault-export)\b/, original: /^0$/, ours: /^1$/ },
      { part: 'file', argv: /^vault-export\b/, original: /\/v\/[a-z]+-[0-9a-f]{12}\.md 644$/, ours: / absent$/ },
    ],
  },
  {
    name: 'each-workspace-has-its-file',
    tools: ['mimir vault-export'],
    original: 'Memories of one category and key in two workspaces are one file.',
    ours: 'They are two.',
    reason: 'They are two memories.',
    matches: [
      { part: 'stdout', argv: /^vault-export/, original: /^files_created: 1$/, ours: /^files_created: 2$/ },
      { part: 'file', argv: /^vault-export/, original: / absent$/, ours: /\/cli-[0-9a-f]{12}\.md 600$/ },
    ],
  },
];
