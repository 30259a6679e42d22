/**
 * What the portal says and hears, as domain values. The schemas (`schema/`) turn JSON payloads of either dialect
 * into these; nothing behind this file knows an event name or a JSON key.
 *
 * Conventions: ids are lower-case hyphenated UUIDs; keys are 32 raw bytes; IP addresses are 4 or 16 bytes in
 * network order; times are Unix seconds, and `null` where "never" is a legal answer. Everything is plain data, but
 * {@link SocketAddress} loses its methods in a structured clone: send the payload across threads, decode it there.
 */
import type { SocketAddress } from "../packet/address.ts";

/** Lower-case hyphenated UUID. */
export type Id = string;

/** Credentials of one ICE agent; `ufrag` is called `username` on the wire. */
export interface IceCredentials {
  readonly ufrag: string;
  readonly password: string;
}

/** The device's tunnel addresses, used as /32 and /128. */
export interface TunnelInterface {
  /** 4 bytes. */
  readonly ipv4: Uint8Array;
  /** 16 bytes. */
  readonly ipv6: Uint8Array;
}

/** A TURN server; both families of a dual-stack one in one value. At least one address is present. */
export interface Relay {
  readonly id: Id;
  readonly v4?: SocketAddress;
  readonly v6?: SocketAddress;
  readonly username: string;
  readonly password: string;
  readonly expiresAt: number;
}

/** Canonical network: all host bits are zero. */
export interface Cidr {
  /** 4 or 16 bytes. */
  readonly ip: Uint8Array;
  readonly prefix: number;
  /** `10.0.0.0/24`, the address in canonical form. */
  readonly text: string;
}

/** One allowed kind of traffic; ports are inclusive. An empty list of filters allows everything. */
export type Filter =
  | { readonly protocol: "tcp" | "udp"; readonly portStart: number; readonly portEnd: number }
  | { readonly protocol: "icmp" };

/** A resource as a gateway sees it. */
export type Resource = CidrResource | DnsResource | InternetResource;

export interface CidrResource {
  readonly type: "cidr";
  readonly id: Id;
  readonly name: string;
  readonly address: Cidr;
  readonly filters: readonly Filter[];
}

export interface DnsResource {
  readonly type: "dns";
  readonly id: Id;
  readonly name: string;
  /** Domain pattern: `*` one label or any characters in it, `**` any depth, `?` one character. */
  readonly address: string;
  readonly filters: readonly Filter[];
}

export interface InternetResource {
  readonly type: "internet";
  readonly id: Id;
}

// Gateway ------------------------------------------------------------------------------------------------------

/** What is allowed at this moment; arrives after every join and may arrive at any time: idempotent. */
export interface GatewayInit {
  readonly interface: TunnelInterface;
  /** Add-only: relays that are missing here are not dropped. */
  readonly relays: readonly Relay[];
  readonly accountSlug: string | undefined;
  /** The complete list of what is still allowed; undefined when the portal sent no list (then nothing is revoked). */
  readonly authorizations: readonly StandingAuthorization[] | undefined;
  /** The portal wants a {@link GatewayReport} this often; undefined: never. */
  readonly reportIntervalSecs?: number;
}

/** One pair of {@link GatewayInit.authorizations}: it never adds access, it only keeps it. */
export interface StandingAuthorization {
  readonly clientId: Id;
  readonly resourceId: Id;
  /** Undefined when the portal does not say (old dialect): the known expiry stays. */
  readonly expiresAt: number | null | undefined;
}

/** The client of an authorization. */
export interface AuthorizedClient {
  readonly id: Id;
  /** X25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** 32 bytes. */
  readonly presharedKey: Uint8Array;
  readonly ipv4: Uint8Array;
  readonly ipv6: Uint8Array;
}

/** `authorize_flow` / `create_authorization`. */
export interface Authorization {
  /** Opaque; goes back byte for byte in the confirmation. */
  readonly ref: string;
  readonly resource: Resource;
  readonly client: AuthorizedClient;
  /** The remote agent's credentials, from the gateway's point of view. */
  readonly clientIce: IceCredentials;
  /** The gateway's own credentials. */
  readonly gatewayIce: IceCredentials;
  /** Null: never expires. */
  readonly expiresAt: number | null;
}

