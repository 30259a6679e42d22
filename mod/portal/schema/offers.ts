/** What portals send to gateways on behalf of clients older than 1.4 (spec portal §3.2.8, §3.2.9). */
import * as v from "valibot";
import type { AccessOffer, ConnectionOffer, ProxiedName } from "../types.ts";
import type { Reader } from "./issues.ts";
import { expiry, iceCredentials, ip, ipv4, ipv6, key, uuid } from "./primitives.ts";
import { readResource } from "./resources.ts";

const name = v.object({
  name: v.pipe(v.string(), v.minLength(1), v.maxLength(253)),
  proxy_ips: v.pipe(v.array(v.unknown()), v.maxLength(64)),
});

const connectionOffer = v.object({
  ref: v.string(),
  resource: v.unknown(),
  client: v.object({
    id: uuid,
    payload: v.object({ ice_parameters: iceCredentials, domain: v.nullish(name) }),
    peer: v.object({ public_key: key, preshared_key: key, ipv4, ipv6 }),
  }),
  expires_at: expiry,
});

export function readConnectionOffer(reader: Reader, payload: unknown): ConnectionOffer {
  const wire = reader.read(connectionOffer, payload);
  const { id, peer, payload: offer } = wire.client;
  return {
    ref: wire.ref,
    resource: readResource(reader, wire.resource, "resource"),
    client: {
      id,
      publicKey: peer.public_key,
      presharedKey: peer.preshared_key,
      ipv4: peer.ipv4,
      ipv6: peer.ipv6,
    },
    clientIce: offer.ice_parameters,
    expiresAt: wire.expires_at,
    name: readName(reader, offer.domain, "client.payload.domain"),
  };
}

const accessOffer = v.object({
  client_id: uuid,
  client_ipv4: ipv4,
  client_ipv6: ipv6,
  resource: v.unknown(),
  expires_at: expiry,
  payload: v.nullish(name),
});

export function readAccessOffer(reader: Reader, payload: unknown): AccessOffer {
  const wire = reader.read(accessOffer, payload);
  return {
    resource: readResource(reader, wire.resource, "resource"),
    client: { id: wire.client_id, ipv4: wire.client_ipv4, ipv6: wire.client_ipv6 },
    expiresAt: wire.expires_at,
    name: readName(reader, wire.payload, "payload"),
  };
}

function readName(
  reader: Reader,
  wire: v.InferOutput<typeof name> | null | undefined,
  path: string,
): ProxiedName | undefined {
  if (!wire) return undefined;
  return { domain: wire.name, proxyIps: reader.readEach(ip, wire.proxy_ips, `${path}.proxy_ips`) };
}
