/** The TUN device as the data loop sees it: one read buffer in the slab, gathered writes, errors counted. */
import { MAX_READ, type Tun } from "../../ffi/deno_tun/mod.ts";
import { EAGAIN, EINVAL } from "../../ffi/errno.ts";
import { SlabPointers } from "../../ffi/slab_pointers.ts";
import type { Counters, Slab } from "../packet/mod.ts";

const READ_SIZE = BigInt(MAX_READ);

export class TunPort {
  /** Slab offset of what the last `read()` fetched, virtio-net header first. */
  readonly offset: number;
  readonly fd: number;
  readonly #device: Tun;
  readonly #pointers: SlabPointers;
  readonly #readPointer: Deno.PointerObject;
  readonly #counters: Counters;
  readonly #readErrors: number;
  readonly #writeErrors: number;
  readonly #writes: number;

  constructor(device: Tun, slab: Slab, counters: Counters) {
    this.#device = device;
    this.fd = device.fd;
    this.#pointers = SlabPointers.of(slab);
    this.offset = slab.reserve(MAX_READ + 64);
    this.#readPointer = this.#pointers.at(this.offset);
    this.#counters = counters;
    this.#readErrors = counters.register("tun_read_failed");
    this.#writeErrors = counters.register("tun_write_failed");
    this.#writes = counters.register("tun_writes");
  }

  /** Fetches one packet or super-packet. Its length including the header, 0 when there is none. */
  read(): number {
    const length = this.#device.readAt(this.#readPointer, READ_SIZE);
    if (length >= 0) return length;
    if (length !== -EAGAIN) this.#counters.add(this.#readErrors);
    return 0;
  }

  /**
   * Writes one packet or super-packet given as `count` iovecs at a slab offset. False when the kernel refuses it as a
   * super-packet; any other failure is counted, and the packet is lost.
   */
  write(iovOffset: number, count: number): boolean {
    this.#counters.values[this.#writes]!++;
    const written = this.#device.writevAt(this.#pointers.at(iovOffset), count);
    if (written >= 0) return true;
    if (written === -EINVAL && count > 1) return false;
    this.#counters.add(this.#writeErrors);
    return true;
  }
}
