/** IPv4 packets for tests, with correct checksums. */
import { parseIp } from "../../mod/packet/mod.ts";

/** A UDP packet; `tos` carries the ECN bits. */
export function udp(
  src: string,
  sport: number,
  dst: string,
  dport: number,
  text: string,
  tos = 0,
): Uint8Array {
  const payload = new TextEncoder().encode(text);
  const packet = new Uint8Array(28 + payload.length);
  const view = new DataView(packet.buffer);
  packet.set([0x45, tos]);
  view.setUint16(2, packet.length);
  packet.set([0, 0, 0x40, 0, 64, 17], 4);
  packet.set(parseIp(src)!, 12);
  packet.set(parseIp(dst)!, 16);
  view.setUint16(10, ~sum(packet.subarray(0, 20)) & 0xffff);
  view.setUint16(20, sport);
  view.setUint16(22, dport);
  view.setUint16(24, 8 + payload.length);
  packet.set(payload, 28);
  const pseudo = new Uint8Array(12 + 8 + payload.length);
  pseudo.set(packet.subarray(12, 20));
  pseudo.set([0, 17, 0, 8 + payload.length], 8);
  pseudo.set(packet.subarray(20), 12);
  view.setUint16(26, ~sum(pseudo) & 0xffff || 0xffff);
  return packet;
}

function sum(bytes: Uint8Array): number {
  let total = 0;
  for (let i = 0; i < bytes.length; i += 2) total += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}
