/**
 * From one TUN read to wire-sized IP packets: TCP and UDP segmentation offload in user space, and the completion of
 * checksums that the kernel left to the device (spec policy §6.4, dataplane §5).
 *
 * `plan` reads the virtio header and the packet's own headers (never the hint `hdr_len`); `write` then puts every
 * segment where the cipher will seal it: headers copied and patched, payload copied and summed in one go. Segment i
 * has IPv4 identification + i, TCP sequence + i * gso_size, FIN and PSH only on the last, CWR only on the first
 * (RFC 3168 §6.1.2), and complete checksums that are computed from the headers as they are *at the time of `write`*:
 * between the two calls addresses and ports may be rewritten in place, whatever the rewriter leaves in a partial
 * TCP or UDP checksum.
 *
 * `plan` puts no limit on the segment's size: the caller compares {@link Splitter.segmentLength} with its MTU.
 */
import { fold, pseudoHeaderSum, sumBytes, sumOfWord } from "./checksum.ts";
import { IpHeader, KIND_TCP, KIND_UDP, PARSE_OK, PARSE_REASONS } from "./ip_header.ts";
import type { Kernels } from "./kernels/kernels.ts";
import type { Slab } from "./slab.ts";
import * as vnet from "./vnet.ts";

/** Most segments of one read; more is refused. */
export const MAX_SPLIT_SEGMENTS = 256;

/** Read shorter than a virtio header. */
export const SPLIT_SHORT = -11;
/** Unknown `gso_type`, or one that contradicts the packet. */
export const SPLIT_GSO_TYPE = -12;
/** `gso_size` 0. */
export const SPLIT_GSO_SIZE = -13;
/** More than {@link MAX_SPLIT_SEGMENTS}. */
export const SPLIT_SEGMENTS = -14;
/** Checksum field outside the packet. */
export const SPLIT_CHECKSUM = -15;
/** Names by negated reason, for counters: the PARSE_* reasons, then those of splitting. */
export const SPLIT_REASONS: readonly string[] = [
  ...PARSE_REASONS,
  "vnet_short",
  "vnet_gso_type",
  "vnet_gso_size",
  "vnet_segments",
  "vnet_checksum",
];

const FIN_PSH = 0x09, CWR = 0x80;

export class Splitter {
  /** Headers of the packet or super-packet of the last successful {@link plan}. */
  readonly header = new IpHeader();
  /** Slab offset of the IP packet: where {@link header} was read, and where it may be rewritten. */
  packetOffset = 0;
  packetLength = 0;
  /** Number of packets that {@link write} makes. */
  count = 0;
  /** Bytes of every IP packet but the last. */
  segmentLength = 0;
  /** Bytes of the last one. */
  lastLength = 0;

  readonly #slab: Slab;
  readonly #kernels: Kernels;
  #headers = 0; // bytes of IP and L4 header
  #gsoSize = 0; // 0: not segmented
  #checksumStart = 0; // relative to the packet; 0: no checksum to complete
  #checksumAt = 0;

  constructor(slab: Slab, kernels: Kernels) {
    this.#slab = slab;
    this.#kernels = kernels;
  }

  /**
   * Plans one read of `length` bytes at `vnetOffset`, virtio header included. The number of packets, at least 1; or
   * a negative reason (-PARSE_* or SPLIT_*): drop and count it.
   */
  plan(vnetOffset: number, length: number): number {
    const { view, bytes } = this.#slab;
    if (length < vnet.VNET_HEADER_SIZE) return SPLIT_SHORT;
    const offset = this.packetOffset = vnetOffset + vnet.VNET_HEADER_SIZE;
    const total = this.packetLength = length - vnet.VNET_HEADER_SIZE;
    const reason = this.header.parse(bytes, offset, total);
    if (reason !== PARSE_OK) return -reason;
    this.#gsoSize = this.#checksumStart = 0;
    const gsoType = bytes[vnetOffset + vnet.VNET_GSO_TYPE]! & ~vnet.GSO_ECN_BIT;
    if (gsoType !== vnet.GSO_NONE) return this.#planSegments(vnetOffset, gsoType);
    if (bytes[vnetOffset + vnet.VNET_FLAGS]! & vnet.VNET_NEEDS_CSUM) {
      const start = view.getUint16(vnetOffset + vnet.VNET_CSUM_START, true);
      const at = start + view.getUint16(vnetOffset + vnet.VNET_CSUM_OFFSET, true);
      if (start < 20 || at + 2 > total) return SPLIT_CHECKSUM;
      this.#checksumStart = start;
      this.#checksumAt = at;
    }
    this.segmentLength = this.lastLength = total;
    return this.count = 1;
  }

