/**
 * Tunnel addresses of devices: 100.64.0.0/11 and fd00:2021:1111::/107, one offset in both. The offset follows from the
 * device's id, so that a portal that lost its memory hands out the same addresses again; when it is taken the next
 * free one is used, forward to the end and then backward. The first two and the last offset are never used.
 */
import { sha256 } from "@noble/hashes/sha2.js";

const HOSTS = 1 << 21;
const FIRST = 2;
const LAST = HOSTS - 2;

/** A free offset for a device, or undefined when none is left. */
export function chooseOffset(deviceId: string, isTaken: (offset: number) => boolean): number | undefined {
  const hash = sha256(new TextEncoder().encode(`tunnel address of ${deviceId}`));
  const start = FIRST + new DataView(hash.buffer, hash.byteOffset).getUint32(0) % (LAST - FIRST + 1);
  for (let offset = start; offset <= LAST; offset++) if (!isTaken(offset)) return offset;
  for (let offset = start - 1; offset >= FIRST; offset--) if (!isTaken(offset)) return offset;
  return undefined;
}

export function tunnelIpv4(offset: number): string {
  return `100.${64 + (offset >> 16)}.${(offset >> 8) & 255}.${offset & 255}`;
}

/** RFC 5952 text. */
export function tunnelIpv6(offset: number): string {
  const [high, low] = [offset >> 16, offset & 0xffff];
  return high === 0
    ? `fd00:2021:1111::${low.toString(16)}`
    : `fd00:2021:1111::${high.toString(16)}:${low.toString(16)}`;
}
