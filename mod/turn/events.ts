import type { SocketAddress } from "../packet/address.ts";

/** What an allocation reports; drained by `pollEvent()`. */
export type AllocationEvent =
  /** A BINDING was answered at this local address: a host candidate. */
  | { readonly type: "host"; readonly address: SocketAddress }
  /** What the relay sees us as; `base` is the local address behind it. New, or changed since the last one. */
  | { readonly type: "server-reflexive"; readonly address: SocketAddress; readonly base: SocketAddress }
  /** The relay listens for us here. */
  | { readonly type: "relayed"; readonly address: SocketAddress }
  /** It no longer does. */
  | { readonly type: "invalidated"; readonly addresses: readonly SocketAddress[] };

/** Why an allocation is over for good; its owner drops it. */
export type FreedReason =
  | "no response received"
  | "authentication error"
  | "protocol failure"
  | "unusable description"
  | "released";
