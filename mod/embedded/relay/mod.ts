/** The embedded relay: TURN for Firezone devices. */
export { type RelayCredentials, relayCredentials, type RelayCredentialsRequest } from "./credentials.ts";
export { DEFAULT_LIMITS, type RelayLimits, type RelayPorts } from "./allocations.ts";
export { PeerPolicy, type PeerPolicyOptions } from "./peer_policy.ts";
export {
  DEFAULT_LISTEN_PORT,
  DEFAULT_PORT_RANGE,
  RelayServer,
  type RelayServerOptions,
} from "./relay_server.ts";
export { type Relay, type RelayOptions, startRelay } from "./relay_io.ts";
