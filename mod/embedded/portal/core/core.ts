/**
 * The embedded portal without sockets, clocks or files: logins, Phoenix channels, authorizations and pushes for
 * gateways and clients of both dialects (spec portal §2.4, §3.5, §4 and appendix B).
 *
 * A socket is a number. `admit` answers a login attempt before the upgrade; `handleOpen` makes it a socket; frames go
 * in by `handleText` and come out of `pollTransmit()`, in order. `pollEvent()` says what to store, close and log.
 * Drain order: store first, then transmit, then close; so nothing is said that is not durable, and last words are heard.
 */
import type { Dialect } from "../../../portal/login_url.ts";
import {
  type Admission,
  admit,
  invalid,
  isProblem,
  type LoginAttempt,
  type Problem,
  temporary,
} from "./admission.ts";
import { Authorizations } from "./authorizations.ts";
import type { Connection } from "./connection.ts";
import { type DeviceDetails, deviceDetails } from "./device_details.ts";
import { toRecord } from "./devices.ts";
import { changePolicy, noteResources, updateRelays } from "./policy_change.ts";
import type { PortalPolicy, RelayPolicy } from "../policy/policy.ts";
import type { Grant } from "./grants.ts";
import type { TokenRecord } from "./tokens.ts";
import type { Id } from "../../../portal/types.ts";
import { decodeRequest, readAccessRequest, readConfirmation, readSignal, type Request } from "./requests.ts";
import { type PortalEvent, PortalState, type PortalStateOptions, type PortalTransmit } from "./state.ts";
import { clientInit, gatewayInit } from "./views.ts";

const SWEEP_INTERVAL = 1_000;
const PRUNE_INTERVAL = 60_000;

/** Event names that differ between the dialects of one role. */
const CONFIRM: Record<Dialect, string> = { v1: "flow_authorized", v2: "authorization_created" };
const REQUEST: Record<Dialect, string> = { v1: "create_flow", v2: "request_authorization" };

export interface PortalCoreOptions extends PortalStateOptions {
  readonly now: number;
}

export interface DeviceStatus {
  readonly role: "gateway" | "client";
  readonly id: string;
  readonly name: string;
  readonly ipv4: string;
  readonly ipv6: string;
  readonly dialect: Dialect;
  readonly version: string | undefined;
}

export class PortalCore {
  readonly #state: PortalState;
  readonly #authorizations: Authorizations;
  /** Client processes that have joined in this run of the portal. */
  readonly #met = new Set<string>();
  #nextSweep: number;
  #nextPrune: number;

  constructor(options: PortalCoreOptions) {
    this.#state = new PortalState(options);
    this.#authorizations = new Authorizations(this.#state);
    this.#nextSweep = options.now + SWEEP_INTERVAL;
    this.#nextPrune = options.now + PRUNE_INTERVAL;
    for (const grant of [...this.#state.grants.all()]) {
      if (!this.#state.isValid(grant)) this.#state.revoke(grant);
    }
  }

  /** Who is joined. */
  get online(): DeviceStatus[] {
    return [...this.#state.online.values()].map(({ device, admission }) => ({
      role: device.role,
      id: device.id,
      name: device.name,
      ipv4: device.ipv4,
      ipv6: device.ipv6,
      dialect: admission.dialect,
      version: admission.version?.join("."),
    }));
  }

