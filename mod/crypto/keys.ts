/** Shape of keys: both ChaCha20-Poly1305 and X25519 take 32 bytes. */

export const KEY_LENGTH = 32;

/** Throws a RangeError when `key` has not 32 bytes. */
export function checkKeyLength(key: Uint8Array, algorithm: string): void {
  if (key.length === KEY_LENGTH) return;
  throw new RangeError(`Cannot use a key of ${key.length} bytes: ${algorithm} takes ${KEY_LENGTH}.`);
}
