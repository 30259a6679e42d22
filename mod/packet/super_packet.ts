/**
 * The head of a coalesced super-packet: its headers are edited in place so that the kernel takes the head and the
 * payloads behind it as one GSO packet (spec policy §6.4): total lengths, IPv4 header checksum, PSH of the last
 * segment, the L4 checksum field holding only the pseudo-header sum, and the virtio header that says so.
 * All of it can be undone, for a kernel that refuses the write.
 */
import { checksumOf, pseudoHeaderSum, writeIpv4Checksum } from "./checksum.ts";
import { PROTOCOL_TCP } from "./ip_header.ts";
import type { Slab } from "./slab.ts";
import * as vnet from "./vnet.ts";

const PSH = 0x08;

/** An all-zero virtio header in the 10 bytes before `packet`: "take it as it is". */
export function writePlainHeader(slab: Slab, packet: number): void {
  const bytes = slab.bytes;
  for (let i = packet - vnet.VNET_HEADER_SIZE; i < packet; i++) bytes[i] = 0;
}

/**
 * Makes the packet at `head` the head of a super-packet of `total` bytes.
 *
 * @param ipHeader bytes of the IP header (20 or 40), so L4 starts there
 * @param headers bytes of IP and L4 header
 * @param gsoSize payload bytes of every segment but the last
 * @param push whether the last segment has PSH
 */
export function joinHead(
  slab: Slab,
  head: number,
  protocol: number,
  ipHeader: number,
  headers: number,
  gsoSize: number,
  total: number,
  push: boolean,
): void {
  const { bytes, view } = slab;
  const isTcp = protocol === PROTOCOL_TCP;
  const l4 = head + ipHeader, l4Length = total - ipHeader;
  writeLengths(slab, head, protocol, ipHeader, total);
  if (push) bytes[l4 + 13]! |= PSH;
  const checksumOffset = isTcp ? 16 : 6;
  view.setUint16(l4 + checksumOffset, pseudoHeaderSum(bytes, head, protocol, l4Length));
  const at = head - vnet.VNET_HEADER_SIZE;
  const tcpType = ipHeader === 20 ? vnet.GSO_TCPV4 : vnet.GSO_TCPV6;
  bytes[at + vnet.VNET_FLAGS] = vnet.VNET_NEEDS_CSUM;
  bytes[at + vnet.VNET_GSO_TYPE] = isTcp ? tcpType : vnet.GSO_UDP_L4;
  view.setUint16(at + vnet.VNET_HDR_LEN, headers, true);
  view.setUint16(at + vnet.VNET_GSO_SIZE, gsoSize, true);
  view.setUint16(at + vnet.VNET_CSUM_START, ipHeader, true);
  view.setUint16(at + vnet.VNET_CSUM_OFFSET, checksumOffset, true);
}

/**
 * Undoes {@link joinHead}: the head is again the `length`-byte packet that arrived. Its checksums were right, or it
 * would not have been merged, so they are computed; and it had no PSH, since that closes a run.
 */
export function restoreHead(slab: Slab, head: number, length: number): void {
  const { bytes, view } = slab;
  const isV4 = bytes[head]! >> 4 === 4;
  const ipHeader = isV4 ? 20 : 40, protocol = bytes[head + (isV4 ? 9 : 6)]!;
  const isTcp = protocol === PROTOCOL_TCP;
  const l4 = head + ipHeader, l4Length = length - ipHeader;
  writeLengths(slab, head, protocol, ipHeader, length);
  if (isTcp) bytes[l4 + 13]! &= ~PSH;
  const checksumAt = l4 + (isTcp ? 16 : 6);
  view.setUint16(checksumAt, 0);
  const checksum = checksumOf(bytes, l4, l4Length, pseudoHeaderSum(bytes, head, protocol, l4Length));
  view.setUint16(checksumAt, isTcp ? checksum : checksum || 0xffff);
  writePlainHeader(slab, head);
}

function writeLengths(slab: Slab, head: number, protocol: number, ipHeader: number, total: number): void {
  const { bytes, view } = slab;
  if (ipHeader === 20) {
    view.setUint16(head + 2, total);
    writeIpv4Checksum(bytes, head, 20);
  } else {
    view.setUint16(head + 4, total - 40);
  }
  if (protocol !== PROTOCOL_TCP) view.setUint16(head + ipHeader + 4, total - ipHeader);
}
