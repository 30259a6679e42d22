/**
 * Payloads as they go over the wire: supersets that every generation of devices accepts, whatever its dialect
 * (spec portal §3.1, §4.2, §4.10). Only event names depend on the dialect.
 */
import type { Filter, Site } from "../../../portal/types.ts";
import type { Device } from "./devices.ts";
import type { Grant } from "./grants.ts";
import type { AccountPolicy, ResourcePolicy } from "../policy/policy.ts";
import type { RelayEntry } from "./relay_list.ts";

/** How often our own gateways report; others don't know the key and ignore it. */
export const REPORT_INTERVAL_SECS = 10;

/** Uploads off; the URL has to be there and to be one. */
const FLOW_LOGS = { api_url: "https://portal.invalid/", upload_interval_secs: 0, upload_batch_size: 0 };

export function gatewayInit(
  device: Device,
  account: AccountPolicy,
  relays: readonly RelayEntry[],
  grants: readonly Grant[],
) {
  return {
    interface: { ipv4: device.ipv4, ipv6: device.ipv6 },
    config: { ipv4_masquerade_enabled: true, ipv6_masquerade_enabled: true },
    account_slug: account.slug,
    relays,
    authorizations: grants.map((grant) => ({
      client_id: grant.clientId,
      resource_id: grant.resourceId,
      expires_at: grant.expiresAt,
    })),
    flow_logs: FLOW_LOGS,
    postern: { report_interval_secs: REPORT_INTERVAL_SECS },
  };
}

export function clientInterface(device: Device, account: AccountPolicy) {
  return {
    ipv4: device.ipv4,
    ipv6: device.ipv6,
    upstream_dns: account.dns.map((address) => ({ protocol: "ip_port", address: address.key })),
    upstream_do53: account.dns.map((address) => ({ ip: address.ip })),
    upstream_doh: [],
    search_domain: account.searchDomain ?? null,
  };
}

export function clientInit(
  device: Device,
  account: AccountPolicy,
  relays: readonly RelayEntry[],
  resources: readonly ClientResourceView[],
) {
  return {
    interface: clientInterface(device, account),
    resources,
    relays,
    authorizations: [],
    flow_logs: FLOW_LOGS,
  };
}

export type ClientResourceView = ReturnType<typeof clientResource>;

/** A resource as clients see it. */
export function clientResource(resource: ResourcePolicy, sites: readonly Site[]) {
  const common = {
    id: resource.id,
    name: resource.name,
    address_description: resource.description ?? null,
    gateway_groups: sites.filter((site) => resource.siteIds.includes(site.id)),
    filters: resource.filters.map(filterView),
  };
  const { target } = resource;
  switch (target.type) {
    case "cidr":
      return { type: "cidr" as const, ...common, address: target.cidr.text };
    case "dns":
      return { type: "dns" as const, ...common, address: target.pattern, ip_stack: resource.ipStack };
    case "internet":
      return { type: "internet" as const, ...common, can_be_disabled: true };
  }
}

export type GatewayResourceView = ReturnType<typeof gatewayResource>;

/** A resource as gateways see it. */
export function gatewayResource(resource: ResourcePolicy) {
  const { id, name, target } = resource;
  const filters = resource.filters.map(filterView);
  switch (target.type) {
    case "cidr":
      return { type: "cidr", id, name, address: target.cidr.text, filters };
    case "dns":
      return { type: "dns", id, name, address: target.pattern, filters };
    case "internet":
      return { type: "internet", id };
  }
}

function filterView(filter: Filter) {
  return filter.protocol === "icmp"
    ? { protocol: "icmp" }
    : { protocol: filter.protocol, port_range_start: filter.portStart, port_range_end: filter.portEnd };
}
