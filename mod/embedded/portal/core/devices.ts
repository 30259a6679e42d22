/**
 * Devices that have ever logged in, by what identifies them: role, owner (a gateway's site, a client's name) and
 * external id. Their id and tunnel addresses stay for ever; what else is known follows the latest login.
 */
import type { Role } from "../../../portal/login_url.ts";
import type { Id } from "../../../portal/types.ts";
import { nameBasedId } from "../policy/policy.ts";
import { presharedKeyBase } from "./pair_credentials.ts";
import { chooseOffset, tunnelIpv4, tunnelIpv6 } from "./tunnel_addresses.ts";

/** What a client may say of the machine that it runs on; opaque (spec portal §1.1). */
export interface Hardware {
  readonly deviceSerial: string | undefined;
  readonly deviceUuid: string | undefined;
  readonly identifierForVendor: string | undefined;
  readonly firebaseInstallationId: string | undefined;
}

export const NO_HARDWARE: Hardware = {
  deviceSerial: undefined,
  deviceUuid: undefined,
  identifierForVendor: undefined,
  firebaseInstallationId: undefined,
};

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
  readonly hardware: Hardware;
  /** Somebody has looked at the machine. It lasts until a login with other hardware. */
  readonly verified: boolean;
  /** Of the latest login: conditions of policies are judged by them while the device is away. */
  readonly remoteIp: string;
  readonly region: string | undefined;
}

export interface Device extends DeviceRecord {
  readonly ipv4: string;
  readonly ipv6: string;
}

export type DeviceLogin = Pick<
  DeviceRecord,
  "role" | "owner" | "externalId" | "name" | "hardware" | "remoteIp" | "region"
>;

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
    login: DeviceLogin,
    tokenHash: string,
  ): { readonly device: Device; readonly changed: boolean } | undefined {
    const id = nameBasedId("device", login.role, login.owner, login.externalId);
    const known = this.#devices.get(id);
    const verified = known?.verified === true && isSameMachine(known.hardware, login.hardware);
    if (known && verified === known.verified && isEqual(known, login)) {
      return { device: known, changed: false };
    }
    const offset = known?.offset ?? chooseOffset(id, (taken) => this.#offsets.has(taken));
    if (offset === undefined) return undefined;
    const secret = known?.secret ?? presharedKeyBase(tokenHash, id);
    return { device: this.#insert({ ...login, id, offset, secret, verified }), changed: true };
  }

  /** @returns the changed device; undefined when there is none, or it was so already */
  verify(id: Id, verified: boolean): Device | undefined {
    const known = this.#devices.get(id);
    if (known?.role !== "client" || known.verified === verified) return undefined;
    return this.#insert({ ...known, verified });
  }

  /** Its addresses are free for others. */
  remove(id: Id): void {
    const known = this.#devices.get(id);
    if (known && this.#devices.delete(id)) this.#offsets.delete(known.offset);
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

const HARDWARE_KEYS = Object.keys(NO_HARDWARE) as (keyof Hardware)[];

/** Leaving out what was known is a change too: else a copied identity could pass as the machine. */
function isSameMachine(known: Hardware, now: Hardware): boolean {
  return HARDWARE_KEYS.every((key) => known[key] === undefined || known[key] === now[key]);
}

function isEqual(known: Device, login: DeviceLogin): boolean {
  return known.name === login.name && known.remoteIp === login.remoteIp && known.region === login.region &&
    HARDWARE_KEYS.every((key) => known.hardware[key] === login.hardware[key]);
}
