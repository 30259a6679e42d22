/**
 * ChaCha20-Poly1305 by a library that takes and gives whole messages in buffers of its own: what it gives is copied
 * into the slab. It allocates; for hosts on which nothing better works, and as a reference.
 */
import type { Slab } from "../packet/slab.ts";
import { checkKeyLength } from "./keys.ts";
import { TAG_LENGTH, writeNonce } from "./nonce.ts";
import type { Aead, AeadKey } from "./types.ts";

export interface MessageCipher {
  /** Ciphertext and tag. */
  seal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array): Uint8Array;
  /** Undefined: the tag is wrong. */
  open(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array): Uint8Array | undefined;
}

export class MessageAead implements Aead {
  readonly name: string;
  readonly #slab: Slab;
  readonly #cipher: MessageCipher;

  constructor(name: string, slab: Slab, cipher: MessageCipher) {
    this.name = name;
    this.#slab = slab;
    this.#cipher = cipher;
  }

  createKey(key: Uint8Array): AeadKey {
    checkKeyLength(key, "ChaCha20-Poly1305");
    return new MessageKey(this.#slab, this.#cipher, Uint8Array.from(key));
  }
}

class MessageKey implements AeadKey {
  readonly #slab: Slab;
  readonly #cipher: MessageCipher;
  readonly #key: Uint8Array;
  readonly #nonce = new Uint8Array(12);

  constructor(slab: Slab, cipher: MessageCipher, key: Uint8Array) {
    this.#slab = slab;
    this.#cipher = cipher;
    this.#key = key;
  }

  seal(offset: number, length: number, counterLow: number, counterHigh: number): void {
    const { bytes } = this.#slab;
    writeNonce(this.#nonce, counterLow, counterHigh);
    bytes.set(this.#cipher.seal(this.#key, this.#nonce, bytes.subarray(offset, offset + length)), offset);
  }

  open(offset: number, length: number, counterLow: number, counterHigh: number): boolean {
    if (length < TAG_LENGTH) return false;
    const { bytes } = this.#slab;
    writeNonce(this.#nonce, counterLow, counterHigh);
    const plaintext = this.#cipher.open(this.#key, this.#nonce, bytes.subarray(offset, offset + length));
    if (plaintext) bytes.set(plaintext, offset);
    return plaintext !== undefined;
  }

  free(): void {
    this.#key.fill(0);
  }
}
