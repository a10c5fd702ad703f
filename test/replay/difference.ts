import type { Finding } from './compare.ts';

/** One deliberate difference from the original: a line of docs/compatibility.md, and the rule that knows it in a replay. */
export interface Difference {
  /** A stable name in words with dashes. */
  readonly name: string;
  /** The tools in whose answers it shows; absent: any. */
  readonly tools?: readonly string[];
  /** What the original does, as a sentence. */
  readonly original: string;
  /** What we do, as a sentence. */
  readonly ours: string;
  /** Why, as a sentence. */
  readonly reason: string;
  /** How to get the original's way, where there is one. */
  readonly switch?: string;
  /** Whether it explains a finding. A line that explains none is of no use any more, unless `shownBy` names a test that shows it. */
  readonly explains?: (finding: Finding) => boolean;
  readonly shownBy?: string;
}
