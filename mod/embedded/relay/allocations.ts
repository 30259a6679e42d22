/**
 * All allocations of the relay with the indices by which packets and requests find them, their quotas and their ends.
 *
 * The operating system's side, the relayed sockets, is behind {@link RelayPorts}; opening is part of making an
 * allocation because the port that the client is told must really be ours.
 */
import type { RandomBytes } from "../../crypto/types.ts";
import type { IpFamily, SocketAddress } from "../../packet/address.ts";
import { Path } from "../../packet/path.ts";
import { AddressTable } from "./address_table.ts";
import {
  CHANNEL_LIFETIME_MS,
  type PeerPlace,
  RelayAllocation,
  type RelayAllocationInit,
  RelayChannel,
} from "./allocation.ts";
import { TrafficBudget } from "./response_limiter.ts";

/** The relayed sockets: UDP, one per family, on the same port. Called synchronously. */
export interface RelayPorts {
  /** Opens `port` in the given families; false when one of them can't be had (then none stays open). */
  open(port: number, families: readonly IpFamily[]): boolean;
  close(port: number): void;
}

export interface RelayLimits {
  readonly allocations: number;
  /** Allocations of one client IP (IPv6: one /64). */
  readonly allocationsPerSource: number;
  readonly channels: number;
  readonly channelsPerAllocation: number;
  /** Payload bytes per second that one allocation relays, both ways together; Infinity: no limit. */
  readonly bytesPerSecond: number;
}

export const DEFAULT_LIMITS: RelayLimits = {
  allocations: 4096,
  allocationsPerSource: 1024,
  channels: 65536,
  channelsPerAllocation: 4096,
  bytesPerSecond: Infinity,
};

/** Ends are looked for at most this often. */
const SWEEP_MS = 1000;
const PORT_ATTEMPTS = 24;

export class Allocations {
  readonly #ports: RelayPorts;
  readonly #portRange: readonly [lowest: number, highest: number];
  readonly #limits: RelayLimits;
  readonly #random: RandomBytes;
  readonly #byClient: AddressTable<RelayAllocation>;
  readonly #byPeer: AddressTable<RelayChannel>;
  readonly #byPort: (RelayAllocation | undefined)[] = new Array(65536).fill(undefined);
  readonly #byUsername = new Map<string, RelayAllocation>();
  readonly #perSource = new Map<string, number>();
  readonly #freeSlots: number[] = [];
  #slots = 0;
  #sweepAt: number | undefined;
  #sweptAt = -Infinity;

  constructor(
    ports: RelayPorts,
    portRange: readonly [number, number],
    limits: RelayLimits,
    random: RandomBytes,
  ) {
    this.#ports = ports;
    this.#portRange = portRange;
    this.#limits = limits;
    this.#random = random;
    this.#byClient = new AddressTable(this.#randomU32());
    this.#byPeer = new AddressTable(this.#randomU32());
  }

  get count(): number {
    return this.#byClient.size;
  }

  get channelCount(): number {
    return this.#byPeer.size;
  }

  /** Packet path: the allocation of the client whose address record is at words[at..at+5). */
  byClientRecord(words: Uint32Array, at: number): RelayAllocation | undefined {
    return this.#byClient.get(0, words, at);
  }

  byClient(client: SocketAddress): RelayAllocation | undefined {
    return this.#byClient.get(0, Path.of(client).words, 0);
  }

  byPort(port: number): RelayAllocation | undefined {
    return this.#byPort[port];
  }

  byUsername(username: string): RelayAllocation | undefined {
    return this.#byUsername.get(username);
  }

  /** Packet path: the channel of `allocation` to the peer whose record is at words[at..at+5). */
  channelByPeer(allocation: RelayAllocation, words: Uint32Array, at: number): RelayChannel | undefined {
    return this.#byPeer.get(allocation.slot, words, at);
  }

