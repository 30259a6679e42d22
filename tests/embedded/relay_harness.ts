/** The relay core on a slab of its own, driven with plain values: what the tests of the relay and of TURN talk to. */
import { DEFAULT_LIMITS, type RelayLimits } from "../../mod/embedded/relay/allocations.ts";
import type { PeerPolicy } from "../../mod/embedded/relay/peer_policy.ts";
import { RelayServer } from "../../mod/embedded/relay/relay_server.ts";
import {
  ADDRESS_RECORD_SIZE,
  type IpFamily,
  SocketAddress,
  writeAddressRecord,
} from "../../mod/packet/address.ts";
import { Counters } from "../../mod/packet/counters.ts";
import { Slab } from "../../mod/packet/slab.ts";
import { TransmitQueue } from "../../mod/packet/transmit_queue.ts";

export const STAMP_SECRET = "ad7c7480a51de6bef217f83628c5917f83e717c012e25f302bd2ed1df109a782";
export const RELAY_V4 = "192.0.2.1";
export const RELAY_V6 = "2001:db8::1";
export const UNIX_NOW = 1_700_000_000;

/** A datagram that the relay sends: from which of its sockets, whereto. */
export interface Sent {
  readonly port: number;
  readonly local: string;
  readonly dst: SocketAddress;
  readonly payload: Uint8Array<ArrayBuffer>;
  readonly ecn: number;
}

/** Deterministic bytes (mulberry32). */
export function seededRandom(seed: number): (length: number) => Uint8Array<ArrayBuffer> {
  let state = seed >>> 0;
  return (length) =>
    Uint8Array.from({ length }, () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return (t ^ (t >>> 14)) & 255;
    });
}

export interface HarnessOptions {
  readonly families?: readonly IpFamily[];
  readonly limits?: Partial<RelayLimits>;
  readonly peers?: PeerPolicy;
  readonly seed?: number;
  readonly portRange?: readonly [number, number];
  readonly sources?: { readonly v4: string; readonly v6: string };
  readonly localAddresses?: readonly string[];
}

export class RelayHarness {
  readonly slab = new Slab(1 << 20);
  readonly counters = new Counters(new ArrayBuffer(Counters.CAPACITY * 8));
  readonly queue = new TransmitQueue(this.slab, { areaLength: 131072, capacity: 512 });
  readonly openPorts = new Map<number, readonly IpFamily[]>();
  /** Ports that the operating system won't give. */
  readonly takenPorts = new Set<number>();
  readonly server: RelayServer;
  /** Sends so far as (segment size, length): how well bursts stayed together. */
  readonly entries: { readonly length: number; readonly segment: number }[] = [];
  unixNow = UNIX_NOW;
  readonly #sent: Sent[] = [];
  readonly #input = this.slab.reserve(65536 * 2);
  readonly #from = this.slab.reserve(ADDRESS_RECORD_SIZE);
  readonly #local = this.slab.reserve(ADDRESS_RECORD_SIZE);

  constructor(options: HarnessOptions = {}) {
    const families = options.families ?? [4, 6];
    this.server = new RelayServer({
      slab: this.slab,
      queue: this.queue,
      flush: () => this.#flush(),
      ports: {
        open: (port, families) => {
          if (this.takenPorts.has(port)) return false;
          this.openPorts.set(port, families);
          return true;
        },
        close: (port) => void this.openPorts.delete(port),
      },
      counters: this.counters,
      publicAddresses: {
        v4: families.includes(4) ? RELAY_V4 : undefined,
        v6: families.includes(6) ? RELAY_V6 : undefined,
      },
      stampSecret: STAMP_SECRET,
      limits: { ...DEFAULT_LIMITS, ...options.limits },
      ...(options.peers && { peers: options.peers }),
      ...(options.portRange && { portRange: options.portRange }),
      ...(options.sources && { sources: options.sources }),
      ...(options.localAddresses && { localAddresses: options.localAddresses }),
      random: seededRandom(options.seed ?? 1),
      unixNow: () => this.unixNow,
    });
  }

