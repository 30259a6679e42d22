/**
 * The replay window (paper §5.4.6; RFC 6479 without its slack): which of the last 8192 counters were received.
 *
 * A ring of 8192 bits, where counter c has bit c mod 8192; it covers (greatest - 8192, greatest]. Anything older
 * is refused, anything newer moves the window and clears the bits that it passes over. Counters are 64 bits in
 * two u32 words.
 */
export const REPLAY_WINDOW = 8192;

const WORDS = REPLAY_WINDOW / 32;

export class ReplayWindow {
  readonly #bits = new Uint32Array(WORDS);
  #greatestLow = 0;
  #greatestHigh = 0;
  #empty = true;

  /** True when the counter is new: neither seen nor too old. Changes nothing. */
  check(low: number, high: number): boolean {
    const ahead = this.#aheadBy(low, high);
    if (ahead > 0) return true;
    if (ahead <= -REPLAY_WINDOW) return false;
    return (this.#bits[(low & (REPLAY_WINDOW - 1)) >>> 5]! & (1 << (low & 31))) === 0;
  }

  /** Marks the counter as received; false, and no change, when `check` would say so. */
  accept(low: number, high: number): boolean {
    const bits = this.#bits;
    const position = low & (REPLAY_WINDOW - 1);
    const ahead = this.#aheadBy(low, high);
    if (ahead > 0) {
      if (ahead === 1) bits[position >>> 5]! &= ~(1 << (position & 31));
      else if (ahead >= REPLAY_WINDOW) bits.fill(0);
      else this.#clear(this.#greatestLow + 1, ahead);
      this.#greatestLow = low;
      this.#greatestHigh = high;
      this.#empty = false;
    } else if (ahead <= -REPLAY_WINDOW || (bits[position >>> 5]! & (1 << (position & 31))) !== 0) {
      return false;
    }
    bits[position >>> 5]! |= 1 << (position & 31);
    return true;
  }

  /** Counter minus greatest; exact while it is small, of the right sign and size always. */
  #aheadBy(low: number, high: number): number {
    if (this.#empty) return REPLAY_WINDOW;
    return (high - this.#greatestHigh) * 0x100000000 + (low - this.#greatestLow);
  }

  /** Clears `count` < 8192 bits from counter `from` on. */
  #clear(from: number, count: number): void {
    const bits = this.#bits;
    for (let i = 0; i < count; i++) {
      const position = (from + i) & (REPLAY_WINDOW - 1);
      bits[position >>> 5]! &= ~(1 << (position & 31));
    }
  }
}
