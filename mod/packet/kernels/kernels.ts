/**
 * The byte-heavy inner loops as WebAssembly SIMD over the slab's own memory: a call costs about 10 ns, a plain
 * JavaScript checksum of a full packet five times the kernel's (spec dataplane §2). The twin in `../checksum.ts`
 * keeps them honest.
 */
import type { Slab } from "../slab.ts";
import { CHECKSUM_WASM } from "./checksum_wasm.ts";

interface ChecksumExports {
  checksum(offset: number, length: number, initial: number): number;
  copyChecksum(destination: number, source: number, length: number, initial: number): number;
}

export class Kernels {
  readonly #exports: ChecksumExports;

  constructor(slab: Slab) {
    const binary = Uint8Array.from(atob(CHECKSUM_WASM), (c) => c.charCodeAt(0));
    const instance = new WebAssembly.Instance(new WebAssembly.Module(binary), {
      env: { memory: slab.memory },
    });
    this.#exports = instance.exports as unknown as ChecksumExports;
  }

  /**
   * One's-complement sum (RFC 1071) of slab[offset, offset+length) and `initial` (any u32), folded to 16 bits, in
   * network order, *not* complemented. 0 only when everything is zero. `length` at most 512 KiB; the range must lie
   * in the slab (a trap otherwise).
   */
  checksum(offset: number, length: number, initial: number): number {
    return this.#exports.checksum(offset, length, initial);
  }

  /** Copies `length` bytes (ranges must not overlap) and returns their sum as {@link checksum} does. */
  copyChecksum(destination: number, source: number, length: number, initial: number): number {
    return this.#exports.copyChecksum(destination, source, length, initial);
  }
}
