/**
 * ChaCha20-Poly1305 by libcrypto, in place in the slab: the default AEAD back end (0.8 µs for 1280 bytes).
 *
 * One EVP context per key, made once; a packet then costs four calls: nonce reset, update, final, tag. The tag goes
 * through a 16-byte scratch, so that only packet starts need pointers (see `slab_pointers.ts`). Every range is checked
 * against the slab before a pointer to it leaves for C.
 */
import { type Libcrypto, libcrypto } from "./libcrypto.ts";
import { SlabPointers } from "./slab_pointers.ts";
import type { Aead, AeadKey } from "../mod/crypto/types.ts";
import type { Slab } from "../mod/packet/slab.ts";

const KEY_SIZE = 32, TAG_SIZE = 16;
const ENCRYPT = 1, DECRYPT = 0;
const EVP_CTRL_AEAD_GET_TAG = 0x10, EVP_CTRL_AEAD_SET_TAG = 0x11;

/** The back end for `slab`, or null when libcrypto is missing or does not offer the cipher (FIPS builds). */
export function createLibcryptoAead(slab: Slab): Aead | null {
  const library = libcrypto();
  if (!library) return null;
  const aead = new LibcryptoAead(library, slab);
  try {
    aead.createKey(new Uint8Array(KEY_SIZE)).free();
    return aead;
  } catch {
    return null;
  }
}

class LibcryptoAead implements Aead {
  readonly name = "libcrypto";
  readonly #shared: Shared;

  constructor(library: Libcrypto, slab: Slab) {
    this.#shared = new Shared(library, slab);
  }

  createKey(key: Uint8Array): AeadKey {
    return new LibcryptoKey(this.#shared, key);
  }
}

/** What all keys of one slab use: calls run to completion, so one scratch serves them all. */
class Shared {
  readonly pointers: SlabPointers;
  readonly slabLength: number;
  readonly words: Uint32Array<ArrayBuffer>;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** 4 zero bytes and the 64-bit counter, little-endian (WireGuard's nonce). */
  readonly nonce = new Uint32Array(3);
  readonly tag = new Uint32Array(TAG_SIZE / 4);
  readonly tagBytes = new Uint8Array(this.tag.buffer);
  readonly outLength = new Int32Array(1);
  readonly noncePointer = Deno.UnsafePointer.of(this.nonce)!;
  readonly tagPointer = Deno.UnsafePointer.of(this.tag)!;
  readonly outLengthPointer = Deno.UnsafePointer.of(this.outLength)!;

  constructor(readonly library: Libcrypto, slab: Slab) {
    this.pointers = SlabPointers.of(slab);
    this.slabLength = slab.bytes.length;
    this.words = slab.words;
    this.bytes = slab.bytes;
  }
}

class LibcryptoKey implements AeadKey {
  readonly #shared: Shared;
  readonly #library: Libcrypto;
  #context: Deno.PointerObject | null;

  constructor(shared: Shared, key: Uint8Array) {
    if (key.length !== KEY_SIZE) {
      throw new RangeError(
        `Cannot make an AEAD key of ${key.length} bytes: it has ${KEY_SIZE}. Pass all of it.`,
      );
    }
    this.#shared = shared;
    this.#library = shared.library;
    this.#context = this.#library.EVP_CIPHER_CTX_new();
    const copy = Uint8Array.from(key);
    shared.nonce.fill(0);
    const made = this.#context !== null && this.#library.EVP_CipherInit_ex_buffer(
          this.#context,
          this.#library.EVP_chacha20_poly1305(),
          null,
          copy,
          shared.noncePointer,
          ENCRYPT,
        ) === 1;
    copy.fill(0);
    if (!made) {
      this.free();
      throw new Error("Cannot make an AEAD key: libcrypto refused the cipher. Use another back end.");
    }
  }

  seal(offset: number, length: number, counterLow: number, counterHigh: number): void {
    const shared = this.#shared, library = this.#library;
    const context = this.#begin(offset, length, length + TAG_SIZE, counterLow, counterHigh);
    const packet = shared.pointers.at(offset);
    const done = library.EVP_CipherInit_ex(context, null, null, null, shared.noncePointer, ENCRYPT) &
      library.EVP_CipherUpdate(context, packet, shared.outLengthPointer, packet, length) &
      library.EVP_CipherFinal_ex(context, shared.tagPointer, shared.outLengthPointer) &
      library.EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, shared.tagPointer);
    if (done !== 1) throw new Error("Cannot seal a packet: libcrypto failed. Use another back end.");
    const at = offset + length;
    if ((at & 3) === 0) {
      const words = shared.words, tag = shared.tag, word = at >>> 2;
      words[word] = tag[0]!;
      words[word + 1] = tag[1]!;
      words[word + 2] = tag[2]!;
      words[word + 3] = tag[3]!;
    } else {
      for (let i = 0; i < TAG_SIZE; i++) shared.bytes[at + i] = shared.tagBytes[i]!;
    }
  }

  open(offset: number, length: number, counterLow: number, counterHigh: number): boolean {
    const shared = this.#shared, library = this.#library;
    if (length < TAG_SIZE) return false;
    const textLength = length - TAG_SIZE, at = offset + textLength;
    const context = this.#begin(offset, textLength, length, counterLow, counterHigh);
    const packet = shared.pointers.at(offset);
    if ((at & 3) === 0) {
      const words = shared.words, tag = shared.tag, word = at >>> 2;
      tag[0] = words[word]!;
      tag[1] = words[word + 1]!;
      tag[2] = words[word + 2]!;
      tag[3] = words[word + 3]!;
    } else {
      for (let i = 0; i < TAG_SIZE; i++) shared.tagBytes[i] = shared.bytes[at + i]!;
    }
    return (library.EVP_CipherInit_ex(context, null, null, null, shared.noncePointer, DECRYPT) &
      library.EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, shared.tagPointer) &
      library.EVP_CipherUpdate(context, packet, shared.outLengthPointer, packet, textLength) &
      library.EVP_CipherFinal_ex(context, shared.tagPointer, shared.outLengthPointer)) === 1;
  }

  free(): void {
    // EVP_CIPHER_CTX_free wipes the key.
    if (this.#context !== null) this.#library.EVP_CIPHER_CTX_free(this.#context);
    this.#context = null;
  }

  /** Checks that the call stays inside the slab, and sets the nonce. */
  #begin(offset: number, text: number, total: number, low: number, high: number): Deno.PointerObject {
    const shared = this.#shared;
    if (this.#context === null) throw new Error("Cannot use an AEAD key: it was freed. Create a new one.");
    if (!(text >= 0 && text <= 0x7fffffff && offset + total <= shared.slabLength)) {
      throw new RangeError(
        `Cannot reach ${total} bytes at ${offset}: outside the slab. Check the packet's length.`,
      );
    }
    shared.nonce[1] = low;
    shared.nonce[2] = high;
    return this.#context;
  }
}
