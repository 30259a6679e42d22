/** The embedded relay as a machine: the real `RelayServer`, its sockets being ports of a simulated host. */
import {
  PeerPolicy,
  type RelayCredentials,
  relayCredentials,
  RelayServer,
} from "../../mod/embedded/relay/mod.ts";
import {
  ADDRESS_RECORD_SIZE,
  readAddressRecord,
  SocketAddress,
  writeAddressRecord,
} from "../../mod/packet/address.ts";
import { Counters } from "../../mod/packet/counters.ts";
import { Slab } from "../../mod/packet/slab.ts";
import { TransmitQueue } from "../../mod/packet/transmit_queue.ts";
import type { Datagram } from "./datagram.ts";
import type { Host } from "./host.ts";
import type { Machine, Outgoing } from "./machine.ts";
import type { Random } from "./random.ts";

export const RELAY_PORT = 3478;
/** The credentials' expiry is checked against this wall clock, which stands still. Unix seconds. */
const WALL_CLOCK = 1_700_000_000;
const MAX_DATAGRAM = 2_048;

export class RelayMachine implements Machine {
  readonly counters = new Counters();
  readonly server: RelayServer;
  readonly addresses: { readonly v4: SocketAddress | undefined; readonly v6: SocketAddress | undefined };
  readonly #slab = new Slab(1 << 18);
  readonly #queue: TransmitQueue;
  readonly #buffer: number;
  readonly #from: number;
  readonly #local: number;
  readonly #transmits: Outgoing[] = [];
  readonly stampSecret: string;

  /**
   * Starts on `host`, which must be connected. Peers in private networks are fine here. Without a secret of its own
   * it draws one, as Firezone's relays do at every start: a restarted relay takes other credentials.
   */
  constructor(host: Host, random: Random, stampSecret = random.bytes(16).toHex()) {
    this.stampSecret = stampSecret;
    this.#queue = new TransmitQueue(this.#slab, { areaLength: 1 << 17, capacity: 512 });
    this.#buffer = this.#slab.reserve(MAX_DATAGRAM);
    this.#from = this.#slab.reserve(ADDRESS_RECORD_SIZE);
    this.#local = this.#slab.reserve(ADDRESS_RECORD_SIZE);
    const v4 = host.ip(4), v6 = host.ip(6);
    this.addresses = { v4: socketAddress(v4), v6: socketAddress(v6) };
    this.server = new RelayServer({
      slab: this.#slab,
      queue: this.#queue,
      flush: () => this.#flush(),
      ports: {
        open: (port) => {
          host.bind(port, this);
          return true;
        },
        close: (port) => host.unbind(port),
      },
      counters: this.counters,
      publicAddresses: { v4, v6 },
      stampSecret: this.stampSecret,
      peers: new PeerPolicy({ allowed: ["10.0.0.0/8", "192.168.0.0/16"] }),
      random: random.bytes,
      unixNow: () => WALL_CLOCK,
    });
    host.bind(RELAY_PORT, this);
  }

  /** What the portal would tell the device with this public key. */
  credentialsFor(publicKey: string): RelayCredentials {
    return relayCredentials({ publicKey, stampSecret: this.stampSecret, expiresAt: WALL_CLOCK + 86_400 });
  }

  handleDatagram({ source, destination, payload, ecn }: Datagram, now: number): void {
    this.#slab.bytes.set(payload, this.#buffer);
    writeAddressRecord(this.#slab, this.#from, source);
    writeAddressRecord(this.#slab, this.#local, destination);
    const { length } = payload;
    if (destination.port === RELAY_PORT) {
      this.server.handleClient(this.#buffer, length, length, this.#from, this.#local, ecn, now);
    } else {
      this.server.handlePeer(destination.port, this.#buffer, length, length, this.#from, ecn, now);
    }
  }

  handleTimeout(now: number): void {
    this.server.handleTimeout(now);
  }

  pollTimeout(): number | undefined {
    return this.server.pollTimeout();
  }

  pollTransmit(): Outgoing | undefined {
    this.#flush();
    return this.#transmits.shift();
  }

  #flush(): void {
    const queue = this.#queue;
    for (let i = 0; i < queue.count; i++) {
      const record = queue.words.subarray(queue.wordsOffset(i), queue.wordsOffset(i) + 10);
      const dst = this.#address(record.subarray(0, 5)), src = this.#address(record.subarray(5));
      const end = queue.offsetOf(i) + queue.lengthOf(i);
      for (let at = queue.offsetOf(i); at < end; at += queue.segmentOf(i)) {
        const payload = this.#slab.bytes.slice(at, Math.min(end, at + queue.segmentOf(i)));
        this.#transmits.push({ dst: dst!, payload, ecn: queue.ecnOf(i), ...(src ? { src } : {}) });
      }
    }
    queue.clear();
  }

  #address(words: Uint32Array): SocketAddress | undefined {
    this.#slab.words.set(words, this.#from >> 2);
    return readAddressRecord(this.#slab, this.#from);
  }
}

function socketAddress(ip: string | undefined): SocketAddress | undefined {
  return ip === undefined ? undefined : SocketAddress.of(ip, RELAY_PORT);
}
