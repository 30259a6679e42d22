/**
 * Native pointers to slab offsets. Making a pointer object costs 72 ns, passing an existing one nothing, so they are
 * made on first use and kept: one per 4-aligned offset that packets ever start at, in pages of 1024 (a flat sparse
 * array would become a hash table). A pointer object takes about 130 bytes; hostile packets could ask for one per
 * 4 bytes of every buffer, so beyond {@link MAX_KEPT} all are forgotten and made again as needed.
 *
 * The slab is never moved by V8 and is kept reachable here, which is what makes the pointers safe to hold.
 */
import type { Slab } from "../mod/packet/slab.ts";

const PAGE_SHIFT = 10;
const PAGE_SIZE = 1 << PAGE_SHIFT;
/** Pointers kept at most: about 16 MB. */
export const MAX_KEPT = 131072;

const instances = new WeakMap<Slab, SlabPointers>();

export class SlabPointers {
  readonly #slab: Slab;
  readonly #base: bigint;
  #pages: (Deno.PointerObject | undefined)[][] = [];
  #kept = 0;

  private constructor(slab: Slab) {
    this.#slab = slab;
    this.#base = Deno.UnsafePointer.value(Deno.UnsafePointer.of(slab.bytes));
    slab.baseLow = Number(this.#base & 0xffffffffn);
    slab.baseHigh = Number(this.#base >> 32n);
    this.#forget();
  }

  /** The pointers of this slab in this thread; the first call sets `slab.baseLow` and `slab.baseHigh`. */
  static of(slab: Slab): SlabPointers {
    let pointers = instances.get(slab);
    if (!pointers) instances.set(slab, pointers = new SlabPointers(slab));
    return pointers;
  }

  /** Pointer to `offset`. Throws a RangeError unless it is a multiple of 4 inside the slab. */
  at(offset: number): Deno.PointerObject {
    if ((offset & 3) === 0) {
      const pointer = this.#pages[offset >>> (PAGE_SHIFT + 2)]?.[(offset >>> 2) & (PAGE_SIZE - 1)];
      if (pointer !== undefined) return pointer;
    }
    return this.#make(offset);
  }

  /** Writes the 64-bit address of slab offset `target` at slab offset `at` (a multiple of 4): a C pointer field. */
  write(at: number, target: number): void {
    const low = this.#slab.baseLow + target;
    this.#slab.words[at >>> 2] = low;
    this.#slab.words[(at >>> 2) + 1] = this.#slab.baseHigh + (low > 0xffffffff ? 1 : 0);
  }

  #make(offset: number): Deno.PointerObject {
    if (!Number.isInteger(offset) || (offset & 3) !== 0 || offset < 0 || offset >= this.#slab.bytes.length) {
      throw new RangeError(
        `Cannot point at slab offset ${offset}: it must be a multiple of 4 below ${this.#slab.bytes.length}. ` +
          "Align the packet first.",
      );
    }
    const pointer = Deno.UnsafePointer.create(this.#base + BigInt(offset));
    if (pointer === null) throw new RangeError("Cannot point into the slab: its address is 0. Report this.");
    if (this.#kept === MAX_KEPT) this.#forget();
    this.#kept++;
    const page = this.#pages[offset >>> (PAGE_SHIFT + 2)]!;
    if (page.length === 0) { for (let i = 0; i < PAGE_SIZE; i++) page.push(undefined); }
    page[(offset >>> 2) & (PAGE_SIZE - 1)] = pointer;
    return pointer;
  }

  #forget(): void {
    const pages = Math.ceil(this.#slab.bytes.length / (PAGE_SIZE * 4));
    this.#pages = Array.from({ length: pages }, () => []);
    this.#kept = 0;
  }
}
