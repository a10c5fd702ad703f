/** Calls of one access that run together. */
interface Group {
  readonly access: string;
  /** Resolves when everything before this group has ended. */
  readonly begin: Promise<void>;
  running: number;
  /** Set when a later group waits for this one. */
  ended: (() => void) | null;
}

/**
 * Keeps the order that a client sees on one connection: calls of the same access run together, but `exclusive` ones alone; a
 * change of access waits for all that came before. So a read that was sent right behind a write sees it.
 */
export class OrderedLane {
  #group: Group = { access: '', begin: Promise.resolve(), running: 0, ended: null };

  /** Runs in its turn. */
  async run<T>(access: string, call: () => Promise<T>): Promise<T> {
    if (access !== this.#group.access || access === 'exclusive')
      this.#group = { access, begin: endOf(this.#group), running: 0, ended: null };
    const group = this.#group;
    // Counted, not collected: a client may stay with one access for a million calls.
    group.running += 1;
    try {
      await group.begin;
      return await call();
    } finally {
      group.running -= 1;
      if (group.running === 0) group.ended?.();
    }
  }
}

function endOf(group: Group): Promise<void> {
  if (group.running === 0) return group.begin;
  return new Promise((resolve) => (group.ended = resolve));
}
