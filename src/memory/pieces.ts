/** A part of a text, and where it stands in it. */
export interface Piece {
  /** Exactly the characters from its first line to its last. */
  readonly text: string;
  /** As a link names it: `L40-L72`, or `L5C1-L5C2000` for a part of one long line. */
  readonly place: string;
  /** The headings above its first line, outermost first. */
  readonly headings: readonly string[];
}

/** How long parts may be, in characters. */
export interface PieceSizes {
  /** A text up to this long stays whole. */
  readonly wholeMax: number;
  readonly pieceMax: number;
}

/** A line, or a part of one that is too long, with what has to be known about it. */
interface Stretch {
  readonly text: string;
  readonly line: number;
  /** Where it begins in its line, from 1; null when it is the whole line. */
  readonly column: number | null;
  /** Level of the heading that it is; 0 for none. */
  readonly level: number;
  readonly blank: boolean;
}

const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*\r?\n?$/;
const FENCE = /^ {0,3}(`{3,}|~{3,})/;

/**
 * Splits a text before headings, else between paragraphs, else between lines, else between words. Nothing is lost: the pieces
 * joined are the text. A text that fits is one piece. A small section stays with the one before it while both fit.
 */
export function splitText(text: string, { wholeMax, pieceMax }: PieceSizes): Piece[] {
  const stretches = stretchesOf(text, pieceMax);
  if (text.length <= wholeMax) return [pieceOf(stretches, [])];
  const pieces: Piece[] = [];
  let open: string[] = [];
  for (const section of sectionsOf(stretches, pieceMax)) {
    for (const [at, part] of paragraphsTogether(section, pieceMax).entries()) {
      const [first] = part;
      if (at === 0 && first !== undefined) open = under(open, first);
      pieces.push(pieceOf(part, open));
      for (const stretch of at === 0 ? part.slice(1) : part) open = under(open, stretch);
    }
  }
  return pieces;
}

/** The headings that hold from this line on. */
function under(open: readonly string[], { level, text }: Stretch): string[] {
  if (level === 0) return [...open];
  const title = HEADING.exec(text)?.[2] ?? '';
  return [...open.slice(0, level - 1), ...Array<string>(Math.max(0, level - 1 - open.length)).fill(''), title];
}

function pieceOf(stretches: readonly Stretch[], headings: readonly string[]): Piece {
  const [first, last] = [stretches[0], stretches.at(-1)];
  const text = stretches.map((stretch) => stretch.text).join('');
  const columnOf = (column: number | null | undefined, more: number): string =>
    column === null || column === undefined ? '' : `C${column + more}`;
  const from = columnOf(first?.column, 0);
  const to = columnOf(last?.column, (last?.text.replace(/\r?\n$/, '').length ?? 0) - 1);
  const place = `L${first?.line ?? 1}${from}-L${last?.line ?? 1}${to}`;
  return { text, place, headings: headings.filter((heading) => heading !== '') };
}

function stretchesOf(text: string, pieceMax: number): Stretch[] {
  const stretches: Stretch[] = [];
  let fence = '';
  for (const [at, line] of (text.match(/[^\n]*\n|[^\n]+$/g) ?? []).entries()) {
    const mark = FENCE.exec(line)?.[1] ?? '';
    const level = fence === '' && mark === '' ? (HEADING.exec(line)?.[1]?.length ?? 0) : 0;
    if (fence === '') fence = mark;
    else if (mark.startsWith(fence)) fence = '';
    const blank = line.trim() === '' && fence === '';
    if (line.length <= pieceMax) stretches.push({ text: line, line: at + 1, column: null, level, blank });
    else {
      for (const { text: part, column } of partsOfLine(line, pieceMax))
        stretches.push({ text: part, line: at + 1, column, level: 0, blank: false });
    }
  }
  return stretches;
}

/** A long line in parts that end after a sentence or a word, where there is one in their second half. */
function partsOfLine(whole: string, wholeMax: number): { text: string; column: number }[] {
  // The line end goes with the last part, and has no part of its own.
  const [line, pieceMax] = [whole.replace(/\r?\n$/, ''), wholeMax - 2];
  const parts: { text: string; column: number }[] = [];
  for (let at = 0; at < line.length;) {
    let end = Math.min(at + pieceMax, line.length);
    if (end < line.length) {
      const window = line.slice(at, end);
      const sentence = Math.max(...['. ', '! ', '? ', '。'].map((mark) => window.lastIndexOf(mark) + mark.length));
      const word = window.lastIndexOf(' ') + 1;
      if (sentence > pieceMax / 2) end = at + sentence;
      else if (word > pieceMax / 2) end = at + word;
      // Half of a surrogate pair is no text.
      else if (isHighSurrogate(line.charCodeAt(end - 1))) end -= 1;
    }
    parts.push({ text: end === line.length ? whole.slice(at) : line.slice(at, end), column: at + 1 });
    at = end;
  }
  return parts;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00;
}

const lengthOf = (stretches: readonly Stretch[]): number => stretches.reduce((sum, { text }) => sum + text.length, 0);

/** From heading to heading; neighbours are joined while they are small, and never across a heading of a higher rank. */
function sectionsOf(stretches: readonly Stretch[], pieceMax: number): Stretch[][] {
  const sections: Stretch[][] = [];
  for (const stretch of stretches) {
    const last = sections.at(-1);
    if (last === undefined || stretch.level > 0) sections.push([stretch]);
    else last.push(stretch);
  }
  const joined: Stretch[][] = [];
  let [rank, length] = [0, 0];
  for (const section of sections) {
    const last = joined.at(-1);
    const [own, level] = [lengthOf(section), section[0]?.level ?? 0];
    if (last !== undefined && level >= rank && length + own <= pieceMax) {
      last.push(...section);
      length += own;
    } else {
      joined.push([...section]);
      [rank, length] = [level, own];
    }
  }
  return joined;
}

/** A section in parts of at most `pieceMax` characters that begin with a paragraph, or with a line where one is too long. */
function paragraphsTogether(section: readonly Stretch[], pieceMax: number): Stretch[][] {
  const paragraphs: Stretch[][] = [];
  let ended = true;
  for (const stretch of section) {
    const last = paragraphs.at(-1);
    if (last === undefined || (ended && !stretch.blank)) paragraphs.push([stretch]);
    else last.push(stretch);
    ended = stretch.blank;
  }
  const parts: Stretch[][] = [];
  let length = 0;
  const add = (block: readonly Stretch[]): void => {
    const own = lengthOf(block);
    const last = parts.at(-1);
    if (last !== undefined && length + own <= pieceMax) {
      last.push(...block);
      length += own;
    } else {
      parts.push([...block]);
      length = own;
    }
  };
  for (const paragraph of paragraphs) {
    if (lengthOf(paragraph) <= pieceMax) add(paragraph);
    else for (const stretch of paragraph) add([stretch]);
  }
  return parts;
}
