/** IP packets in the slab: views, checksums, ICMP answers, segmentation and coalescing, transmit queue. */
export * from "./address.ts";
export * from "./checksum.ts";
export * from "./counters.ts";
export * from "./ecn.ts";
export * from "./icmp_error.ts";
export * from "./ip_header.ts";
export { Kernels } from "./kernels/kernels.ts";
export * from "./packet_queue.ts";
export * from "./path.ts";
export * from "./screen.ts";
export * from "./slab.ts";
export * from "./splitter.ts";
export * from "./transmit.ts";
export * from "./transmit_queue.ts";
export * from "./vnet.ts";
