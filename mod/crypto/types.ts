/** What the protocol rooms need from cryptography; back ends implement it and are injected. */

/**
 * An authenticated cipher bound to the slab: ChaCha20-Poly1305 (RFC 8439) with WireGuard's nonce, i.e. 4 zero bytes
 * and the 64-bit counter in little-endian order, and no additional data.
 */
export interface Aead {
  readonly name: string;
  /** @param key 32 bytes; copied. */
  createKey(key: Uint8Array): AeadKey;
}

export interface AeadKey {
  /**
   * Seals in place: slab[offset, offset+length) becomes ciphertext, the 16-byte tag is written right behind it.
   * `offset` is a multiple of 4.
   */
  seal(offset: number, length: number, counterLow: number, counterHigh: number): void;
  /**
   * Opens in place: `length` includes the tag. True when authentic; then slab[offset, offset+length-16) is the
   * plaintext. When false the bytes there are undefined and must be dropped. `offset` is a multiple of 4.
   */
  open(offset: number, length: number, counterLow: number, counterHigh: number): boolean;
  /** Wipes the key and frees native memory. Idempotent; no other call may follow. */
  free(): void;
}

/**
 * ChaCha20-Poly1305 (RFC 8439) of single short messages, with additional data: what handshakes and cookies are sealed
 * with. Keys have 32 bytes, nonces 12.
 */
export interface Sealer {
  readonly name: string;
  /** Ciphertext and tag, 16 bytes more than the plaintext. */
  seal(key: Uint8Array, nonce: Uint8Array, additional: Uint8Array, plaintext: Uint8Array): Uint8Array;
  /** The plaintext; undefined when `sealed` is not authentic, or too short to be. */
  open(
    key: Uint8Array,
    nonce: Uint8Array,
    additional: Uint8Array,
    sealed: Uint8Array,
  ): Uint8Array | undefined;
}

/** X25519 (RFC 7748). */
export interface Dh {
  readonly name: string;
  /** 32-byte public key of a 32-byte private key. */
  publicKey(privateKey: Uint8Array): Uint8Array;
  /** 32-byte shared secret, or undefined when it would be all zero (a low-order point). */
  sharedSecret(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined;
}

/** Cryptographically random bytes in production, a seeded generator in tests. */
export type RandomBytes = (length: number) => Uint8Array<ArrayBuffer>;