  /** Datagrams from one client to the listening port; equal sizes but the last make one super-datagram. */
  fromClient(client: SocketAddress, datagrams: readonly Uint8Array[], now: number, ecn = 0): Sent[] {
    const [length, segment] = this.#place(client, datagrams);
    const own = SocketAddress.of(client.family === 4 ? RELAY_V4 : RELAY_V6, 3478)!;
    writeAddressRecord(this.slab, this.#local, own);
    this.server.handleClient(this.#input, length, segment, this.#from, this.#local, ecn, now);
    return this.#drain();
  }

  /** Datagrams from one peer to the relayed socket on `port`. */
  fromPeer(
    peer: SocketAddress,
    port: number,
    datagrams: readonly Uint8Array[],
    now: number,
    ecn = 0,
  ): Sent[] {
    const [length, segment] = this.#place(peer, datagrams);
    this.server.handlePeer(port, this.#input, length, segment, this.#from, ecn, now);
    return this.#drain();
  }

  /**
   * Functions that relay one prepared burst to the peer or to the client, `count` datagrams of `size` payload bytes,
   * and forget the output: for measuring.
   */
  prepare(
    client: SocketAddress,
    port: number,
    peer: SocketAddress,
    channel: number,
    size: number,
    count: number,
  ): { toPeer(now: number): void; toClient(now: number): void } {
    const clientRecord = this.slab.reserve(ADDRESS_RECORD_SIZE),
      peerRecord = this.slab.reserve(ADDRESS_RECORD_SIZE);
    const local = this.slab.reserve(ADDRESS_RECORD_SIZE);
    writeAddressRecord(this.slab, clientRecord, client);
    writeAddressRecord(this.slab, peerRecord, peer);
    writeAddressRecord(this.slab, local, SocketAddress.of(RELAY_V4, 3478)!);
    const up = this.slab.reserve(count * (size + 4)), down = this.slab.reserve(count * size);
    for (let i = 0; i < count; i++) {
      this.slab.view.setUint32(up + i * (size + 4), (channel << 16) | size);
    }
    return {
      toPeer: (now) => {
        this.server.handleClient(up, count * (size + 4), size + 4, clientRecord, local, 0, now);
        this.queue.clear();
      },
      toClient: (now) => {
        this.server.handlePeer(port, down, count * size, size, peerRecord, 0, now);
        this.queue.clear();
      },
    };
  }

  /** A function that hands in one prepared datagram of a client and forgets the answer: for measuring. */
  prepareDatagram(client: SocketAddress, datagram: Uint8Array): (now: number) => void {
    const record = this.slab.reserve(ADDRESS_RECORD_SIZE), local = this.slab.reserve(ADDRESS_RECORD_SIZE);
    writeAddressRecord(this.slab, record, client);
    writeAddressRecord(this.slab, local, SocketAddress.of(RELAY_V4, 3478)!);
    const at = this.slab.reserve(datagram.length);
    this.slab.bytes.set(datagram, at);
    return (now) => {
      this.server.handleClient(at, datagram.length, datagram.length, record, local, 0, now);
      this.queue.clear();
    };
  }

  #place(from: SocketAddress, datagrams: readonly Uint8Array[]): [length: number, segment: number] {
    writeAddressRecord(this.slab, this.#from, from);
    let at = this.#input;
    for (const datagram of datagrams) {
      this.slab.bytes.set(datagram, at);
      at += datagram.length;
    }
    return [at - this.#input, datagrams[0]!.length];
  }

  #drain(): Sent[] {
    this.#flush();
    return this.#sent.splice(0);
  }

  #flush(): void {
    for (let i = 0; i < this.queue.count; i++) {
      const at = this.queue.wordsOffset(i), words = this.queue.words;
      const record = (from: number) => addressOf(words, from)!;
      const end = this.queue.offsetOf(i) + this.queue.lengthOf(i);
      this.entries.push({ length: this.queue.lengthOf(i), segment: this.queue.segmentOf(i) });
      for (let offset = this.queue.offsetOf(i); offset < end; offset += this.queue.segmentOf(i)) {
        this.#sent.push({
          port: record(at + 5).port,
          local: record(at + 5).ip,
          dst: record(at),
          payload: this.slab.bytes.slice(offset, Math.min(end, offset + this.queue.segmentOf(i))),
          ecn: this.queue.ecnOf(i),
        });
      }
    }
    this.queue.clear();
  }
}

function addressOf(words: Uint32Array, at: number): SocketAddress | undefined {
  const family = words[at]! & 0xffff;
  if (family !== 4 && family !== 6) return undefined;
  const bytes = new Uint8Array(words.slice(at + 1, at + 5).buffer, 0, family === 4 ? 4 : 16);
  return SocketAddress.fromBytes(bytes, words[at]! >>> 16);
}
