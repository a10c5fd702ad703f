import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import Database from 'better-sqlite3-multiple-ciphers';

import { monotonicMs, type Clock } from '../../src/clock.ts';
import { silenceModelRuntime } from '../../src/config.ts';
import { OPERATIONS, type Execute, type OperationName } from '../../src/engine/operations.ts';
import { UsageNotes } from '../../src/engine/usage.ts';
import type { Log } from '../../src/log.ts';
import { dispatch } from '../../src/mcp/dispatch.ts';
import { OWNER } from '../../src/memory/scope.ts';
import type { Scope } from '../../src/memory/types.ts';
import type { Embedder } from '../../src/provider/embedder.ts';
import { localEmbedder } from '../../src/provider/local-embedder.ts';
import { Meaning, type VectorShelf } from '../../src/provider/meaning.ts';
import { remoteEmbedder } from '../../src/provider/remote-embedder.ts';
import { makeSharedMemory, openWriter, prepareStore } from '../../src/storage/open.ts';
import type { Reader } from '../../src/storage/store.ts';
import { createTable } from '../../src/tools/table.ts';
import { nowOf, type Conversation, type Dataset } from './data.ts';

/** Something that can be filled and asked. */
export interface System {
  readonly name: string;
  load(dataset: Dataset): Promise<void>;
  /** Ids of the turns found, best first, at most {@link HITS}. */
  ask(conversation: Conversation, question: string): Promise<string[]>;
  /** Bytes on disk; undefined where there are none. */
  bytes(): number | undefined;
  close(): Promise<void>;
}

/** Hits asked for. */
export const HITS = 20;

/** What stands between the id of a conversation and that of a turn where all are in one workspace. */
const SLASH = '/';

/** The plain baselines over SQLite's full-text search, in memory: one table for each conversation, or one for all. */
export function plainSystem(kind: 'bm25' | 'original', oneStore: boolean): System {
  const db = new Database(':memory:');
  const tables = new Map<string, string>();
  const tableOf = (conversation: Conversation): string => (oneStore ? 't' : (tables.get(conversation.id) ?? 't'));
  return {
    name: kind === 'bm25' ? 'plain FTS5 BM25' : "the original's rule",
    load: async ({ conversations }) => {
      for (const [i, conversation] of conversations.entries()) {
        tables.set(conversation.id, `t${i}`);
        const table = tableOf(conversation);
        db.exec(`CREATE VIRTUAL TABLE IF NOT EXISTS ${table} USING fts5(id UNINDEXED, body)`);
        const insert = db.prepare(`INSERT INTO ${table}(id, body) VALUES (?, ?)`);
        for (const { turns } of conversation.sessions) {
          for (const { id, speaker, text, caption } of turns) {
            const said = `${speaker}: ${text}${caption === undefined ? '' : ` [image: ${caption}]`}`;
            insert.run(oneStore ? conversation.id + SLASH + id : id, said);
          }
        }
      }
    },
    ask: async (conversation, question) => {
      const table = tableOf(conversation);
      // The baseline asks for each word as it stands; the original quotes what white space parts.
      const parts = kind === 'bm25' ? (question.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []) : question.split(/\s+/);
      const words = [...new Set(parts)].filter((word) => word !== '').map((word) => `"${word.replaceAll('"', '""')}"`);
      if (words.length === 0) return [];
      const order = kind === 'bm25' ? `bm25(${table}), rowid` : 'rowid DESC';
      const rows = db
        .prepare(`SELECT id FROM ${table} WHERE ${table} MATCH ? ORDER BY ${order} LIMIT ${HITS}`)
        .pluck(true)
        .all(words.join(' OR ')) as string[];
      return oneStore ? own(conversation, rows) : rows;
    },
    bytes: () => undefined,
    close: async () => void db.close(),
  };
}

