/** Codec of the gateway's side in both dialects: events in, commands out (spec portal §3). */
import * as v from "valibot";
import type { Codec } from "../codec.ts";
import type { Dialect } from "../login_url.ts";
import type {
  Authorization,
  GatewayCommand,
  GatewayEvent,
  GatewayInit,
  StandingAuthorization,
} from "../types.ts";
import { readAccessOffer, readConnectionOffer } from "./offers.ts";
import { decode, type Decoded, type Reader } from "./issues.ts";
import {
  candidate,
  expiry,
  iceCredentials,
  ipv4,
  ipv6,
  key,
  tunnelInterface,
  unixSeconds,
  uuid,
} from "./primitives.ts";
import { readRelays, readRelaysPresence } from "./relays.ts";
import { readReportInterval, REPORT_EVENT } from "./report.ts";
import { readResource } from "./resources.ts";

const standing = v.pipe(
  v.object({ client_id: uuid, resource_id: uuid, expires_at: v.optional(expiry) }),
  v.transform((one): StandingAuthorization => ({
    clientId: one.client_id,
    resourceId: one.resource_id,
    expiresAt: one.expires_at,
  })),
);

const init = v.object({
  interface: tunnelInterface,
  relays: v.optional(v.array(v.unknown()), []),
  account_slug: v.nullish(v.string()),
  authorizations: v.nullish(v.array(v.unknown())),
  postern: v.optional(v.unknown()),
});

function readInit(reader: Reader, payload: unknown): GatewayInit {
  const wire = reader.read(init, payload);
  return {
    interface: wire.interface,
    relays: readRelays(reader, wire.relays, "relays"),
    accountSlug: wire.account_slug ?? undefined,
    // One that can't be read is revoked: its client asks again, and that is better than access that nobody meant.
    authorizations: wire.authorizations
      ? reader.readEach(standing, wire.authorizations, "authorizations")
      : undefined,
    ...readReportInterval(reader, wire.postern),
  };
}

const authorization = v.object({
  ref: v.string(),
  resource: v.unknown(),
  client: v.object({ id: uuid, public_key: key, preshared_key: key, ipv4, ipv6 }),
  client_ice_credentials: iceCredentials,
  gateway_ice_credentials: iceCredentials,
  expires_at: expiry,
});

function readAuthorization(reader: Reader, payload: unknown): Authorization {
  const wire = reader.read(authorization, payload);
  const { id, public_key, preshared_key, ipv4, ipv6 } = wire.client;
  return {
    ref: wire.ref,
    resource: readResource(reader, wire.resource, "resource"),
    client: { id, publicKey: public_key, presharedKey: preshared_key, ipv4, ipv6 },
    clientIce: wire.client_ice_credentials,
    gatewayIce: wire.gateway_ice_credentials,
    expiresAt: wire.expires_at,
  };
}

const pair = v.object({ client_id: uuid, resource_id: uuid });
const expiryUpdate = v.object({ client_id: uuid, resource_id: uuid, expires_at: unixSeconds });
const candidates = v.object({ client_id: uuid, candidates: v.array(v.unknown()) });

function readEvent(reader: Reader, payload: unknown): GatewayEvent {
  switch (reader.event) {
    case "init":
      return { type: "init", init: readInit(reader, payload) };
    case "authorize_flow":
    case "create_authorization":
      return { type: "authorize", authorization: readAuthorization(reader, payload) };
    case "request_connection":
      return { type: "connection_offered", offer: readConnectionOffer(reader, payload) };
    case "allow_access":
      return { type: "access_offered", offer: readAccessOffer(reader, payload) };
    case "reject_access": {
      const wire = reader.read(pair, payload);
      return { type: "reject_access", clientId: wire.client_id, resourceId: wire.resource_id };
    }
    case "resource_updated":
      return { type: "resource_updated", resource: readResource(reader, payload, "") };
    case "relays_presence":
      return { type: "relays_presence", presence: readRelaysPresence(reader, payload) };
    case "ice_candidates":
    case "invalidate_ice_candidates": {
      const wire = reader.read(candidates, payload);
      return {
        type: reader.event,
        clientId: wire.client_id,
        candidates: reader.readEach(candidate, wire.candidates, "candidates"),
      };
    }
    case "access_authorization_expiry_updated": {
      const wire = reader.read(expiryUpdate, payload);
      return {
        type: "expiry_updated",
        clientId: wire.client_id,
        resourceId: wire.resource_id,
        expiresAt: wire.expires_at,
      };
    }
    default:
      return reader.fail("", "unknown event");
  }
}

/** Never throws. Both dialects' names are understood on either path. */
export function decodeGatewayEvent(event: string, payload: unknown): Decoded<GatewayEvent> {
  return decode(event, (reader) => readEvent(reader, payload));
}

export function encodeGatewayCommand(dialect: Dialect, command: GatewayCommand) {
  switch (command.type) {
    case "authorized":
      return {
        event: dialect === "v1" ? "flow_authorized" : "authorization_created",
        payload: { ref: command.ref },
      };
    case "accepted": {
      const ice_parameters = { username: command.ice.ufrag, password: command.ice.password };
      const gateway_payload = { ConnectionAccepted: { ice_parameters } };
      return { event: "connection_ready", payload: { ref: command.ref, gateway_payload } };
    }
    case "candidates":
      return {
        event: "broadcast_ice_candidates",
        payload: { client_ids: [command.clientId], candidates: command.candidates },
      };
    case "invalidated_candidates":
      return {
        event: "broadcast_invalidated_ice_candidates",
        payload: { client_ids: [command.clientId], candidates: command.candidates },
      };
    case "no_relays":
      return { event: "no_relays", payload: {} };
    case "report":
      return { event: REPORT_EVENT, payload: command.report };
  }
}

export function gatewayCodec(dialect: Dialect): Codec<GatewayEvent, GatewayCommand> {
  return {
    topic: "gateway",
    decode: decodeGatewayEvent,
    encode: (command) => encodeGatewayCommand(dialect, command),
    signalOf: (command) =>
      command.type === "candidates" || command.type === "invalidated_candidates"
        ? {
          peerId: command.clientId,
          kind: command.type === "candidates" ? "add" : "remove",
          candidates: command.candidates,
        }
        : undefined,
    commandOf: ({ peerId, kind, candidates }) => ({
      type: kind === "add" ? "candidates" : "invalidated_candidates",
      clientId: peerId,
      candidates,
    }),
    unconfirmed: (event) =>
      event.type === "authorize"
        ? { peerId: event.authorization.client.id, ref: event.authorization.ref }
        : undefined,
    confirmed: (command) =>
      command.type === "authorized" || command.type === "accepted" ? command.ref : undefined,
  };
}
