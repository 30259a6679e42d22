/**
 * The data thread's loop (design §1, §3): wait for TUN, sockets, news of the host's network, a wake-up or the core's
 * next timeout; drain; flush.
 *
 * The wait blocks in `poll(2)`; that is the least latency to be had (spec dataplane §4). Work is done in rounds of a
 * bounded batch from each side, so that neither direction starves the other. Output leaves when a batch is done or
 * enough has gathered for one full send: order inside a flow is the order of arrival, always.
 *
 * Back-pressure: a socket that takes no more makes the loop wait for it, and nothing else is read meanwhile.
 */
import { POLLIN, POLLOUT } from "../../ffi/libc.ts";
import type { EventFd } from "../../ffi/poll.ts";
import { Poller } from "../../ffi/poll.ts";
import type { NetworkMonitor } from "../../ffi/netlink/mod.ts";
import type { UdpSocket } from "../../ffi/udp/mod.ts";
import type { DataPath } from "../gateway/mod.ts";
import type { Screening } from "../node/mod.ts";
import type { Counters, PacketQueue, Transmit, TransmitQueue } from "../packet/mod.ts";
import type { TunPort } from "./tun_port.ts";

/** Packets read from TUN before the sockets get their turn again: a full GSO train of small ones. */
const TUN_BATCH = 64;
/** Receive calls per socket before TUN gets its turn again. */
const UDP_BATCH = 4;
/** Flush towards the sockets once this much is sealed: a full GSO train. */
const FLUSH_BYTES = 40_000;
/** Packets queued for TUN that make it flush before the next received buffer. */
const FLUSH_PACKETS = 1024;
/** Longest wait for a socket that takes no more; then what is left is dropped and counted. */
const MAX_STALL_MS = 100;
const MAX_ERRORS_IN_A_ROW = 100;
const WAKE = 0, TUN = 1, MONITOR = 2, FIRST_SOCKET = 3;
/** Named to a poll, it is ignored. */
const NO_FD = -1;

/** The part of a gateway or client that the loop drives. */
export interface Core {
  readonly path: DataPath;
  handleTimeout(now: number): void;
  pollTimeout(): number | undefined;
  /** This host's links, addresses or routes have changed; said as often as it happens. */
  networkChanged(now: number): void;
  /** Acts on what a batch of packets has caused. */
  drain(now: number): void;
  pollTransmit(): Transmit | undefined;
}

export interface DataLoopOptions {
  readonly core: Core;
  readonly screening: Pick<Screening, "poll" | "noteResult">;
  readonly tun: TunPort;
  readonly sockets: readonly UdpSocket[];
  readonly wake: EventFd;
  /** The kernel's news of this host's network; undefined where they can't be had. */
  readonly monitor: NetworkMonitor | undefined;
  readonly packets: PacketQueue;
  readonly transmits: TransmitQueue;
  readonly counters: Counters;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Called when another thread has signalled, outside of any packet work. */
  readonly onWake: () => Promise<void>;
  /** Called after each round: hand over what the core has to say. */
  readonly onRound: () => void;
  /** Called with what a round threw: a bug to report. */
  readonly onError: (error: unknown) => void;
}

export class DataLoop {
  readonly #options: DataLoopOptions;
  readonly #poller: Poller;
  readonly #stalled: number;
  readonly #waits: number;
  readonly #failed: number;
  #errorsInARow = 0;
  #stopping = false;

  constructor(options: DataLoopOptions) {
    this.#options = options;
    const { wake, tun, monitor, sockets } = options;
    this.#poller = new Poller([wake.fd, tun.fd, monitor?.fd ?? NO_FD, ...sockets.map(({ fd }) => fd)]);
    this.#stalled = options.counters.register("drop_datagram_socket_stalled");
    this.#failed = options.counters.register("loop_failed_rounds");
    this.#waits = options.counters.register("loop_waits");
  }

  /** Ends `run()` after the current round. */
  stop(): void {
    this.#stopping = true;
  }

  async run(): Promise<void> {
    const { core, wake, now, onWake, onRound, counters } = this.#options;
    let busy = false;
    while (!this.#stopping) {
      this.#screen();
      const due = core.pollTimeout();
      this.#poller.wait(busy ? 0 : due === undefined ? undefined : due - now());
      counters.values[this.#waits]!++;
      if (this.#poller.readable(WAKE)) {
        wake.drain();
        await onWake();
      }
      busy = this.#guardedRound();
      onRound();
    }
  }

  #screen(): void {
    const { screening, sockets } = this.#options;
    const screen = screening.poll();
    if (!screen) return;
    let isInForce = true;
    for (const socket of sockets) isInForce = socket.screen(screen) && isInForce;
    screening.noteResult(isInForce);
  }