/** With all conversations in one workspace a hit of another is a wrong one: it keeps its place and fits no gold. */
function own({ id }: Conversation, keys: readonly string[]): string[] {
  const prefix = id + SLASH;
  return keys.map((key) => (key.startsWith(prefix) ? key.slice(prefix.length) : `other:${key}`));
}

/** Mimir over a file of its own. */
export interface Mimir {
  /** Calls a tool; fails on anything but an answer. */
  call(name: string, args: object): Promise<Record<string, unknown>>;
  /** Sets the clock, Unix milliseconds; it stands still otherwise, so that two runs give the same figures. */
  setNow(ms: number): void;
  /** Gives every memory its vector; resolves when none is missing. */
  embed(): Promise<void>;
  bytes(): number;
  close(): Promise<void>;
}

/** How Mimir is asked. */
export interface MimirOptions {
  /** By the tools as a client would call them (`mcp`), or by the tool table alone (`engine`). */
  readonly via: 'engine' | 'mcp';
  /** The folder of a model, or the address of a model server; absent: it goes by words. */
  readonly embed?: string | undefined;
  /** The model's name, for a server. */
  readonly model?: string | undefined;
}

function embedderOf({ embed, model }: MimirOptions): Embedder | undefined {
  if (embed === undefined) return undefined;
  if (!/^https?:/.test(embed)) {
    silenceModelRuntime();
    return localEmbedder(resolve(embed));
  }
  return remoteEmbedder({
    endpoint: embed,
    model: model ?? 'default',
    apiKey: process.env['MIMIR_EMBEDDING_API_KEY'] ?? null,
  });
}

