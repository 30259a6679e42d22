/** What the portal's mechanisms share: policy, devices, grants, who is connected, and what is to be done outside. */
import type { RandomBytes } from "../../../crypto/types.ts";
import { Fifo } from "../../../node/fifo.ts";
import type { Id } from "../../../portal/types.ts";
import { type Access, accessTo } from "../policy/access.ts";
import type { Circumstances } from "../policy/conditions.ts";
import {
  type ActorPolicy,
  FAR_FUTURE,
  names,
  type PortalPolicy,
  type RelayPolicy,
  type ResourcePolicy,
  targetText,
} from "../policy/policy.ts";
import type { Admission, RelayAdmission } from "./admission.ts";
import { Connection } from "./connection.ts";
import { type Device, type DeviceRecord, Devices } from "./devices.ts";
import { type Grant, Grants } from "./grants.ts";
import { Happenings } from "./happenings.ts";
import { PolicyIndex } from "./policy_index.ts";
import { Presence } from "./presence.ts";
import { type RelayEntry, relaysFor } from "./relay_list.ts";
import { RelaySocket } from "./relay_socket.ts";
import { Relays } from "./relays.ts";
import type { PortalSocket } from "./socket.ts";
import { type TokenOwner, type TokenRecord, Tokens } from "./tokens.ts";

export type PortalEvent =
  | { readonly type: "close"; readonly socket: number; readonly code: number; readonly reason: string }
  | { readonly type: "store_device"; readonly record: DeviceRecord }
  | { readonly type: "drop_device"; readonly id: Id }
  | { readonly type: "store_token"; readonly record: TokenRecord }
  | { readonly type: "drop_token"; readonly id: Id }
  | { readonly type: "store_grant"; readonly grant: Grant }
  | { readonly type: "drop_grant"; readonly clientId: Id; readonly resourceId: Id }
  | { readonly type: "log"; readonly level: "info" | "warning"; readonly text: string };

export interface PortalTransmit {
  readonly socket: number;
  readonly text: string;
}

/** What a store kept from earlier runs. */
export interface StoredState {
  readonly devices: readonly DeviceRecord[];
  readonly grants: readonly Grant[];
  readonly tokens: readonly TokenRecord[];
}

export interface PortalStateOptions {
  readonly policy: PortalPolicy;
  /** Relays besides the policy's own and those that connect. */
  readonly relays: readonly RelayPolicy[];
  /** Undefined: nothing is kept between runs. */
  readonly stored: StoredState | undefined;
  readonly random: RandomBytes;
  readonly unixNow: () => number;
}

export class PortalState {
  readonly tokens: Tokens;
  readonly relays: Relays;
  readonly devices: Devices;
  readonly grants: Grants;
  readonly connections = new Map<number, Connection>();
  readonly relaySockets = new Map<number, RelaySocket>();
  readonly online = new Presence();
  readonly happenings = new Happenings();
  /** False when grants of an earlier run are forgotten, which devices don't know. */
  readonly durable: boolean;
  readonly random: RandomBytes;
  readonly unixNow: () => number;
  readonly events = new Fifo<PortalEvent>();
  readonly transmits = new Fifo<PortalTransmit>();
  #index: PolicyIndex;
  #nextSocket = 1;

  constructor(options: PortalStateOptions) {
    this.#index = new PolicyIndex(options.policy);
    this.tokens = new Tokens(options.policy, options.stored?.tokens ?? []);
    this.relays = new Relays(options.policy.relays, options.relays);
    this.devices = new Devices(options.stored?.devices ?? []);
    this.grants = new Grants(options.stored?.grants ?? []);
    this.durable = options.stored !== undefined;
    this.random = options.random;
    this.unixNow = options.unixNow;
  }

  get policy(): PortalPolicy {
    return this.#index.policy;
  }

  get index(): PolicyIndex {
    return this.#index;
  }

  setPolicy(policy: PortalPolicy): void {
    this.#index = new PolicyIndex(policy, this.#index);
    this.tokens.setPolicy(policy);
    this.relays.setPolicy(policy.relays);
  }

  // Sockets ----------------------------------------------------------------------------------------------------

  open(admission: Admission, device: Device, now: number): Connection {
    const socket = this.#nextSocket++;
    const connection: Connection = new Connection(socket, admission, device, now, (text) => {
      if (!connection.closing) this.transmits.push({ socket, text });
    });
    this.connections.set(socket, connection);
    return connection;
  }

  openRelay(admission: RelayAdmission, now: number): RelaySocket {
    const socket = this.#nextSocket++;
    const relay: RelaySocket = new RelaySocket(socket, admission, now, (text) => {
      if (!relay.closing) this.transmits.push({ socket, text });
    });
    this.relaySockets.set(socket, relay);
    return relay;
  }

  /** Closes a socket after what was queued for it has left. */
  close(socket: PortalSocket, code: number, reason: string): void {
    if (socket.closing) return;
    socket.closing = true;
    this.events.push({ type: "close", socket: socket.id, code, reason });
    this.forget(socket);
  }

  /** The token is no longer good: the device must not come back with it. */
  expel(socket: PortalSocket, reason: string): void {
    this.log("warning", `Disconnecting ${this.describe(socket)}: ${reason}.`);
    socket.push("disconnect", { reason: "token_expired" });
    this.close(socket, 1000, "token expired");
  }

