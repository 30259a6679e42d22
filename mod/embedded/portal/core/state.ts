/** What the portal's mechanisms share: policy, devices, grants, who is connected, and what is to be done outside. */
import type { RandomBytes } from "../../../crypto/types.ts";
import type { Id } from "../../../portal/types.ts";
import type { Admission } from "./admission.ts";
import { type Access, accessTo } from "../policy/access.ts";
import { type TokenRecord, Tokens } from "./tokens.ts";
import { Connection } from "./connection.ts";
import { type Device, type DeviceRecord, Devices } from "./devices.ts";
import { type Grant, Grants } from "./grants.ts";
import {
  type ActorPolicy,
  FAR_FUTURE,
  names,
  type PortalPolicy,
  type RelayPolicy,
  type ResourcePolicy,
  targetText,
} from "../policy/policy.ts";
import { type RelayEntry, relaysFor } from "./relay_list.ts";

export type PortalEvent =
  | { readonly type: "close"; readonly socket: number; readonly code: number; readonly reason: string }
  | { readonly type: "store_device"; readonly record: DeviceRecord }
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
  /** Relays besides the policy's own. */
  readonly relays: readonly RelayPolicy[];
  /** Undefined: nothing is kept between runs. */
  readonly stored: StoredState | undefined;
  readonly random: RandomBytes;
  readonly unixNow: () => number;
}

export class PortalState {
  policy: PortalPolicy;
  readonly tokens: Tokens;
  extraRelays: readonly RelayPolicy[];
  readonly devices: Devices;
  readonly grants: Grants;
  readonly connections = new Map<number, Connection>();
  /** The joined connection of each device. */
  readonly online = new Map<Id, Connection>();
  /** False when grants of an earlier run are forgotten, which devices don't know. */
  readonly durable: boolean;
  readonly random: RandomBytes;
  readonly unixNow: () => number;
  readonly events: PortalEvent[] = [];
  readonly transmits: PortalTransmit[] = [];
  #nextSocket = 1;

  constructor(options: PortalStateOptions) {
    this.policy = options.policy;
    this.tokens = new Tokens(options.policy, options.stored?.tokens ?? []);
    this.extraRelays = options.relays;
    this.devices = new Devices(options.stored?.devices ?? []);
    this.grants = new Grants(options.stored?.grants ?? []);
    this.durable = options.stored !== undefined;
    this.random = options.random;
    this.unixNow = options.unixNow;
  }

  open(admission: Admission, device: Device, now: number): Connection {
    const socket = this.#nextSocket++;
    const connection: Connection = new Connection(socket, admission, device, now, (text) => {
      if (!connection.closing) this.transmits.push({ socket, text });
    });
    this.connections.set(socket, connection);
    return connection;
  }

  /** Closes a socket after what was queued for it has left. */
  close(connection: Connection, code: number, reason: string): void {
    if (connection.closing) return;
    connection.closing = true;
    this.events.push({ type: "close", socket: connection.id, code, reason });
    this.forget(connection);
  }

  /** The token is no longer good: the device must not come back with it. */
  expel(connection: Connection, reason: string): void {
    this.log("warning", `Disconnecting ${this.describe(connection)}: ${reason}.`);
    connection.push("disconnect", { reason: "token_expired" });
    this.close(connection, 1000, "token expired");
  }

  forget(connection: Connection): void {
    this.connections.delete(connection.id);
    if (this.online.get(connection.device.id) === connection) this.online.delete(connection.device.id);
  }

  gatewayOnline(id: Id): Connection | undefined {
    const connection = this.online.get(id);
    return connection?.topic === "gateway" ? connection : undefined;
  }

  clientOnline(id: Id): Connection | undefined {
    const connection = this.online.get(id);
    return connection?.topic === "client" ? connection : undefined;
  }

  onlineGateways(siteIds: readonly Id[]): Connection[] {
    return [...this.online.values()].filter((one) =>
      one.topic === "gateway" && siteIds.includes(one.device.owner)
    );
  }

  /** The policy's entry of a client device's owner; undefined when it was removed. */
  actorOf(device: Device | undefined): ActorPolicy | undefined {
    if (device?.role !== "client") return undefined;
    return this.policy.actors.find((actor) => actor.name === device.owner);
  }

  /** When the session behind a connection ends, and with it its credentials and grants. */
  expiryOf(connection: Connection): number {
    return this.tokens.get(connection.admission.tokenHash)?.expiresAt ?? FAR_FUTURE;
  }

  resource(id: Id): ResourcePolicy | undefined {
    return this.policy.resources.find((resource) => resource.id === id);
  }

  /** The resources that a client may use as things are. */
  resourcesOf(client: Connection): ResourcePolicy[] {
    return this.policy.resources.filter((resource) => {
      const access = this.accessOf(client, resource.id);
      return access !== undefined && "policy" in access;
    });
  }

  accessOf({ device, admission }: Connection, resourceId: Id): Access | undefined {
    const actor = this.actorOf(device);
    return actor && accessTo(resourceId, actor, this.policy, {
      remoteIp: admission.remoteIp,
      region: admission.region,
      providerId: this.tokens.get(admission.tokenHash)?.providerId,
      verified: false,
      unixNow: this.unixNow(),
    });
  }

  /** True as long as the policy still allows exactly what was granted. */
  isValid(grant: Grant): boolean {
    const actor = this.actorOf(this.devices.byId(grant.clientId));
    const resource = this.resource(grant.resourceId);
    const gateway = this.devices.byId(grant.gatewayId);
    const policy = this.policy.accessPolicies.find(({ id }) => id === grant.policyId);
    const session = this.tokens.get(grant.clientToken);
    return actor !== undefined && resource !== undefined && gateway !== undefined && policy !== undefined &&
      session?.role === "client" && session.entry.name === actor.name &&
      this.tokens.gateway(grant.gatewayToken)?.siteId === gateway.owner &&
      policy.resourceId === resource.id && names(policy, actor) && resource.siteIds.includes(gateway.owner) &&
      targetText(resource.target) === grant.target && session.expiresAt === grant.expiresAt &&
      grant.expiresAt > this.unixNow();
  }

  setGrant(grant: Grant): void {
    this.grants.set(grant);
    this.events.push({ type: "store_grant", grant });
  }

  /** Takes a grant back: the gateway is told at once, or finds it missing in its next `init`. */
  revoke(grant: Grant): void {
    this.grants.delete(grant.clientId, grant.resourceId);
    this.events.push({ type: "drop_grant", clientId: grant.clientId, resourceId: grant.resourceId });
    const ids = { client_id: grant.clientId, resource_id: grant.resourceId };
    this.gatewayOnline(grant.gatewayId)?.push("reject_access", ids);
  }

  /** Forgets grants that have run out; gateways end them by themselves. */
  pruneGrants(): void {
    for (const { clientId, resourceId, expiresAt } of [...this.grants.all()]) {
      if (expiresAt > this.unixNow()) continue;
      this.grants.delete(clientId, resourceId);
      this.events.push({ type: "drop_grant", clientId, resourceId });
    }
  }

  relaysOf(connection: Connection): RelayEntry[] {
    const relays = [...this.policy.relays, ...this.extraRelays];
    return relaysFor(connection.member, relays, this.expiryOf(connection));
  }

  log(level: "info" | "warning", text: string): void {
    this.events.push({ type: "log", level, text });
  }

  describe(connection: Connection): string {
    return `${connection.topic} "${connection.device.name}" (${connection.device.id})`;
  }
}
