/**
 * How much the relay answers to senders that have proved nothing. Two token buckets bound it: one per source address
 * (IPv6: per /64), so that a forged source draws little onto its victim; and one for all signed challenges together,
 * which cost several hashes each, so that a flood from many addresses can't take the thread from relayed traffic.
 * Sources are hashed into a fixed table; a collision shares a bucket, which only ever means less.
 */
import type { SocketAddress } from "../../packet/address.ts";

const BUCKETS = 4096;
/** Answers per second and burst: a site of a thousand devices behind one address stays below. */
const SOURCE_RATE = 200, SOURCE_BURST = 400;
/** A challenge takes about 40 µs: a flood of them at most a tenth of the thread. */
const CHALLENGE_RATE = 2000, CHALLENGE_BURST = 4000;

export class ResponseLimiter {
  readonly #seed: number;
  /** Per bucket: tokens spent and not yet regained, and when that was. */
  readonly #spent = new Float64Array(BUCKETS + 1);
  readonly #at = new Float64Array(BUCKETS + 1);

  /** @param seed u32, secret. */
  constructor(seed: number) {
    this.#seed = seed;
  }

  /** Takes one answer to `source`; false = stay silent. */
  allowsAnswer(source: SocketAddress, now: number): boolean {
    return this.#take(this.#bucketOf(source), SOURCE_RATE, SOURCE_BURST, now);
  }

  /** Takes one signed challenge to `source`; false = stay silent. */
  allowsChallenge(source: SocketAddress, now: number): boolean {
    return this.allowsAnswer(source, now) && this.#take(BUCKETS, CHALLENGE_RATE, CHALLENGE_BURST, now);
  }

  #take(bucket: number, rate: number, burst: number, now: number): boolean {
    const regained = (now - this.#at[bucket]!) * rate / 1000;
    const spent = Math.max(0, this.#spent[bucket]! - regained);
    this.#at[bucket] = now;
    const allowed = spent + 1 <= burst;
    this.#spent[bucket] = allowed ? spent + 1 : spent;
    return allowed;
  }

  #bucketOf(source: SocketAddress): number {
    let hash = this.#seed;
    const length = Math.min(8, source.bytes.length);
    for (let i = 0; i < length; i++) hash = Math.imul(hash ^ source.bytes[i]!, 0x01000193);
    return (hash ^ (hash >>> 16)) & (BUCKETS - 1);
  }
}
