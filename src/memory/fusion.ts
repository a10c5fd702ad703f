/** How near candidates are in meaning, in their order. */
export interface Nearness {
  /** Cosine of each candidate with the query; NaN for one that has no vector yet. */
  readonly cosines: Float64Array;
  /** What a standard deviation of nearness counts beside one of words; 0 is words alone. */
  readonly weight: number;
  /** True: words do not count. */
  readonly only?: boolean;
  /** Cosines of the query with texts about something else: what nearness means nothing. */
  readonly unrelated: Float64Array;
}

/** Candidates after words and meaning were added up. */
export interface Fused {
  /** At least 0, in the unit of the scores by words. */
  readonly scores: Float64Array;
  /** How near the best one by words is, in standard deviations: about 2 for an encoder that understands, 0 for noise; NaN when that is not known. */
  readonly agreement: number;
}

interface Spread {
  readonly mean: number;
  readonly deviation: number;
}

function spreadOf(values: Float64Array): Spread {
  let [count, sum] = [0, 0];
  for (const value of values) {
    if (Number.isNaN(value)) continue;
    count += 1;
    sum += value;
  }
  const mean = sum / Math.max(1, count);
  let squares = 0;
  for (const value of values) if (!Number.isNaN(value)) squares += (value - mean) ** 2;
  return { mean, deviation: Math.sqrt(squares / Math.max(1, count)) };
}

function standardised(values: Float64Array, { mean, deviation }: Spread): Float64Array {
  if (deviation > 0) return values.map((value) => (value - mean) / deviation);
  return values.map((value) => (Number.isNaN(value) ? value : 0));
}

/**
 * What nearness alone counts beyond what it is by chance, and what is asked on top of chance: without, a question of unknown
 * words finds something in a small store (of the 25 paraphrases among the notes it costs one).
 */
const BEYOND_CHANCE = 2;
const MEANING_ALONE = 0.5;
/** Keeps the order of rows that are not near, for who wants to see them all. */
const FAINT = 1e-3;

/** Among fewer candidates it says nothing how near the best one by words is. */
const AGREEMENT_CANDIDATES = 20;

/**
 * Bounds how near a row is that shares no word with the query by what it is beyond chance, in standard deviations: something
 * is always nearest, among N unrelated rows about sqrt(2 ln N) deviations (the expected maximum of N normal values). What
 * unrelated texts are like to this question and this model, {@link Nearness.unrelated} says.
 */
function beyondChance(
  near: Float64Array,
  words: Float64Array,
  { cosines, unrelated }: Nearness,
  rows: number,
): Float64Array {
  if (unrelated.length === 0) return near;
  const chance = MEANING_ALONE + Math.sqrt(2 * Math.log(Math.max(1, rows)));
  const usual = spreadOf(unrelated);
  return near.map((value, i) => {
    if ((words[i] ?? 0) > 0) return value;
    const beyond = usual.deviation === 0 ? 0 : ((cosines[i] ?? Number.NaN) - usual.mean) / usual.deviation - chance;
    return Math.min(value, BEYOND_CHANCE * Math.max(0, beyond));
  });
}

/**
 * Adds to scores by words what a row is nearer than others, both in standard deviations (measured against ranks and
 * ranges). Nearness only adds: that a row is far in meaning is no reason against its words, and a bad model does
 * the less harm. A row without a vector gets the nearness that its words let expect: counted as far, half a store without
 * vectors would be worse than a store without any. `plain` is the unit where words tell no row from another; `rows` is the
 * size of the store.
 */
export function fuse(words: Float64Array, nearness: Nearness, plain: number, rows: number): Fused {
  const { weight, only = false } = nearness;
  const spread = spreadOf(words);
  const among = standardised(nearness.cosines, spreadOf(Float64Array.of(...nearness.cosines, ...nearness.unrelated)));
  const near = beyondChance(among, words, nearness, rows);
  const byWords = standardised(words, spread);
  let [both, squares, best] = [0, 0, 0];
  for (let i = 0; i < words.length; i++) {
    const [word = 0, meaning = 0] = [byWords[i], near[i]];
    if ((words[i] ?? 0) > (words[best] ?? 0)) best = i;
    if (Number.isNaN(meaning)) continue;
    both += word * meaning;
    squares += word * word;
  }
  const slope = squares === 0 ? 0 : both / squares;
  const expected = (i: number): number => {
    const meaning = near[i] ?? Number.NaN;
    return Math.max(0, Number.isNaN(meaning) ? slope * (byWords[i] ?? 0) : meaning);
  };
  const unit = only || spread.deviation === 0 ? Math.max(plain, 1) : spread.deviation;
  const isKnown = words.length >= AGREEMENT_CANDIDATES && (words[best] ?? 0) > 0;
  return {
    scores: words.map((word, i) =>
      only ? unit * (expected(i) + FAINT * (1 + (nearness.cosines[i] ?? 0) || 0)) : word + weight * unit * expected(i),
    ),
    agreement: isKnown ? (among[best] ?? Number.NaN) : Number.NaN,
  };
}

/** What nearness counts beside words when nothing speaks against it, chosen on two sets (docs/retrieval.md). */
export const MEANING_WEIGHT = 0.6;

/** What a model is believed to agree before it was asked, as so many questions. Encoders measured 1.8 to 2.0, noise -0.2. */
const EXPECTED = 2;
const EXPECTED_QUESTIONS = 8;
/** Questions that are remembered: a model may be mended. */
const REMEMBERED = 200;
/** With less agreement a model counts less, and nothing below {@link AGREEMENT_LEAST}. */
const AGREEMENT_ENOUGH = 1.5;
const AGREEMENT_LEAST = 0.75;

/**
 * How much a model's nearness agrees with the words, over the last questions. One whose vectors are noise would push right
 * rows away; it needs no known answers to tell it, because where words find something, nearness finds it mostly too.
 */
export class Agreement {
  #sum = EXPECTED * EXPECTED_QUESTIONS;
  #count = EXPECTED_QUESTIONS;

  /** One question: see {@link Fused.agreement}. */
  seen(deviations: number): void {
    if (Number.isNaN(deviations)) return;
    const kept = Math.min(1, (REMEMBERED - 1) / this.#count);
    this.#sum = this.#sum * kept + deviations;
    this.#count = this.#count * kept + 1;
  }

  /** What nearness counts now, 0 to {@link MEANING_WEIGHT}. */
  weight(): number {
    const share = (this.#sum / this.#count - AGREEMENT_LEAST) / (AGREEMENT_ENOUGH - AGREEMENT_LEAST);
    return MEANING_WEIGHT * Math.min(1, Math.max(0, share));
  }
}
