/**
 * One UDP socket of the gateway: one address family, bound to every local address, never blocking.
 *
 * The preferred port is 52625 (spec snownet §5.1); when another process has it, the kernel chooses one. Everything
 * a datagram needs (local address, ECN, segment size) goes through control messages: see `receiver.ts` and
 * `sender.ts`, which this class joins to one face for the data loop.
 */
import { describeErrno, EADDRINUSE, EAFNOSUPPORT, errno, SystemError } from "../errno.ts";
import { AF_INET, AF_INET6, libc, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK } from "../libc.ts";
import { SOCKADDR_IN, SOCKADDR_IN6 } from "../structs.ts";
import { attachFilter } from "./filter.ts";
import { canThin } from "./filter_program.ts";
import { applyOptions, droppedByKernel } from "./options.ts";
import { Receiver } from "./receiver.ts";
import { Sender } from "./sender.ts";
import type { IpFamily } from "../../mod/packet/address.ts";
import type { Counters } from "../../mod/packet/counters.ts";
import { OPEN_SCREEN, type Screen } from "../../mod/packet/screen.ts";
import type { Slab } from "../../mod/packet/slab.ts";
import type { TransmitQueue } from "../../mod/packet/transmit_queue.ts";

/** 49152 + 3473: the first port of the dynamic range plus STUN's less 5. */
export const PREFERRED_PORT = 52625;
const DEFAULT_RECEIVE_BUFFERS = 16;
const DEFAULT_RECEIVE_BYTES = 16 * 1024 * 1024;
const DEFAULT_SEND_BYTES = 2 * 1024 * 1024;

/** How a socket is opened and bound. */
export interface UdpBinding {
  readonly family: IpFamily;
  /** The one local address to bind, 4 or 16 bytes; absent: every address. */
  readonly address?: Uint8Array | undefined;
  /** Default {@link PREFERRED_PORT}; 0 = any. */
  readonly port?: number;
  /** True: fail when `port` is taken, instead of taking any. */
  readonly portRequired?: boolean;
  /** SO_RCVBUF (default 16 MiB) and SO_SNDBUF (default 2 MiB), in bytes. */
  readonly receiveBufferBytes?: number;
  readonly sendBufferBytes?: number;
  /** SO_MARK; absent: none. */
  readonly mark?: number;
  /** True: the kernel drops what can be no protocol of the tunnel (`filter.ts`). */
  readonly filtered?: boolean;
}

export interface UdpSocketOptions extends UdpBinding {
  readonly slab: Slab;
  readonly counters: Counters;
  /** Messages per receive at most, 66 KiB of slab each. Default 16. */
  readonly receiveBuffers?: number;
  /** Messages per receive while they are long GRO trains. Default: always `receiveBuffers`. */
  readonly leastReceiveBuffers?: number;
}

/** An open and bound socket without buffers. */
export interface BoundSocket {
  readonly fd: number;
  readonly port: number;
  /** What the kernel refused, as sentences for the log. */
  readonly warnings: readonly string[];
}

export class UdpSocket {
  /** Slab bytes that one socket takes. */
  static slabBytes(receiveBuffers = DEFAULT_RECEIVE_BUFFERS): number {
    return Receiver.slabBytes(receiveBuffers) + Sender.SLAB_BYTES;
  }

  readonly #receiver: Receiver;
  readonly #sender: Sender;
  readonly #counters: Counters;
  readonly #droppedByKernel: number;
  /** As the kernel counts, modulo 2^32. */
  #dropped = 0;
  #closed = false;

