/**
 * X25519 by node:crypto, about 65 µs per shared secret. It takes keys only as objects, so raw keys are wrapped in
 * their DER envelopes (RFC 8410 §7, §4); the objects of long-lived keys are kept.
 */
import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from "node:crypto";
import { checkKeyLength } from "./keys.ts";
import type { Dh } from "./types.ts";

const PKCS8_PREFIX = Buffer.from("302e020100300506032b656e04220420", "hex");
const SPKI_PREFIX = Buffer.from("302a300506032b656e032100", "hex");

export class NodeDh implements Dh {
  readonly name = "node";
  readonly #privateKeys = new KeyCache((key) =>
    createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, key]), format: "der", type: "pkcs8" })
  );
  readonly #publicKeys = new KeyCache((key) =>
    createPublicKey({ key: Buffer.concat([SPKI_PREFIX, key]), format: "der", type: "spki" })
  );

  publicKey(privateKey: Uint8Array): Uint8Array {
    const exported = createPublicKey(this.#privateKeys.get(privateKey)).export({
      format: "der",
      type: "spki",
    });
    return Uint8Array.from(exported.subarray(SPKI_PREFIX.length));
  }

  sharedSecret(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
    const own = this.#privateKeys.get(privateKey), peer = this.#publicKeys.get(publicKey);
    try {
      return Uint8Array.from(diffieHellman({ privateKey: own, publicKey: peer }));
    } catch {
      return undefined; // OpenSSL's way of refusing an all-zero secret; the keys are well-formed
    }
  }
}

/**
 * Key objects by the identity of the raw key's array: a long-lived key is wrapped once, an ephemeral one is gone
 * with its array. The content is compared, so an array that was overwritten is wrapped anew.
 */
class KeyCache {
  readonly #wrap: (key: Uint8Array) => KeyObject;
  readonly #known = new WeakMap<Uint8Array, { content: Uint8Array; object: KeyObject }>();

  constructor(wrap: (key: Uint8Array) => KeyObject) {
    this.#wrap = wrap;
  }

  get(key: Uint8Array): KeyObject {
    checkKeyLength(key, "X25519");
    const known = this.#known.get(key);
    if (known?.content.every((byte, i) => byte === key[i])) return known.object;
    known?.content.fill(0);
    const object = this.#wrap(key);
    this.#known.set(key, { content: key.slice(), object });
    return object;
  }
}
