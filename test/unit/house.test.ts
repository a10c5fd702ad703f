// The rules of the house. A rule that is not in here is an opinion.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '../..');
const LINES_MAX = 600;

/**
 * Who may import whom. A room may always import itself; `memory` is handed values, everybody else may import `errors`,
 * `limits`, `log` and `clock`. `x (types)` allows `import type` only; `room/file` allows that file only.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  memory: [],
  storage: ['memory'],
  provider: ['memory'],
  engine: ['memory', 'storage/store (types)', 'provider (types)'],
  sources: ['memory', 'provider/http'],
  pool: [
    'engine',
    'memory (types)',
    'storage/open',
    'storage/original/import',
    'storage/files',
    'storage/store (types)',
    'storage/sqlite/batch (types)',
  ],
  files: ['memory', 'engine'],
  tools: ['engine', 'memory', 'files', 'provider (types)', 'sources (types)'],
  mcp: ['tools (types)'],
  transport: ['mcp', 'config'],
  cli: ['memory', 'tools', 'config'],
  main: ['memory', 'storage', 'provider', 'engine', 'pool', 'sources', 'tools', 'mcp', 'transport', 'cli', 'config'],
  config: [],
  errors: [],
  limits: [],
  clock: [],
  log: [],
};
const EVERYBODY = ['errors', 'limits', 'log', 'clock'];

interface Source {
  /** From the root of the repository, with slashes. */
  readonly path: string;
  readonly text: string;
  /** The text without comments. */
  readonly code: string;
}

interface Import {
  readonly target: string;
  readonly typeOnly: boolean;
}

function filesUnder(folder: string, ending: string): string[] {
  if (!existsSync(join(ROOT, folder))) return [];
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => posix.join(folder, name.replaceAll('\\', '/')))
    .filter((path) => path.endsWith(ending))
    .toSorted();
}

function readSource(path: string): Source {
  const text = readFileSync(join(ROOT, path), 'utf8');
  return { path, text, code: withoutComments(text) };
}

/** Blanks comments and leaves texts and line ends as they are. */
function withoutComments(text: string): string {
  const textOrComment = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;
  return text.replace(textOrComment, (found) => (found.startsWith('/') ? found.replace(/[^\n]/g, ' ') : found));
}