/** Opens a fresh one. */
export function openMimir(options: MimirOptions): Mimir {
  const { via } = options;
  const folder = mkdtempSync(join(tmpdir(), 'mimir-bench-'));
  const dbPath = join(folder, 'm.db');
  let now = Date.UTC(2026, 0, 1);
  let random = 0;
  const clock: Clock = {
    nowMs: () => now,
    randomBytes: (count) => {
      const bytes = Buffer.alloc(Math.max(count, 4));
      bytes.writeUInt32BE(++random);
      return bytes.subarray(0, count);
    },
  };
  const fail = (what: string): never => {
    throw new Error(`bench: ${what}`);
  };
  const where = { path: dbPath, key: null, clock, busyTimeoutMs: 5_000, shared: makeSharedMemory() };
  prepareStore(where);
  // In this thread and without a pool: threads have the clock of the machine.
  const store = openWriter(where);
  let busy: Promise<unknown> = Promise.resolve();
  let operations = 0;
  const execute = ((name: OperationName, scope: Scope, input: unknown) => {
    const { access, run } = OPERATIONS[name];
    const anyRun = run as unknown as (tx: Reader, scope: Scope, input: unknown) => Promise<unknown>;
    const result = busy.then(() =>
      access === 'read'
        ? store.snapshot((tx) => anyRun(tx, scope, input))
        : store.transaction({ id: `bench-${operations++}`, kind: name, scope }, (tx) => anyRun(tx, scope, input)),
    );
    busy = result.catch(() => undefined);
    return result;
  }) as Execute;
  const facts = { dbPath, encrypted: false, version: '0' };
  const embedder = embedderOf(options);
  const scope: Scope = { principal: OWNER, workspace: null, actor: 'owner', client: 'bench' };
  const shelf: VectorShelf = {
    open: (model, dimensions, prefix, mayTakeOver) =>
      execute('embedding_open', scope, { model, dimensions, prefix, mayTakeOver }),
    next: (space, count) => execute('embedding_next', scope, { space, count }),
    put: (space, upTo, vectors) => execute('embedding_put', scope, { space, upTo, vectors }),
  };
  const log: Log = {
    banner: () => undefined,
    info: () => undefined,
    warn: (event, fields) => fail(`${event} ${JSON.stringify(fields)}`),
    error: fail,
  };
  const meaning = embedder === undefined ? undefined : new Meaning({ embedder, shelf, log, background: true });
  const folders = { atHome: (path: string) => path, vault: () => '/nowhere' };
  const deps = { execute, usage: new UsageNotes(), clock, facts, folders, ...(meaning !== undefined && { meaning }) };
  const table = createTable({ ...deps, onBug: (bug) => fail(String(bug)) });
  const caller = { principal: OWNER, client: 'bench' };
  const served = { table, caller, version: '0', onBug: (bug: unknown) => fail(String(bug)) };

  const call = async (name: string, args: object): Promise<Record<string, unknown>> => {
    if (via === 'engine') {
      const { json, isError } = await table.call(name, args, caller);
      return isError ? fail(json) : (JSON.parse(json) as Record<string, unknown>);
    }
    const message = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } };
    const answer = JSON.parse((await dispatch(message, served)) ?? '{}') as {
      result?: { isError?: boolean; structuredContent?: Record<string, unknown> };
    };
    const found = answer.result?.structuredContent;
    return found === undefined || answer.result?.isError === true ? fail(JSON.stringify(answer)) : found;
  };
  return {
    call,
    setNow: (ms) => {
      now = ms;
    },
    embed: async () => {
      meaning?.nudge();
      while (meaning?.behind === true) await new Promise((done) => setTimeout(done, 50));
    },
    bytes: () => statSync(dbPath).size,
    close: async () => {
      await meaning?.close();
      store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Mimir, filled with conversations. With a model it is asked by words alone as well, from the same store. */
export function mimirSystems(options: MimirOptions, oneStore: boolean): System[] {
  const { call, embed, bytes, close } = openMimir(options);
  const workspaceOf = ({ id }: Conversation): string => (oneStore ? 'all' : id);

  const write = async (conversation: Conversation): Promise<void> => {
    for (const session of conversation.sessions) {
      // In the order in which they were said: a turn is understood by the one before it.
      for (const [i, { id, speaker, text, caption }] of session.turns.entries()) {
        await call('mimir_remember', {
          workspace_hash: workspaceOf(conversation),
          category: 'conversation',
          key: oneStore ? conversation.id + SLASH + id : id,
          body_json: JSON.stringify({
            content: text,
            speaker,
            session: oneStore ? conversation.id + SLASH + session.id : session.id,
            turn: i + 1,
            date: session.date,
            ...(caption !== undefined && { caption }),
          }),
        });
      }
    }
  };

  const asked = async (conversation: Conversation, question: string, mode: object): Promise<string[]> => {
    const { items } = await call('mimir_recall', {
      workspace_hash: workspaceOf(conversation),
      query: question,
      limit: HITS,
      now: nowOf(conversation),
      ...mode,
    });
    const keys = keysOf(items);
    return oneStore ? own(conversation, keys) : keys;
  };
  const load: System['load'] = async ({ conversations }) => {
    await Promise.all(conversations.map(write));
  };
  const name = `mimir (${options.via}`;
  if (options.embed === undefined) {
    return [
      { name: `${name})`, load, ask: (conversation, question) => asked(conversation, question, {}), bytes, close },
    ];
  }
  return [
    {
      name: `${name}, words)`,
      load,
      ask: (conversation, question) => asked(conversation, question, { mode: 'fts5' }),
      bytes,
      close: async () => undefined,
    },
    {
      name: `${name}, meaning)`,
      load: embed,
      ask: (conversation, question) => asked(conversation, question, {}),
      bytes,
      close,
    },
  ];
}

/** Keys of the items of a recall, in order. */
export function keysOf(items: unknown): string[] {
  if (!Array.isArray(items)) throw new Error('bench: a recall without items');
  return items.map((item: { readonly key: string }) => item.key);
}

/** Milliseconds that something takes. */
export async function timed<T>(run: () => Promise<T>): Promise<{ value: T; ms: number }> {
  const from = monotonicMs();
  const value = await run();
  return { value, ms: monotonicMs() - from };
}
