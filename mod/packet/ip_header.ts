/**
 * Strict view of one IP packet's headers, made once per packet (or super-packet) and read by everybody above.
 *
 * What it refuses, it refuses because something behind us could read the packet differently than the policy did
 * (spec policy §7.2, §7.4): lengths that disagree, fragments (their ports are unknown or lie), ICMP of the wrong
 * family. L4 is located behind IPv6 extension headers (RFC 8200 §4) and AH (RFC 4302); an atomic fragment header
 * (RFC 6946) is skipped. Checksums are not verified here. No limit but the formats' own is put on the length:
 * super-packets from the TUN have up to 65,535 bytes.
 *
 * Parsing allocates nothing; one instance is reused for every packet. After a refusal the fields mean nothing.
 */

export const PARSE_OK = 0;
/** Shorter than its fixed header. */
export const PARSE_SHORT = 1;
/** Neither IPv4 nor IPv6. */
export const PARSE_VERSION = 2;
/** IPv4 header length below 20 or beyond the packet. */
export const PARSE_HEADER_LENGTH = 3;
/** IPv4 total length or IPv6 payload length disagrees with the number of bytes. */
export const PARSE_TOTAL_LENGTH = 4;
/** A fragment, first or later. */
export const PARSE_FRAGMENT = 5;
/** An extension header that is cut off, or hop-by-hop options in a place other than the first. */
export const PARSE_EXTENSION = 6;
/** TCP header cut off, or its data offset out of range. */
export const PARSE_TCP = 7;
/** UDP header cut off, or its length disagrees with IP's. */
export const PARSE_UDP = 8;
/** ICMP header cut off. */
export const PARSE_ICMP = 9;
/** ICMPv4 in IPv6 or ICMPv6 in IPv4. */
export const PARSE_ICMP_FAMILY = 10;

/** Names of the PARSE_* reasons by value, for counters. */
export const PARSE_REASONS: readonly string[] = [
  "ok",
  "short",
  "version",
  "header_length",
  "total_length",
  "fragment",
  "extension_header",
  "tcp",
  "udp",
  "icmp",
  "icmp_family",
];

export const KIND_OTHER = 0;
export const KIND_TCP = 1;
export const KIND_UDP = 2;
export const KIND_ECHO_REQUEST = 3;
export const KIND_ECHO_REPLY = 4;
export const KIND_ICMP_OTHER = 5;

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const PROTOCOL_ICMPV6 = 58;
const HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, AUTHENTICATION = 51, DESTINATION_OPTIONS = 60;

export class IpHeader {
  /** 4 or 6. */
  version: 4 | 6 = 4;
  /** Bytes from the start of the packet to L4: IPv4 with options, IPv6 with extension headers. */
  headerLength = 0;
  /** IP protocol number of L4, behind extension headers. */
  protocol = 0;
  /** Place of L4 in the parsed bytes. */
  l4Offset = 0;
  l4Length = 0;
  totalLength = 0;
  /** ECN code point: 0 Not-ECT, 1 ECT(1), 2 ECT(0), 3 CE. */
  ecn = 0;
  /** KIND_*. Echo needs ICMP code 0. */
  kind = KIND_OTHER;
  /** TCP and UDP ports; both the identifier for echo; else 0. */
  srcPort = 0;
  dstPort = 0;
  /** CWR ECE URG ACK PSH RST SYN FIN, from the high bit down; 0 when not TCP. */
  tcpFlags = 0;
  /** True for every ICMP error (RFC 1122 §3.2.2, RFC 4443 §2.1), known to us or not. */
  isIcmpError = false;
  /** Source (0-3) and destination (4-7) as u32 values of network-order words; IPv4 only 0 and 4, the rest 0. */
  readonly addresses: Uint32Array<ArrayBuffer> = new Uint32Array(8);

  get src0(): number {
    return this.addresses[0]!;
  }
  get src1(): number {
    return this.addresses[1]!;
  }
  get src2(): number {
    return this.addresses[2]!;
  }
  get src3(): number {
    return this.addresses[3]!;
  }
  get dst0(): number {
    return this.addresses[4]!;
  }
  get dst1(): number {
    return this.addresses[5]!;
  }
  get dst2(): number {
    return this.addresses[6]!;
  }
  get dst3(): number {
    return this.addresses[7]!;
  }

  /** Reads the packet bytes[offset, offset+length). PARSE_OK, or the reason of the refusal. */
  parse(bytes: Uint8Array, offset: number, length: number): number {
    if (length < 20) return PARSE_SHORT;
    const version = bytes[offset]! >> 4;
    if (version === 4) return this.#parseIpv4(bytes, offset, length);
    if (version === 6) return this.#parseIpv6(bytes, offset, length);
    return PARSE_VERSION;
  }

