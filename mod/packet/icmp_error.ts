/**
 * The two ICMP errors that the gateway answers with (spec policy §1.3): "prohibited" when the policy refuses a
 * packet, "unreachable" when its destination has no usable address. RFC 792/1122 and RFC 4443; byte-exact with
 * the vectors of spec policy appendix A.
 *
 * Source and destination are the offending packet's, swapped. IPv4 quotes the header with its options and 8 bytes
 * (RFC 792), IPv6 as much as fits into 1280 bytes (RFC 4443 §3.1). An ICMP error is never answered by one.
 */
import { checksumOf, pseudoHeaderSum, writeIpv4Checksum } from "./checksum.ts";
import { IpHeader, PARSE_OK, PROTOCOL_ICMP, PROTOCOL_ICMPV6 } from "./ip_header.ts";

/** The longest answer: the IPv6 minimum MTU. */
export const MAX_ICMP_ERROR_LENGTH = 1280;
const HOP_LIMIT = 20;
const ICMP_HEADER = 8;

const PROHIBITED = { v4Type: 3, v4Code: 13, v6Type: 1, v6Code: 1 };
const UNREACHABLE = { v4Type: 3, v4Code: 0, v6Type: 1, v6Code: 3 };
type Reply = typeof PROHIBITED;

/** Answer to a packet that the policy refuses; undefined when it is malformed or itself an ICMP error. */
export function buildProhibited(packet: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  return build(packet, PROHIBITED);
}

/** Answer to a packet whose destination has no usable address; undefined as for {@link buildProhibited}. */
export function buildUnreachable(packet: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  return build(packet, UNREACHABLE);
}

/** True when `packet` is a well-formed ICMPv4 or ICMPv6 error message of any type. */
export function isIcmpError(packet: Uint8Array): boolean {
  const header = new IpHeader();
  return header.parse(packet, 0, packet.length) === PARSE_OK && header.isIcmpError;
}

function build(packet: Uint8Array, reply: Reply): Uint8Array<ArrayBuffer> | undefined {
  const header = new IpHeader();
  if (header.parse(packet, 0, packet.length) !== PARSE_OK || header.isIcmpError) return undefined;
  return header.version === 4 ? buildIpv4(packet, reply) : buildIpv6(packet, reply);
}

function buildIpv4(packet: Uint8Array, { v4Type, v4Code }: Reply): Uint8Array<ArrayBuffer> {
  const quoted = Math.min(packet.length, ((packet[0]! & 15) << 2) + 8);
  const length = 20 + ICMP_HEADER + quoted;
  const answer = new Uint8Array(length);
  answer.set([0x45, 0, length >> 8, length & 0xff, 0, 0, 0x40, 0, HOP_LIMIT, PROTOCOL_ICMP]);
  answer.set(packet.subarray(16, 20), 12);
  answer.set(packet.subarray(12, 16), 16);
  writeIpv4Checksum(answer, 0, 20);
  answer.set([v4Type, v4Code], 20);
  answer.set(packet.subarray(0, quoted), 28);
  writeChecksum(answer, 22, checksumOf(answer, 20, length - 20));
  return answer;
}

function buildIpv6(packet: Uint8Array, { v6Type, v6Code }: Reply): Uint8Array<ArrayBuffer> {
  const payload = ICMP_HEADER + Math.min(packet.length, MAX_ICMP_ERROR_LENGTH - 40 - ICMP_HEADER);
  const answer = new Uint8Array(40 + payload);
  answer.set([0x60, 0, 0, 0, payload >> 8, payload & 0xff, PROTOCOL_ICMPV6, HOP_LIMIT]);
  answer.set(packet.subarray(24, 40), 8);
  answer.set(packet.subarray(8, 24), 24);
  answer.set([v6Type, v6Code], 40);
  answer.set(packet.subarray(0, payload - ICMP_HEADER), 48);
  writeChecksum(
    answer,
    42,
    checksumOf(answer, 40, payload, pseudoHeaderSum(answer, 0, PROTOCOL_ICMPV6, payload)),
  );
  return answer;
}

function writeChecksum(bytes: Uint8Array, at: number, checksum: number): void {
  bytes[at] = checksum >> 8;
  bytes[at + 1] = checksum & 0xff;
}
