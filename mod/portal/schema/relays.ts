/**
 * Relay lists. On the wire a dual-stack relay is two entries with one id; here they become one {@link Relay}. The
 * first entry of a family counts, entries whose credentials differ from the first one's are not the same relay's and
 * are skipped, and so are `stun` entries and kinds that we don't know. Credentials that have expired by our clock are
 * tried all the same: it is the relay's clock that counts.
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
  items.forEach((item, index) => {
    const at = `${path}.${index}`;
    const one = reader.readOptional(entry, item, at);
    if (one === undefined || one.type === "stun") return;
    const known: Relay = relays.get(one.id) ??
      { id: one.id, username: one.username, password: one.password, expiresAt: one.expires_at };
    if (known.username !== one.username || known.password !== one.password) {
      return reader.skip(`${at}.id`, "another entry of this relay has other credentials");
    }
    const family = one.addr.family === 4 ? "v4" : "v6", address = known[family];
    if (address && !address.equals(one.addr)) {
      return reader.skip(`${at}.addr`, "another entry of this relay has another address of this family");
    }
    relays.set(one.id, { ...known, [family]: one.addr });
  });
  return [...relays.values()];
}

const presence = v.object({ disconnected_ids: v.array(v.unknown()), connected: v.array(v.unknown()) });

export function readRelaysPresence(reader: Reader, payload: unknown): RelaysPresence {
  const { disconnected_ids, connected } = reader.read(presence, payload);
  return {
    disconnectedIds: reader.readEach(uuid, disconnected_ids, "disconnected_ids"),
    connected: readRelays(reader, connected, "connected"),
  };
}
