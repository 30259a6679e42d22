/** What a command gives the runtime and gets back. */
import type { NodeStatus } from "../node/mod.ts";
import type { Counters } from "../packet/mod.ts";
import type { PortalOptions } from "../portal/io/portal_io.ts";
import type { Relay, TunnelInterface } from "../portal/types.ts";
import type { NameReply, NameRequest } from "./messages.ts";

/** The operating system's side of the tunnel: addresses, routes, rules, forwarding. Implemented by `mod/host/`. */
export interface TunnelHost {
  /**
   * Gives the TUN device its addresses and routes; called after every `init`, so it must be idempotent.
   * @param networks CIDRs to route into the tunnel besides the peer ranges (a client's resources).
   */
  configure(addresses: TunnelInterface, networks: readonly string[]): void;
  /** Removes everything that was added. Idempotent. */
  restore(): void;
}

/** Names: what the data thread cannot look up itself, and DNS servers on the tunnel's addresses. */
export interface NameService {
  /** Called after each set-up of the interface. @throws Error when no address can be served. */
  listen(addresses: TunnelInterface): Promise<void>;
  /** What comes of it goes to the `reply` that the service was made with. */
  handle(request: NameRequest): void;
  /** What happened to names; undefined where nobody counts. */
  readonly counters: Counters | undefined;
  close(): void;
}

/** Makes the name service of a role; `reply` reaches the data thread. */
export type OpenNames = (reply: (reply: NameReply) => void) => NameService;

/** Where the portal is and who we are there; the key and the role are the runtime's to add. */
export type PortalIdentity = Omit<PortalOptions, "role" | "publicKey">;

export interface TunnelOptions {
  readonly tunName: string;
  /** Preferred UDP port; another is taken when it is in use. */
  readonly port: number;
  /** Mark for our own packets, so that policy routing keeps them out of the tunnel; undefined = none. */
  readonly mark: number | undefined;
  /** Name of the AEAD back end to force; undefined = the fastest that passes its self-test. */
  readonly crypto?: string | undefined;
}

export interface RuntimeOptions {
  readonly portal: PortalIdentity;
  readonly tunnel: TunnelOptions;
  readonly host: TunnelHost;
  /** Where a relay is to be reached instead of where the portal says; undefined: as it says. */
  readonly relayPlaces?: ((relay: Relay) => Relay) | undefined;
  /** Where a gateway's flow records go: a path, or "stdout"; undefined = nowhere. */
  readonly flowLogs?: string | undefined;
}

/** Why the runtime is or is not of use right now: what `/readyz` answers. */
export interface Readiness {
  readonly ready: boolean;
  /** One sentence for an operator. */
  readonly reason: string;
}

export interface RuntimeStatus extends NodeStatus {
  readonly aead: string;
  readonly ports: readonly number[];
}

/** A running gateway or client. */
export interface Runtime {
  /** Resolves when it ended by itself (a fatal error, with its text) or after `stop()` (undefined). */
  readonly done: Promise<string | undefined>;
  readonly counters: Counters;
  /** Registered counter names, in index order (the data thread registers them). */
  counterNames(): readonly string[];
  /** Counters of the name service; see {@link NameService.counters}. */
  readonly nameCounters: Counters | undefined;
  readiness(): Readiness;
  status(): Promise<RuntimeStatus>;
  /** Graceful: goodbye to peers, relays freed, host set-up removed; well under a second. */
  stop(): Promise<void>;
}
