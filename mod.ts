/**
 * The library face: the rooms for people who embed them. Each is a pure state machine or a codec; bytes, time and
 * randomness go in, packets, messages and the next timeout come out.
 *
 * @module
 */
export * as crypto from "./mod/crypto/mod.ts";
export * as dns from "./mod/dns/mod.ts";
export * as gateway from "./mod/gateway/mod.ts";
export * as ice from "./mod/ice/mod.ts";
export * as node from "./mod/node/mod.ts";
export * as packet from "./mod/packet/mod.ts";
export * as policy from "./mod/policy/mod.ts";
export * as portal from "./mod/portal/mod.ts";
export * as stun from "./mod/stun/mod.ts";
export * as turn from "./mod/turn/mod.ts";
export * as wireguard from "./mod/wireguard/mod.ts";
