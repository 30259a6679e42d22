/**
 * The functions that the handshake is made of, with the paper's names (§5.4): HASH and MAC are BLAKE2s, HMAC and
 * KDF1..3 are built on it, AEAD is ChaCha20-Poly1305 with the counter as nonce. Control path: they allocate.
 */
import { utf8ToBytes } from "@noble/hashes/utils.js";
import type { Sealer } from "../crypto/types.ts";
import { blake2s, hmacBlake2s } from "./blake2s.ts";
import { CONSTRUCTION, IDENTIFIER, KEY_LENGTH, LABEL_COOKIE, LABEL_MAC1, MAC_LENGTH } from "./constants.ts";

const ZERO_NONCE = new Uint8Array(12);
const EMPTY = new Uint8Array(0);
const HASH_LENGTH = 32;

/** 32-byte BLAKE2s of a ‖ b. */
export function hash(a: Uint8Array, b: Uint8Array = EMPTY): Uint8Array {
  return blake2s(HASH_LENGTH, a, b);
}

/** 16-byte keyed BLAKE2s. */
export function mac(key: Uint8Array, input: Uint8Array): Uint8Array {
  return blake2s(MAC_LENGTH, input, undefined, key);
}

/** KDF_count of the paper: `count` keys of 32 bytes from `key` and `input`. */
export function kdf(key: Uint8Array, input: Uint8Array, count: 1 | 2 | 3): Uint8Array[] {
  const secret = hmacBlake2s(key, input);
  const keys: Uint8Array[] = [];
  let block: Uint8Array = EMPTY;
  for (let i = 1; i <= count; i++) {
    const data = new Uint8Array(block.length + 1);
    data.set(block);
    data[block.length] = i;
    block = hmacBlake2s(secret, data);
    data.fill(0);
    keys.push(block);
  }
  secret.fill(0);
  return keys;
}

/** True when the bytes are equal; the time taken depends on the length only. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!;
  return difference === 0;
}

export const INITIAL_CHAIN_KEY: Uint8Array = hash(utf8ToBytes(CONSTRUCTION));
export const INITIAL_HASH: Uint8Array = hash(INITIAL_CHAIN_KEY, utf8ToBytes(IDENTIFIER));

/** What depends on nothing but the public key of the party that a message is addressed to. */
export interface Recipient {
  readonly publicKey: Uint8Array;
  /** The handshake hash after the responder's static key was mixed in. */
  readonly handshakeHash: Uint8Array;
  readonly mac1Key: Uint8Array;
  readonly cookieKey: Uint8Array;
}

/** @param publicKey 32 bytes; kept, not copied. */
export function recipient(publicKey: Uint8Array): Recipient {
  return {
    publicKey,
    handshakeHash: hash(INITIAL_HASH, publicKey),
    mac1Key: hash(utf8ToBytes(LABEL_MAC1), publicKey),
    cookieKey: hash(utf8ToBytes(LABEL_COOKIE), publicKey),
  };
}

/**
 * Noise's SymmetricState: the chaining key and the hash of everything said so far. Each key it derives seals one
 * message with nonce 0 and the running hash as additional data.
 */
export class SymmetricState {
  private constructor(
    private readonly sealer: Sealer,
    private chainKey: Uint8Array,
    private hash: Uint8Array,
  ) {}

  static start(responder: Recipient, sealer: Sealer): SymmetricState {
    return new SymmetricState(sealer, INITIAL_CHAIN_KEY.slice(), responder.handshakeHash.slice());
  }

  clone(): SymmetricState {
    return new SymmetricState(this.sealer, this.chainKey.slice(), this.hash.slice());
  }

  mixHash(data: Uint8Array): void {
    this.hash = hash(this.hash, data);
  }

  mixKey(input: Uint8Array): void {
    this.#advance(kdf(this.chainKey, input, 1)[0]!);
  }

  /** Mixes `input` in and returns the message key that falls out. */
  mixKeyForMessage(input: Uint8Array): Uint8Array {
    const [chainKey, key] = kdf(this.chainKey, input, 2);
    this.#advance(chainKey!);
    return key!;
  }

  /** The same for the preshared key, which also enters the hash. */
  mixPresharedKey(presharedKey: Uint8Array): Uint8Array {
    const [chainKey, mixed, key] = kdf(this.chainKey, presharedKey, 3);
    this.#advance(chainKey!);
    this.mixHash(mixed!);
    return key!;
  }

  /** Ciphertext and tag of `plaintext`; `key` is used up. */
  sealAndHash(key: Uint8Array, plaintext: Uint8Array): Uint8Array {
    const sealed = this.sealer.seal(key, ZERO_NONCE, this.hash, plaintext);
    key.fill(0);
    this.mixHash(sealed);
    return sealed;
  }

  /** The plaintext, or undefined when it is not authentic; `key` is used up. */
  openAndHash(key: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    const plaintext = this.sealer.open(key, ZERO_NONCE, this.hash, sealed);
    key.fill(0);
    if (plaintext !== undefined) this.mixHash(sealed);
    return plaintext;
  }

  /** The two transport keys: first the initiator's sending key, then the responder's. Ends the handshake. */
  split(): [Uint8Array, Uint8Array] {
    const [first, second] = kdf(this.chainKey, EMPTY, 2);
    this.wipe();
    return [first!, second!];
  }

  wipe(): void {
    this.chainKey.fill(0);
    this.hash.fill(0);
  }

  #advance(chainKey: Uint8Array): void {
    this.chainKey.fill(0);
    this.chainKey = chainKey;
  }
}

/** All zero: WireGuard's "no preshared key". */
export const NO_PRESHARED_KEY: Uint8Array = new Uint8Array(KEY_LENGTH);
