/**
 * The relay's thread: sockets on one side, the core on the other, nothing in between but the slab.
 *
 *     epoll ─► receive from a ready socket ─► core ─► queue ─► send by the sockets that the entries name
 *
 * Each ready socket gets one batch per turn, so a flood at one doesn't starve the others. The thread blocks; the one
 * thing it is ever told, to stop, is the eventfd becoming readable.
 */
import { Epoll } from "../../../ffi/epoll.ts";
import { POLLOUT } from "../../../ffi/libc.ts";
import { type EventFd, Poller } from "../../../ffi/poll.ts";
import { UdpSocketSet } from "../../../ffi/udp/mod.ts";
import { type IpFamily, parseIp } from "../../packet/address.ts";
import type { Counters } from "../../packet/counters.ts";
import { Slab } from "../../packet/slab.ts";
import { TransmitQueue } from "../../packet/transmit_queue.ts";
import { PeerPolicy } from "./peer_policy.ts";
import type { ListeningOptions } from "./relay_messages.ts";
import { RelayServer } from "./relay_server.ts";

/** Messages of one receive: what comes in one by one leaves as a train of as many, which spares sends. */
const RECEIVE_BUFFERS = 64;
const QUEUE_BYTES = 4 << 20, QUEUE_ENTRIES = 2048;
const SLAB_SPARE = 1 << 16;
/** A relayed socket serves one client's peers, the listening ones all clients (which keep the default). */
const RELAYED_BUFFER_BYTES = 2 << 20;
/** How long a full socket may hold up the others. */
const FULL_WAIT_MS = 5;
const WAKE = 0;
/** u32 words of a queue entry's path before its source record. */
const SOURCE_WORD = 5;

export interface RelayLoopOptions extends ListeningOptions {
  readonly counters: Counters;
  readonly wake: EventFd;
}

export class RelayLoop {
  /** The port that the relay listens on. */
  readonly port: number;
  readonly #families: readonly IpFamily[];
  readonly #wake: EventFd;
  readonly #counters: Counters;
  readonly #epoll = new Epoll();
  readonly #queue: TransmitQueue;
  readonly #listening: { readonly 4?: UdpSocketSet; readonly 6?: UdpSocketSet };
  readonly #relayed: { readonly 4?: UdpSocketSet; readonly 6?: UdpSocketSet };
  readonly #server: RelayServer;
  readonly #full: number;
  readonly #allocations: number;
  readonly #channels: number;

