import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An issue as tests make it. */
export interface FakeIssue {
  readonly number: number;
  readonly updated: string;
  readonly body?: string;
  readonly isPullRequest?: boolean;
  readonly labels?: readonly string[];
}

/** A running fake of GitHub's REST API. */
export interface GithubServer {
  readonly url: string;
  /** By `owner/name`. */
  readonly repos: Map<string, FakeIssue[]>;
  /** What was asked: path and query. */
  readonly seen: string[];
  readonly tokens: (string | undefined)[];
  /** Issues of a page, whatever is asked for. */
  pageSize: number;
  /** False: it answers as if no `since` were asked. */
  hearsSince: boolean;
  /** Called before an answer; true: it has answered itself. `n` counts requests from 1. */
  mischief: ((n: number, request: IncomingMessage, response: ServerResponse) => boolean) | null;
}

function issueJson(repo: string, { number, updated, body, isPullRequest, labels }: FakeIssue, url: string): unknown {
  return {
    number,
    title: `Title ${number}`,
    body: body ?? null,
    state: 'open',
    html_url: `${url}/${repo}/issues/${number}`,
    created_at: '2026-01-01T00:00:00Z',
    updated_at: updated,
    labels: (labels ?? []).map((name) => ({ name })),
    ...(isPullRequest === true && { pull_request: { url: 'x' } }),
  };
}

/** Starts one on a free port of loopback; closes with the test. */
export async function startGithub(t: { after(run: () => Promise<void>): void }): Promise<GithubServer> {
  const server = createServer((request, response) => {
    const asked = new URL(request.url ?? '', github.url);
    github.seen.push(asked.pathname + asked.search);
    github.tokens.push(request.headers.authorization);
    if (github.mischief?.(github.seen.length, request, response) === true) return;
    const repo = /^\/repos\/(.+)\/issues$/.exec(asked.pathname)?.[1] ?? '';
    const issues = github.repos.get(repo);
    if (issues === undefined) return void response.writeHead(404).end('{}');
    const since = github.hearsSince ? (asked.searchParams.get('since') ?? '') : '';
    const sorted = issues
      .filter(({ updated }) => updated >= since.replace('.000Z', 'Z'))
      .toSorted((a, b) => (a.updated < b.updated ? -1 : a.updated > b.updated ? 1 : a.number - b.number));
    const page = Number(asked.searchParams.get('page') ?? 1);
    const end = page * github.pageSize;
    const headers: Record<string, string> = { 'content-type': 'application/json', 'x-ratelimit-remaining': '4000' };
    if (end < sorted.length) {
      asked.searchParams.set('page', String(page + 1));
      headers['link'] = `<${asked.href}>; rel="next", <${asked.href}>; rel="last"`;
    }
    const shown = sorted.slice(end - github.pageSize, end).map((issue) => issueJson(repo, issue, github.url));
    response.writeHead(200, headers).end(JSON.stringify(shown));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  const github: GithubServer = {
    url: `http://127.0.0.1:${port}`,
    repos: new Map(),
    seen: [],
    tokens: [],
    pageSize: 100,
    hearsSince: true,
    mischief: null,
  };
  return github;
}
