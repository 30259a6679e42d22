/**
 * The relay: a TURN server for Firezone devices over UDP, as a pure state machine (spec portal §5, snownet §3.10).
 *
 *     client ⇄ listening socket ⇄ [this] ⇄ relayed socket of the client's allocation ⇄ peer
 *
 * Data moves as ChannelData only. The packet path works on the slab: received bytes are copied once, without or with
 * the 4-byte header, to where the transmit queue wants them, runs of equal datagrams as one entry, so that bursts
 * stay bursts through both sockets. A peer that is another allocation of this relay is reached inside: its packets
 * need no socket, and a relay whose public address belongs to a NAT could not reach it otherwise.
 *
 * Queue entries name the socket that sends them by their path's source record: its family and its port, which is the
 * listening port or an allocation's.
 */
import type { RandomBytes } from "../../crypto/types.ts";
import { type IpFamily, parseIp, readAddressRecord } from "../../packet/address.ts";
import type { Counters } from "../../packet/counters.ts";
import type { Slab } from "../../packet/slab.ts";
import { MAX_UDP_PAYLOAD, type TransmitQueue } from "../../packet/transmit_queue.ts";
import { CHANNEL_DATA_HEADER_SIZE } from "../../stun/mod.ts";
import type { RelayAllocation, RelayChannel } from "./allocation.ts";
import { Allocations, DEFAULT_LIMITS, type RelayLimits, type RelayPorts } from "./allocations.ts";
import { PeerPolicy } from "./peer_policy.ts";
import { RequestHandler } from "./request_handler.ts";

export const DEFAULT_LISTEN_PORT = 3478;
export const DEFAULT_PORT_RANGE: readonly [number, number] = [49152, 65535];

export interface RelayServerOptions {
  readonly slab: Slab;
  /** Filled here; its area must hold one received super-datagram with a header per segment (128 KiB do). */
  readonly queue: TransmitQueue;
  /** Sends and clears the queue: called when it has no room for more. */
  readonly flush: () => void;
  readonly ports: RelayPorts;
  readonly counters: Counters;
  /** Addresses that clients and peers reach us at; at least one. */
  readonly publicAddresses: { readonly v4?: string | undefined; readonly v6?: string | undefined };
  /**
   * Local addresses that relayed packets leave from; absent: the kernel chooses by route, which a host with several
   * addresses should not leave to it.
   */
  readonly sources?: { readonly v4?: string | undefined; readonly v6?: string | undefined };
  /** Addresses of this host, of which the listening port is no peer; the public ones are known without. */
  readonly localAddresses?: readonly string[];
  /** Port of the listening sockets. Default {@link DEFAULT_LISTEN_PORT}. */
  readonly listenPort?: number;
  readonly portRange?: readonly [lowest: number, highest: number];
  /** The secret shared with the portal, as text. */
  readonly stampSecret: string;
  readonly peers?: PeerPolicy;
  readonly limits?: RelayLimits;
  readonly random: RandomBytes;
  /** Unix seconds, for the expiry of credentials. */
  readonly unixNow: () => number;
}

export class RelayServer {
  readonly #slab: Slab;
  readonly #queue: TransmitQueue;
  readonly #flush: () => void;
  readonly #counters: Counters;
  readonly #allocations: Allocations;
  readonly #requests: RequestHandler;
  readonly #toPeers: number;
  readonly #toPeersBytes: number;
  readonly #toClients: number;
  readonly #toClientsBytes: number;
  readonly #noAllocation: number;
  readonly #noChannel: number;
  readonly #malformed: number;
  readonly #noRoom: number;
  readonly #tooFast: number;

