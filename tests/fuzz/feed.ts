/**
 * An input read as instructions: numbers and choices from the front, whatever is left as raw bytes. An exhausted
 * input gives zeros, so every byte string is a program, every mutation of one is one, and shorter ones are simpler.
 */
export class Feed {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isEmpty(): boolean {
    return this.#at >= this.#bytes.length;
  }

  u8(): number {
    return this.#bytes[this.#at++] ?? 0;
  }

  u16(): number {
    return (this.u8() << 8) | this.u8();
  }

  /** An integer in [0, limit), `limit` at most 65536. */
  below(limit: number): number {
    return (limit <= 256 ? this.u8() : this.u16()) % limit;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** At most `length` bytes. */
  take(length: number): Uint8Array<ArrayBuffer> {
    const taken = new Uint8Array(this.#bytes.subarray(this.#at, this.#at + length));
    this.#at = Math.min(this.#at + length, this.#bytes.length);
    return taken;
  }

  rest(): Uint8Array<ArrayBuffer> {
    return this.take(Math.max(0, this.#bytes.length - this.#at));
  }
}
