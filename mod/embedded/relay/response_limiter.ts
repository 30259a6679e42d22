/**
 * How much the relay does for whom, as token buckets:
 *
 * - Senders that have proved nothing are answered so and so often per source address (IPv6: per /64), before anything
 *   is computed for them, and their answers may exceed their requests by so many bytes: whoever forges a source
 *   draws hardly more onto its victim than it sends itself.
 * - All signed challenges together are bounded, since they cost several hashes each: a flood from many addresses can't
 *   take the thread from relayed traffic.
 * - A credential may make so many requests, and relay so many bytes where the operator says so:
 *   {@link CredentialBudget} and {@link TrafficBudget}, kept with its allocation.
 *
 * Sources are hashed into a fixed table; a collision shares a bucket, which only ever means less.
 */
const BUCKETS = 4096;
/** Answers per second and burst: a site of a thousand devices behind one address comes back within seconds. */
const SOURCE_RATE = 500, SOURCE_BURST = 2000;
/** Bytes by which answers exceed requests. A device's own requests are longer than their answers. */
const EXCESS_RATE = 2000, EXCESS_BURST = 8000;
/** A challenge takes about 40 µs: a flood of them at most a tenth of the thread. */
const CHALLENGE_RATE = 2000, CHALLENGE_BURST = 4000;
/** A gateway whose thousand clients all come back binds their candidates within seconds. */
const CREDENTIAL_RATE = 1000, CREDENTIAL_BURST = 4000;

/** Token buckets in a row: what was spent and not yet regained, and when that was. */
class Buckets {
  readonly #rate: number;
  readonly #burst: number;
  readonly #spent: Float64Array;
  readonly #at: Float64Array;

  /** @param rate per second */
  constructor(count: number, rate: number, burst: number) {
    this.#rate = rate;
    this.#burst = burst;
    this.#spent = new Float64Array(count);
    this.#at = new Float64Array(count);
  }

  /** Takes `amount` from bucket `i`; false (and takes nothing) when it holds less. */
  take(i: number, amount: number, now: number): boolean {
    const regained = (now - this.#at[i]!) * this.#rate / 1000;
    const spent = Math.max(0, this.#spent[i]! - regained);
    this.#at[i] = now;
    const allowed = spent + amount <= this.#burst;
    this.#spent[i] = allowed ? spent + amount : spent;
    return allowed;
  }
}

export class ResponseLimiter {
  readonly #seed: number;
  readonly #answers = new Buckets(BUCKETS, SOURCE_RATE, SOURCE_BURST);
  readonly #excess = new Buckets(BUCKETS, EXCESS_RATE, EXCESS_BURST);
  readonly #challenges = new Buckets(1, CHALLENGE_RATE, CHALLENGE_BURST);

  /** @param seed u32, secret. */
  constructor(seed: number) {
    this.#seed = seed;
  }

  /** Where the source with the address record at words[at..at+5) is kept. Allocates nothing. */
  bucketOf(words: Uint32Array, at: number): number {
    const v6 = (words[at]! & 0xffff) === 6;
    let hash = Math.imul(this.#seed ^ words[at + 1]!, 0x85ebca6b);
    if (v6) hash = Math.imul(hash ^ (hash >>> 15) ^ words[at + 2]!, 0x9e3779b1);
    hash ^= hash >>> 13;
    return (hash ^ (hash >>> 16)) & (BUCKETS - 1);
  }

  /** Takes one answer to the source in `bucket`; false = stay silent. */
  allowsAnswer(bucket: number, now: number): boolean {
    return this.#answers.take(bucket, 1, now);
  }

  /** Takes one signed challenge out of those for everybody; false = stay silent. */
  allowsChallenge(now: number): boolean {
    return this.#challenges.take(0, 1, now);
  }

  /** Takes what an answer is longer than its request; false = stay silent. */
  allowsLength(bucket: number, request: number, answer: number, now: number): boolean {
    return answer <= request || this.#excess.take(bucket, answer - request, now);
  }
}

/** The requests that one credential may make while it has an allocation. */
export class CredentialBudget {
  readonly #bucket = new Buckets(1, CREDENTIAL_RATE, CREDENTIAL_BURST);

  /** Takes one request; false = drop it. */
  allowsRequest(now: number): boolean {
    return this.#bucket.take(0, 1, now);
  }
}

/** The payload that one allocation relays in a tenth of a second can come at once, and a few trains of datagrams always. */
const TRAFFIC_BURST_S = 0.1, MIN_TRAFFIC_BURST = 1 << 18;

/** The bytes that one credential may have relayed. */
export class TrafficBudget {
  readonly #bucket: Buckets;

  constructor(bytesPerSecond: number) {
    const burst = Math.max(MIN_TRAFFIC_BURST, bytesPerSecond * TRAFFIC_BURST_S);
    this.#bucket = new Buckets(1, bytesPerSecond, burst);
  }

  /** Packet path: takes `bytes`; false = drop them. */
  allowsBytes(bytes: number, now: number): boolean {
    return this.#bucket.take(0, bytes, now);
  }
}
