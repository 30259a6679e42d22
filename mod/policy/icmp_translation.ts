/**
 * Translation of an ICMP error that speaks of a NAT session (spec policy §2.3): a new packet from the proxy address to
 * the client, made in place over the old one. Type, code and the rest of the header (next-hop MTU) stay. The quote
 * stays byte for byte but for the destination address and the client's port or id; its checksums are deliberately
 * left alone. It is cut where the packet would exceed the tunnel's MTU.
 */
import { checksumOf, pseudoHeaderSum, writeIpv4Checksum } from "../packet/checksum.ts";
import { type IpHeader, PROTOCOL_ICMP, PROTOCOL_ICMPV6 } from "../packet/ip_header.ts";
import type { Slab } from "../packet/slab.ts";
import type { IcmpQuote } from "./icmp_quote.ts";
import type { NatTable } from "./nat_table.ts";
import type { Peer } from "./peer.ts";

const HOP_LIMIT = 20;
const MAX_LENGTH = 1280;

/** Rewrites the error at `offset` for the session `record` of `peer`. Returns its new length (never more). */
export function translateIcmpError(
  slab: Slab,
  header: IpHeader,
  offset: number,
  quote: IcmpQuote,
  peer: Peer,
  nat: NatTable,
  record: number,
): number {
  const { bytes, view } = slab;
  const { words } = nat, inside = nat.insideAt(record);
  const isV4 = header.version === 4;
  const addressWords = isV4 ? 1 : 4, headerLength = isV4 ? 20 : 40;
  for (let i = 0; i < addressWords; i++) view.setUint32(quote.dstOffset + 4 * i, words[inside + i]!);
  view.setUint16(quote.portOffset, nat.insidePort(record));

  const l4 = offset + headerLength;
  const l4Length = Math.min(header.l4Length, MAX_LENGTH - headerLength);
  if (header.l4Offset !== l4) bytes.copyWithin(l4, header.l4Offset, header.l4Offset + l4Length);
  if (isV4) {
    view.setUint32(offset, 0x45000000 | (headerLength + l4Length));
    view.setUint32(offset + 4, 0x00004000);
    view.setUint32(offset + 8, HOP_LIMIT << 24 | PROTOCOL_ICMP << 16);
    view.setUint32(offset + 12, words[inside]!);
    view.setUint32(offset + 16, peer.v4[0]);
    writeIpv4Checksum(bytes, offset, headerLength);
  } else {
    view.setUint32(offset, 0x60000000);
    view.setUint32(offset + 4, l4Length << 16 | PROTOCOL_ICMPV6 << 8 | HOP_LIMIT);
    for (let i = 0; i < 4; i++) {
      view.setUint32(offset + 8 + 4 * i, words[inside + i]!);
      view.setUint32(offset + 24 + 4 * i, peer.v6[i]!);
    }
  }
  view.setUint16(l4 + 2, 0);
  const pseudo = isV4 ? 0 : pseudoHeaderSum(bytes, offset, PROTOCOL_ICMPV6, l4Length);
  view.setUint16(l4 + 2, checksumOf(bytes, l4, l4Length, pseudo));
  return headerLength + l4Length;
}