  /** Opens the listening sockets. Throws an Error that says what is wrong with an option or a port. */
  constructor(options: RelayLoopOptions) {
    const { counters, addresses, bind, port } = options;
    this.port = port;
    this.#counters = counters;
    this.#wake = options.wake;
    this.#full = counters.register("relay_dropped_socket_full");
    this.#allocations = counters.register("relay_allocations");
    this.#channels = counters.register("relay_channels");
    this.#families = ([4, 6] as const).filter((family) => addresses[`v${family}`] !== undefined);
    const sets = 2 * this.#families.length;
    const slab = new Slab(sets * UdpSocketSet.slabBytes(RECEIVE_BUFFERS) + QUEUE_BYTES + SLAB_SPARE);
    this.#queue = new TransmitQueue(slab, { areaLength: QUEUE_BYTES, capacity: QUEUE_ENTRIES });
    const open = (bytes?: number) =>
      Object.fromEntries(this.#families.map((family) => [
        family,
        new UdpSocketSet({
          family,
          slab,
          counters,
          receiveBuffers: RECEIVE_BUFFERS,
          address: bindAddress(bind[`v${family}`], family),
          ...(bytes !== undefined && { receiveBufferBytes: bytes, sendBufferBytes: bytes }),
        }),
      ])) as { 4?: UdpSocketSet; 6?: UdpSocketSet };
    this.#listening = open();
    this.#relayed = open(RELAYED_BUFFER_BYTES);
    const peers = new PeerPolicy({ allowed: options.allowedPeers, refused: options.refusedPeers });
    this.#server = new RelayServer({
      slab,
      queue: this.#queue,
      flush: () => this.#flush(),
      ports: {
        open: (relayedPort, families) => this.#openRelayed(relayedPort, families),
        close: (relayedPort) => this.#closeRelayed(relayedPort),
      },
      counters,
      publicAddresses: addresses,
      sources: options.sources,
      localAddresses: options.localAddresses,
      listenPort: port,
      portRange: options.portRange,
      stampSecret: options.stampSecret,
      peers,
      ...(options.limits && { limits: options.limits }),
      random: (length) => crypto.getRandomValues(new Uint8Array(length)),
      unixNow: () => Date.now() / 1000,
    });
    try {
      this.#epoll.add(this.#wake.fd, WAKE);
      for (const family of this.#families) {
        this.#epoll.add(this.#listening[family]!.open(port), token(family, port));
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Relays until the eventfd is signalled. */
  run(): void {
    for (;;) {
      const now = performance.now();
      const due = this.#server.pollTimeout();
      const ready = this.#epoll.wait(due === undefined ? undefined : due - now);
      for (let i = 0; i < ready; i++) {
        const token = this.#epoll.tokenOf(i);
        if (token === WAKE) return;
        this.#receive((token >>> 16) as IpFamily, token & 0xffff);
      }
      this.#server.handleTimeout(performance.now());
      this.#counters.values[this.#allocations] = this.#server.allocations;
      this.#counters.values[this.#channels] = this.#server.channels;
    }
  }

  close(): void {
    for (const family of this.#families) {
      this.#listening[family]!.closeAll();
      this.#relayed[family]!.closeAll();
    }
    this.#epoll.close();
  }

  #receive(family: IpFamily, port: number): void {
    const now = performance.now();
    const isListening = port === this.port;
    const set = (isListening ? this.#listening : this.#relayed)[family]!;
    const count = set.receive(port), { messages } = set;
    for (let i = 0; i < count; i++) {
      const offset = messages.offsetOf(i), length = messages.lengthOf(i), segment = messages.segmentOf(i);
      const from = messages.fromOf(i), ecn = messages.ecnOf(i);
      if (isListening) {
        this.#server.handleClient(offset, length, segment, from, messages.localOf(i), ecn, now);
      } else {
        this.#server.handlePeer(port, offset, length, segment, from, ecn, now);
      }
    }
    this.#flush();
  }

  /** Sends the queue in runs of entries that name the same socket. */
  #flush(): void {
    const queue = this.#queue, count = queue.count;
    for (let start = 0; start < count;) {
      const source = queue.words[queue.wordsOffset(start) + SOURCE_WORD]!;
      let end = start + 1;
      while (end < count && queue.words[queue.wordsOffset(end) + SOURCE_WORD] === source) end++;
      this.#send((source & 0xffff) as IpFamily, source >>> 16, start, end);
      start = end;
    }
    queue.clear();
  }

  #send(family: IpFamily, port: number, start: number, end: number): void {
    const set = (port === this.port ? this.#listening : this.#relayed)[family]!;
    let next = set.send(port, this.#queue, start, end);
    while (next < end) {
      const poller = new Poller([set.fdOf(port)]);
      poller.watch(0, POLLOUT);
      if (poller.wait(FULL_WAIT_MS) === 0) return this.#counters.add(this.#full, end - next);
      next = set.send(port, this.#queue, next, end);
    }
  }

  #openRelayed(port: number, families: readonly IpFamily[]): boolean {
    if (port === this.port) return false;
    try {
      for (const family of families) {
        this.#epoll.add(this.#relayed[family]!.open(port), token(family, port));
      }
      return true;
    } catch {
      // Taken by another process, or no descriptors left: both are answered by "insufficient capacity" in the end.
      this.#closeRelayed(port);
      return false;
    }
  }

  #closeRelayed(port: number): void {
    for (const family of this.#families) this.#relayed[family]!.close(port);
  }
}

/** Never {@link WAKE}: the family is 4 or 6. */
function token(family: IpFamily, port: number): number {
  return (family << 16) | port;
}

function bindAddress(text: string | undefined, family: IpFamily): Uint8Array | undefined {
  if (text === undefined) return undefined;
  const bytes = parseIp(text);
  if (bytes?.length === (family === 4 ? 4 : 16)) return bytes;
  throw new Error(
    `Cannot bind the relay to "${text}": it is no IPv${family} address. Write it without port.`,
  );
}
