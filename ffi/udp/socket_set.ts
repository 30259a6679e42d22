/**
 * Many UDP sockets of one address family, told apart by their port, which share one set of receive buffers and one
 * set of send headers: what a relay needs, where a buffer of its own for each socket would cost 64 KiB times
 * thousands. One socket at a time is received from and sent by; its results are read before the next one's turn.
 */
import { libc } from "../libc.ts";
import { Receiver } from "./receiver.ts";
import { Sender } from "./sender.ts";
import { openUdp, type UdpSocketOptions } from "./socket.ts";
import type { TransmitQueue } from "../../mod/packet/transmit_queue.ts";

const DEFAULT_RECEIVE_BUFFERS = 16;

export class UdpSocketSet {
  /** Slab bytes that one set takes. */
  static slabBytes(receiveBuffers = DEFAULT_RECEIVE_BUFFERS): number {
    return Receiver.slabBytes(receiveBuffers) + Sender.SLAB_BYTES;
  }

  readonly #options: Omit<UdpSocketOptions, "port" | "portRequired">;
  readonly #receiver: Receiver;
  readonly #sender: Sender;
  /** By port; -1 = not open. */
  readonly #fds = new Int32Array(65536).fill(-1);

  /** Opens nothing yet. */
  constructor(options: Omit<UdpSocketOptions, "port" | "portRequired">) {
    const { family, slab, counters, receiveBuffers: buffers = DEFAULT_RECEIVE_BUFFERS } = options;
    this.#options = options;
    this.#receiver = new Receiver({ fd: -1, family, port: 0, slab, counters, buffers });
    this.#sender = new Sender({ fd: -1, family, slab, counters });
  }

  /** Opens a socket on `port`; its descriptor, for polling. Throws a SystemError, as when the port is taken. */
  open(port: number): number {
    const { fd } = openUdp({ ...this.#options, port, portRequired: true });
    this.#fds[port] = fd;
    return fd;
  }

  /** The descriptor of the socket on `port`; -1 = not open. */
  fdOf(port: number): number {
    return this.#fds[port]!;
  }

  /** Does nothing when it is not open. */
  close(port: number): void {
    const fd = this.#fds[port]!;
    if (fd < 0) return;
    libc().close(fd);
    this.#fds[port] = -1;
  }

  closeAll(): void {
    this.#fds.forEach((fd, port) => fd >= 0 && this.close(port));
  }

  /** Fetches what has arrived on `port`: the number of messages, to be read from {@link messages} until the next call. */
  receive(port: number): number {
    const fd = this.#fds[port]!;
    if (fd < 0) return 0;
    this.#receiver.target(fd, port);
    return this.#receiver.receive();
  }

  /** Offsets, lengths and addresses of what the last {@link receive} fetched. */
  get messages(): Pick<Receiver, "offsetOf" | "lengthOf" | "segmentOf" | "ecnOf" | "fromOf" | "localOf"> {
    return this.#receiver;
  }

  /**
   * Sends the entries [start, end) of `queue` by the socket on `port`; entries of other families are passed over.
   * Returns `end` when done (also when the socket is not open: then they are lost), else the entry at which the
   * socket's buffer was full: pass it as `start` to go on, before anything else is sent.
   */
  send(port: number, queue: TransmitQueue, start: number, end: number): number {
    const fd = this.#fds[port]!;
    if (fd < 0) return end;
    this.#sender.target(fd);
    return this.#sender.send(queue, start, end);
  }
}