  #planSegments(vnetOffset: number, gsoType: number): number {
    const { view, bytes } = this.#slab;
    const { header, packetOffset: offset, packetLength: total } = this;
    const gsoSize = view.getUint16(vnetOffset + vnet.VNET_GSO_SIZE, true);
    if (gsoSize === 0) return SPLIT_GSO_SIZE;
    let l4Header = 8;
    if (gsoType === vnet.GSO_UDP_L4) {
      if (header.kind !== KIND_UDP) return SPLIT_GSO_TYPE;
    } else {
      if (gsoType !== (header.version === 4 ? vnet.GSO_TCPV4 : vnet.GSO_TCPV6)) return SPLIT_GSO_TYPE;
      if (header.kind !== KIND_TCP) return SPLIT_GSO_TYPE;
      l4Header = (bytes[offset + header.headerLength + 12]! >> 4) << 2;
    }
    const headers = header.headerLength + l4Header;
    const payload = total - headers;
    const count = payload > gsoSize ? ((payload + gsoSize - 1) / gsoSize) | 0 : 1;
    if (count > MAX_SPLIT_SEGMENTS) return SPLIT_SEGMENTS;
    this.#headers = headers;
    this.#gsoSize = gsoSize;
    this.lastLength = total - (count - 1) * gsoSize;
    this.segmentLength = count === 1 ? total : headers + gsoSize;
    return this.count = count;
  }

  /**
   * Writes the planned packets to outOffset + i * stride, each followed by zeros up to a multiple of 16 bytes of its
   * length (WireGuard's padding). `stride` at least the padded {@link segmentLength}; the output must not overlap
   * the input.
   */
  write(outOffset: number, stride: number): void {
    if (this.#gsoSize === 0) this.#writeWhole(outOffset);
    else if (this.header.kind === KIND_TCP) this.#writeTcp(outOffset, stride);
    else this.#writeUdp(outOffset, stride);
  }

  #writeWhole(out: number): void {
    const { bytes } = this.#slab;
    const { packetOffset: from, packetLength: length, header } = this;
    const start = this.#checksumStart, at = out + this.#checksumAt;
    if (start === 0) {
      bytes.copyWithin(out, from, from + length);
    } else if (start === header.headerLength && (header.kind === KIND_TCP || header.kind === KIND_UDP)) {
      const field = from + this.#checksumAt;
      bytes[field] = bytes[field + 1] = 0;
      this.#kernels.copyChecksum(out, from, start, 0);
      const pseudo = pseudoHeaderSum(bytes, from, header.protocol, length - start);
      const sum = this.#kernels.copyChecksum(out + start, from + start, length - start, pseudo);
      writeWord(bytes, at, ~sum & 0xffff || 0xffff);
    } else {
      this.#kernels.copyChecksum(out, from, start, 0);
      const sum = this.#kernels.copyChecksum(out + start, from + start, length - start, 0);
      writeWord(bytes, at, ~sum & 0xffff || 0xffff);
    }
    padWithZeros(bytes, out, length);
  }

  #writeTcp(outOffset: number, stride: number): void {
    const { bytes, view } = this.#slab;
    const kernels = this.#kernels;
    const { packetOffset: from, count, header } = this;
    const headers = this.#headers, gsoSize = this.#gsoSize, ip = header.headerLength;
    const l4 = from + ip;
    const flags = bytes[l4 + 13]!;
    const dataOffset = bytes[l4 + 12]! << 8;
    const firstSequence = view.getUint32(l4 + 4);
    const ipBase = header.version === 4 ? this.#ipv4Base() : 0;
    // Everything of the pseudo header and the TCP header that no segment changes.
    const l4Base = fold(
      pseudoHeaderSum(bytes, from, header.protocol, 0) + sumBytes(bytes, l4, 4) + sumBytes(bytes, l4 + 8, 4) +
        sumBytes(bytes, l4 + 14, 2) + sumBytes(bytes, l4 + 18, headers - ip - 18),
    );
    const notLast = flags & ~FIN_PSH, last = count - 1;
    for (let i = 0; i < count; i++) {
      const out = outOffset + i * stride, length = i === last ? this.lastLength : this.segmentLength;
      let own = i === last ? flags : notLast;
      if (i > 0) own &= ~CWR;
      const sequence = (firstSequence + i * gsoSize) >>> 0;
      kernels.copyChecksum(out, from, headers, 0);
      const initial = l4Base + (length - ip) + sumOfWord(sequence) + dataOffset + own;
      const payload = from + headers + i * gsoSize;
      const sum = kernels.copyChecksum(out + headers, payload, length - headers, initial);
      const l4Out = out + ip;
      view.setUint32(l4Out + 4, sequence);
      bytes[l4Out + 13] = own;
      writeWord(bytes, l4Out + 16, ~sum & 0xffff);
      this.#patchIp(out, length, ipBase, i);
      padWithZeros(bytes, out, length);
    }
  }

  #writeUdp(outOffset: number, stride: number): void {
    const { bytes } = this.#slab;
    const kernels = this.#kernels;
    const { packetOffset: from, count, header } = this;
    const headers = this.#headers, gsoSize = this.#gsoSize, ip = header.headerLength;
    const ipBase = header.version === 4 ? this.#ipv4Base() : 0;
    const l4Base = fold(pseudoHeaderSum(bytes, from, header.protocol, 0) + sumBytes(bytes, from + ip, 4));
    for (let i = 0; i < count; i++) {
      const out = outOffset + i * stride, length = i === count - 1 ? this.lastLength : this.segmentLength;
      const l4Length = length - ip;
      kernels.copyChecksum(out, from, headers, 0);
      const payload = from + headers + i * gsoSize;
      const sum = kernels.copyChecksum(out + headers, payload, length - headers, l4Base + 2 * l4Length);
      writeWord(bytes, out + ip + 4, l4Length);
      writeWord(bytes, out + ip + 6, ~sum & 0xffff || 0xffff);
      this.#patchIp(out, length, ipBase, i);
      padWithZeros(bytes, out, length);
    }
  }

  /** Sum of the IPv4 header without total length, identification and checksum. */
  #ipv4Base(): number {
    const { bytes } = this.#slab;
    const at = this.packetOffset;
    const addressesAndOptions = ((bytes[at]! & 15) << 2) - 12;
    return fold(
      sumBytes(bytes, at, 2) + sumBytes(bytes, at + 6, 4) + sumBytes(bytes, at + 12, addressesAndOptions),
    );
  }

  /** Lengths, identification and header checksum of segment `i` at `out`. */
  #patchIp(out: number, length: number, ipBase: number, i: number): void {
    const { bytes } = this.#slab;
    if (this.header.version === 6) {
      writeWord(bytes, out + 4, length - 40);
      return;
    }
    const id = (((bytes[out + 4]! << 8) | bytes[out + 5]!) + i) & 0xffff;
    let sum = ipBase + length + id;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    writeWord(bytes, out + 2, length);
    writeWord(bytes, out + 4, id);
    writeWord(bytes, out + 10, ~sum & 0xffff);
  }
}

function writeWord(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8;
  bytes[at + 1] = value & 0xff;
}

function padWithZeros(bytes: Uint8Array, start: number, length: number): void {
  const end = start + ((length + 15) & ~15);
  for (let i = start + length; i < end; i++) bytes[i] = 0;
}
