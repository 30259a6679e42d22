/** One payload of every message that a portal sends, by role; events of both dialects. */
import * as payloads from "../portal/payloads.ts";
import { CLIENT_ID, GATEWAY_ID, PRESHARED_KEY, RELAY_ID, RESOURCE_ID, SITE_ID } from "../portal/support.ts";

type Message = readonly [event: string, payload: unknown];

const CANDIDATES = [
  "candidate:1 1 udp 2130706431 192.0.2.9 52625 typ host",
  "candidate:2 1 udp 1 ::1 1 typ host",
];
const presence = { disconnected_ids: [RELAY_ID], connected: [payloads.relayEntry("203.0.113.10:3478")] };
const replies: readonly Message[] = [
  ["phx_reply", { status: "ok", response: {} }],
  ["phx_reply", { status: "error", response: { reason: "unmatched topic" } }],
  ["phx_reply", { status: "error", response: { reason: "unknown_message" } }],
  ["phx_reply", { status: "error", response: { reason: "disabled" } }],
  ["phx_error", {}],
  ["phx_close", {}],
  ["disconnect", { reason: "token_expired" }],
  ["disconnect", { reason: "other" }],
];

export const GATEWAY_EVENTS: readonly Message[] = [
  ["init", payloads.gatewayInit()],
  ["authorize_flow", payloads.authorizeFlow()],
  ["create_authorization", payloads.createAuthorization()],
  ["init", { ...payloads.gatewayInit(), postern: { report_interval_secs: 10 } }],
  ["request_connection", payloads.requestConnection()],
  ["allow_access", payloads.allowAccess()],
  ["allow_access", {
    ...payloads.allowAccess(),
    payload: { name: "a.corp.example", proxy_ips: ["100.96.0.1"] },
  }],
  ["reject_access", { client_id: CLIENT_ID, resource_id: RESOURCE_ID }],
  ["resource_updated", payloads.cidrResource()],
  ["resource_updated", { type: "dns", id: RESOURCE_ID, name: "n", address: "*.corp.example", filters: [] }],
  ["access_authorization_expiry_updated", {
    client_id: CLIENT_ID,
    resource_id: RESOURCE_ID,
    expires_at: 1753952400,
  }],
  ["relays_presence", presence],
  ["ice_candidates", { client_id: CLIENT_ID, candidates: CANDIDATES }],
  ["invalidate_ice_candidates", { client_id: CLIENT_ID, candidates: CANDIDATES }],
  ...replies,
];

const resource = {
  id: RESOURCE_ID,
  type: "cidr",
  address: "10.20.0.0/16",
  name: "Intranet",
  gateway_groups: [{ id: SITE_ID, name: "HQ" }],
  filters: [],
};
/** What a gateway of ours tells a portal of ours. */
export const REPORTS: readonly Message[] = [["postern_report", payloads.gatewayReport()]];

export const CLIENT_EVENTS: readonly Message[] = [
  ["init", payloads.clientInit()],
  ["config_changed", { interface: payloads.clientInit().interface }],
  ["resource_created_or_updated", resource],
  ["resource_deleted", RESOURCE_ID],
  ["flow_created", payloads.flowCreated()],
  ["authorization_created", { ...payloads.flowCreated(), site_id: SITE_ID }],
  ["flow_creation_failed", { resource_id: RESOURCE_ID, reason: "offline" }],
  ["authorization_creation_failed", {
    resource_id: RESOURCE_ID,
    reason: "forbidden",
    violated_properties: ["x"],
  }],
  ["relays_presence", presence],
  ["ice_candidates", { gateway_id: GATEWAY_ID, candidates: CANDIDATES }],
  ["gateway_ice_candidates", { gateway_id: GATEWAY_ID, candidates: CANDIDATES }],
  ["invalidate_gateway_ice_candidates", { gateway_id: GATEWAY_ID, candidates: CANDIDATES }],
  ...replies,
];

/** Texts in the payloads above that no log may show. */
export const SECRETS: readonly string[] = [
  PRESHARED_KEY.slice(0, 20),
  "xxli47zshbmu3ktnzxwx2g",
  "puzxwigc5sygzlkdlz3etq",
  "4sW8ucHJlGcXYf78HZMzJtLGAsqWqx4bHSbVHUDd",
];
