import { MimirError } from '../errors.ts';
import { LIMITS } from '../limits.ts';

/** A request to a model server. */
export interface ModelRequest {
  readonly url: string;
  readonly body: unknown;
  readonly apiKey: string | null;
  readonly deadlineMs: number;
  /** Aborts it earlier. */
  readonly signal: AbortSignal;
}

/** Answers that mean: later. */
const LATER = new Set([408, 425, 429, 500, 502, 503, 504, 529]);

function retryAfterMs(header: string | null): number {
  const seconds = Number(header ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0
    ? Math.min(seconds * 1_000, LIMITS.providerPauseMostMs)
    : LIMITS.providerPauseMs;
}

/** A request of any kind. */
export interface HttpRequest {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly deadlineMs: number;
  /** Aborts it earlier. */
  readonly signal: AbortSignal;
  /** Who is asked, as errors name it: `The model server`. */
  readonly who: string;
  /** What mends it when nobody answers, or too much, where that is not said in the table of errors. */
  readonly hint?: string;
  /** The longest answer; without it, that of a model server. */
  readonly answerMaxBytes?: number;
  /** How much is read of what a refusal says; without it, nothing. */
  readonly refusalMaxBytes?: number;
}

/** What came back, whatever its status; `text` of a refusal only where it was asked for; a redirect is not followed, because whoever gets the next request would get the key. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** An exchange within a deadline and a bound of bytes. `provider_down` when nobody answers in time, or not to the end. */
export async function exchange(request: HttpRequest): Promise<HttpAnswer> {
  const { url, method, headers, body, deadlineMs, signal, who, hint, refusalMaxBytes = 0 } = request;
  const answerMaxBytes = request.answerMaxBytes ?? LIMITS.providerAnswerMaxBytes;
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]);
  let isAnswering = false;
  try {
    const response = await fetch(url, {
      method,
      headers,
      ...(body !== undefined && { body }),
      redirect: 'manual',
      signal: bounded,
    });
    isAnswering = true;
    const { status, headers: answered } = response;
    const { text, isWhole } = await readUpTo(response, response.ok ? answerMaxBytes : refusalMaxBytes);
    if (response.ok && !isWhole) {
      throw new MimirError(
        'provider_refused',
        `${who} sent more than any answer has.`,
        hint === undefined ? {} : { hint },
      );
    }
    return { status, headers: answered, text };
  } catch (thrown) {
    if (thrown instanceof MimirError) throw thrown;
    if (signal.aborted) throw new MimirError('cancelled', 'The request was cancelled.');
    const cut = isAnswering ? 'broke off in the middle of its answer' : 'cannot be reached';
    const what = bounded.aborted ? `did not answer within ${deadlineMs} ms` : cut;
    throw new MimirError('provider_down', `${who} at ${new URL(url).host} ${what}.`, {
      retryAfterMs: LIMITS.providerPauseMs,
      ...(hint !== undefined && { hint }),
    });
  }
}

/**
 * Posts JSON and reads the JSON of the answer. `provider_down` is for what time may mend: nobody listens, too slow, cut short,
 * overloaded; `provider_refused` for what the operator has to: a wrong address, name or key. The server's own words are not
 * passed on, because they may quote what was sent.
 */
export async function postJson({ url, body, apiKey, deadlineMs, signal }: ModelRequest): Promise<unknown> {
  const who = 'The model server';
  const place = new URL(url).host;
  const { status, headers, text } = await exchange({
    url,
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(apiKey !== null && { authorization: `Bearer ${apiKey}` }),
    },
    body: JSON.stringify(body),
    deadlineMs,
    signal,
    who,
  });
  const down = (what: string, afterMs: number = LIMITS.providerPauseMs, facts = {}): MimirError =>
    new MimirError('provider_down', `${who} at ${place} ${what}.`, { retryAfterMs: afterMs, facts });
  // Whoever answers with another address would get the key; it may be back tomorrow.
  if (LATER.has(status) || (status >= 300 && status < 400)) {
    throw down(`answered ${status}`, retryAfterMs(headers.get('retry-after')), { status });
  }
  if (status < 200 || status > 299) {
    throw new MimirError('provider_refused', `${who} at ${place} answered ${status}.`);
  }
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw down('answered with what is no whole JSON');
  }
}

/** The beginning of an answer, and whether that is all of it: words about a failure may have no end. */
async function readUpTo(response: Response, maxBytes: number): Promise<{ text: string; isWhole: boolean }> {
  const parts: Uint8Array[] = [];
  let left = maxBytes;
  if (maxBytes === 0) await response.body?.cancel();
  else {
    for await (const part of response.body ?? []) {
      parts.push(part.subarray(0, left));
      left -= part.byteLength;
      if (left < 0) break; // which cancels the rest
    }
  }
  return { text: Buffer.concat(parts).toString('utf8'), isWhole: left >= 0 };
}
