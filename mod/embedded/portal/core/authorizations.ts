/**
 * From "this client wants that resource" to a grant at both ends (spec portal §4.3).
 *
 * The client asks; a gateway of the resource's sites is chosen and told; it confirms with the ref; the client is told.
 * Everything goes through one queue per socket, so a confirmation never falls behind the candidates that follow it.
 * A gateway that stays silent for 15 s makes the resource "offline" for that client. Within that time either side may
 * lose its connection and come back: what counts is that it is the same process, which its key tells.
 *
 * Clients before 1.4 ask for a connection instead (`request_connection`, or `reuse_connection` for one more resource
 * over the same), with credentials of their own making; what they send goes to the gateway unread, and its answer back.
 */
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import type { Id } from "../../../portal/types.ts";
import { targetText } from "../policy/policy.ts";
import { flap } from "./client_updates.ts";
import type { Connection } from "./connection.ts";
import { grantMessages } from "./grant_messages.ts";
import type { Grant } from "./grants.ts";
import type { ConnectionRequest, ConnectionReuse } from "./requests.ts";
import { type Refusal, select, type Selection } from "./selection.ts";
import type { Ref } from "./socket.ts";
import type { PortalState } from "./state.ts";

export const CONFIRMATION_TIMEOUT = 15_000;
/** A client repeats its request every 2 s while there is traffic; anything faster is noise. */
const REPEAT_INTERVAL = 1_000;
/** A gateway that has said nothing for so long after it was asked may be gone. */
const DOUBT = 3_000;
const MAX_PENDING_PER_CLIENT = 256;
const PERSISTENT_KEEPALIVE = 25;

interface Pending {
  readonly ref: string;
  readonly gateway: Connection;
  readonly grant: Grant;
  readonly since: number;
  readonly answer: Answer;
  /** The client was away when the gateway confirmed. */
  isConfirmed: boolean;
}

type Answer =
  | { readonly type: "push"; readonly payload: object }
  /** To a request of the old kind; worth nothing on another connection. */
  | { readonly type: "reply"; readonly to: Connection; readonly ref: Ref; readonly response: object };

export class Authorizations {
  readonly #state: PortalState;
  readonly #signingKey: Uint8Array;
  /** In the order of their making. */
  readonly #pending = new Map<string, Pending>();
  readonly #byClient = new Map<Id, Set<Pending>>();
  #nextRef = 0;

  constructor(state: PortalState) {
    this.#state = state;
    this.#signingKey = state.random(32);
  }

