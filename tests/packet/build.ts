/** Test packets: builds valid IPv4/IPv6 TCP, UDP and ICMP packets from named fields, checksums included. */
import { checksumOf, pseudoHeaderSum, writeIpv4Checksum } from "../../mod/packet/checksum.ts";
import { parseIp } from "../../mod/packet/address.ts";

export interface PacketFields {
  src?: string;
  dst?: string;
  protocol?: "tcp" | "udp" | "icmp";
  sport?: number;
  dport?: number;
  payload?: Uint8Array;
  tos?: number;
  ttl?: number;
  id?: number;
  dontFragment?: boolean;
  flowLabel?: number;
  ipOptions?: Uint8Array;
  seq?: number;
  ack?: number;
  flags?: number;
  window?: number;
  urgent?: number;
  tcpOptions?: Uint8Array;
  icmpType?: number;
  icmpCode?: number;
}

export const ACK = 0x10, PSH = 0x08, FIN = 0x01, SYN = 0x02, CWR = 0x80, ECE = 0x40, URG = 0x20;

export const hex = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(text.replace(/\s/g, "").match(/../g) ?? [], (b) => parseInt(b, 16));

export const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");

export function bytesOf(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let i = 0, x = seed * 2654435761 >>> 0; i < length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    bytes[i] = x >>> 24;
  }
  return bytes;
}

/** IPv4 when `dst` is, else IPv6. Defaults: TCP 10.0.0.1:1000 to 10.0.0.2:2000, ACK, TTL 64, DF. */
export function packet(fields: PacketFields = {}): Uint8Array<ArrayBuffer> {
  const { protocol = "tcp", dst = "10.0.0.2" } = fields;
  const destination = parseIp(dst)!;
  const isV4 = destination.length === 4;
  const source = parseIp(fields.src ?? (isV4 ? "10.0.0.1" : "fd00::1"))!;
  const l4 = protocol === "tcp" ? tcp(fields) : protocol === "udp" ? udp(fields) : icmp(fields, isV4);
  const number = { tcp: 6, udp: 17, icmp: isV4 ? 1 : 58 }[protocol];
  const header = isV4 ? ipv4(fields, l4.length, number) : ipv6(fields, l4.length, number);
  const bytes = new Uint8Array(header.length + l4.length);
  bytes.set(header);
  bytes.set(source, isV4 ? 12 : 8);
  bytes.set(destination, isV4 ? 16 : 24);
  bytes.set(l4, header.length);
  if (isV4) writeIpv4Checksum(bytes, 0, header.length);
  const at = header.length + { tcp: 16, udp: 6, icmp: 2 }[protocol];
  const pseudo = protocol === "icmp" && isV4 ? 0 : pseudoHeaderSum(bytes, 0, number, l4.length);
  let checksum = checksumOf(bytes, header.length, l4.length, pseudo);
  if (protocol === "udp" && checksum === 0) checksum = 0xffff;
  bytes[at] = checksum >> 8;
  bytes[at + 1] = checksum & 255;
  return bytes;
}

function ipv4(f: PacketFields, l4Length: number, protocol: number): Uint8Array {
  const options = f.ipOptions ?? new Uint8Array();
  const bytes = new Uint8Array(20 + options.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = 0x40 | (bytes.length >> 2);
  bytes[1] = f.tos ?? 0;
  view.setUint16(2, bytes.length + l4Length);
  view.setUint16(4, f.id ?? 0);
  view.setUint16(6, f.dontFragment === false ? 0 : 0x4000);
  bytes[8] = f.ttl ?? 64;
  bytes[9] = protocol;
  bytes.set(options, 20);
  return bytes;
}

function ipv6(f: PacketFields, l4Length: number, protocol: number): Uint8Array {
  const bytes = new Uint8Array(40);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, (0x60000000 | ((f.tos ?? 0) << 20) | (f.flowLabel ?? 0)) >>> 0);
  view.setUint16(4, l4Length);
  bytes[6] = protocol;
  bytes[7] = f.ttl ?? 64;
  return bytes;
}

function tcp(f: PacketFields): Uint8Array {
  const options = f.tcpOptions ?? new Uint8Array();
  const payload = f.payload ?? new Uint8Array();
  const bytes = new Uint8Array(20 + options.length + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, f.sport ?? 1000);
  view.setUint16(2, f.dport ?? 2000);
  view.setUint32(4, (f.seq ?? 1) >>> 0);
  view.setUint32(8, f.ack ?? 1);
  bytes[12] = ((20 + options.length) >> 2) << 4;
  bytes[13] = f.flags ?? ACK;
  view.setUint16(14, f.window ?? 512);
  view.setUint16(18, f.urgent ?? 0);
  bytes.set(options, 20);
  bytes.set(payload, 20 + options.length);
  return bytes;
}

function udp(f: PacketFields): Uint8Array {
  const payload = f.payload ?? new Uint8Array();
  const bytes = new Uint8Array(8 + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, f.sport ?? 1000);
  view.setUint16(2, f.dport ?? 2000);
  view.setUint16(4, bytes.length);
  bytes.set(payload, 8);
  return bytes;
}

function icmp(f: PacketFields, isV4: boolean): Uint8Array {
  const payload = f.payload ?? new Uint8Array();
  const bytes = new Uint8Array(8 + payload.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = f.icmpType ?? (isV4 ? 8 : 128);
  bytes[1] = f.icmpCode ?? 0;
  view.setUint16(4, f.id ?? 0x1234);
  bytes.set(payload, 8);
  return bytes;
}
