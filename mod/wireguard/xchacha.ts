/**
 * XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha §2.3), which cookies are sealed with: a 24-byte nonce, so long that it
 * may be random. HChaCha20 turns the key and 16 bytes of it into another key; with that and the other eight bytes it is
 * plain ChaCha20-Poly1305.
 */
import { hchacha } from "@noble/ciphers/chacha.js";
import { utf8ToBytes } from "@noble/hashes/utils.js";
import type { Sealer } from "../crypto/types.ts";

const SIGMA = new Uint32Array(utf8ToBytes("expand 32-byte k").buffer);

export function xSeal(
  sealer: Sealer,
  key: Uint8Array,
  nonce: Uint8Array,
  additional: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  return sealer.seal(subkey(key, nonce), shortNonce(nonce), additional, plaintext);
}

/** Undefined: not authentic. */
export function xOpen(
  sealer: Sealer,
  key: Uint8Array,
  nonce: Uint8Array,
  additional: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined {
  return sealer.open(subkey(key, nonce), shortNonce(nonce), additional, sealed);
}

function subkey(key: Uint8Array, nonce: Uint8Array): Uint8Array {
  const out = new Uint32Array(8);
  hchacha(SIGMA, words(key), words(nonce.subarray(0, 16)), out);
  return new Uint8Array(out.buffer);
}

/** Little-endian, as every machine that this runs on is. A copy, also of a Node Buffer, whose `slice` makes none. */
function words(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(Uint8Array.from(bytes).buffer);
}

function shortNonce(nonce: Uint8Array): Uint8Array {
  const short = new Uint8Array(12);
  short.set(nonce.subarray(16), 4);
  return short;
}
