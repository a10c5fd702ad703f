import { setTimeout as sleep } from 'node:timers/promises';

import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { documentKeyOf, type KnownPiece, type Reading, type Source, type SourceDocument } from '../memory/sourced.ts';
import { exchange, type HttpAnswer } from '../provider/http.ts';

/** Which repositories come in, and as whom. */
export interface GithubSettings {
  /** Empty: nothing is asked. */
  readonly token: string;
  /** `owner/name` each. */
  readonly repos: readonly string[];
  /** How far back the first run goes. */
  readonly daysPast: number;
  /** Issues and pull requests of one repository that one run brings in. */
  readonly itemsMax: number;
  readonly pullRequests: boolean;
  /** Where the API is, without a slash at the end. */
  readonly apiUrl: string;
}

const WHO = 'GitHub';
const HINT = 'What came before is kept, and the next run goes on there.';

/** An issue or a pull request, as far as it is read. */
interface Issue {
  readonly number: number;
  readonly title: string;
  readonly body: string;
  readonly state: string;
  readonly url: string;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly labels: readonly string[];
  readonly isPullRequest: boolean;
}

interface Page {
  readonly issues: readonly Issue[];
  /** Where the next page is; null behind the last one. */
  readonly next: string | null;
}

/**
 * Issues and pull requests, the ones that were changed first come first. So whatever ends a run, everything up to the newest
 * that is stored is there, and the next run asks from that time on; where it stopped is kept nowhere else.
 */
export function githubSource(settings: GithubSettings, nowMs: () => number): Source {
  // Shared by all runs: GitHub counts requests, not runs.
  const quiet = { untilMs: 0, unsaid: 0 };
  return {
    name: 'github',
    origin: 'connector:github',
    category: 'github-issue',
    read: (known, signal): Reading => {
      const [notes, errors]: [string[], string[]] = [[], []];
      const client: Client = { settings, nowMs, signal, quiet, waits: LIMITS.githubWaits };
      // What is not listed any more may have moved; nothing says that it is gone.
      return { documents: allIssues(client, known, notes, errors), isGone: () => false, notes, errors };
    },
  };
}

interface Client {
  readonly settings: GithubSettings;
  readonly nowMs: () => number;
  readonly signal: AbortSignal;
  /** Until when GitHub wants to hear nothing, and how often in a row it did not say until when. */
  readonly quiet: { untilMs: number; unsaid: number };
  /** How often this run may still wait. */
  waits: number;
}

async function* allIssues(
  client: Client,
  known: readonly KnownPiece[],
  notes: string[],
  errors: string[],
): AsyncGenerator<SourceDocument> {
  const { token, repos } = client.settings;
  if (token === '') {
    throw new MimirError('provider_refused', 'there is no token.', {
      hint: 'Set MIMIR_GITHUB_TOKEN or GITHUB_TOKEN, or `token` in the settings.',
    });
  }
  for (const repo of repos) {
    try {
      yield* issuesOf(client, repo, known, notes);
    } catch (thrown) {
      // One repository that is not there keeps none of the others out.
      if (!(thrown instanceof MimirError) || thrown.code !== 'not_found') throw thrown;
      errors.push(`${thrown.message} ${thrown.hint ?? ''}`.trim());
    }
  }
}

