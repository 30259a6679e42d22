/**
 * Resource descriptions, as gateways and as clients get them.
 *
 * For a gateway every part is strict: leaving out a filter that can't be read could open what it closes. A client
 * skips resources that it can't read, one by one, and those of unknown kinds.
 */
import * as v from "valibot";
import type { ClientResource, Filter, Resource } from "../types.ts";
import type { Reader } from "./issues.ts";
import { cidr, port, uuid } from "./primitives.ts";

const portRange = <P extends "tcp" | "udp">(protocol: P) =>
  v.object({
    protocol: v.literal(protocol),
    port_range_start: v.optional(port, 0),
    port_range_end: v.optional(port, 65535),
  });

const filter = v.pipe(
  v.variant("protocol", [portRange("tcp"), portRange("udp"), v.object({ protocol: v.literal("icmp") })]),
  v.transform((wire): Filter =>
    wire.protocol === "icmp"
      ? { protocol: "icmp" }
      : { protocol: wire.protocol, portStart: wire.port_range_start, portEnd: wire.port_range_end }
  ),
);
const filters = v.array(filter);
const pattern = v.pipe(v.string(), v.minLength(1), v.maxLength(253));

const gatewayResource = v.variant("type", [
  v.object({ type: v.literal("cidr"), id: uuid, name: v.string(), address: cidr, filters }),
  v.object({ type: v.literal("dns"), id: uuid, name: v.string(), address: pattern, filters }),
  v.object({ type: v.literal("internet"), id: uuid }),
]);

export function readResource(reader: Reader, payload: unknown, path: string): Resource {
  return reader.read(gatewayResource, payload, path);
}

const site = v.object({ id: uuid, name: v.string() });
const common = {
  id: uuid,
  gateway_groups: v.optional(v.array(site)),
  sites: v.optional(v.array(site)),
  address_description: v.nullish(v.string()),
  filters: v.optional(filters, []),
};
const clientResource = v.variant("type", [
  v.object({ ...common, type: v.literal("cidr"), name: v.string(), address: cidr }),
  v.object({
    ...common,
    type: v.literal("dns"),
    name: v.string(),
    address: pattern,
    ip_stack: v.optional(v.picklist(["dual", "ipv4_only", "ipv6_only"]), "dual"),
  }),
  v.object({ ...common, type: v.literal("internet"), name: v.optional(v.string(), "Internet Resource") }),
]);

export function readClientResource(reader: Reader, payload: unknown, path: string): ClientResource {
  const wire = reader.read(clientResource, payload, path);
  const sites = wire.sites ?? wire.gateway_groups ?? [];
  if (sites.length === 0) reader.fail(path === "" ? "sites" : `${path}.sites`, "at least one site expected");
  return {
    type: wire.type,
    id: wire.id,
    name: wire.name,
    ...(wire.type === "cidr" && { cidr: wire.address }),
    ...(wire.type === "dns" && { pattern: wire.address }),
    addressDescription: wire.address_description ?? undefined,
    sites,
    filters: wire.filters,
    ipStack: wire.type === "dns" ? wire.ip_stack : "dual",
  };
}
