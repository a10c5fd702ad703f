// docs/compatibility.md, made of the tables of differences. As a command it writes the file: npm run docs:compatibility
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { UNJUDGED } from './answers.ts';
import { CLI_DIFFERENCES } from './cli-differences.ts';
import { PARTS } from './differences.ts';
import type { Difference } from './difference.ts';

/** Where the document lies. */
export const DOCUMENT = join(import.meta.dirname, '../../docs/compatibility.md');

const HEAD = `# What differs from the original

A client of the original Mimir (2.1.0) keeps working: tools, arguments, result fields, action words and id prefixes are the same.
Answers may have more members. This page lists what differs on purpose. It is made of the tables in \`test/replay/table/\` and
\`test/replay/cli-differences.ts\` (\`npm run docs:compatibility\`), and the same tables judge the replay: recorded sessions
and command lines of the original are played against this program, and any other difference fails (\`npm run replay\`,
\`test/replay/cli.long.ts\`).

Not judged yet: ${[...UNJUDGED].map((tool) => `\`${tool}\``).join(', ')}. A recorded session ends at the first call that needs it; CHANGELOG.md
says what is not there.
`;

/** The text of the document. */
export function compatibilityDocument(): string {
  const parts = [...PARTS, { heading: 'The command line', lines: CLI_DIFFERENCES }];
  return [HEAD, ...parts.map(({ heading, lines }) => `## ${heading}\n\n${lines.map(section).join('\n')}`)].join('\n');
}

function section({ name, tools, original, ours, reason, switch: way }: Omit<Difference, 'explains'>): string {
  const title = name.charAt(0).toUpperCase() + name.slice(1).replaceAll('-', ' ');
  const where = tools === undefined ? '' : ` (${tools.map(placeName).join(', ')})`;
  return [
    `### ${title}`,
    '',
    `- **The original**${where}: ${original}`,
    `- **Here**: ${ours}`,
    `- **Why**: ${reason}`,
    ...(way === undefined ? [] : [`- **The original's way**: ${way}`]),
    '',
  ].join('\n');
}

/** A tool or a command; `$files` is what a replay calls the files that one of them has written. */
function placeName(tool: string): string {
  return tool === '$files' ? 'files of a vault' : `\`${tool}\``;
}

if (import.meta.main) writeFileSync(DOCUMENT, compatibilityDocument());
