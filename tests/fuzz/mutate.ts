/** Mutations of byte strings, from a seeded generator, so that every run can be repeated. */

/** mulberry32: 32 bits of state are plenty for choosing mutations. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** An integer in [0, limit). */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor(((t ^ (t >>> 14)) >>> 0) / 4294967296 * limit);
  }
}

const INTERESTING = [0, 1, 3, 4, 7, 8, 15, 16, 20, 0x40, 0x45, 0x60, 0x7f, 0x80, 0xfe, 0xff];
const MAX_LENGTH = 4096;

/** One to eight changes of `input`, possibly with a piece of `other`. */
export function mutate(input: Uint8Array, other: Uint8Array, dice: Dice): Uint8Array {
  let bytes = input;
  for (let rounds = 1 + dice.below(8); rounds > 0; rounds--) bytes = mutateOnce(bytes, other, dice);
  return bytes.length > MAX_LENGTH ? bytes.slice(0, MAX_LENGTH) : bytes;
}

function mutateOnce(bytes: Uint8Array, other: Uint8Array, dice: Dice): Uint8Array {
  const at = dice.below(bytes.length + 1);
  const copy = bytes.slice();
  switch (dice.below(9)) {
    case 0: // flip a bit
      if (at < copy.length) copy[at]! ^= 1 << dice.below(8);
      return copy;
    case 1: // any byte
      if (at < copy.length) copy[at] = dice.below(256);
      return copy;
    case 2: // a byte that programs care about
      if (at < copy.length) copy[at] = INTERESTING[dice.below(INTERESTING.length)]!;
      return copy;
    case 3: // a 16-bit length, often near the truth
      if (at + 1 < copy.length) {
        const value = dice.below(2) ? dice.below(65536) : (copy.length - at + dice.below(9) - 4) & 0xffff;
        copy[at] = value >> 8;
        copy[at + 1] = value & 255;
      }
      return copy;
    case 4: // cut the end off
      return copy.slice(0, at);
    case 5: // take a piece out
      return join(copy.slice(0, at), copy.slice(Math.min(copy.length, at + 1 + dice.below(16))));
    case 6: // repeat a piece
      return join(copy.slice(0, at), copy.slice(Math.max(0, at - 1 - dice.below(16))));
    case 7: { // insert noise
      const noise = Uint8Array.from({ length: 1 + dice.below(16) }, () => dice.below(256));
      return join(copy.slice(0, at), join(noise, copy.slice(at)));
    }
    default: { // splice with another input
      const from = dice.below(other.length + 1);
      return join(copy.slice(0, at), other.slice(from));
    }
  }
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}
