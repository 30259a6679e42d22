/**
 * Which packets may travel to the TUN as one super-packet: generic receive offload in user space, with the rules of
 * Linux's own (`inet_gro_receive`, `tcp_gro_receive`, `udp_gro_receive_segment`; spec policy §6.4), so that the
 * merge loses nothing a router on the way would have kept.
 *
 * A run has up to {@link MAX_TCP_RUN} TCP or {@link MAX_UDP_RUN} UDP packets of one 5-tuple, equal in TOS, TTL,
 * DF / flow label; no IPv4 options or IPv6 extension headers; equal payload sizes but for a shorter last one that
 * closes the run; IPv4 identification counting up by one, or constant while DF is set (RFC 6864: then it means
 * nothing); checksums right, IPv4's and L4's (UDP without checksum is never merged). TCP also: only ACK or ACK|PSH,
 * the next sequence number, same acknowledgement, window, urgent pointer and options; PSH closes the run.
 *
 * A packet of a 5-tuple with an open run that can't extend it closes it, so nothing overtakes inside a flow.
 * Checksums are verified when a second packet comes: a lone packet is written as it arrived and never costs that.
 */
import { fold, pseudoHeaderSum, sumBytes } from "./checksum.ts";
import { IpHeader, KIND_TCP, KIND_UDP, PARSE_OK, PROTOCOL_TCP, PROTOCOL_UDP } from "./ip_header.ts";
import type { Kernels } from "./kernels/kernels.ts";
import type { Slab } from "./slab.ts";
import { joinHead } from "./super_packet.ts";

/** Runs open at the same time. */
export const OPEN_RUNS = 8;
export const MAX_TCP_RUN = 128;
/** `UDP_GRO_CNT_MAX`, and what every kernel takes as one UDP GSO packet. */
export const MAX_UDP_RUN = 64;
const MAX_LENGTH = 65535;
const ACK = 0x10, PSH = 0x08;
const ID_UNKNOWN = -1;

export interface CoalescerOptions {
  readonly tcp: boolean;
  readonly udp: boolean;
}

export class Coalescer {
  /** May be switched off at any time, when the kernel refuses such writes. */
  tcp: boolean;
  udp: boolean;

  readonly #slab: Slab;
  readonly #kernels: Kernels;
  readonly #header = new IpHeader();
  // Of each open run; protocol 0 marks a free slot.
  readonly #protocols = new Uint8Array(OPEN_RUNS);
  readonly #addresses = new Uint32Array(OPEN_RUNS * 8);
  readonly #ports = new Uint32Array(OPEN_RUNS);
  readonly #ipHeaders = new Uint8Array(OPEN_RUNS);
  readonly #headers = new Uint8Array(OPEN_RUNS);
  readonly #heads = new Uint32Array(OPEN_RUNS);
  readonly #writes = new Uint32Array(OPEN_RUNS);
  readonly #counts = new Uint8Array(OPEN_RUNS);
  readonly #gsoSizes = new Uint16Array(OPEN_RUNS);
  readonly #totals = new Uint32Array(OPEN_RUNS);
  readonly #sequences = new Uint32Array(OPEN_RUNS);
  readonly #idSteps = new Int8Array(OPEN_RUNS);
  /** Of the IPv4 header without total length, identification and checksum; of the pseudo header without length. */
  readonly #ipSums = new Uint16Array(OPEN_RUNS);
  readonly #pseudoSums = new Uint16Array(OPEN_RUNS);
  #victim = 0;

  constructor(slab: Slab, kernels: Kernels, { tcp, udp }: CoalescerOptions) {
    this.#slab = slab;
    this.#kernels = kernels;
    this.tcp = tcp;
    this.udp = udp;
  }

