/**
 * The packet quoted in an ICMP error (spec policy §2.3): which of the client's packets does this error speak of?
 *
 * Recognised are ICMPv4 destination unreachable and time exceeded, ICMPv6 destination unreachable, packet too big
 * and time exceeded. Reading is lax, since routers quote as little as 8 bytes behind the inner header (RFC 792), but
 * what identifies a flow must be there: the inner header in full, and the ports, or the header of an echo request.
 * A later fragment has no ports and is not recognised.
 */
import {
  type IpHeader,
  KIND_ECHO_REQUEST,
  KIND_TCP,
  KIND_UDP,
  PROTOCOL_ICMP,
  PROTOCOL_ICMPV6,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
} from "../packet/ip_header.ts";

const HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, AUTHENTICATION = 51, DESTINATION_OPTIONS = 60;
export const ICMP_HEADER_SIZE = 8;

/** One instance is reused for every error; after a refused `parse` its fields mean nothing. */
export class IcmpQuote {
  /** KIND_TCP, KIND_UDP or KIND_ECHO_REQUEST. */
  kind = KIND_UDP;
  /** Source port of the quoted packet, or its echo identifier. */
  srcPort = 0;
  /** Where that number is in the parsed bytes. */
  portOffset = 0;
  /** Where the quoted destination address is in the parsed bytes. */
  dstOffset = 0;
  /** Quoted destination as words (IPv4 in the first). */
  readonly dst: Uint32Array<ArrayBuffer> = new Uint32Array(4);

  /** True when the packet behind `header` is a recognised error and its quote names a flow. */
  parse(bytes: Uint8Array, header: IpHeader): boolean {
    if (!header.isIcmpError) return false;
    const type = bytes[header.l4Offset]!;
    const start = header.l4Offset + ICMP_HEADER_SIZE;
    const end = header.l4Offset + header.l4Length;
    return header.version === 4
      ? (type === 3 || type === 11) && this.#parse4(bytes, start, end)
      : (type === 1 || type === 2 || type === 3) && this.#parse6(bytes, start, end);
  }

  #parse4(bytes: Uint8Array, at: number, end: number): boolean {
    if (at + 20 > end || bytes[at]! >> 4 !== 4) return false;
    const headerLength = (bytes[at]! & 15) << 2;
    if (headerLength < 20 || at + headerLength > end) return false;
    if (((bytes[at + 6]! & 0x1f) | bytes[at + 7]!) !== 0) return false;
    this.dstOffset = at + 16;
    this.dst[0] = word(bytes, at + 16);
    this.dst[1] = this.dst[2] = this.dst[3] = 0;
    let protocol = bytes[at + 9]!, l4 = at + headerLength;
    if (protocol === AUTHENTICATION) {
      if (l4 + 8 > end) return false;
      protocol = bytes[l4]!;
      l4 += (bytes[l4 + 1]! + 2) << 2;
    }
    return this.#parseL4(bytes, l4, end, protocol, PROTOCOL_ICMP, 8);
  }

  #parse6(bytes: Uint8Array, at: number, end: number): boolean {
    if (at + 40 > end || bytes[at]! >> 4 !== 6) return false;
    this.dstOffset = at + 24;
    for (let i = 0; i < 4; i++) this.dst[i] = word(bytes, at + 24 + 4 * i);
    let next = bytes[at + 6]!, l4 = at + 40;
    while (
      next === HOP_BY_HOP || next === DESTINATION_OPTIONS || next === ROUTING || next === FRAGMENT ||
      next === AUTHENTICATION
    ) {
      if (l4 + 8 > end) return false;
      if (next === FRAGMENT && (bytes[l4 + 2]! | (bytes[l4 + 3]! & 0xf8)) !== 0) return false;
      const length = next === FRAGMENT
        ? 8
        : next === AUTHENTICATION
        ? (bytes[l4 + 1]! + 2) << 2
        : (bytes[l4 + 1]! + 1) << 3;
      next = bytes[l4]!;
      l4 += length;
    }
    return this.#parseL4(bytes, l4, end, next, PROTOCOL_ICMPV6, 128);
  }

  #parseL4(
    bytes: Uint8Array,
    at: number,
    end: number,
    protocol: number,
    icmp: number,
    echoRequest: number,
  ): boolean {
    if (protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP) {
      if (at + 4 > end) return false;
      this.kind = protocol === PROTOCOL_TCP ? KIND_TCP : KIND_UDP;
      this.portOffset = at;
    } else {
      if (protocol !== icmp || at + 8 > end) return false;
      if (bytes[at] !== echoRequest || bytes[at + 1] !== 0) return false;
      this.kind = KIND_ECHO_REQUEST;
      this.portOffset = at + 4;
    }
    this.srcPort = bytes[this.portOffset]! << 8 | bytes[this.portOffset + 1]!;
    return true;
  }
}

function word(bytes: Uint8Array, at: number): number {
  return bytes[at]! << 24 | bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!;
}