/** A name of a DNS resource, and the addresses that its client made up for it. */
export interface ProxiedName {
  readonly domain: string;
  /** 4 or 16 bytes each. */
  readonly proxyIps: readonly Uint8Array[];
}

/** `request_connection`: what portals send for clients older than 1.4 instead of an {@link Authorization}. */
export interface ConnectionOffer {
  /** Opaque; goes back byte for byte with our credentials. */
  readonly ref: string;
  readonly resource: Resource;
  readonly client: AuthorizedClient;
  /** The remote agent's credentials; our own are ours to choose. */
  readonly clientIce: IceCredentials;
  readonly expiresAt: number | null;
  /** To be resolved before the connection is accepted. */
  readonly name: ProxiedName | undefined;
}

/** `allow_access`: one more resource for a client older than 1.4 whose connection stands. Nobody waits for an answer. */
export interface AccessOffer {
  readonly resource: Resource;
  readonly client: { readonly id: Id; readonly ipv4: Uint8Array; readonly ipv6: Uint8Array };
  readonly expiresAt: number | null;
  readonly name: ProxiedName | undefined;
}

/** Relays that went (drop first), then relays to add. One id may be in both lists. */
export interface RelaysPresence {
  readonly disconnectedIds: readonly Id[];
  readonly connected: readonly Relay[];
}

/** Everything the portal pushes to a gateway. */
export type GatewayEvent =
  | { readonly type: "init"; readonly init: GatewayInit }
  | { readonly type: "authorize"; readonly authorization: Authorization }
  | { readonly type: "connection_offered"; readonly offer: ConnectionOffer }
  | { readonly type: "access_offered"; readonly offer: AccessOffer }
  | { readonly type: "reject_access"; readonly clientId: Id; readonly resourceId: Id }
  | { readonly type: "resource_updated"; readonly resource: Resource }
  | { readonly type: "relays_presence"; readonly presence: RelaysPresence }
  | { readonly type: "ice_candidates"; readonly clientId: Id; readonly candidates: readonly string[] }
  | {
    readonly type: "invalidate_ice_candidates";
    readonly clientId: Id;
    readonly candidates: readonly string[];
  }
  | {
    readonly type: "expiry_updated";
    readonly clientId: Id;
    readonly resourceId: Id;
    readonly expiresAt: number;
  };

/** Everything a gateway says to the portal. */
export type GatewayCommand =
  /** Confirms an {@link Authorization}; must be sent before the first candidates of the connection it made. */
  | { readonly type: "authorized"; readonly ref: string }
  /** Answers a {@link ConnectionOffer} with our own credentials; before candidates, likewise. */
  | { readonly type: "accepted"; readonly ref: string; readonly ice: IceCredentials }
  | { readonly type: "candidates"; readonly clientId: Id; readonly candidates: readonly string[] }
  | { readonly type: "invalidated_candidates"; readonly clientId: Id; readonly candidates: readonly string[] }
  /** Asks for relays: an authorization could not be accepted for lack of them, or the last one went. */
  | { readonly type: "no_relays" }
  /** Tells the portal how things stand; only one that asked for it in its `init`. */
  | { readonly type: "report"; readonly report: GatewayReport };

/**
 * What a gateway tells a portal that asked for it (`postern_report`), shaped as on the wire. Counts are since the
 * gateway's start, of present connections only; lists are bounded: see {@link MAX_REPORTED_CLIENTS}.
 */
export interface GatewayReport {
  readonly uptime_secs: number;
  /** The gateway's own version, not the one that it presents to portals. */
  readonly version: string;
  /** When there are too many, those that moved the most bytes. */
  readonly clients: readonly ReportedClient[];
  readonly relays: readonly { readonly id: Id; readonly ready: boolean; readonly rtt_ms: number | null }[];
  /** What happened since the last report, the newest last; when there was too much, the newest of it. */
  readonly events: readonly ReportedEvent[];
}

export interface ReportedClient {
  readonly client_id: Id;
  readonly path: "direct" | "relayed" | "connecting";
  /** Round-trip time of the path in use; null until it was measured. */
  readonly rtt_ms: number | null;
  /** From the client. */
  readonly bytes_in: number;
  /** To the client. */
  readonly bytes_out: number;
  /** Seconds since the last handshake; null before the first. */
  readonly last_handshake_secs: number | null;
}

