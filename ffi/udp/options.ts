/**
 * Socket options of the gateway's UDP sockets (Linux numbers, equal on x86-64 and arm64), and how they are set.
 *
 * Required, because the protocol does not work without: packet information (which local address a datagram came
 * to: ICE pairs and replies depend on it) and IPV6_V6ONLY. Everything else is wanted: a refusal becomes a warning,
 * since an old kernel or a missing capability must not stop the gateway.
 */
import { describeErrno, errno, SystemError } from "../errno.ts";
import { libc } from "../libc.ts";
import type { IpFamily } from "../../mod/packet/address.ts";

export const SOL_SOCKET = 1, SOL_IP = 0, SOL_IPV6 = 41, SOL_UDP = 17;
export const SO_SNDBUF = 7, SO_RCVBUF = 8, SO_SNDBUFFORCE = 32, SO_RCVBUFFORCE = 33, SO_MARK = 36;
export const SO_MEMINFO = 55, SK_MEMINFO_DROPS = 8, SK_MEMINFO_VARS = 9;
export const IP_TOS = 1, IP_PKTINFO = 8, IP_MTU_DISCOVER = 10, IP_RECVTOS = 13;
export const IPV6_MTU_DISCOVER = 23, IPV6_V6ONLY = 26, IPV6_RECVPKTINFO = 49, IPV6_PKTINFO = 50;
export const IPV6_DONTFRAG = 62, IPV6_RECVTCLASS = 66, IPV6_TCLASS = 67, IPV6_ADDR_PREFERENCES = 72;
export const UDP_SEGMENT = 103, UDP_GRO = 104;
/** Set don't-fragment, and ignore what ICMP says about the path's MTU (spec snownet §5.4). */
const PMTUDISC_PROBE = 3;
const IPV6_PREFER_SRC_PUBLIC = 2;

export interface SocketTuning {
  /** Bytes asked of SO_SNDBUF and SO_RCVBUF. */
  readonly sendBuffer: number;
  readonly receiveBuffer: number;
  /** SO_MARK, so that policy routing keeps our own packets out of the tunnel (spec policy §6.2). */
  readonly mark?: number;
}

/** Sets everything on a fresh socket. Returns what the kernel refused, as sentences for the log. */
export function applyOptions(fd: number, family: IpFamily, tuning: SocketTuning): string[] {
  const warnings: string[] = [];
  const want = (what: string, level: number, option: number, value: number) => {
    const error = setOption(fd, level, option, value);
    if (error !== 0) warnings.push(`Cannot set ${what} on the IPv${family} socket: ${describeErrno(error)}.`);
  };
  const require = (what: string, level: number, option: number) => {
    const error = setOption(fd, level, option, 1);
    if (error !== 0) {
      throw new SystemError(
        `set ${what} on the IPv${family} socket`,
        "setsockopt",
        error,
        "Use Linux 5.4 or newer.",
      );
    }
  };
  if (family === 4) {
    require("IP_PKTINFO", SOL_IP, IP_PKTINFO);
    want("IP_RECVTOS", SOL_IP, IP_RECVTOS, 1);
    want("IP_MTU_DISCOVER", SOL_IP, IP_MTU_DISCOVER, PMTUDISC_PROBE);
  } else {
    require("IPV6_V6ONLY", SOL_IPV6, IPV6_V6ONLY);
    require("IPV6_RECVPKTINFO", SOL_IPV6, IPV6_RECVPKTINFO);
    want("IPV6_RECVTCLASS", SOL_IPV6, IPV6_RECVTCLASS, 1);
    want("IPV6_MTU_DISCOVER", SOL_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_PROBE);
    want("IPV6_DONTFRAG", SOL_IPV6, IPV6_DONTFRAG, 1);
    want("IPV6_ADDR_PREFERENCES", SOL_IPV6, IPV6_ADDR_PREFERENCES, IPV6_PREFER_SRC_PUBLIC);
  }
  want("UDP_GRO", SOL_UDP, UDP_GRO, 1);
  // The FORCE variants pass the limit of net.core.*mem_max but need CAP_NET_ADMIN.
  if (setOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, tuning.sendBuffer) !== 0) {
    want("SO_SNDBUF", SOL_SOCKET, SO_SNDBUF, tuning.sendBuffer);
  }
  if (setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, tuning.receiveBuffer) !== 0) {
    want("SO_RCVBUF", SOL_SOCKET, SO_RCVBUF, tuning.receiveBuffer);
  }
  if (tuning.mark !== undefined) want("SO_MARK", SOL_SOCKET, SO_MARK, tuning.mark);
  return warnings;
}

/** Sets an `int` option; 0, or the errno. `value` is taken as 32 bits. */
export function setOption(fd: number, level: number, option: number, value: number): number {
  return libc().setsockopt(fd, level, option, new Int32Array([value | 0]), 4) === 0 ? 0 : errno();
}

/** Reads an `int` option, as unsigned 32 bits; negative errno on failure. */
export function getOption(fd: number, level: number, option: number): number {
  const value = new Uint32Array(1);
  return libc().getsockopt(fd, level, option, value, new Uint32Array([4])) === 0 ? value[0]! : -errno();
}

/** Datagrams that the kernel has dropped for this socket: refused by its filter, or no room in its buffer. */
export function droppedByKernel(fd: number): number {
  const values = new Uint32Array(SK_MEMINFO_VARS);
  const got = libc().getsockopt(fd, SOL_SOCKET, SO_MEMINFO, values, new Uint32Array([values.byteLength]));
  return got === 0 ? values[SK_MEMINFO_DROPS]! : 0;
}
