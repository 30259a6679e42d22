/** What each client may reach: grants, filters, expiry, the verdict on every packet, and p2p control packets. */
export * from "./control_packet.ts";
export * from "./peer.ts";
export * from "./policy.ts";
export * from "./types.ts";
export * from "./verdict.ts";