  private constructor(
    readonly fd: number,
    readonly family: IpFamily,
    /** The port that it is bound to. */
    readonly port: number,
    /** What the kernel refused, as sentences for the log. */
    readonly warnings: readonly string[],
    { slab, counters, receiveBuffers: buffers = DEFAULT_RECEIVE_BUFFERS, leastReceiveBuffers }:
      UdpSocketOptions,
  ) {
    this.#receiver = new Receiver({
      fd,
      family,
      port,
      slab,
      counters,
      buffers,
      leastBuffers: leastReceiveBuffers,
    });
    this.#sender = new Sender({ fd, family, slab, counters });
    this.#counters = counters;
    this.#droppedByKernel = counters.register("udp_receive_dropped");
  }

  /** Throws a SystemError: no such family on this host, port taken and required, no packet information. */
  static open(options: UdpSocketOptions): UdpSocket {
    const { fd, port, warnings } = openUdp(options);
    return new UdpSocket(fd, options.family, port, warnings, options);
  }

  /** Fetches what has arrived, without blocking: the number of messages, to be read by `…Of(i)` until the next call. */
  receive(): number {
    return this.#receiver.receive();
  }

  /** False when another {@link receive} right away may find more. */
  get isDrained(): boolean {
    return this.#receiver.isDrained;
  }

  /** Slab offset of message `i`, 64-aligned. Its datagrams lie back to back, {@link segmentOf} bytes each. */
  offsetOf(i: number): number {
    return this.#receiver.offsetOf(i);
  }

  /** Bytes of message `i`, at least 1. */
  lengthOf(i: number): number {
    return this.#receiver.lengthOf(i);
  }

  /** Bytes of each datagram of message `i` but the last, which may be shorter; at least 1. */
  segmentOf(i: number): number {
    return this.#receiver.segmentOf(i);
  }

  /** ECN code point (0-3) that message `i` arrived with. */
  ecnOf(i: number): number {
    return this.#receiver.ecnOf(i);
  }

  /** Slab offset of the sender's address record. */
  fromOf(i: number): number {
    return this.#receiver.fromOf(i);
  }

  /** Slab offset of the record of the local address, with our port, that message `i` was sent to. */
  localOf(i: number): number {
    return this.#receiver.localOf(i);
  }

  /**
   * Sends the entries of this family from entry `start` of `queue` on. Returns `queue.count` when all are done, else
   * (socket buffer full) the entry to go on with when the socket is writable: call again with it, or `clear()` the
   * queue to give up on the rest.
   */
  send(queue: TransmitQueue, start: number): number {
    return this.#sender.send(queue, start);
  }

  /** Has the kernel drop what the screen excludes, from now on. False: it can't do all of that. */
  screen(screen: Screen): boolean {
    return attachFilter(this.fd, this.family, screen) === 0 && canThin(screen);
  }

  /** Brings the counter of what the kernel dropped by itself up to date; a system call. */
  countDropped(): void {
    const dropped = droppedByKernel(this.fd);
    this.#counters.add(this.#droppedByKernel, (dropped - this.#dropped) >>> 0);
    this.#dropped = dropped;
  }

  /** False once the kernel or the NIC has refused UDP_SEGMENT. */
  get segmentation(): boolean {
    return this.#sender.segmentation;
  }

  /** Idempotent. Nothing else may be called afterwards. */
  close(): void {
    if (!this.#closed) libc().close(this.fd);
    this.#closed = true;
  }
}

/** Opens and binds a socket. Throws as {@link UdpSocket.open}. */
export function openUdp(options: UdpBinding): BoundSocket {
  const { family, port = PREFERRED_PORT } = options;
  const c = libc();
  const fd = c.socket(family === 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    const error = errno();
    throw new SystemError(
      `open a UDP socket for IPv${family}`,
      "socket",
      error,
      error === EAFNOSUPPORT
        ? `This host has no IPv${family}; the other family is enough.`
        : "Raise the limit of open files.",
    );
  }
  try {
    const warnings = applyOptions(fd, family, {
      sendBuffer: options.sendBufferBytes ?? DEFAULT_SEND_BYTES,
      receiveBuffer: options.receiveBufferBytes ?? DEFAULT_RECEIVE_BYTES,
      ...(options.mark === undefined ? {} : { mark: options.mark }),
    });
    const refused = options.filtered ? attachFilter(fd, family, OPEN_SCREEN) : 0;
    if (refused !== 0) {
      warnings.push(`Cannot attach a filter to the IPv${family} socket: ${describeErrno(refused)}.`);
    }
    bindPort(fd, family, port, options.portRequired === true, options.address);
    return { fd, port: boundPort(fd, family), warnings };
  } catch (error) {
    c.close(fd);
    throw error;
  }
}

function bindPort(
  fd: number,
  family: IpFamily,
  port: number,
  required: boolean,
  address: Uint8Array | undefined,
): void {
  if (libc().bind(fd, socketAddress(family, port, address), addressSize(family)) === 0) return;
  const error = errno();
  if (!required && port !== 0 && error === EADDRINUSE) return bindPort(fd, family, 0, true, address);
  throw new SystemError(
    `bind UDP port ${port} for IPv${family}`,
    "bind",
    error,
    error === EADDRINUSE ? "Stop the other process or choose another port." : "Check the host's addresses.",
  );
}

function boundPort(fd: number, family: IpFamily): number {
  const address = socketAddress(family, 0, undefined);
  if (libc().getsockname(fd, address, new Uint32Array([address.length])) !== 0) {
    throw new SystemError("read the port of a UDP socket", "getsockname", errno(), "Report this.");
  }
  return new DataView(address.buffer).getUint16(SOCKADDR_IN.port, false);
}

function addressSize(family: IpFamily): number {
  return family === 4 ? SOCKADDR_IN.size : SOCKADDR_IN6.size;
}

/** A `sockaddr` with `port`, and `address` or every local address (all zero). */
function socketAddress(
  family: IpFamily,
  port: number,
  address: Uint8Array | undefined,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(addressSize(family));
  const view = new DataView(bytes.buffer);
  view.setUint16(SOCKADDR_IN.family, family === 4 ? AF_INET : AF_INET6, true);
  view.setUint16(SOCKADDR_IN.port, port, false);
  if (address) bytes.set(address, family === 4 ? SOCKADDR_IN.address : SOCKADDR_IN6.address);
  return bytes;
}
