/** What travels in a world: UDP datagrams. */
import type { SocketAddress } from "../../mod/packet/address.ts";

export interface Datagram {
  readonly source: SocketAddress;
  readonly destination: SocketAddress;
  readonly payload: Uint8Array;
  /** ECN code point, 0..3. */
  readonly ecn: number;
  /** The host that sent it, whatever NATs made of the source since. */
  readonly origin: string;
}

/** Bytes on the wire including IP and UDP headers. */
export function wireLength({ source, payload }: Datagram): number {
  return payload.length + (source.family === 4 ? 28 : 48);
}
