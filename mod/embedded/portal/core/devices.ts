/**
 * Devices that have ever logged in, by what identifies them: role, owner (a gateway's site, a client's name) and
 * external id. Their id and tunnel addresses stay for ever; names follow the latest login.
 */
import type { Role } from "../../../portal/login_url.ts";
import type { Id } from "../../../portal/types.ts";
import { nameBasedId } from "../policy/policy.ts";
import { presharedKeyBase } from "./pair_credentials.ts";
import { chooseOffset, tunnelIpv4, tunnelIpv6 } from "./tunnel_addresses.ts";

export interface DeviceRecord {
  readonly id: Id;
  readonly role: Role;
  /** Site id of a gateway, name of a client's entry in the policy. */
  readonly owner: string;
  readonly externalId: string;
  readonly name: string;
  /** Of the tunnel addresses in both ranges. */
  readonly offset: number;
  /** The device's part of its preshared keys; raw. */
  readonly secret: Uint8Array;
}

export interface Device extends DeviceRecord {
  readonly ipv4: string;
  readonly ipv6: string;
}

export class Devices {
  readonly #devices = new Map<Id, Device>();
  readonly #offsets = new Set<number>();

  constructor(stored: readonly DeviceRecord[]) {
    for (const record of stored) this.#insert(record);
  }

  all(): IterableIterator<Device> {
    return this.#devices.values();
  }

  byId(id: Id): Device | undefined {
    return this.#devices.get(id);
  }

  /**
   * The device of a login; made when it is new. `changed` says that the record has to be stored. Undefined when the
   * tunnel's addresses are used up.
   */
  upsert(
    login: Pick<DeviceRecord, "role" | "owner" | "externalId" | "name">,
    tokenHash: string,
  ): { readonly device: Device; readonly changed: boolean } | undefined {
    const id = nameBasedId("device", login.role, login.owner, login.externalId);
    const known = this.#devices.get(id);
    if (known?.name === login.name) return { device: known, changed: false };
    const offset = known?.offset ?? chooseOffset(id, (taken) => this.#offsets.has(taken));
    if (offset === undefined) return undefined;
    const secret = known?.secret ?? presharedKeyBase(tokenHash, id);
    return { device: this.#insert({ ...login, id, offset, secret }), changed: true };
  }

  #insert(record: DeviceRecord): Device {
    const device = { ...record, ipv4: tunnelIpv4(record.offset), ipv6: tunnelIpv6(record.offset) };
    this.#devices.set(device.id, device);
    this.#offsets.add(device.offset);
    return device;
  }
}

export function toRecord({ ipv4: _4, ipv6: _6, ...record }: Device): DeviceRecord {
  return record;
}