  /**
   * Decides where the packet slab[offset, offset+length) goes: the number of the write whose run it extends, or
   * `freshWrite`, which it then heads (and may open a run for).
   */
  place(offset: number, length: number, freshWrite: number): number {
    const header = this.#header;
    if (!this.tcp && !this.udp) return freshWrite;
    if (header.parse(this.#slab.bytes, offset, length) !== PARSE_OK) return freshWrite;
    if (header.kind !== KIND_TCP && header.kind !== KIND_UDP) return freshWrite;
    const slot = this.#find(header);
    if (!this.#isMergeable(header, offset)) {
      if (slot >= 0) this.#close(slot);
      return freshWrite;
    }
    if (slot >= 0) {
      if (this.#extends(slot, header, offset) && (this.#counts[slot]! > 1 || this.#isHeadVerified(slot))) {
        if (this.#isVerified(slot, header, offset)) return this.#extend(slot, header, offset);
        this.#close(slot);
        return freshWrite;
      }
      this.#close(slot);
    }
    this.#open(header, offset, freshWrite);
    return freshWrite;
  }

  /** Closes every open run. */
  finish(): void {
    for (let slot = 0; slot < OPEN_RUNS; slot++) if (this.#protocols[slot] !== 0) this.#close(slot);
  }

  /** Forgets every open run; the packets stay as they arrived. */
  reset(): void {
    this.#protocols.fill(0);
  }

  /** The slot of the open run with the packet's 5-tuple, or -1. */
  #find(header: IpHeader): number {
    const { protocol, addresses } = header;
    const ports = ((header.srcPort << 16) | header.dstPort) >>> 0;
    for (let slot = 0; slot < OPEN_RUNS; slot++) {
      if (this.#ports[slot] !== ports || this.#protocols[slot] !== protocol) continue;
      if ((this.#ipHeaders[slot] === 20) !== (header.version === 4)) continue;
      const own = this.#addresses, at = slot * 8;
      let i = 0;
      while (i < 8 && own[at + i] === addresses[i]) i++;
      if (i === 8) return slot;
    }
    return -1;
  }

  /** Whether the packet could be part of any run. Its checksums are not yet looked at. */
  #isMergeable(header: IpHeader, offset: number): boolean {
    const bytes = this.#slab.bytes, l4 = header.l4Offset;
    if (header.version === 4) {
      if (header.headerLength !== 20 || (bytes[offset + 6]! & 0xbf) !== 0) return false;
    } else if (header.headerLength !== 40) return false;
    if (header.kind === KIND_UDP) {
      return this.udp && header.l4Length > 8 && (bytes[l4 + 6]! | bytes[l4 + 7]!) !== 0;
    }
    return this.tcp && (header.tcpFlags & ~PSH) === ACK && header.l4Length > (bytes[l4 + 12]! >> 4) << 2;
  }

  /** Whether the mergeable packet continues the run, headers and sizes considered. */
  #extends(slot: number, header: IpHeader, offset: number): boolean {
    const { bytes, view } = this.#slab;
    const ip = header.headerLength, headers = this.#headers[slot]!;
    const head = this.#heads[slot]!, l4 = offset + ip, headL4 = head + ip;
    if (header.version === 4) {
      // version, IHL, TOS; then DF; then TTL and protocol
      if (view.getUint16(offset) !== view.getUint16(head) || bytes[offset + 6] !== bytes[head + 6]) {
        return false;
      }
      if (bytes[offset + 8] !== bytes[head + 8] || !this.#isNextId(slot, offset, head)) return false;
    } else if (view.getUint32(offset) !== view.getUint32(head) || bytes[offset + 7] !== bytes[head + 7]) {
      return false;
    }
    if (header.kind === KIND_TCP) {
      if (view.getUint32(l4 + 4) !== this.#sequences[slot]) return false;
      if (view.getUint32(l4 + 8) !== view.getUint32(headL4 + 8)) return false;
      if (bytes[l4 + 12] !== bytes[headL4 + 12] || view.getUint16(l4 + 14) !== view.getUint16(headL4 + 14)) {
        return false;
      }
      if (view.getUint16(l4 + 18) !== view.getUint16(headL4 + 18)) return false;
      for (let i = ip + 20; i < headers; i += 4) {
        if (view.getUint32(offset + i) !== view.getUint32(head + i)) return false;
      }
    }
    const payload = header.totalLength - headers;
    return payload > 0 && payload <= this.#gsoSizes[slot]! && this.#totals[slot]! + payload <= MAX_LENGTH;
  }

  #isNextId(slot: number, offset: number, head: number): boolean {
    const view = this.#slab.view;
    const distance = (view.getUint16(offset + 4) - view.getUint16(head + 4)) & 0xffff;
    const step = this.#idSteps[slot]!, count = this.#counts[slot]!;
    if (step !== ID_UNKNOWN) return distance === (step * count & 0xffff);
    return distance === 1 || (distance === 0 && (this.#slab.bytes[head + 6]! & 0x40) !== 0);
  }

  /** Verifies the head in full and keeps the sums of what its followers have in common with it. */
  #isHeadVerified(slot: number): boolean {
    const { bytes, view } = this.#slab;
    const head = this.#heads[slot]!, ip = this.#ipHeaders[slot]!, total = this.#totals[slot]!;
    if (ip === 20) {
      if (sumBytes(bytes, head, 20) !== 0xffff) return false;
      // One's-complement subtraction: adding the complement.
      const own = view.getUint16(head + 2) + view.getUint16(head + 4) + view.getUint16(head + 10);
      this.#ipSums[slot] = fold(0xffff + (~fold(own) & 0xffff));
    }
    const l4Length = total - ip;
    const pseudo = pseudoHeaderSum(bytes, head, this.#protocols[slot]!, 0);
    this.#pseudoSums[slot] = pseudo;
    return this.#kernels.checksum(head + ip, l4Length, pseudo + l4Length) === 0xffff;
  }

  /** Verifies a packet whose headers were compared with those of the verified head. */
  #isVerified(slot: number, header: IpHeader, offset: number): boolean {
    const { l4Length, l4Offset, totalLength } = header;
    if (header.version === 4) {
      const view = this.#slab.view;
      const own = totalLength + view.getUint16(offset + 4) + view.getUint16(offset + 10);
      if (fold(this.#ipSums[slot]! + own) !== 0xffff) return false;
    }
    return this.#kernels.checksum(l4Offset, l4Length, this.#pseudoSums[slot]! + l4Length) === 0xffff;
  }

  #open(header: IpHeader, offset: number, write: number): void {
    if ((header.tcpFlags & PSH) !== 0) return;
    let slot = 0;
    while (slot < OPEN_RUNS && this.#protocols[slot] !== 0) slot++;
    if (slot === OPEN_RUNS) {
      slot = this.#victim;
      this.#victim = (slot + 1) % OPEN_RUNS;
      this.#close(slot);
    }
    const bytes = this.#slab.bytes, ip = header.headerLength;
    const isTcp = header.kind === KIND_TCP;
    const headers = ip + (isTcp ? (bytes[header.l4Offset + 12]! >> 4) << 2 : 8);
    const payload = header.totalLength - headers;
    this.#protocols[slot] = isTcp ? PROTOCOL_TCP : PROTOCOL_UDP;
    for (let i = 0; i < 8; i++) this.#addresses[slot * 8 + i] = header.addresses[i]!;
    this.#ports[slot] = (header.srcPort << 16) | header.dstPort;
    this.#ipHeaders[slot] = ip;
    this.#headers[slot] = headers;
    this.#heads[slot] = offset;
    this.#writes[slot] = write;
    this.#counts[slot] = 1;
    this.#gsoSizes[slot] = payload;
    this.#totals[slot] = header.totalLength;
    this.#idSteps[slot] = ID_UNKNOWN;
    if (isTcp) this.#sequences[slot] = this.#slab.view.getUint32(header.l4Offset + 4) + payload;
  }

  /** Appends the packet to the run; closes the run behind a short segment, PSH, or the longest run. */
  #extend(slot: number, header: IpHeader, offset: number): number {
    const write = this.#writes[slot]!, payload = header.totalLength - this.#headers[slot]!;
    const isTcp = header.kind === KIND_TCP, count = this.#counts[slot]! + 1;
    if (header.version === 4 && count === 2) {
      const view = this.#slab.view;
      this.#idSteps[slot] = view.getUint16(offset + 4) === view.getUint16(this.#heads[slot]! + 4) ? 0 : 1;
    }
    this.#counts[slot] = count;
    this.#totals[slot]! += payload;
    if (isTcp) this.#sequences[slot]! += payload;
    const push = (header.tcpFlags & PSH) !== 0;
    if (push || payload < this.#gsoSizes[slot]! || count === (isTcp ? MAX_TCP_RUN : MAX_UDP_RUN)) {
      this.#close(slot, push);
    }
    return write;
  }

  #close(slot: number, push = false): void {
    if (this.#counts[slot]! > 1) {
      joinHead(
        this.#slab,
        this.#heads[slot]!,
        this.#protocols[slot]!,
        this.#ipHeaders[slot]!,
        this.#headers[slot]!,
        this.#gsoSizes[slot]!,
        this.#totals[slot]!,
        push,
      );
    }
    this.#protocols[slot] = 0;
  }
}
