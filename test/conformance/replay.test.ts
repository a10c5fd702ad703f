// The replay against the original's recordings, and whether it would see what it is there to see.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';

import { DIFFERENCES } from '../replay/differences.ts';
import type { Difference } from '../replay/difference.ts';
import { startFake } from '../replay/fake.ts';
import {
  GOLDEN,
  readRecordings,
  type Exchange,
  type FakeRequest,
  type HttpRecording,
  type HttpResponse,
  type JsonObject,
  type Recording,
  type Step,
} from '../replay/recording.ts';
import { notThereYet, printedReport } from '../replay/report.ts';
import { replay, type Report } from '../replay/replay.ts';

const without = existsSync(GOLDEN) ? false : 'the recordings of the original are not beside the project';

/** A step as the recording writes it: a call and what the original answered. */
function call(name: string, args: JsonObject, value: JsonObject): Omit<Step, 'n'> {
  const result = { content: [{ type: 'text', text: JSON.stringify(value) }], structuredContent: value };
  return { name: `mimir_${name}`, arguments: args, result };
}

const BODY = '{"content":"the heron stands in the pond"}';
const ONE = { category: 'note', key: 'one', body_json: BODY };
const CREATED = call('remember', ONE, { id: 'mem-000000000001', action: 'created', category: 'note', key: 'one' });

function item(more: JsonObject = {}): JsonObject {
  return {
    id: 'mem-000000000001',
    ...ONE,
    content: 'the heron stands in the pond',
    status: 'active',
    type: 'insight',
    tags: [],
    decay_score: 0.5,
    retrieval_count: 0,
    layer: 'buffer',
    archived: false,
    links: [],
    workspace_hash: '',
    created_at_unix_ms: 1,
    ...more,
  };
}

function recalled(more: JsonObject = {}, query = ''): Omit<Step, 'n'> {
  return call('recall', { query }, { items: [item(more)], total: 1 });
}

/** Replays one session of these steps. */
async function played(steps: readonly Omit<Step, 'n'>[], table: readonly Difference[] = DIFFERENCES): Promise<Report> {
  const started = { argv: ['serve', '--db', '$DIR/m.db'], env: { HOME: '$HOME' } };
  const recording: Recording = { name: 'made up', started, steps: steps.map((step, n) => ({ ...step, n })) };
  return await replay([recording], table);
}

/** What nobody decided, in short. */
function undecided({ undecided: findings }: Report): string[] {
  return findings.map(({ kind, at }) => `${kind} ${at}`);
}

test('what is answered as recorded needs no line of the table', async () => {
  const report = await played([CREATED, recalled(), recalled({ retrieval_count: 1, decay_score: 0.75 })], []);
  assert.deepEqual([undecided(report), report.sessions[0]?.compared], [[], 3]);
});

test('a member that is missing, another value, another type, another hit and another outcome are seen', async () => {
  const another = { ...item(), id: 'mem-000000000002', key: 'two' };
  const failed = { content: [{ type: 'text', text: 'Forget failed: no' }], isError: true };
  const cases: readonly (readonly [Omit<Step, 'n'>, string])[] = [
    [recalled({ layers: 'buffer' }), 'missing /items/[]/layers'],
    [recalled({ status: 'asleep' }), 'changed /items/[]/status'],
    [recalled({ tags: ['a'] }), 'changed /items/[]/tags'],
    [recalled({ retrieval_count: '0' }), 'type /items/[]/retrieval_count'],
    [recalled({ created_at_unix_ms: null }), 'type /items/[]/created_at_unix_ms'],
    [call('recall', { query: '' }, { items: [], total: 0 }), 'extra /items/[]'],
    [call('recall', { query: '' }, { items: [item(), another], total: 2 }), 'lacking /items/[]'],
    [call('remember', { category: 'x' }, { id: 'mem-000000000009' }), 'refused '],
    [
      {
        ...call('forget', { category: 'note', key: 'one' }, {}),
        result: { ...failed, structuredContent: failed },
      },
      'accepted ',
    ],
  ];
  const report = await played([CREATED, ...cases.map(([step]) => step)]);
  for (const [i, [, wanted]] of cases.entries()) {
    const found = report.undecided.filter(({ step }) => step === i + 1).map(({ kind, at }) => `${kind} ${at}`);
    assert.deepEqual(found, [wanted]);
  }
});

