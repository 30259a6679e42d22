/**
 * The fixed address ranges of the product (spec policy §0) and what the Internet resource never reaches (§1.6).
 *
 * Addresses are u32 words in network order as `IpHeader` has them: IPv4 in the first word, IPv6 in all four.
 * A tunnel or proxy address is identified inside its range by its low 21 bits, in both families.
 */

/** Tunnel (peer) addresses: 100.64.0.0/11, fd00:2021:1111::/107. */
export function isTunnel4(a: number): boolean {
  return (a & 0xffe00000) === 0x64400000;
}

export function isTunnel6(a: number, b: number, c: number, d: number): boolean {
  return (a | 0) === PREFIX_HIGH && (b | 0) === 0x11110000 && c === 0 && (d & 0xffe00000) === 0;
}

/** Proxy (resource) addresses: 100.96.0.0/11, fd00:2021:1111:8000::/107. */
export function isProxy4(a: number): boolean {
  return (a & 0xffe00000) === 0x64600000;
}

export function isProxy6(a: number, b: number, c: number, d: number): boolean {
  return (a | 0) === PREFIX_HIGH && (b | 0) === 0x11118000 && c === 0 && (d & 0xffe00000) === 0;
}

/**
 * A small integer that names an address of the tunnel ranges, or one of the proxy ranges, among all of its kind. The
 * argument is the word that varies: the first of an IPv4, the last of an IPv6 address.
 */
export function rangeKey4(word: number): number {
  return word & 0x1fffff;
}

export function rangeKey6(word: number): number {
  return (word & 0x1fffff) | 0x200000;
}

/** 224.0.0.0/4. */
export function isMulticast4(a: number): boolean {
  return (a & 0xf0000000) === (0xe0000000 | 0);
}

/** ff00::/8. */
export function isMulticast6(a: number): boolean {
  return a >>> 24 === 0xff;
}

/** RFC 1918, loopback, link-local, 100.64/10, multicast, reserved and broadcast. */
export function isInternetBlocked4(a: number): boolean {
  const first = a >>> 24;
  return first === 10 || first === 127 || first >= 224 ||
    a >>> 20 === 0xac1 || // 172.16/12
    a >>> 16 === 0xc0a8 || // 192.168/16
    a >>> 16 === 0xa9fe || // 169.254/16
    a >>> 22 === 0x191; // 100.64/10
}

/** ::1, ::ffff:0:0/96, fc00::/7, fe80::/10, ff00::/8. */
export function isInternetBlocked6(a: number, b: number, c: number, d: number): boolean {
  if (a === 0 && b === 0) return (c === 0 && d === 1) || c === 0xffff;
  return a >>> 25 === 0x7e || a >>> 22 === 0x3fa || a >>> 24 === 0xff;
}

const PREFIX_HIGH = 0xfd002021 | 0;
