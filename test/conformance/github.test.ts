// GitHub as a source, against a fake that also misbehaves.
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';

import fc from 'fast-check';

import { LIMITS } from '../../src/limits.ts';
import { githubSource, type GithubSettings } from '../../src/sources/github.ts';
import { startGithub, type FakeIssue, type GithubServer } from '../support/github-server.ts';
import { ingestInto } from '../support/ingest.ts';

const NOW_MS = Date.parse('2026-03-01T00:00:00Z');
const REPO = 'o/r';

function settingsOf(github: GithubServer, more: Partial<GithubSettings> = {}): GithubSettings {
  const base = { token: 't0ken', repos: [REPO], daysPast: 90, itemsMax: 500, pullRequests: true };
  return { ...base, apiUrl: github.url, ...more };
}

const at = (day: number): string => `2026-02-${String(day).padStart(2, '0')}T00:00:00Z`;
const many = (count: number, from = 1): FakeIssue[] =>
  Array.from({ length: count }, (_, i) => ({
    number: from + i,
    updated: new Date(Date.parse(at(1)) + i * 60_000).toISOString().replace('.000', ''),
    body: `body of ${from + i}`,
  }));
const sourceOf = (github: GithubServer, more: Partial<GithubSettings> = {}) =>
  githubSource(settingsOf(github, more), () => NOW_MS);

test('issues and pull requests come in as in the original, with the time of their last change', async (t) => {
  const github = await startGithub(t);
  github.repos.set(REPO, [
    { number: 7, updated: at(2), body: 'It breaks.', labels: ['bug', 'p1'] },
    { number: 8, updated: at(3), isPullRequest: true },
  ]);
  const { run, stored, store } = ingestInto();
  const done = await run(sourceOf(github));
  assert.deepEqual([done.changed, done.errors], [['o/r/issues/7', 'o/r/pull/8'], []]);
  assert.deepEqual(stored()[0], [
    'o/r/issues/7',
    {
      title: 'Title 7',
      body: 'It breaks.',
      state: 'open',
      url: `${github.url}/o/r/issues/7`,
      created_at: '2026-01-01T00:00:00Z',
      updated_at: at(2),
      labels: ['bug', 'p1'],
    },
  ]);
  assert.deepEqual(
    store.entities.map(({ category, tags, source }) => [category, tags, source]),
    [
      ['github-issue', ['bug', 'p1'], 'connector:github'],
      ['github-issue', ['pull-request'], 'connector:github'],
    ],
  );
  assert.deepEqual(new Set(github.tokens), new Set(['Bearer t0ken']));
  assert.match(github.seen[0] ?? '', /^\/repos\/o\/r\/issues\?state=all&.*since=2025-12-01T00%3A00%3A00\.000Z$/);
  const issuesOnly = ingestInto();
  await issuesOnly.run(sourceOf(github, { pullRequests: false }));
  assert.deepEqual(
    issuesOnly.stored().map(([key]) => key),
    ['o/r/issues/7'],
  );
});

test('a second run asks only for what is newer, and changes nothing; what changed is changed', async (t) => {
  const github = await startGithub(t);
  github.repos.set(REPO, many(250));
  const { run, stored } = ingestInto();
  assert.equal((await run(sourceOf(github))).changed.length, 250);
  github.seen.length = 0;
  const again = await run(sourceOf(github));
  assert.deepEqual([again.changed, github.seen.length], [[], 1]);
  github.repos.set(REPO, [...many(250).slice(1), { number: 1, updated: at(20), body: 'changed' }]);
  assert.deepEqual((await run(sourceOf(github))).changed, ['o/r/issues/1']);
  assert.equal(stored().length, 250);
});

test('a run takes so many, and the next one goes on there', async (t) => {
  const github = await startGithub(t);
  github.repos.set(REPO, many(230));
  const { run, stored } = ingestInto();
  const source = sourceOf(github, { itemsMax: 100 });
  const first = await run(source);
  assert.match(String(first.notes), /100 came in; the next run goes on/);
  assert.equal(stored().length, 100);
  for (let left = 5; stored().length < 230 && left > 0; left--) await run(source);
  assert.equal(stored().length, 230);
});

const issue = fc.record({
  number: fc.integer({ min: 1, max: 12 }),
  updated: fc.constantFrom(...[1, 2, 3, 4].map(at)),
});

