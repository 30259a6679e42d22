/**
 * The Phoenix channels: one topic per role, joined before anything else, and what each role may say on it
 * (spec portal §2, §3.3, §4.3, §5.1).
 */
import type { Dialect } from "../../../portal/login_url.ts";
import { decodeGatewayReport, REPORT_EVENT } from "../../../portal/schema/report.ts";
import type { Id } from "../../../portal/types.ts";
import { Authorizations } from "./authorizations.ts";
import { flap, noteResources, revokeInvalid } from "./client_updates.ts";
import { Connection } from "./connection.ts";
import { type Departure, Failover } from "./failover.ts";
import type { Grant } from "./grants.ts";
import { HeldSignals, type Party } from "./held_signals.ts";
import { updateAllRelays } from "./policy_change.ts";
import type { RelaySocket } from "./relay_socket.ts";
import {
  readAccessRequest,
  readConfirmation,
  readConnectionRequest,
  readConnectionReuse,
  readPoolDomain,
  readReadiness,
  readRelayJoin,
  readSignal,
  type Request,
} from "./requests.ts";
import type { PortalSocket } from "./socket.ts";
import type { PortalState } from "./state.ts";
import { clientInit, gatewayInit } from "./views.ts";

/** Event names that differ between the dialects of one role. */
const CONFIRM: Record<Dialect, string> = { v1: "flow_authorized", v2: "authorization_created" };
const REQUEST: Record<Dialect, string> = { v1: "create_flow", v2: "request_authorization" };

/** More processes than this: the oldest is a stranger again, which costs it a question more. */
const MAX_MET = 10_000;
const INVALID = "invalid_payload";
const EVENT_OF = { add: "ice_candidates", remove: "invalidate_ice_candidates" };

export class Channels {
  readonly #state: PortalState;
  readonly #authorizations: Authorizations;
  readonly #failover: Failover;
  readonly #held = new HeldSignals();
  /** Client processes that have joined in this run of a portal that keeps nothing. */
  readonly #met = new Set<string>();
  /** That there is no relay. */
  #hasWarned = false;

  constructor(state: PortalState, now: number) {
    this.#state = state;
    this.#authorizations = new Authorizations(state);
    this.#failover = new Failover(state, now);
  }

  handleRequest(socket: PortalSocket, request: Request, now: number): void {
    const { topic, event, ref } = request;
    if (topic === "phoenix") {
      if (event !== "heartbeat") return socket.replyError(topic, ref, "unmatched topic");
      if (socket instanceof Connection) socket.handleHeartbeat(now);
      return socket.replyOk(topic, ref);
    }
    if (topic === socket.topic && event === "phx_join") return this.#join(socket, request, now);
    if (topic !== socket.topic || !socket.joined) return socket.replyError(topic, ref, "unmatched topic");
    if (event === "phx_leave") {
      socket.replyOk(topic, ref);
      socket.pushClose();
      this.#state.close(socket, 1000, "left");
      return this.handleLeft(socket, "goodbye", now);
    }
    const answer = this.#answer(socket, request, now);
    if (answer === "ok") socket.replyOk(topic, ref);
    else if (answer !== undefined) socket.replyError(topic, ref, answer);
  }

  /** A socket that was joined, perhaps, is gone. */
  handleLeft(socket: PortalSocket, how: Departure, now: number): void {
    if (!socket.joined) return;
    this.#state.log("info", `${this.#state.describe(socket)} left.`);
    if (socket.topic === "relay") this.#state.relays.leave(socket as RelaySocket, now);
    if (socket.topic === "gateway") this.#failover.handleLeft(socket as Connection, how, now);
  }

  /** Nothing could be heard for a while: whoever was away was perhaps back long ago. */
  handleStandstill(milliseconds: number): void {
    this.#failover.handleStandstill(milliseconds);
    this.#state.relays.handleStandstill(milliseconds);
  }

  handleTimeout(now: number): void {
    this.#authorizations.handleTimeout(now);
    this.#failover.handleTimeout(now);
    this.#held.handleTimeout(now);
    if (this.#state.relays.handleTimeout(now)) updateAllRelays(this.#state);
  }

  // Joining ----------------------------------------------------------------------------------------------------

  #join(socket: PortalSocket, request: Request, now: number): void {
    if (!(socket instanceof Connection)) return this.#joinRelay(socket as RelaySocket, request);
    const { device, admission } = socket;
    if (socket.topic === "client" && !socket.isV2 && admission.version === undefined) {
      return socket.replyError(request.topic, request.ref, "invalid_version");
    }
    if (socket.joined) socket.pushClose();
    this.#replace(socket, now);
    if (socket.topic === "gateway") this.#failover.handleJoining(socket);
    socket.joined = true;
    socket.joinedAt = now;
    socket.joinedAtUnix = this.#state.unixNow();
    this.#state.online.add(socket);
    socket.replyOk(request.topic, request.ref);
    socket.sentRelays = this.#state.relaysOf(socket);
    if (socket.topic === "gateway") this.#initGateway(socket);
    else this.#initClient(socket);
    for (const { from, kind, candidates } of this.#held.take(socket.member, now)) {
      if (this.#standing(socket.member, from) !== undefined) this.#signal(socket, from.id, kind, candidates);
    }
    this.#checkRelays(socket);
    const version = admission.version?.join(".") ?? "of unknown version";
    this.#state.log("info", `${this.#state.describe(socket)} joined, ${version}, ${device.ipv4}.`);
  }

  /** Without a relay devices only find each other on one network, and old clients reconnect for ever (spec §4.7). */
  #checkRelays({ sentRelays }: Connection): void {
    if (sentRelays.length > 0) this.#hasWarned = false;
    else if (!this.#hasWarned) {
      this.#hasWarned = true;
      const text = "There is no relay: clients can't connect. Start one, or name one in the policy.";
      this.#state.log("warning", text);
    }
  }

