// The package has no types of its own; this is the part that tables.ts uses.
declare module 'papaparse' {
  namespace Papa {
    interface Row {
      readonly data: readonly string[];
      /** What is wrong with its quotes; `MissingQuotes`: one is closed nowhere up to the end. */
      readonly errors: readonly { readonly code: string }[];
      /** `cursor`: where the next row begins. */
      readonly meta: { readonly cursor: number };
    }
  }
  const Papa: {
    parse(
      text: string,
      how: {
        readonly delimiter: string;
        readonly newline: '\n' | '\r';
        readonly step: (row: Papa.Row, parser: { abort(): void }) => void;
      },
    ): unknown;
  };
  export { Papa as default };
}
