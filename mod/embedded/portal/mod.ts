/** The embedded portal: a control plane for gateways and clients, from one policy file. */
export { type DeviceStatus, PortalCore, type PortalCoreOptions } from "./core.ts";
export type { ClientPolicy, GatewayPolicy, PortalPolicy, RelayPolicy, ResourcePolicy } from "./policy.ts";
export { relayId } from "./policy.ts";
export { parsePolicy, PolicyError, type PolicyProblem, type PolicySource } from "./policy_file.ts";
export { loadPolicy } from "./policy_io.ts";
export { type PortalServer, type PortalServerOptions, startPortal } from "./server.ts";
export type { PortalEvent, PortalTransmit, StoredState } from "./state.ts";