test('numbers that differ must be the ones that follow from what we were told and answered', async () => {
  // The original has merged something into the row, so its count is higher; ours is what our answers make it.
  const report = await played([CREATED, recalled(), recalled({ retrieval_count: 5, layer: 'working' })]);
  assert.deepEqual([...report.needed.keys()].toSorted(), [
    'layers-follow-uses',
    'strength-is-computed',
    'uses-follow-what-is-found',
  ]);
  assert.deepEqual(undecided(report), []);
});

test('what follows from a difference is laid to the line that decided it, and counts are checked', async () => {
  const merged = { id: 'mem-000000000001', action: 'deduped (new key not created)', category: 'note', key: 'near' };
  const near = call('remember', { ...ONE, key: 'near', body_json: BODY.replace('the pond', 'a pond') }, merged);
  const counted = {
    total_entities: 1,
    by_category: { note: 1 },
    by_type: { insight: 1 },
    by_layer: { buffer: 1 },
    total_journal_events: 0,
    total_state_entries: 0,
  };
  const steps = [CREATED, near, recalled({ retrieval_count: 1, decay_score: 0.65 }), call('stats', {}, counted)];
  const report = await played(steps);
  assert.deepEqual(undecided(report), []);
  const lines = report.sessions[0]?.judged.map(({ finding, line }) => [finding.kind, finding.at, line]) ?? [];
  assert.ok(lines.some(([kind, at, line]) => kind === 'extra' && at === '/items/[]' && line === 'nothing-is-merged'));
  assert.ok(lines.some(([, at, line]) => at === '/total_entities' && line === 'counts-of-what-is-stored'));
  const wrong = await played([
    CREATED,
    call('stats', {}, { ...counted, total_entities: 3, by_category: { other: 1 } }),
  ]);
  assert.deepEqual([...wrong.needed], [['counts-of-what-is-stored', 3]], 'ours are right');
});

test('answers from memories and copied workspaces are judged member by member', async () => {
  const asked = (more: JsonObject, query = 'heron'): Omit<Step, 'n'> =>
    call(
      'ask',
      { query },
      { answer: '', sources: [{ category: 'note', key: 'one', score: 0.5, snippet: BODY }], ...more },
    );
  const refused = (message: string, query: string): Omit<Step, 'n'> => {
    const failure = { content: [{ type: 'text', text: message }], isError: true };
    return { ...call('ask', { query }, {}), result: { ...failure, structuredContent: failure } };
  };
  const copied = { exported: 1, remapped: 1, imported: 1, import_errors: [] };
  const federate = { from_workspace: '', to_workspace: 'far' };
  const cases: readonly (readonly [Omit<Step, 'n'>, readonly string[]])[] = [
    [refused('LLM is not enabled. Set --llm-endpoint to enable mimir_ask.', 'heron'), []],
    [refused('Ask failed: No matching memories found for this question.', 'standing'), []],
    [refused('Ask failed: database disk image is malformed', 'heron'), ['accepted ']],
    [asked({}), ['changed /answer']],
    [asked({ sources: [{ category: 'note', key: 'two', score: 0.5 }] }), ['changed /answer', 'lacking /sources/[]']],
    [call('federate', federate, { ...copied, exported: 5 }), []],
    [call('federate', federate, { ...copied, import_errors: ['note/one: no'] }), ['lacking /import_errors/[]']],
    [call('federate', federate, { ...copied, elsewhere: 1 }), ['missing /elsewhere']],
  ];
  const report = await played([CREATED, ...cases.map(([step]) => step)]);
  for (const [i, [, wanted]] of cases.entries()) {
    const found = report.undecided.filter(({ step }) => step === i + 1).map(({ kind, at }) => `${kind} ${at}`);
    assert.deepEqual(found, wanted);
  }
});

