/**
 * Token buckets by key, in a table that can't grow: each key may do `burst` things at once, and one more every
 * `seconds`. When the table is full, the key that was seen longest ago is forgotten, which is the one that has had
 * the most time to earn its tokens back.
 */
export interface BucketLimits {
  readonly burst: number;
  /** Until a spent token is there again. */
  readonly seconds: number;
}

const MAX_KEYS = 20_000;

interface Bucket {
  /** Spent and not yet regained, at `at`. */
  spent: number;
  /** Seconds. */
  at: number;
}

export class TokenBuckets {
  readonly #limits: BucketLimits;
  readonly #buckets = new Map<string, Bucket>();

  constructor(limits: BucketLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /**
   * Takes a token.
   * @param now seconds
   * @returns 0; or, when there is none, the seconds after which there is one
   */
  take(key: string, now: number): number {
    const bucket = this.#touch(key, now);
    if (bucket.spent + 1 > this.#limits.burst) {
      return Math.ceil((bucket.spent + 1 - this.#limits.burst) * this.#limits.seconds);
    }
    bucket.spent++;
    return 0;
  }

  /** Gives a token back: what it was taken for turned out to be harmless. */
  giveBack(key: string, now: number): void {
    const bucket = this.#touch(key, now);
    bucket.spent = Math.max(0, bucket.spent - 1);
  }

  #touch(key: string, now: number): Bucket {
    const bucket = this.#buckets.get(key) ?? { spent: 0, at: now };
    this.#buckets.delete(key);
    if (this.#buckets.size >= MAX_KEYS) {
      for (const oldest of this.#buckets.keys()) {
        this.#buckets.delete(oldest);
        break;
      }
    }
    this.#buckets.set(key, bucket);
    bucket.spent = Math.max(0, bucket.spent - Math.max(0, now - bucket.at) / this.#limits.seconds);
    bucket.at = now;
    return bucket;
  }
}
