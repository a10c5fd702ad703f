import type { EventStore, JSONRPCMessage } from '@modelcontextprotocol/server';

interface Kept {
  readonly session: string;
  readonly stream: string;
  /** The message as JSON text; null is the event that opens a stream: it has an id and nothing to send again. */
  readonly json: string | null;
}

/**
 * What was lately sent on the streams of all sessions, so that a client whose connection broke can ask for what it missed.
 * It holds so many characters and no more: the oldest events go first.
 */
export class EventLog {
  /** Oldest first. */
  readonly #kept = new Map<string, Kept>();
  /** The ids of each session, so that one that ends costs no look at the others. */
  readonly #ids = new Map<string, Set<string>>();
  readonly #maxChars: number;
  #chars = 0;
  #last = 0;

  constructor(maxChars: number) {
    this.#maxChars = maxChars;
  }

  /** The characters that it holds now. */
  get chars(): number {
    return this.#chars;
  }

  /** The log as one session sees it: events of others do not exist. */
  of(session: string): EventStore {
    return {
      storeEvent: async (stream, message) => {
        const isOpening = Object.keys(message).length === 0;
        return this.#keep({ session, stream, json: isOpening ? null : JSON.stringify(message) });
      },
      getStreamIdForEventId: async (id) => this.#find(session, id)?.stream,
      replayEventsAfter: async (lastId, { send }) => {
        const last = this.#find(session, lastId);
        if (last === undefined) throw new Error('no such event');
        let passed = false;
        for (const id of this.#ids.get(session) ?? []) {
          const event = this.#kept.get(id);
          if (passed && event?.stream === last.stream && event.json !== null) {
            await send(id, JSON.parse(event.json) as JSONRPCMessage);
          }
          passed ||= id === lastId;
        }
        return last.stream;
      },
    };
  }

  /** Forgets the events of a session that has ended. */
  drop(session: string): void {
    for (const id of this.#ids.get(session) ?? []) this.#remove(id);
  }

  #find(session: string, id: string): Kept | undefined {
    const event = this.#kept.get(id);
    return event?.session === session ? event : undefined;
  }

  #keep(event: Kept): string {
    this.#last += 1;
    const id = String(this.#last);
    const size = sizeOf(event);
    // It would push out all others and then itself.
    if (size > this.#maxChars) return id;
    this.#kept.set(id, event);
    const ids = this.#ids.get(event.session);
    if (ids === undefined) this.#ids.set(event.session, new Set([id]));
    else ids.add(id);
    this.#chars += size;
    for (const oldest of this.#kept.keys()) {
      if (this.#chars <= this.#maxChars) break;
      this.#remove(oldest);
    }
    return id;
  }

  #remove(id: string): void {
    const event = this.#kept.get(id);
    if (event === undefined) return;
    this.#kept.delete(id);
    this.#chars -= sizeOf(event);
    const ids = this.#ids.get(event.session);
    ids?.delete(id);
    if (ids?.size === 0) this.#ids.delete(event.session);
  }
}

/** An event with nothing in it still costs about this. */
const LEAST_SIZE = 500;

function sizeOf({ json }: Kept): number {
  return LEAST_SIZE + (json?.length ?? 0);
}
