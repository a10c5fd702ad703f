import { createDecipheriv } from 'node:crypto';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Opens a body as the original encrypts it: base64 of a nonce of 12 bytes, the text under AES-256-GCM, and a tag of 16 bytes, bound
 * to `category:key`. Null when it does not open: another key, or no such text.
 */
export function openBody(text: string, key: Uint8Array, category: string, name: string): string | null {
  if (!looksEncrypted(text)) return null;
  const bytes = Buffer.from(text, 'base64');
  const open = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES));
  open.setAAD(Buffer.from(`${category}:${name}`, 'utf8'));
  open.setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    const sealed = bytes.subarray(NONCE_BYTES, -TAG_BYTES);
    return Buffer.concat([open.update(sealed), open.final()]).toString('utf8');
  } catch {
    return null; // the tag does not fit: that is what is asked here
  }
}

/**
 * Whether a body can only be an encrypted one: base64, long enough, with letters of both cases. A number, a hash in hex and any
 * JSON text fall out; a random text of 40 characters passes for sure.
 */
export function looksEncrypted(text: string): boolean {
  return (
    text.length >= 4 * Math.ceil((NONCE_BYTES + TAG_BYTES) / 3) &&
    text.length % 4 === 0 &&
    /^[A-Za-z0-9+/]+={0,2}$/.test(text) &&
    /[a-z]/.test(text) &&
    /[A-Z]/.test(text)
  );
}
