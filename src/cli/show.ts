import { wrap } from './help.ts';

/** How text for people is set. */
export interface Look {
  readonly colours: boolean;
  readonly columns: number;
  /** Now, Unix milliseconds: ages are told from it. */
  readonly nowMs: number;
}

/**
 * JSON text with line breaks and two blanks for each level. It moves white space only, so that long numbers and member order
 * stay as they are.
 */
export function prettyJson(json: string): string {
  let pretty = '';
  let depth = 0;
  let inText = false;
  const newLine = (): string => `\n${'  '.repeat(depth)}`;
  for (let i = 0; i < json.length; i++) {
    const char = json[i] ?? '';
    if (inText) {
      pretty += char;
      if (char === '\\') pretty += json[++i] ?? '';
      else if (char === '"') inText = false;
      continue;
    }
    switch (char) {
      case '"':
        inText = true;
        pretty += char;
        break;
      case '{':
      case '[': {
        const close = char === '{' ? '}' : ']';
        let next = i + 1;
        while (/\s/.test(json[next] ?? '')) next += 1;
        if (json[next] === close) {
          pretty += char + close;
          i = next;
        } else {
          depth += 1;
          pretty += char + newLine();
        }
        break;
      }
      case '}':
      case ']':
        depth -= 1;
        pretty += newLine() + char;
        break;
      case ',':
        pretty += char + newLine();
        break;
      case ':':
        pretty += ': ';
        break;
      default:
        if (!/\s/.test(char)) pretty += char;
    }
  }
  return pretty;
}

// Everything but line breaks and tabs: stored text must not move the cursor, rename the window or hide what stands beside it.
// oxlint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Text of a store as a terminal may see it. */
export function harmless(text: string): string {
  return text.replace(CONTROLS, '\ufffd');
}

type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow';
const CODES: Readonly<Record<Style, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 };

/** A text in a style, where colours are wanted. */
export function styled(text: string, style: Style, { colours }: Look): string {
  return colours ? `\u001b[${CODES[style]}m${text}\u001b[0m` : text;
}

/** "3 days ago", for people. Moments that are still to come are "just now". */
export function ago(thenMs: number, nowMs: number): string {
  const UNITS: readonly (readonly [ms: number, name: string])[] = [
    [365 * 86_400_000, 'year'],
    [30 * 86_400_000, 'month'],
    [86_400_000, 'day'],
    [3_600_000, 'hour'],
    [60_000, 'minute'],
  ];
  for (const [ms, name] of UNITS) {
    const count = Math.floor((nowMs - thenMs) / ms);
    if (count >= 1) return `${count} ${name}${count === 1 ? '' : 's'} ago`;
  }
  return 'just now';
}

type Members = Readonly<Record<string, unknown>>;

/** An answer's members; `{}` for what is no object. */
export function members(value: unknown): Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : {};
}

/** A member that is a text; empty when it is anything else. */
export function textOf(value: Members, name: string): string {
  const member = value[name];
  return typeof member === 'string' ? member : '';
}

/** Why nothing was found, to who has flags and no arguments; what is not in here is said in the words of the tool. */
const NOTHING: Readonly<Record<string, string>> = {
  empty_store: 'Nothing is stored yet. Begin with: mimir remember "a sentence"',
  no_match: 'Nothing matched. Try other words or fewer flags; mimir recall without words lists the newest memories.',
  filtered_out: 'There are matches that the flags leave out: give fewer of them.',
  below_floor:
    `Some memories share a word with it, and hardly answer it. To see them: ` +
    `mimir call recall --args '{"query":"WORDS","min_confidence":0}'`,
};

/** What a recall found, for people: a heading for each memory, its words below it. `isFurther`: some were skipped. */
export function showRecall(answer: Members, look: Look, isFurther = false): string {
  const items = Array.isArray(answer['items']) ? answer['items'].map(members) : [];
  if (items.length === 0) {
    const reason = textOf(answer, 'reason');
    if (reason === 'no_match' && isFurther) return 'There is nothing behind this --offset.';
    return (Object.hasOwn(NOTHING, reason) ? NOTHING[reason] : undefined) ?? harmless(textOf(answer, 'hint'));
  }
  const lines = items.map((item, i) => showItem(item, i + 1, look));
  const next = answer['next_offset'];
  if (typeof next === 'number') lines.push(styled(`There is more: --offset ${next}`, 'dim', look));
  return lines.join('\n\n');
}

function showItem(item: Members, number: number, look: Look): string {
  const name = harmless(`${textOf(item, 'category')}/${textOf(item, 'key')}`);
  const created = item['created_at_unix_ms'];
  const confidence = item['confidence'];
  const tags = Array.isArray(item['tags']) ? item['tags'].map((tag) => `#${harmless(String(tag))}`) : [];
  const workspace = textOf(item, 'workspace_hash');
  const facts = [
    harmless(textOf(item, 'id')),
    ...(typeof created === 'number' ? [ago(created, look.nowMs)] : []),
    ...(typeof confidence === 'number' ? [`${Math.round(confidence * 100)} % sure`] : []),
    ...(workspace === '' ? [] : [`workspace ${harmless(workspace)}`]),
    ...(item['archived'] === true ? ['archived'] : []),
    ...tags,
  ];
  const margin = ' '.repeat(String(number).length + 2);
  const body = bodyText(textOf(item, 'body_json'))
    .split('\n')
    .flatMap((line) => wrap(line, Math.max(20, look.columns - margin.length)));
  return [
    `${number}. ${styled(name, 'bold', look)}`,
    ...body.map((line) => margin + line),
    margin + styled(facts.join(' · '), 'dim', look),
  ].join('\n');
}

/** The words of a body: its text, or its members one by one. */
function bodyText(bodyJson: string): string {
  let body: unknown;
  try {
    body = JSON.parse(bodyJson);
  } catch {
    return harmless(bodyJson); // bodies of other programs may be no JSON; they are shown as they are
  }
  if (typeof body === 'string') return harmless(body);
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return harmless(bodyJson);
  const { content, ...rest } = members(body);
  const lines = Object.entries(rest).map(
    ([name, value]) => `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  if (content !== undefined) lines.unshift(typeof content === 'string' ? content : JSON.stringify(content));
  return harmless(lines.join('\n'));
}

/** A briefing for people: its headings stand out. */
export function showContext(answer: Members, look: Look): string {
  return harmless(textOf(answer, 'markdown'))
    .trimEnd()
    .split('\n')
    .map((line) => (line.startsWith('#') ? styled(line, 'bold', look) : line))
    .join('\n');
}

/** What came in, for people. */
export function showIngest(answer: Members): string {
  const dry = answer['dry_run'] === true;
  const count = (name: string): string => JSON.stringify(answer[name] ?? 0);
  const listed = (name: string): string[] => {
    const lines = answer[name];
    return Array.isArray(lines) ? lines.map((line) => harmless(`  ${String(line)}`)) : [];
  };
  const under = (title: string, name: string): string[] => (listed(name).length === 0 ? [] : [title, ...listed(name)]);
  return [
    `${dry ? 'would bring in' : 'brought in'} ${count('ingested')}, ${dry ? 'would forget' : 'forgot'} ${count('forgotten')}, unchanged ${count('unchanged')}`,
    ...under('new or changed:', 'would_ingest'),
    ...under('gone:', 'would_forget'),
    ...under('left out:', 'notes'),
  ].join('\n');
}
