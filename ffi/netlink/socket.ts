/**
 * An AF_NETLINK socket: sends a request and collects the kernel's answers, blocking for well under a millisecond (the
 * kernel works on a request while it is being sent). Set-up and tear-down only, never in the data thread.
 */
import { EINTR, errno, SystemError } from "../errno.ts";
import { AF_NETLINK, libc, SOCK_CLOEXEC, SOCK_RAW } from "../libc.ts";
import { SOCKADDR_NL } from "../structs.ts";
import { concat, decodeError, decodeMessages, encodeMessage, type NetlinkMessage } from "./message.ts";
import { NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR } from "./message.ts";

export const NETLINK_ROUTE = 0, NETLINK_NETFILTER = 12;
const SOL_SOCKET = 1, SO_RCVTIMEO = 20, SOL_NETLINK = 270, NETLINK_CAP_ACK = 10, NETLINK_EXT_ACK = 11;
const RECEIVE_SIZE = 65536;
const TIMEOUT_SECONDS = 2n;

/** The kernel refused a request. `errno` says why; the message has the kernel's own words when it gave some. */
export class NetlinkError extends Error {
  constructor(readonly errno: number, readonly detail: string | undefined) {
    super(`the kernel gave errno ${errno}${detail ? ` (${detail})` : ""}`);
    this.name = "NetlinkError";
  }
}

export class NetlinkSocket {
  readonly #fd: number;
  readonly #buffer = new Uint8Array(RECEIVE_SIZE);
  #sequence = 0;
  #closed = false;

  /** @param protocol NETLINK_ROUTE or NETLINK_NETFILTER. Throws a SystemError. */
  constructor(protocol: number) {
    const c = libc();
    this.#fd = c.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (this.#fd < 0) throw failed("open a netlink socket", "socket");
    const address = new Uint8Array(SOCKADDR_NL.size);
    new DataView(address.buffer).setUint16(SOCKADDR_NL.family, AF_NETLINK, true);
    if (c.bind(this.#fd, address, address.length) !== 0) {
      const error = failed("bind a netlink socket", "bind");
      c.close(this.#fd);
      throw error;
    }
    // Better error texts and bounded waits; a kernel without them does as well.
    c.setsockopt(this.#fd, SOL_NETLINK, NETLINK_EXT_ACK, new Int32Array([1]), 4);
    c.setsockopt(this.#fd, SOL_NETLINK, NETLINK_CAP_ACK, new Int32Array([1]), 4);
    c.setsockopt(this.#fd, SOL_SOCKET, SO_RCVTIMEO, new BigInt64Array([TIMEOUT_SECONDS, 0n]), 16);
  }

  /** Sends one request and waits for its acknowledgement. Answers that came before it. Throws a NetlinkError. */
  request(type: number, flags: number, body: Uint8Array): NetlinkMessage[] {
    return this.#exchange([{ type, flags: NLM_F_REQUEST | NLM_F_ACK | flags, body }], 1);
  }

  /** All objects of a kind. Throws a NetlinkError. */
  dump(type: number, body: Uint8Array): NetlinkMessage[] {
    return this.#exchange([{ type, flags: NLM_F_REQUEST | NLM_F_DUMP, body }], 1);
  }

  /**
   * Sends several messages in one datagram (a netfilter transaction) and waits for the acknowledgements of those that
   * carry NLM_F_ACK. Throws the first NetlinkError after all have answered.
   */
  transaction(messages: readonly NetlinkMessage[]): NetlinkMessage[] {
    return this.#exchange(messages, messages.filter(({ flags }) => (flags & NLM_F_ACK) !== 0).length);
  }

  close(): void {
    if (!this.#closed) libc().close(this.#fd);
    this.#closed = true;
  }

  #exchange(messages: readonly NetlinkMessage[], answers: number): NetlinkMessage[] {
    const first = this.#sequence + 1;
    const bytes = concat(messages.map((message) => encodeMessage(message, ++this.#sequence)));
    if (libc().send_buffer(this.#fd, bytes, BigInt(bytes.length), 0) < 0) {
      throw failed("send a netlink request", "send");
    }
    const results: NetlinkMessage[] = [];
    let open = answers;
    let refused: NetlinkError | undefined;
    while (open > 0) {
      for (const message of decodeMessages(this.#receive())) {
        if (message.sequence < first) continue; // a late answer to an earlier request
        if (message.type !== NLMSG_ERROR && message.type !== NLMSG_DONE) {
          results.push({ ...message, body: message.body.slice() });
          continue;
        }
        open--;
        const { errno, text } = decodeError(message);
        if (errno === 0) continue;
        refused ??= new NetlinkError(errno, text);
        // A transaction that fails as a whole answers for its first message only.
        if (message.sequence === first) open = 0;
      }
    }
    if (refused) throw refused;
    return results;
  }

  #receive(): Uint8Array {
    for (;;) {
      const length = libc().recv_buffer(this.#fd, this.#buffer, BigInt(RECEIVE_SIZE), 0);
      if (length >= 0) return this.#buffer.subarray(0, length);
      if (errno() !== EINTR) throw failed("read the kernel's netlink answer", "recv");
    }
  }
}

function failed(doing: string, call: string): SystemError {
  return new SystemError(doing, call, errno(), "Check that AF_NETLINK sockets are permitted.");
}
