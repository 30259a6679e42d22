/**
 * How many relay channels one peer may cost. A relay gives an allocation 4096 numbers, each taken for 15 minutes, and
 * all our peers share them: one that signals addresses without end must not use them up.
 */
import type { SocketAddress } from "../packet/address.ts";

/** Addresses at once, then one more in each interval (ms): far more than any honest peer has. */
const BURST = 64, INTERVAL = 5_000;

export class ChannelBudget {
  readonly #spentOn = new Set<string>();
  #left = BURST;
  #refilledAt: number;

  constructor(now: number) {
    this.#refilledAt = now;
  }

  /** True when there may be a channel to this address of the peer's; one that was allowed stays so. */
  allows(remote: SocketAddress, now: number): boolean {
    if (this.#spentOn.has(remote.key)) return true;
    const earned = Math.floor((now - this.#refilledAt) / INTERVAL);
    this.#refilledAt += earned * INTERVAL;
    this.#left = Math.min(BURST, this.#left + earned);
    if (this.#left === 0) return false;
    this.#left--;
    this.#spentOn.add(remote.key);
    if (this.#spentOn.size > BURST) this.#spentOn.delete(this.#spentOn.values().next().value!);
    return true;
  }
}
