/** How well one list of hits answers one question; every figure is 0..1. */
export interface Score {
  readonly r1: number;
  readonly r5: number;
  readonly r10: number;
  readonly r20: number;
  readonly hit1: number;
  readonly hit5: number;
  readonly mrr: number;
  readonly ndcg5: number;
  readonly ndcg10: number;
}

/** The figures in the order in which they are reported. */
export const FIGURES = ['r1', 'r5', 'r10', 'r20', 'hit1', 'hit5', 'mrr', 'ndcg5', 'ndcg10'] as const;

/**
 * Scores hits, best first, against all that is right. R@k is the share of the gold in the first k, Hit@k whether any is,
 * MRR the inverse rank of the first, nDCG@k binary (Järvelin and Kekäläinen, 2002).
 */
export function scoreOf(hits: readonly string[], gold: ReadonlySet<string>): Score {
  const right = hits.map((hit) => gold.has(hit));
  const within = (k: number): number => right.slice(0, k).filter(Boolean).length;
  const first = right.indexOf(true);
  const gain = (rank: number): number => 1 / Math.log2(rank + 2);
  const ndcg = (k: number): number => {
    let ideal = 0;
    for (let rank = 0; rank < Math.min(k, gold.size); rank++) ideal += gain(rank);
    return right.slice(0, k).reduce((sum, is, rank) => sum + (is ? gain(rank) : 0), 0) / ideal;
  };
  return {
    r1: within(1) / gold.size,
    r5: within(5) / gold.size,
    r10: within(10) / gold.size,
    r20: within(20) / gold.size,
    hit1: Math.min(1, within(1)),
    hit5: Math.min(1, within(5)),
    mrr: first === -1 ? 0 : 1 / (first + 1),
    ndcg5: ndcg(5),
    ndcg10: ndcg(10),
  };
}

/** The mean of each figure; zeros for no scores. */
export function meanOf(scores: readonly Score[]): Score {
  const mean = (name: keyof Score): number =>
    scores.length === 0 ? 0 : scores.reduce((sum, score) => sum + score[name], 0) / scores.length;
  return {
    r1: mean('r1'),
    r5: mean('r5'),
    r10: mean('r10'),
    r20: mean('r20'),
    hit1: mean('hit1'),
    hit5: mean('hit5'),
    mrr: mean('mrr'),
    ndcg5: mean('ndcg5'),
    ndcg10: mean('ndcg10'),
  };
}

/** The value below which the share `p` (0..1) of the values lies; 0 for none. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))] ?? 0;
}

/**
 * Sessions in the order of their turns' worth: the best turn counts whole, the second half, the third a quarter. A turn is
 * worth what its rank says, since hits carry no score that could be added.
 */
export function sessionsOf(hits: readonly string[], sessionOf: ReadonlyMap<string, string>): string[] {
  const shares = [1, 0.5, 0.25];
  const worth = new Map<string, { sum: number; turns: number }>();
  for (const [rank, hit] of hits.entries()) {
    const session = sessionOf.get(hit);
    if (session === undefined) continue;
    const known = worth.get(session) ?? { sum: 0, turns: 0 };
    known.sum += (shares[known.turns] ?? 0) / (rank + 2);
    known.turns += 1;
    worth.set(session, known);
  }
  return [...worth].toSorted((a, b) => b[1].sum - a[1].sum).map(([session]) => session);
}
