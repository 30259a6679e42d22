/**
 * Remembers what the tables said about (peer, remote address, protocol class, port), so that an established flow
 * costs one probe of a typed array.
 *
 * The key does not name the peer but its *version*: a number that no other state of any peer ever had. Changing a
 * peer therefore forgets its entries without touching them. The cache is bounded: an address has four slots, and
 * when they are taken by others one of them goes. The hash is seeded, so that a client can't aim at another's slots.
 */
const WAYS = 4;
const ENTRY_WORDS = 8; // version · class and port · address (4) · value · unused

export class VerdictCache {
  readonly #words: Uint32Array;
  readonly #mask: number;
  readonly #seed: number;
  #victim = 0;
  /** Where the last missed `find` may be stored. */
  #bucket = 0;

  /** @param entries a power of two. @param seed any 32 random bits. */
  constructor(entries: number, seed: number) {
    this.#words = new Uint32Array(entries * ENTRY_WORDS);
    this.#mask = entries / WAYS - 1;
    this.#seed = seed | 0;
  }

  /** The remembered value, or 0. `flow` is any 31 bits beside the address, four words of `address` from `from`. */
  find(version: number, flow: number, address: Uint32Array, from: number): number {
    const a = address[from]!, b = address[from + 1]!, c = address[from + 2]!, d = address[from + 3]!;
    let hash = Math.imul(this.#seed ^ version ^ Math.imul(a, 0x85ebca6b), 0x9e3779b1);
    hash = Math.imul((hash ^ (hash >>> 15)) + flow, 0x2c1b3c6d);
    hash = Math.imul(hash ^ (hash >>> 13) ^ d, 0x297a2d39);
    hash = Math.imul(hash ^ (hash >>> 16) ^ b ^ Math.imul(c, 0xc2b2ae35), 0x85ebca6b);
    const bucket = (((hash ^ (hash >>> 15)) & this.#mask) * WAYS) * ENTRY_WORDS;
    const words = this.#words;
    for (let at = bucket; at < bucket + WAYS * ENTRY_WORDS; at += ENTRY_WORDS) {
      if (
        words[at] === version && words[at + 1] === flow && words[at + 2] === a &&
        words[at + 5] === d && words[at + 3] === b && words[at + 4] === c
      ) {
        return words[at + 6]!;
      }
    }
    this.#bucket = bucket;
    return 0;
  }

  /** Remembers `value` (never 0) for the key of the last `find`, which must have missed. */
  store(version: number, flow: number, address: Uint32Array, from: number, value: number): void {
    const words = this.#words;
    let at = this.#bucket;
    const end = at + WAYS * ENTRY_WORDS;
    while (at < end && words[at] !== 0) at += ENTRY_WORDS;
    if (at === end) {
      this.#victim = (this.#victim + 1) & (WAYS - 1);
      at = this.#bucket + this.#victim * ENTRY_WORDS;
    }
    words[at] = version;
    words[at + 1] = flow;
    for (let i = 0; i < 4; i++) words[at + 2 + i] = address[from + i]!;
    words[at + 6] = value;
  }

  clear(): void {
    this.#words.fill(0);
  }
}
