import { parseArgs } from 'node:util';

import { expandHome, usage, type Environment, type FlagValues } from '../config.ts';
import type { Call, Command, Flag } from './command.ts';
import { didYouMean } from './nearest.ts';

/** A command line that was read: the command, and what it was told. */
export interface ParsedLine {
  readonly command: Command;
  readonly call: Call;
  /** Asked for by `--help` or `--version` instead of the command itself. */
  readonly asks: 'help' | 'version' | null;
  /** Whether the command was named; without a word it is the first of the table. */
  readonly named: boolean;
}

const ALWAYS = {
  help: { type: 'boolean', short: 'h', multiple: true },
  version: { type: 'boolean', short: 'V', multiple: true },
} as const;

type Option = { readonly type: 'string' | 'boolean'; readonly multiple: true; readonly short?: string };

/** The first sentence of what `parseArgs` says; it names flags, never their values. */
function firstSentence(thrown: unknown): string {
  const sentence = thrown instanceof Error ? thrown.message.split(/\.\s/)[0] : undefined;
  return `${sentence ?? 'The command line cannot be read'}.`.replace(/\.\.$/, '.');
}

/**
 * Reads a command line: flags may stand before and after the word, and without a word the first command of the table is meant.
 * Throws `invalid_argument` with a sentence that mends it and quotes no value.
 */
export function parseLine(
  argv: readonly string[],
  commands: readonly Command[],
  environment?: Environment,
): ParsedLine {
  // The word may stand behind flags, so those of all commands are read, and then looked at again.
  const options: Record<string, Option> = { ...ALWAYS };
  for (const { flags } of commands) {
    for (const { name, kind } of flags) {
      options[name] = { type: kind === 'switch' ? 'boolean' : 'string', multiple: true };
    }
  }
  let parsed;
  try {
    parsed = parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
  } catch (thrown) {
    throw usage(firstSentence(thrown), 'A value that begins with a dash is written --flag=VALUE. See mimir --help.');
  }
  const given = parsed.values as Given;
  const [word, ...words] = parsed.positionals;
  const command = word === undefined ? commands[0] : commands.find((one) => one.word === word);
  if (command === undefined) throw unknownCommand(word ?? '', commands);
  const asks = given['help'] !== undefined ? 'help' : given['version'] !== undefined ? 'version' : null;
  refuseStrays(command, given);
  // Who asks for help need not have the rest right.
  const values = asks === null ? readFlags(command, given, environment) : {};
  if (asks === null) {
    demandRequired(command, values);
    demandWords(command, words);
  }
  return { command, call: { values, words, environment }, asks, named: word !== undefined };
}

/** The words of commands. */
export function namesOf(commands: readonly Command[]): readonly string[] {
  return commands.map(({ word }) => word);
}

function unknownCommand(word: string, commands: readonly Command[]): Error {
  const isPlain = /^[a-z-]{1,20}$/i.test(word);
  const near = isPlain ? didYouMean(word.toLowerCase(), namesOf(commands)) : '';
  const said = isPlain ? `Unknown command: ${word}.` : 'Unknown command.';
  return usage([said, ...(near === '' ? [] : [near])].join(' '), 'mimir --help lists all of them.');
}

type Given = Readonly<Record<string, readonly (string | boolean)[] | undefined>>;

function refuseStrays(command: Command, given: Given): void {
  const stray = Object.keys(given).find(
    (name) => !(name in ALWAYS) && !command.flags.some((flag) => flag.name === name),
  );
  if (stray !== undefined) {
    throw usage(`--${stray} is no flag of mimir ${command.word}.`, `See mimir ${command.word} --help.`);
  }
}

function readFlags(command: Command, given: Given, environment: Environment | undefined): FlagValues {
  const values: Record<string, FlagValues[string]> = {};
  for (const flag of command.flags) {
    const texts = given[flag.name] ?? (flag.fallback === undefined ? undefined : [flag.fallback]);
    if (texts !== undefined) values[flag.name] = readFlag(flag, texts, environment);
  }
  return values;
}

function readFlag(
  flag: Flag,
  given: readonly (string | boolean)[],
  environment: Environment | undefined,
): FlagValues[string] {
  const { name, kind, most = Number.MAX_SAFE_INTEGER } = flag;
  if (given.length > 1 && kind !== 'texts') throw usage(`--${name} is given more than once.`, 'Give it once.');
  if (kind === 'switch') return true;
  const texts = given.map(String);
  if (flag.mayBeEmpty !== true && texts.includes('')) {
    throw usage(`--${name} is empty.`, 'Give it a value, or leave it out.');
  }
  const [text = ''] = texts;
  switch (kind) {
    case 'text':
      return text;
    case 'texts':
      return texts;
    case 'list':
      return listOf(text);
    case 'path':
      return expandHome(text, environment);
    case 'number': {
      const value = Number(text);
      if (text.trim() !== '' && Number.isFinite(value)) return value;
      throw usage(`--${name} must be a number.`);
    }
    case 'count': {
      const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
      if (value <= most) return value;
      throw usage(`--${name} must be a whole number from 0 to ${most}.`);
    }
  }
}

/** The members of a list that was written with commas; blanks around them and empty ones go. */
function listOf(text: string): string[] {
  return text
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '');
}

function demandRequired(command: Command, values: FlagValues): void {
  const missing = command.flags.filter(({ name, required }) => required === true && values[name] === undefined);
  if (missing.length === 0) return;
  const names = missing.map(({ name }) => `--${name}`);
  throw usage(`mimir ${command.word} needs ${names.join(', ')}.`, `For example: ${command.example}`);
}

function demandWords({ word, words, example }: Command, given: readonly string[]): void {
  if (given.length > (words?.most ?? 0)) {
    throw usage(`Too many words: only flags may follow mimir ${word}${words === undefined ? '' : ` ${words.name}`}.`);
  }
  if (words?.required === true && given.length === 0) {
    throw usage(`mimir ${word} needs ${words.name}.`, `For example: ${example}`);
  }
}
