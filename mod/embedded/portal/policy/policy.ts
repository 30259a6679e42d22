/** What the policy file says, resolved: names are ids, addresses are parsed, tokens are read. */
import { sha256 } from "@noble/hashes/sha2.js";
import type { SocketAddress } from "../../../packet/address.ts";
import type { Cidr, Filter, Id, Site } from "../../../portal/types.ts";
import { formatUuid } from "../../../portal/uuid.ts";

/** 2038-01-01T00:00:00Z: "never", for fields in which every device generation wants an integer. */
export const FAR_FUTURE = 2_145_916_800;

export interface PortalPolicy {
  readonly account: AccountPolicy;
  readonly sites: readonly Site[];
  readonly gateways: readonly GatewayPolicy[];
  readonly actors: readonly ActorPolicy[];
  readonly resources: readonly ResourcePolicy[];
  /** In the order in which they are tried. */
  readonly accessPolicies: readonly AccessPolicy[];
  /** Relays that don't connect to the portal. */
  readonly relays: readonly RelayPolicy[];
  /** Of relays that do, and say themselves where they are. */
  readonly relayTokens: readonly RelayToken[];
}

export interface RelayToken {
  readonly name: string;
  readonly token: string;
}

export interface AccountPolicy {
  readonly slug: string;
  /** Resolvers for the clients' other traffic; empty: their system's own. */
  readonly dns: readonly SocketAddress[];
  readonly searchDomain: string | undefined;
}

/** Gateways of one site that log in with the same tokens. */
export interface GatewayPolicy {
  readonly name: string;
  readonly siteId: Id;
  /** Undefined when its tokens were made while the portal ran. */
  readonly token: string | undefined;
}

/** Whoever may use resources: a machine with a token (`client`), or somebody who signs in (`user`). */
export type ActorPolicy = ClientPolicy | UserPolicy;

interface ActorCommon {
  /** Unique among clients and users; policies name it. */
  readonly name: string;
  readonly groups: readonly string[];
  /** Unix seconds at which every session and grant of this actor ends. */
  readonly expiresAt: number;
}

/** Any number of devices may use its token. */
export interface ClientPolicy extends ActorCommon {
  readonly kind: "client";
  /** Undefined when its tokens were made while the portal ran. */
  readonly token: string | undefined;
}

/** Signs in at a browser; each sign-in makes a token for one device. */
export interface UserPolicy extends ActorCommon {
  readonly kind: "user";
  /** What a person is called in pages and clients. */
  readonly displayName: string;
  readonly email: string | undefined;
  /** Text of a password hash; undefined: no sign-in by password. */
  readonly passwordHash: string | undefined;
  /** Secret of the one-time passwords (RFC 6238), raw; undefined: none are asked for. */
  readonly totpSecret: Uint8Array | undefined;
  /** May use the admin pages. */
  readonly admin: boolean;
  /** How long a sign-in of a device lasts. */
  readonly sessionSeconds: number;
}

export type ResourceTarget =
  | { readonly type: "cidr"; readonly cidr: Cidr }
  | { readonly type: "dns"; readonly pattern: string }
  | { readonly type: "internet" };

export interface ResourcePolicy {
  readonly id: Id;
  readonly name: string;
  readonly target: ResourceTarget;
  readonly description: string | undefined;
  readonly siteIds: readonly Id[];
  readonly filters: readonly Filter[];
  readonly ipStack: "dual" | "ipv4_only" | "ipv6_only";
}

/** Who may use a resource, and when. A resource's own `allow` is one without conditions. */
export interface AccessPolicy {
  readonly id: Id;
  readonly name: string;
  readonly resourceId: Id;
  /** Names of actors and groups, or `everyone`. */
  readonly allow: readonly string[];
  /** All of them must hold. */
  readonly conditions: readonly Condition[];
}

/** Something that a policy demands of the moment (spec portal §4.8). */
export type Condition =
  | { readonly property: "remote_ip"; readonly negated: boolean; readonly cidrs: readonly Cidr[] }
  | {
    readonly property: "remote_ip_location_region";
    readonly negated: boolean;
    readonly regions: readonly string[];
  }
  | { readonly property: "provider_id"; readonly negated: boolean; readonly providers: readonly string[] }
  | { readonly property: "client_verified" }
  | { readonly property: "current_utc_datetime"; readonly ranges: readonly TimeRange[] };

/** Seconds of the day, both ends inclusive, on one day of the week in one time zone. */
export interface TimeRange {
  /** 0 = Sunday. */
  readonly day: number;
  readonly from: number;
  readonly to: number;
  /** IANA name. */
  readonly zone: string;
}

/** A relay by its addresses and the secret that it shares with the portal. */
export interface RelayPolicy {
  readonly v4?: SocketAddress;
  readonly v6?: SocketAddress;
  /** As text, exactly as the relay knows it. */
  readonly stampSecret: string;
}

export const EVERYONE = "everyone";

export function names(policy: AccessPolicy, actor: ActorPolicy): boolean {
  return policy.allow.some((name) => name === EVERYONE || name === actor.name || actor.groups.includes(name));
}

/** Two targets are equal exactly when their texts are. */
export function targetText(target: ResourceTarget): string {
  if (target.type === "internet") return "internet";
  return target.type === "cidr" ? target.cidr.text : target.pattern;
}

/** Of the policy that a resource's own list makes. */
export function ownPolicyId(resourceId: Id): Id {
  return nameBasedId("policy", resourceId);
}

/** A stable UUID (version 8, RFC 9562 §5.8) for something with a name. */
export function nameBasedId(...name: readonly string[]): Id {
  const bytes = sha256(new TextEncoder().encode(name.join("\0"))).slice(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return formatUuid(bytes);
}

/** A relay's id is a function of its secret: a relay that was restarted with a new one is a new relay. */
export function relayId(stampSecret: string): Id {
  const bytes = sha256(new TextEncoder().encode(stampSecret)).slice(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return formatUuid(bytes);
}
