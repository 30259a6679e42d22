/** What an allocation is made of. */
import type { RandomBytes } from "../crypto/types.ts";
import type { SocketAddress } from "../packet/address.ts";

/** Longest text that goes into a request (RFC 8489 §14.3). */
const MAX_TEXT = 508;

export interface AllocationOptions {
  /** For the owner's use only. */
  readonly relayId: string;
  readonly addresses: { readonly v4?: SocketAddress | undefined; readonly v6?: SocketAddress | undefined };
  readonly username: string;
  readonly password: string;
  readonly realm: string;
  /** Value of SOFTWARE, below 128 characters. */
  readonly software: string;
  readonly random: RandomBytes;
  readonly now: number;
}

/** False when no relay can be asked for anything with these. */
export function isUsable({ addresses, username, realm, software }: AllocationOptions): boolean {
  return (addresses.v4 ?? addresses.v6) !== undefined &&
    [username, realm, software].every((text) => text.length <= MAX_TEXT);
}
