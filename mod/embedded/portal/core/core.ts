/**
 * The embedded portal without sockets, clocks or files: logins, Phoenix channels, authorizations and pushes for
 * gateways, clients and relays of both dialects (spec portal §2.4, §3.5, §4, §5.1 and appendix B).
 *
 * A socket is a number. `admit` answers a login attempt before the upgrade; `handleOpen` makes it a socket; frames go
 * in by `handleText` and come out of `pollTransmit()`, in order. `pollEvent()` says what to store, close and log.
 * Drain order: store first, then transmit, then close; so nothing is said that is not durable, and last words are heard.
 */
import type { Dialect, Role } from "../../../portal/login_url.ts";
import type { Id } from "../../../portal/types.ts";
import type { PortalPolicy, RelayPolicy } from "../policy/policy.ts";
import {
  type Admission,
  admit,
  isProblem,
  type LoginAttempt,
  type Problem,
  type RelayAdmission,
  temporary,
} from "./admission.ts";
import { Channels } from "./channels.ts";
import { refreshClient, refreshRevoked, revoke, type Revoked, revokeInvalid } from "./client_updates.ts";
import { type DeviceDetails, deviceDetails } from "./device_details.ts";
import { toRecord } from "./devices.ts";
import type { Grant } from "./grants.ts";
import type { Happening, ReceivedReport } from "./happenings.ts";
import { changePolicy, updateAllRelays } from "./policy_change.ts";
import type { JoinedRelay } from "./relays.ts";
import { decodeRequest } from "./requests.ts";
import { type PortalEvent, PortalState, type PortalStateOptions, type PortalTransmit } from "./state.ts";
import { Sweep } from "./sweep.ts";
import type { TokenRecord } from "./tokens.ts";

const SWEEP_INTERVAL = 1_000;
/** A sweep that is so late was not late alone: this process was stopped, and frames wait to be read. */
const STANDSTILL = 5_000;
const MAX_RELAY_SOCKETS = 256;

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

/** How a socket was closed by the other side (RFC 6455 §7.1.5); undefined: it broke, or nobody knows. */
export interface Closure {
  readonly code: number;
  readonly reason: string;
}

export class PortalCore {
  readonly #state: PortalState;
  readonly #channels: Channels;
  readonly #sweep: Sweep;
  #nextSweep: number;

