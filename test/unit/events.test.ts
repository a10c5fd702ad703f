// What was sent on streams is kept for those whose connection broke, within bounds.
import assert from 'node:assert/strict';
import test from 'node:test';

import type { JSONRPCMessage } from '@modelcontextprotocol/server';

import { EventLog } from '../../src/mcp/events.ts';

const answer = (id: number, result: Record<string, unknown>): JSONRPCMessage => ({ jsonrpc: '2.0', id, result });

/** The ids of the answers that come again after an event. */
async function again(log: EventLog, session: string, after: string): Promise<unknown[]> {
  const seen: unknown[] = [];
  await log.of(session).replayEventsAfter(after, {
    send: async (_, message) => void seen.push('id' in message ? message.id : null),
  });
  return seen;
}

test('an event comes again on its own stream of its own session, in order', async () => {
  const log = new EventLog(100_000);
  const [mine, other] = [log.of('mine'), log.of('other')];
  const opening = await mine.storeEvent('s', {} as JSONRPCMessage);
  await other.storeEvent('s', answer(1, {}));
  await mine.storeEvent('t', answer(2, {}));
  await mine.storeEvent('s', answer(3, {}));
  const last = await mine.storeEvent('s', answer(4, {}));
  assert.deepEqual(await again(log, 'mine', opening), [3, 4]);
  assert.deepEqual(await again(log, 'mine', last), []);
  assert.equal(await other.getStreamIdForEventId?.(opening), undefined);
  await assert.rejects(again(log, 'other', opening));
  log.drop('mine');
  assert.equal(await mine.getStreamIdForEventId?.(last), undefined);
  log.drop('other');
  assert.equal(log.chars, 0);
});

test('whatever the shape of an answer, what is kept stays below the limit, and the oldest goes first', async () => {
  const text = 'x'.repeat(20_000);
  for (const result of [
    { contents: [{ uri: 'u', text }] },
    { messages: [{ role: 'user', content: { type: 'text', text } }] },
    { content: [{ type: 'text', text: '' }], structuredContent: { text } },
  ]) {
    const log = new EventLog(100_000);
    const events = log.of('mine');
    const ids: string[] = [];
    for (let i = 0; i < 10; i++) ids.push(await events.storeEvent('s', answer(i, result)));
    assert.ok(log.chars > 80_000 && log.chars < 100_000, `${log.chars}`);
    const kept: (string | undefined)[] = [];
    for (const id of ids) kept.push(await events.getStreamIdForEventId?.(id));
    assert.equal(kept.filter((stream) => stream !== undefined).length, 4);
    assert.equal(kept.indexOf('s'), 6);
  }
});

test('an answer larger than the limit is not kept, and pushes nothing out', async () => {
  const log = new EventLog(10_000);
  const events = log.of('mine');
  const small = await events.storeEvent('s', answer(1, {}));
  const large = await events.storeEvent('s', answer(2, { text: 'x'.repeat(20_000) }));
  assert.equal(await events.getStreamIdForEventId?.(small), 's');
  assert.equal(await events.getStreamIdForEventId?.(large), undefined);
});

test('the end of a session costs what it has kept, not what all have', async () => {
  const log = new EventLog(100_000_000);
  const sessions = Array.from({ length: 10_000 }, (_, i) => `s${i}`);
  for (const session of sessions) await log.of(session).storeEvent('s', answer(1, {}));
  const started = performance.now();
  for (const session of sessions) log.drop(session);
  const tookMs = performance.now() - started;
  assert.equal(log.chars, 0);
  // To walk through all of them for each takes more than a second.
  assert.ok(tookMs < 200, `${tookMs.toFixed(0)} ms`);
});
