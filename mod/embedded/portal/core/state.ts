/** What the portal's mechanisms share: policy, devices, grants, who is connected, and what is to be done outside. */
import type { RandomBytes } from "../../../crypto/types.ts";
import type { Id } from "../../../portal/types.ts";
import { type Admission, Tokens } from "./admission.ts";
import { Connection } from "./connection.ts";
import { type Device, type DeviceRecord, Devices } from "./devices.ts";
import { type Grant, Grants } from "./grants.ts";
import {
  type ClientPolicy,
  FAR_FUTURE,
  mayUse,
  type PortalPolicy,
  type RelayPolicy,
  type ResourcePolicy,
  targetText,
} from "../policy/policy.ts";
import { type RelayEntry, relaysFor } from "./relay_list.ts";

export type PortalEvent =
  | { readonly type: "close"; readonly socket: number; readonly code: number; readonly reason: string }
  | { readonly type: "store_device"; readonly record: DeviceRecord }
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
  tokens: Tokens;
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
    this.tokens = new Tokens(options.policy);
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

  /** The policy's entry of a client device; undefined when it was removed. */
  clientPolicy(device: Device | undefined): ClientPolicy | undefined {
    if (device?.role !== "client") return undefined;
    return this.policy.clients.find((client) => client.name === device.owner);
  }

  /** When the session behind a connection ends, and with it its credentials and grants. */
  expiryOf(connection: Connection): number {
    return this.tokens.client(connection.admission.tokenHash)?.expiresAt ?? FAR_FUTURE;
  }

  resource(id: Id): ResourcePolicy | undefined {
    return this.policy.resources.find((resource) => resource.id === id);
  }

  resourcesOf(device: Device): ResourcePolicy[] {
    const client = this.clientPolicy(device);
    return client ? this.policy.resources.filter((resource) => mayUse(client, resource)) : [];
  }

  /** True as long as the policy still allows exactly what was granted. */
  isValid(grant: Grant): boolean {
    const client = this.clientPolicy(this.devices.byId(grant.clientId));
    const resource = this.resource(grant.resourceId);
    const gateway = this.devices.byId(grant.gatewayId);
    return client !== undefined && resource !== undefined && gateway !== undefined &&
      this.tokens.client(grant.clientToken)?.name === client.name &&
      this.tokens.gateway(grant.gatewayToken)?.siteId === gateway.owner &&
      mayUse(client, resource) && resource.siteIds.includes(gateway.owner) &&
      targetText(resource.target) === grant.target && client.expiresAt === grant.expiresAt &&
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
