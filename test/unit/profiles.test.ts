// What `tools/list` shows. It stands in every prompt, so it has a budget.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { MimirError } from '../../src/errors.ts';
import { createTable, type TableDeps } from '../../src/tools/table.ts';

const table = createTable({} as unknown as TableDeps);
const shown = (show?: TableDeps['show']): string[] =>
  createTable({ ...({} as unknown as TableDeps), ...(show !== undefined && { show }) }).list.map(({ name }) => name);

test('core is at most 12 tools and 8 KB, all is at most 30 KB', () => {
  const bytes = (list: unknown): number => Buffer.byteLength(JSON.stringify(list));
  assert.ok(table.core.length <= 12, `${table.core.length}`);
  assert.ok(bytes(table.core) <= 8 * 1024, `${bytes(table.core)}`);
  assert.ok(bytes(table.all) <= 30 * 1024, `${bytes(table.all)}`);
});

test("what has no effect is read, and in nobody's prompt", () => {
  const recall = table.all.find(({ name }) => name === 'mimir_recall');
  const properties = Object.keys(recall?.inputSchema['properties'] as object);
  for (const name of ['expansion', 'content_weight', 'diversity_halving']) assert.ok(!properties.includes(name), name);
  assert.doesNotMatch(JSON.stringify(table.all), /No effect/);
});

test('a profile, a list of names, or both; whatever is shown, everything can be called', () => {
  const [core, all] = [shown('core'), shown('all')];
  assert.deepEqual(shown(), core, 'core is what nobody has to ask for');
  assert.ok(core.length < all.length && core.every((name) => all.includes(name)));
  const two = ['mimir_recall', 'mimir_state_get'];
  assert.deepEqual(shown(['state_get', 'mimir_recall']), two, 'in the order of the table');
  assert.deepEqual(shown(['core', 'state_get']).toSorted(), [...core, 'mimir_state_get'].toSorted());
  assert.deepEqual(shown(['core', 'all']), all);
  assert.deepEqual(shown([]), []);
  for (const name of all) assert.ok(table.access(name) !== undefined, name);
});

test('a name of no tool is an error that lists the names, and quotes only what looks like one', () => {
  assert.throws(() => shown(['recall', 'rekall']), {
    code: 'invalid_argument',
    message: /no tool rekall/,
    hint: /mimir_recall/,
  });
  assert.throws(
    () => shown(['planted word']),
    (error) => error instanceof MimirError && !error.message.includes('planted'),
  );
});
