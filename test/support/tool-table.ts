import assert from 'node:assert/strict';
import { UsageNotes } from '../../src/engine/usage.ts';
import type { LanguageModel } from '../../src/provider/language-model.ts';
import type { ToolDeps } from '../../src/tools/define.ts';
import { createTable } from '../../src/tools/table.ts';
import type { Caller } from '../../src/tools/types.ts';
import { ModelStore } from './model-store.ts';

/** Sees all. */
export const OWNER: Caller = { principal: { kind: 'owner' }, client: 'test' };
/** Sees one workspace, as one agent. */
export const BOUND: Caller = { principal: { kind: 'bound', workspace: 'w', agentId: 'ag' }, client: 'test' };

/** An item as tests look at it. */
export interface Shown {
  readonly key: string;
  readonly depth: number;
  readonly body_json: string;
  readonly also?: readonly unknown[];
  readonly [member: string]: unknown;
}

/** An answer as tests look at it. */
export interface Answer {
  readonly isError: boolean;
  readonly text: string;
  readonly id: string;
  readonly total: number;
  readonly markdown: string;
  readonly items: readonly Shown[];
  readonly traversed: readonly Shown[];
  readonly links: readonly unknown[];
  readonly [member: string]: unknown;
}

/** A successful answer as it stands in JSON. */
export function jsonOf(answer: Answer): Record<string, unknown> {
  assert.equal(answer.isError, false, String(answer['error']));
  return JSON.parse(answer.text) as Record<string, unknown>;
}

/** Folders of nobody. */
export const NO_FOLDERS = { atHome: (path: string) => path, vault: () => '/nowhere' };

/** The tools over the plainest store, and ways to call them; with a language model where one is given. */
export function setUp(language?: LanguageModel, folders: ToolDeps['folders'] = NO_FOLDERS) {
  const store = new ModelStore();
  const bugs: unknown[] = [];
  const usage = new UsageNotes();
  const clock = { nowMs: () => store.nowMs, randomBytes: (count: number) => new Uint8Array(count).fill(0xab) };
  const facts = { dbPath: '/tmp/x.db', encrypted: false, version: '9.9.9' };
  const table = createTable({
    execute: store.execute,
    usage,
    clock,
    facts,
    ...(language !== undefined && { language }),
    folders,
    onBug: (error) => bugs.push(error),
  });
  const call = async (name: string, args: unknown = {}, caller = OWNER): Promise<Answer> => {
    const answer = await table.call(`mimir_${name}`, args, caller);
    const facts = JSON.parse(answer.json) as Record<string, unknown>;
    // A briefing stands there twice for programs, once for models.
    if (name === 'context') delete facts['context'];
    if (!answer.isError) assert.deepEqual(JSON.parse(answer.text), facts);
    return { ...(JSON.parse(answer.json) as Answer), isError: answer.isError, text: answer.text };
  };
  const put = (key: string, body: unknown = { content: `body of ${key}` }, more: object = {}) =>
    call('remember', { category: 'c', key, body_json: JSON.stringify(body), ...more });
  return { store, usage, table, call, put, bugs };
}
