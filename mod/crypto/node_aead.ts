/**
 * ChaCha20-Poly1305 by node:crypto, whose cipher objects live for one message: 5-6 µs for a full packet, most of it
 * setting up. For hosts without libcrypto.
 */
import { createCipheriv, createDecipheriv } from "node:crypto";
import type { Slab } from "../packet/slab.ts";
import { checkKeyLength } from "./keys.ts";
import { TAG_LENGTH, writeNonce } from "./nonce.ts";
import type { Aead, AeadKey } from "./types.ts";

const ALGORITHM = "chacha20-poly1305";
const OPTIONS = { authTagLength: TAG_LENGTH };

export class NodeAead implements Aead {
  readonly name = "node";
  readonly #slab: Slab;

  constructor(slab: Slab) {
    this.#slab = slab;
  }

  createKey(key: Uint8Array): AeadKey {
    checkKeyLength(key, "ChaCha20-Poly1305");
    return new NodeKey(this.#slab, Uint8Array.from(key));
  }
}

class NodeKey implements AeadKey {
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
    const cipher = createCipheriv(ALGORITHM, this.#key, this.#nonce, OPTIONS);
    bytes.set(cipher.update(bytes.subarray(offset, offset + length)), offset);
    cipher.final();
    bytes.set(cipher.getAuthTag(), offset + length);
  }

  open(offset: number, length: number, counterLow: number, counterHigh: number): boolean {
    const end = offset + length - TAG_LENGTH;
    if (end < offset) return false;
    const { bytes } = this.#slab;
    writeNonce(this.#nonce, counterLow, counterHigh);
    const decipher = createDecipheriv(ALGORITHM, this.#key, this.#nonce, OPTIONS);
    decipher.setAuthTag(bytes.subarray(end, end + TAG_LENGTH));
    const plaintext = decipher.update(bytes.subarray(offset, end));
    try {
      decipher.final();
    } catch {
      return false; // the only way in which it says "invalid tag"
    }
    bytes.set(plaintext, offset);
    return true;
  }

  free(): void {
    this.#key.fill(0);
  }
}
