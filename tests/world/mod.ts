/** The simulated network; see README.md. */
export type { Datagram } from "./datagram.ts";
export { type Addresses, Host } from "./host.ts";
export type { LinkConditions } from "./link.ts";
export type { Machine } from "./machine.ts";
export { type Dependence, Nat, NAT_KINDS, type NatKind, type NatOptions } from "./nat.ts";
export { type Envelope, Portal } from "./portal.ts";
export { Random } from "./random.ts";
export { World, type WorldOptions } from "./world.ts";
