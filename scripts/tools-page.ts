import type { Tool } from '../src/tools/define.ts';

interface Field {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly items?: Field;
  readonly default?: unknown;
  readonly description?: string;
}

function typeOf({ type = 'any', enum: words, items }: Field): string {
  if (words !== undefined) return words.map((word) => `\`${word}\``).join(' or ');
  return type === 'array' ? `list of ${items?.type ?? 'any'}` : type;
}

function rowsOf({ listing }: Tool): string[] {
  const { properties = {}, required = [] } = listing.inputSchema as {
    readonly properties?: Readonly<Record<string, Field>>;
    readonly required?: readonly string[];
  };
  const rows = Object.entries(properties).map(([name, field]) => {
    const must = required.includes(name) ? ' **needed**' : '';
    const fallback = field.default === undefined ? '' : ` Default \`${JSON.stringify(field.default)}\`.`;
    return `| \`${name}\` | ${typeOf(field)} |${must} ${field.description ?? ''}${fallback} |`;
  });
  return rows.length === 0 ? ['It takes no arguments.'] : ['| argument | type | |', '|---|---|---|', ...rows];
}

/** The text of docs/tools.md: every tool with a paragraph, its arguments and an example. */
export function toolsPage(tools: readonly Tool[]): string {
  const sections = tools.map((tool) => {
    const { listing, about, example, profile } = tool;
    const call = JSON.stringify({ name: listing.name, arguments: example });
    const shown = profile === 'core' ? ' It is shown by default.' : '';
    return [
      `## ${listing.name}`,
      `${listing.title}: ${about}${shown}`,
      rowsOf(tool).join('\n'),
      `\`\`\`json\n${call}\n\`\`\``,
    ].join('\n\n');
  });
  const head = [
    '# Tools',
    '',
    'Made from the tools themselves by `npm run docs:tools`. Every tool can be called always; which of them a client is shown, `--tools` says.',
    'An answer is JSON, as text and as `structuredContent`. What a tool refuses is an answer with `isError` and `{error, code, kind, hint}`; `null` counts as',
    'an argument that was left out, and unknown arguments are ignored.',
  ].join('\n');
  return `${head}\n\n${sections.join('\n\n')}\n`;
}
