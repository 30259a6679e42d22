/**
 * What a world can run: any state machine with datagrams in, datagrams out and a wake-up time. The agent, the node,
 * the gateway, the relay server fit by adapters of a few lines.
 */
import type { Transmit } from "../../mod/packet/transmit.ts";
import type { Datagram } from "./datagram.ts";

export interface Outgoing extends Transmit {
  /** ECN code point; 0 when absent. */
  readonly ecn?: number;
}

export interface Machine {
  handleDatagram(datagram: Datagram, now: number): void;
  handleTimeout(now: number): void;
  /** Absolute ms; undefined: only input changes anything. */
  pollTimeout(): number | undefined;
  /**
   * A `src` decides the source IP, and among several bound ports the source port. Absent, or with the unspecified IP:
   * the host decides by the destination's family.
   */
  pollTransmit(): Outgoing | undefined;
}
