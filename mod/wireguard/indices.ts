/**
 * Receiver indices (spec snownet §4.2). A connection owns a 24-bit base; each handshake appends an 8-bit counter.
 * So `receiverIndex >>> 8` names the connection of any message that carries a receiver index.
 */
import type { RandomBytes } from "../crypto/types.ts";

const BASES = 1 << 24;

/** Hands out distinct 24-bit bases that say nothing about how many there are. */
export class IndexAllocator {
  readonly #random: RandomBytes;
  readonly #used = new Set<number>();

  constructor(random: RandomBytes) {
    this.#random = random;
  }

  /** A base that no one else has. Throws a RangeError when all 2^24 are taken. */
  allocate(): number {
    if (this.#used.size === BASES) {
      throw new RangeError(
        "Cannot allocate a session index: all 2^24 are in use. Release closed connections' ones.",
      );
    }
    const bytes = this.#random(3);
    let base = bytes[0]! | bytes[1]! << 8 | bytes[2]! << 16;
    while (this.#used.has(base)) base = (base + 1) % BASES;
    this.#used.add(base);
    return base;
  }

  /** Gives a base back. */
  release(base: number): void {
    this.#used.delete(base);
  }
}

/** The base that a receiver index belongs to. */
export function baseOf(receiverIndex: number): number {
  return receiverIndex >>> 8;
}