/** What a file imports; relative paths are given from the root of the repository. */
function importsOf({ path, code }: Source): Import[] {
  const found = [
    ...code.matchAll(/^(?:import|export)\s+(type\s)?[^;'"]*?from\s+'([^']+)'/gm),
    ...code.matchAll(/^import\s+()'([^']+)'/gm),
    ...code.matchAll(/\bimport\(\s*()'([^']+)'/g),
  ];
  return found.map(([, type, target = '']) => ({
    target: target.startsWith('.') ? posix.join(dirname(path), target) : target,
    typeOnly: type !== undefined && type !== '',
  }));
}

/** 'src/pool/lane.ts' is in 'pool', 'src/log.ts' in 'log'. */
function roomOf(path: string): string {
  return (path.split('/')[1] ?? '').replace(/\.ts$/, '');
}

/** 'src/storage/open.ts' is 'storage/open'. */
function nameOf(path: string): string {
  return path.replace(/^src\//, '').replace(/\.ts$/, '');
}

const src = filesUnder('src', '.ts').map(readSource);
const ours = [...src, ...['test', 'load', 'bench'].flatMap((folder) => filesUnder(folder, '.ts').map(readSource))];
const documents = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...filesUnder('docs', '.md')];

/** A test that lists every breach, and fails when there is one. */
function rule(name: string, breaches: () => readonly string[]): void {
  void test(name, () => {
    const found = breaches();
    assert.equal(found.length, 0, `\n  ${found.join('\n  ')}`);
  });
}

/** Files other than `exempt` whose code matches, each with the line and what to do. */
function matches(sources: readonly Source[], pattern: RegExp, mend: string, exempt: readonly string[] = []): string[] {
  return sources
    .filter(({ path }) => !exempt.includes(path))
    .flatMap(({ path, code }) =>
      [...code.matchAll(pattern)].map(({ index }) => `${path}:${lineAt(code, index)}: ${mend}`),
    );
}

function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}

function isAllowed(from: string, { target, typeOnly }: Import): boolean {
  const room = roomOf(from);
  if (roomOf(target) === room) return true;
  if (room !== 'memory' && EVERYBODY.includes(roomOf(target))) return true;
  return (MAY_IMPORT[room] ?? []).some((entry) => {
    const [allowed = '', types] = entry.split(' ');
    if (types !== undefined && !typeOnly) return false;
    return allowed.includes('/') ? allowed === nameOf(target) : allowed === roomOf(target);
  });
}

rule('rooms import only what the table allows', () =>
  src.flatMap((source) =>
    importsOf(source)
      .filter(({ target }) => target.startsWith('src/'))
      .filter((one) => !isAllowed(source.path, one))
      .map(({ target, typeOnly }) => {
        const kind = typeOnly ? 'the types of ' : '';
        return `${source.path} imports ${kind}${target}: move the code to the room that may, or hand the value in.`;
      }),
  ),
);

rule('every room stands in the table', () => {
  const rooms = new Set(src.map(({ path }) => roomOf(path)));
  return [...rooms]
    .filter((room) => !(room in MAY_IMPORT))
    .map((room) => `src/${room}: add it to MAY_IMPORT in this file.`);
});

rule('imports run in no circle', () => {
  const graph = new Map(src.map((source) => [source.path, importsOf(source).map(({ target }) => target)]));
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (path: string, way: readonly string[]): void => {
    if (way.includes(path)) {
      circles.push(`${[...way.slice(way.indexOf(path)), path].join(' -> ')}: move what both need into a third file.`);
      return;
    }
    if (done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...way, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return circles;
});

rule(`no file has more than ${LINES_MAX} lines`, () =>
  ours
    .map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
    .filter(({ lines }) => lines > LINES_MAX)
    .map(({ path, lines }) => `${path} has ${lines} lines: split it by what it is about.`),
);

rule('one file imports the SQLite binding', () =>
  src
    .filter(({ path }) => path !== 'src/storage/sqlite/driver.ts')
    .filter((source) => importsOf(source).some(({ target }) => target.startsWith('better-sqlite3')))
    .map(({ path }) => `${path}: use src/storage/sqlite/driver.ts.`),
);

rule('one file of the storage touches files', () =>
  // Closing any handle of the database, its -wal or its -shm drops the locks of the whole process.
  src
    .filter(({ path }) => path.startsWith('src/storage/') && path !== 'src/storage/files.ts')
    .filter((source) => importsOf(source).some(({ target }) => /^(node:)?fs(\/promises)?$/.test(target)))
    .map(
      ({ path }) =>
        `${path}: no file call may reach an open store; what comes before opening is in src/storage/files.ts.`,
    ),
);

rule('one file reads the environment', () =>
  matches(src, /\bprocess\.env\b/g, 'take it from the Config that src/config.ts makes.', ['src/config.ts']),
);

rule('one file writes messages', () =>
  matches(src, /\bconsole\./g, 'use the Log of src/log.ts: stdout belongs to the protocol.', ['src/log.ts']),
);

rule('one file knows the time', () =>
  matches(src, /\bDate\.now\(|\bnew Date\(\s*\)/g, 'take it from the Clock.', ['src/clock.ts']),
);

rule('no transport and no thread knows a tool by name', () =>
  matches(
    src.filter(({ path }) => /^src\/(transport|pool)\//.test(path)),
    /['"`]mimir_[a-z]/g,
    'say it in the row of the tool and ask the table.',
  ),
);

rule('no default exports', () => matches(ours, /\bexport\s+default\b/g, 'export it by name.'));

rule('no barrels', () => matches(src, /^export\s+(?:type\s+)?\*/gm, 'import it from where it is made.'));

rule('no enums', () =>
  matches(ours, /^\s*(?:export\s+)?(?:declare\s+)?(?:const\s+)?enum\s+\w/gm, 'use a union of texts.'),
);

rule('no any', () => matches(ours, /(?::|\bas|<)\s*any\b(?!['\w])/g, 'use unknown and look at it, or say its type.'));

rule('every export says what it is', () =>
  src
    .filter(({ path }) => !path.endsWith('.d.ts'))
    .flatMap(({ path, text }) => {
      const lines = text.split('\n');
      return lines
        .map((line, at) => ({ line, at, above: lines[at - 1] ?? '' }))
        .filter(({ line }) =>
          /^export (?:declare |abstract |async )*(?:function|const|let|class|interface|type)\b[^{]/.test(line),
        )
        .filter(({ above }) => !above.trimEnd().endsWith('*/'))
        .map(({ at }) => `${path}:${at + 1}: write a /** sentence */ directly above it.`);
    }),
);

rule('no dead file', () => {
  const byPath = new Map(src.map((source) => [source.path, source]));
  if (!byPath.has('src/main.ts')) return ['src/main.ts is missing: everything starts there.'];
  const reached = new Set<string>();
  const visit = (path: string): void => {
    const source = byPath.get(path);
    if (source === undefined || reached.has(path)) return;
    reached.add(path);
    // Imports, and the entry files of threads, which are named in a text.
    for (const [, target = ''] of source.code.matchAll(/['"](\.{1,2}\/[^'"\n]+\.ts)['"]/g))
      visit(posix.join(dirname(path), target));
  };
  visit('src/main.ts');
  return src
    .map(({ path }) => path)
    .filter((path) => !path.endsWith('.d.ts') && !reached.has(path))
    .map((path) => `${path}: nothing reaches it from src/main.ts; import it or delete it.`);
});

/** The name that a heading has in a link. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\w\s-]/g, '')
    .trim()
    .replace(/\s/g, '-');
}

function anchorsOf(path: string): string[] {
  return [...readFileSync(join(ROOT, path), 'utf8').matchAll(/^#+\s+(.+)$/gm)].map(([, heading = '']) =>
    anchorOf(heading),
  );
}

rule('every link of the documents leads somewhere', () =>
  documents.flatMap((path) => {
    if (!existsSync(join(ROOT, path))) return [`${path} is missing.`];
    const links = [...readFileSync(join(ROOT, path), 'utf8').matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
    return links
      .filter((link) => !/^[a-z]+:/.test(link))
      .flatMap((link) => {
        const [file = '', anchor] = link.split('#');
        const target = file === '' ? path : posix.join(dirname(path), file);
        if (!existsSync(join(ROOT, target))) return [`${path}: ${link} is not there.`];
        if (anchor !== undefined && !anchorsOf(target).includes(anchor))
          return [`${path}: ${link} has no such heading.`];
        return [];
      });
  }),
);

rule('every file that the documents name exists', () =>
  documents
    .filter((path) => existsSync(join(ROOT, path)))
    .flatMap((path) => {
      const named = readFileSync(join(ROOT, path), 'utf8').matchAll(
        /`((?:src|test|load|bench|bin|scripts|docs)\/[\w./-]*)`/g,
      );
      return [...named]
        .filter(([, name = '']) => !existsSync(join(ROOT, name)))
        .map(([, name]) => `${path}: ${name} is not there.`);
    }),
);

rule('nobody is sent to the npm package of somebody else', () => {
  const texts = [
    ...documents.filter((path) => existsSync(join(ROOT, path))),
    ...src.map(({ path }) => path),
    'package.json',
  ];
  return texts
    .filter((path) => /npx\s+(?:-y|--yes)\s+mimir(?!-memory)/.test(readFileSync(join(ROOT, path), 'utf8')))
    .map((path) => `${path}: the package is called mimir-memory: npx -y mimir-memory.`);
});
