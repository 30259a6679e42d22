/**
 * ChaCha20-Poly1305 (RFC 8439) of single short messages by libcrypto: about 2 µs each, where a library in JavaScript
 * takes ten times as long until the engine has made the most of it. Control path: what it gives is allocated.
 *
 * One EVP context and one scratch serve all: calls run to completion. The key is wiped with the next one's set-up at
 * the latest, and lives as long in its owner's hands anyway.
 */
import { type Libcrypto, libcrypto } from "./libcrypto.ts";
import type { Sealer } from "../mod/crypto/types.ts";

const KEY_SIZE = 32, NONCE_SIZE = 12, TAG_SIZE = 16;
const ENCRYPT = 1, DECRYPT = 0;
const EVP_CTRL_AEAD_GET_TAG = 0x10, EVP_CTRL_AEAD_SET_TAG = 0x11;
/** The longest text, and the longest additional data: several times what a handshake needs. */
const MAX_LENGTH = 256;
// Where things are in the scratch
const KEY = 0, NONCE = KEY + KEY_SIZE, TAG = 48, OUT_LENGTH = 64, ADDITIONAL = 128;
const TEXT = ADDITIONAL + MAX_LENGTH, SCRATCH_SIZE = TEXT + MAX_LENGTH;

/** Null when libcrypto is missing or does not offer the cipher (FIPS builds). */
export function createLibcryptoSealer(): Sealer | null {
  const library = libcrypto();
  if (!library) return null;
  try {
    return new LibcryptoSealer(library);
  } catch {
    return null;
  }
}

class LibcryptoSealer implements Sealer {
  readonly name = "libcrypto";
  readonly #library: Libcrypto;
  readonly #context: Deno.PointerObject;
  readonly #scratch = new Uint8Array(SCRATCH_SIZE);
  readonly #at: (offset: number) => Deno.PointerObject;

  constructor(library: Libcrypto) {
    this.#library = library;
    const start = Deno.UnsafePointer.of(this.#scratch)!;
    const pointers = new Map(
      [KEY, NONCE, TAG, OUT_LENGTH, ADDITIONAL, TEXT].map((
        offset,
      ) => [offset, Deno.UnsafePointer.offset(start, offset)!]),
    );
    this.#at = (offset) => pointers.get(offset)!;
    const context = library.EVP_CIPHER_CTX_new();
    const cipher = library.EVP_chacha20_poly1305();
    if (
      context === null || library.EVP_CipherInit_ex(context, cipher, null, null, null, ENCRYPT) !== 1
    ) {
      throw new Error("Cannot make a sealer: libcrypto refused the cipher. Use another back end.");
    }
    this.#context = context;
  }

  seal(key: Uint8Array, nonce: Uint8Array, additional: Uint8Array, plaintext: Uint8Array): Uint8Array {
    const { length } = plaintext;
    const done = this.#begin(key, nonce, additional, plaintext, length, ENCRYPT) &
      this.#run(length) &
      this.#library.EVP_CIPHER_CTX_ctrl(this.#context, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, this.#at(TAG));
    if (done !== 1) throw new Error("Cannot seal a message: libcrypto failed. Use another back end.");
    const sealed = new Uint8Array(length + TAG_SIZE);
    sealed.set(this.#scratch.subarray(TEXT, TEXT + length));
    sealed.set(this.#scratch.subarray(TAG, TAG + TAG_SIZE), length);
    return sealed;
  }

  open(
    key: Uint8Array,
    nonce: Uint8Array,
    additional: Uint8Array,
    sealed: Uint8Array,
  ): Uint8Array | undefined {
    const length = sealed.length - TAG_SIZE;
    if (length < 0) return undefined;
    const begun = this.#begin(key, nonce, additional, sealed, length, DECRYPT);
    this.#scratch.set(sealed.subarray(length), TAG);
    const done = begun &
      this.#library.EVP_CIPHER_CTX_ctrl(this.#context, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, this.#at(TAG)) &
      this.#run(length);
    return done === 1 ? this.#scratch.slice(TEXT, TEXT + length) : undefined;
  }

  /** Sets the key up, and feeds the additional data; the text lies ready. */
  #begin(
    key: Uint8Array,
    nonce: Uint8Array,
    additional: Uint8Array,
    text: Uint8Array,
    length: number,
    direction: number,
  ): number {
    if (key.length !== KEY_SIZE || nonce.length !== NONCE_SIZE) {
      throw new RangeError(
        `Cannot seal or open a message: the key has ${key.length} bytes, not ${KEY_SIZE}, or the nonce ` +
          `${nonce.length}, not ${NONCE_SIZE}. Pass all of them.`,
      );
    }
    if (length > MAX_LENGTH || additional.length > MAX_LENGTH) {
      throw new RangeError(
        `Cannot seal or open a message of ${length} bytes with ${additional.length} more: ${MAX_LENGTH} are ` +
          "the most. Use the packet cipher.",
      );
    }
    const scratch = this.#scratch, at = this.#at, library = this.#library;
    scratch.set(key, KEY);
    scratch.set(nonce, NONCE);
    scratch.set(additional, ADDITIONAL);
    scratch.set(text.subarray(0, length), TEXT);
    const keyed = library.EVP_CipherInit_ex(this.#context, null, null, at(KEY), at(NONCE), direction);
    scratch.fill(0, KEY, KEY + KEY_SIZE);
    if (additional.length === 0) return keyed;
    // Without an output the input is additional data.
    return keyed &
      library.EVP_CipherUpdate(this.#context, null, at(OUT_LENGTH), at(ADDITIONAL), additional.length);
  }

  /** The text, in place, and the end of the message. */
  #run(length: number): number {
    const at = this.#at, library = this.#library;
    return library.EVP_CipherUpdate(this.#context, at(TEXT), at(OUT_LENGTH), at(TEXT), length) &
      library.EVP_CipherFinal_ex(this.#context, at(TAG), at(OUT_LENGTH));
  }
}
