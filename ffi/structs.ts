/**
 * Sizes and field offsets of the C structs that are built by hand, in bytes. The same on Linux x86-64 and arm64
 * (LP64, little-endian); `tests/ffi/structs_test.ts` compares every number with the C compiler's.
 */

/** struct iovec { void *iov_base; size_t iov_len } */
export const IOVEC = { size: 16, base: 0, length: 8 } as const;

/** struct mmsghdr { struct msghdr msg_hdr; unsigned msg_len }; msghdr is 56 bytes */
export const MMSGHDR = {
  size: 64,
  name: 0,
  nameLength: 8,
  iov: 16,
  iovLength: 24,
  control: 32,
  controlLength: 40,
  flags: 48,
  messageLength: 56,
} as const;

/** struct cmsghdr { size_t cmsg_len; int cmsg_level; int cmsg_type }, data behind it; padded to 8 */
export const CMSGHDR = { size: 16, length: 0, level: 8, type: 12, data: 16 } as const;

/** struct sockaddr_in; port and address in network order */
export const SOCKADDR_IN = { size: 16, family: 0, port: 2, address: 4 } as const;

/** struct sockaddr_in6 */
export const SOCKADDR_IN6 = { size: 28, family: 0, port: 2, flowInfo: 4, address: 8, scopeId: 24 } as const;

/** struct sockaddr_nl */
export const SOCKADDR_NL = { size: 12, family: 0, pid: 4, groups: 8 } as const;

/** struct ifinfomsg */
export const IFINFOMSG = { size: 16, family: 0, index: 4, flags: 8 } as const;

/** struct ifaddrmsg */
export const IFADDRMSG = { size: 8, family: 0, prefixLength: 1, flags: 2, index: 4 } as const;

/** struct rtmsg */
export const RTMSG = { size: 12, family: 0, table: 4, type: 7, flags: 8 } as const;

/** struct in_pktinfo { int ipi_ifindex; in_addr ipi_spec_dst; in_addr ipi_addr } */
export const IN_PKTINFO = { size: 12, interfaceIndex: 0, specDst: 4, address: 8 } as const;

/** struct in6_pktinfo { in6_addr ipi6_addr; unsigned ipi6_ifindex } */
export const IN6_PKTINFO = { size: 20, address: 0, interfaceIndex: 16 } as const;

/** struct sock_filter { __u16 code; __u8 jt; __u8 jf; __u32 k } */
export const SOCK_FILTER = { size: 8, code: 0, ifTrue: 2, ifFalse: 3, k: 4 } as const;

/** struct sock_fprog { unsigned short len; struct sock_filter *filter } */
export const SOCK_FPROG = { size: 16, length: 0, filter: 8 } as const;

/** struct pollfd { int fd; short events; short revents } */
export const POLLFD = { size: 8, fd: 0, events: 4, revents: 6 } as const;

/** Bytes that a control message with `length` bytes of data takes, padding included (CMSG_SPACE). */
export function cmsgSpace(length: number): number {
  return CMSGHDR.size + ((length + 7) & ~7);
}
