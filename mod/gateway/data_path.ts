/**
 * The packet path between the TUN device and the sockets (design §1), common to the gateway and the lab client. Only
 * the gate differs: who may send what to whom.
 *
 *   datagrams ─► node opens in place ─► cut to the IP length ─► gate ─► ECN ─► packet queue ─► TUN
 *   TUN super-packet ─► gate (once) ─► split into the transmit area ─► seal in place ─► transmit queue ─► sockets
 *
 * Sans-IO: bytes are in the slab, output waits in `packets` and `transmits`. Per packet nothing is allocated. What
 * can't go on is counted by reason, and the rest of a batch goes on.
 */
import type { Connection, Node } from "../node/mod.ts";
import type { Counters, PacketQueue, Slab, Splitter, TransmitQueue } from "../packet/mod.ts";
import { IpHeader, mergeEcn, PARSE_OK, PARSE_REASONS, SPLIT_REASONS } from "../packet/mod.ts";

/** Largest inner packet (spec policy §0); the TUN's MTU. */
export const MAX_PACKET = 1280;
/** Larger datagrams are no tunnel traffic of ours (1280 + 32 WireGuard + 4 ChannelData). */
export const MAX_DATAGRAM = 1316;
/** virtio-net header in front of everything that is read from TUN. */
const VNET_HEADER = 10;
const WIREGUARD_HEADER = 16;
const WIREGUARD_OVERHEAD = 32;
const CE = 3;

/** Decides over packets. Both calls may rewrite the packet in place (NAT); both count what they refuse. */
export interface Gate {
  /** A decrypted packet of this peer: true = write it to TUN. */
  admit(connection: Connection, header: IpHeader, offset: number, length: number, now: number): boolean;
  /** A packet (possibly a super-packet) read from TUN: the connection that carries it. */
  route(header: IpHeader, offset: number, length: number, now: number): Connection | undefined;
  /** The packet that `route` let through was sealed, as this many packets. */
  carried?(header: IpHeader, packets: number, now: number): void;
}

export interface DataPathOptions {
  readonly slab: Slab;
  readonly node: Node;
  readonly splitter: Splitter;
  readonly packets: PacketQueue;
  readonly transmits: TransmitQueue;
  readonly counters: Counters;
}

export class DataPath {
  readonly #slab: Slab;
  readonly #node: Node;
  readonly #splitter: Splitter;
  readonly #packets: PacketQueue;
  readonly #transmits: TransmitQueue;
  readonly #counters: Counters;
  readonly #gate: Gate;
  readonly #header = new IpHeader();
  /** By PARSE_* reason. */
  readonly #dropReceived: readonly number[];
  /** By PARSE_* reason, or negated SPLIT_* reason. */
  readonly #dropRead: readonly number[];
  readonly #dropReceivedOversized: number;
  readonly #dropReadOversized: number;
  readonly #dropOwnOversized: number;
  readonly #dropDatagramOversized: number;
  readonly #dropQueueFull: number;
  readonly #tunRead: number;
  readonly #tunWritten: number;
  readonly #received: number;

  constructor({ slab, node, splitter, packets, transmits, counters }: DataPathOptions, gate: Gate) {
    this.#slab = slab;
    this.#node = node;
    this.#splitter = splitter;
    this.#packets = packets;
    this.#transmits = transmits;
    this.#counters = counters;
    this.#gate = gate;
    const refusals = (side: string, reasons: readonly string[]) =>
      reasons.map((reason, i) => i === PARSE_OK ? -1 : counters.register(`drop_${side}_packet_${reason}`));
    this.#dropReceived = refusals("received", PARSE_REASONS);
    this.#dropRead = refusals("tun", SPLIT_REASONS);
    this.#dropReceivedOversized = counters.register("drop_received_packet_oversized");
    this.#dropReadOversized = counters.register("drop_tun_packet_oversized");
    this.#dropOwnOversized = counters.register("drop_own_packet_oversized");
    this.#dropDatagramOversized = counters.register("drop_datagram_oversized");
    this.#dropQueueFull = counters.register("drop_packet_queue_full");
    this.#tunRead = counters.register("packets_from_tun");
    this.#tunWritten = counters.register("packets_to_tun");
    this.#received = counters.register("datagrams_received");
  }

  /**
   * One received buffer: `length` bytes at `offset` that the kernel may have merged from datagrams of `segment` bytes
   * each (the last one may be shorter). `from` and `local` are offsets of address records.
   */
  handleDatagrams(
    offset: number,
    length: number,
    segment: number,
    ecn: number,
    from: number,
    local: number,
    now: number,
  ): void {
    if (segment <= 0 || segment > MAX_DATAGRAM) return this.#counters.add(this.#dropDatagramOversized);
    const end = offset + length;
    for (let at = offset; at < end; at += segment) {
      const size = end - at < segment ? end - at : segment;
      this.#counters.values[this.#received]!++;
      const connection = this.#node.handleDatagram(at, size, from, local, now);
      if (connection !== undefined) {
        this.#deliver(connection, this.#node.packetOffset, this.#node.packetLength, ecn, now);
      }
    }
  }

