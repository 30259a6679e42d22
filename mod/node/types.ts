/** Values that cross the node's boundary (spec snownet §1.2, §1.3). */
import type { SocketAddress } from "../packet/address.ts";

/** A dual-stack TURN relay as the portal describes it. At least one of the addresses is there. */
export interface RelayDescription {
  readonly id: string;
  readonly v4?: SocketAddress | undefined;
  readonly v6?: SocketAddress | undefined;
  readonly username: string;
  readonly password: string;
}

export interface IceCredentials {
  readonly ufrag: string;
  readonly password: string;
}

/** What the portal's authorisation says about the other end of a connection. Keys are 32 bytes. */
export interface ConnectionRequest {
  readonly peerId: string;
  readonly publicKey: Uint8Array;
  readonly presharedKey: Uint8Array;
  readonly local: IceCredentials;
  readonly remote: IceCredentials;
}

export type PathKind = "direct" | "relayed";

export type NodeEvent =
  /** Signal these to the peer through the portal; highest priority first. */
  | { readonly type: "candidates"; readonly peerId: string; readonly candidates: readonly string[] }
  | { readonly type: "invalid-candidates"; readonly peerId: string; readonly candidates: readonly string[] }
  /** The tunnel can carry packets for the first time. */
  | { readonly type: "established"; readonly peerId: string }
  /** Packets now take this way. */
  | {
    readonly type: "path";
    readonly peerId: string;
    readonly kind: PathKind;
    readonly remote: SocketAddress;
  }
  /** The connection is gone; its authorisations are not the node's business. */
  | { readonly type: "failed"; readonly peerId: string; readonly reason: string }
  /** Our own address has changed: connections that are tied to it (the portal's) can't work any more. */
  | { readonly type: "moved" }
  /** This host's network has changed, perhaps for the better: who waits for it need wait no longer. */
  | { readonly type: "network-changed" }
  /** It has, and since then no relay answers: nobody knows what else still works. */
  | { readonly type: "network-doubtful" }
  /** So many relays have an address for us now; `trouble`: what became of the last one that was lost. */
  | { readonly type: "relays"; readonly ready: number; readonly trouble: string | undefined }
  /** The last relay is lost: ask the portal for others. */
  | { readonly type: "no-relays" }
  | {
    readonly type: "relay";
    readonly relayId: string;
    readonly state: "ready" | "lost";
    readonly reason?: string;
  };

export interface ConnectionStatus {
  readonly peerId: string;
  readonly state: string;
  readonly path: PathKind | "none";
  readonly remote: string | undefined;
  /** Milliseconds there and back on that path; undefined until measured. */
  readonly rtt: number | undefined;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Monotonic ms. */
  readonly lastHandshakeAt: number | undefined;
}

export interface NodeStatus {
  readonly relays: readonly {
    readonly id: string;
    readonly ready: boolean;
    readonly rtt: number | undefined;
  }[];
  readonly connections: readonly ConnectionStatus[];
}
