/**
 * IP packets as an adversary would make them: mostly well-formed, between the addresses that matter to a gateway,
 * with extension headers, options, fragments, quotes in ICMP errors and lengths that lie now and then.
 */
import { parseIp } from "../../mod/packet/address.ts";
import { checksumOf, pseudoHeaderSum, writeIpv4Checksum } from "../../mod/packet/checksum.ts";
import type { Dice } from "./dice.ts";
import { join } from "./target.ts";

const ip = (text: string) => parseIp(text)!;

/** Own tunnel address, clients, proxies, networks of a site, the internet, and what is never to be reached. */
export const ADDRESSES: Readonly<Record<4 | 6, readonly Uint8Array[]>> = {
  4: [
    "100.64.0.1",
    "100.64.0.5",
    "100.64.0.6",
    "100.64.0.7",
    "100.96.0.1",
    "100.96.0.2",
    "100.97.1.1",
    "10.0.0.10",
    "10.1.2.3",
    "192.0.2.9",
    "198.51.100.4",
    "8.8.8.8",
    "127.0.0.1",
    "169.254.169.254",
    "224.0.0.1",
    "255.255.255.255",
    "0.0.0.0",
  ].map(ip),
  6: [
    "fd00:2021:1111::1",
    "fd00:2021:1111::5",
    "fd00:2021:1111::6",
    "fd00:2021:1111::7",
    "fd00:2021:1111:8000::1",
    "fd00:2021:1111:8000::2",
    "fd50::10",
    "2001:db8::9",
    "2606:4700::1",
    "::1",
    "::ffff:10.0.0.10",
    "fe80::1",
    "ff02::1",
    "::",
  ].map(ip),
};
const PORTS = [0, 1, 7, 53, 80, 443, 1000, 3389, 40000, 40001, 65535];
const PROTOCOLS = [6, 6, 6, 17, 17, 17, 1, 1, 58, 58, 47, 50, 51, 0, 43, 44, 59, 60, 132, 253, 255];

/** One packet; `depth` bounds how often ICMP errors quote ICMP errors. */
export function ipPacket(dice: Dice, depth = 2): Uint8Array<ArrayBuffer> {
  const family = dice.once(2) ? 4 : 6;
  const src = dice.pick(ADDRESSES[family]), dst = dice.pick(ADDRESSES[family]);
  if (family === 6 && dice.once(12)) return controlPacket(dice);
  const protocol = dice.pick(PROTOCOLS);
  const packet = family === 4 ? ipv4(dice, src, dst, protocol, depth) : ipv6(dice, src, dst, protocol, depth);
  if (dice.once(8)) repair(packet, true);
  if (!dice.once(10)) return packet;
  // A packet that is whole, but ends within the headers of what it carries.
  const cut = packet.slice(0, Math.min(packet.length, (family === 4 ? 20 : 40) + dice.below(24)));
  repair(cut, true);
  return cut;
}

function ipv4(dice: Dice, src: Uint8Array, dst: Uint8Array, protocol: number, depth: number) {
  const options = dice.once(6) ? dice.bytes(4 * dice.below(11)) : [];
  const body = dice.once(12) ? authenticated(dice, protocol, depth) : l4(dice, 4, protocol, depth);
  const length = 20 + options.length + body.length;
  const flags = dice.once(10) ? dice.pick([0x20, 0x80, 0x00, 0x40, 0x1f]) : dice.pick([0, 0x40]);
  const outer = body.length > 0 && dice.once(12) ? 51 : protocol;
  const header = [
    0x45 + options.length / 4,
    dice.pick([0, 1, 2, 3, 0xb8]),
    length >> 8,
    length,
    ...dice.bytes(2),
  ];
  header.push(flags, dice.once(10) ? dice.u32() : 0, dice.pick([1, 20, 64, 255]), outer, 0, 0);
  const packet = join(header.map((byte) => byte & 255), src, dst, options, body);
  writeIpv4Checksum(packet, 0, 20 + options.length);
  writeL4Checksum(packet, 20 + options.length, protocol, body.length);
  return packet;
}

function ipv6(dice: Dice, src: Uint8Array, dst: Uint8Array, protocol: number, depth: number) {
  const headers: Uint8Array[] = [];
  let next = protocol;
  for (let count = dice.once(3) ? 1 + dice.below(3) : 0; count > 0; count--) {
    const type = dice.pick([0, 60, 43, 44, 51]);
    const size = type === 44 ? 8 : type === 51 ? 8 + 4 * dice.below(4) : 8 * (1 + dice.below(3));
    const header = new Uint8Array(size);
    header[0] = next;
    header[1] = type === 44 ? 0 : type === 51 ? size / 4 - 2 : size / 8 - 1;
    if (type === 44 && dice.once(3)) header.set(dice.bytes(2), 2);
    headers.unshift(header);
    next = type;
  }
  const extensions = join(...headers);
  const body = l4(dice, 6, protocol, depth);
  const length = extensions.length + body.length;
  const start = [
    0x60,
    dice.pick([0, 0x10, 0x20, 0x30]),
    0,
    dice.below(3),
    length >> 8,
    length & 255,
    next,
    64,
  ];
  const packet = join(start, src, dst, extensions, body);
  writeL4Checksum(packet, 40 + extensions.length, protocol, body.length);
  return packet;
}

