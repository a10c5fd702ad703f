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
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(host);
  return bracketed?.[1] ?? host.replace(/:\d+$/, '');
}

/** Why this request is turned away whatever its path, or null. Host and Origin guard against pages of other sites. */
export function turnedAway(headers: IncomingHttpHeaders, admission: Admission): string | null {
  const host = (headers.host ?? '').toLowerCase();
  const name = hostName(host);
  const { allowedHosts, allowedOrigins } = admission;
  if (!isLoopback(name) && name !== admission.host && !allowedHosts.includes(name) && !allowedHosts.includes(host)) {
    return 'This Host is not allowed here. Start the server with --allow-host NAME to accept it.';
  }
  const { origin } = headers;
  if (origin === undefined || allowedOrigins.includes(origin.toLowerCase())) return null;
  const url = URL.canParse(origin) ? new URL(origin) : null;
  if (url !== null && /^https?:$/.test(url.protocol) && isLoopback(url.hostname)) return null;
  return 'This Origin is not allowed here. Start the server with --allow-origin ORIGIN to accept it.';
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest();
}

/** Tells whether a request carries the token. It compares digests, so that the time it takes tells nothing. */
export function tokenCheck(token: string | null): (headers: IncomingHttpHeaders) => boolean {
  if (token === null) return () => true;
  const wanted = digest(token);
  return (headers) => {
    const given = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
    return given !== undefined && timingSafeEqual(digest(given), wanted);
  };
}