  /** The newest connection of a device is the device. */
  #replace(connection: Connection, now: number): void {
    const older = this.#state.online.get(connection.device.id);
    if (older === undefined || older === connection) return;
    const isOther = older.admission.publicKey !== connection.admission.publicKey;
    if (connection.topic === "gateway" && isOther && !older.isSilent(now)) {
      const name = this.#state.describe(connection);
      this.#state.log("warning", `${name} is there twice, or was restarted: the newer one stays.`);
    }
    this.#state.close(older, 1012, "replaced by a newer connection");
  }

  #initGateway(gateway: Connection): void {
    const grants = this.#state.grants.ofGateway(gateway.device.id);
    const { account } = this.#state.policy;
    gateway.push("init", gatewayInit(gateway.device, account, gateway.sentRelays, grants));
  }

  #initClient(client: Connection): void {
    const { device, admission } = client;
    // It may connect from elsewhere than before.
    revokeInvalid(this.#state, this.#state.grants.ofClient(device.id));
    const resources = noteResources(this.#state, client);
    const { account } = this.#state.policy;
    client.push("init", clientInit(device, account, client.sentRelays, resources));
    for (const resourceId of this.#owed(client)) {
      if (client.sentResources.has(resourceId)) flap(this.#state, client, resourceId);
    }
    this.#authorizations.handleJoined(client);
    if (this.#state.durable) return;
    this.#met.add(`${device.id} ${admission.publicKey}`);
    if (this.#met.size > MAX_MET) this.#met.delete(this.#met.values().next().value!);
  }

  /** The resources that this process may believe to be granted, though they are not any more. */
  #owed(client: Connection): Id[] {
    const { device, admission } = client;
    const ended: Grant[] = [];
    for (const grant of this.#state.grants.endedOf(device.id)) {
      if (grant.clientKey === admission.publicKey) ended.push(grant);
      else this.#state.dropGrant(grant);
    }
    // Perhaps it was granted something by an earlier run, which this one and the gateways know nothing of.
    const isStranger = !this.#state.durable && !this.#met.has(`${device.id} ${admission.publicKey}`);
    return isStranger ? [...client.sentResources.keys()] : ended.map(({ resourceId }) => resourceId);
  }

  #joinRelay(socket: RelaySocket, { topic, ref, payload }: Request): void {
    const stampSecret = readRelayJoin(payload);
    if (stampSecret === undefined) return socket.replyError(topic, ref, INVALID);
    if (socket.joined) socket.pushClose();
    const { v4, v6 } = socket.admission;
    socket.relay = { stampSecret, ...(v4 && { v4 }), ...(v6 && { v6 }) };
    for (const older of this.#state.relays.join(socket, socket.relay)) {
      this.#state.close(older, 1012, "replaced by a newer connection");
    }
    socket.joined = true;
    socket.replyOk(topic, ref);
    socket.push("init", {});
    const addresses = [v4?.key, v6?.key].filter((one) => one !== undefined).join(" and ");
    this.#state.log("info", `${this.#state.describe(socket)} joined: ${addresses}.`);
    updateAllRelays(this.#state);
  }

  // Talking ----------------------------------------------------------------------------------------------------

  /** @returns the reply: "ok", the reason of an error, or undefined for none */
  #answer(socket: PortalSocket, request: Request, now: number): string | undefined {
    if (!(socket instanceof Connection)) return "unknown_message";
    return socket.topic === "gateway"
      ? this.#handleGateway(socket, request, now)
      : this.#handleClient(socket, request, now);
  }

  #handleGateway(gateway: Connection, { event, payload }: Request, now: number): string | undefined {
    switch (event) {
      case CONFIRM[gateway.admission.dialect]: {
        const ref = readConfirmation(payload);
        return ref !== undefined && this.#authorizations.confirm(gateway, ref) ? "ok" : "invalid_ref";
      }
      case "connection_ready": {
        const ready = readReadiness(payload);
        const isOurs = ready !== undefined && this.#authorizations.confirm(gateway, ready.ref, ready.payload);
        return isOurs ? "ok" : "invalid_ref";
      }
      case "broadcast_ice_candidates":
        return this.#relayCandidates(gateway, "add", payload, now);
      case "broadcast_invalidated_ice_candidates":
        return this.#relayCandidates(gateway, "remove", payload, now);
      case REPORT_EVENT: {
        const { value } = decodeGatewayReport(payload);
        if (!value) return INVALID;
        this.#state.happenings.handleReport(gateway.device.id, value, this.#state.unixNow(), now);
        return undefined;
      }
      default:
        return this.#handleCommon(gateway, event);
    }
  }

  #handleClient(client: Connection, request: Request, now: number): string | undefined {
    const { event, payload } = request;
    switch (event) {
      case REQUEST[client.admission.dialect]: {
        const wanted = readAccessRequest(payload);
        if (!wanted) return INVALID;
        this.#authorizations.request(client, wanted.resourceId, wanted.connectedGatewayIds, now);
        return undefined;
      }
      case "broadcast_ice_candidates":
      case "new_gateway_ice_candidates":
        return this.#relayCandidates(client, "add", payload, now);
      case "broadcast_invalidated_ice_candidates":
      case "invalidate_gateway_ice_candidates":
        return this.#relayCandidates(client, "remove", payload, now);
      case "resolve_device_pool_domain": {
        const asked = readPoolDomain(payload);
        if (!asked) return INVALID;
        const { resourceId: resource_id, domain } = asked;
        client.push("device_pool_domain_resolution_failed", { resource_id, domain, reason: "not_found" });
        return undefined;
      }
      case "request_device_access": // Some older clients say it by mistake.
      case "new_client_ice_candidates": // Nobody gets connections between clients here.
      case "invalidate_client_ice_candidates":
        return undefined;
      default:
        return client.isV2 ? this.#handleCommon(client, event) : this.#handleDeprecated(client, request, now);
    }
  }

  /** What clients before 1.4 say instead of `create_flow`. */
  #handleDeprecated(client: Connection, { event, payload, ref }: Request, now: number): string | undefined {
    switch (event) {
      case "prepare_connection": {
        const wanted = readAccessRequest(payload);
        if (!wanted) return INVALID;
        this.#authorizations.prepare(client, wanted.resourceId, wanted.connectedGatewayIds, ref, now);
        return undefined;
      }
      case "request_connection":
      case "reuse_connection": {
        const read = event === "request_connection" ? readConnectionRequest : readConnectionReuse;
        const wanted = read(payload);
        if (!wanted) return INVALID;
        this.#authorizations.connect(client, wanted, ref, now);
        return undefined;
      }
      default:
        return this.#handleCommon(client, event);
    }
  }

  #handleCommon(connection: Connection, event: string): string | undefined {
    switch (event) {
      case "no_relays":
        connection.sentRelays = this.#state.relaysOf(connection);
        connection.push("relays_presence", { disconnected_ids: [], connected: connection.sentRelays });
        return undefined;
      case "set_snownet_capabilities": // Nobody gets ICE-less connections here.
        return undefined;
      default:
        return "unknown_message";
    }
  }

  // Candidates -------------------------------------------------------------------------------------------------

  /** Hands candidates on to peers that the sender has a grant with; to all others they mean nothing. */
  #relayCandidates(
    from: Connection,
    kind: "add" | "remove",
    payload: unknown,
    now: number,
  ): string | undefined {
    const signal = readSignal(payload);
    if (!signal) return INVALID;
    for (const peerId of signal.peerIds) {
      const toClient = from.topic === "gateway";
      const [clientId, gatewayId] = toClient ? [peerId, from.device.id] : [from.device.id, peerId];
      const grant = this.#state.grants.between(clientId, gatewayId);
      if (grant === undefined) continue;
      const peer = this.#state.online.get(peerId);
      if (peer !== undefined) {
        this.#signal(peer, from.device.id, kind, signal.candidates);
        continue;
      }
      const publicKey = toClient ? grant.clientKey : grant.gatewayKey;
      this.#held.hold(from.member, { id: peerId, publicKey }, kind, signal.candidates, now);
    }
    return undefined;
  }

  #signal(to: Connection, fromId: Id, kind: "add" | "remove", candidates: readonly string[]): void {
    const sender = to.topic === "client" ? { gateway_id: fromId } : { client_id: fromId };
    to.push(EVENT_OF[kind], { ...sender, candidates });
  }

  /** A grant between exactly these two processes. */
  #standing(a: Party, b: Party): Grant | undefined {
    const [grant, isClient] = this.#state.online.client(a.id)
      ? [this.#state.grants.between(a.id, b.id), true]
      : [this.#state.grants.between(b.id, a.id), false];
    const [client, gateway] = isClient ? [a, b] : [b, a];
    const isSame = grant?.clientKey === client.publicKey && grant.gatewayKey === gateway.publicKey;
    return isSame ? grant : undefined;
  }
}
