/** A slab whose regions lie between guard zones: whoever writes outside of its region is found out. */
import assert from "node:assert/strict";
import { Slab } from "../../mod/packet/mod.ts";

const GUARD = 256;
const FILL = 0xa5;

export class GuardedSlab {
  readonly slab: Slab;
  readonly #zones: number[] = [];

  constructor(byteLength: number) {
    this.slab = new Slab(byteLength);
    this.#guard();
  }

  /** A region of `length` bytes with a zone in front of it and one behind. */
  reserve(length: number): number {
    const offset = this.slab.reserve(length, 64);
    // From the very end of the region on, not from the next aligned place.
    const tail = this.slab.reserve(GUARD, 1);
    assert.equal(tail, offset + length);
    this.#zones.push(tail);
    this.slab.bytes.fill(FILL, tail, tail + GUARD);
    return offset;
  }

  check(): void {
    const { bytes } = this.slab;
    for (const zone of this.#zones) {
      for (let i = zone; i < zone + GUARD; i++) {
        if (bytes[i] !== FILL) {
          throw new Error(`Byte ${i - zone} of the guard zone at ${zone} was overwritten.`);
        }
      }
    }
  }

  #guard(): void {
    const zone = this.slab.reserve(GUARD, 1);
    this.#zones.push(zone);
    this.slab.bytes.fill(FILL, zone, zone + GUARD);
  }
}

/** The bytes of a region, to be compared with later: nobody may have touched what is behind an input. */
export function poison(bytes: Uint8Array, from: number, to: number): void {
  bytes.fill(FILL, from, to);
}

export function assertPoisoned(bytes: Uint8Array, from: number, to: number, what: string): void {
  for (let i = from; i < to; i++) {
    if (bytes[i] !== FILL) throw new Error(`${what}: byte ${i - from} was written.`);
  }
}
