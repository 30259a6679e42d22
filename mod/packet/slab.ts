/**
 * The slab: one block of memory that every packet lives in from arrival to departure.
 *
 * The packet path never allocates: the kernel writes into the slab, ciphers and checksums work on it in place,
 * and the kernel reads from it again. It is a `WebAssembly.Memory` with `initial == maximum`, so its address never
 * changes and the WASM kernels, typed arrays and FFI all see the same bytes (spec dataplane §1).
 * A packet is named by its byte offset in the slab; all rooms below `runtime/` share this one convention.
 */
const PAGE = 65536;

export class Slab {
  readonly memory: WebAssembly.Memory;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly words: Uint32Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  /** Absolute address of byte 0 as two 32-bit halves; set once by the I/O layer, 0 in pure tests. */
  baseLow = 0;
  baseHigh = 0;
  #used = 64; // offset 0 is never handed out, so that 0 can mean "none"

  constructor(byteLength: number) {
    const pages = Math.ceil(byteLength / PAGE);
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const buffer = this.memory.buffer as ArrayBuffer;
    this.bytes = new Uint8Array(buffer);
    this.words = new Uint32Array(buffer);
    this.view = new DataView(buffer);
  }

  /** Hands out a region for good (start-up only). Throws a RangeError when the slab is full. */
  reserve(length: number, align = 64): number {
    const offset = Math.ceil(this.#used / align) * align;
    if (offset + length > this.bytes.length) {
      throw new RangeError(
        `Cannot reserve ${length} bytes of the slab: only ${this.bytes.length - this.#used} of ` +
          `${this.bytes.length} are left. Create the slab with more memory.`,
      );
    }
    this.#used = offset + length;
    return offset;
  }
}
