/**
 * Packets on their way to the TUN: gathers them, lets the {@link Coalescer} merge neighbours of one flow, and lays
 * the result out as `struct iovec` arrays in the slab, one `writev` each.
 *
 * No payload is copied: a super-packet is the edited head (its virtio header in the 10 bytes before it) and one
 * iovec for each further payload, wherever the cipher left it. A packet that was not merged is written as it is,
 * checksum as received, behind an all-zero virtio header. So every packet takes exactly one iovec, and the layout is
 * one array in the order of the writes: the order in which their first packets arrived.
 *
 * `struct iovec` (64-bit): u64 base · u64 length.
 */
import { Coalescer } from "./coalescer.ts";
import type { Kernels } from "./kernels/kernels.ts";
import type { Slab } from "./slab.ts";
import { restoreHead, writePlainHeader } from "./super_packet.ts";
import { VNET_HDR_LEN, VNET_HEADER_SIZE } from "./vnet.ts";

export const IOVEC_SIZE = 16;

export interface PacketQueueOptions {
  /** Packets between two `clear()`s. */
  readonly capacity: number;
  /** Whether the TUN was opened with `IFF_VNET_HDR`; without it nothing can be coalesced. Default true. */
  readonly vnetHeader?: boolean;
  /** Whether the kernel takes TCP super-packets (TUN_F_TSO4/6). Default true. */
  readonly tcp?: boolean;
  /** Whether the kernel takes UDP super-packets (TUN_F_USO4/6, Linux 6.2). Default true. */
  readonly udp?: boolean;
}

export class PacketQueue {
  readonly #slab: Slab;
  readonly #coalescer: Coalescer;
  readonly #capacity: number;
  readonly #headroom: number;
  readonly #iovecs: number;
  // Of each packet: place, length, and the packet behind it in the same write.
  readonly #offsets: Uint32Array<ArrayBuffer>;
  readonly #lengths: Uint16Array<ArrayBuffer>;
  readonly #next: Int32Array<ArrayBuffer>;
  // Of each write: its first and last packet, the number of them, its first iovec and its bytes.
  readonly #first: Int32Array<ArrayBuffer>;
  readonly #last: Int32Array<ArrayBuffer>;
  readonly #counts: Uint16Array<ArrayBuffer>;
  readonly #firstIovecs: Uint32Array<ArrayBuffer>;
  readonly #writeLengths: Uint32Array<ArrayBuffer>;
  #packets = 0;
  #writes = 0;

  constructor(slab: Slab, kernels: Kernels, options: PacketQueueOptions) {
    const { capacity, vnetHeader = true, tcp = true, udp = true } = options;
    this.#slab = slab;
    this.#coalescer = new Coalescer(slab, kernels, { tcp: tcp && vnetHeader, udp: udp && vnetHeader });
    this.#capacity = capacity;
    this.#headroom = vnetHeader ? VNET_HEADER_SIZE : 0;
    this.#iovecs = slab.reserve(capacity * IOVEC_SIZE);
    this.#offsets = new Uint32Array(capacity);
    this.#lengths = new Uint16Array(capacity);
    this.#next = new Int32Array(capacity);
    this.#first = new Int32Array(capacity);
    this.#last = new Int32Array(capacity);
    this.#counts = new Uint16Array(capacity);
    this.#firstIovecs = new Uint32Array(capacity);
    this.#writeLengths = new Uint32Array(capacity);
  }

