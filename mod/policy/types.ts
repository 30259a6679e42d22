/**
 * What the policy is told and what it tells. The inputs are structural: the portal's messages fit without a
 * conversion, and this room knows nothing of the portal.
 *
 * Conventions: ids are lower-case hyphenated UUIDs, addresses 4 or 16 bytes in network order, `expiresAt` Unix
 * seconds or null for "never".
 */
import type { Peer } from "./peer.ts";

export type Id = string;

/** One allowed kind of traffic; ports are inclusive. An empty list of filters allows everything. */
export type Filter =
  | { readonly protocol: "tcp" | "udp"; readonly portStart: number; readonly portEnd: number }
  | { readonly protocol: "icmp" };

export interface CidrResource {
  readonly type: "cidr";
  readonly id: Id;
  /** For people. */
  readonly name?: string;
  readonly address: { readonly ip: Uint8Array; readonly prefix: number };
  readonly filters: readonly Filter[];
}

export interface DnsResource {
  readonly type: "dns";
  readonly id: Id;
  /** For people. */
  readonly name?: string;
  /** Domain pattern, see `domain_pattern.ts`. */
  readonly address: string;
  readonly filters: readonly Filter[];
}

export interface InternetResource {
  readonly type: "internet";
  readonly id: Id;
}

export type Resource = CidrResource | DnsResource | InternetResource;

/** The gateway's own tunnel addresses, or a client's. */
export interface TunnelAddresses {
  readonly ipv4: Uint8Array;
  readonly ipv6: Uint8Array;
}

export interface Client extends TunnelAddresses {
  readonly id: Id;
}

/** One permission: this client may reach this resource until `expiresAt`. */
export interface GrantRequest {
  readonly client: Client;
  readonly resource: Resource;
  readonly expiresAt: number | null;
}

/** One pair of the portal's complete list; `expiresAt` undefined leaves the known expiry alone. */
export interface StandingAuthorization {
  readonly clientId: Id;
  readonly resourceId: Id;
  readonly expiresAt?: number | null | undefined;
}

/** Why a peer lost its last permission. */
export type RemovalReason =
  /** The portal rejected the last resource. */
  | "revoked"
  /** The last resource expired. */
  | "expired"
  /** The portal's complete list no longer names the client. */
  | "not-listed"
  /** The portal gave one of its tunnel addresses to another client. */
  | "address-reassigned";

export type PolicyEvent =
  /** The peer holds nothing any more: say goodbye and close its connection (spec policy §4.4). */
  | {
    readonly type: "peer-removed";
    readonly peer: Peer;
    readonly clientId: Id;
    readonly reason: RemovalReason;
  }
  /** Resolve this name (A and AAAA) and pass the outcome to `Policy.handleResolution`. */
  | { readonly type: "resolve"; readonly domain: string }
  /** Send this control packet through the peer's tunnel. */
  | { readonly type: "control"; readonly peer: Peer; readonly packet: Uint8Array }
  /** For the log only; packets obeyed it before the event was read. */
  | { readonly type: "access-expired"; readonly clientId: Id; readonly resourceId: Id };
