/**
 * Listens to the kernel: a non-blocking NETLINK_ROUTE socket in the multicast groups of links, addresses and routes
 * (rtnetlink(7), netlink(7)), for the poll set of the data thread. It takes no privilege.
 *
 * What arrives is only looked at to tell whether packets may now leave another way; when the kernel had more to say
 * than the socket holds (ENOBUFS), something surely happened.
 */
import { EAGAIN, EINTR, errno, SystemError } from "../errno.ts";
import { AF_NETLINK, libc, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW } from "../libc.ts";
import { SOCKADDR_NL } from "../structs.ts";
import { decodeMessages } from "./message.ts";
import { NetworkChanges, type OwnNetwork } from "./network_changes.ts";
import { NETLINK_ROUTE } from "./socket.ts";

export const RTMGRP_LINK = 0x1, RTMGRP_IPV4_IFADDR = 0x10, RTMGRP_IPV4_ROUTE = 0x40;
export const RTMGRP_IPV6_IFADDR = 0x100, RTMGRP_IPV6_ROUTE = 0x400;
const GROUPS = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE;
/** Room for one message; only a link with a great many virtual functions has a longer one, of which the head counts. */
const RECEIVE_SIZE = 32 * 1024;
/** Messages that one call reads at most: the packets wait meanwhile. */
const MAX_READS = 256;

export class NetworkMonitor {
  /** Readable when the kernel has something to say. */
  readonly fd: number;
  readonly #changes: NetworkChanges;
  readonly #buffer = new Uint8Array(RECEIVE_SIZE);
  #closed = false;

  private constructor(fd: number, own: OwnNetwork) {
    this.fd = fd;
    this.#changes = new NetworkChanges(own);
  }

  /** @throws SystemError where netlink is not permitted (seccomp, RestrictAddressFamilies) */
  static open(own: OwnNetwork): NetworkMonitor {
    const c = libc();
    const fd = c.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd < 0) throw failed("socket");
    const address = new Uint8Array(SOCKADDR_NL.size);
    const view = new DataView(address.buffer);
    view.setUint16(SOCKADDR_NL.family, AF_NETLINK, true);
    view.setUint32(SOCKADDR_NL.groups, GROUPS, true);
    if (c.bind(fd, address, address.length) !== 0) {
      const error = failed("bind");
      c.close(fd);
      throw error;
    }
    return new NetworkMonitor(fd, own);
  }

  /** Reads what has arrived, without blocking; true when some of it is news. What is left keeps the fd readable. */
  drain(): boolean {
    let isNews = false;
    for (let read = 0; read < MAX_READS; read++) {
      const length = libc().recv_buffer(this.fd, this.#buffer, BigInt(RECEIVE_SIZE), 0);
      if (length < 0) {
        const error = errno();
        if (error === EAGAIN) break;
        if (error === EINTR) continue;
        // ENOBUFS: messages were lost. Reading has cleared the error, so it goes on.
        this.#changes.forget();
        isNews = true;
        continue;
      }
      for (const message of decodeMessages(this.#buffer.subarray(0, length))) {
        if (this.#changes.isNews(message)) isNews = true;
      }
    }
    return isNews;
  }

  /** Idempotent. */
  close(): void {
    if (!this.#closed) libc().close(this.fd);
    this.#closed = true;
  }
}

function failed(call: string): SystemError {
  return new SystemError(
    "listen to changes of this host's network",
    call,
    errno(),
    "Permit AF_NETLINK (systemd: RestrictAddressFamilies).",
  );
}
