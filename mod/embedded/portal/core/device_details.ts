/** What pages and lists tell of a device, whether it is there or not. */
import type { Dialect, Role } from "../../../portal/login_url.ts";
import type { Id } from "../../../portal/types.ts";
import type { Connection } from "./connection.ts";
import type { Device } from "./devices.ts";
import type { PortalState } from "./state.ts";

export interface DeviceDetails {
  readonly role: Role;
  readonly id: Id;
  readonly name: string;
  /** Site id of a gateway, name of a client's actor. */
  readonly owner: string;
  readonly externalId: string;
  readonly ipv4: string;
  readonly ipv6: string;
  readonly verified: boolean;
  /** While it is joined. */
  readonly session: DeviceSession | undefined;
}

export interface DeviceSession {
  readonly dialect: Dialect;
  readonly version: string | undefined;
  readonly userAgent: string;
  /** IP address that it connects from. */
  readonly remoteIp: string;
  readonly region: string | undefined;
  /** Unix seconds at which it connected. */
  readonly since: number;
  /** Unix seconds; FAR_FUTURE = never. */
  readonly expiresAt: number;
  /** Of the token that it came with; undefined for one of the policy file. */
  readonly tokenId: Id | undefined;
  readonly providerId: string | undefined;
}

/** @param now monotonic milliseconds */
export function deviceDetails(state: PortalState, device: Device, now: number): DeviceDetails {
  const { role, id, name, owner, externalId, ipv4, ipv6, verified } = device;
  const connection = state.online.get(id);
  const session = connection && sessionOf(state, connection, now);
  return { role, id, name, owner, externalId, ipv4, ipv6, verified, session };
}

function sessionOf(state: PortalState, connection: Connection, now: number): DeviceSession {
  const { admission, openedAt } = connection;
  const token = state.tokens.get(admission.tokenHash);
  return {
    dialect: admission.dialect,
    version: admission.version?.join("."),
    userAgent: admission.userAgent,
    remoteIp: admission.remoteIp,
    region: admission.region,
    since: state.unixNow() - Math.floor((now - openedAt) / 1000),
    expiresAt: state.expiryOf(connection),
    tokenId: token?.id,
    providerId: token?.providerId,
  };
}
