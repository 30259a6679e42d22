/**
 * MACs and cookies (paper §5.4.4 and §5.4.7): the defence that costs an attacker more than us.
 *
 * mac1 proves that the sender knows whom it talks to. Under load a receiver answers with a cookie, a MAC over the
 * source address under a secret that changes every two minutes; only mac2, keyed by that cookie, then proves that
 * the sender can receive at its address. A cookie reply (64 bytes) is shorter than what it answers (92 or 148).
 *
 * {@link CookieFactory} is the receiver's side, one per node; {@link CookieJar} the sender's, one per tunnel.
 */
import type { RandomBytes, Sealer } from "../crypto/types.ts";
import { COOKIE_REFRESH_TIME, KEY_LENGTH, MAC_LENGTH } from "./constants.ts";
import { COOKIE_REPLY, COOKIE_REPLY_LENGTH, INITIATION, MessageType, readU32, writeU32 } from "./messages.ts";
import { NOBLE_SEALER } from "./noble_sealer.ts";
import { equalBytes, mac, type Recipient } from "./noise.ts";
import { xOpen, xSeal } from "./xchacha.ts";

/** True when mac1 of a handshake message (initiation or response) is right for the recipient. */
export function hasValidMac1(message: Uint8Array, self: Recipient): boolean {
  const at = message.length - 2 * MAC_LENGTH;
  const expected = mac(self.mac1Key, message.subarray(0, at));
  let difference = 0;
  for (let i = 0; i < MAC_LENGTH; i++) difference |= expected[i]! ^ message[at + i]!;
  return difference === 0;
}

/** Who has no cookie leaves mac2 empty: that is seen without a hash. */
export function hasMac2(message: Uint8Array): boolean {
  let bits = 0;
  for (let i = message.length - MAC_LENGTH; i < message.length; i++) bits |= message[i]!;
  return bits !== 0;
}

/** Makes and checks cookies for the sources of handshake messages. */
export class CookieFactory {
  readonly #self: Recipient;
  readonly #random: RandomBytes;
  readonly #sealer: Sealer;
  #secret: Uint8Array = new Uint8Array(0);
  #secretMadeAt = 0;

  constructor(self: Recipient, random: RandomBytes, sealer: Sealer = NOBLE_SEALER) {
    this.#self = self;
    this.#random = random;
    this.#sealer = sealer;
  }

  /** True when mac2 of the message was made with the cookie that this source has now. */
  hasValidMac2(message: Uint8Array, source: Uint8Array, now: number): boolean {
    if (!this.#isFresh(now)) return false;
    const at = message.length - MAC_LENGTH;
    if (!hasMac2(message)) return false;
    return equalBytes(mac(mac(this.#secret, source), message.subarray(0, at)), message.subarray(at));
  }

  /**
   * The cookie reply to a handshake message whose mac1 is valid.
   * @param source address bytes that the message came from, as the receiver sees it.
   */
  createReply(message: Uint8Array, source: Uint8Array, now: number): Uint8Array {
    if (!this.#isFresh(now)) {
      this.#secret.fill(0);
      this.#secret = this.#random(KEY_LENGTH);
      this.#secretMadeAt = now;
    }
    const mac1At = message.length - 2 * MAC_LENGTH;
    const nonce = this.#random(COOKIE_REPLY.cookie - COOKIE_REPLY.nonce);
    const mac1 = message.subarray(mac1At, mac1At + MAC_LENGTH);
    const sealed = xSeal(this.#sealer, this.#self.cookieKey, nonce, mac1, mac(this.#secret, source));
    const reply = new Uint8Array(COOKIE_REPLY_LENGTH);
    writeU32(reply, 0, MessageType.CookieReply);
    writeU32(reply, COOKIE_REPLY.receiver, readU32(message, INITIATION.sender)); // same place in both messages
    reply.set(nonce, COOKIE_REPLY.nonce);
    reply.set(sealed, COOKIE_REPLY.cookie);
    return reply;
  }

  #isFresh(now: number): boolean {
    return this.#secret.length > 0 && now - this.#secretMadeAt < COOKIE_REFRESH_TIME;
  }
}

/** Stamps our handshake messages and keeps the cookie that the peer gave us. */
export class CookieJar {
  readonly #peer: Recipient;
  readonly #sealer: Sealer;
  #cookie: Uint8Array | undefined;
  #cookieAt = 0;
  #lastIndex = 0;
  /** mac1 of the last message that we sent, until a cookie reply to it arrived. */
  #lastMac1: Uint8Array | undefined;

  constructor(peer: Recipient, sealer: Sealer) {
    this.#peer = peer;
    this.#sealer = sealer;
  }

  /** Fills in mac1, and mac2 while we have a cookie. */
  stamp(message: Uint8Array, now: number): void {
    const mac1At = message.length - 2 * MAC_LENGTH, mac2At = message.length - MAC_LENGTH;
    const mac1 = mac(this.#peer.mac1Key, message.subarray(0, mac1At));
    message.set(mac1, mac1At);
    this.#lastMac1 = mac1;
    this.#lastIndex = readU32(message, INITIATION.sender);
    if (this.#cookie !== undefined && now - this.#cookieAt >= COOKIE_REFRESH_TIME) this.clear();
    if (this.#cookie !== undefined) message.set(mac(this.#cookie, message.subarray(0, mac2At)), mac2At);
  }

  /** Takes the cookie out of a reply to our last message; each message is good for one. */
  accept(reply: Uint8Array, now: number): "cookie-accepted" | "unknown-index" | "forged" {
    if (this.#lastMac1 === undefined || readU32(reply, COOKIE_REPLY.receiver) !== this.#lastIndex) {
      return "unknown-index";
    }
    const nonce = reply.subarray(COOKIE_REPLY.nonce, COOKIE_REPLY.cookie);
    const sealed = reply.subarray(COOKIE_REPLY.cookie);
    const cookie = xOpen(this.#sealer, this.#peer.cookieKey, nonce, this.#lastMac1, sealed);
    if (cookie === undefined) return "forged";
    this.#cookie = cookie;
    this.#cookieAt = now;
    this.#lastMac1 = undefined;
    return "cookie-accepted";
  }

  clear(): void {
    this.#cookie?.fill(0);
    this.#cookie = undefined;
  }
}
