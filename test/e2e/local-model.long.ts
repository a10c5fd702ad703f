import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';

import { callText, http, startHttp, temporaryFolder, until } from '../support/processes.ts';

const ROOT = join(import.meta.dirname, '../..');
const MODEL = join(ROOT, '../shared/models/all-minilm-l6-v2');
const PACKAGES = join(ROOT, 'clients/node_modules');
const skip = !existsSync(MODEL)
  ? 'there is no model beside the project'
  : !existsSync(join(PACKAGES, '@huggingface/transformers'))
    ? 'npm run clients installs what runs a model'
    : false;

const call = async (port: number, name: string, args: object): Promise<Record<string, unknown>> => {
  const { body } = await http(port, { body: callText(1, name, args) });
  return (JSON.parse(body) as { result: { structuredContent: Record<string, unknown> } }).result.structuredContent;
};

const NOTES = {
  pet: 'Our dog Max likes to chase squirrels in the park',
  db: 'We chose SQLite because one file is easy to back up',
  wheels: 'The blue Toyota needs new tyres before winter',
  flight: 'Boarding at gate 42 starts at half past six',
};

test(
  'a model in a folder finds what shares no word, and computes without holding up other requests',
  { skip },
  async (t) => {
    const home = temporaryFolder(t);
    const server = await startHttp(['--db', join(home, 'm.db'), '--embedding-model', MODEL], {
      NODE_PATH: PACKAGES,
      HOME: home,
    });
    const { port } = server;
    for (const [key, content] of Object.entries(NOTES)) {
      await call(port, 'mimir_remember', { category: 'c', key, body_json: JSON.stringify({ content }) });
    }
    const embedded = async (): Promise<void> => {
      for (let i = 0; i < 400; i++) {
        const { errors } = await call(port, 'mimir_embed', { batch_category: 'c', batch_limit: 0 });
        const { mode_used: mode, items } = await call(port, 'mimir_recall', {
          query: 'zoo animals',
          mode: 'dense',
          min_confidence: 0,
        });
        if (errors !== undefined && mode === 'dense' && (items as unknown[]).length === 4) return;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      throw new Error(`nothing was embedded: ${server.printed.stderr}`);
    };
    await embedded();
    for (const [query, key] of [
      ['animals at home', 'pet'],
      ['vehicle maintenance', 'wheels'],
      ['which storage engine', 'db'],
      ['departure of the plane', 'flight'],
    ] as const) {
      const { items } = await call(port, 'mimir_recall', { query });
      assert.equal((items as { key: string }[])[0]?.key, key, query);
    }

    for (const query of ['zzqx vvrt', 'quantum chromodynamics lattice', 'tariff schedule of the customs union']) {
      const { items, total } = await call(port, 'mimir_recall', { query });
      assert.equal(total, 0, `${query}: ${JSON.stringify(items)}`);
    }

    const long = 'The committee met again and spoke about the plan for the new harbour and its costs. '.repeat(20);
    const memories = Array.from({ length: 96 }, (_, i) => ({
      category: 'l',
      key: `l${i}`,
      body_json: `"${i} ${long}"`,
    }));
    await call(port, 'mimir_remember_many', { memories });
    const waits: number[] = [];
    for (let i = 0; i < 100; i++) {
      const from = performance.now();
      await call(port, 'mimir_health', {});
      waits.push(performance.now() - from);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const { embedded: left } = await call(port, 'mimir_embed', { batch_category: 'l', batch_limit: 1 });
    assert.equal(left, 1, 'the backlog is still there, so what was measured was measured beside it');
    waits.sort((a, b) => a - b);
    // On the main thread a batch of eight such texts would stop everything for 250 ms.
    assert.ok((waits[90] ?? 0) < 100, `health took ${waits[50]} ms (p50), ${waits[90]} ms (p90)`);
    server.child.kill('SIGTERM');
    await server.ended;
    // The runtime of the model tells its maker nothing: there it would keep its device id and what it is to send.
    assert.ok(!existsSync(join(home, '.cache/Microsoft')));
  },
);

test('what a model lacks is said in a sentence with its mend, and recall goes by words', { skip }, async (t) => {
  const folder = temporaryFolder(t);
  const broken = join(folder, 'broken');
  mkdirSync(broken);
  for (const name of ['config.json', 'tokenizer.json', 'tokenizer_config.json'])
    cpSync(join(MODEL, name), join(broken, name));
  mkdirSync(join(broken, 'onnx'));
  writeFileSync(join(broken, 'onnx/model.onnx'), 'no model');
  const table: readonly (readonly [model: string, env: Record<string, string>, said: RegExp])[] = [
    [MODEL, {}, /needs the package @huggingface\/transformers, which is not installed.*npm install --ignore-scripts/],
    [join(folder, 'none'), { NODE_PATH: PACKAGES }, /There is no ONNX model in .*onnx\/model\.onnx/],
    [broken, { NODE_PATH: PACKAGES }, /cannot be loaded.*tokenizer\.json/],
  ];
  for (const [model, env, said] of table) {
    const server = await startHttp(['--db', join(folder, 'm.db'), '--embedding-model', model], env);
    await call(server.port, 'mimir_remember', { category: 'c', key: 'k', body_json: '"a heron"' });
    await until(() => (server.printed.stderr.includes('embedding_failed') ? true : undefined));
    assert.match(server.printed.stderr, said);
    const found = await call(server.port, 'mimir_recall', { query: 'heron' });
    assert.deepEqual([(found['items'] as unknown[]).length, found['degraded']], [1, true]);
    const asked = await call(server.port, 'mimir_embed', { category: 'c', key: 'k' });
    assert.equal(asked['code'], 'provider_refused');
    server.child.kill('SIGTERM');
    await server.ended;
    rmSync(join(folder, 'm.db'));
  }
});
