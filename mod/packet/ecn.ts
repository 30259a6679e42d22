/**
 * Explicit congestion notification through the tunnel (RFC 6040, spec policy §7.5): the inner code point travels on
 * the outer header, and congestion experienced outside is carried into packets that understand it.
 */
import { updateChecksum, wordDelta } from "./checksum.ts";
import type { Slab } from "./slab.ts";

export const ECN_NOT_ECT = 0;
export const ECN_ECT1 = 1;
export const ECN_ECT0 = 2;
export const ECN_CE = 3;

/** ECN code point of the IP packet at `offset`. */
export function ecnOf(bytes: Uint8Array, offset: number): number {
  return bytes[offset]! >> 4 === 4 ? bytes[offset + 1]! & 3 : (bytes[offset + 1]! >> 4) & 3;
}

/**
 * Network to TUN: when the outer header says CE and the inner packet at `offset` is ECT(0) or ECT(1), it becomes CE
 * and its IPv4 header checksum is updated. Every other combination leaves the packet as it is.
 */
export function mergeEcn(slab: Slab, offset: number, outerEcn: number): void {
  if (outerEcn !== ECN_CE) return;
  const bytes = slab.bytes;
  const inner = ecnOf(bytes, offset);
  if (inner === ECN_NOT_ECT || inner === ECN_CE) return;
  const first = bytes[offset]!, second = bytes[offset + 1]!;
  if (first >> 4 === 4) {
    bytes[offset + 1] = second | ECN_CE;
    updateChecksum(slab, offset + 10, wordDelta((first << 8) | second, (first << 8) | second | ECN_CE));
  } else {
    bytes[offset + 1] = second | (ECN_CE << 4);
  }
}
