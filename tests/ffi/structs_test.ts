import assert from "node:assert/strict";
import * as structs from "../../ffi/structs.ts";
import { IP_PKTINFO, IPV6_ADDR_PREFERENCES, IPV6_DONTFRAG, IPV6_PKTINFO } from "../../ffi/udp/options.ts";
import * as bpf from "../../ffi/udp/bpf.ts";
import * as filter from "../../ffi/udp/filter.ts";
import * as options from "../../ffi/udp/options.ts";
import * as monitor from "../../ffi/netlink/monitor.ts";
import * as libc from "../../ffi/libc.ts";
import * as errno from "../../ffi/errno.ts";

const C_SOURCE = `
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#define UDP_GRO 104
#endif
#ifndef IPV6_ADDR_PREFERENCES
#define IPV6_ADDR_PREFERENCES 72
#endif
#define S(t) (long)sizeof(t)
#define O(t, f) (long)offsetof(t, f)
int main(void) {
  long values[] = {VALUES};
  for (unsigned i = 0; i < sizeof values / sizeof *values; i++) printf("%ld\\n", values[i]);
}
`;

/** What the C compiler must say, beside what it was on x86-64 and arm64 when this was written, and our constant. */
const EXPECTED: readonly (readonly [c: string, value: number, ours: number])[] = [
  ["S(struct iovec)", 16, structs.IOVEC.size],
  ["O(struct iovec, iov_base)", 0, structs.IOVEC.base],
  ["O(struct iovec, iov_len)", 8, structs.IOVEC.length],
  ["S(struct mmsghdr)", 64, structs.MMSGHDR.size],
  ["O(struct mmsghdr, msg_hdr.msg_name)", 0, structs.MMSGHDR.name],
  ["O(struct mmsghdr, msg_hdr.msg_namelen)", 8, structs.MMSGHDR.nameLength],
  ["O(struct mmsghdr, msg_hdr.msg_iov)", 16, structs.MMSGHDR.iov],
  ["O(struct mmsghdr, msg_hdr.msg_iovlen)", 24, structs.MMSGHDR.iovLength],
  ["O(struct mmsghdr, msg_hdr.msg_control)", 32, structs.MMSGHDR.control],
  ["O(struct mmsghdr, msg_hdr.msg_controllen)", 40, structs.MMSGHDR.controlLength],
  ["O(struct mmsghdr, msg_hdr.msg_flags)", 48, structs.MMSGHDR.flags],
  ["O(struct mmsghdr, msg_len)", 56, structs.MMSGHDR.messageLength],
  ["S(struct cmsghdr)", 16, structs.CMSGHDR.size],
  ["O(struct cmsghdr, cmsg_len)", 0, structs.CMSGHDR.length],
  ["O(struct cmsghdr, cmsg_level)", 8, structs.CMSGHDR.level],
  ["O(struct cmsghdr, cmsg_type)", 12, structs.CMSGHDR.type],
  ["(long)CMSG_LEN(0)", 16, structs.CMSGHDR.data],
  ["(long)CMSG_SPACE(2)", 24, structs.cmsgSpace(2)],
  ["(long)CMSG_SPACE(12)", 32, structs.cmsgSpace(12)],
  ["(long)CMSG_SPACE(20)", 40, structs.cmsgSpace(20)],
  ["S(struct sockaddr_in)", 16, structs.SOCKADDR_IN.size],
  ["O(struct sockaddr_in, sin_family)", 0, structs.SOCKADDR_IN.family],
  ["O(struct sockaddr_in, sin_port)", 2, structs.SOCKADDR_IN.port],
  ["O(struct sockaddr_in, sin_addr)", 4, structs.SOCKADDR_IN.address],
  ["S(struct sockaddr_in6)", 28, structs.SOCKADDR_IN6.size],
  ["O(struct sockaddr_in6, sin6_family)", 0, structs.SOCKADDR_IN6.family],
  ["O(struct sockaddr_in6, sin6_port)", 2, structs.SOCKADDR_IN6.port],
  ["O(struct sockaddr_in6, sin6_flowinfo)", 4, structs.SOCKADDR_IN6.flowInfo],
  ["O(struct sockaddr_in6, sin6_addr)", 8, structs.SOCKADDR_IN6.address],
  ["O(struct sockaddr_in6, sin6_scope_id)", 24, structs.SOCKADDR_IN6.scopeId],
  ["S(struct sockaddr_nl)", 12, structs.SOCKADDR_NL.size],
  ["O(struct sockaddr_nl, nl_family)", 0, structs.SOCKADDR_NL.family],
  ["O(struct sockaddr_nl, nl_pid)", 4, structs.SOCKADDR_NL.pid],
  ["O(struct sockaddr_nl, nl_groups)", 8, structs.SOCKADDR_NL.groups],
  ["S(struct ifinfomsg)", 16, structs.IFINFOMSG.size],
  ["O(struct ifinfomsg, ifi_family)", 0, structs.IFINFOMSG.family],
  ["O(struct ifinfomsg, ifi_index)", 4, structs.IFINFOMSG.index],
  ["O(struct ifinfomsg, ifi_flags)", 8, structs.IFINFOMSG.flags],
  ["S(struct ifaddrmsg)", 8, structs.IFADDRMSG.size],
  ["O(struct ifaddrmsg, ifa_family)", 0, structs.IFADDRMSG.family],
  ["O(struct ifaddrmsg, ifa_prefixlen)", 1, structs.IFADDRMSG.prefixLength],
  ["O(struct ifaddrmsg, ifa_flags)", 2, structs.IFADDRMSG.flags],
  ["O(struct ifaddrmsg, ifa_index)", 4, structs.IFADDRMSG.index],
  ["S(struct rtmsg)", 12, structs.RTMSG.size],
  ["O(struct rtmsg, rtm_family)", 0, structs.RTMSG.family],
  ["O(struct rtmsg, rtm_table)", 4, structs.RTMSG.table],
  ["O(struct rtmsg, rtm_type)", 7, structs.RTMSG.type],
  ["O(struct rtmsg, rtm_flags)", 8, structs.RTMSG.flags],
  ["S(struct in_pktinfo)", 12, structs.IN_PKTINFO.size],
  ["O(struct in_pktinfo, ipi_ifindex)", 0, structs.IN_PKTINFO.interfaceIndex],
  ["O(struct in_pktinfo, ipi_spec_dst)", 4, structs.IN_PKTINFO.specDst],
  ["O(struct in_pktinfo, ipi_addr)", 8, structs.IN_PKTINFO.address],
  ["S(struct in6_pktinfo)", 20, structs.IN6_PKTINFO.size],
  ["O(struct in6_pktinfo, ipi6_addr)", 0, structs.IN6_PKTINFO.address],
  ["O(struct in6_pktinfo, ipi6_ifindex)", 16, structs.IN6_PKTINFO.interfaceIndex],
  ["S(struct sock_filter)", 8, structs.SOCK_FILTER.size],
  ["O(struct sock_filter, code)", 0, structs.SOCK_FILTER.code],
  ["O(struct sock_filter, jt)", 2, structs.SOCK_FILTER.ifTrue],
  ["O(struct sock_filter, jf)", 3, structs.SOCK_FILTER.ifFalse],
  ["O(struct sock_filter, k)", 4, structs.SOCK_FILTER.k],
  ["S(struct sock_fprog)", 16, structs.SOCK_FPROG.size],
  ["O(struct sock_fprog, len)", 0, structs.SOCK_FPROG.length],
  ["O(struct sock_fprog, filter)", 8, structs.SOCK_FPROG.filter],
  ["BPF_LD | BPF_W | BPF_LEN", 0x80, bpf.BPF.LD_W_LEN],
  ["BPF_LD | BPF_W | BPF_ABS", 0x20, bpf.BPF.LD_W_ABS],
  ["BPF_LD | BPF_H | BPF_ABS", 0x28, bpf.BPF.LD_H_ABS],
  ["BPF_LD | BPF_W | BPF_IND", 0x40, bpf.BPF.LD_W_IND],
  ["BPF_LD | BPF_H | BPF_IND", 0x48, bpf.BPF.LD_H_IND],
  ["BPF_LDX | BPF_W | BPF_IMM", 0x01, bpf.BPF.LDX_W_IMM],
  ["BPF_LDX | BPF_W | BPF_LEN", 0x81, bpf.BPF.LDX_W_LEN],
  ["BPF_MISC | BPF_TAX", 0x07, bpf.BPF.TAX],
  ["BPF_ALU | BPF_ADD | BPF_K", 0x04, bpf.BPF.ALU_ADD_K],
  ["BPF_ALU | BPF_ADD | BPF_X", 0x0c, bpf.BPF.ALU_ADD_X],
  ["BPF_ALU | BPF_MUL | BPF_K", 0x24, bpf.BPF.ALU_MUL_K],
  ["BPF_ALU | BPF_AND | BPF_K", 0x54, bpf.BPF.ALU_AND_K],
  ["BPF_ALU | BPF_XOR | BPF_X", 0xac, bpf.BPF.ALU_XOR_X],
  ["BPF_JMP | BPF_JA", 0x05, bpf.BPF.JMP_JA],
  ["BPF_JMP | BPF_JEQ | BPF_K", 0x15, bpf.BPF.JMP_JEQ_K],
  ["BPF_JMP | BPF_JEQ | BPF_X", 0x1d, bpf.BPF.JMP_JEQ_X],
  ["BPF_JMP | BPF_JGT | BPF_K", 0x25, bpf.BPF.JMP_JGT_K],
  ["BPF_JMP | BPF_JGT | BPF_X", 0x2d, bpf.BPF.JMP_JGT_X],
  ["BPF_JMP | BPF_JGE | BPF_K", 0x35, bpf.BPF.JMP_JGE_K],
  ["BPF_RET | BPF_K", 0x06, bpf.BPF.RET_K],
  ["BPF_MAXINSNS", 4096, bpf.MAX_INSTRUCTIONS],
  ["(unsigned)SKF_NET_OFF", 0xfff00000, bpf.SKF_NET_OFF],
  ["(unsigned)(SKF_AD_OFF + SKF_AD_RANDOM)", 0xfffff038, bpf.SKF_AD_RANDOM],
  ["S(struct pollfd)", 8, structs.POLLFD.size],
  ["O(struct pollfd, fd)", 0, structs.POLLFD.fd],
  ["O(struct pollfd, events)", 4, structs.POLLFD.events],
  ["O(struct pollfd, revents)", 6, structs.POLLFD.revents],
  // Used by deno_tun, which keeps its own constants
  ["S(struct ifreq)", 40, 40],
  ["O(struct ifreq, ifr_ifru)", 16, 16],
  ["TUNSETIFF", 0x400454ca, 0x400454ca],
  ["TUNSETOFFLOAD", 0x400454d0, 0x400454d0],
  ["O_NONBLOCK", 0o4000, libc.O_NONBLOCK],
  ["O_CLOEXEC", 0o2000000, libc.O_CLOEXEC],
  ["SOCK_NONBLOCK", 0o4000, libc.SOCK_NONBLOCK],
  ["SOCK_CLOEXEC", 0o2000000, libc.SOCK_CLOEXEC],
  ["AF_INET", 2, libc.AF_INET],
  ["AF_INET6", 10, libc.AF_INET6],
  ["AF_NETLINK", 16, libc.AF_NETLINK],
  ["RTMGRP_LINK", 0x1, monitor.RTMGRP_LINK],
  ["RTMGRP_IPV4_IFADDR", 0x10, monitor.RTMGRP_IPV4_IFADDR],
  ["RTMGRP_IPV4_ROUTE", 0x40, monitor.RTMGRP_IPV4_ROUTE],
  ["RTMGRP_IPV6_IFADDR", 0x100, monitor.RTMGRP_IPV6_IFADDR],
  ["RTMGRP_IPV6_ROUTE", 0x400, monitor.RTMGRP_IPV6_ROUTE],
  ["MSG_CTRUNC", 8, libc.MSG_CTRUNC],
  ["MSG_TRUNC", 32, libc.MSG_TRUNC],
  ["MSG_DONTWAIT", 64, libc.MSG_DONTWAIT],
  ["POLLIN | POLLOUT << 8", 0x401, libc.POLLIN | libc.POLLOUT << 8],
  ["SO_MARK", 36, options.SO_MARK],
  ["SO_ATTACH_FILTER", 26, filter.SO_ATTACH_FILTER],
  ["SO_DETACH_FILTER", 27, filter.SO_DETACH_FILTER],
  ["SO_MEMINFO", 55, options.SO_MEMINFO],
  ["SK_MEMINFO_DROPS", 8, options.SK_MEMINFO_DROPS],
  ["SK_MEMINFO_VARS", 9, options.SK_MEMINFO_VARS],
  ["SO_RCVBUFFORCE", 33, options.SO_RCVBUFFORCE],
  ["SO_SNDBUFFORCE", 32, options.SO_SNDBUFFORCE],
  ["IP_TOS", 1, options.IP_TOS],
  ["IP_RECVTOS", 13, options.IP_RECVTOS],
  ["IP_PKTINFO", 8, IP_PKTINFO],
  ["IP_MTU_DISCOVER", 10, options.IP_MTU_DISCOVER],
  ["IPV6_V6ONLY", 26, options.IPV6_V6ONLY],
  ["IPV6_RECVPKTINFO", 49, options.IPV6_RECVPKTINFO],
  ["IPV6_PKTINFO", 50, IPV6_PKTINFO],
  ["IPV6_DONTFRAG", 62, IPV6_DONTFRAG],
  ["IPV6_MTU_DISCOVER", 23, options.IPV6_MTU_DISCOVER],
  ["IPV6_RECVTCLASS", 66, options.IPV6_RECVTCLASS],
  ["IPV6_TCLASS", 67, options.IPV6_TCLASS],
  ["IPV6_ADDR_PREFERENCES", 72, IPV6_ADDR_PREFERENCES],
  ["UDP_SEGMENT", 103, options.UDP_SEGMENT],
  ["UDP_GRO", 104, options.UDP_GRO],
  ["EAGAIN", 11, errno.EAGAIN],
  ["EMSGSIZE", 90, errno.EMSGSIZE],
  ["EOPNOTSUPP", 95, errno.EOPNOTSUPP],
  ["EADDRINUSE", 98, errno.EADDRINUSE],
  ["EADDRNOTAVAIL", 99, errno.EADDRNOTAVAIL],
  ["ENETUNREACH", 101, errno.ENETUNREACH],
  ["ENOBUFS", 105, errno.ENOBUFS],
  ["EHOSTUNREACH", 113, errno.EHOSTUNREACH],
];

Deno.test("every struct size, offset and constant is what it is on Linux x86-64 and arm64", () => {
  for (const [name, value, ours] of EXPECTED) assert.equal(ours, value, name);
});

Deno.test("the C compiler agrees with every struct size, offset and constant", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      `${folder}/a.c`,
      C_SOURCE.replace("VALUES", EXPECTED.map(([c]) => c).join(", ")),
    );
    const compiled = await new Deno.Command("cc", {
      args: ["-o", `${folder}/a`, `${folder}/a.c`],
      stderr: "piped",
    })
      .output().catch(() => undefined);
    if (!compiled) {
      console.log("Left out: no C compiler here; the recorded numbers were checked.");
      return;
    }
    assert.ok(compiled.success, new TextDecoder().decode(compiled.stderr));
    const output = new TextDecoder().decode((await new Deno.Command(`${folder}/a`).output()).stdout);
    assert.deepEqual(output.trim().split("\n").map(Number), EXPECTED.map(([, value]) => value));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
