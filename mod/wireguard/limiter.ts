/**
 * Admission of handshake messages, before any of them costs a Diffie-Hellman. One limiter serves a whole node.
 *
 *     mac1 wrong ─────────────────────────────► drop: the sender does not even know our public key
 *     ≤ 250 at once, then 250 a second ───────► admit
 *     over it: mac2 missing or wrong ─────────► cookie reply, for some: see below
 *              mac2 right (source is real) ───► admit within the rate of that source, else drop
 *
 * Over it, a message without mac2 whose sender would get no cookie anyway is dropped before its mac1 is looked at:
 * that hash would be most of what a flood costs.
 *
 * A cookie reply costs ten times a mac1, so a flood must not buy as many as it likes. Each second a source gets the
 * first few at once, within a total for all; beyond that every 32nd message is answered, whoever sent it, so that
 * nobody who shares its address with a flood, or whose address a flood claims, is shut out for good; and that, too,
 * has its limit. Where the kernel has thinned a source's messages to fewer already (`packet/screen.ts`), each that is
 * left is answered, within a limit of its own, and none is admitted without a cookie: the admissions are for others.
 *
 * Admissions come back one by one, not all with the next second: under a flood each is taken at once, and two hundred
 * and fifty Diffie-Hellmans in a row are a gap in everybody's traffic.
 *
 * Seconds are counted lazily, so that no timer runs. The per-source rate applies to proven sources only: a spoofed
 * flood can then neither fill its table nor use up a victim's rate. An IPv6 source is its /64, which is what one
 * attacker has.
 */
import type { RandomBytes, Sealer } from "../crypto/types.ts";
import { CookieFactory, hasMac2, hasValidMac1 } from "./cookie.ts";
import { classify, MessageType } from "./messages.ts";
import { type Recipient, recipient } from "./noise.ts";

const WINDOW = 1_000;
/** Cookie replies that are certain, per second: in all, and to one source. */
const COOKIES_PER_SECOND = 500, COOKIES_PER_SOURCE = 20;
/** Of the messages beyond, one in so many is answered, and no more than this many a second. */
const ANSWERED_ONE_IN = 32, MAX_LOTTERY_COOKIES = 3_200;
/** Of those that the kernel has left of a thinned source's, answers a second. */
const MAX_THINNED_COOKIES = 100;

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
    /** With "cookie-required", unless there were too many: 64 bytes to send back to where the message came from. */
    readonly reply?: Uint8Array;
  };

const ADMITTED: Admission = { admitted: true };
const COOKIE_WITHHELD: Admission = { admitted: false, refusal: "cookie-required" };

export interface HandshakeLimiterOptions {
  /** Our static public key. */
  readonly publicKey: Uint8Array;
  readonly random: RandomBytes;
  /** Default: in JavaScript. */
  readonly sealer?: Sealer | undefined;
  /** Handshake messages that need no cookie: at once, and then each second. Default 250: about a tenth of a core. */
  readonly perSecond?: number;
  /** Under load, from one proven source: sustained messages per second. Default 50: an office behind one NAT. */
  readonly perSourcePerSecond?: number;
  /** Under load, from one proven source: messages at once. Default 50. */
  readonly perSourceBurst?: number;
}

export class HandshakeLimiter {
  readonly #self: Recipient;
  readonly #cookies: CookieFactory;
  readonly #perSecond: number;
  readonly #sources: TokenBuckets;
  readonly #quota: CookieQuota;
  #windowStart = -Infinity;
  /** Messages that may be admitted without a cookie now. */
  #free: number;
  #freeAt = 0;

  constructor(options: HandshakeLimiterOptions) {
    this.#self = recipient(options.publicKey);
    this.#cookies = new CookieFactory(this.#self, options.random, options.sealer);
    this.#free = this.#perSecond = options.perSecond ?? 250;
    this.#sources = new TokenBuckets(options.perSourcePerSecond ?? 50, options.perSourceBurst ?? 50);
    this.#quota = new CookieQuota(options.random);
  }

  /**
   * Decides about one initiation or response, and counts it: ask once per message.
   * @param source 4 or 16 address bytes of the sender (a relayed sender's own, not the relay's), optionally with
   * its port behind them; the cookie is bound to all of it, the rate to the address.
   * @param isThinned this one has no cookie and is what the kernel has left of its thinned source's.
   */
  admit(message: Uint8Array, source: Uint8Array, now: number, isThinned = false): Admission {
    const type = classify(message);
    if (type !== MessageType.Initiation && type !== MessageType.Response) return refuse("malformed");
    if (now - this.#windowStart >= WINDOW) {
      this.#windowStart = now;
      this.#quota.renew();
    }
    this.#free = Math.min(this.#perSecond, this.#free + (now - this.#freeAt) * this.#perSecond / 1000);
    this.#freeAt = now;
    const isUnderLoad = isThinned || this.#free < 1;
    if (isUnderLoad && !hasMac2(message) && !this.#quota.allows(source, isThinned)) return COOKIE_WITHHELD;
    if (!hasValidMac1(message, this.#self)) return refuse("invalid-mac1");
    if (!isUnderLoad) {
      this.#free--;
      return ADMITTED;
    }
    if (!this.#cookies.hasValidMac2(message, source, now)) {
      if (hasMac2(message) && !this.#quota.allows(source, false)) return COOKIE_WITHHELD;
      this.#quota.take(source);
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

/**
 * Who gets a cookie reply in one second. Sources are counted in a table that they are hashed into with a secret seed:
 * neither its size nor the work depends on how many there are.
 */
class CookieQuota {
  readonly #counts = new Uint8Array(4096);
  readonly #seed: number;
  #total = 0;
  #beyond = 0;
  #answeredBeyond = 0;
  #answeredThinned = 0;

  constructor(random: RandomBytes) {
    this.#seed = new DataView(random(4).buffer).getUint32(0);
  }

  renew(): void {
    this.#counts.fill(0);
    this.#total = this.#answeredBeyond = this.#answeredThinned = 0;
  }

  /** Whether this message may be answered: ask once for each, and {@link take} when it is. */
  allows(source: Uint8Array, isThinned: boolean): boolean {
    if (this.#isCertain(this.#slotOf(source))) return true;
    if (isThinned) return ++this.#answeredThinned <= MAX_THINNED_COOKIES;
    return ++this.#beyond % ANSWERED_ONE_IN === 0 && ++this.#answeredBeyond <= MAX_LOTTERY_COOKIES;
  }

  take(source: Uint8Array): void {
    const slot = this.#slotOf(source);
    if (!this.#isCertain(slot)) return;
    this.#counts[slot]!++;
    this.#total++;
  }

  #isCertain(slot: number): boolean {
    return this.#total < COOKIES_PER_SECOND && this.#counts[slot]! < COOKIES_PER_SOURCE;
  }

  #slotOf(source: Uint8Array): number {
    let hash = this.#seed;
    const length = source.length < 16 ? 4 : 8;
    for (let i = 0; i < length; i++) hash = Math.imul(hash ^ source[i]!, 0x01000193);
    return (hash ^ hash >>> 15) & (this.#counts.length - 1);
  }
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