  /** Sends what the core has to say by itself, and whatever is still queued. */
  flushControl(): void {
    const { core, transmits } = this.#options;
    for (let t = core.pollTransmit(); t; t = core.pollTransmit()) {
      if (transmits.pushDatagram(t)) continue;
      this.#flushSockets();
      transmits.pushDatagram(t);
    }
    this.#flushSockets();
    this.#flushTun();
  }

  /**
   * A round that survives a bug: an exception costs the packets of this batch, is said, and the gateway goes on. Only
   * a loop that can do nothing else any more gives up.
   */
  #guardedRound(): boolean {
    const { core, now, packets, transmits, onError, counters } = this.#options;
    try {
      const busy = this.#round(now());
      const at = now();
      core.drain(at);
      const next = core.pollTimeout();
      if (next !== undefined && next <= at) core.handleTimeout(at);
      this.flushControl();
      this.#errorsInARow = 0;
      return busy;
    } catch (error) {
      counters.add(this.#failed);
      if (++this.#errorsInARow > MAX_ERRORS_IN_A_ROW) throw error;
      packets.clear();
      transmits.clear();
      onError(error);
      return false;
    }
  }

  /** One batch from each side; true when there may be more. */
  #round(now: number): boolean {
    const { sockets, monitor, core } = this.#options;
    let more = false;
    if (monitor && this.#poller.readable(MONITOR) && monitor.drain()) core.networkChanged(now);
    for (let i = 0; i < sockets.length; i++) {
      if (this.#poller.readable(FIRST_SOCKET + i) && this.#drainSocket(sockets[i]!, now)) more = true;
    }
    if (this.#poller.readable(TUN) && this.#drainTun(now)) more = true;
    return more;
  }

  #drainSocket(socket: UdpSocket, now: number): boolean {
    const { core, packets } = this.#options;
    for (let call = 0; call < UDP_BATCH; call++) {
      const count = socket.receive();
      for (let i = 0; i < count; i++) {
        core.path.handleDatagrams(
          socket.offsetOf(i),
          socket.lengthOf(i),
          socket.segmentOf(i),
          socket.ecnOf(i),
          socket.fromOf(i),
          socket.localOf(i),
          now,
        );
        if (packets.packets >= FLUSH_PACKETS) this.#flushTun();
      }
      // The receive buffers are overwritten by the next call, and the queue refers to them.
      this.#flushTun();
      if (socket.isDrained) return false;
    }
    return true;
  }

  #drainTun(now: number): boolean {
    const { core, tun, transmits } = this.#options;
    for (let i = 0; i < TUN_BATCH; i++) {
      const length = tun.read();
      if (length <= 0) return false;
      core.path.handleTunPacket(tun.offset, length, now);
      if (transmits.byteLength >= FLUSH_BYTES) this.#flushSockets();
    }
    return true;
  }

  #flushTun(): void {
    const { packets, tun } = this.#options;
    if (packets.packets === 0) return;
    let writes = packets.finish();
    for (let i = 0; i < writes; i++) {
      if (tun.write(packets.iovOffset(i), packets.iovCount(i))) continue;
      // The kernel takes no super-packet of this kind: never try again, and lose nothing.
      packets.setCoalescing(false, false);
      writes = packets.dissolve(i);
      tun.write(packets.iovOffset(i), packets.iovCount(i));
    }
    packets.clear();
  }

  #flushSockets(): void {
    const { transmits, sockets } = this.#options;
    if (transmits.count === 0) return;
    for (let i = 0; i < sockets.length; i++) this.#flushSocket(sockets[i]!, FIRST_SOCKET + i);
    transmits.clear();
  }

  #flushSocket(socket: UdpSocket, index: number): void {
    const { transmits, now, counters } = this.#options;
    let next = socket.send(transmits, 0);
    if (next >= transmits.count) return;
    const giveUpAt = now() + MAX_STALL_MS;
    // Only this socket's room matters now: everything else waits in the kernel.
    this.#watchOnly(index);
    while (next < transmits.count && now() < giveUpAt) {
      this.#poller.wait(MAX_STALL_MS);
      next = socket.send(transmits, next);
    }
    this.#watchAll();
    if (next < transmits.count) counters.add(this.#stalled, transmits.count - next);
  }

  #watchOnly(index: number): void {
    for (let i = 0; i < FIRST_SOCKET + this.#options.sockets.length; i++) {
      this.#poller.watch(i, i === index ? POLLOUT : 0);
    }
  }

  #watchAll(): void {
    for (let i = 0; i < FIRST_SOCKET + this.#options.sockets.length; i++) this.#poller.watch(i, POLLIN);
  }
}
