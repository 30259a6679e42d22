/**
 * IP and socket addresses, in the two shapes the project uses.
 *
 * - Control code (STUN, ICE, TURN, portal) uses {@link SocketAddress}: an immutable value whose `key` is its
 *   canonical text (RFC 5952 for IPv6), so that equality is `a.key === b.key` and maps are keyed by text.
 * - The packet path uses address *records* in the slab: 20 bytes, 4-aligned, compared as five u32 words.
 *   They never become objects unless control code asks.
 *
 * Record layout: u16 LE family (0 = none, 4, 6) · u16 LE port · 16 bytes IP in network order (IPv4 in the first
 * four, the rest zero).
 */
import type { Slab } from "./slab.ts";

export type IpFamily = 4 | 6;
export const ADDRESS_RECORD_SIZE = 20;

/** Bytes of an IP address in text form (4 or 16), or undefined when it is not one. Strict: no octal, no zone. */
export function parseIp(text: string): Uint8Array<ArrayBuffer> | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

/** Canonical text (dotted quad, or RFC 5952) of 4 or 16 bytes in network order. */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`;
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((bytes[i]! << 8) | bytes[i + 1]!);
  let bestStart = -1, bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && groups[i + run] === 0) run++;
    if (run > bestLength) [bestStart, bestLength] = [i, run];
    i += run;
  }
  const hex = (part: number[]) => part.map((g) => g.toString(16)).join(":");
  if (bestStart < 0) return hex(groups);
  return `${hex(groups.slice(0, bestStart))}::${hex(groups.slice(bestStart + bestLength))}`;
}

function parseIpv4(text: string): Uint8Array<ArrayBuffer> | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (!match) return undefined;
  const bytes = new Uint8Array(4);
  for (let i = 0; i < 4; i++) {
    const part = match[i + 1]!;
    if (Number(part) > 255 || (part.length > 1 && part[0] === "0")) return undefined;
    bytes[i] = Number(part);
  }
  return bytes;
}

function parseIpv6(text: string): Uint8Array<ArrayBuffer> | undefined {
  let rest = text;
  let tail: number[] = [];
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted) {
    const v4 = parseIpv4(dotted[2]!);
    if (!v4) return undefined;
    tail = [(v4[0]! << 8) | v4[1]!, (v4[2]! << 8) | v4[3]!];
    rest = dotted[1]!.endsWith("::") ? dotted[1]! : dotted[1]!.slice(0, -1);
  }
  const halves = rest.split("::");
  if (halves.length > 2) return undefined;
  const groupsOf = (part: string) => (part === "" ? [] : part.split(":"));
  const head = groupsOf(halves[0]!), back = halves.length === 2 ? groupsOf(halves[1]!) : [];
  if ([...head, ...back].some((g) => !/^[0-9a-fA-F]{1,4}$/.test(g))) return undefined;
  const front = head.map((g) => parseInt(g, 16));
  const end = [...back.map((g) => parseInt(g, 16)), ...tail];
  const missing = 8 - front.length - end.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...front, ...new Array<number>(missing).fill(0), ...end];
  const bytes = new Uint8Array(16);
  groups.forEach((g, i) => {
    bytes[2 * i] = g >> 8;
    bytes[2 * i + 1] = g & 255;
  });
  return bytes;
}

/** An IP address with a UDP port. Make one with {@link SocketAddress.of}, `.fromBytes` or `.parse`. */
export class SocketAddress {
  private constructor(
    /** 4 or 16 bytes, network order; never mutated. */
    readonly bytes: Uint8Array,
    /** Canonical text of the IP. */
    readonly ip: string,
    readonly port: number,
    /** `1.2.3.4:5` or `[2001:db8::1]:5`; two addresses are equal exactly when their keys are. */
    readonly key: string,
  ) {}

  get family(): IpFamily {
    return this.bytes.length === 4 ? 4 : 6;
  }

  /** From 4 or 16 bytes (copied) and a port. */
  static fromBytes(bytes: Uint8Array, port: number): SocketAddress {
    const ip = formatIp(bytes);
    return new SocketAddress(
      bytes.slice(),
      ip,
      port,
      bytes.length === 4 ? `${ip}:${port}` : `[${ip}]:${port}`,
    );
  }

  /** From text; undefined when `ip` is no IP address or the port is out of range. */
  static of(ip: string, port: number): SocketAddress | undefined {
    const bytes = parseIp(ip);
    if (!bytes || !Number.isInteger(port) || port < 0 || port > 65535) return undefined;
    return SocketAddress.fromBytes(bytes, port);
  }

  /** From `1.2.3.4:5` or `[::1]:5`. */
  static parse(text: string): SocketAddress | undefined {
    const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
    if (!match) return undefined;
    const ip = match[1] ?? match[2]!;
    if ((match[1] !== undefined) !== ip.includes(":")) return undefined;
    return SocketAddress.of(ip, Number(match[3]));
  }

  equals(other: SocketAddress): boolean {
    return this.key === other.key;
  }

  toString(): string {
    return this.key;
  }
}

export function writeAddressRecord(slab: Slab, offset: number, address: SocketAddress): void {
  slab.view.setUint16(offset, address.family, true);
  slab.view.setUint16(offset + 2, address.port, true);
  slab.bytes.fill(0, offset + 4, offset + ADDRESS_RECORD_SIZE);
  slab.bytes.set(address.bytes, offset + 4);
}

/** Control path only: allocates. Undefined when the record is empty. */
export function readAddressRecord(slab: Slab, offset: number): SocketAddress | undefined {
  const family = slab.view.getUint16(offset, true);
  if (family !== 4 && family !== 6) return undefined;
  const length = family === 4 ? 4 : 16;
  return SocketAddress.fromBytes(
    slab.bytes.subarray(offset + 4, offset + 4 + length),
    slab.view.getUint16(offset + 2, true),
  );
}
