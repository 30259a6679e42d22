/** Mutations of byte strings: the classic ones of AFL and libFuzzer, and lies about lengths. */
import type { Dice } from "./dice.ts";

const BYTES = [0, 1, 3, 4, 7, 8, 15, 16, 20, 0x28, 0x40, 0x45, 0x60, 0x7f, 0x80, 0xfe, 0xff];
const WORDS = [0, 1, 4, 0x7f, 0x80, 0xff, 0x100, 0x500, 0x7fff, 0x8000, 0xfffe, 0xffff];
const DOUBLE_WORDS = [0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 0x2112a442, 0x7f000001];

export class Mutator {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #dice: Dice;
  readonly #dictionary: readonly Uint8Array[];
  readonly #maxLength: number;
  #length = 0;

  constructor(dice: Dice, maxLength: number, dictionary: readonly Uint8Array[]) {
    this.#dice = dice;
    this.#maxLength = maxLength;
    this.#dictionary = dictionary;
    this.#bytes = new Uint8Array(maxLength);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** One to six changes of `input`, possibly with pieces of `other`. */
  mutate(input: Uint8Array, other: Uint8Array): Uint8Array<ArrayBuffer> {
    this.#length = Math.min(input.length, this.#maxLength);
    this.#bytes.set(input.subarray(0, this.#length));
    for (let rounds = 1 + this.#dice.below(6); rounds > 0; rounds--) this.#change(other);
    return new Uint8Array(this.#bytes.subarray(0, this.#length));
  }

  #change(other: Uint8Array): void {
    const dice = this.#dice, bytes = this.#bytes, length = this.#length;
    // Headers are at the front: half of all changes happen there.
    const at = dice.below((dice.once(2) ? Math.min(length, 64) : length) + 1);
    switch (dice.below(14)) {
      case 0:
      case 1: // flip a bit
        if (at < length) bytes[at]! ^= 1 << dice.below(8);
        return;
      case 2: // any byte
        if (at < length) bytes[at] = dice.u32();
        return;
      case 3:
        if (at < length) bytes[at] = dice.pick(BYTES);
        return;
      case 4: // a little more or less
        if (at < length) bytes[at]! += dice.below(33) - 16;
        return;
      case 5:
        if (at + 2 <= length) this.#view.setUint16(at, dice.pick(WORDS), dice.once(2));
        return;
      case 6:
        if (at + 4 <= length) this.#view.setUint32(at, dice.pick(DOUBLE_WORDS), dice.once(2));
        return;
      case 7: // a length that is the truth or lies by a little
        if (at + 2 <= length) this.#view.setUint16(at, Math.max(0, length - at + dice.below(9) - 6));
        return;
      case 8: // cut the end off
        this.#length = at;
        return;
      case 9: { // take a piece out
        const end = Math.min(length, at + 1 + dice.below(dice.once(4) ? 64 : 8));
        bytes.copyWithin(at, end, length);
        this.#length = length - (end - at);
        return;
      }
      case 10: // say a piece twice
        return this.#insert(at, bytes.slice(at, Math.min(length, at + 1 + dice.below(32))));
      case 11:
        return this.#insert(at, dice.bytes(1 + dice.below(16)));
      case 12: { // a word that means something, or a piece of another input, in between or instead
        const piece = this.#dictionary.length > 0 && !dice.once(3)
          ? dice.pick(this.#dictionary)
          : pieceOf(other, dice);
        if (dice.once(2)) return this.#insert(at, piece);
        bytes.set(piece.subarray(0, Math.max(0, length - at)), at);
        return;
      }
      default: { // go on as another input does
        const from = dice.below(other.length + 1);
        const tail = other.subarray(from, from + this.#maxLength - at);
        bytes.set(tail, at);
        this.#length = at + tail.length;
      }
    }
  }

  #insert(at: number, piece: Uint8Array): void {
    const room = Math.min(piece.length, this.#maxLength - this.#length);
    this.#bytes.copyWithin(at + room, at, this.#length);
    this.#bytes.set(piece.subarray(0, room), at);
    this.#length += room;
  }
}

function pieceOf(bytes: Uint8Array, dice: Dice): Uint8Array {
  const from = dice.below(bytes.length + 1);
  return bytes.subarray(from, from + 1 + dice.below(32));
}