/** A flow that is over, or one of the packets that were denied. */
export interface ReportedEvent {
  /** Unix seconds. */
  readonly at: number;
  readonly kind: "flow" | "denied";
  readonly client_id: Id;
  /** Null when no resource of the client's covers the destination. */
  readonly resource_id: Id | null;
  /** `tcp`, `udp`, `icmp`, or the number of another protocol. */
  readonly protocol: string;
  /** IP address, or the name that the client asked for. */
  readonly destination: string;
  readonly port: number | null;
  /** From the client, and to it; of flows only. */
  readonly bytes_in?: number;
  readonly bytes_out?: number;
}

/** Bounds of a {@link GatewayReport}: with these it is smaller than 256 KiB. */
export const MAX_REPORTED_CLIENTS = 1_000;
export const MAX_REPORTED_RELAYS = 100;
export const MAX_REPORTED_EVENTS = 100;

// Client -------------------------------------------------------------------------------------------------------

export interface ClientInterface extends TunnelInterface {
  /** Empty: use the system's resolvers. */
  readonly upstreamDns: readonly SocketAddress[];
  readonly searchDomain: string | undefined;
}

export interface Site {
  readonly id: Id;
  readonly name: string;
}

/** A resource as a client sees it; the Internet resource has neither `cidr` nor `pattern`. */
export interface ClientResource {
  readonly type: "cidr" | "dns" | "internet";
  readonly id: Id;
  readonly name: string;
  /** Set when `type` is `cidr`. */
  readonly cidr?: Cidr;
  /** Domain pattern; set when `type` is `dns`. */
  readonly pattern?: string;
  readonly addressDescription: string | undefined;
  readonly sites: readonly Site[];
  readonly filters: readonly Filter[];
  readonly ipStack: "dual" | "ipv4_only" | "ipv6_only";
}

export interface ClientInit {
  readonly interface: ClientInterface;
  readonly resources: readonly ClientResource[];
  readonly relays: readonly Relay[];
}

/** `flow_created` / `authorization_created`. */
export interface FlowCreated {
  readonly resourceId: Id;
  readonly gatewayId: Id;
  readonly siteId: Id;
  /** X25519, 32 bytes. */
  readonly gatewayPublicKey: Uint8Array;
  readonly gatewayIpv4: Uint8Array;
  readonly gatewayIpv6: Uint8Array;
  /** 32 bytes. */
  readonly presharedKey: Uint8Array;
  /** The client's own credentials. */
  readonly clientIce: IceCredentials;
  readonly gatewayIce: IceCredentials;
}

/** `flow_creation_failed` / `authorization_creation_failed`. */
export interface FlowFailed {
  readonly resourceId: Id;
  /** `offline`, `not_found`, `forbidden`, `version_mismatch`, …; open-ended. */
  readonly reason: string;
  readonly violatedProperties: readonly string[];
}

/** Everything the portal pushes to a client. */
export type ClientEvent =
  | { readonly type: "init"; readonly init: ClientInit }
  | { readonly type: "config_changed"; readonly interface: ClientInterface }
  | { readonly type: "resource_upserted"; readonly resource: ClientResource }
  | { readonly type: "resource_deleted"; readonly resourceId: Id }
  | { readonly type: "flow_created"; readonly flow: FlowCreated }
  | { readonly type: "flow_failed"; readonly failure: FlowFailed }
  | { readonly type: "relays_presence"; readonly presence: RelaysPresence }
  | { readonly type: "ice_candidates"; readonly gatewayId: Id; readonly candidates: readonly string[] }
  | {
    readonly type: "invalidate_ice_candidates";
    readonly gatewayId: Id;
    readonly candidates: readonly string[];
  };

/** Everything a client says to the portal. */
export type ClientCommand =
  | { readonly type: "request"; readonly resourceId: Id; readonly connectedGatewayIds: readonly Id[] }
  | { readonly type: "candidates"; readonly gatewayId: Id; readonly candidates: readonly string[] }
  | {
    readonly type: "invalidated_candidates";
    readonly gatewayId: Id;
    readonly candidates: readonly string[];
  }
  | { readonly type: "no_relays" };
