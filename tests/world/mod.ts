/** The simulated network; see README.md. */
export type { Datagram } from "./datagram.ts";
export { ClientMachine, GatewayMachine } from "./core_machine.ts";
export { CoreWorld, type CoreWorldOptions } from "./core_world.ts";
export { type Addresses, Host } from "./host.ts";
export type { LinkConditions } from "./link.ts";
export { IcePeer } from "./ice_peer.ts";
export { IceWorld, type IceWorldOptions } from "./ice_world.ts";
export type { Machine, Outgoing } from "./machine.ts";
export { type Dependence, Nat, NAT_KINDS, type NatKind, type NatOptions } from "./nat.ts";
export { type Envelope, Portal } from "./portal.ts";
export { NodeMachine } from "./node_machine.ts";
export { NodeWorld, type NodeWorldOptions } from "./node_world.ts";
export { Random } from "./random.ts";
export { RelayMachine } from "./relay.ts";
export { World, type WorldOptions } from "./world.ts";
