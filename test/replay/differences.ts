// The one table of what differs from the original on purpose. The replay judges by it, and docs/compatibility.md is made of it.
import type { Difference } from './difference.ts';
import { ASKING } from './table/asking.ts';
import { FILES } from './table/files.ts';
import { FINDING } from './table/finding.ts';
import { JUDGING } from './table/judging.ts';
import { PROTOCOL } from './table/protocol.ts';
import { REQUESTS } from './table/requests.ts';
import { STORING } from './table/storing.ts';

/** A part of the table with its heading. */
export interface Part {
  readonly heading: string;
  readonly lines: readonly Difference[];
}

/** All parts in the order of the document. */
export const PARTS: readonly Part[] = [
  { heading: 'Storing', lines: STORING },
  { heading: 'Finding', lines: FINDING },
  { heading: 'Judging, copying and upkeep', lines: JUDGING },
  { heading: 'Language models and federation', lines: ASKING },
  { heading: 'Files, vaults and what comes in', lines: FILES },
  { heading: 'Requests and errors', lines: REQUESTS },
  { heading: 'The protocol', lines: PROTOCOL },
];

/** All lines; the first that fits explains. */
export const DIFFERENCES: readonly Difference[] = PARTS.flatMap(({ lines }) => lines);
