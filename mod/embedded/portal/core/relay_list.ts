/** Which relays a device gets, with credentials that stay the same as long as its key and session do. */
import { sha256 } from "@noble/hashes/sha2.js";
import type { Id } from "../../../portal/types.ts";
import { relayCredentials } from "../../relay/credentials.ts";
import { relayId, type RelayPolicy } from "../policy/policy.ts";

const RELAYS_PER_DEVICE = 2;

export interface RelayEntry {
  readonly type: "turn";
  readonly id: Id;
  readonly addr: string;
  readonly username: string;
  readonly password: string;
  readonly expires_at: number;
}

/**
 * Entries for one device: a dual-stack relay takes two, adjacent, IPv4 first. Relays that the device has already come
 * first, so that a relay more moves nobody; the others in an order of the device's own (rendezvous hashing), which
 * spreads devices evenly and is the same every time.
 * @param expiresAt Unix seconds; new credentials mean new allocations, so it must not move
 */
export function relaysFor(
  device: { readonly id: Id; readonly publicKey: string },
  relays: readonly KnownRelay[],
  expiresAt: number,
  sent: readonly RelayEntry[] = [],
): RelayEntry[] {
  return choose(device, relays, sent)
    .flatMap(({ relay, id }) => {
      const { stampSecret } = relay;
      const credentials = relayCredentials({ publicKey: device.publicKey, stampSecret, expiresAt });
      return [relay.v4, relay.v6].filter((address) => address !== undefined).map((address) => ({
        type: "turn" as const,
        id,
        addr: address.key,
        ...credentials,
        expires_at: expiresAt,
      }));
    });
}

/** A relay with its id, which takes a hash to know. */
export interface KnownRelay {
  readonly id: Id;
  readonly relay: RelayPolicy;
}

export function known(relay: RelayPolicy): KnownRelay {
  return { id: relayId(relay.stampSecret), relay };
}

function choose(
  device: { readonly id: Id },
  relays: readonly KnownRelay[],
  sent: readonly RelayEntry[],
): readonly KnownRelay[] {
  const byId = new Map(relays.map((one) => [one.id, one]));
  const kept = [...new Set(sent.map((one) => one.id))].flatMap((id) => byId.get(id) ?? []);
  if (kept.length >= RELAYS_PER_DEVICE) return kept.slice(0, RELAYS_PER_DEVICE);
  for (const { id } of kept) byId.delete(id);
  const others = [...byId.values()]
    .map((one) => ({ one, rank: rank(device.id, one.relay.stampSecret) }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1));
  return [...kept, ...others.map(({ one }) => one)].slice(0, RELAYS_PER_DEVICE);
}

/** Ids in `sent` that are gone from `current`, or stand there with other addresses or credentials. */
export function goneRelays(sent: readonly RelayEntry[], current: readonly RelayEntry[]): Id[] {
  const text = (entries: readonly RelayEntry[], id: Id) =>
    JSON.stringify(entries.filter((one) => one.id === id));
  return [...new Set(sent.map((one) => one.id))].filter((id) => text(sent, id) !== text(current, id));
}

function rank(deviceId: Id, stampSecret: string): string {
  return sha256(new TextEncoder().encode(`${deviceId} ${stampSecret}`)).toHex();
}
