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
  readonly clients: readonly ClientPolicy[];
  readonly resources: readonly ResourcePolicy[];
  readonly relays: readonly RelayPolicy[];
}

export interface AccountPolicy {
  readonly slug: string;
  /** Resolvers for the clients' other traffic; empty: their system's own. */
  readonly dns: readonly SocketAddress[];
  readonly searchDomain: string | undefined;
}

/** A token with which gateways of one site log in. */
export interface GatewayPolicy {
  readonly name: string;
  readonly siteId: Id;
  readonly token: string;
}

/** Somebody, or a machine, with a token; any number of devices may use it. */
export interface ClientPolicy {
  readonly name: string;
  readonly groups: readonly string[];
  readonly token: string;
  /** Unix seconds at which every session and grant of this client ends. */
  readonly expiresAt: number;
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
  /** Names of clients and groups, or `everyone`. */
  readonly allow: readonly string[];
}

/** A relay by its addresses and the secret that it shares with the portal. */
export interface RelayPolicy {
  readonly v4?: SocketAddress;
  readonly v6?: SocketAddress;
  /** As text, exactly as the relay knows it. */
  readonly stampSecret: string;
}

export const EVERYONE = "everyone";

export function mayUse(client: ClientPolicy, resource: ResourcePolicy): boolean {
  return resource.allow.some((name) =>
    name === EVERYONE || name === client.name || client.groups.includes(name)
  );
}

/** Two targets are equal exactly when their texts are. */
export function targetText(target: ResourceTarget): string {
  if (target.type === "internet") return "internet";
  return target.type === "cidr" ? target.cidr.text : target.pattern;
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