  forget(socket: PortalSocket): void {
    socket.closing = true;
    this.connections.delete(socket.id);
    this.relaySockets.delete(socket.id);
    if (socket instanceof Connection) this.online.remove(socket);
  }

  // Rights -----------------------------------------------------------------------------------------------------

  tokenOf(socket: PortalSocket): TokenOwner | undefined {
    return this.tokens.get(socket.tokenHash);
  }

  /** The policy's entry of a client device's owner; undefined when it was removed. */
  actorOf(device: Device | undefined): ActorPolicy | undefined {
    return device?.role === "client" ? this.#index.actor(device.owner) : undefined;
  }

  /** When the session behind a connection ends, and with it its credentials and grants. */
  expiryOf(socket: PortalSocket): number {
    return this.tokenOf(socket)?.expiresAt ?? FAR_FUTURE;
  }

  /** The resources that a client may use as things are. */
  resourcesOf(client: Connection): ResourcePolicy[] {
    const circumstances = this.#circumstances(client.device.id, client.tokenHash);
    return this.policy.resources.filter(({ id }) => {
      const access = this.accessOf(client, id, circumstances);
      return access !== undefined && "policy" in access;
    });
  }

  mayUse(client: Connection, resourceId: Id): boolean {
    const access = this.accessOf(client, resourceId);
    return access !== undefined && "policy" in access;
  }

  /** Undefined: nothing gives this client the resource, whatever the circumstances. */
  accessOf(
    { device, tokenHash }: Connection,
    resourceId: Id,
    circumstances: Circumstances = this.#circumstances(device.id, tokenHash),
  ): Access | undefined {
    const actor = this.actorOf(device), resource = this.#index.resource(resourceId);
    if (!actor || !resource || resource.siteIds.length === 0) return undefined;
    return accessTo(resourceId, actor, { accessPolicies: this.#index.accessTo(resourceId) }, circumstances);
  }

  /** True as long as the policy still allows what was granted, and for as long as was granted. */
  isValid(grant: Grant): boolean {
    const client = this.devices.byId(grant.clientId), gateway = this.devices.byId(grant.gatewayId);
    const actor = this.actorOf(client), resource = this.#index.resource(grant.resourceId);
    const policy = this.#index.accessPolicy(grant.policyId);
    const session = this.tokens.get(grant.clientToken);
    if (!client || !actor || !resource || !gateway || !policy) return false;
    if (session?.role !== "client" || session.entry.name !== actor.name) return false;
    if (this.tokens.gateway(grant.gatewayToken)?.siteId !== gateway.owner) return false;
    if (!resource.siteIds.includes(gateway.owner) || targetText(resource.target) !== grant.target) {
      return false;
    }
    if (policy.resourceId !== resource.id || !names(policy, actor)) return false;
    const circumstances = this.#circumstances(client.id, grant.clientToken);
    const access = accessTo(resource.id, actor, { accessPolicies: [policy] }, circumstances);
    if (access === undefined || !("policy" in access)) return false;
    // A longer right is no reason to disturb anybody: the grant is renewed when it runs out.
    return Math.min(session.expiresAt, access.until) >= grant.expiresAt && grant.expiresAt > this.unixNow();
  }

  #circumstances(clientId: Id, tokenHash: string): Circumstances {
    const device = this.devices.byId(clientId);
    const { remoteIp = "", region } = this.online.client(clientId)?.admission ?? device ?? {};
    return {
      remoteIp,
      region,
      providerId: this.tokens.get(tokenHash)?.providerId,
      verified: device?.verified ?? false,
      unixNow: this.unixNow(),
    };
  }

  // Grants -----------------------------------------------------------------------------------------------------

  /** Clients ask again and again for what they have: what is stored already is not stored once more. */
  setGrant(grant: Grant): void {
    const known = this.grants.get(grant.clientId, grant.resourceId);
    if (known && !grant.ended && isEqual(known, grant)) return;
    this.grants.set(grant);
    this.events.push({ type: "store_grant", grant });
  }

  dropGrant({ clientId, resourceId }: Grant): void {
    this.grants.delete(clientId, resourceId);
    this.events.push({ type: "drop_grant", clientId, resourceId });
  }

  /**
   * Takes a grant back: the gateway is told at once, or finds it missing in its next `init`. Gateways end grants that
   * run out by themselves, but by their own clock: they are told of those, too.
   */
  revoke(grant: Grant): void {
    if (grant.confirmed) this.setGrant({ ...grant, ended: true });
    else this.dropGrant(grant);
    const ids = { client_id: grant.clientId, resource_id: grant.resourceId };
    this.online.gateway(grant.gatewayId)?.push("reject_access", ids);
  }

  /** What each device should know of relays. */
  relaysOf(connection: Connection): RelayEntry[] {
    const expiry = this.expiryOf(connection);
    return relaysFor(connection.member, this.relays.all(), expiry, connection.sentRelays);
  }

  log(level: "info" | "warning", text: string): void {
    this.events.push({ type: "log", level, text });
  }

  describe({ topic, name, deviceId }: PortalSocket): string {
    return `${topic} "${name}"${deviceId && ` (${deviceId})`}`;
  }
}

function isEqual(a: Grant, b: Grant): boolean {
  return (Object.keys(a) as (keyof Grant)[]).every((key) => a[key] === b[key]);
}