function authenticated(dice: Dice, protocol: number, depth: number) {
  return join([protocol, 1, 0, 0], dice.bytes(8), l4(dice, 4, protocol, depth));
}

function l4(dice: Dice, family: 4 | 6, protocol: number, depth: number): Uint8Array<ArrayBuffer> {
  const ports = [dice.pick(PORTS), dice.pick(PORTS)].flatMap((port) => [port >> 8, port & 255]);
  const payload = dice.bytes(dice.once(10) ? dice.below(1400) : dice.below(40));
  switch (protocol) {
    case 6: {
      const options = dice.once(3) ? dice.bytes(4 * dice.below(11)) : [];
      const flags = dice.pick([0x10, 0x18, 0x02, 0x12, 0x11, 0x04, 0xc2, dice.below(256)]);
      const header = [
        ...ports,
        ...dice.bytes(4),
        1,
        2,
        3,
        4,
        (5 + options.length / 4) << 4,
        flags,
        16,
        0,
        0,
        0,
        0,
        0,
      ];
      return join(header, options, payload);
    }
    case 17: {
      const length = 8 + payload.length;
      return join([...ports, length >> 8, length & 255, 0, 0], payload);
    }
    case 1:
    case 58: {
      const isEcho = dice.once(2);
      const types = family === 4
        ? (isEcho ? [0, 8] : [3, 11, 4, 5, 12, 13])
        : isEcho
        ? [128, 129]
        : [1, 2, 3, 4, 135];
      const header = [dice.pick(types), dice.once(4) ? dice.below(16) : 0, 0, 0, ports[0]!, ports[1]!, 5, 0];
      if (isEcho || depth === 0) return join(header, payload);
      const quote = ipPacket(dice, depth - 1);
      return join(header, dice.once(2) ? quote : quote.subarray(0, 20 + dice.below(60)));
    }
    default:
      return payload;
  }
}

/** Client to gateway inside the tunnel: about a name, a status, or goodbye. */
export function controlPacket(dice: Dice): Uint8Array<ArrayBuffer> {
  const resource = `0000000${dice.below(4)}-0000-4000-8000-000000000000`;
  const domain = dice.pick([
    "db.corp.example",
    "x.corp.example",
    "corp.example",
    "",
    "a".repeat(70),
    "Ä.example",
  ]);
  const proxies = Array.from(
    { length: dice.below(9) },
    () =>
      dice.pick([
        "100.96.0.1",
        "100.96.0.2",
        "fd00:2021:1111:8000::1",
        "fd00:2021:1111:8000::2",
        "10.0.0.1",
        "?",
      ]),
  );
  const body = dice.pick<unknown>([
    { resource, domain, proxy_ips: proxies },
    { resource, domain, status: dice.pick(["Active", "Inactive", "", null]) },
    { resource, domain, proxy_ips: [...proxies, 1, null] },
    dice.pick<unknown>([null, [], 1, "x", {}, { resource }, { toString: 1 }]),
  ]);
  const text = new TextEncoder().encode(dice.once(5) ? "" : JSON.stringify(body));
  const length = 8 + text.length;
  const header = new Uint8Array(48);
  header.set([0x60, 0, 0, 0, length >> 8, length & 255, 255, 64]);
  header[40] = dice.below(4);
  return join(header, text);
}

/** Makes the packet's own lengths (and, if told so, its checksums) fit its number of bytes. */
export function repair(packet: Uint8Array, checksums: boolean): void {
  const length = packet.length;
  const isV4 = packet[0]! >> 4 === 4;
  if (length < (isV4 ? 20 : 40) || length > 65535) return;
  const stated = isV4 ? length : length - 40;
  const header = isV4 ? (packet[0]! & 15) << 2 : 40;
  packet[isV4 ? 2 : 4] = stated >> 8;
  packet[isV4 ? 3 : 5] = stated;
  const protocol = packet[isV4 ? 9 : 6]!;
  if (header > length || header < 20) return;
  if (protocol === 17 && length >= header + 6) {
    packet[header + 4] = (length - header) >> 8;
    packet[header + 5] = length - header;
  }
  if (!checksums) return;
  if (isV4) writeIpv4Checksum(packet, 0, header);
  writeL4Checksum(packet, header, protocol, length - header);
}

function writeL4Checksum(packet: Uint8Array, at: number, protocol: number, length: number): void {
  const field = { 1: 2, 6: 16, 17: 6, 58: 2 }[protocol];
  if (field === undefined || length < field + 2) return;
  packet[at + field] = packet[at + field + 1] = 0;
  const pseudo = protocol === 1 ? 0 : pseudoHeaderSum(packet, 0, protocol, length);
  const checksum = checksumOf(packet, at, length, pseudo) || (protocol === 17 ? 0xffff : 0);
  packet[at + field] = checksum >> 8;
  packet[at + field + 1] = checksum;
}
