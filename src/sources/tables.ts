import Papa from 'papaparse';

import { LIMITS } from '../limits.ts';

/** A row of a table: what it says, by the names of the columns. */
export interface TableRow {
  /** The number of its first line, from 1: a cell in quotes may have line ends. */
  readonly line: number;
  readonly members: Readonly<Record<string, string>>;
}

/**
 * A table as RFC 4180 writes it, with commas, semicolons or tabs between its cells and any line ends; its first line names the
 * columns. A row that is not whole becomes a note with the number of its line, and the line behind it is read again as a row.
 */
export function tableRows(text: string, notes: string[]): TableRow[] {
  const [head, ...rows] = rowsOf(text, notes);
  const names = columnNames(head?.cells ?? [], notes);
  return rows.flatMap(({ line, cells }) => {
    if (cells.length !== names.length) {
      notes.push(`line ${line} has ${cells.length} columns instead of ${names.length}`);
      return [];
    }
    return [{ line, members: Object.fromEntries(names.map((name, at) => [name, cells[at] ?? ''])) }];
  });
}

/** Names of their own for all columns, so that no cell takes the place of another. */
function columnNames(cells: readonly string[], notes: string[]): string[] {
  const taken = new Set<string>();
  return cells.map((cell, at) => {
    let name = cell === '' ? `column ${at + 1}` : cell;
    for (let n = 2; taken.has(name); n++) name = `${cell} ${n}`;
    taken.add(name);
    if (cell !== '' && name !== cell)
      notes.push(`line 1 names two columns ${JSON.stringify(cell)}: the later one is called ${JSON.stringify(name)}`);
    return name;
  });
}

interface Row {
  readonly line: number;
  readonly cells: readonly string[];
}

function rowsOf(marked: string, notes: string[]): Row[] {
  const text = marked.replace(/^\uFEFF/, '');
  const { delimiter, newline } = formOf(text);
  const rows: Row[] = [];
  let [line, unclosed] = [1, 0];
  for (let from = 0; from < text.length;) {
    const isByLine = unclosed >= LIMITS.tableUnclosedMax;
    const rest = isByLine ? text.slice(from, behindLine(text, from, newline)) : text.slice(from);
    let at = 0;
    Papa.parse(rest, {
      delimiter,
      newline,
      step: ({ data, errors, meta: { cursor } }, parser) => {
        if (errors.length > 0) {
          notes.push(`line ${line} has a quote that is not closed, or something behind the closing one`);
          at = behindLine(rest, at, newline);
          line += 1;
          if (errors.some(({ code }) => code === 'MissingQuotes')) unclosed += 1;
          if (unclosed === LIMITS.tableUnclosedMax && !isByLine)
            notes.push(`from line ${line} on each line is read by itself: too many quotes are not closed`);
          parser.abort();
          return;
        }
        const raw = rest.slice(at, cursor);
        const cells = withoutCarriageReturn(data, raw, delimiter);
        if (cells.length > 1 || cells[0] !== '') rows.push({ line, cells });
        line += raw.split(newline).length - 1;
        at = cursor;
      },
    });
    // A text that gives no row at all has no more of them.
    from = at === 0 ? text.length : from + at;
  }
  return rows;
}

function behindLine(text: string, from: number, newline: string): number {
  const end = text.indexOf(newline, from);
  return end < 0 ? text.length : end + 1;
}

/** Rows are cut at the line feed, so that files with both kinds of line ends are read; an unquoted last cell has the other half. */
function withoutCarriageReturn(cells: readonly string[], raw: string, delimiter: string): readonly string[] {
  const last = cells.at(-1) ?? '';
  const bare = raw.endsWith('\n') ? raw.slice(0, -1) : raw;
  const isBare = last.endsWith('\r') && (bare === last || bare.endsWith(delimiter + last));
  return isBare ? cells.with(-1, last.slice(0, -1)) : cells;
}

/** What parts cells and rows, by the first line: of the separators outside of quotes, the one that stands there most often. */
function formOf(text: string): { delimiter: string; newline: '\n' | '\r' } {
  const counts = new Map([',', ';', '\t'].map((separator) => [separator, 0]));
  let [isQuoted, at] = [false, 0];
  for (; at < text.length; at++) {
    const sign = text.charAt(at);
    if (sign === '"') isQuoted = !isQuoted;
    else if (isQuoted) continue;
    else if (sign === '\n' || sign === '\r') break;
    else if (counts.has(sign)) counts.set(sign, (counts.get(sign) ?? 0) + 1);
  }
  const delimiter = [...counts].toSorted(([, a], [, b]) => b - a)[0]?.[0] ?? ',';
  return { delimiter, newline: text.charAt(at) === '\r' && text.charAt(at + 1) !== '\n' ? '\r' : '\n' };
}
