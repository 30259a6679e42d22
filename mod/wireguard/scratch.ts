/**
 * 32 bytes of each slab in which keepalives are sealed, shared by all tunnels: ciphers only reach the slab, and a
 * keepalive leaves it at once as a control datagram.
 */
import type { Slab } from "../packet/slab.ts";
import { KEEPALIVE_LENGTH } from "./messages.ts";

const offsets = new WeakMap<Slab, number>();

/** Offset of the scratch area; the first call for a slab reserves it and throws a RangeError when it is full. */
export function scratchOf(slab: Slab): number {
  let offset = offsets.get(slab);
  if (offset === undefined) {
    offset = slab.reserve(KEEPALIVE_LENGTH);
    offsets.set(slab, offset);
  }
  return offset;
}