  /** Throws an Error when no public address is given or one is no IP address. */
  constructor(options: RelayServerOptions) {
    const { v4, v6 } = options.publicAddresses;
    if (v4 === undefined && v6 === undefined) {
      throw new Error(
        "Cannot start a relay without a public address. Give an IPv4 or an IPv6 address or both.",
      );
    }
    this.#slab = options.slab;
    this.#queue = options.queue;
    this.#flush = options.flush;
    const counters = this.#counters = options.counters;
    this.#toPeers = counters.register("relay_to_peer_packets");
    this.#toPeersBytes = counters.register("relay_to_peer_bytes");
    this.#toClients = counters.register("relay_to_client_packets");
    this.#toClientsBytes = counters.register("relay_to_client_bytes");
    this.#noAllocation = counters.register("relay_dropped_no_allocation");
    this.#noChannel = counters.register("relay_dropped_no_channel");
    this.#malformed = counters.register("relay_malformed");
    this.#noRoom = counters.register("relay_dropped_no_room");
    this.#tooFast = counters.register("relay_dropped_too_fast");
    const portRange = options.portRange ?? DEFAULT_PORT_RANGE;
    this.#allocations = new Allocations(
      options.ports,
      portRange,
      options.limits ?? DEFAULT_LIMITS,
      options.random,
    );
    this.#requests = new RequestHandler({
      publicAddresses: { 4: ownAddress(v4, 4), 6: ownAddress(v6, 6) },
      sources: {
        4: ownAddress(options.sources?.v4, 4) ?? new Uint8Array(4),
        6: ownAddress(options.sources?.v6, 6) ?? new Uint8Array(16),
      },
      localAddresses: new Set(options.localAddresses),
      listenPort: options.listenPort ?? DEFAULT_LISTEN_PORT,
      portRange,
      stampSecret: options.stampSecret,
      peers: options.peers ?? new PeerPolicy(),
      random: options.random,
      unixNow: options.unixNow,
      counters,
    }, this.#allocations);
  }

  /** Allocations alive. */
  get allocations(): number {
    return this.#allocations.count;
  }

  /** Channels alive or reserved. */
  get channels(): number {
    return this.#allocations.channelCount;
  }

  /**
   * Datagrams that arrived at a listening socket: `length` bytes at `offset`, back to back, each `segment` bytes and
   * the last possibly shorter.
   * @param from Slab offset of the sender's address record.
   * @param local Slab offset of the record of our address (its port: the listening port).
   * @param ecn Their ECN code point, kept on relayed data.
   */
  handleClient(
    offset: number,
    length: number,
    segment: number,
    from: number,
    local: number,
    ecn: number,
    now: number,
  ): void {
    const { bytes, words } = this.#slab;
    const end = offset + length;
    if (words[from >> 2]! >>> 16 === 0 || segment <= 0) return this.#counters.add(this.#malformed);
    const allocation = this.#allocations.byClientRecord(words, from >> 2);
    let at = offset;
    while (at < end) {
      const first = bytes[at]!;
      if (first >= 0x40 && first < 0x80) {
        at = this.#forwardRun(allocation, at, end, segment, ecn, now);
      } else {
        const next = at + segment < end ? at + segment : end;
        this.#answer(allocation !== undefined, at, next, from, local, now);
        at = next;
      }
    }
  }

  /** Datagrams that arrived at the relayed socket on `port`; parameters as in {@link handleClient}. */
  handlePeer(
    port: number,
    offset: number,
    length: number,
    segment: number,
    from: number,
    ecn: number,
    now: number,
  ): void {
    const allocation = this.#allocations.byPort(port);
    if (!allocation || now >= allocation.expiresAt || segment <= 0) {
      return this.#counters.add(this.#noAllocation);
    }
    const channel = this.#allocations.channelByPeer(allocation, this.#slab.words, from >> 2);
    if (!channel || now >= channel.expiresAt) return this.#counters.add(this.#noChannel);
    this.#toClient(channel, offset, length, segment, ecn, now);
  }

  /** Ends what has expired. Nothing else here waits for time. */
  handleTimeout(now: number): void {
    this.#allocations.handleTimeout(now);
  }

  pollTimeout(): number | undefined {
    return this.#allocations.pollTimeout();
  }

  #answer(
    hasAllocation: boolean,
    at: number,
    end: number,
    from: number,
    local: number,
    now: number,
  ): void {
    if (!this.#requests.admits(this.#slab, at, end - at, from, hasAllocation, now)) return;
    const client = readAddressRecord(this.#slab, from), own = readAddressRecord(this.#slab, local);
    if (!client || !own) return this.#counters.add(this.#malformed);
    const payload = this.#requests.handle(
      this.#slab.bytes.subarray(at, end),
      client,
      own,
      hasAllocation,
      now,
    );
    if (!payload) return;
    const transmit = { src: own, dst: client, payload };
    if (this.#queue.pushDatagram(transmit)) return;
    this.#flush();
    if (!this.#queue.pushDatagram(transmit)) this.#counters.add(this.#noRoom);
  }

  /**
   * Relays the ChannelData message at `at` and those behind it with the same header, without their headers.
   * Returns where the run ends.
   */
  #forwardRun(
    allocation: RelayAllocation | undefined,
    at: number,
    end: number,
    segment: number,
    ecn: number,
    now: number,
  ): number {
    const { view, bytes } = this.#slab;
    const first = at + segment < end ? at + segment : end;
    const size = first - at;
    if (size <= CHANNEL_DATA_HEADER_SIZE) return this.#drop(this.#malformed, first);
    const header = view.getUint32(at);
    const payload = size - CHANNEL_DATA_HEADER_SIZE;
    if ((header & 0xffff) !== payload) return this.#drop(this.#malformed, first);
    if (!allocation || now >= allocation.expiresAt) return this.#drop(this.#noAllocation, first);
    const channel = allocation.channels.get(header >>> 16);
    if (!channel || now >= channel.expiresAt) return this.#drop(this.#noChannel, first);

    let runEnd = first, count = 1;
    while (runEnd + size <= end && size === segment && view.getUint32(runEnd) === header) {
      runEnd += size;
      count++;
    }
    let target: RelayChannel | undefined;
    if (channel.place !== "network") {
      target = this.#internalTarget(allocation, channel, now);
      const isHost = channel.place === "relay or host" && !this.#allocations.byPort(channel.peer.port);
      if (!target && !isHost) return this.#drop(this.#noChannel, runEnd, count);
    }
    if (allocation.traffic !== undefined && !allocation.traffic.allowsBytes(count * payload, now)) {
      return this.#drop(this.#tooFast, runEnd, count);
    }
    this.#counters.add(this.#toPeers, count);
    this.#counters.add(this.#toPeersBytes, count * payload);
    const room = count * (target ? size : payload);
    let out = this.#reserve(room);
    if (out === 0) return this.#drop(this.#noRoom, runEnd, count);
    const start = out;
    if (target) {
      bytes.copyWithin(out, at, runEnd);
      const number = target.number;
      for (; out < start + room; out += size) view.setUint16(out, number);
      this.#queue.push(start, room, size, target.allocation.clientPath, ecn);
      this.#counters.add(this.#toClients, count);
      this.#counters.add(this.#toClientsBytes, count * payload);
    } else {
      for (let from = at + CHANNEL_DATA_HEADER_SIZE; from < runEnd; from += size, out += payload) {
        bytes.copyWithin(out, from, from + payload);
      }
      this.#queue.push(start, room, payload, channel.path, ecn);
    }
    return runEnd;
  }

  /** The channel by which the allocation that `channel` leads to sees `sender`. */
  #internalTarget(sender: RelayAllocation, channel: RelayChannel, now: number): RelayChannel | undefined {
    const receiver = this.#allocations.byPort(channel.peer.port);
    if (!receiver || now >= receiver.expiresAt) return undefined;
    const target = this.#allocations.channelByPeer(receiver, sender.ownWords[channel.peer.family], 0);
    return target && now < target.expiresAt ? target : undefined;
  }

  /** Relays a peer's datagrams to the client of `channel`, each behind a ChannelData header. */
  #toClient(
    channel: RelayChannel,
    offset: number,
    length: number,
    segment: number,
    ecn: number,
    now: number,
  ): void {
    const { view, bytes } = this.#slab;
    const count = ((length + segment - 1) / segment) | 0;
    const outSize = segment + CHANNEL_DATA_HEADER_SIZE;
    if (length === 0 || (count > 1 ? outSize : length + CHANNEL_DATA_HEADER_SIZE) > MAX_UDP_PAYLOAD) {
      this.#counters.add(this.#malformed);
      return;
    }
    const { traffic } = channel.allocation;
    if (traffic !== undefined && !traffic.allowsBytes(length, now)) {
      return this.#counters.add(this.#tooFast, count);
    }
    const room = length + count * CHANNEL_DATA_HEADER_SIZE;
    const start = this.#reserve(room);
    if (start === 0) return this.#counters.add(this.#noRoom, count);
    const end = offset + length, number = channel.number << 16;
    for (let at = offset, out = start; at < end; at += segment, out += outSize) {
      const size = end - at < segment ? end - at : segment;
      view.setUint32(out, number | size);
      bytes.copyWithin(out + CHANNEL_DATA_HEADER_SIZE, at, at + size);
    }
    this.#queue.push(start, room, outSize, channel.allocation.clientPath, ecn);
    this.#counters.add(this.#toClients, count);
    this.#counters.add(this.#toClientsBytes, length);
  }

  #reserve(length: number): number {
    const offset = this.#queue.reserve(length);
    if (offset !== 0) return offset;
    this.#flush();
    return this.#queue.reserve(length);
  }

  #drop(counter: number, next: number, count = 1): number {
    this.#counters.add(counter, count);
    return next;
  }
}

function ownAddress(text: string | undefined, family: IpFamily): Uint8Array | undefined {
  if (text === undefined) return undefined;
  const bytes = parseIp(text);
  if (bytes?.length === (family === 4 ? 4 : 16)) return bytes;
  throw new Error(
    `Cannot use "${text}" as the relay's IPv${family} address: it is none. Write it without port.`,
  );
}
