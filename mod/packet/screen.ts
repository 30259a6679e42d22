/**
 * What strangers get through to a socket at all: rules so simple that the kernel can apply them to a datagram before it
 * is queued (`ffi/udp/filter.ts`), and so generous that nothing is refused which somebody here would take. A flood
 * then costs neither wake-ups nor copies.
 */

/** Of a thinned source's handshakes without cookie, one in this many passes, by chance. A power of two. */
export const THINNED_TO_ONE_IN = 256;
/** Odd, so that ports keep apart. */
export const PORT_FACTOR = 0x9e3779b1;

export interface Screen {
  /**
   * STUN requests pass when their user name begins with one of these: the first four bytes of it as a number,
   * ascending, each once. Undefined: whatever it begins with.
   */
  readonly users: readonly number[] | undefined;
  /** Whose handshakes without a cookie are thinned: 4 address bytes (IPv4) or the first 8 (IPv6, a /64) each. */
  readonly thinned: "everyone" | readonly Uint8Array[];
  /** Whose are not, all the same: keys as {@link sparedKey} makes them, ascending, each once. */
  readonly spared: readonly number[];
}

/** Lets everything through. */
export const OPEN_SCREEN: Screen = { users: undefined, thinned: [], spared: [] };

/**
 * A number for the address and port in the address record at words[at] (layout: `address.ts`): the exclusive or of the
 * address's words, each read big-endian as the kernel's filters do, and the port times {@link PORT_FACTOR}.
 */
export function sparedKey(words: Uint32Array, at: number): number {
  const address = words[at + 1]! ^ words[at + 2]! ^ words[at + 3]! ^ words[at + 4]!;
  return (swap(address) ^ Math.imul(words[at]! >>> 16, PORT_FACTOR)) >>> 0;
}

function swap(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}
