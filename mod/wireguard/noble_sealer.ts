/** ChaCha20-Poly1305 of single messages by @noble/ciphers, for hosts on which nothing faster works. */
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import type { Sealer } from "../crypto/types.ts";

export const NOBLE_SEALER: Sealer = {
  name: "noble",
  seal: (key, nonce, additional, plaintext) => chacha20poly1305(key, nonce, additional).encrypt(plaintext),
  open(key, nonce, additional, sealed) {
    try {
      return chacha20poly1305(key, nonce, additional).decrypt(sealed);
    } catch {
      return undefined; // the library's way of saying "invalid tag", or no room for one
    }
  },
};
