/**
 * Keeps the order that a client sees on one connection: calls of the same access run together, a change of access waits for
 * all that came before. So a read that was sent right behind a write sees it.
 */
export class OrderedLane {
  #access: string | null = null;
  #before: Promise<unknown> = Promise.resolve();
  #group: Promise<unknown>[] = [];

  /** Runs in its turn. */
  async run<T>(access: string, call: () => Promise<T>): Promise<T> {
    if (access !== this.#access) {
      this.#access = access;
      this.#before = Promise.allSettled([this.#before, ...this.#group]);
      this.#group = [];
    }
    const running = this.#before.then(call);
    this.#group.push(running.catch(() => undefined));
    return await running;
  }
}
