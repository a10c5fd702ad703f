import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** One thing that was said. */
export interface Turn {
  readonly id: string;
  readonly speaker: string;
  readonly text: string;
  readonly caption?: string;
}

/** A conversation's part on one day, or a note's day. */
export interface Session {
  readonly id: string;
  /** ISO 8601 without a zone. */
  readonly date: string;
  readonly turns: readonly Turn[];
}

/** A question and the ids of all turns that answer it; without any it is not scored. */
export interface Question {
  readonly id: string;
  readonly text: string;
  readonly category: string;
  readonly gold: readonly string[];
}

/** What one memory holds. */
export interface Conversation {
  readonly id: string;
  readonly sessions: readonly Session[];
  readonly questions: readonly Question[];
}

/** One file in the common format. */
export interface Dataset {
  readonly name: string;
  readonly conversations: readonly Conversation[];
}

const DAY_MS = 86_400_000;

/** The files to read: one, or all `*.norm.json` of a folder. */
export function filesOf(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  const files = readdirSync(path).filter((name) => name.endsWith('.norm.json'));
  return files.toSorted().map((name) => join(path, name));
}

/** Reads a file; throws with the place of what is not of the format. */
export function readDataset(file: string): Dataset {
  const read: unknown = JSON.parse(readFileSync(file, 'utf8'));
  const conversations = list(read, 'conversations', file).map((one, i): Conversation => {
    const at = `${file}: conversation ${i}`;
    return {
      id: text(one, 'id', at),
      sessions: list(one, 'sessions', at).map((session): Session => ({
        id: text(session, 'id', at),
        date: text(session, 'date', at),
        turns: list(session, 'turns', at).map((turn): Turn => {
          const caption = member(turn, 'caption');
          return {
            id: text(turn, 'id', at),
            speaker: text(turn, 'speaker', at),
            text: text(turn, 'text', at),
            ...(typeof caption === 'string' && caption !== '' && { caption }),
          };
        }),
      })),
      questions: list(one, 'questions', at).map((question): Question => ({
        id: text(question, 'id', at),
        text: text(question, 'text', at),
        category: text(question, 'category', at),
        gold: list(question, 'gold', at).map(String),
      })),
    };
  });
  const name = member(read, 'dataset');
  return { name: typeof name === 'string' ? name : file, conversations };
}

/** The moment at which a conversation's questions are asked: a day after its last session. */
export function nowOf(conversation: Conversation): string {
  const dates = conversation.sessions.map(({ date }) => Date.parse(`${date}Z`)).filter((ms) => !Number.isNaN(ms));
  const lastMs = dates.length === 0 ? Date.UTC(2025, 0, 1) : Math.max(...dates);
  return new Date(lastMs + DAY_MS).toISOString();
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

function text(value: unknown, name: string, at: string): string {
  const found = member(value, name);
  if (typeof found === 'string') return found;
  if (typeof found === 'number') return String(found);
  throw new Error(`${at}: \`${name}\` is not text`);
}

function list(value: unknown, name: string, at: string): unknown[] {
  const found = member(value, name);
  if (Array.isArray(found)) return found;
  throw new Error(`${at}: \`${name}\` is not a list`);
}