  /** One read from TUN: a virtio-net header and a packet or super-packet. */
  handleTunPacket(vnetOffset: number, length: number, now: number): void {
    const offset = vnetOffset + VNET_HEADER, packetLength = length - VNET_HEADER;
    this.#counters.values[this.#tunRead]!++;
    const header = this.#header;
    const reason = header.parse(this.#slab.bytes, offset, packetLength);
    if (reason !== PARSE_OK) return this.#counters.add(this.#dropRead[reason]!);
    const connection = this.#gate.route(header, offset, packetLength, now);
    if (connection === undefined) return;
    // The translation of an ICMP error may have shortened it.
    const left = header.isIcmpError ? ipLength(this.#slab.bytes, offset, packetLength) : packetLength;
    const packets = this.forward(connection, vnetOffset, VNET_HEADER + left, header.ecn, now);
    if (packets > 0) this.#gate.carried?.(header, packets, now);
  }

  /** Splits and seals what is at `vnetOffset` for this peer. The number of packets; 0: dropped and counted. */
  forward(connection: Connection, vnetOffset: number, length: number, ecn: number, now: number): number {
    const node = this.#node;
    const segments = this.#splitter.plan(vnetOffset, length);
    if (segments <= 0) return this.#refuse(this.#dropRead[-segments]!);
    const segmentLength = this.#splitter.segmentLength;
    if (segmentLength > MAX_PACKET) return this.#refuse(this.#dropReadOversized);
    if (!node.prepareSend(connection, now)) return 0;
    if (node.headroom !== 0) this.#sendControl();
    const session = node.session!, headroom = node.headroom;
    const padded = (segmentLength + 15) & ~15, lastPadded = (this.#splitter.lastLength + 15) & ~15;
    const stride = headroom + WIREGUARD_OVERHEAD + padded;
    const total = (segments - 1) * stride + headroom + WIREGUARD_OVERHEAD + lastPadded;
    const out = this.#transmits.reserve(total);
    if (out === 0) return this.#refuse(this.#dropQueueFull);
    this.#splitter.write(out + headroom + WIREGUARD_HEADER, stride);
    session.seal(out + headroom, stride, padded, lastPadded, segments);
    if (headroom !== 0) this.#writeChannelHeaders(out, stride, total, segments, node.channel);
    this.#transmits.push(out, total, segments === 1 ? total : stride, connection.path, ecn);
    node.noteSent(connection, session, total, now);
    return segments;
  }

  /** Seals a packet of our own making (an ICMP answer, a goodbye) for this peer; ECN 0. */
  send(connection: Connection, packet: Uint8Array, now: number): void {
    if (packet.length > MAX_PACKET) return this.#counters.add(this.#dropOwnOversized);
    const node = this.#node;
    if (!node.prepareSend(connection, now)) return;
    if (node.headroom !== 0) this.#sendControl();
    const session = node.session!, headroom = node.headroom;
    const padded = (packet.length + 15) & ~15;
    const total = headroom + WIREGUARD_OVERHEAD + padded;
    const out = this.#transmits.reserve(total);
    if (out === 0) return this.#counters.add(this.#dropQueueFull);
    const at = out + headroom + WIREGUARD_HEADER;
    this.#slab.bytes.set(packet, at);
    this.#slab.bytes.fill(0, at + packet.length, at + padded);
    session.seal(out + headroom, total, padded, padded, 1);
    if (headroom !== 0) this.#writeChannelHeaders(out, total, total, 1, node.channel);
    this.#transmits.push(out, total, total, connection.path, 0);
    node.noteSent(connection, session, total, now);
  }

  /** A channel's bind must reach the relay before the data that goes over it. */
  #sendControl(): void {
    for (let t = this.#node.pollTransmit(); t; t = this.#node.pollTransmit()) {
      if (!this.#transmits.pushDatagram(t)) this.#counters.add(this.#dropQueueFull);
    }
  }

  #deliver(connection: Connection, offset: number, length: number, ecn: number, now: number): void {
    const total = ipLength(this.#slab.bytes, offset, length);
    if (total > MAX_PACKET) return this.#counters.add(this.#dropReceivedOversized);
    const header = this.#header;
    // A length that can't be is refused by the parser, by name.
    const reason = header.parse(this.#slab.bytes, offset, total || length);
    if (reason !== PARSE_OK) return this.#counters.add(this.#dropReceived[reason]!);
    if (!this.#gate.admit(connection, header, offset, total, now)) return;
    if (ecn === CE) mergeEcn(this.#slab, offset, ecn);
    if (!this.#packets.push(offset, total)) return this.#counters.add(this.#dropQueueFull);
    this.#counters.values[this.#tunWritten]!++;
  }

  #refuse(counter: number): 0 {
    this.#counters.add(counter);
    return 0;
  }

  #writeChannelHeaders(out: number, stride: number, total: number, segments: number, channel: number): void {
    const view = this.#slab.view;
    for (let i = 0, at = out; i < segments; i++, at += stride) {
      view.setUint16(at, channel);
      view.setUint16(at + 2, (i === segments - 1 ? out + total - at : stride) - 4);
    }
  }
}

/** Length that the IP header states, 0 when it doesn't fit: WireGuard's padding behind it is cut off. */
function ipLength(bytes: Uint8Array, offset: number, length: number): number {
  if (length < 20) return 0;
  const version = bytes[offset]! >> 4;
  const stated = version === 4
    ? (bytes[offset + 2]! << 8) | bytes[offset + 3]!
    : version === 6
    ? 40 + ((bytes[offset + 4]! << 8) | bytes[offset + 5]!)
    : 0;
  return stated <= length ? stated : 0;
}
