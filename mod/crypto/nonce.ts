/** WireGuard's use of ChaCha20-Poly1305: a 64-bit counter as nonce, a 16-byte tag. */

export const TAG_LENGTH = 16;

/** Writes the 12-byte nonce: 4 zero bytes, then the 64-bit counter in little-endian order. */
export function writeNonce(nonce: Uint8Array, counterLow: number, counterHigh: number): void {
  for (let i = 0; i < 4; i++) {
    nonce[4 + i] = counterLow >>> (8 * i);
    nonce[8 + i] = counterHigh >>> (8 * i);
  }
}
