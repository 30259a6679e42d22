/**
 * Relay lists. On the wire a dual-stack relay is two entries with one id; here they become one {@link Relay}. The
 * first entry of a family counts, entries whose credentials differ from the first one's are not the same relay's and
 * are skipped, and so are `stun` entries and kinds that we don't know.
 */
import * as v from "valibot";
import type { Relay, RelaysPresence } from "../types.ts";
import type { Reader } from "./issues.ts";
import { socketAddress, unixSeconds, uuid } from "./primitives.ts";

const stun = v.object({ type: v.literal("stun") });
const turn = v.object({
  type: v.literal("turn"),
  id: uuid,
  addr: socketAddress,
  username: v.pipe(v.string(), v.minLength(1)),
  password: v.pipe(v.string(), v.minLength(1)),
  expires_at: unixSeconds,
});
const entry = v.variant("type", [turn, stun]);

export function readRelays(reader: Reader, items: readonly unknown[], path: string): Relay[] {
  const relays = new Map<string, Relay>();
  for (const one of reader.readEach(entry, items, path)) {
    if (one.type === "stun") continue;
    const known = relays.get(one.id) ??
      { id: one.id, username: one.username, password: one.password, expiresAt: one.expires_at };
    if (known.username !== one.username || known.password !== one.password) continue;
    const family = one.addr.family === 4 ? "v4" : "v6";
    relays.set(one.id, { ...known, [family]: known[family] ?? one.addr });
  }
  return [...relays.values()];
}

const presence = v.object({ disconnected_ids: v.array(uuid), connected: v.array(v.unknown()) });

export function readRelaysPresence(reader: Reader, payload: unknown): RelaysPresence {
  const { disconnected_ids, connected } = reader.read(presence, payload);
  return { disconnectedIds: disconnected_ids, connected: readRelays(reader, connected, "connected") };
}
