import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

import { isLoopback } from '../config.ts';

/** Whom an HTTP server lets in. */
export interface Admission {
  readonly host: string;
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
  readonly token: string | null;
}

function hostName(host: string): string {
  const bracketed = /^(\[[^\]]*\])(?::\d+)?$/.exec(host);
  return (bracketed?.[1] ?? host.replace(/:\d+$/, '')).toLowerCase();
}

/** Why this request is turned away whatever its path, or null. Host and Origin guard against pages of other sites. */
export function turnedAway(headers: IncomingHttpHeaders, admission: Admission): string | null {
  const name = hostName(headers.host ?? '');
  const hosts = admission.allowedHosts.map((host) => host.toLowerCase());
  if (
    !isLoopback(name) &&
    name !== admission.host &&
    !hosts.includes(name) &&
    !hosts.includes((headers.host ?? '').toLowerCase())
  ) {
    return 'This Host is not allowed here. Start the server with --allow-host NAME to accept it.';
  }
  const { origin } = headers;
  if (origin === undefined || admission.allowedOrigins.includes(origin)) return null;
  const url = URL.canParse(origin) ? new URL(origin) : null;
  if (url !== null && isLoopback(url.hostname)) return null;
  return 'This Origin is not allowed here. Start the server with --allow-origin ORIGIN to accept it.';
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest();
}

/** Whether the request carries the token; compares digests so that the time it takes tells nothing. */
export function carriesToken(headers: IncomingHttpHeaders, token: string | null): boolean {
  if (token === null) return true;
  const given = /^Bearer (.*)$/.exec(headers.authorization ?? '')?.[1];
  return given !== undefined && timingSafeEqual(digest(given), digest(token));
}
