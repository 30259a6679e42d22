/**
 * The C library, as far as sockets and waiting need it (`deno_tun/` has its own part): one lazy `dlopen`, typed,
 * Linux x86-64 and arm64 (glibc).
 *
 * Deno calls a foreign function in 5 ns when every argument is an integer, a `bigint` that already exists, or an
 * existing pointer object; a JS number for a 64-bit argument or a `buffer` leaves that path (spec dataplane §1).
 * So the calls of the packet path are declared with `i32` and `pointer` only, and `ssize_t` results as `i32` (no
 * call here moves 2 GiB). `_buffer` variants are for the control path.
 *
 * All calls report failure by -1 with `errno`: see `errno.ts`.
 */
const SYMBOLS = {
  // Packet path
  read: { parameters: ["i32", "pointer", "u64"], result: "i32" },
  write: { parameters: ["i32", "pointer", "u64"], result: "i32" },
  recvmmsg: { parameters: ["i32", "pointer", "u32", "i32", "pointer"], result: "i32" },
  sendmmsg: { parameters: ["i32", "pointer", "u32", "i32"], result: "i32" },
  poll: { parameters: ["pointer", "u64", "i32"], result: "i32" },
  epoll_wait: { parameters: ["i32", "pointer", "i32", "i32"], result: "i32" },
  // Set-up
  close: { parameters: ["i32"], result: "i32" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  send_buffer: { name: "send", parameters: ["i32", "buffer", "u64", "i32"], result: "i32" },
  recv_buffer: { name: "recv", parameters: ["i32", "buffer", "u64", "i32"], result: "i32" },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  epoll_create1: { parameters: ["i32"], result: "i32" },
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  // The address of this thread's errno
  __errno_location: { parameters: [], result: "pointer" },
} as const;

export type Libc = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

let loaded: Libc | undefined;

/**
 * The symbols, loaded on first use and kept for the life of the thread. Throws an Error that says what to do when
 * this is no glibc Linux or FFI is not permitted.
 */
export function libc(): Libc {
  if (loaded) return loaded;
  try {
    return loaded = Deno.dlopen("libc.so.6", SYMBOLS).symbols;
  } catch (cause) {
    throw new Error(
      `Cannot load the C library: ${cause instanceof Error ? cause.message : String(cause)}. ` +
        "Run on Linux with glibc and give Deno the full --allow-ffi (a list of paths is not enough).",
      { cause },
    );
  }
}

// Constants of <fcntl.h>, <sys/socket.h>, <netinet/in.h>, <poll.h>; equal on x86-64 and arm64.
export const O_NONBLOCK = 0o4000, O_CLOEXEC = 0o2000000;
export const AF_UNSPEC = 0, AF_INET = 2, AF_INET6 = 10, AF_NETLINK = 16;
export const SOCK_DGRAM = 2, SOCK_RAW = 3, SOCK_NONBLOCK = O_NONBLOCK, SOCK_CLOEXEC = O_CLOEXEC;
export const MSG_CTRUNC = 0x8, MSG_TRUNC = 0x20, MSG_DONTWAIT = 0x40;
export const POLLIN = 1, POLLOUT = 4, POLLERR = 8, POLLHUP = 16, POLLNVAL = 32;
