/** Who is joined: the newest connection of each device, found by device, by key, and gateways by site. */
import type { Id } from "../../../portal/types.ts";
import type { Connection } from "./connection.ts";

export class Presence {
  readonly #byDevice = new Map<Id, Connection>();
  readonly #byKey = new Map<string, Connection>();
  readonly #gatewaysBySite = new Map<Id, Set<Connection>>();
  /** Changes with every arrival and departure. */
  version = 0;

  add(connection: Connection): void {
    const { device, admission } = connection;
    this.#byDevice.set(device.id, connection);
    this.#byKey.set(admission.publicKey, connection);
    this.version++;
    if (connection.topic !== "gateway") return;
    const site = this.#gatewaysBySite.get(device.owner);
    if (site) site.add(connection);
    else this.#gatewaysBySite.set(device.owner, new Set([connection]));
  }

  /** @returns false when it wasn't there, or a newer one of the device is in its place */
  remove(connection: Connection): boolean {
    const { device, admission } = connection;
    if (this.#byDevice.get(device.id) !== connection) return false;
    this.#byDevice.delete(device.id);
    if (this.#byKey.get(admission.publicKey) === connection) this.#byKey.delete(admission.publicKey);
    const site = this.#gatewaysBySite.get(device.owner);
    if (site?.delete(connection) && site.size === 0) this.#gatewaysBySite.delete(device.owner);
    this.version++;
    return true;
  }

  get(id: Id): Connection | undefined {
    return this.#byDevice.get(id);
  }

  gateway(id: Id): Connection | undefined {
    const connection = this.#byDevice.get(id);
    return connection?.topic === "gateway" ? connection : undefined;
  }

  client(id: Id): Connection | undefined {
    const connection = this.#byDevice.get(id);
    return connection?.topic === "client" ? connection : undefined;
  }

  ofKey(publicKey: string): Connection | undefined {
    return this.#byKey.get(publicKey);
  }

  all(): Connection[] {
    return [...this.#byDevice.values()];
  }

  clients(): Connection[] {
    return this.all().filter(({ topic }) => topic === "client");
  }

  gateways(): Connection[] {
    return [...this.#gatewaysBySite.values()].flatMap((site) => [...site]);
  }

  gatewaysOf(siteIds: readonly Id[]): Connection[] {
    return siteIds.flatMap((id) => [...this.#gatewaysBySite.get(id) ?? []]);
  }
}
