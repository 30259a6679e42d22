/** What goes in and out of an agent. */
import type { RandomBytes } from "../crypto/types.ts";
import type { SocketAddress } from "../packet/address.ts";
import type { Transmit } from "../packet/transmit.ts";
import type { Candidate } from "./candidate.ts";
import type { IceCredentials } from "./check_messages.ts";
import type { IceState } from "./state.ts";
import type { IceTiming } from "./timing.ts";

export interface IceAgentOptions {
  readonly controlling: boolean;
  readonly local: IceCredentials;
  readonly remote: IceCredentials;
  readonly timing: IceTiming;
  readonly random: RandomBytes;
  /** Monotonic ms. */
  readonly now: number;
}

/** A datagram to send from the base `src` (our socket, or our address on a relay). */
export interface IceTransmit extends Transmit {
  readonly src: SocketAddress;
  /** Set for checks: the reply will carry this transaction id (see `transactionKey` of mod/stun). */
  readonly transactionKey?: string;
}

/** A way to the peer. */
export interface IcePath {
  readonly local: Candidate;
  readonly remote: Candidate;
  /** Base of `local`. */
  readonly source: SocketAddress;
  /** Address of `remote`. */
  readonly destination: SocketAddress;
}

export type IceEvent =
  | { readonly type: "state"; readonly state: IceState }
  /** Data goes this way from now on. */
  | { readonly type: "nominated" } & IcePath
  /** The peer checks from this address: its first authenticated request on a pair. */
  | { readonly type: "discovered"; readonly source: SocketAddress };

/** One line of `IceAgent.pairs`. */
export interface PairStatus extends IcePath {
  /** u64. */
  readonly priority: bigint;
  readonly nominated: boolean;
  readonly succeeded: boolean;
}