  constructor(options: PortalCoreOptions) {
    this.#state = new PortalState(options);
    revokeInvalid(this.#state, this.#state.grants.all());
    this.#channels = new Channels(this.#state, options.now);
    this.#sweep = new Sweep(this.#state);
    this.#nextSweep = options.now + SWEEP_INTERVAL;
  }

  /** Who is joined. */
  get online(): DeviceStatus[] {
    return this.#state.online.all().map(({ device, admission }) => ({
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

  /** What is granted at the moment. */
  get grants(): readonly Grant[] {
    return [...this.#state.grants.all()];
  }

  /** The tokens that were made while the portal ran. */
  get tokens(): readonly TokenRecord[] {
    return this.#state.tokens.records;
  }

  /** The latest report of each gateway that sends any. */
  get reports(): readonly ReceivedReport[] {
    return this.#state.happenings.reports;
  }

  /** Flows that ended, packets that were denied, logins and requests that were refused; the newest last. */
  get recent(): readonly Happening[] {
    return this.#state.happenings.recent;
  }

  /** The relays that are joined over WebSockets. */
  get joinedRelays(): JoinedRelay[] {
    return this.#state.relays.joined();
  }

  // Logins and sockets -----------------------------------------------------------------------------------------

  /** Whether a device or a relay may open a WebSocket; to be asked before the upgrade. */
  admit(attempt: LoginAttempt & { readonly role: Role }): Admission | Problem;
  admit(attempt: LoginAttempt): Admission | RelayAdmission | Problem;
  admit(attempt: LoginAttempt): Admission | RelayAdmission | Problem {
    const answer = this.#admit(attempt);
    if (isProblem(answer)) {
      const { code, detail } = answer;
      const { role, remoteIp, name } = attempt;
      const refused = { role, remoteIp, name: name?.slice(0, 255), code, detail };
      this.#state.happenings.handleRefusedLogin(refused, this.#state.unixNow());
    }
    return answer;
  }

  #admit(attempt: LoginAttempt): Admission | RelayAdmission | Problem {
    const answer = admit(attempt, this.#state.tokens, this.#state.unixNow());
    if (isProblem(answer) || answer.role === "relay") return answer;
    const other = this.#state.online.ofKey(answer.publicKey)?.device;
    if (other === undefined) return answer;
    const isSame = other.role === answer.role && other.owner === answer.owner &&
      other.externalId === answer.externalId;
    return isSame ? answer : temporary("public_key: another device uses it at the moment.");
  }

  /** A socket was opened. @returns its number, or a problem when there is no place for it */
  handleOpen(admission: Admission | RelayAdmission, now: number): number | Problem {
    this.#awake(now);
    if (admission.role === "relay") {
      return this.#state.relaySockets.size >= MAX_RELAY_SOCKETS
        ? temporary("There are too many relays.")
        : this.#state.openRelay(admission, now).id;
    }
    const found = this.#state.devices.upsert(admission, admission.tokenHash);
    if (!found) return temporary("No tunnel address is left.");
    if (found.changed) this.#state.events.push({ type: "store_device", record: toRecord(found.device) });
    return this.#state.open(admission, found.device, now).id;
  }

  handleText(socket: number, text: string, now: number): void {
    const connection = this.#socket(socket);
    if (!connection) return;
    connection.lastHeard = now;
    const request = decodeRequest(text);
    if (request) return this.#channels.handleRequest(connection, request, now);
    this.#state.log("warning", `${this.#state.describe(connection)} sent no Phoenix frame.`);
    this.#state.close(connection, 1003, "not a Phoenix frame");
    this.#channels.handleLeft(connection, "broken", now);
  }

  /** A socket is gone. Devices close with code 1000 when they shut down; our own say in words when they don't. */
  handleClosed(socket: number, now: number, closure?: Closure): void {
    const connection = this.#socket(socket);
    if (!connection) return;
    this.#state.forget(connection);
    const wasGoodbye = closure?.code === 1000 && closure.reason !== "reconnecting";
    this.#channels.handleLeft(connection, wasGoodbye ? "goodbye" : "broken", now);
  }

  #socket(id: number) {
    return this.#state.connections.get(id) ?? this.#state.relaySockets.get(id);
  }

  // What people do ---------------------------------------------------------------------------------------------

  addToken(record: TokenRecord): void {
    this.#state.tokens.add(record);
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

  /** Lets a token end at another time: Unix seconds. @returns false when there is no such token */
  expireToken(id: Id, expiresAt: number): boolean {
    const record = this.tokens.find((one) => one.id === id);
    if (!record) return false;
    this.addToken({ ...record, expiresAt });
    changePolicy(this.#state, this.#state.policy);
    return true;
  }

  /** Forgets a device; it is out at once, and new if it comes back. @returns false when there is no such device */
  removeDevice(id: Id, now: number): boolean {
    const device = this.#state.devices.byId(id);
    if (!device) return false;
    const isThere = this.#state.online.client(id) !== undefined;
    for (const connection of [...this.#state.connections.values()]) {
      if (connection.device.id !== id) continue;
      this.#state.expel(connection, "the device was removed");
      this.#channels.handleLeft(connection, "goodbye", now);
    }
    const { grants } = this.#state;
    const revoked: Revoked = new Map();
    for (const grant of device.role === "client" ? grants.ofClient(id) : grants.ofGateway(id)) {
      revoke(this.#state, grant, revoked);
    }
    refreshRevoked(this.#state, revoked);
    // One that is away is not told that it is over: if it comes back, it is told what has ended.
    if (isThere) { for (const grant of grants.endedOf(id)) this.#state.dropGrant(grant); }
    this.#state.devices.remove(id);
    this.#state.events.push({ type: "drop_device", id });
    return true;
  }

  /** Says that somebody has looked at a client's machine, or takes it back. @returns false when there is no such client */
  verify(clientId: Id, verified: boolean): boolean {
    if (this.#state.devices.byId(clientId)?.role !== "client") return false;
    const changed = this.#state.devices.verify(clientId, verified);
    if (!changed) return true;
    this.#state.events.push({ type: "store_device", record: toRecord(changed) });
    const revoked = revokeInvalid(this.#state, this.#state.grants.ofClient(clientId));
    const client = this.#state.online.client(clientId);
    if (client) refreshClient(this.#state, client, revoked.get(clientId));
    return true;
  }

  /** Closes a device's connection; it may come back. @returns false when it isn't joined */
  disconnect(deviceId: Id, now: number): boolean {
    const connection = this.#state.online.get(deviceId);
    if (!connection) return false;
    this.#state.close(connection, 1012, "asked to reconnect");
    this.#channels.handleLeft(connection, "broken", now);
    return true;
  }

  /** Replaces the policy under the running devices. */
  setPolicy(policy: PortalPolicy): void {
    changePolicy(this.#state, policy);
  }

  /** Replaces the relays besides the policy's own and those that connect. */
  setRelays(relays: readonly RelayPolicy[]): void {
    this.#state.relays.setOwn(relays);
    updateAllRelays(this.#state);
  }

  // Time and output --------------------------------------------------------------------------------------------

  handleTimeout(now: number): void {
    if (now < this.#nextSweep) return;
    this.#awake(now);
    this.#nextSweep = now + SWEEP_INTERVAL;
    for (const { socket, how } of this.#sweep.handleTimeout(now)) {
      this.#channels.handleLeft(socket, how, now);
    }
    this.#channels.handleTimeout(now);
  }

  /** Sweeps are due while anybody is there to be swept. */
  pollTimeout(): number | undefined {
    const { connections, relaySockets } = this.#state;
    return connections.size + relaySockets.size === 0 ? undefined : this.#nextSweep;
  }

  pollTransmit(): PortalTransmit | undefined {
    return this.#state.transmits.shift();
  }

  pollEvent(): PortalEvent | undefined {
    return this.#state.events.shift();
  }

  /** After a standstill nobody is late: what they said is about to be read, and who dialled is about to be let in. */
  #awake(now: number): void {
    const missed = now - this.#nextSweep;
    if (missed < STANDSTILL) return;
    this.#nextSweep = now + SWEEP_INTERVAL;
    this.#channels.handleStandstill(missed);
    for (const connection of this.#state.connections.values()) connection.lastHeard = now;
    for (const relay of this.#state.relaySockets.values()) relay.lastHeard = now;
  }
}