test('whatever the pages are like, every issue comes in, and each request is for something', async (t) => {
  const github = await startGithub(t);
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(issue, { selector: ({ number }) => number, maxLength: 12 }),
      fc.integer({ min: 1, max: 4 }),
      fc.boolean(),
      async (issues, pageSize, hearsSince) => {
        Object.assign(github, { pageSize, hearsSince });
        github.repos.set(REPO, issues);
        github.seen.length = 0;
        const { run, stored } = ingestInto();
        const { errors } = await run(sourceOf(github));
        assert.deepEqual(errors, []);
        assert.equal(stored().length, issues.length);
        assert.ok(github.seen.length <= 2 + issues.length * 4, `${github.seen.length}`);
      },
    ),
    { numRuns: 60 },
  );
});

test('whatever the times are like, runs of a few items bring in all', async (t) => {
  const github = await startGithub(t);
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(issue, { selector: ({ number }) => number, maxLength: 12 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 4 }),
      async (issues, pageSize, itemsMax) => {
        Object.assign(github, { pageSize, hearsSince: true });
        github.repos.set(REPO, issues);
        const { run, stored } = ingestInto();
        for (let runs = 0; runs <= issues.length / itemsMax; runs++) {
          const { changed, errors } = await run(sourceOf(github, { itemsMax }));
          assert.deepEqual([errors, changed.length <= itemsMax], [[], true]);
        }
        assert.equal(stored().length, issues.length);
      },
    ),
    { numRuns: 60 },
  );
});

test('pages without an end end: empty ones, the same one again, and ever new ones', async (t) => {
  const github = await startGithub(t);
  github.repos.set(REPO, many(3));
  const page = (n: number, kind: string): unknown[] => {
    const one = { number: kind === 'new' ? n : 7, title: 't', updated_at: at(2), pull_request: {} };
    return kind === 'empty' ? [] : [one];
  };
  for (const kind of ['empty', 'same', 'new']) {
    github.seen.length = 0;
    github.mischief = (n, _request, response) => {
      const link = `<${github.url}/repos/${REPO}/issues?page=${n}>; rel="next"`;
      response.writeHead(200, { link }).end(JSON.stringify(page(n, kind)));
      return true;
    };
    const { errors } = await ingestInto().run(sourceOf(github, { pullRequests: false }));
    assert.match(String(errors), /page after page of o\/r without an end/, kind);
    assert.ok(github.seen.length <= (kind === 'new' ? LIMITS.githubPagesMax : 10), `${kind}: ${github.seen.length}`);
  }
});

test('an issue that is changed while pages are read is not missed', async (t) => {
  const github = await startGithub(t);
  github.pageSize = 10;
  github.repos.set(REPO, many(30));
  github.mischief = (n) => {
    // The first one moves to the end, and all others a place forward.
    if (n === 2) github.repos.set(REPO, [...many(30).slice(1), { number: 1, updated: at(20), body: 'later' }]);
    return false;
  };
  const { run, stored } = ingestInto();
  await run(sourceOf(github));
  assert.equal(stored().length, 30);
  assert.match(JSON.stringify(stored()), /"later"/);
});

const say =
  (status: number, headers: Record<string, string> = {}, body = '{}') =>
  (response: ServerResponse): void =>
    void response.writeHead(status, headers).end(body);
const cut = (response: ServerResponse): void => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '9999' });
  response.write('[{"number": 1,');
  response.destroy();
};

test('what ends soon is waited for: a short limit, a broken answer, a page that is cut', async (t) => {
  const github = await startGithub(t);
  github.pageSize = 10;
  github.repos.set(REPO, many(30));
  const kinds: [string, (response: ServerResponse) => void][] = [
    ['429', say(429, { 'retry-after': '0' })],
    ['403 of a limit', say(403, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(NOW_MS / 1_000) })],
    ['502', say(502)],
    ['a page that is cut', cut],
    ['half of the JSON', say(200, {}, '[{"number": 1')],
    ['something else', say(200, {}, '{"message": "hello"}')],
  ];
  for (const [what, answer] of kinds) {
    github.seen.length = 0;
    github.mischief = (n, _request, response) => {
      if (n === 2) answer(response);
      return n === 2;
    };
    const { run, stored } = ingestInto();
    assert.deepEqual((await run(sourceOf(github))).errors, [], what);
    assert.equal(stored().length, 30, what);
  }
});