test('a needed line that is taken away is missed, and one that nothing needs is named', async () => {
  const line: Difference = { name: 'unneeded', original: '', ours: '', reason: '', explains: () => false };
  const waiting: Difference = { ...line, name: 'waiting', tools: ['mimir_teleport'] };
  const steps = [CREATED, recalled(), recalled({ retrieval_count: 7, decay_score: 0.75 })];
  const whole = await played(steps, [...DIFFERENCES, line, waiting]);
  assert.deepEqual([undecided(whole), whole.unneeded.includes('unneeded')], [[], true]);
  const less = DIFFERENCES.filter(({ name }) => name !== 'uses-follow-what-is-found');
  const report = await played(steps, less);
  assert.deepEqual(undecided(report), ['changed /items/[]/retrieval_count']);
  assert.match(printedReport(report), /UNDECIDED mimir_recall changed \/items\/\[\]\/retrieval_count \(1 times\)/);
});

test('a tool that is not there ends its session in one line, and its lines of the table wait', async () => {
  const line = {
    name: 'waiting',
    original: '',
    ours: '',
    reason: '',
    tools: ['mimir_teleport'],
    explains: () => false,
  };
  const report = await played([CREATED, call('teleport', {}, { to: 'pond' }), recalled({ status: 'gone' })], [line]);
  assert.deepEqual(report.sessions[0]?.leftOut, { steps: 2, missing: 'mimir_teleport' });
  assert.deepEqual([undecided(report), report.unneeded], [[], []]);
  assert.equal(notThereYet(report), 'Not there, or not judged yet: mimir_teleport (ends 1 of the sessions).');
});

test('an exchange over HTTP is judged in its status, its headers, its body and its message', async () => {
  const headers = { Host: '127.0.0.1:$PORT', Connection: 'close', 'Content-Type': 'application/json' };
  const post = (body: string, response: HttpResponse, more: Record<string, string> = {}): Exchange => {
    const request = { method: 'POST', path: '/message', body };
    return {
      request: { ...request, headers: { ...headers, 'Content-Length': String(Buffer.byteLength(body)), ...more } },
      response,
    };
  };
  const json = { 'content-type': 'application/json' };
  const health = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"mimir_health"}}';
  const healthy = (status: string): string =>
    JSON.stringify({ jsonrpc: '2.0', id: 1, result: { content: [], structuredContent: { status } } });
  const cases: readonly (readonly [Exchange, readonly string[]])[] = [
    [post(health, { status: 200, headers: json, body: healthy('healthy') }), []],
    [post(health, { status: 200, headers: json, body: healthy('ill') }), ['mimir_health changed /status']],
    [post(health, { status: 201, headers: json, body: healthy('healthy') }), ['HTTP changed /status']],
    [
      post(health, { status: 200, headers: { ...json, 'x-more': '1', vary: 'accept' }, body: healthy('healthy') }),
      ['HTTP missing /headers/x-more', 'HTTP missing /headers/vary'],
    ],
    [
      post(health, { status: 403, headers: json, body: '{"error":"forbidden"}' }),
      ['HTTP changed /status', 'HTTP missing /body/error'],
    ],
    [post('{', { status: 400, headers: { 'content-type': 'text/plain' }, body: 'no JSON' }), []],
    [post('{', { status: 422, headers: json, body: '' }), ['HTTP changed /status']],
    [post(health, { status: null }), ['HTTP silent ']],
    [
      { note: 'GET /sse, 1 s', received: 'HTTP/1.1 200 OK\r\n\r\nevent: endpoint\ndata: /elsewhere\n\n: quiet\n\n' },
      ['HTTP changed /endpoint', 'HTTP lacking /comments/[]'],
    ],
  ];
  const argv = ['serve', '--db', '$DIR/m.db', '--transport', 'http', '--port', '$PORT'];
  const end = {
    alive_after_stdin_closed: false,
    exit_after_SIGTERM: 0,
    stdout: 'noise',
    stderr: ['mimir: MCP over http transport on http://127.0.0.1:$PORT', 'mimir: hello'],
    files_left: ['m.db'],
  };
  const recording: HttpRecording = { name: 'made up', argv, exchanges: cases.map(([one]) => one), end };
  const { undecided: findings } = await replay([], DIFFERENCES, [], [recording]);
  const found = (at: number): string[] =>
    findings.filter(({ step }) => step === at).map(({ tool, kind, at: place }) => `${tool} ${kind} ${place}`);
  for (const [i, [, wanted]] of cases.entries()) assert.deepEqual(found(i), wanted, String(i));
  assert.deepEqual(found(cases.length).toSorted(), [
    'the process changed /alive_after_stdin_closed',
    'the process changed /stdout',
    'the process extra /banner/[]',
    'the process extra /banner/[]',
    'the process lacking /banner/[]',
  ]);
});

