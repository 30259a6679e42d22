export { firezoneId, ID_FILE, IDENTITY_FILES } from "./identity.ts";
export { Sysctls } from "./sysctl.ts";
export { type SystemFacts, systemFacts } from "./system.ts";
export {
  FIREWALL_MARK,
  GSO_MAX_SIZE,
  PEER_RANGES,
  ROUTING_TABLE,
  TUN_NAME,
  TunnelHost,
} from "./tunnel_host.ts";