test('a limit that lasts ends the run: what came is kept, nothing is asked before its end, and then it goes on', async (t) => {
  const github = await startGithub(t);
  github.pageSize = 10;
  const until = String(NOW_MS / 1_000 + 3_600);
  const kinds: [string, (response: ServerResponse) => void][] = [
    ['429', say(429, { 'retry-after': '3600' })],
    ['403 of a limit', say(403, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': until })],
    ['403 of a second limit', say(403, { 'retry-after': '3600', 'x-ratelimit-remaining': '12' })],
  ];
  for (const [what, answer] of kinds) {
    github.repos.set(REPO, many(30));
    github.seen.length = 0;
    github.mischief = (n, _request, response) => {
      if (n === 2) answer(response);
      return n === 2;
    };
    const { run, stored } = ingestInto();
    let nowMs = NOW_MS;
    const source = githubSource(settingsOf(github), () => nowMs);
    const first = await run(source);
    assert.match(String(first.errors), /no more requests until 2026-03-01T01:00:00Z/, what);
    assert.equal(stored().length, 10, what);
    assert.match(String((await run(source)).errors), /no more requests/, what);
    assert.equal(github.seen.length, 2, 'nothing is asked before');
    nowMs += 3_600_001;
    assert.deepEqual((await run(source)).errors, [], what);
    assert.equal(stored().length, 30, what);
  }
});

test('a limit that does not say how long it lasts is kept for a minute, then twice as long; nobody blames the token', async (t) => {
  const github = await startGithub(t);
  github.repos.set(REPO, many(3));
  const message = 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.';
  const kinds: [string, (response: ServerResponse) => void][] = [
    ['403', say(403, {}, JSON.stringify({ message }))],
    ['429', say(429)],
  ];
  for (const [what, answer] of kinds) {
    github.mischief = (_n, _request, response) => (answer(response), true);
    let nowMs = NOW_MS;
    const source = githubSource(settingsOf(github), () => nowMs);
    const { run, stored } = ingestInto();
    assert.match(String((await run(source)).errors), /no more requests until 2026-03-01T00:01:00Z/, what);
    nowMs += 60_001;
    assert.match(String((await run(source)).errors), /no more requests until 2026-03-01T00:03:00Z/, what);
    nowMs += 120_001;
    github.mischief = null;
    assert.deepEqual((await run(source)).errors, [], what);
    assert.equal(stored().length, 3, what);
    github.mischief = (_n, _request, response) => (answer(response), true);
    assert.match(String((await run(source)).errors), /until 2026-03-01T00:04:00Z/, 'it begins anew');
  }
  github.mischief = (_n, _request, response) => (say(403, {}, '{"message": "Forbidden"}')(response), true);
  assert.match(String((await ingestInto().run(sourceOf(github))).errors), /answered 403 .* Look at the token/);
});

test('a date in Retry-After is a time like any other', async (t) => {
  const github = await startGithub(t);
  github.repos.set(REPO, many(3));
  const dated = (ms: number) => say(429, { 'retry-after': new Date(ms).toUTCString() });
  github.mischief = (n, _request, response) => (n === 1 ? (dated(NOW_MS)(response), true) : false);
  const { run, stored } = ingestInto();
  assert.deepEqual((await run(sourceOf(github))).errors, []);
  assert.equal(stored().length, 3);
  github.mischief = (_n, _request, response) => (dated(NOW_MS + 7_200_000)(response), true);
  assert.match(String((await run(sourceOf(github))).errors), /until 2026-03-01T02:00:00Z/);
});

test('a page of the longest issues comes in; a larger answer is refused with a hint about GitHub', async (t) => {
  const github = await startGithub(t);
  const long = '\u6e2f'.repeat(60_000);
  github.repos.set(
    REPO,
    many(100).map((one) => ({ ...one, body: long })),
  );
  const { run } = ingestInto();
  const { changed, errors } = await run(sourceOf(github));
  assert.deepEqual([changed.length, errors], [100, []]);
  github.mischief = (_n, _request, response) => {
    response.writeHead(200).end(`["${'x'.repeat(LIMITS.githubPageMaxBytes)}"]`);
    return true;
  };
  const { errors: refused } = await ingestInto().run(sourceOf(github));
  assert.match(String(refused), /GitHub sent more than any answer has\. What came before is kept/);
});

test('the last request of an hour is answered, and no other one follows it', async (t) => {
  const github = await startGithub(t);
  github.pageSize = 10;
  github.repos.set(REPO, many(30));
  github.mischief = (n, _request, response) => {
    response.setHeader('x-ratelimit-reset', String(NOW_MS / 1_000 + 60));
    const { writeHead } = response;
    if (n === 1) {
      response.writeHead = ((status: number, headers: Record<string, string>) =>
        writeHead.call(response, status, { ...headers, 'x-ratelimit-remaining': '0' })) as typeof writeHead;
    }
    return false;
  };
  const { run, stored } = ingestInto();
  assert.match(String((await run(sourceOf(github))).errors), /no more requests until/);
  assert.deepEqual([github.seen.length, stored().length], [1, 10]);
});

test('a repository that has moved is followed on the same server; nobody else gets the token', async (t) => {
  const [github, stranger] = [await startGithub(t), await startGithub(t)];
  github.repos.set('new/name', many(3));
  stranger.repos.set('new/name', many(3));
  const move =
    (to: string): GithubServer['mischief'] =>
    (_n, request, response) => {
      if (!(request.url ?? '').startsWith('/repos/o/r/')) return false;
      response.writeHead(301, { location: `${to}${(request.url ?? '').replace('/o/r/', '/new/name/')}` }).end();
      return true;
    };
  github.mischief = move('');
  const { run, stored } = ingestInto();
  assert.deepEqual((await run(sourceOf(github))).errors, []);
  assert.deepEqual(
    stored().map(([key]) => key),
    ['o/r/issues/1', 'o/r/issues/2', 'o/r/issues/3'],
  );
  github.mischief = move(stranger.url);
  const away = await ingestInto().run(sourceOf(github));
  assert.match(String(away.errors), /another server/);
  github.mischief = (_n, _request, response) => {
    response.writeHead(200, { link: `<${stranger.url}/x>; rel="next"` }).end('[]');
    return true;
  };
  assert.match(String((await ingestInto().run(sourceOf(github))).errors), /another server/);
  assert.deepEqual(stranger.seen, []);
  github.mischief = move(''); // in a circle
  github.repos.set(REPO, []);
  github.mischief = (_n, request, response) => {
    response.writeHead(302, { location: request.url ?? '' }).end();
    return true;
  };
  assert.match(String((await ingestInto().run(sourceOf(github))).errors), /answered 302/);
});

test('a repository that is not there keeps none of the others out; a token that is none ends the run', async (t) => {
  const github = await startGithub(t);
  github.repos.set(REPO, many(3));
  const { run, stored } = ingestInto();
  const { errors } = await run(sourceOf(github, { repos: ['no/such', REPO] }));
  assert.match(String(errors), /^no\/such is not there/);
  assert.equal(stored().length, 3);
  github.seen.length = 0;
  const none = await run(sourceOf(github, { token: '' }));
  assert.match(String(none.errors), /there is no token.*GITHUB_TOKEN/);
  assert.equal(github.seen.length, 0, 'nothing is asked');
  github.mischief = (_n, _request, response) => {
    say(401, {}, '{"message": "SECRET"}')(response);
    return true;
  };
  const bad = await run(sourceOf(github));
  assert.match(String(bad.errors), /answered 401/);
  assert.doesNotMatch(String(bad.errors), /SECRET|t0ken/);
});

test('an issue that is not there any more in a list is not forgotten, and a dry run writes nothing', async (t) => {
  const github = await startGithub(t);
  github.repos.set(REPO, many(3));
  const { run, store, stored } = ingestInto();
  assert.equal((await run(sourceOf(github), { dryRun: true })).changed.length, 3);
  assert.equal(store.entities.length, 0);
  await run(sourceOf(github));
  github.repos.set(REPO, []);
  assert.deepEqual((await run(sourceOf(github))).forgotten, []);
  assert.equal(stored().length, 3);
  assert.ok(LIMITS.githubWaitMs < LIMITS.githubRequestMs);
});
