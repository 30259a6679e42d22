/**
 * Nonces without memory: a time and a MAC over it and the client's address. A valid one proves that its bearer
 * received our answer at that address not long ago, so nothing expensive is done and nothing is remembered for a
 * sender with a forged address. After a restart the key differs and every old nonce is merely stale.
 */
import { hmac } from "@noble/hashes/hmac.js";
import { sha1 } from "@noble/hashes/legacy.js";
import type { RandomBytes } from "../../crypto/types.ts";
import type { SocketAddress } from "../../packet/address.ts";

/** The longest that RFC 8489 §9.2.4 advises. */
const LIFETIME_S = 3600;
const FORM = /^[0-9a-f]{32}$/;

export class Nonces {
  readonly #key: Uint8Array;

  constructor(random: RandomBytes) {
    this.#key = random(32);
  }

  /** A nonce for the client at `address`: 32 characters. */
  issue(address: SocketAddress, now: number): string {
    return this.#make(Math.floor(now / 1000) >>> 0, address);
  }

  /** False for a nonce that is too old, another client's, of another run, or none of ours. */
  isFresh(nonce: string, address: SocketAddress, now: number): boolean {
    if (!FORM.test(nonce)) return false;
    const issued = parseInt(nonce.slice(0, 8), 16);
    const age = (Math.floor(now / 1000) >>> 0) - issued;
    return age >= 0 && age <= LIFETIME_S && nonce === this.#make(issued, address);
  }

  #make(issued: number, address: SocketAddress): string {
    const time = issued.toString(16).padStart(8, "0");
    const mac = hmac(sha1, this.#key, new TextEncoder().encode(`${time} ${address.key}`));
    return time + Array.from(mac.subarray(0, 12), (byte) => byte.toString(16).padStart(2, "0")).join("");
  }
}
