/**
 * ChaCha20-Poly1305 by @noble/ciphers: the reference that every other back end is compared with, and the last rung
 * of the ladder. About 16 µs for a full packet; allocates.
 */
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import type { Slab } from "../packet/slab.ts";
import { checkKeyLength } from "./keys.ts";
import { TAG_LENGTH, writeNonce } from "./nonce.ts";
import type { Aead, AeadKey } from "./types.ts";

export class NobleAead implements Aead {
  readonly name = "noble";
  readonly #slab: Slab;

  constructor(slab: Slab) {
    this.#slab = slab;
  }

  createKey(key: Uint8Array): AeadKey {
    checkKeyLength(key, "ChaCha20-Poly1305");
    return new NobleKey(this.#slab, Uint8Array.from(key));
  }
}

class NobleKey implements AeadKey {
  readonly #slab: Slab;
  readonly #key: Uint8Array<ArrayBuffer>;
  readonly #nonce = new Uint8Array(12);

  constructor(slab: Slab, key: Uint8Array<ArrayBuffer>) {
    this.#slab = slab;
    this.#key = key;
  }

  seal(offset: number, length: number, counterLow: number, counterHigh: number): void {
    const { bytes } = this.#slab;
    writeNonce(this.#nonce, counterLow, counterHigh);
    const sealed = chacha20poly1305(this.#key, this.#nonce).encrypt(bytes.subarray(offset, offset + length));
    bytes.set(sealed, offset);
  }

  open(offset: number, length: number, counterLow: number, counterHigh: number): boolean {
    if (length < TAG_LENGTH) return false;
    const { bytes } = this.#slab;
    writeNonce(this.#nonce, counterLow, counterHigh);
    try {
      bytes.set(
        chacha20poly1305(this.#key, this.#nonce).decrypt(bytes.subarray(offset, offset + length)),
        offset,
      );
      return true;
    } catch {
      return false; // the library's way of saying "invalid tag"
    }
  }

  free(): void {
    this.#key.fill(0);
  }
}
