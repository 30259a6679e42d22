/** Seeded random bytes for tests (xorshift32): the same in every run. */
import type { RandomBytes } from "../../mod/crypto/types.ts";

export function seededRandom(seed = 0x9e3779b9): RandomBytes {
  let x = seed >>> 0 || 1;
  return (length) => {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++) {
      x ^= x << 13;
      x ^= x >>> 17;
      x ^= x << 5;
      bytes[i] = x >>> 11;
    }
    return bytes;
  };
}
