/** What of a run is compared. */
export type Part = 'exit' | 'stdout' | 'stderr' | 'file';

/** One deliberate difference between the original's command line and ours. */
export interface CliDifference {
  /** Which runs, for people. */
  readonly where: string;
  readonly original: string;
  readonly ours: string;
  readonly reason: string;
  /**
   * Which observed differences it allows. Argument lists are joined with blanks, and `env` with the names that are set. Values are
   * those of `cli-replay.ts`: of a file, its path and its mode, or `absent`.
   */
  readonly match: {
    readonly part: Part;
    readonly argv?: RegExp;
    readonly env?: RegExp;
    readonly original: RegExp;
    readonly ours: RegExp;
  };
}

const SERVES = /^(serve\b|--|-[a-zA-Z]|$)/;

/** All of them. A difference that no line allows fails the replay, and so does a line that no recording needs. */
export const CLI_DIFFERENCES: readonly CliDifference[] = [
  {
    where: '--help of every command',
    original: 'its own texts',
    ours: 'other texts, with an example, for 80 columns',
    reason: 'help is for people; the first line still says what the command is for',
    match: { part: 'stdout', argv: /(^|\s)(--help|-h|help)\b/, original: /./, ours: /^[A-Z].*\.$|^mimir: ./ },
  },
  {
    where: '--version',
    original: 'mimir 2.1.0',
    ours: 'the version of this package',
    reason: 'it is another program',
    match: { part: 'stdout', argv: /--version|-V/, original: /^mimir \d+\.\d+\.\d+$/m, ours: /^mimir \d+\.\d+\.\d+$/m },
  },
  {
    where: 'every command without HOME, USERPROFILE and MIMIR_DB_PATH',
    original: 'fails, also --help and --version',
    ours: 'fails only when it needs the home folder',
    reason: 'who names every file needs no home',
    match: { part: 'exit', env: /^$/, original: /^1$/, ours: /^0$/ },
  },
  {
    where: '--help and --version without a home folder',
    original: 'print nothing',
    ours: 'print what was asked',
    reason: 'as above',
    match: { part: 'stdout', env: /^$/, argv: /--help|--version/, original: /^$/, ours: /^mimir/ },
  },
  {
    where: 'a command without a home folder that names its files',
    original: 'makes none of them',
    ours: 'makes them',
    reason: 'as above',
    match: { part: 'file', env: /^$/, original: /absent$/, ours: / 600$/ },
  },
  {
    where: 'a path that begins with ~ and was not expanded by a shell',
    original: 'is taken literally, and fails after 30 seconds',
    ours: 'is in the home folder',
    reason: 'configurations of clients are read by no shell',
    match: { part: 'exit', argv: /(^|[ =])~\//, original: /^1$/, ours: /^0$/ },
  },
  {
    where: 'the store at such a path',
    original: 'is not made',
    ours: 'is made',
    reason: 'as above',
    match: { part: 'file', argv: /(^|[ =])~\//, original: /^\$HOME\/\S+ absent$/, ours: /^\$HOME\/\S+ 600$/ },
  },
  {
    where: 'every file that is written',
    original: 'is readable by all users of the machine',
    ours: 'is for its owner only (0600)',
    reason: 'memories are private',
    match: { part: 'file', original: / 644$/, ours: / 600$/ },
  },
  {
    where: 'the write-ahead log after a command',
    original: 'often lies beside the store',
    ours: 'is folded into it and removed',
    reason: 'a clean stop leaves one file, which can be copied',
    match: { part: 'file', original: /-(wal|shm) 644$/, ours: /-(wal|shm) absent$/ },
  },
  {
    where: 'serve over stdio without a call',
    original: 'makes the store at the start',
    ours: 'makes it with the first call',
    reason: 'clients start servers to look at their tools; the start is quicker, and nobody is locked out',
    match: { part: 'file', argv: SERVES, original: /\.db 644$/, ours: /\.db absent$/ },
  },
  {
    where: 'a command whose arguments cannot be used (a body that is no JSON, a number that is none)',
    original: 'makes the store before it fails',
    ours: 'makes nothing',
    reason: 'the arguments are read before the store is opened',
    match: { part: 'file', argv: /^write |NaN|inf|1e400/i, original: /\.db 644$/, ours: /\.db absent$/ },
  },
  {
    where: 'serve over stdio with a store or a key that cannot be used',
    original: 'ends with exit code 1',
    ours: 'stays up and answers every call with the reason; exit code 0 at the end of the input',
    reason: 'clients show their user what a tool answers, and hide what a server prints before it ends',
    match: { part: 'exit', argv: SERVES, original: /^1$/, ours: /^0$/ },
  },
  {
    where: 'serve --encryption-key',
    original: 'prints that encryption is enabled, also for a store that is not encrypted',
    ours: 'prints nothing; mimir_health and mimir_stats say `encrypted`',
    reason: 'the store is opened with the first call, and only then it is known',
    match: { part: 'stderr', original: /^mimir: encryption enabled /, ours: /^absent$/ },
  },
  {
    where: 'serve with flags for what is not there yet',
    original: 'announces language model, embeddings and connectors',
    ours: 'does not',
    reason: 'not there yet',
    match: {
      part: 'stderr',
      argv: SERVES,
      original: /^mimir: (LLM enabled|local ONNX embedding enabled|loaded \d+ connector)/,
      ours: /^absent$/,
    },
  },
  {
    where: 'serve with flags for what is not there yet',
    original: 'says nothing of the kind',
    ours: 'says of each flag that it has no effect, and why',
    reason: 'nobody should wait for what does not come',
    match: { part: 'stderr', argv: SERVES, original: /^absent$/, ours: /^mimir: --[a-z-]+ has no effect: / },
  },
  {
    where: '--offline',
    original: 'prints that the network is not used',
    ours: 'is accepted',
    reason: 'the server makes no connection to anywhere',
    match: {
      part: 'stderr',
      argv: /--offline/,
      original: /^mimir: (running in offline|web dashboard, LLM)/,
      ours: /^absent$/,
    },
  },
  {
    where: 'an older store at ~/mimir.db beside a new default store',
    original: 'is told in seven lines, by some commands',
    ours: 'is told in one line, by all',
    reason: 'a pipe that nobody reads must not fill',
    match: {
      part: 'stderr',
      original: /^mimir: {2,}|^mimir: ⚠/,
      ours: /^absent$/,
    },
  },
  {
    where: 'an older store at ~/mimir.db beside a new default store',
    original: 'is told in other words',
    ours: 'says which file to name with --db',
    reason: 'as above',
    match: { part: 'stderr', original: /^absent$/, ours: /^mimir: there is an older store at \$HOME\/mimir\.db/ },
  },
  {
    where: 'serve --workspace-token',
    original: 'is accepted and does nothing',
    ours: 'is refused with exit code 2',
    reason: 'who sets it believes that it guards something',
    match: { part: 'exit', argv: /--workspace-token/, original: /^0$/, ours: /^2$/ },
  },
  {
    where: 'keygen to a file that is there',
    original: 'overwrites the key',
    ours: 'refuses with exit code 1',
    reason: 'a store made with the old key could never be opened again',
    match: { part: 'exit', argv: /^keygen/, original: /^0$/, ours: /^1$/ },
  },
  {
    where: 'write of a category and key that another workspace has',
    original: 'updates the memory of the other workspace',
    ours: 'creates one in its own',
    reason: 'a memory is told apart by workspace, category and key',
    match: { part: 'stdout', argv: /^write /, original: /^action: "updated"$/, ours: /^action: "created"$/ },
  },
  {
    where: 'write of what is nearly there already',
    original: 'throws the new text away',
    ours: 'stores it, and names the other in `similar`',
    reason: 'nothing acknowledged is lost',
    match: { part: 'stdout', argv: /^write /, original: /^action: "deduped/, ours: /^action: "created"$/ },
  },
  {
    where: 'numbers that are none, or larger than all (NaN, 1e400)',
    original: 'are accepted',
    ours: 'are refused with exit code 2',
    reason: 'no comparison with them means anything',
    match: { part: 'exit', argv: /NaN|inf|1e400/i, original: /^0$/, ours: /^2$/ },
  },
  {
    where: "a command on a database of the original's",
    original: 'works on the file',
    ours: 'imports it first, and says on stderr what it took over, what it mended, and where the original lies',
    reason: 'its people should know that there are two files now, and which one may go',
    match: { part: 'stderr', original: /^absent$/, ours: /^mimir: (imported from|mended: |the original is kept as )/ },
  },
  {
    where: "a command on a database of the original's that fails",
    original: 'prints one line',
    ours: 'prints what it imported before',
    reason: 'as above',
    match: { part: 'stderr', original: /^an error$/, ours: /^mimir: imported from [^]*\nmimir: [^\n]+\n$/ },
  },
  {
    where: "a database of the original's, after the first command",
    original: 'is the same file',
    ours: 'lies beside the store as FILE.mimir-2.1',
    reason: 'nothing of it is changed, so that the original program can go on with it',
    match: { part: 'file', original: / absent$/, ours: /\.mimir-2\.1 644$/ },
  },
  {
    where: 'migrate: what cannot be read',
    original: "is told in its library's words",
    ours: 'is told in other words, with the same number of the row',
    reason: 'nobody reads them by program; the number of the row is what helps',
    match: {
      part: 'stdout',
      argv: /^migrate /,
      original: /^errors: \["(Row \d+ read error: |No v0\.1)/,
      ours: /^errors: \["(Row \d+ read error: column |This is a database of Mimir 2|No table )/,
    },
  },
  {
    where: 'migrate of two ids with the same first 20 bytes',
    original: 'counts both and keeps one',
    ours: 'keeps both',
    reason: 'nothing acknowledged is lost',
    match: {
      part: 'stdout',
      argv: /^stats .*new\.db/,
      original: /^(total_entities: 5|by_category: \{"general":5\}|by_type: \{"decision":1,)/,
      ours: /^(total_entities: 6|by_category: \{"general":6\}|by_type: \{"decision":2,)/,
    },
  },
  {
    where: 'migrate of a memory with a layer that is none of the three',
    original: 'keeps the word',
    ours: 'counts it as buffer',
    reason: 'a layer is what use has earned, and other words mean nothing',
    match: {
      part: 'stdout',
      argv: /^stats /,
      original: /^by_layer: .*"odd layer":1/,
      ours: /^by_layer: \{"buffer":2,"core":1/,
    },
  },
  {
    where: 'migrate a second time',
    original: 'writes all of it over what is there',
    ours: 'leaves what is there as it is, and says so in `already_there`',
    reason: 'somebody may have changed it meanwhile',
    match: { part: 'stdout', argv: /^migrate /, original: /^entities_created: 6$/, ours: /^entities_created: 0$/ },
  },
  {
    where: 'migrate from a file that is not there',
    original: 'makes it, and finds nothing in it',
    ours: 'fails with exit code 1, and makes none',
    reason: 'a path that was mistyped should not look like an empty store',
    match: { part: 'exit', argv: /^migrate .*none\.db/, original: /^0$/, ours: /^1$/ },
  },
  {
    where: 'the source of such a migrate',
    original: 'is an empty database',
    ours: 'is not made',
    reason: 'as above',
    match: { part: 'file', argv: /^migrate .*none\.db/, original: /none\.db 644$/, ours: /none\.db absent$/ },
  },
  {
    where: 'migrate of a file onto itself, and what comes after',
    original: 'puts the tables of today beside the old ones',
    ours: 'fails with exit code 1, and changes nothing',
    reason: 'the old file is only read; a new one beside it costs nothing',
    match: { part: 'exit', argv: /v01\.db$/, original: /^0$/, ours: /^1$/ },
  },
];
