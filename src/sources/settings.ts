import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

import { parse, YAMLParseError } from 'yaml';
import { z } from 'zod';

import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { FileSettings } from './files.ts';
import type { GithubSettings } from './github.ts';

/** What a settings file says. */
export interface ConnectorSettings {
  readonly files: FileSettings | null;
  readonly github: GithubSettings | null;
  /** What is in the file and has no effect. */
  readonly notes: readonly string[];
  /** Which connectors are left out because a setting is wrong: the memory itself is served all the same. */
  readonly problems: readonly string[];
}

/** What the settings are read with. */
export interface SettingsAround {
  /** The token where the file has none. */
  readonly githubToken: string;
  readonly expandHome: (path: string) => string;
}

/** A list; one text alone is a list of it. */
const texts = z.preprocess((value) => (typeof value === 'string' ? [value] : value), z.array(z.string()));
const FILES = z.object({
  enabled: z.boolean().default(false),
  paths: texts.default([]),
  extensions: texts.default(['.md', '.txt']),
  include: texts.default([]),
  exclude: texts.default([]),
  gitignore: z.boolean().default(true),
  max_file_bytes: z.int().min(1).max(LIMITS.sourceFileMostBytes).default(LIMITS.sourceFileMaxBytes),
  watch: z.boolean().default(true),
  debounce_ms: z.int().min(0).max(LIMITS.watchAfterMostMs).default(LIMITS.watchAfterMs),
});
const GITHUB = z.object({
  enabled: z.boolean().default(false),
  token: z.string().default(''),
  repos: z.array(z.string().regex(/^[\w.-]+\/[\w.-]+$/, 'must be owner/name')).default([]),
  days_past: z.int().min(0).max(36_500).default(LIMITS.githubDaysPast),
  max_items_per_repo: z.int().min(1).max(LIMITS.githubItemsMost).default(LIMITS.githubItemsMax),
  pull_requests: z.boolean().default(true),
  api_url: z.url({ protocol: /^https?$/ }).default('https://api.github.com'),
});

/**
 * Reads a file of settings. Throws `invalid_argument` when it cannot be read at all. Names the place of what is wrong and never
 * quotes what stands there, which may be a token.
 */
export function readConnectorSettings(path: string, around: SettingsAround): ConnectorSettings {
  let text: string;
  try {
    if (statSync(path).size > LIMITS.sourceFileMaxBytes) throw new Error('too large');
    text = readFileSync(path, 'utf8');
  } catch {
    throw wrong(`The connectors file ${path} cannot be read.`, 'Name a file that is there: --connectors-config FILE');
  }
  return connectorSettings(text, path, around);
}

/** {@link readConnectorSettings} of a text; paths in it that are not whole are from the folder of the file on. */
export function connectorSettings(text: string, path: string, around: SettingsAround): ConnectorSettings {
  const [notes, problems]: [string[], string[]] = [[], []];
  const section = (value: unknown, name: string): Readonly<Record<string, unknown>> => {
    const member: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
    if (member === undefined || member === null) return {};
    if (typeof member === 'object' && !Array.isArray(member)) return Object.fromEntries(Object.entries(member));
    problems.push(`${path}: ${name} must have settings below it.`);
    return {};
  };
  const read = <S extends z.ZodObject>(name: string, shape: S): z.output<S> | null => {
    const given = section(sections, name);
    for (const member of Object.keys(given))
      if (!(member in shape.shape)) notes.push(`${path}: there is no setting connectors.${name}.${member}`);
    const parsed = shape.safeParse(given);
    if (parsed.success) return parsed.data['enabled'] === true ? parsed.data : null;
    const [issue] = parsed.error.issues;
    const place = ['connectors', name, ...(issue?.path ?? [])].join('.');
    problems.push(`${path}: ${place} is not right: ${issue?.message ?? 'it cannot be read'}.`);
    return null;
  };
  const whole = yamlOf(text, path);
  for (const name of Object.keys(typeof whole === 'object' && whole !== null ? whole : {}))
    if (name !== 'connectors') notes.push(`${path}: there is no setting ${name}; all stand under connectors`);
  const sections = section(whole, 'connectors');
  const [files, github] = [read('file_watcher', FILES), read('github', GITHUB)];
  for (const name of Object.keys(sections))
    if (name !== 'file_watcher' && name !== 'github') notes.push(`${path}: there is no connector ${name}`);
  if (files?.paths.length === 0)
    notes.push(`${path}: connectors.file_watcher.paths names nothing, so nothing comes in`);
  if (github?.repos.length === 0) notes.push(`${path}: connectors.github.repos names nothing, so nothing comes in`);
  return {
    files: files && {
      paths: files.paths.map((one) => resolve(dirname(resolve(path)), around.expandHome(one))),
      // Written without the dot, an ending means the same.
      extensions: files.extensions.map((one) => (one.startsWith('.') ? one : `.${one}`)),
      include: files.include,
      exclude: files.exclude,
      gitignore: files.gitignore,
      maxBytes: files.max_file_bytes,
      debounceMs: files.debounce_ms,
      watch: files.watch,
    },
    github: github && {
      token: github.token === '' ? around.githubToken : github.token,
      repos: github.repos,
      daysPast: github.days_past,
      itemsMax: github.max_items_per_repo,
      pullRequests: github.pull_requests,
      apiUrl: github.api_url.replace(/\/+$/, ''),
    },
    notes,
    problems,
  };
}

function wrong(message: string, hint = 'docs/sources.md shows what such a file holds.'): MimirError {
  return new MimirError('invalid_argument', message, { hint });
}

function yamlOf(text: string, path: string): unknown {
  try {
    return parse(text, { logLevel: 'error' }) as unknown;
  } catch (thrown) {
    const [place] = thrown instanceof YAMLParseError ? (thrown.linePos ?? []) : [];
    throw wrong(`${path} is no YAML${place === undefined ? '' : `: line ${place.line}, column ${place.col}`}.`);
  }
}
