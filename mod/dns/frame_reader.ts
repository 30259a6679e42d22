/** DNS over a stream (RFC 1035 §4.2.2): each message behind its length in two bytes, big-endian. */

const INITIAL = 512;
const PREFIX = 2;

export class FrameReader {
  #buffer = new Uint8Array(INITIAL);
  #length = 0;

  /** True when what has arrived ends within a message. */
  get isInside(): boolean {
    return this.#length > 0;
  }

  push(bytes: Uint8Array): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(needed, 2 * this.#buffer.length));
      larger.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = larger;
    }
    this.#buffer.set(bytes, this.#length);
    this.#length = needed;
  }

  /** The next whole message, or undefined while it is not all there. */
  next(): Uint8Array<ArrayBuffer> | undefined {
    if (this.#length < PREFIX) return undefined;
    const end = PREFIX + (this.#buffer[0]! << 8 | this.#buffer[1]!);
    if (this.#length < end) return undefined;
    const message = this.#buffer.slice(PREFIX, end);
    this.#buffer.copyWithin(0, end, this.#length);
    this.#length -= end;
    return message;
  }
}

/** @throws RangeError above 65535 bytes. */
export function frame(message: Uint8Array): Uint8Array<ArrayBuffer> {
  if (message.length > 0xffff) throw new RangeError(`Cannot frame ${message.length} bytes: 65535 at most.`);
  const bytes = new Uint8Array(PREFIX + message.length);
  bytes[0] = message.length >> 8;
  bytes[1] = message.length & 255;
  bytes.set(message, PREFIX);
  return bytes;
}
