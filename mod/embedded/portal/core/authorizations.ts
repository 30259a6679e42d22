/**
 * From "this client wants that resource" to a grant at both ends (spec portal §4.3).
 *
 * The client asks; a gateway of the resource's sites is chosen and told; it confirms with the ref; the client is told.
 * Everything goes through one queue per socket, so a confirmation never falls behind the candidates that follow it.
 * A gateway that stays silent for 15 s makes the resource "offline" for that client.
 */
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import type { Id } from "../../../portal/types.ts";
import type { Version } from "./admission.ts";
import type { Connection } from "./connection.ts";
import type { Grant } from "./grants.ts";
import { ingestToken } from "./ingest_token.ts";
import { pairIceCredentials, pairPresharedKey } from "./pair_credentials.ts";
import {
  type AccessPolicy,
  type ActorPolicy,
  nameBasedId,
  type ResourcePolicy,
  targetText,
} from "../policy/policy.ts";
import type { PortalState } from "./state.ts";
import { clientResource, gatewayResource } from "./views.ts";

export const CONFIRMATION_TIMEOUT = 15_000;
/** A client repeats its request every 2 s while there is traffic; anything faster is noise. */
const REPEAT_INTERVAL = 1_000;
const MAX_PENDING_PER_CLIENT = 256;
/** Clients from here on need gateways from here on. */
const FLOW_VERSION: Version = [1, 4, 0];

interface Pending {
  readonly client: Connection;
  readonly gateway: Connection;
  readonly grant: Grant;
  readonly since: number;
  readonly answer: unknown;
}

export class Authorizations {
  readonly #state: PortalState;
  readonly #secret: Uint8Array;
  readonly #pending = new Map<string, Pending>();
  #nextRef = 0;

  constructor(state: PortalState) {
    this.#state = state;
    this.#secret = state.random(32);
  }

