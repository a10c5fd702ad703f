/** What can be wrong in a file of the original, and what became of it, for so many rows. */
const MENDS = {
  not_indexed: (n: number) =>
    `${n} live ${n === 1 ? 'memory was' : 'memories were'} missing in the text index; found again`,
  stray_index: (n: number) =>
    `${n} ${n === 1 ? 'entry' : 'entries'} of the text index belonged to no live memory; left behind`,
  not_json: (n: number) => `${n} ${n === 1 ? 'body is' : 'bodies are'} no JSON; kept as text, byte for byte`,
  too_deep: (n: number) =>
    `${n} ${n === 1 ? 'body nests' : 'bodies nest'} too deep; kept as a JSON text of the same characters`,
  other_key: (n: number) =>
    `${n} ${n === 1 ? 'body was' : 'bodies were'} encrypted with another key; taken from the text index`,
  sealed: (n: number) =>
    `${n} ${n === 1 ? 'body was' : 'bodies were'} encrypted with another key and could not be read; kept as they stood, encrypted`,
  looks_sealed: (n: number) =>
    `${n} ${n === 1 ? 'body looks' : 'bodies look'} encrypted; kept as ${n === 1 ? 'it' : 'they'} stood. With the key file of the original, begin again from the file that was kept`,
  no_id: (n: number) => `${n} ${n === 1 ? 'row' : 'rows'} without a usable id got one`,
  name_taken: (n: number) =>
    `${n} ${n === 1 ? 'memory' : 'memories'} with the category and key of another got a longer key`,
  column: (n: number) => `${n} ${n === 1 ? 'row' : 'rows'} had a column that could not be read; it got its default`,
  tags: (n: number) => `the tags of ${n} ${n === 1 ? 'memory' : 'memories'} could not be read; left out`,
  links: (n: number) => `the links of ${n} ${n === 1 ? 'memory' : 'memories'} could not be read; left out`,
  link_to_nowhere: (n: number) => `${n} ${n === 1 ? 'link' : 'links'} led to no memory; left out`,
  vector: (n: number) => `${n} ${n === 1 ? 'vector' : 'vectors'} could not be read; left out`,
  early_rows: (n: number) =>
    `${n} ${n === 1 ? 'memory' : 'memories'} of version 0.1 lie there as well, not taken over: mimir migrate --from brings them`,
  later_schema: () => 'the file is of a later version: only its memories, journal and state were taken over',
} as const;

/** A kind of mend. */
export type Mend = keyof typeof MENDS;

/** Rows named in a report for each kind. */
const NAMED_MAX = 5;

/** Collects what was mended: how often, and the first rows. */
export class Mends {
  readonly #found = new Map<Mend, { count: number; rows: string[] }>();

  /** Notes a mend of a row; `row` names it to a person. */
  note(mend: Mend, row: string): void {
    const known = this.#found.get(mend) ?? { count: 0, rows: [] };
    known.count += 1;
    if (known.rows.length < NAMED_MAX) known.rows.push(row);
    this.#found.set(mend, known);
  }

  /** Notes so many without naming them. */
  add(mend: Mend, count: number): void {
    if (count > 0) this.#found.set(mend, { count, rows: [] });
  }

  /** One sentence for each kind, in the order of the table, with the first rows. */
  lines(): string[] {
    return (Object.keys(MENDS) as Mend[]).flatMap((mend) => {
      const found = this.#found.get(mend);
      if (found === undefined) return [];
      const { count, rows } = found;
      const more = count > rows.length && rows.length > 0 ? ', ...' : '';
      return [`${MENDS[mend](count)}${rows.length === 0 ? '' : ` (${rows.join(', ')}${more})`}`];
    });
  }
}
