import { createHash } from 'node:crypto';

/** The hash before the first operation: 32 zero bytes. */
export const GENESIS = Buffer.alloc(32);

/** One row of the operation log as the chain sees it. */
export interface ChainedOperation {
  readonly seq: number;
  readonly id: string;
  readonly atMs: number;
  readonly kind: string;
}

function numberBytes(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
}

/** A text with its length in front, so that no two lists of texts give the same bytes. */
function textBytes(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  return Buffer.concat([numberBytes(bytes.length), bytes]);
}

/** Digest of one change: SHA-256 of its 32 random bytes and its payload. Without the salt nothing can be guessed from it. */
export function changeDigest(salt: Uint8Array, payload: string): Buffer {
  return createHash('sha256').update(salt).update(payload, 'utf8').digest();
}

/** Digest of an operation: SHA-256 over the digests of its changes, in their order. */
export function operationDigest(changes: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const digest of changes) hash.update(digest);
  return hash.digest();
}

/** Hash of an operation: it covers the hash before it, so nothing earlier can change unseen. */
export function operationHash(previous: Uint8Array, operation: ChainedOperation, digest: Uint8Array): Buffer {
  return createHash('sha256')
    .update(previous)
    .update(numberBytes(operation.seq))
    .update(textBytes(operation.id))
    .update(numberBytes(operation.atMs))
    .update(textBytes(operation.kind))
    .update(digest)
    .digest();
}
