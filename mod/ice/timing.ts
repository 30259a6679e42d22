/**
 * How often a pair is checked and when it is given up (snownet §2.8, §6.1, §6.5).
 *
 * A fresh pair is checked with doubling gaps up to `maxRto`; then every `maxRto`, for as long as it lives. After
 * `maxAttempts` checks in a row without an answer the pair is dropped. A gateway takes the long profiles: the client
 * notices a lost path first, and a gateway that still has the connection lets it resume without the portal.
 */
export interface IceTiming {
  /** Gap after the first check, ms. */
  readonly initialRto: number;
  /** Longest gap, ms. */
  readonly maxRto: number;
  readonly maxAttempts: number;
}

export const CLIENT_ACTIVE: IceTiming = { initialRto: 250, maxRto: 1_500, maxAttempts: 12 };
export const CLIENT_IDLE: IceTiming = { initialRto: 25_000, maxRto: 25_000, maxAttempts: 4 };
export const GATEWAY_ACTIVE: IceTiming = { initialRto: 250, maxRto: 15_000, maxAttempts: 45 };
export const GATEWAY_IDLE: IceTiming = { initialRto: 25_000, maxRto: 25_000, maxAttempts: 40 };

/** Gap in ms behind the `n`th check of a row, n >= 1. */
export function checkGap(timing: IceTiming, n: number): number {
  return Math.min(timing.initialRto * 2 ** Math.min(n - 1, timing.maxAttempts), timing.maxRto);
}