  #parseIpv4(bytes: Uint8Array, offset: number, length: number): number {
    const headerLength = (bytes[offset]! & 15) << 2;
    if (headerLength < 20 || headerLength > length) return PARSE_HEADER_LENGTH;
    if (((bytes[offset + 2]! << 8) | bytes[offset + 3]!) !== length) return PARSE_TOTAL_LENGTH;
    if (((bytes[offset + 6]! & 0x3f) | bytes[offset + 7]!) !== 0) return PARSE_FRAGMENT;
    const addresses = this.addresses;
    addresses[0] = word(bytes, offset + 12);
    addresses[4] = word(bytes, offset + 16);
    if (this.version === 6) {
      addresses[1] =
        addresses[2] =
        addresses[3] =
        addresses[5] =
        addresses[6] =
        addresses[7] =
          0;
      this.version = 4;
    }
    this.totalLength = length;
    this.ecn = bytes[offset + 1]! & 3;
    const protocol = bytes[offset + 9]!;
    if (protocol === PROTOCOL_ICMPV6) return PARSE_ICMP_FAMILY;
    if (protocol === AUTHENTICATION) return this.#skipAuthentication(bytes, offset, headerLength, length);
    return this.#parseL4(bytes, offset, headerLength, length - headerLength, protocol);
  }

  #skipAuthentication(bytes: Uint8Array, offset: number, headerLength: number, length: number): number {
    if (headerLength + 8 > length) return PARSE_EXTENSION;
    const protocol = bytes[offset + headerLength]!;
    const behind = headerLength + ((bytes[offset + headerLength + 1]! + 2) << 2);
    if (behind > length) return PARSE_EXTENSION;
    if (protocol === PROTOCOL_ICMPV6) return PARSE_ICMP_FAMILY;
    return this.#parseL4(bytes, offset, behind, length - behind, protocol);
  }

  #parseIpv6(bytes: Uint8Array, offset: number, length: number): number {
    if (length < 40) return PARSE_SHORT;
    if (((bytes[offset + 4]! << 8) | bytes[offset + 5]!) + 40 !== length) return PARSE_TOTAL_LENGTH;
    const addresses = this.addresses;
    for (let i = 0; i < 8; i++) addresses[i] = word(bytes, offset + 8 + 4 * i);
    this.version = 6;
    this.totalLength = length;
    this.ecn = (bytes[offset + 1]! >> 4) & 3;
    let next = bytes[offset + 6]!;
    let header = 40;
    while (
      next === HOP_BY_HOP || next === DESTINATION_OPTIONS || next === ROUTING || next === FRAGMENT ||
      next === AUTHENTICATION
    ) {
      if (header + 8 > length || (next === HOP_BY_HOP && header !== 40)) return PARSE_EXTENSION;
      const at = offset + header;
      if (next === FRAGMENT) {
        if ((bytes[at + 2]! | (bytes[at + 3]! & 0xf9)) !== 0) return PARSE_FRAGMENT;
        header += 8;
      } else if (next === AUTHENTICATION) header += (bytes[at + 1]! + 2) << 2;
      else header += (bytes[at + 1]! + 1) << 3;
      if (header > length) return PARSE_EXTENSION;
      next = bytes[at]!;
    }
    if (next === PROTOCOL_ICMP) return PARSE_ICMP_FAMILY;
    return this.#parseL4(bytes, offset, header, length - header, next);
  }

  #parseL4(bytes: Uint8Array, offset: number, header: number, l4Length: number, protocol: number): number {
    const at = offset + header;
    this.headerLength = header;
    this.protocol = protocol;
    this.l4Offset = at;
    this.l4Length = l4Length;
    this.tcpFlags = 0;
    this.isIcmpError = false;
    if (protocol === PROTOCOL_TCP) {
      if (l4Length < 20) return PARSE_TCP;
      const dataOffset = (bytes[at + 12]! >> 4) << 2;
      if (dataOffset < 20 || dataOffset > l4Length) return PARSE_TCP;
      this.kind = KIND_TCP;
      this.tcpFlags = bytes[at + 13]!;
    } else if (protocol === PROTOCOL_UDP) {
      if (l4Length < 8 || ((bytes[at + 4]! << 8) | bytes[at + 5]!) !== l4Length) return PARSE_UDP;
      this.kind = KIND_UDP;
    } else if (protocol === PROTOCOL_ICMP || protocol === PROTOCOL_ICMPV6) {
      return l4Length < 8 ? PARSE_ICMP : this.#parseIcmp(bytes, at);
    } else {
      this.kind = KIND_OTHER;
      this.srcPort = this.dstPort = 0;
      return PARSE_OK;
    }
    this.srcPort = (bytes[at]! << 8) | bytes[at + 1]!;
    this.dstPort = (bytes[at + 2]! << 8) | bytes[at + 3]!;
    return PARSE_OK;
  }

  #parseIcmp(bytes: Uint8Array, at: number): number {
    const type = bytes[at]!;
    const isV6 = this.version === 6;
    const isEcho = bytes[at + 1] === 0;
    this.srcPort = this.dstPort = 0;
    this.kind = KIND_ICMP_OTHER;
    if (isEcho && type === (isV6 ? 128 : 8)) this.kind = KIND_ECHO_REQUEST;
    else if (isEcho && type === (isV6 ? 129 : 0)) this.kind = KIND_ECHO_REPLY;
    else this.isIcmpError = isV6 ? type < 128 : isIcmpv4Error(type);
    if (this.kind !== KIND_ICMP_OTHER) this.srcPort = this.dstPort = (bytes[at + 4]! << 8) | bytes[at + 5]!;
    return PARSE_OK;
  }
}

/** Destination unreachable, source quench, redirect, time exceeded, parameter problem. */
function isIcmpv4Error(type: number): boolean {
  return type === 3 || type === 4 || type === 5 || type === 11 || type === 12;
}

/** u32 at `at`, network order. */
function word(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}
