import type { Command, Flag } from './command.ts';

/** Terminals have at least so many columns, and so have the windows that people paste into. */
const COLUMNS = 80;
const FLAG_COLUMNS = 26;

/** Breaks a text at blanks into lines of at most `columns`; a longer word has a line of its own. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else line += line === '' ? word : ` ${word}`;
  }
  return line === '' && lines.length > 0 ? lines : [...lines, line];
}

function indent(text: string, first: string, columns = COLUMNS): string[] {
  const rest = ' '.repeat(first.length);
  return wrap(text, columns - first.length).map((line, i) => (i === 0 ? first : rest) + line);
}

/** How a command is called, in one line: `mimir forget --category NAME --key NAME [flags]`. */
export function usageOf({ word, words, flags }: Command): string {
  const needed = flags.filter((flag) => flag.required === true).map((flag) => ` ${spelled(flag)}`);
  const named = words === undefined ? '' : words.required ? ` ${words.name}` : ` [${words.name}]`;
  const more = flags.some((flag) => flag.required !== true && flag.hidden !== true) ? ' [flags]' : '';
  return `mimir ${word}${named}${needed.join('')}${more}`;
}

function spelled({ name, value }: Flag): string {
  return value === undefined ? `--${name}` : `--${name} ${value}`;
}

function explained({ help, fallback, kind }: Flag): string {
  const again = kind === 'texts' ? '; may be repeated' : '';
  return `${help}${again}${fallback === undefined ? '' : ` (${fallback})`}`;
}

function flagLines(flag: Flag): string[] {
  const head = `  ${spelled(flag)}`;
  const first = head.length < FLAG_COLUMNS ? head.padEnd(FLAG_COLUMNS) : ' '.repeat(FLAG_COLUMNS);
  const lines = indent(explained(flag), first);
  return head.length < FLAG_COLUMNS ? lines : [head, ...lines];
}

/** Flags that do what they say, and those that are accepted only. */
function sorted(flags: readonly Flag[]): { shown: readonly Flag[]; later: readonly Flag[] } {
  const visible = flags.filter(({ hidden }) => hidden !== true);
  return {
    shown: visible.filter(({ later }) => later === undefined),
    later: visible.filter(({ later }) => later !== undefined),
  };
}

/** The help of one command, for 80 columns. */
export function helpOf(command: Command): string {
  const { shown, later } = sorted(command.flags);
  const lines = [...wrap(command.summary, COLUMNS), ''];
  for (const note of command.notes ?? []) lines.push(...wrap(note, COLUMNS), '');
  lines.push(...indent(usageOf(command), 'Usage: '), '');
  lines.push(...shown.flatMap(flagLines));
  if (shown.length > 0) lines.push('');
  if (later.length > 0) {
    lines.push(...indent(`${later.map(({ name }) => `--${name}`).join(' ')}`, 'Accepted, without effect yet: '), '');
  }
  lines.push(...indent(command.example, 'Example: '));
  return lines.join('\n');
}

/** The help of the program, for 80 columns. */
export function generalHelp(commands: readonly Command[]): string {
  const widest = Math.max(...commands.map(({ word }) => word.length));
  const [first] = commands;
  return [
    'mimir: durable memory for AI agents, over MCP',
    '',
    'Usage: mimir [COMMAND] [flags]',
    '',
    ...commands.flatMap(({ word, summary }) => indent(summary, `  ${word.padEnd(widest)}  `)),
    '',
    ...wrap(
      `Without a command it is ${first?.word ?? ''}. Flags may stand before and after the command. ` +
        'mimir COMMAND --help says more, with an example. --version (-V) and --help (-h) work everywhere.',
      COLUMNS,
    ),
    '',
    ...indent(first?.example ?? '', 'Example: '),
  ].join('\n');
}

/** docs/commands.md: the same as the help, as one page. */
export function commandsPage(commands: readonly Command[]): string {
  const sections = commands.map((command) => {
    const { shown, later } = sorted(command.flags);
    const rows = shown.map((flag) => `| \`${spelled(flag)}\` | ${explained(flag).replaceAll('|', '\\|')} |`);
    return [
      `## ${command.word}`,
      '',
      command.summary,
      ...(command.notes ?? []).flatMap((note) => ['', note]),
      '',
      '```sh',
      `${usageOf(command)}`,
      `# ${command.example}`,
      '```',
      ...(rows.length === 0 ? [] : ['', '| flag | |', '|---|---|', ...rows]),
      ...(later.length === 0
        ? []
        : ['', `Accepted, without effect yet: ${later.map(({ name }) => `\`--${name}\``).join(', ')}.`]),
      '',
    ].join('\n');
  });
  const ofOriginal = commands
    .filter((command) => command.ofOriginal === true)
    .map(({ word }) => `\`${word}\``)
    .join(', ');
  return [
    '# Commands',
    '',
    'Made from the command table by `npm run docs:commands`; a test fails when it is out of date. `mimir COMMAND --help` says the same.',
    '',
    'Flags may stand before and after the command; a value that begins with a dash is written `--flag=VALUE`. `~` at the',
    'beginning of a path is your home folder, also where no shell replaces it. Several processes may use one store at the',
    'same time, so every command works while servers run.',
    '',
    '| exit code | |',
    '|---|---|',
    '| 0 | done |',
    `| 1 | it did not work: ${ofOriginal} say no more, as in the original |`,
    '| 2 | the command line or a setting is wrong, or what is asked for is not there yet |',
    '| 3 | refused: not found, in the way of another, not allowed |',
    '| 4 | later: locked, too much at once, a port that is taken |',
    '| 5 | the store or its surroundings need a hand: wrong key, damage, full disk; `mimir doctor` says which |',
    '| 70 | a fault of the program |',
    '',
    ...sections,
  ].join('\n');
}
