/** Exponential back-off with jitter: 0.5 s, growing by half each time up to 60 s, each ± 50 %. */
import type { RandomBytes } from "../crypto/types.ts";

export const INITIAL_INTERVAL = 500;
export const MAX_INTERVAL = 60_000;
const MULTIPLIER = 1.5;
const RANDOMIZATION = 0.5;

export class Backoff {
  #interval = INITIAL_INTERVAL;
  readonly #random: RandomBytes;

  constructor(random: RandomBytes) {
    this.#random = random;
  }

  /** Milliseconds to wait before the next attempt: between half and one and a half times the interval. */
  next(): number {
    const bytes = this.#random(4);
    const unit = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) / 0x1_0000_0000;
    const delay = this.#interval * (1 - RANDOMIZATION + 2 * RANDOMIZATION * unit);
    this.#interval = Math.min(this.#interval * MULTIPLIER, MAX_INTERVAL);
    return Math.round(delay);
  }

  reset(): void {
    this.#interval = INITIAL_INTERVAL;
  }
}
