/**
 * How often devices may log in. Devices reconnect in storms that are nobody's fault: a thousand behind one address, or
 * with one token, when the portal or their network comes back. So what is bounded is one device that can't stop, and
 * wrong tokens; the answer is 503 with Retry-After, because old devices give up for good on any 4xx (spec portal
 * §1.8, §1.10).
 */
import { createHash } from "node:crypto";
import { TokenBuckets } from "./token_buckets.ts";

/** Of one device, named by its token and its id. */
const DEVICE = { burst: 10, seconds: 1 };
/** Of one token, whose devices may be many. */
const TOKEN = { burst: 2_000, seconds: 0.02 };
/** Wrong tokens of one source, answered with the truth. */
const REFUSED = { burst: 20, seconds: 3 };
/** Lines about refusals in the log, whoever caused them. */
const LINES = { burst: 100, seconds: 2 };

export class LoginLimits {
  readonly #devices = new TokenBuckets(DEVICE);
  readonly #tokens = new TokenBuckets(TOKEN);
  readonly #refused = new TokenBuckets(REFUSED);
  readonly #lines = new TokenBuckets(LINES);

  /**
   * A device with a good token wants in.
   * @param now seconds
   * @returns 0, or the seconds after which it may come again
   */
  admitted(tokenHash: string, externalId: string, now: number): number {
    const device = createHash("sha256").update(`${tokenHash}\0${externalId}`).digest("base64url");
    return this.#devices.take(device, now) || this.#tokens.take(tokenHash, now);
  }

  /** A device was refused. @returns 0, or the seconds after which its source may try again */
  refused(source: string, now: number): number {
    return this.#refused.take(source, now);
  }

  /** Whether another refusal is worth a line; the counters count them all. */
  isWorthALine(now: number): boolean {
    return this.#lines.take("", now) === 0;
  }
}
