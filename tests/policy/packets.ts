/** Builds and reads IP packets for the policy's tests: slow, obvious, and without the code under test. */
import { strict as assert } from "node:assert";
import { formatIp, parseIp } from "../../mod/packet/address.ts";

export interface PacketFields {
  readonly src: string;
  readonly dst: string;
  readonly protocol: number;
  /** Everything behind the IP header, checksum field zero. */
  readonly l4: Uint8Array;
  /** Where the L4 checksum is; absent: the protocol has none. */
  readonly checksumAt?: number;
  readonly ttl?: number;
}

export function ip(text: string): Uint8Array<ArrayBuffer> {
  const bytes = parseIp(text);
  assert.ok(bytes, `not an IP address: ${text}`);
  return bytes;
}

export function hex(text: string): Uint8Array<ArrayBuffer> {
  const clean = text.replaceAll(/\s/g, "");
  return Uint8Array.from({ length: clean.length / 2 }, (_, i) => parseInt(clean.slice(2 * i, 2 * i + 2), 16));
}

export function toHex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** RFC 1071 over the given pieces, each of even length but the last. */
export function checksum(...pieces: Uint8Array[]): number {
  let sum = 0;
  for (const bytes of pieces) {
    for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i]! << 8) + (bytes[i + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

function pseudoHeader(src: Uint8Array, dst: Uint8Array, protocol: number, length: number): Uint8Array {
  return Uint8Array.from([...src, ...dst, 0, 0, length >> 8, length & 255, 0, 0, 0, protocol]);
}

export function packet(
  { src, dst, protocol, l4, checksumAt, ttl = 64 }: PacketFields,
): Uint8Array<ArrayBuffer> {
  const [from, to] = [ip(src), ip(dst)];
  const v4 = from.length === 4;
  const header = v4
    ? ipv4Header(from, to, protocol, l4.length, ttl)
    : ipv6Header(from, to, protocol, l4.length, ttl);
  const bytes = Uint8Array.from([...header, ...l4]);
  if (checksumAt !== undefined) {
    const pseudo = protocol === 1 ? new Uint8Array(0) : pseudoHeader(from, to, protocol, l4.length);
    const sum = checksum(pseudo, l4) || (protocol === 17 ? 0xffff : 0);
    bytes.set([sum >> 8, sum & 255], header.length + checksumAt);
  }
  return bytes;
}

function ipv4Header(src: Uint8Array, dst: Uint8Array, protocol: number, length: number, ttl: number) {
  const total = 20 + length;
  const header = Uint8Array.from([
    0x45,
    0,
    total >> 8,
    total & 255,
    0,
    0,
    0x40,
    0,
    ttl,
    protocol,
    0,
    0,
    ...src,
    ...dst,
  ]);
  const sum = checksum(header);
  header.set([sum >> 8, sum & 255], 10);
  return header;
}

function ipv6Header(src: Uint8Array, dst: Uint8Array, protocol: number, length: number, ttl: number) {
  return Uint8Array.from([0x60, 0, 0, 0, length >> 8, length & 255, protocol, ttl, ...src, ...dst]);
}

const u16 = (value: number) => [value >> 8, value & 255];

export function udp(src: string, srcPort: number, dst: string, dstPort: number, payload = "abcd") {
  const data = new TextEncoder().encode(payload);
  const l4 = Uint8Array.from([...u16(srcPort), ...u16(dstPort), ...u16(8 + data.length), 0, 0, ...data]);
  return packet({ src, dst, protocol: 17, l4, checksumAt: 6 });
}

export const FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16;

export function tcp(src: string, srcPort: number, dst: string, dstPort: number, flags = ACK, payload = "") {
  const data = new TextEncoder().encode(payload);
  const l4 = Uint8Array.from([
    ...u16(srcPort),
    ...u16(dstPort),
    ...[1, 2, 3, 4, 5, 6, 7, 8, 0x50, flags, 0x20, 0, 0, 0, 0, 0],
    ...data,
  ]);
  return packet({ src, dst, protocol: 6, l4, checksumAt: 16 });
}

/** An ICMP or ICMPv6 message by the family of the addresses. */
export function icmp(
  src: string,
  dst: string,
  type: number,
  code: number,
  rest: readonly number[],
  body: Uint8Array,
  ttl = 64,
) {
  const l4 = Uint8Array.from([type, code, 0, 0, ...rest, ...body]);
  return packet({ src, dst, protocol: src.includes(":") ? 58 : 1, l4, checksumAt: 2, ttl });
}

export function echo(src: string, dst: string, id: number, reply = false) {
  const type = src.includes(":") ? (reply ? 129 : 128) : (reply ? 0 : 8);
  return icmp(src, dst, type, 0, [...u16(id), 0, 1], new TextEncoder().encode("ping"));
}

/** Host unreachable, quoting the header and 8 bytes (IPv4) or everything (IPv6). */
export function unreachable(src: string, dst: string, quoted: Uint8Array, ttl = 64) {
  return src.includes(":")
    ? icmp(src, dst, 1, 3, [0, 0, 0, 0], quoted.subarray(0, 1232), ttl)
    : icmp(src, dst, 3, 1, [0, 0, 0, 0], quoted.subarray(0, ((quoted[0]! & 15) << 2) + 8), ttl);
}

/** A packet of an IP protocol without ports. */
export function other(src: string, dst: string, protocol = 47) {
  return packet({ src, dst, protocol, l4: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) });
}

/** A packet as a test wants to see it. */
export interface Reading {
  readonly src: string;
  readonly dst: string;
  readonly protocol: number;
  readonly srcPort: number;
  readonly dstPort: number;
  /** Both checksums hold. */
  readonly valid: boolean;
}

/** Reads an option-less IPv4 or extension-less IPv6 packet. For ICMP both ports are the echo identifier. */
export function read(bytes: Uint8Array): Reading {
  const v4 = bytes[0]! >> 4 === 4;
  const at = v4 ? 20 : 40;
  const [from, to] = v4
    ? [bytes.subarray(12, 16), bytes.subarray(16, 20)]
    : [bytes.subarray(8, 24), bytes.subarray(24, 40)];
  const protocol = bytes[v4 ? 9 : 6]!;
  const l4 = bytes.subarray(at);
  const word = (i: number) => (l4[i]! << 8) | l4[i + 1]!;
  const isIcmp = protocol === 1 || protocol === 58;
  const pseudo = protocol === 1 ? new Uint8Array(0) : pseudoHeader(from, to, protocol, l4.length);
  const unchecked = protocol === 17 && word(6) === 0;
  const checked = isIcmp || protocol === 6 || (protocol === 17 && !unchecked);
  return {
    src: formatIp(from),
    dst: formatIp(to),
    protocol,
    srcPort: isIcmp ? word(4) : word(0),
    dstPort: isIcmp ? word(4) : word(2),
    valid: (!v4 || checksum(bytes.subarray(0, 20)) === 0) && (!checked || checksum(pseudo, l4) === 0),
  };
}
