/**
 * Receiving: one `recvmmsg` fills up to `buffers` slab buffers of 64 KiB, each possibly a UDP_GRO train of datagrams
 * from one sender (equal sizes but the last), and the control messages tell the local address, the ECN bits and the
 * size of the train's segments.
 *
 * How many messages one call asks for follows what arrives. Of trains a few: what they hold stays in the second-level
 * cache until it has been opened. Of short datagrams, as in a flood, many: then it is the call that costs. The buffers
 * stay the same, so nothing is ever cut off for the choice.
 *
 * All headers are laid out once in the slab; per call only the fields that the kernel overwrites are reset (name
 * length, control length). The results are plain numbers in typed arrays: nothing is allocated, nothing copied.
 */
import { EAGAIN, EINTR, errno } from "../errno.ts";
import { AF_INET, AF_INET6, type Libc, libc, MSG_CTRUNC, MSG_DONTWAIT, MSG_TRUNC } from "../libc.ts";
import { SlabPointers } from "../slab_pointers.ts";
import { CMSGHDR, IN6_PKTINFO, IN_PKTINFO, IOVEC, MMSGHDR, SOCKADDR_IN, SOCKADDR_IN6 } from "../structs.ts";
import {
  IP_PKTINFO,
  IP_TOS,
  IPV6_PKTINFO,
  IPV6_TCLASS,
  SOL_IP,
  SOL_IPV6,
  SOL_UDP,
  UDP_GRO,
} from "./options.ts";
import { ADDRESS_RECORD_SIZE, type IpFamily } from "../../mod/packet/address.ts";
import type { Counters } from "../../mod/packet/counters.ts";
import type { Slab } from "../../mod/packet/slab.ts";

export const RECEIVE_BUFFER_SIZE = 65536;
/** From buffer to buffer. An odd number of cache lines more, or the heads of all would share a few sets of the cache. */
const STRIDE = RECEIVE_BUFFER_SIZE + 33 * 64;
/** What one call should bring at most: four trains. */
const CACHE_BYTES = 4 * RECEIVE_BUFFER_SIZE;
const NAME_SIZE = 32;
/** Packet information, traffic class and GRO size take 88 bytes at most. */
const CONTROL_SIZE = 128;
const HEADERS_SIZE = MMSGHDR.size + IOVEC.size + NAME_SIZE + CONTROL_SIZE + 2 * ADDRESS_RECORD_SIZE;

export interface ReceiverOptions {
  readonly fd: number;
  readonly family: IpFamily;
  /** Our port, for the `local` records. */
  readonly port: number;
  readonly slab: Slab;
  readonly counters: Counters;
  /** Messages per call, at most. */
  readonly buffers: number;
  /** Messages per call while they are long; default: always `buffers`. */
  readonly leastBuffers?: number | undefined;
}

export class Receiver {
  /** Slab bytes that `buffers` messages take. */
  static slabBytes(buffers: number): number {
    return buffers * (STRIDE + HEADERS_SIZE) + 6 * 64;
  }

  readonly #libc: Libc = libc();
  #fd: number;
  readonly #family: IpFamily;
  #localHead: number;
  readonly #words: Uint32Array<ArrayBuffer>;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #buffers: number;
  readonly #leastBuffers: number;
  readonly #headers: number;
  readonly #names: number;
  readonly #controls: number;
  readonly #records: number;
  readonly #data: number;
  readonly #headersPointer: Deno.PointerObject;
  readonly #counters: Counters;
  readonly #truncated: number;
  readonly #incomplete: number;
  readonly #failed: number;
  /** Headers that the last call may have changed. */
  #dirty: number;
  /** Messages that the next call asks for. */
  #wanted: number;
  #isDrained = true;

  // Results of the last call, by message
  readonly #slots: Uint32Array<ArrayBuffer>;
  readonly #lengths: Uint32Array<ArrayBuffer>;
  readonly #segments: Uint32Array<ArrayBuffer>;
  readonly #ecns: Uint8Array<ArrayBuffer>;

