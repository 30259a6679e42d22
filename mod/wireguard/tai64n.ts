/**
 * TAI64N labels (https://cr.yp.to/libtai/tai64.html): 8 bytes 2^62 + seconds, 4 bytes nanoseconds, big-endian, so
 * that byte order is time order. An initiation carries one; a responder accepts only a greater one than before,
 * which is what stops replayed initiations (paper §5.1).
 */
import { TIMESTAMP_LENGTH } from "./constants.ts";

const TAI_OFFSET = 10; // TAI minus UTC at the Unix epoch, the constant that every implementation uses
const NANOSECONDS = 1_000_000_000;

/** Makes labels that grow strictly, even while the wall clock stands still or jumps back. */
export class Tai64nClock {
  readonly #unixNow: () => number;
  #seconds = 0;
  #nanoseconds = -1;

  /** @param unixNow milliseconds since the Unix epoch. */
  constructor(unixNow: () => number) {
    this.#unixNow = unixNow;
  }

  next(): Uint8Array {
    const milliseconds = Math.max(0, this.#unixNow());
    const seconds = Math.floor(milliseconds / 1000);
    const nanoseconds = Math.floor((milliseconds - seconds * 1000) * 1e6);
    if (seconds > this.#seconds || (seconds === this.#seconds && nanoseconds > this.#nanoseconds)) {
      this.#seconds = seconds;
      this.#nanoseconds = nanoseconds;
    } else if (++this.#nanoseconds === NANOSECONDS) {
      this.#seconds++;
      this.#nanoseconds = 0;
    }
    return encodeTai64n(this.#seconds, this.#nanoseconds);
  }
}

/** 12-byte label of a Unix time. */
export function encodeTai64n(unixSeconds: number, nanoseconds: number): Uint8Array {
  const label = new Uint8Array(TIMESTAMP_LENGTH);
  const view = new DataView(label.buffer);
  const seconds = unixSeconds + TAI_OFFSET;
  view.setUint32(0, 0x40000000 + Math.floor(seconds / 2 ** 32));
  view.setUint32(4, seconds % 2 ** 32);
  view.setUint32(8, nanoseconds);
  return label;
}

/** True when label `a` is later than label `b`. */
export function isAfter(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < TIMESTAMP_LENGTH; i++) {
    if (a[i] !== b[i]) return a[i]! > b[i]!;
  }
  return false;
}
