/**
 * Control datagrams as plain values: what STUN, TURN and WireGuard handshakes hand out through `pollTransmit()`.
 * Tunnelled data never takes this form; it goes through the transmit queue in the slab.
 */
import type { SocketAddress } from "./address.ts";

export interface Transmit {
  /** Local address to send from (its IP; the port is always our socket's). Absent: the kernel chooses by route. */
  readonly src?: SocketAddress;
  readonly dst: SocketAddress;
  readonly payload: Uint8Array;
}
