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

/**
 * Posts JSON and reads the JSON of the answer. `provider_down` is for what time may mend: nobody listens, too slow, cut short,
 * overloaded; `provider_refused` for what the operator has to: a wrong address, name or key. The server's own words are not
 * passed on, because they may quote what was sent.
 */
export async function postJson({ url, body, apiKey, deadlineMs, signal }: ModelRequest): Promise<unknown> {
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]);
  const place = new URL(url).host;
  const down = (what: string, afterMs: number = LIMITS.providerPauseMs, facts = {}): MimirError =>
    new MimirError('provider_down', `The model server at ${place} ${what}.`, { retryAfterMs: afterMs, facts });
  let text: string;
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(apiKey !== null && { authorization: `Bearer ${apiKey}` }),
      },
      body: JSON.stringify(body),
      // Whoever answers with another address would get the key.
      redirect: 'error',
      signal: bounded,
    });
    if (!response.ok) {
      await response.body?.cancel();
      if (LATER.has(response.status)) {
        const { status } = response;
        throw down(`answered ${status}`, retryAfterMs(response.headers.get('retry-after')), { status });
      }
      throw new MimirError('provider_refused', `The model server at ${place} answered ${response.status}.`);
    }
    text = await readBounded(response);
  } catch (thrown) {
    if (thrown instanceof MimirError) throw thrown;
    if (signal.aborted) throw new MimirError('cancelled', 'The request was cancelled.');
    throw down(bounded.aborted ? `did not answer within ${deadlineMs} ms` : 'cannot be reached');
  }
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw down('answered with what is no whole JSON');
  }
}

async function readBounded(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.byteLength;
    if (bytes > LIMITS.providerAnswerMaxBytes) {
      throw new MimirError('provider_refused', 'The model server sent more than any answer has.');
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
