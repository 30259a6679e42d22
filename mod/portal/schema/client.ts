/** Codec of the client's side in both dialects: events in, commands out (spec portal §4). */
import * as v from "valibot";
import { SocketAddress } from "../../packet/address.ts";
import type { Codec } from "../codec.ts";
import type { Dialect } from "../login_url.ts";
import type { ClientCommand, ClientEvent, ClientInterface, ClientResource, FlowCreated } from "../types.ts";
import { decode, type Decoded, MessageError, type Reader } from "./issues.ts";
import { candidate, iceCredentials, ip, ipv4, ipv6, key, socketAddress, uuid } from "./primitives.ts";
import { readRelays, readRelaysPresence } from "./relays.ts";
import { readClientResource } from "./resources.ts";

const DNS_PORT = 53;

const clientInterface = v.object({
  ipv4,
  ipv6,
  upstream_dns: v.optional(v.array(v.unknown()), []),
  upstream_do53: v.optional(v.array(v.unknown()), []),
  search_domain: v.nullish(v.string()),
});
const upstreamDns = v.object({ protocol: v.literal("ip_port"), address: socketAddress });
const upstreamDo53 = v.object({ ip });

function readInterface(reader: Reader, payload: unknown): ClientInterface {
  const wire = reader.read(clientInterface, payload, "interface");
  const do53 = reader.readEach(upstreamDo53, wire.upstream_do53, "interface.upstream_do53")
    .map((one) => SocketAddress.fromBytes(one.ip, DNS_PORT));
  const dns = reader.readEach(upstreamDns, wire.upstream_dns, "interface.upstream_dns").map((one) =>
    one.address
  );
  return {
    ipv4: wire.ipv4,
    ipv6: wire.ipv6,
    upstreamDns: do53.length > 0 ? do53 : dns,
    searchDomain: wire.search_domain ?? undefined,
  };
}

const init = v.object({
  interface: v.unknown(),
  resources: v.optional(v.array(v.unknown()), []),
  relays: v.optional(v.array(v.unknown()), []),
});

function readResources(reader: Reader, items: readonly unknown[]): ClientResource[] {
  return items.flatMap((item, index) => {
    try {
      return [readClientResource(reader, item, `resources.${index}`)];
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      reader.skipped.push(error);
      return [];
    }
  });
}

const flow = v.object({
  resource_id: uuid,
  gateway_id: uuid,
  gateway_group_id: v.optional(uuid),
  site_id: v.optional(uuid),
  gateway_public_key: key,
  gateway_ipv4: ipv4,
  gateway_ipv6: ipv6,
  preshared_key: key,
  client_ice_credentials: iceCredentials,
  gateway_ice_credentials: iceCredentials,
});

function readFlow(reader: Reader, payload: unknown): FlowCreated {
  const wire = reader.read(flow, payload);
  return {
    resourceId: wire.resource_id,
    gatewayId: wire.gateway_id,
    siteId: wire.site_id ?? wire.gateway_group_id ?? reader.fail("site_id", "it is missing"),
    gatewayPublicKey: wire.gateway_public_key,
    gatewayIpv4: wire.gateway_ipv4,
    gatewayIpv6: wire.gateway_ipv6,
    presharedKey: wire.preshared_key,
    clientIce: wire.client_ice_credentials,
    gatewayIce: wire.gateway_ice_credentials,
  };
}

const failure = v.object({
  resource_id: uuid,
  reason: v.string(),
  violated_properties: v.optional(v.array(v.string()), []),
});
const configChanged = v.object({ interface: v.unknown() });
const candidates = v.object({ gateway_id: uuid, candidates: v.array(v.unknown()) });

function readEvent(reader: Reader, payload: unknown): ClientEvent {
  switch (reader.event) {
    case "init": {
      const wire = reader.read(init, payload);
      const value = {
        interface: readInterface(reader, wire.interface),
        resources: readResources(reader, wire.resources),
        relays: readRelays(reader, wire.relays, "relays"),
      };
      return { type: "init", init: value };
    }
    case "config_changed": {
      const wire = reader.read(configChanged, payload);
      return { type: "config_changed", interface: readInterface(reader, wire.interface) };
    }
    case "resource_created_or_updated":
      return { type: "resource_upserted", resource: readClientResource(reader, payload, "") };
    case "resource_deleted":
      return { type: "resource_deleted", resourceId: reader.read(uuid, payload) };
    case "flow_created":
    case "authorization_created":
      return { type: "flow_created", flow: readFlow(reader, payload) };
    case "flow_creation_failed":
    case "authorization_creation_failed": {
      const wire = reader.read(failure, payload);
      return {
        type: "flow_failed",
        failure: {
          resourceId: wire.resource_id,
          reason: wire.reason,
          violatedProperties: wire.violated_properties,
        },
      };
    }
    case "relays_presence":
      return { type: "relays_presence", presence: readRelaysPresence(reader, payload) };
    case "ice_candidates":
    case "gateway_ice_candidates":
      return readCandidates(reader, payload, "ice_candidates");
    case "invalidate_ice_candidates":
    case "invalidate_gateway_ice_candidates":
      return readCandidates(reader, payload, "invalidate_ice_candidates");
    default:
      return reader.fail("", "unknown event");
  }
}

function readCandidates(
  reader: Reader,
  payload: unknown,
  type: "ice_candidates" | "invalidate_ice_candidates",
): ClientEvent {
  const wire = reader.read(candidates, payload);
  return {
    type,
    gatewayId: wire.gateway_id,
    candidates: reader.readEach(candidate, wire.candidates, "candidates"),
  };
}

/** Never throws. Both dialects' names are understood on either path. */
export function decodeClientEvent(event: string, payload: unknown): Decoded<ClientEvent> {
  return decode(event, (reader) => readEvent(reader, payload));
}

export function encodeClientCommand(dialect: Dialect, command: ClientCommand) {
  switch (command.type) {
    case "request":
      return {
        event: dialect === "v1" ? "create_flow" : "request_authorization",
        payload: { resource_id: command.resourceId, connected_gateway_ids: command.connectedGatewayIds },
      };
    case "candidates":
      return dialect === "v1"
        ? {
          event: "broadcast_ice_candidates",
          payload: { gateway_ids: [command.gatewayId], candidates: command.candidates },
        }
        : {
          event: "new_gateway_ice_candidates",
          payload: { gateway_id: command.gatewayId, candidates: command.candidates },
        };
    case "invalidated_candidates":
      return dialect === "v1"
        ? {
          event: "broadcast_invalidated_ice_candidates",
          payload: { gateway_ids: [command.gatewayId], candidates: command.candidates },
        }
        : {
          event: "invalidate_gateway_ice_candidates",
          payload: { gateway_id: command.gatewayId, candidates: command.candidates },
        };
    case "no_relays":
      return { event: "no_relays", payload: {} };
  }
}

export function clientCodec(dialect: Dialect): Codec<ClientEvent, ClientCommand> {
  return {
    topic: "client",
    decode: decodeClientEvent,
    encode: (command) => encodeClientCommand(dialect, command),
    signalOf: (command) =>
      command.type === "candidates" || command.type === "invalidated_candidates"
        ? {
          peerId: command.gatewayId,
          kind: command.type === "candidates" ? "add" : "remove",
          candidates: command.candidates,
        }
        : undefined,
    commandOf: ({ peerId, kind, candidates }) => ({
      type: kind === "add" ? "candidates" : "invalidated_candidates",
      gatewayId: peerId,
      candidates,
    }),
    unconfirmed: () => undefined,
    confirmed: () => undefined,
  };
}