  /** Whether the source of `client` or the relay as a whole would have no room for one more without `leaving`. */
  exhausted(client: SocketAddress, leaving: RelayAllocation | undefined): "source" | "total" | undefined {
    const source = sourceOf(client), freed = leaving ? 1 : 0;
    const freedHere = leaving && sourceOf(leaving.client) === source ? 1 : 0;
    if ((this.#perSource.get(source) ?? 0) - freedHere >= this.#limits.allocationsPerSource) return "source";
    return this.count - freed >= this.#limits.allocations ? "total" : undefined;
  }

  /** A random (even) port of the range, opened in `families`; undefined when none can be had. */
  openPort(families: readonly IpFamily[], mustBeEven: boolean): number | undefined {
    const [lowest, highest] = this.#portRange;
    const size = highest - lowest + 1;
    const start = this.#randomU32() % size;
    let attempts = 0;
    for (let i = 0; i < size && attempts < PORT_ATTEMPTS; i++) {
      const port = lowest + (start + i) % size;
      if (this.#byPort[port] !== undefined || (mustBeEven && port % 2 !== 0)) continue;
      attempts++;
      if (this.#ports.open(port, families)) return port;
    }
    return undefined;
  }

  /** Enters an allocation whose port {@link openPort} gave. */
  add(init: Omit<RelayAllocationInit, "slot" | "traffic">): RelayAllocation {
    const slot = this.#freeSlots.pop() ?? ++this.#slots;
    const { bytesPerSecond } = this.#limits;
    const traffic = bytesPerSecond < Infinity ? new TrafficBudget(bytesPerSecond) : undefined;
    const allocation = new RelayAllocation({ ...init, slot, traffic });
    this.#byClient.set(0, allocation.clientPath.words, 0, allocation);
    this.#byPort[allocation.port] = allocation;
    this.#byUsername.set(allocation.username, allocation);
    const source = sourceOf(allocation.client);
    this.#perSource.set(source, (this.#perSource.get(source) ?? 0) + 1);
    this.#endsAt(allocation.expiresAt);
    return allocation;
  }

  extend(allocation: RelayAllocation, expiresAt: number): void {
    allocation.expiresAt = expiresAt;
    this.#endsAt(expiresAt);
  }

  remove(allocation: RelayAllocation): void {
    for (const channel of allocation.channels.values()) this.#removeChannel(channel);
    this.#byClient.delete(0, allocation.clientPath.words, 0);
    this.#byPort[allocation.port] = undefined;
    if (this.#byUsername.get(allocation.username) === allocation) {
      this.#byUsername.delete(allocation.username);
    }
    const source = sourceOf(allocation.client);
    const left = this.#perSource.get(source)! - 1;
    if (left > 0) this.#perSource.set(source, left);
    else this.#perSource.delete(source);
    this.#freeSlots.push(allocation.slot);
    this.#ports.close(allocation.port);
  }

  /**
   * Binds or refreshes a channel: "conflict" when the number or the peer is bound otherwise (or still reserved),
   * "full" when there is no room for another one.
   */
  bind(
    allocation: RelayAllocation,
    number: number,
    peer: SocketAddress,
    place: PeerPlace,
    now: number,
  ): RelayChannel | "conflict" | "full" {
    const words = Path.of(peer).words;
    const byNumber = this.#living(allocation.channels.get(number), now);
    const byPeer = this.#living(this.channelByPeer(allocation, words, 0), now);
    if (byNumber !== byPeer) return "conflict";
    if (byNumber) {
      byNumber.expiresAt = now + CHANNEL_LIFETIME_MS;
      return byNumber;
    }
    if (
      allocation.channels.size >= this.#limits.channelsPerAllocation ||
      this.channelCount >= this.#limits.channels
    ) return "full";
    const channel = new RelayChannel(allocation, number, peer, place, now);
    allocation.channels.set(number, channel);
    this.#byPeer.set(allocation.slot, channel.path.words, 0, channel);
    this.#endsAt(channel.reservedUntil);
    return channel;
  }

  /** Removes what has ended. */
  handleTimeout(now: number): void {
    if (this.#sweepAt === undefined || now < this.#sweepAt) return;
    this.#sweepAt = undefined;
    this.#sweptAt = now;
    for (const allocation of [...this.#byUsername.values()]) {
      if (allocation.expiresAt <= now) {
        this.remove(allocation);
        continue;
      }
      for (const channel of allocation.channels.values()) {
        if (channel.reservedUntil <= now) this.#removeChannel(channel);
        else this.#endsAt(channel.reservedUntil);
      }
      this.#endsAt(allocation.expiresAt);
    }
  }

  pollTimeout(): number | undefined {
    return this.#sweepAt;
  }

  #living(channel: RelayChannel | undefined, now: number): RelayChannel | undefined {
    if (channel === undefined || now < channel.reservedUntil) return channel;
    this.#removeChannel(channel);
    return undefined;
  }

  #removeChannel(channel: RelayChannel): void {
    channel.allocation.channels.delete(channel.number);
    this.#byPeer.delete(channel.allocation.slot, channel.path.words, 0);
  }

  #endsAt(time: number): void {
    const sweep = Math.max(time, this.#sweptAt + SWEEP_MS);
    if (this.#sweepAt === undefined || sweep < this.#sweepAt) this.#sweepAt = sweep;
  }

  #randomU32(): number {
    return new DataView(this.#random(4).buffer).getUint32(0);
  }
}

/** What counts as one source: an IPv4 address, an IPv6 /64. */
function sourceOf(client: SocketAddress): string {
  return client.family === 4 ? client.ip : String(client.bytes.subarray(0, 8));
}
