/** IP addresses as four u32 words in network order (IPv4 in the first, the rest zero): the packet path's shape. */

export type Words = readonly [number, number, number, number];

/** From 4 or 16 bytes; undefined for any other length. */
export function wordsOf(ip: Uint8Array): Words | undefined {
  if (ip.length === 4) return [word(ip, 0), 0, 0, 0];
  if (ip.length === 16) return [word(ip, 0), word(ip, 4), word(ip, 8), word(ip, 12)];
  return undefined;
}

/** Numeric order, IPv4 and IPv6 apart (compare families first). */
export function compareWords(a: Words, b: Words): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2] || a[3] - b[3];
}

/** The address with all bits behind `prefix` cleared; `prefix` counts from the first word. */
export function maskWords(a: Words, prefix: number): Words {
  return [mask(a[0], prefix), mask(a[1], prefix - 32), mask(a[2], prefix - 64), mask(a[3], prefix - 96)];
}

function mask(word: number, bits: number): number {
  if (bits >= 32) return word;
  return bits <= 0 ? 0 : (word & (-1 << (32 - bits))) >>> 0;
}

function word(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24 | bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!) >>> 0;
}
