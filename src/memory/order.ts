/**
 * Rows by score, best first, equal ones by body number, newest first: a heap, so that a page costs only what it takes. The
 * order is total and does not depend on the order of the input.
 */
export class BestFirst {
  readonly #bodies: Int32Array;
  readonly #scores: Float64Array;
  #left: number;

  /** Takes the arrays over. */
  constructor(bodies: Int32Array, scores: Float64Array) {
    this.#bodies = bodies;
    this.#scores = scores;
    this.#left = bodies.length;
    for (let i = (this.#left >> 1) - 1; i >= 0; i--) this.#sink(i);
  }

  /** Rows that have not been taken. */
  get left(): number {
    return this.#left;
  }

  /** How many of them have at least this score. */
  countFrom(score: number): number {
    let count = 0;
    for (let i = 0; i < this.#left; i++) if ((this.#scores[i] ?? 0) >= score) count += 1;
    return count;
  }

  /** The next `count` rows, fewer at the end. */
  take(count: number): { readonly body: number; readonly score: number }[] {
    const taken = [];
    while (taken.length < count && this.#left > 0) {
      taken.push({ body: this.#bodies[0] ?? 0, score: this.#scores[0] ?? 0 });
      this.#left -= 1;
      this.#swap(0, this.#left);
      this.#sink(0);
    }
    return taken;
  }

  #before(a: number, b: number): boolean {
    const difference = (this.#scores[a] ?? 0) - (this.#scores[b] ?? 0);
    return difference > 0 || (difference === 0 && (this.#bodies[a] ?? 0) > (this.#bodies[b] ?? 0));
  }

  #swap(a: number, b: number): void {
    const [body, score] = [this.#bodies[a] ?? 0, this.#scores[a] ?? 0];
    this.#bodies[a] = this.#bodies[b] ?? 0;
    this.#scores[a] = this.#scores[b] ?? 0;
    this.#bodies[b] = body;
    this.#scores[b] = score;
  }

  #sink(from: number): void {
    for (let at = from; ;) {
      let best = at;
      for (let child = 2 * at + 1; child <= 2 * at + 2; child++) {
        if (child < this.#left && this.#before(child, best)) best = child;
      }
      if (best === at) return;
      this.#swap(at, best);
      at = best;
    }
  }
}

/** The n-th largest number (1: the largest), by Hoare's quickselect (1961); reorders the array. `n` is 1 to its length. */
export function nthLargest(values: Float64Array, n: number): number {
  const wanted = n - 1;
  let [first, last] = [0, values.length - 1];
  while (first < last) {
    const pivot = values[(first + last) >> 1] ?? 0;
    let [left, right] = [first, last];
    while (left <= right) {
      while ((values[left] ?? 0) > pivot) left += 1;
      while ((values[right] ?? 0) < pivot) right -= 1;
      if (left > right) break;
      const kept = values[left] ?? 0;
      values[left++] = values[right] ?? 0;
      values[right--] = kept;
    }
    if (wanted <= right) last = right;
    else if (wanted >= left) first = left;
    else break;
  }
  return values[wanted] ?? 0;
}