  /** Every device that ever logged in. @param now monotonic milliseconds */
  devices(now: number): DeviceDetails[] {
    return [...this.#state.devices.all()].map((device) => deviceDetails(this.#state, device, now));
  }

  /** Whether a device may open a WebSocket; to be asked before the upgrade. */
  admit(attempt: LoginAttempt): Admission | Problem {
    const answer = admit(attempt, this.#state.tokens, this.#state.unixNow());
    if (isProblem(answer)) return answer;
    for (const other of this.#state.online.values()) {
      if (other.admission.publicKey !== answer.publicKey) continue;
      const { role, owner, externalId } = other.device;
      const same = role === answer.role && owner === answer.owner && externalId === answer.externalId;
      if (!same) return invalid("public_key", "another device uses it");
    }
    return answer;
  }

  /** A socket was opened. @returns its number, or a problem when there is no place for a new device */
  handleOpen(admission: Admission, now: number): number | Problem {
    const { role, owner, externalId, name, tokenHash } = admission;
    const found = this.#state.devices.upsert({ role, owner, externalId, name }, tokenHash);
    if (!found) return temporary("No tunnel address is left.");
    if (found.changed) this.#state.events.push({ type: "store_device", record: toRecord(found.device) });
    return this.#state.open(admission, found.device, now).id;
  }

  handleText(socket: number, text: string, now: number): void {
    const connection = this.#state.connections.get(socket);
    if (!connection) return;
    connection.lastHeard = now;
    const request = decodeRequest(text);
    if (request) return this.#handleRequest(connection, request, now);
    this.#state.log("warning", `${this.#state.describe(connection)} sent no Phoenix frame.`);
    this.#state.close(connection, 1003, "not a Phoenix frame");
  }

  handleClosed(socket: number): void {
    const connection = this.#state.connections.get(socket);
    if (!connection) return;
    connection.closing = true;
    if (connection.joined) this.#state.log("info", `${this.#state.describe(connection)} left.`);
    this.#state.forget(connection);
    this.#authorizations.forget(connection);
  }

  get grants(): readonly Grant[] {
    return [...this.#state.grants.all()];
  }

  /** The tokens that were made while the portal ran. */
  get tokens(): readonly TokenRecord[] {
    return this.#state.tokens.records;
  }

  addToken(record: TokenRecord): void {
    this.#state.tokens.add(this.#state.policy, record);
    this.#state.events.push({ type: "store_token", record });
  }

  /** Devices that came with it are out at once. @returns false when there is no such token */
  revokeToken(id: Id): boolean {
    const removed = this.#state.tokens.remove(id);
    if (!removed) return false;
    this.#state.events.push({ type: "drop_token", id });
    changePolicy(this.#state, this.#state.policy);
    return true;
  }

  /** Replaces the policy under the running devices. */
  setPolicy(policy: PortalPolicy): void {
    changePolicy(this.#state, policy);
  }

  /** Replaces the relays besides the policy's own. */
  setRelays(relays: readonly RelayPolicy[]): void {
    this.#state.extraRelays = relays;
    for (const connection of this.#state.connections.values()) updateRelays(this.#state, connection);
  }

  handleTimeout(now: number): void {
    if (now < this.#nextSweep) return;
    this.#nextSweep = now + SWEEP_INTERVAL;
    this.#authorizations.handleTimeout(now);
    if (now >= this.#nextPrune) {
      this.#nextPrune = now + PRUNE_INTERVAL;
      this.#state.pruneGrants();
    }
    for (const connection of [...this.#state.connections.values()]) {
      if (this.#state.expiryOf(connection) <= this.#state.unixNow()) {
        this.#state.expel(connection, "its session expired");
        continue;
      }
      const overdue = connection.overdue(now);
      if (overdue === undefined) continue;
      this.#state.log("warning", `Closing ${this.#state.describe(connection)}: ${overdue}.`);
      this.#authorizations.forget(connection);
      this.#state.close(connection, 1000, overdue);
    }
  }

  /** Sweeps are due while anybody is there to be swept. */
  pollTimeout(): number | undefined {
    return this.#state.connections.size === 0 ? undefined : this.#nextSweep;
  }

  pollTransmit(): PortalTransmit | undefined {
    return this.#state.transmits.shift();
  }

  pollEvent(): PortalEvent | undefined {
    return this.#state.events.shift();
  }

  #handleRequest(connection: Connection, request: Request, now: number): void {
    const { topic, event, ref } = request;
    if (topic === "phoenix") {
      return event === "heartbeat"
        ? connection.replyOk(topic, ref)
        : connection.replyError(topic, ref, "unmatched topic");
    }
    if (topic === connection.topic && event === "phx_join") return this.#join(connection, request);
    if (topic !== connection.topic || !connection.joined) {
      return connection.replyError(topic, ref, "unmatched topic");
    }
    if (event === "phx_leave") {
      connection.replyOk(topic, ref);
      connection.pushClose();
      return this.#state.close(connection, 1000, "left");
    }
    const answer = connection.topic === "gateway"
      ? this.#handleGateway(connection, request)
      : this.#handleClient(connection, request, now);
    if (answer === "ok") connection.replyOk(topic, ref);
    else if (answer !== undefined) connection.replyError(topic, ref, answer);
  }

  #join(connection: Connection, { topic, ref }: Request): void {
    const { device, admission } = connection;
    if (connection.joined) connection.pushClose();
    const older = this.#state.online.get(device.id);
    if (older && older !== connection) {
      this.#authorizations.forget(older);
      this.#state.close(older, 1012, "replaced by a newer connection");
    }
    connection.joined = true;
    this.#state.online.set(device.id, connection);
    connection.replyOk(topic, ref);
    connection.sentRelays = this.#state.relaysOf(connection);
    if (topic === "gateway") this.#initGateway(connection);
    else this.#initClient(connection);
    const version = admission.version?.join(".") ?? "of unknown version";
    this.#state.log("info", `${this.#state.describe(connection)} joined, ${version}, ${device.ipv4}.`);
  }

  #initGateway(gateway: Connection): void {
    const grants = this.#state.grants.ofGateway(gateway.device.id);
    const { account } = this.#state.policy;
    gateway.push("init", gatewayInit(gateway.device, account, gateway.sentRelays, grants));
  }

  #initClient(client: Connection): void {
    const resources = noteResources(this.#state, client);
    const { account } = this.#state.policy;
    client.push("init", clientInit(client.device, account, client.sentRelays, resources));
    const process = `${client.device.id} ${client.admission.publicKey}`;
    if (this.#state.durable || this.#met.has(process)) return;
    // Perhaps it was granted something by an earlier run, which this one and the gateways know nothing of.
    this.#met.add(process);
    for (const resource of this.#state.resourcesOf(client)) {
      this.#authorizations.flap(client, resource);
    }
  }

  /** @returns the reply: "ok", the reason of an error, or undefined for none */
  #handleGateway(gateway: Connection, { event, payload }: Request): string | undefined {
    switch (event) {
      case CONFIRM[gateway.admission.dialect]: {
        const ref = readConfirmation(payload);
        return ref !== undefined && this.#authorizations.confirm(gateway, ref) ? "ok" : "invalid_ref";
      }
      case "broadcast_ice_candidates":
        return this.#relayCandidates(gateway, "ice_candidates", payload);
      case "broadcast_invalidated_ice_candidates":
        return this.#relayCandidates(gateway, "invalidate_ice_candidates", payload);
      default:
        return this.#handleCommon(gateway, event);
    }
  }

  #handleClient(client: Connection, { event, payload }: Request, now: number): string | undefined {
    switch (event) {
      case REQUEST[client.admission.dialect]: {
        const request = readAccessRequest(payload);
        if (!request) return "invalid_payload";
        this.#authorizations.request(client, request.resourceId, request.connectedGatewayIds, now);
        return undefined;
      }
      case "broadcast_ice_candidates":
      case "new_gateway_ice_candidates":
        return this.#relayCandidates(client, "ice_candidates", payload);
      case "broadcast_invalidated_ice_candidates":
      case "invalidate_gateway_ice_candidates":
        return this.#relayCandidates(client, "invalidate_ice_candidates", payload);
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

  /** Hands candidates on to peers that the sender has a grant with; to all others they mean nothing. */
  #relayCandidates(from: Connection, event: string, payload: unknown): string | undefined {
    const signal = readSignal(payload);
    if (!signal) return "invalid_payload";
    for (const peerId of signal.peerIds) {
      const toClient = from.topic === "gateway";
      const [clientId, gatewayId] = toClient ? [peerId, from.device.id] : [from.device.id, peerId];
      if (!this.#state.grants.connects(clientId, gatewayId)) continue;
      const peer = toClient ? this.#state.clientOnline(peerId) : this.#state.gatewayOnline(peerId);
      const sender = toClient ? { gateway_id: from.device.id } : { client_id: from.device.id };
      peer?.push(event, { ...sender, candidates: signal.candidates });
    }
    return undefined;
  }
}
