/**
 * NAT rewriting in place (spec policy §3.5): one address and the client's port or echo id, with all checksums updated
 * incrementally (RFC 1624), so that a wrong checksum stays wrong and UDP's "none" stays none. A super-packet is
 * rewritten once; its partial checksum does not matter, since the splitter computes complete ones.
 *
 * `header` must be what was parsed at `offset`; it is kept in step.
 */
import { doubleWordDelta, updateChecksum, updateUdpChecksum, wordDelta } from "../packet/checksum.ts";
import {
  type IpHeader,
  KIND_ECHO_REPLY,
  KIND_ECHO_REQUEST,
  KIND_TCP,
  KIND_UDP,
} from "../packet/ip_header.ts";
import type { Slab } from "../packet/slab.ts";

/** What a client sent: the destination address becomes the four words at `at`, the source port (or id) `port`. */
export function rewriteOutbound(
  slab: Slab,
  header: IpHeader,
  offset: number,
  port: number,
  words: Uint32Array,
  at: number,
): void {
  const addressDelta = replaceAddress(slab, header, offset, 4, words, at);
  replacePort(slab, header, 0, header.srcPort, port, addressDelta);
  header.srcPort = port;
  if (isEcho(header)) header.dstPort = port;
}

/** What came back: the source address becomes the four words at `at`, the destination port (or id) `port`. */
export function rewriteInbound(
  slab: Slab,
  header: IpHeader,
  offset: number,
  port: number,
  words: Uint32Array,
  at: number,
): void {
  const addressDelta = replaceAddress(slab, header, offset, 0, words, at);
  replacePort(slab, header, 2, header.dstPort, port, addressDelta);
  header.dstPort = port;
  if (isEcho(header)) header.srcPort = port;
}

/** @param first index of the address in `header.addresses`. Returns its contribution to checksum differences. */
function replaceAddress(
  slab: Slab,
  header: IpHeader,
  offset: number,
  first: number,
  words: Uint32Array,
  at: number,
): number {
  const { addresses } = header;
  const { view } = slab;
  if (header.version === 4) {
    const delta = doubleWordDelta(addresses[first]!, words[at]!);
    addresses[first] = words[at]!;
    view.setUint32(offset + 12 + first, words[at]!);
    updateChecksum(slab, offset + 10, delta);
    return delta;
  }
  let delta = 0;
  for (let i = 0; i < 4; i++) {
    const word = words[at + i]!;
    delta += doubleWordDelta(addresses[first + i]!, word);
    addresses[first + i] = word;
    view.setUint32(offset + 8 + 4 * (first + i), word);
  }
  return delta;
}

/** @param portAt where TCP and UDP have the port that changes, relative to L4. */
function replacePort(
  slab: Slab,
  header: IpHeader,
  portAt: number,
  before: number,
  after: number,
  addressDelta: number,
): void {
  const l4 = header.l4Offset;
  const delta = wordDelta(before, after);
  if (header.kind === KIND_TCP) {
    slab.view.setUint16(l4 + portAt, after);
    updateChecksum(slab, l4 + 16, addressDelta + delta);
  } else if (header.kind === KIND_UDP) {
    slab.view.setUint16(l4 + portAt, after);
    updateUdpChecksum(slab, l4 + 6, addressDelta + delta);
  } else {
    slab.view.setUint16(l4 + 4, after);
    // ICMPv4 has no pseudo header.
    updateChecksum(slab, l4 + 2, header.version === 4 ? delta : addressDelta + delta);
  }
}

function isEcho(header: IpHeader): boolean {
  return header.kind === KIND_ECHO_REQUEST || header.kind === KIND_ECHO_REPLY;
}
