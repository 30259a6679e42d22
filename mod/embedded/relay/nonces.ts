/**
 * Nonces without memory: a time and a MAC over it and the client's address. A valid one proves that its bearer
 * received our answer at that address not long ago, so nothing expensive is done and nothing is remembered for a
 * sender with a forged address. After a restart the key differs and every old nonce is merely stale.
 *
 * The MAC also covers a generation. It is 0 until the client has an allocation; the allocation counts what is signed
 * with its nonces and goes to the next generation when they are used up ({@link NonceUse}).
 */
import type { RandomBytes } from "../../crypto/types.ts";
import type { SocketAddress } from "../../packet/address.ts";
import { HmacSha1 } from "../../stun/hmac_sha1.ts";

/** The longest that RFC 8489 §9.2.4 advises. */
const LIFETIME_S = 3600;
/** Requests that one generation of nonces is good for. */
export const MAX_USES = 10_000;
const FORM = /^[0-9a-f]{32}$/;
const MAC_BYTES = 12;
const NOTHING = new Uint8Array(0);

/** How far an allocation's nonces are used up. */
export class NonceUse {
  generation = 0;
  #uses = 0;

  /** Counts a request that was signed with a nonce of this generation. */
  count(): void {
    if (++this.#uses < MAX_USES) return;
    this.#uses = 0;
    this.generation++;
  }
}

export class Nonces {
  readonly #mac: HmacSha1;

  constructor(random: RandomBytes) {
    this.#mac = new HmacSha1(random(32));
  }

  /** A nonce for the client at `address`: 32 characters. */
  issue(address: SocketAddress, generation: number, now: number): string {
    return this.#make(Math.floor(now / 1000) >>> 0, generation, address);
  }

  /** False for a nonce that is too old, used up, another client's, of another run, or none of ours. */
  isFresh(nonce: string, address: SocketAddress, generation: number, now: number): boolean {
    if (!FORM.test(nonce)) return false;
    const issued = parseInt(nonce.slice(0, 8), 16);
    const age = (Math.floor(now / 1000) >>> 0) - issued;
    return age >= 0 && age <= LIFETIME_S && nonce === this.#make(issued, generation, address);
  }

  #make(issued: number, generation: number, address: SocketAddress): string {
    const time = issued.toString(16).padStart(8, "0");
    const content = new TextEncoder().encode(`${time} ${generation} ${address.key}`);
    const mac = this.#mac.sign(NOTHING, content, 0, content.length);
    return time + mac.subarray(0, MAC_BYTES).toHex();
  }
}
