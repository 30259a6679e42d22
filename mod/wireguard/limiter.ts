/**
 * Admission of handshake messages, before any of them costs a Diffie-Hellman. One limiter serves a whole node.
 *
 *     mac1 wrong ─────────────────────────────► drop: the sender does not even know our public key
 *     ≤ 100 in this second ───────────────────► admit
 *     over it: mac2 missing or wrong ─────────► cookie reply, nothing else
 *              mac2 right (source is real) ───► admit within the rate of that source, else drop
 *
 * Seconds are counted lazily, so that no timer runs. The per-source rate applies to proven sources only: a spoofed
 * flood can then neither fill its table nor use up a victim's rate. An IPv6 source is its /64, which is what one
 * attacker has.
 */
import type { RandomBytes } from "../crypto/types.ts";
import { CookieFactory, hasValidMac1 } from "./cookie.ts";
import { classify, MessageType } from "./messages.ts";
import { type Recipient, recipient } from "./noise.ts";

const WINDOW = 1_000;

/** Why the limiter does not admit a handshake message. */
export type Refusal =
  /** Neither an initiation nor a response. */
  | "malformed"
  | "invalid-mac1"
  /** Under load, and the source is not proven. */
  | "cookie-required"
  /** Under load, and this source had its share. */
  | "source-limited";

/** What becomes of a handshake message. */
export type Admission =
  | { readonly admitted: true; readonly reply?: undefined }
  | {
    readonly admitted: false;
    readonly refusal: Refusal;
    /** With "cookie-required": 64 bytes to send back to where the message came from. */
    readonly reply?: Uint8Array;
  };

const ADMITTED: Admission = { admitted: true };

export interface HandshakeLimiterOptions {
  /** Our static public key. */
  readonly publicKey: Uint8Array;
  readonly random: RandomBytes;
  /** Handshake messages in one second that need no cookie. Default 100. */
  readonly perSecond?: number;
  /** Under load, from one proven source: sustained messages per second. Default 20. */
  readonly perSourcePerSecond?: number;
  /** Under load, from one proven source: messages at once. Default 5. */
  readonly perSourceBurst?: number;
}

export class HandshakeLimiter {
  readonly #self: Recipient;
  readonly #cookies: CookieFactory;
  readonly #perSecond: number;
  readonly #sources: TokenBuckets;
  #windowStart = -Infinity;
  #count = 0;

  constructor(options: HandshakeLimiterOptions) {
    this.#self = recipient(options.publicKey);
    this.#cookies = new CookieFactory(this.#self, options.random);
    this.#perSecond = options.perSecond ?? 100;
    this.#sources = new TokenBuckets(options.perSourcePerSecond ?? 20, options.perSourceBurst ?? 5);
  }

  /**
   * Decides about one initiation or response, and counts it: ask once per message.
   * @param source 4 or 16 address bytes of the sender (a relayed sender's own, not the relay's), optionally with
   * its port behind them; the cookie is bound to all of it, the rate to the address.
   */
  admit(message: Uint8Array, source: Uint8Array, now: number): Admission {
    const type = classify(message);
    if (type !== MessageType.Initiation && type !== MessageType.Response) return refuse("malformed");
    if (!hasValidMac1(message, this.#self)) return refuse("invalid-mac1");
    if (now - this.#windowStart >= WINDOW) {
      this.#windowStart = now;
      this.#count = 0;
    }
    if (this.#count++ < this.#perSecond) return ADMITTED;
    if (!this.#cookies.hasValidMac2(message, source, now)) {
      return {
        admitted: false,
        refusal: "cookie-required",
        reply: this.#cookies.createReply(message, source, now),
      };
    }
    return this.#sources.take(source, now) ? ADMITTED : refuse("source-limited");
  }
}

function refuse(refusal: Refusal): Admission {
  return { admitted: false, refusal };
}

/** Token buckets by source address, in a table of bounded size that forgets the longest silent source first. */
export class TokenBuckets {
  static readonly CAPACITY = 4096;
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  constructor(perSecond: number, burst: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
  }

  /** Takes one token of the source's; false when it has none. */
  take(source: Uint8Array, now: number): boolean {
    const key = source.subarray(0, source.length < 16 ? 4 : 8).join(".");
    const known = this.#buckets.get(key);
    const bucket = known ?? { tokens: this.#burst, at: now };
    this.#buckets.delete(key); // inserted again below: a Map iterates in order of insertion
    bucket.tokens = Math.min(this.#burst, bucket.tokens + (now - bucket.at) * this.#perSecond / 1000);
    bucket.at = now;
    if (this.#buckets.size >= TokenBuckets.CAPACITY) {
      for (const oldest of this.#buckets.keys()) {
        this.#buckets.delete(oldest);
        break;
      }
    }
    this.#buckets.set(key, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  }

  get size(): number {
    return this.#buckets.size;
  }
}