async function* issuesOf(
  client: Client,
  repo: string,
  known: readonly KnownPiece[],
  notes: string[],
): AsyncGenerator<SourceDocument> {
  const { daysPast, itemsMax, pullRequests, apiUrl } = client.settings;
  const stored = new Map(
    known.filter(({ key }) => key.startsWith(`${repo}/`)).map((piece) => [documentKeyOf(piece), piece.updatedAt]),
  );
  let since = [...stored.values()].reduce((latest, one) => (one > latest ? one : latest), '');
  if (since === '') since = new Date(client.nowMs() - daysPast * 86_400_000).toISOString();
  const asked = (from: string): string =>
    `${apiUrl}/repos/${repo}/issues?state=all&sort=updated&direction=asc&per_page=${LIMITS.githubPage}&since=${encodeURIComponent(from)}`;
  // The same issue in the same state comes again where pages overlap.
  const seen = new Set<string>();
  let [came, pages, stale, staleInRow] = [0, 0, 0, 0];
  for (let url: string | null = asked(since); url !== null;) {
    const page: Page = await pageAt(client, repo, url);
    const fresh = page.issues.filter(({ number, updatedAt }) => !seen.has(`${number} ${updatedAt}`));
    for (const issue of fresh) {
      seen.add(`${issue.number} ${issue.updatedAt}`);
      if (issue.isPullRequest && !pullRequests) continue;
      const document = issueDocument(repo, issue);
      // What is stored already comes again with its whole second, and must not take the place of what is new.
      if (stored.get(document.key) !== issue.updatedAt) {
        if (came === itemsMax) {
          notes.push(`${repo}: ${itemsMax} came in; the next run goes on there (max_items_per_repo).`);
          return;
        }
        came += 1;
      }
      yield document;
    }
    pages += 1;
    stale += fresh.length === 0 ? 1 : 0;
    staleInRow = fresh.length === 0 ? staleInRow + 1 : 0;
    // A server that has no ear for times gives all earlier pages again, and no more than these.
    if (
      page.next !== null &&
      (pages >= LIMITS.githubPagesMax || staleInRow > pages - stale + LIMITS.githubStalePages)
    ) {
      throw new MimirError('provider_refused', `${WHO} gives page after page of ${repo} without an end.`, {
        hint: HINT,
      });
    }
    const last = fresh.at(-1)?.updatedAt ?? '';
    // Counted pages would skip what moves to the end while they are read, so it is asked by time; but not where one moment
    // fills a page, or where the server has no ear for times.
    if (page.next !== null && last > since) {
      since = last;
      url = asked(since);
    } else url = page.next;
  }
}

/** An issue as a document: key, tags and body are the original's, with the time of the last change. */
function issueDocument(repo: string, issue: Issue): SourceDocument {
  const { number, title, state, url, createdAt, updatedAt, labels, isPullRequest } = issue;
  return {
    key: `${repo}/${isPullRequest ? 'pull' : 'issues'}/${number}`,
    path: '',
    text: issue.body,
    textMember: 'body',
    meta: { title, state, url, created_at: createdAt, updated_at: updatedAt, labels },
    tags: isPullRequest ? [...labels.slice(0, LIMITS.tagsMax - 1), 'pull-request'] : labels.slice(0, LIMITS.tagsMax),
  };
}

async function pageAt(client: Client, repo: string, url: string): Promise<Page> {
  for (let [at, moves] = [url, 0]; ;) {
    const { status, headers, text } = await answerAt(client, at);
    const location = headers.get('location');
    if (status >= 300 && status < 400 && location !== null && moves < LIMITS.githubRedirectsMax) {
      at = sameServer(new URL(location, at).href, client.settings.apiUrl);
      moves += 1;
      continue;
    }
    if (status === 404 || status === 410) {
      throw new MimirError('not_found', `${repo} is not there, has no issues, or is hidden from this token.`, {
        hint: 'Look at its name in `repos` and at what the token may read.',
      });
    }
    if (status !== 200) {
      throw new MimirError('provider_refused', `${WHO} answered ${status} for ${repo}.`, {
        hint: 'Look at the token, at what it may read, and at `api_url`.',
      });
    }
    const next = /<([^>]+)>\s*;[^,]*\brel="?next"?/.exec(headers.get('link') ?? '')?.[1];
    return {
      issues: issuesIn(text) ?? [],
      next: next === undefined ? null : sameServer(new URL(next, at).href, client.settings.apiUrl),
    };
  }
}

/** The answer of one request; a limit that ends soon is waited for, and what broke on the way is asked again. */
async function answerAt(client: Client, url: string): Promise<HttpAnswer> {
  const { nowMs, signal, quiet } = client;
  for (;;) {
    const answer = quiet.untilMs > nowMs() ? limited(quiet.untilMs, nowMs()) : await tryOnce(client, url);
    if (!(answer instanceof MimirError)) return answer;
    const waitMs = answer.retryAfterMs ?? LIMITS.providerPauseMs;
    if (client.waits === 0 || waitMs > LIMITS.githubWaitMs) throw answer;
    client.waits -= 1;
    await sleep(waitMs, undefined, { signal }).catch(() => {
      throw new MimirError('cancelled', 'The request was cancelled.');
    });
  }
}