  /**
   * Takes the valid IP packet slab[offset, offset+length). The {@link VNET_HEADER_SIZE} bytes before it are free to
   * be overwritten, and both stay put until `clear()`. False when full: finish, write and clear first.
   */
  push(offset: number, length: number): boolean {
    const packet = this.#packets;
    if (packet === this.#capacity) return false;
    this.#packets = packet + 1;
    this.#offsets[packet] = offset;
    this.#lengths[packet] = length;
    const fresh = this.#writes;
    const write = this.#coalescer.place(offset, length, fresh);
    if (write === fresh) {
      this.#writes = fresh + 1;
      this.#first[write] = packet;
      this.#counts[write] = 1;
    } else {
      this.#next[this.#last[write]!] = packet;
      this.#counts[write]! += 1;
    }
    this.#last[write] = packet;
    return true;
  }

  /** Packets taken since `clear()`. */
  get packets(): number {
    return this.#packets;
  }

  /** Completes the super-packets and lays out the iovecs. The number of writes; after it only `clear()` may follow. */
  finish(): number {
    this.#coalescer.finish();
    this.#layOut(0, 0);
    return this.#writes;
  }

  /** Slab offset of the `struct iovec[]` of write `i`; valid after `finish()`. */
  iovOffset(i: number): number {
    return this.#iovecs + this.#firstIovecs[i]! * IOVEC_SIZE;
  }

  /** Number of iovecs of write `i`, which is its number of packets. */
  iovCount(i: number): number {
    return this.#counts[i]!;
  }

  /** Bytes of write `i`, virtio header included: what `writev` returns when it worked. */
  lengthOf(i: number): number {
    return this.#writeLengths[i]!;
  }

  /**
   * For a kernel that refused write `from` as a super-packet: takes it and all later ones apart again. The new
   * number of writes; write `from` is now its first packet alone. Nothing before `from` changes.
   */
  dissolve(from: number): number {
    const order: number[] = [];
    for (let write = from; write < this.#writes; write++) {
      let packet = this.#first[write]!;
      if (this.#counts[write]! > 1) restoreHead(this.#slab, this.#offsets[packet]!, this.#lengths[packet]!);
      for (let i = 0; i < this.#counts[write]!; i++) {
        order.push(packet);
        packet = this.#next[packet]!;
      }
    }
    const firstIovec = from < this.#writes ? this.#firstIovecs[from]! : 0;
    order.forEach((packet, i) => {
      this.#first[from + i] = this.#last[from + i] = packet;
      this.#counts[from + i] = 1;
    });
    this.#writes = from + order.length;
    this.#layOut(from, firstIovec);
    return this.#writes;
  }

  /** Switches kinds of coalescing off or on from the next packet on. */
  setCoalescing(tcp: boolean, udp: boolean): void {
    this.#coalescer.tcp = tcp && this.#headroom > 0;
    this.#coalescer.udp = udp && this.#headroom > 0;
  }

  clear(): void {
    this.#coalescer.reset();
    this.#packets = this.#writes = 0;
  }

  #layOut(fromWrite: number, fromIovec: number): void {
    const headroom = this.#headroom;
    let iovec = fromIovec;
    for (let write = fromWrite; write < this.#writes; write++) {
      let packet = this.#first[write]!;
      const head = this.#offsets[packet]!, count = this.#counts[write]!;
      let total = this.#lengths[packet]! + headroom;
      this.#firstIovecs[write] = iovec;
      this.#writeIovec(iovec++, head - headroom, total);
      if (count > 1) {
        const headers = this.#slab.view.getUint16(head - VNET_HEADER_SIZE + VNET_HDR_LEN, true);
        for (let i = 1; i < count; i++) {
          packet = this.#next[packet]!;
          const payload = this.#lengths[packet]! - headers;
          this.#writeIovec(iovec++, this.#offsets[packet]! + headers, payload);
          total += payload;
        }
      } else if (headroom > 0) {
        writePlainHeader(this.#slab, head);
      }
      this.#writeLengths[write] = total;
    }
  }

  #writeIovec(i: number, offset: number, length: number): void {
    const { words, baseLow, baseHigh } = this.#slab;
    const at = (this.#iovecs >>> 2) + i * 4;
    const low = baseLow + offset;
    words[at] = low;
    words[at + 1] = low > 0xffffffff ? baseHigh + 1 : baseHigh;
    words[at + 2] = length;
    words[at + 3] = 0;
  }
}
