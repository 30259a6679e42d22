/**
 * X25519 (RFC 7748) by libcrypto: about 40 µs a secret against node:crypto's 65 and noble's 290. Control path:
 * allocates.
 *
 * libcrypto derives the public key whenever it is given a private one, which costs as much as a secret. A WireGuard
 * handshake uses its own two keys twice each, and the static one for ever: the native key is kept as long as the
 * array that it was made from lives.
 */
import { type Libcrypto, libcrypto } from "./libcrypto.ts";
import type { Dh } from "../mod/crypto/types.ts";

const EVP_PKEY_X25519 = 1034; // NID_X25519
const SIZE = 32, SIZE_ARGUMENT = 32n;

/** Null when libcrypto is missing or has no X25519. */
export function createLibcryptoDh(): Dh | null {
  const library = libcrypto();
  if (!library) return null;
  const dh = new LibcryptoDh(library);
  try {
    dh.publicKey(new Uint8Array(SIZE).fill(1));
    return dh;
  } catch {
    return null;
  }
}

class LibcryptoDh implements Dh {
  readonly name = "libcrypto";
  readonly #library: Libcrypto;
  readonly #keys: KeyCache;

  constructor(library: Libcrypto) {
    this.#library = library;
    this.#keys = new KeyCache(library);
  }

  publicKey(privateKey: Uint8Array): Uint8Array {
    const result = new Uint8Array(SIZE);
    const length = new BigUint64Array([SIZE_ARGUMENT]);
    const key = this.#keys.get(privateKey);
    if (this.#library.EVP_PKEY_get_raw_public_key(key, result, length) !== 1) throw refused();
    return result;
  }

  sharedSecret(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
    const library = this.#library;
    checkSize(publicKey);
    const own = this.#keys.get(privateKey);
    const peer = library.EVP_PKEY_new_raw_public_key(
      EVP_PKEY_X25519,
      null,
      Uint8Array.from(publicKey),
      SIZE_ARGUMENT,
    );
    const context = library.EVP_PKEY_CTX_new(own, null);
    try {
      if (peer === null || context === null || library.EVP_PKEY_derive_init(context) !== 1) throw refused();
      const secret = new Uint8Array(SIZE);
      // libcrypto itself refuses a low-order point: either call fails then.
      const derived = library.EVP_PKEY_derive_set_peer(context, peer) === 1 &&
        library.EVP_PKEY_derive(context, secret, new BigUint64Array([SIZE_ARGUMENT])) === 1;
      return derived && secret.some((byte) => byte !== 0) ? secret : undefined;
    } finally {
      library.EVP_PKEY_CTX_free(context);
      library.EVP_PKEY_free(peer);
    }
  }
}

interface KeptKey {
  /** To notice an array that was overwritten. */
  readonly content: Uint8Array<ArrayBuffer>;
  readonly key: Deno.PointerObject;
}

/** Native private keys by the identity of the array that holds the raw one. */
class KeyCache {
  readonly #library: Libcrypto;
  readonly #known = new WeakMap<Uint8Array, KeptKey>();
  /** Runs between tasks, so never while a key is in use. */
  readonly #unused: FinalizationRegistry<KeptKey>;

  constructor(library: Libcrypto) {
    this.#library = library;
    this.#unused = new FinalizationRegistry((kept) => this.#free(kept));
  }

  get(bytes: Uint8Array): Deno.PointerObject {
    checkSize(bytes);
    const known = this.#known.get(bytes);
    if (known?.content.every((byte, i) => byte === bytes[i])) return known.key;
    if (known) {
      this.#unused.unregister(bytes);
      this.#known.delete(bytes);
      this.#free(known);
    }
    const content = Uint8Array.from(bytes);
    const key = this.#library.EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, null, content, SIZE_ARGUMENT);
    if (key === null) throw refused();
    const kept = { content, key };
    this.#known.set(bytes, kept);
    this.#unused.register(bytes, kept, bytes);
    return key;
  }

  #free({ content, key }: KeptKey): void {
    content.fill(0);
    this.#library.EVP_PKEY_free(key); // wipes it
  }
}

function checkSize(key: Uint8Array): void {
  if (key.length !== SIZE) {
    throw new RangeError(`Cannot use an X25519 key of ${key.length} bytes: it has ${SIZE}. Pass all of it.`);
  }
}

function refused(): Error {
  return new Error("Cannot use X25519: libcrypto refused the key. Use another back end.");
}
