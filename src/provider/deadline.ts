import type { MimirError } from '../errors.ts';

/** What comes of it in time; otherwise it rejects with `late`, and what goes on is nobody's any more. */
export async function withinMs<T>(promise: Promise<T>, deadlineMs: number, late: () => MimirError): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const waited = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), deadlineMs);
  });
  try {
    return await Promise.race([promise, waited]);
  } finally {
    clearTimeout(timer);
  }
}
