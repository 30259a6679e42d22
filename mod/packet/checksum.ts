/**
 * Internet checksums (RFC 1071) in plain TypeScript: the reference for the kernels, what control code uses on its
 * few bytes, pseudo-header sums (RFC 9293 §3.1, RFC 8200 §8.1), and incremental updates (RFC 1624) of fields that
 * NAT rewrites.
 *
 * Vocabulary: a *sum* is a one's-complement sum, a *checksum* is the complemented value that goes on the wire.
 * Sums may be added with `+` and are folded once at the end ({@link fold}). Values are in network order.
 */
import type { Slab } from "./slab.ts";

/** Folds a sum below 2^48 to 16 bits. */
export function fold(sum: number): number {
  if (sum > 0xffffffff) sum = (sum >>> 0) + Math.floor(sum / 0x100000000);
  if (sum > 0xffffffff) sum = (sum >>> 0) + 1;
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  return (sum & 0xffff) + (sum >>> 16);
}

/** Sum of bytes[offset, offset+length) and `initial`, folded; an odd last byte counts as the high half of a word. */
export function sumBytes(bytes: Uint8Array, offset: number, length: number, initial = 0): number {
  let sum = fold(initial);
  const end = offset + length - 1;
  let i = offset;
  for (; i < end; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!;
  if (i === end) sum += bytes[i]! << 8;
  return fold(sum);
}

/** Checksum of bytes[offset, offset+length): the complement of their sum. */
export function checksumOf(bytes: Uint8Array, offset: number, length: number, initial = 0): number {
  return ~sumBytes(bytes, offset, length, initial) & 0xffff;
}

/** Sum (unfolded) of one u32 in network order. */
export function sumOfWord(word: number): number {
  return (word >>> 16) + (word & 0xffff);
}

/** Pseudo-header sum of the IPv4 or IPv6 packet whose header starts at `offset`, for `l4Length` bytes of `protocol`. */
export function pseudoHeaderSum(
  bytes: Uint8Array,
  offset: number,
  protocol: number,
  l4Length: number,
): number {
  const isV4 = bytes[offset]! >> 4 === 4;
  const start = offset + (isV4 ? 12 : 8), length = isV4 ? 8 : 32;
  return sumBytes(bytes, start, length, protocol + sumOfWord(l4Length));
}

/** Recomputes the checksum of the IPv4 header of `headerLength` bytes at `offset`. */
export function writeIpv4Checksum(bytes: Uint8Array, offset: number, headerLength: number): void {
  bytes[offset + 10] = bytes[offset + 11] = 0;
  const checksum = checksumOf(bytes, offset, headerLength);
  bytes[offset + 10] = checksum >> 8;
  bytes[offset + 11] = checksum & 0xff;
}

/**
 * Difference that replacing a 16-bit word `before` by `after` makes to a sum. Differences of several words add up;
 * pass the total to {@link updateChecksum}.
 */
export function wordDelta(before: number, after: number): number {
  return (~before & 0xffff) + after;
}

/** As {@link wordDelta}, of a u32 (an IPv4 address, a sequence number) at an even place of the packet. */
export function doubleWordDelta(before: number, after: number): number {
  return (~before >>> 16) + (~before & 0xffff) + (after >>> 16) + (after & 0xffff);
}

/** New checksum after the words it covers changed by `delta` (RFC 1624, equation 3). */
export function updatedChecksum(checksum: number, delta: number): number {
  return ~fold((~checksum & 0xffff) + delta) & 0xffff;
}

/** Updates the 16-bit checksum at slab offset `at` in place. A wrong checksum stays wrong by the same amount. */
export function updateChecksum(slab: Slab, at: number, delta: number): void {
  const bytes = slab.bytes;
  const checksum = updatedChecksum((bytes[at]! << 8) | bytes[at + 1]!, delta);
  bytes[at] = checksum >> 8;
  bytes[at + 1] = checksum & 0xff;
}

/**
 * As {@link updateChecksum} for UDP: 0 means "no checksum" and stays 0 (IPv4); a result of 0 is written as 0xffff
 * (RFC 768).
 */
export function updateUdpChecksum(slab: Slab, at: number, delta: number): void {
  const bytes = slab.bytes;
  const before = (bytes[at]! << 8) | bytes[at + 1]!;
  if (before === 0) return;
  const checksum = updatedChecksum(before, delta) || 0xffff;
  bytes[at] = checksum >> 8;
  bytes[at + 1] = checksum & 0xff;
}
