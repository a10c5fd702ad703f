import type { EventStore, JSONRPCMessage } from '@modelcontextprotocol/server';

interface Kept {
  readonly session: string;
  readonly stream: string;
  /** Null is the event that opens a stream: it has an id and nothing to send again. */
  readonly message: JSONRPCMessage | null;
  readonly size: number;
}

/**
 * What was lately sent on the streams of all sessions, so that a client whose connection broke can ask for what it missed.
 * It holds so many characters and no more: the oldest events go first.
 */
export class EventLog {
  readonly #kept = new Map<string, Kept>();
  readonly #maxChars: number;
  #chars = 0;
  #last = 0;

  constructor(maxChars: number) {
    this.#maxChars = maxChars;
  }

  /** The log as one session sees it: events of others do not exist. */
  of(session: string): EventStore {
    return {
      storeEvent: async (stream, message) => {
        const isOpening = Object.keys(message).length === 0;
        return this.#keep({ session, stream, message: isOpening ? null : message, size: sizeOf(message) });
      },
      getStreamIdForEventId: async (id) => this.#find(session, id)?.stream,
      replayEventsAfter: async (lastId, { send }) => {
        const last = this.#find(session, lastId);
        if (last === undefined) throw new Error('no such event');
        let passed = false;
        for (const [id, event] of this.#kept) {
          const isOurs = event.session === session && event.stream === last.stream;
          if (passed && isOurs && event.message !== null) await send(id, event.message);
          passed ||= id === lastId;
        }
        return last.stream;
      },
    };
  }

  /** Forgets the events of a session that has ended. */
  drop(session: string): void {
    for (const [id, event] of this.#kept) if (event.session === session) this.#remove(id, event);
  }

  #find(session: string, id: string): Kept | undefined {
    const event = this.#kept.get(id);
    return event?.session === session ? event : undefined;
  }

  #keep(event: Kept): string {
    this.#last += 1;
    const id = String(this.#last);
    this.#kept.set(id, event);
    this.#chars += event.size;
    for (const [oldest, { size }] of this.#kept) {
      if (this.#chars <= this.#maxChars) break;
      this.#kept.delete(oldest);
      this.#chars -= size;
    }
    return id;
  }

  #remove(id: string, event: Kept): void {
    this.#kept.delete(id);
    this.#chars -= event.size;
  }
}

/** An event with nothing in it still costs about this. */
const LEAST_SIZE = 500;

/** About the characters that a message holds: in an answer the text counts twice, the structured form has the same facts. */
function sizeOf(message: JSONRPCMessage): number {
  const content = 'result' in message ? message.result['content'] : undefined;
  if (!Array.isArray(content)) return LEAST_SIZE;
  const texts = content.map((part: unknown) =>
    typeof part === 'object' && part !== null && 'text' in part && typeof part.text === 'string' ? part.text.length : 0,
  );
  return LEAST_SIZE + 2 * texts.reduce((sum, length) => sum + length, 0);
}