test('what a language model is sent is compared, its form and its key', async () => {
  const started = {
    argv: ['serve', '--db', '$DIR/m.db', '--llm-endpoint', 'http://127.0.0.1:$FAKE/api/generate', '--llm-model', 'm'],
    env: { HOME: '$HOME' },
  };
  const fake = { '/api/generate': [{ status: 200, body: '{"response":"In the pond [1]."}' }] };
  const sent = (more: JsonObject): FakeRequest => ({
    method: 'POST',
    path: '/api/generate',
    headers: { accept: '*/*', 'content-type': 'application/json' },
    body: { model: 'm', prompt: '$PROMPT', stream: false, ...more },
  });
  const answer = { answer: 'In the pond [1].', sources: [{ category: 'note', key: 'one', score: 0.5, snippet: BODY }] };
  const steps = [CREATED, call('ask', { query: 'heron' }, answer)].map((step, n) => ({ ...step, n }));
  const cases: readonly (readonly [readonly FakeRequest[], readonly string[]])[] = [
    [[sent({})], []],
    [[sent({ stream: true })], ['changed /requests/[]/body/stream']],
    [[sent({ format: 'json' })], ['missing /requests/[]/body/format']],
    [[sent({}), sent({})], ['lacking /requests/[]']],
  ];
  const recordings = cases.map(([requests], i) => ({ name: `${i}`, started, fake, fake_requests: requests, steps }));
  const { undecided: findings } = await replay(recordings, DIFFERENCES);
  for (const [i, [, wanted]] of cases.entries()) {
    const found = findings.filter(({ session }) => session === `${i}`).map(({ kind, at }) => `${kind} ${at}`);
    assert.deepEqual(found, wanted);
  }
});

test('memories grow older and survive a restart and a kill', async () => {
  const week = { method: '$age', category: null, key: null, ms: 7 * 24 * 60 * 60 * 1_000 };
  const aged = recalled({ decay_score: 0.5 / Math.E });
  const report = await played(
    [CREATED, week, aged, { method: '$restart' }, { method: '$restart', how: 'SIGKILL' }],
    [],
  );
  assert.deepEqual(undecided(report), []);
});

test('the fake model server answers in order, repeats the last answer, and can break off', async (t) => {
  const fake = await startFake({
    '/a': [
      { status: 200, body: 'one' },
      { status: 500, body: 'two' },
    ],
    '/cut': [{ status: 200, body: 'half', claim_length: 100 }],
  });
  t.after(() => fake.close());
  const ask = async (path: string): Promise<Response> => await fetch(`http://127.0.0.1:${fake.port}${path}`);
  assert.deepEqual(
    [(await ask('/a')).status, (await ask('/a')).status, await (await ask('/a')).text()],
    [200, 500, 'two'],
  );
  await assert.rejects(async () => await (await ask('/cut')).text());
  assert.equal((await ask('/other')).status, 404);
});

test('every line of the table has a name of its own and says all that it must', () => {
  const names = DIFFERENCES.map(({ name }) => name);
  assert.deepEqual(names, [...new Set(names)]);
  for (const { name, original, ours, reason, explains, shownBy } of DIFFERENCES) {
    assert.match(name, /^[a-z]+(-[a-z]+)*$/);
    for (const sentence of [original, ours, reason]) assert.match(sentence, /^[\s\S]+\.$/, name);
    assert.ok(explains !== undefined || shownBy !== undefined, `${name} is shown by nothing`);
    if (shownBy !== undefined) assert.ok(existsSync(join(import.meta.dirname, '../..', shownBy)), shownBy);
  }
});

// All of them take longer than a test may: npm run replay.
test('the life of one memory differs from the original only where the table says so', { skip: without }, async (t) => {
  const report = await replay(readRecordings(GOLDEN, 'flows/life'), DIFFERENCES);
  assert.ok(report.sessions.length === 1);
  t.diagnostic(notThereYet(report));
  assert.equal(report.undecided.length, 0, printedReport({ ...report, unneeded: [] }));
});
