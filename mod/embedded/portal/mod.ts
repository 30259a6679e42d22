/** The embedded portal: a control plane for gateways and clients, from one policy file. */
export { type DeviceStatus, PortalCore, type PortalCoreOptions } from "./core/core.ts";
export type {
  AccessPolicy,
  ActorPolicy,
  ClientPolicy,
  GatewayPolicy,
  PortalPolicy,
  RelayPolicy,
  ResourcePolicy,
  UserPolicy,
} from "./policy/policy.ts";
export { relayId } from "./policy/policy.ts";
export { parsePolicy, PolicyError, type PolicyProblem, type PolicySource } from "./policy/file.ts";
export { loadPolicy } from "./policy/io.ts";
export { makeToken } from "./control/mod.ts";
export { type PortalServer, type PortalServerOptions, startPortal } from "./server/server.ts";
export type { PortalEvent, PortalTransmit, StoredState } from "./core/state.ts";