  constructor({ fd, family, port, slab, counters, buffers, leastBuffers = buffers }: ReceiverOptions) {
    this.#fd = fd;
    this.#family = family;
    this.#localHead = family | (port << 16);
    this.#words = slab.words;
    this.#bytes = slab.bytes;
    this.#buffers = this.#dirty = buffers;
    this.#leastBuffers = this.#wanted = Math.min(leastBuffers, buffers);
    this.#headers = slab.reserve(buffers * MMSGHDR.size);
    const iovecs = slab.reserve(buffers * IOVEC.size);
    this.#names = slab.reserve(buffers * NAME_SIZE);
    this.#controls = slab.reserve(buffers * CONTROL_SIZE);
    this.#records = slab.reserve(buffers * 2 * ADDRESS_RECORD_SIZE);
    this.#data = slab.reserve(buffers * STRIDE);
    const pointers = SlabPointers.of(slab);
    this.#headersPointer = pointers.at(this.#headers);
    for (let i = 0; i < buffers; i++) {
      const header = this.#headers + i * MMSGHDR.size, iovec = iovecs + i * IOVEC.size;
      pointers.write(header + MMSGHDR.name, this.#names + i * NAME_SIZE);
      pointers.write(header + MMSGHDR.iov, iovec);
      slab.words[(header + MMSGHDR.iovLength) >>> 2] = 1;
      pointers.write(header + MMSGHDR.control, this.#controls + i * CONTROL_SIZE);
      pointers.write(iovec + IOVEC.base, this.#data + i * STRIDE);
      slab.words[(iovec + IOVEC.length) >>> 2] = RECEIVE_BUFFER_SIZE;
    }
    this.#counters = counters;
    this.#truncated = counters.register("udp_receive_truncated");
    this.#incomplete = counters.register("udp_receive_incomplete");
    this.#failed = counters.register("udp_receive_failed");
    this.#slots = new Uint32Array(buffers);
    this.#lengths = new Uint32Array(buffers);
    this.#segments = new Uint32Array(buffers);
    this.#ecns = new Uint8Array(buffers);
  }

  /** Receives from another socket of the same family from now on; results of the last call stay until the next. */
  target(fd: number, port: number): void {
    this.#fd = fd;
    this.#localHead = this.#family | (port << 16);
  }

  /** Fetches what has arrived, without blocking. Number of messages; 0 when there is none. Invalidates the last. */
  receive(): number {
    const words = this.#words;
    for (let i = 0; i < this.#dirty; i++) {
      const header = (this.#headers + i * MMSGHDR.size) >>> 2;
      words[header + (MMSGHDR.nameLength >>> 2)] = NAME_SIZE;
      words[header + (MMSGHDR.controlLength >>> 2)] = CONTROL_SIZE;
    }
    const wanted = this.#wanted;
    const received = this.#libc.recvmmsg(this.#fd, this.#headersPointer, wanted, MSG_DONTWAIT, null);
    this.#isDrained = received < wanted;
    if (received <= 0) {
      this.#dirty = 1;
      if (received < 0) {
        const error = errno();
        if (error !== EAGAIN && error !== EINTR) this.#counters.add(this.#failed);
      }
      return 0;
    }
    this.#dirty = received < this.#buffers ? received + 1 : received;
    let kept = 0, bytes = 0;
    for (let slot = 0; slot < received; slot++) {
      bytes += words[(this.#headers + slot * MMSGHDR.size + MMSGHDR.messageLength) >>> 2]!;
      if (this.#accept(slot, kept)) kept++;
    }
    this.#adapt(received, bytes);
    return kept;
  }

  /** The last call found less than it asked for: the next one will find nothing, unless poll says so. */
  get isDrained(): boolean {
    return this.#isDrained;
  }

  /** Slab offset of message `i` of the last call: 64-aligned. */
  offsetOf(i: number): number {
    return this.#data + this.#slots[i]! * STRIDE;
  }

  /** Bytes of message `i`, all its segments; at least 1. */
  lengthOf(i: number): number {
    return this.#lengths[i]!;
  }

  /** Bytes of each datagram in message `i`; the last may be shorter. Equal to the length when there is one only. */
  segmentOf(i: number): number {
    return this.#segments[i]!;
  }

  /** ECN code point (0-3) of message `i`'s packets. */
  ecnOf(i: number): number {
    return this.#ecns[i]!;
  }

  /** Slab offset of the address record of message `i`'s sender. */
  fromOf(i: number): number {
    return this.#records + this.#slots[i]! * 2 * ADDRESS_RECORD_SIZE;
  }

  /** Slab offset of the address record of the local address (and our port) that message `i` was sent to. */
  localOf(i: number): number {
    return this.fromOf(i) + ADDRESS_RECORD_SIZE;
  }

  /** More at once while calls come back full, but no more than the cache holds of such messages. */
  #adapt(received: number, bytes: number): void {
    const fitting = bytes === 0 ? this.#buffers : (CACHE_BYTES * received / bytes) | 0;
    let wanted = this.#isDrained ? this.#wanted : 2 * this.#wanted;
    if (wanted > fitting) wanted = fitting;
    if (wanted > this.#buffers) wanted = this.#buffers;
    this.#wanted = wanted < this.#leastBuffers ? this.#leastBuffers : wanted;
  }

  /** Reads the kernel's answer in `slot` into the results at `index`; false when the message must be skipped. */
  #accept(slot: number, index: number): boolean {
    const words = this.#words;
    const header = (this.#headers + slot * MMSGHDR.size) >>> 2;
    if ((words[header + (MMSGHDR.flags >>> 2)]! & (MSG_TRUNC | MSG_CTRUNC)) !== 0) {
      this.#counters.add(this.#truncated);
      return false;
    }
    const length = words[header + (MMSGHDR.messageLength >>> 2)]!;
    const record = (this.#records + slot * 2 * ADDRESS_RECORD_SIZE) >>> 2;
    const local = record + ADDRESS_RECORD_SIZE / 4;
    const name = this.#names + slot * NAME_SIZE;
    words[local] = 0;
    this.#segments[index] = length;
    this.#ecns[index] = 0;
    this.#readControl(slot, words[header + (MMSGHDR.controlLength >>> 2)]!, local, index);
    if (
      length === 0 || this.#segments[index]! > length || words[local] === 0 || !this.#readName(name, record)
    ) {
      this.#counters.add(this.#incomplete);
      return false;
    }
    this.#slots[index] = slot;
    this.#lengths[index] = length;
    return true;
  }

  /** Socket address -> address record (word index). False when it is of another family. */
  #readName(name: number, record: number): boolean {
    const words = this.#words, bytes = this.#bytes, at = name >>> 2;
    const port = (bytes[name + SOCKADDR_IN.port]! << 8) | bytes[name + SOCKADDR_IN.port + 1]!;
    const v4 = this.#family === 4;
    if ((words[at]! & 0xffff) !== (v4 ? AF_INET : AF_INET6)) return false;
    words[record] = this.#family | (port << 16);
    const address = at + ((v4 ? SOCKADDR_IN.address : SOCKADDR_IN6.address) >>> 2);
    words[record + 1] = words[address]!;
    words[record + 2] = v4 ? 0 : words[address + 1]!;
    words[record + 3] = v4 ? 0 : words[address + 2]!;
    words[record + 4] = v4 ? 0 : words[address + 3]!;
    return true;
  }

  #readControl(slot: number, length: number, local: number, index: number): void {
    const words = this.#words;
    const start = this.#controls + slot * CONTROL_SIZE;
    const end = start + (length < CONTROL_SIZE ? length : CONTROL_SIZE);
    for (let at = start; at + CMSGHDR.size <= end;) {
      const message = at >>> 2, data = message + (CMSGHDR.data >>> 2);
      const size = words[message]!;
      if (size < CMSGHDR.size || at + size > end) return;
      const level = words[message + (CMSGHDR.level >>> 2)]!;
      const type = words[message + (CMSGHDR.type >>> 2)]!;
      if (level === SOL_IP) {
        if (type === IP_PKTINFO && size >= CMSGHDR.size + IN_PKTINFO.size) {
          words[local] = this.#localHead;
          words[local + 1] = words[data + (IN_PKTINFO.address >>> 2)]!;
          words[local + 2] = words[local + 3] = words[local + 4] = 0;
        } else if (type === IP_TOS && size > CMSGHDR.size) {
          this.#ecns[index] = words[data]! & 3;
        }
      } else if (level === SOL_IPV6) {
        if (type === IPV6_PKTINFO && size >= CMSGHDR.size + IN6_PKTINFO.size) {
          words[local] = this.#localHead;
          for (let k = 0; k < 4; k++) words[local + 1 + k] = words[data + k]!;
        } else if (type === IPV6_TCLASS && size >= CMSGHDR.size + 4) {
          this.#ecns[index] = words[data]! & 3;
        }
      } else if (level === SOL_UDP && type === UDP_GRO && size >= CMSGHDR.size + 4) {
        const segment = words[data]!;
        if (segment > 0) this.#segments[index] = segment;
      }
      at += (size + 7) & ~7;
    }
  }
}