  request(client: Connection, resourceId: Id, connectedGatewayIds: readonly Id[], now: number): void {
    const actor = this.#state.actorOf(client.device);
    const resource = this.#state.resource(resourceId);
    const access = this.#state.accessOf(client, resourceId);
    if (!actor || !resource || !access) return this.#refuse(client, resourceId, "not_found");
    if ("violated" in access) return this.#refuse(client, resourceId, "forbidden", access.violated);
    const online = this.#state.onlineGateways(resource.siteIds);
    if (online.length === 0) return this.#refuse(client, resourceId, "offline");
    const compatible = online.filter((gateway) => isCompatible(client, gateway));
    if (compatible.length === 0) {
      return this.#refuse(client, resourceId, client.isV2 ? "version_mismatch" : "not_found");
    }
    const gateway = this.#choose(compatible, connectedGatewayIds);
    if (this.#isNoise(client, resourceId, gateway, now)) return;
    const previous = this.#state.grants.get(client.device.id, resourceId);
    if (previous && previous.gatewayId !== gateway.device.id) {
      this.#state.revoke(previous);
      // Older clients crash when a resource that they reach through one gateway is granted through another: make
      // them forget it. They ask again with the next packet.
      if (!client.isV2 && previous.confirmed && previous.clientKey === client.admission.publicKey) {
        return this.flap(client, resource);
      }
    }
    this.#authorize(client, actor, access.policy, resource, gateway, now);
  }

  /** A gateway confirms. False: the ref is none of ours. */
  confirm(gateway: Connection, ref: string): boolean {
    if (ref !== this.#sign(ref.split(".")[0]!)) return false;
    const pending = this.#pending.get(ref);
    if (pending?.gateway.device.id !== gateway.device.id) return true;
    this.#pending.delete(ref);
    const sameProcess = pending.gateway.admission.publicKey === gateway.admission.publicKey;
    if (pending.client.closing || !sameProcess) return true;
    const { clientId, resourceId } = pending.grant;
    const grant = this.#state.grants.get(clientId, resourceId);
    if (grant?.gatewayId !== gateway.device.id) return true; // Revoked meanwhile.
    if (!grant.confirmed) this.#state.setGrant({ ...grant, confirmed: true });
    pending.client.push(pending.client.isV2 ? "authorization_created" : "flow_created", pending.answer);
    return true;
  }

  /** Makes a client forget a resource and learn it anew, so that it asks again. */
  flap(client: Connection, resource: ResourcePolicy): void {
    client.push("resource_deleted", resource.id);
    client.push("resource_created_or_updated", clientResource(resource, this.#state.policy.sites));
  }

  /** A client's socket is gone: nobody waits for its answers any more. */
  forget(connection: Connection): void {
    for (const [ref, pending] of this.#pending) if (pending.client === connection) this.#pending.delete(ref);
  }

  handleTimeout(now: number): void {
    for (const [ref, pending] of this.#pending) {
      if (now - pending.since < CONFIRMATION_TIMEOUT) return; // In the order of their making.
      this.#pending.delete(ref);
      const { clientId, resourceId } = pending.grant;
      this.#state.log("warning", `${this.#state.describe(pending.gateway)} did not answer an authorization.`);
      const waiting = [...this.#pending.values()].some((one) =>
        one.grant.clientId === clientId && one.grant.resourceId === resourceId
      );
      if (!waiting) this.#refuse(pending.client, resourceId, "offline");
    }
  }

  #authorize(
    client: Connection,
    actor: ActorPolicy,
    policy: AccessPolicy,
    resource: ResourcePolicy,
    gateway: Connection,
    now: number,
  ): void {
    const ref = this.#sign(String(this.#nextRef++));
    const { grants, unixNow } = this.#state;
    const known = grants.get(client.device.id, resource.id);
    const grant: Grant = {
      clientId: client.device.id,
      resourceId: resource.id,
      gatewayId: gateway.device.id,
      clientKey: client.admission.publicKey,
      clientToken: client.admission.tokenHash,
      gatewayToken: gateway.admission.tokenHash,
      policyId: policy.id,
      target: targetText(resource.target),
      expiresAt: this.#state.expiryOf(client),
      confirmed: known?.clientKey === client.admission.publicKey && known.confirmed,
    };
    this.#state.setGrant(grant);
    const ice = pairIceCredentials(client.member, gateway.member);
    const presharedKey = pairPresharedKey(
      client.member,
      client.device.secret,
      gateway.member,
      gateway.device.secret,
    );
    const claims = {
      accountId: nameBasedId("account", this.#state.policy.account.slug),
      clientId: client.device.id,
      gatewayId: gateway.device.id,
      authorizationId: nameBasedId("authorization", client.device.id, resource.id, gateway.device.id),
      policyId: policy.id,
      resourceId: resource.id,
      resourceName: resource.name,
      resourceAddress: grant.target,
      actorId: nameBasedId("actor", actor.name),
      actorName: actor.kind === "user" ? actor.displayName : actor.name,
      authorizedAt: unixNow(),
      expiresAt: grant.expiresAt,
    };
    const shared = {
      client_ice_credentials: ice.client,
      gateway_ice_credentials: ice.gateway,
      use_iceless: false,
    };
    const answer = {
      resource_id: resource.id,
      gateway_id: gateway.device.id,
      gateway_group_id: gateway.device.owner,
      gateway_public_key: gateway.admission.publicKey,
      gateway_ipv4: gateway.device.ipv4,
      gateway_ipv6: gateway.device.ipv6,
      preshared_key: presharedKey,
      ...shared,
      flow_logs_ingest_token: ingestToken({ ...claims, role: "initiator" }, this.#secret),
    };
    this.#pending.set(ref, { client, gateway, grant, since: now, answer });
    gateway.push(gateway.isV2 ? "create_authorization" : "authorize_flow", {
      ref,
      resource: gatewayResource(resource),
      client: {
        id: client.device.id,
        public_key: client.admission.publicKey,
        preshared_key: presharedKey,
        ipv4: client.device.ipv4,
        ipv6: client.device.ipv6,
        version: client.admission.version?.join(".") ?? null,
        device_serial: null,
        device_uuid: null,
        device_os_name: null,
        device_os_version: null,
        identifier_for_vendor: null,
        firebase_installation_id: null,
      },
      ...shared,
      expires_at: grant.expiresAt,
      flow_logs_ingest_token: ingestToken({ ...claims, role: "responder" }, this.#secret),
      subject: {},
    });
  }

  /** One that the client is connected to already; else one with the fewest grants, by lot among equals. */
  #choose(gateways: readonly Connection[], connectedIds: readonly Id[]): Connection {
    for (const id of connectedIds) {
      const known = gateways.find((gateway) => gateway.device.id === id);
      if (known) return known;
    }
    const load = (gateway: Connection) => this.#state.grants.countOf(gateway.device.id);
    const least = Math.min(...gateways.map(load));
    const best = gateways.filter((gateway) => load(gateway) === least);
    return best[this.#state.random(1)[0]! % best.length]!;
  }

  #isNoise(client: Connection, resourceId: Id, gateway: Connection, now: number): boolean {
    const mine = [...this.#pending.values()].filter((pending) => pending.client === client);
    if (mine.length >= MAX_PENDING_PER_CLIENT) return true;
    return mine.some((pending) =>
      pending.grant.resourceId === resourceId && pending.gateway === gateway &&
      now - pending.since < REPEAT_INTERVAL
    );
  }

  #refuse(client: Connection, resourceId: Id, reason: string, violated?: readonly string[]): void {
    const payload = { resource_id: resourceId, reason, ...(violated && { violated_properties: violated }) };
    client.push(client.isV2 ? "authorization_creation_failed" : "flow_creation_failed", payload);
  }

  /** Opaque to gateways; nobody else can make one. */
  #sign(number: string): string {
    return `${number}.${hmac(sha256, this.#secret, new TextEncoder().encode(number)).toHex()}`;
  }
}

function isCompatible(client: Connection, gateway: Connection): boolean {
  const [theirs, ours] = [client.admission.version, gateway.admission.version];
  if (!theirs || !ours || compare(theirs, FLOW_VERSION) < 0) return true;
  return compare(ours, FLOW_VERSION) >= 0;
}

function compare(a: Version, b: Version): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}
