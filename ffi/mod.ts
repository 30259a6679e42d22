/** Everything that talks to the kernel and to native libraries. Linux only; see each file. */
export { mayConfigureNetwork } from "./capabilities.ts";
export { createLibcryptoAead } from "./crypto_libcrypto.ts";
export { createLibcryptoDh } from "./crypto_libcrypto_dh.ts";
export { SystemError } from "./errno.ts";
export { POLLIN, POLLOUT } from "./libc.ts";
export { EventFd, Poller } from "./poll.ts";
export { SlabPointers } from "./slab_pointers.ts";
export * from "./deno_tun/mod.ts";
export * from "./netlink/mod.ts";
export * from "./nftables/mod.ts";
export * from "./udp/mod.ts";