/** One request. What time may mend is answered as an error, everything else is for the caller to look at. */
async function tryOnce({ settings, nowMs, signal, quiet }: Client, url: string): Promise<HttpAnswer | MimirError> {
  let answer: HttpAnswer;
  try {
    answer = await exchange({
      url,
      method: 'GET',
      headers: {
        accept: 'application/vnd.github+json',
        authorization: `Bearer ${settings.token}`,
        'user-agent': 'mimir',
        'x-github-api-version': '2022-11-28',
      },
      deadlineMs: LIMITS.githubRequestMs,
      signal,
      who: WHO,
      hint: HINT,
      answerMaxBytes: LIMITS.githubPageMaxBytes,
      refusalMaxBytes: LIMITS.githubRefusalMaxBytes,
    });
  } catch (thrown) {
    if (thrown instanceof MimirError && thrown.code === 'provider_down') return thrown;
    throw thrown;
  }
  const untilMs = limitOf(answer, nowMs(), quiet);
  // The last request of an hour is answered, and says so too.
  if (untilMs !== null) quiet.untilMs = untilMs;
  if (untilMs !== null && answer.status >= 400) return limited(untilMs, nowMs());
  if (answer.status >= 500) return down(`answered ${answer.status}`);
  if (answer.status === 200 && issuesIn(answer.text) === null)
    return down('answered with what is no whole list of issues');
  return answer;
}

/** Until when an answer says that nothing may be asked, Unix milliseconds; null when it does not. */
function limitOf({ status, headers, text }: HttpAnswer, nowMs: number, quiet: Client['quiet']): number | null {
  const [after, reset] = [headers.get('retry-after') ?? '', headers.get('x-ratelimit-reset') ?? ''];
  const refused = status === 429 || status === 403;
  // Seconds, or a date as HTTP writes it.
  const afterMs = /^\d+$/.test(after) ? nowMs + Number(after) * 1_000 : Date.parse(after);
  if (refused && !Number.isNaN(afterMs)) return afterMs;
  if (headers.get('x-ratelimit-remaining') === '0' && /^\d+$/.test(reset)) return Number(reset) * 1_000;
  if (status === 429 || (status === 403 && /secondary rate limit|abuse detection/i.test(text))) {
    quiet.unsaid += 1;
    return nowMs + Math.min(LIMITS.githubLimitMs * 2 ** (quiet.unsaid - 1), LIMITS.githubLimitMostMs);
  }
  if (status < 400) quiet.unsaid = 0;
  return null;
}

function limited(untilMs: number, nowMs: number): MimirError {
  return new MimirError(
    'provider_down',
    `${WHO} allows no more requests until ${new Date(untilMs).toISOString().slice(0, 19)}Z.`,
    { retryAfterMs: Math.max(0, untilMs - nowMs), hint: HINT },
  );
}

function down(what: string): MimirError {
  return new MimirError('provider_down', `${WHO} ${what}.`, { retryAfterMs: LIMITS.providerPauseMs, hint: HINT });
}

/** The address, when it is on the server that the token is for. */
function sameServer(url: string, apiUrl: string): string {
  if (new URL(url).origin === new URL(apiUrl).origin) return url;
  throw new MimirError('provider_refused', `${WHO} sends to another server, which would get the token.`, {
    hint: 'Set `api_url` to where the repository is now.',
  });
}

/** The issues of an answer; null when it is something else. */
function issuesIn(text: string): Issue[] | null {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    return null; // told to the caller by whoever asked
  }
  if (!Array.isArray(list)) return null;
  const issues = list.map(issueOf);
  return issues.every((issue) => issue !== null) ? issues : null;
}

function issueOf(value: unknown): Issue | null {
  const members = new Map<string, unknown>(typeof value === 'object' && value !== null ? Object.entries(value) : []);
  const text = (name: string): string => {
    const member = members.get(name);
    return typeof member === 'string' ? member : '';
  };
  const [number, labels] = [members.get('number'), members.get('labels')];
  if (typeof number !== 'number' || text('updated_at') === '') return null;
  return {
    number,
    title: text('title'),
    body: text('body'),
    state: text('state'),
    url: text('html_url'),
    createdAt: text('created_at'),
    updatedAt: text('updated_at'),
    labels: Array.isArray(labels) ? labels.map(labelOf).filter((label) => label !== '') : [],
    isPullRequest: typeof members.get('pull_request') === 'object',
  };
}

function labelOf(label: unknown): string {
  const name: unknown = typeof label === 'object' && label !== null ? Reflect.get(label, 'name') : label;
  return typeof name === 'string' ? name : '';
}
