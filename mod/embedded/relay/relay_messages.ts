/** What the relay's owner and its thread say to each other. To stop, the owner signals the eventfd. */
import type { RelayLimits } from "./allocations.ts";

/** Everything the thread needs; plain values, since they cross threads. */
export interface ListeningOptions {
  /** Where clients and peers reach us: what allocations are made of. */
  readonly addresses: { readonly v4?: string | undefined; readonly v6?: string | undefined };
  /** Local addresses to bind; absent: all of that family. */
  readonly bind: { readonly v4?: string | undefined; readonly v6?: string | undefined };
  /** Local addresses that relayed packets leave from; absent: the kernel's choice. */
  readonly sources: { readonly v4?: string | undefined; readonly v6?: string | undefined };
  /** All addresses of this host. */
  readonly localAddresses: readonly string[];
  readonly port: number;
  readonly portRange: readonly [lowest: number, highest: number];
  readonly stampSecret: string;
  readonly allowedPeers: readonly string[];
  readonly refusedPeers: readonly string[];
  readonly limits?: RelayLimits | undefined;
}

export interface StartRelay extends ListeningOptions {
  readonly wakeFd: number;
  readonly counters: SharedArrayBuffer;
}

export type FromRelay =
  | { readonly type: "started"; readonly counterNames: readonly string[] }
  | { readonly type: "failed"; readonly reason: string }
  | { readonly type: "stopped" };
