/** One client's allocation at the relay and its channels: plain records, looked after by `allocations.ts`. */
import { SocketAddress } from "../../packet/address.ts";
import { Path } from "../../packet/path.ts";
import { NonceUse } from "./nonces.ts";
import { CredentialBudget, type TrafficBudget } from "./response_limiter.ts";

export const CHANNEL_LIFETIME_MS = 600_000;
/** How long an expired channel keeps its number and its peer from being combined otherwise (RFC 8656 §12). */
export const CHANNEL_COOL_DOWN_MS = 300_000;

/**
 * Where a channel's peer is: out in the network, or at our own address. There it can be another allocation, which is
 * reached inside the relay, and where that is allowed any other socket of this host.
 */
export type PeerPlace = "network" | "relay" | "relay or host";

export class RelayChannel {
  /** To the peer, from the allocation's address and port. */
  readonly path: Path;
  /** Carries data before this time. */
  expiresAt: number;

  constructor(
    readonly allocation: RelayAllocation,
    readonly number: number,
    readonly peer: SocketAddress,
    readonly place: PeerPlace,
    now: number,
  ) {
    this.path = Path.of(peer, SocketAddress.fromBytes(allocation.sources[peer.family], allocation.port));
    this.expiresAt = now + CHANNEL_LIFETIME_MS;
  }

  get reservedUntil(): number {
    return this.expiresAt + CHANNEL_COOL_DOWN_MS;
  }
}

export interface RelayAllocationInit {
  /** Number of the allocation, unique among the living ones. */
  readonly slot: number;
  readonly client: SocketAddress;
  /** Our address that the client talks to. */
  readonly local: SocketAddress;
  readonly username: string;
  /** The long-term key of `username`. */
  readonly key: Uint8Array;
  /** Transaction that made it, to recognise a retransmission. */
  readonly transaction: string;
  /** What that was signed with. */
  readonly nonce: string;
  readonly port: number;
  /** Relayed addresses; the same port in each. */
  readonly v4: SocketAddress | undefined;
  readonly v6: SocketAddress | undefined;
  readonly sources: RelaySources;
  /** Undefined: without limit. */
  readonly traffic: TrafficBudget | undefined;
  readonly expiresAt: number;
}

/** Local IPs that relayed packets leave from, 4 and 16 bytes; all zero leaves the choice to the kernel. */
export interface RelaySources {
  readonly 4: Uint8Array;
  readonly 6: Uint8Array;
}

export class RelayAllocation {
  readonly slot: number;
  readonly client: SocketAddress;
  readonly username: string;
  readonly key: Uint8Array;
  readonly transaction: string;
  readonly port: number;
  readonly v4: SocketAddress | undefined;
  readonly v6: SocketAddress | undefined;
  readonly sources: RelaySources;
  readonly traffic: TrafficBudget | undefined;
  readonly channels = new Map<number, RelayChannel>();
  /** To the client, from the address and port that it talks to. */
  readonly clientPath: Path;
  /** The relayed addresses in words, as a peer inside this relay is seen from. */
  readonly ownWords: { readonly 4: Uint32Array; readonly 6: Uint32Array };
  expiresAt: number;
  readonly nonceUse = new NonceUse();
  readonly budget = new CredentialBudget();
  /** Nonce of the client's last authentic request. */
  lastNonce: string | undefined;

  constructor(init: RelayAllocationInit) {
    this.slot = init.slot;
    this.client = init.client;
    this.username = init.username;
    this.key = init.key;
    this.transaction = init.transaction;
    this.port = init.port;
    this.v4 = init.v4;
    this.v6 = init.v6;
    this.sources = init.sources;
    this.traffic = init.traffic;
    this.expiresAt = init.expiresAt;
    this.lastNonce = init.nonce;
    this.clientPath = Path.of(init.client, init.local);
    this.ownWords = {
      4: init.v4 ? Path.of(init.v4).words : new Path().words,
      6: init.v6 ? Path.of(init.v6).words : new Path().words,
    };
  }

  relayed(family: 4 | 6): SocketAddress | undefined {
    return family === 4 ? this.v4 : this.v6;
  }
}