  /** `create_flow` / `request_authorization` */
  request(client: Connection, resourceId: Id, connectedGatewayIds: readonly Id[], now: number): void {
    const selection = this.#select(client, resourceId, connectedGatewayIds, false, now);
    if ("reason" in selection) return this.#pushRefusal(client, resourceId, selection);
    const { gateway, resource } = selection;
    if (this.#isNoise(client, resourceId, gateway, now)) return;
    const previous = this.#state.grants.get(client.device.id, resourceId);
    if (previous && previous.gatewayId !== gateway.device.id) {
      this.#state.revoke(previous);
      // Older clients crash when a resource that they reach through one gateway is granted through another: make
      // them forget it. They ask again with the next packet.
      if (!client.isV2 && previous.confirmed && previous.clientKey === client.admission.publicKey) {
        return flap(this.#state, client, resource.id);
      }
    }
    const ref = this.#makeRef();
    const messages = grantMessages(client, selection, {
      slug: this.#state.policy.account.slug,
      unixNow: this.#state.unixNow(),
      signingKey: this.#signingKey,
    });
    this.#add(ref, client, selection, { type: "push", payload: messages.answer }, now);
    const view = this.#state.index.gatewayView(resource.id);
    gateway.push(gateway.isV2 ? "create_authorization" : "authorize_flow", {
      ref,
      resource: view,
      ...messages.request,
    });
  }

  /** `prepare_connection`: which gateway would it be? */
  prepare(
    client: Connection,
    resourceId: Id,
    connectedGatewayIds: readonly Id[],
    ref: Ref,
    now: number,
  ): void {
    const selection = this.#select(client, resourceId, connectedGatewayIds, true, now);
    if ("reason" in selection) return this.#replyRefusal(client, ref, selection);
    const { gateway } = selection;
    client.replyOk(client.topic, ref, {
      resource_id: resourceId,
      gateway_group_id: gateway.device.owner,
      gateway_id: gateway.device.id,
      gateway_remote_ip: gateway.admission.remoteIp,
    });
  }

  /** `request_connection` and `reuse_connection`: answered when the gateway has. */
  connect(
    client: Connection,
    request: ConnectionRequest | ConnectionReuse,
    ref: Ref,
    now: number,
  ): void {
    const { gatewayId, resourceId } = request;
    const selection = this.#select(client, resourceId, [gatewayId], true, now);
    if ("reason" in selection) return this.#replyRefusal(client, ref, selection);
    const { gateway, expiresAt } = selection;
    if (gateway.device.id !== gatewayId) {
      return this.#replyRefusal(client, ref, { reason: "offline", violated: [] });
    }
    if (this.#isNoise(client, resourceId, gateway, now)) return;
    const ours = this.#makeRef();
    const response = {
      resource_id: resourceId,
      persistent_keepalive: PERSISTENT_KEEPALIVE,
      gateway_public_key: gateway.admission.publicKey,
    };
    this.#add(ours, client, selection, { type: "reply", to: client, ref, response }, now);
    const common = { ref: ours, resource: this.#state.index.gatewayView(resourceId), expires_at: expiresAt };
    const { id, ipv4, ipv6 } = client.device;
    if ("presharedKey" in request) {
      const peer = {
        persistent_keepalive: PERSISTENT_KEEPALIVE,
        public_key: client.admission.publicKey,
        preshared_key: request.presharedKey,
        ipv4,
        ipv6,
      };
      gateway.push("request_connection", { ...common, client: { id, payload: request.payload, peer } });
    } else {
      const { payload } = request;
      gateway.push("allow_access", {
        ...common,
        client_id: id,
        payload,
        client_ipv4: ipv4,
        client_ipv6: ipv6,
      });
    }
  }

  /**
   * A gateway confirms.
   * @param gatewayPayload what a client of the old kind is to be told
   * @returns false: the ref is none of ours
   */
  confirm(gateway: Connection, ref: string, gatewayPayload?: unknown): boolean {
    if (ref !== this.#sign(ref.split(".")[0]!)) return false;
    const pending = this.#pending.get(ref);
    if (pending === undefined || !isSameProcess(pending.gateway, gateway)) return true;
    const { clientId, resourceId, clientKey } = pending.grant;
    const grant = this.#state.grants.get(clientId, resourceId);
    if (grant?.gatewayId !== gateway.device.id || grant.clientKey !== clientKey) {
      this.#remove(pending); // Revoked meanwhile.
    } else if (pending.answer.type === "push") this.#deliver(pending);
    else {
      const { to, ref, response } = pending.answer;
      this.#remove(pending);
      this.#noteConfirmed(grant);
      if (!to.closing) to.replyOk(to.topic, ref, { ...response, gateway_payload: gatewayPayload ?? null });
    }
    return true;
  }

  /** A client has joined: what was confirmed while it was away is told now. */
  handleJoined(client: Connection): void {
    for (const pending of [...this.#byClient.get(client.device.id) ?? []]) {
      if (pending.isConfirmed || pending.grant.clientKey !== client.admission.publicKey) {
        this.#deliver(pending);
      }
    }
  }

  handleTimeout(now: number): void {
    for (const pending of [...this.#pending.values()]) {
      if (now - pending.since < CONFIRMATION_TIMEOUT) return; // In the order of their making.
      this.#remove(pending);
      if (pending.isConfirmed) continue;
      const { clientId, resourceId, clientKey } = pending.grant;
      this.#state.log("warning", `${this.#state.describe(pending.gateway)} did not answer an authorization.`);
      const refusal = { reason: "offline", violated: [] } as const;
      if (pending.answer.type === "reply") {
        this.#replyRefusal(pending.answer.to, pending.answer.ref, refusal);
        continue;
      }
      const client = this.#state.online.client(clientId);
      const waiting = [...this.#byClient.get(clientId) ?? []].some((one) =>
        one.grant.resourceId === resourceId
      );
      if (client?.admission.publicKey === clientKey && !waiting) {
        this.#pushRefusal(client, resourceId, refusal);
      }
    }
  }

  #select(
    client: Connection,
    resourceId: Id,
    connectedGatewayIds: readonly Id[],
    deprecated: boolean,
    now: number,
  ): Selection | Refusal {
    const asked = new Map<Connection, number>();
    for (const { gateway, since } of this.#byClient.get(client.device.id) ?? []) {
      if (!asked.has(gateway)) asked.set(gateway, since);
    }
    const isDoubtful = (gateway: Connection) => {
      const since = asked.get(gateway) ?? Infinity;
      return gateway.isSilent(now) || (now - since >= DOUBT && gateway.lastHeard < since);
    };
    // Older clients sort the list: the one that serves the resource already is the best of it.
    const current = this.#state.grants.get(client.device.id, resourceId)?.gatewayId;
    const preferred = connectedGatewayIds.filter((id) => id === current);
    const selected = select(this.#state, client, resourceId, {
      connectedGatewayIds: [...preferred, ...connectedGatewayIds],
      deprecated,
      isDoubtful,
    });
    if ("reason" in selected) {
      const refused = { clientId: client.device.id, resourceId, ...selected };
      this.#state.happenings.handleRefusedAccess(refused, this.#state.unixNow());
    }
    return selected;
  }

  #add(ref: string, client: Connection, selection: Selection, answer: Answer, now: number): void {
    const { gateway, resource, policy, expiresAt } = selection;
    const previous = this.#state.grants.get(client.device.id, resource.id);
    if (previous && previous.gatewayId !== gateway.device.id) this.#state.revoke(previous);
    const known = this.#state.grants.get(client.device.id, resource.id);
    const grant: Grant = {
      clientId: client.device.id,
      resourceId: resource.id,
      gatewayId: gateway.device.id,
      clientKey: client.admission.publicKey,
      gatewayKey: gateway.admission.publicKey,
      clientToken: client.admission.tokenHash,
      gatewayToken: gateway.admission.tokenHash,
      policyId: policy.id,
      target: targetText(resource.target),
      expiresAt,
      confirmed: known?.clientKey === client.admission.publicKey && known.confirmed,
      ended: false,
    };
    this.#state.setGrant(grant);
    const pending: Pending = { ref, gateway, grant, since: now, answer, isConfirmed: false };
    this.#pending.set(ref, pending);
    const mine = this.#byClient.get(grant.clientId);
    if (mine) mine.add(pending);
    else this.#byClient.set(grant.clientId, new Set([pending]));
  }

  #remove(pending: Pending): void {
    this.#pending.delete(pending.ref);
    const { clientId } = pending.grant;
    const mine = this.#byClient.get(clientId);
    if (mine?.delete(pending) && mine.size === 0) this.#byClient.delete(clientId);
  }

  /** Tells the client now, or when it is back. */
  #deliver(pending: Pending): void {
    const { clientId, resourceId, clientKey, gatewayId } = pending.grant;
    const client = this.#state.online.client(clientId);
    if (client === undefined) {
      pending.isConfirmed = true;
      return;
    }
    this.#remove(pending);
    const grant = this.#state.grants.get(clientId, resourceId);
    if (client.admission.publicKey !== clientKey || grant?.gatewayId !== gatewayId) return;
    if (pending.answer.type !== "push") return;
    this.#noteConfirmed(grant);
    client.push(client.isV2 ? "authorization_created" : "flow_created", pending.answer.payload);
  }

  #noteConfirmed(grant: Grant): void {
    if (!grant.confirmed) this.#state.setGrant({ ...grant, confirmed: true });
  }

  #isNoise(client: Connection, resourceId: Id, gateway: Connection, now: number): boolean {
    const mine = this.#byClient.get(client.device.id);
    if (mine === undefined) return false;
    if (mine.size >= MAX_PENDING_PER_CLIENT) return true;
    return [...mine].some((pending) =>
      pending.grant.resourceId === resourceId && pending.gateway === gateway &&
      pending.grant.clientKey === client.admission.publicKey && now - pending.since < REPEAT_INTERVAL
    );
  }

  #pushRefusal(client: Connection, resourceId: Id, { reason, violated }: Refusal): void {
    const payload = { resource_id: resourceId, reason, ...violatedProperties(violated) };
    client.push(client.isV2 ? "authorization_creation_failed" : "flow_creation_failed", payload);
  }

  #replyRefusal(client: Connection, ref: Ref, { reason, violated }: Refusal): void {
    if (!client.closing) client.replyError(client.topic, ref, reason, violatedProperties(violated));
  }

  #makeRef(): string {
    return this.#sign(String(this.#nextRef++));
  }

  /** Opaque to gateways; nobody else can make one. */
  #sign(number: string): string {
    return `${number}.${hmac(sha256, this.#signingKey, new TextEncoder().encode(number)).toHex()}`;
  }
}

function violatedProperties(violated: readonly string[]): object {
  return violated.length === 0 ? {} : { violated_properties: violated };
}

function isSameProcess(a: Connection, b: Connection): boolean {
  return a.device.id === b.device.id && a.admission.publicKey === b.admission.publicKey;
}
