/** A client that uses the DNS resource app.example.com, and what its packets become. */
import { strict as assert } from "node:assert";
import { ALICE, Bed, dns, type Party, resourceId } from "./harness.ts";
import { ip, read } from "./packets.ts";

export const APP = "app.example.com";
export const PROXIES = ["100.96.0.1", "100.96.0.2", "100.96.0.3", "100.96.0.4"];
export const PROXIES6 = [1, 2, 3, 4].map((n) => `fd00:2021:1111:8000::${n}`);
export const REAL = "172.20.0.100", REAL6 = "2001:db8:5::100";

/** Proxy addresses of `party` for `domain`, as after a control packet and a resolution. */
export function map(
  bed: Bed,
  resource: number,
  addresses: string[],
  { domain = APP, proxies = [...PROXIES, ...PROXIES6], party = ALICE } = {},
) {
  const peer = bed.policy.peerById(party.id)!;
  return bed.policy.setupNat(peer, resourceId(resource), domain, addresses.map(ip), proxies.map(ip));
}

/** A bed where Alice may use app.example.com with every protocol. */
export function bedWithApp(...addresses: string[]): Bed {
  const bed = new Bed();
  bed.grant(ALICE, dns(1, "*.example.com"));
  assert.ok(map(bed, 1, addresses.length > 0 ? addresses : [REAL, REAL6]));
  return bed;
}

/** What TUN gets, read; fails when nothing goes there. */
export function sent(bed: Bed, bytes: Uint8Array, party: Party = ALICE) {
  const outcome = bed.send(party, bytes);
  assert.ok(outcome instanceof Uint8Array, `not forwarded: ${outcome}`);
  return read(outcome);
}

export function received(bed: Bed, bytes: Uint8Array) {
  const delivery = bed.receive(bytes);
  assert.ok(delivery, "not delivered");
  return read(delivery.bytes);
}
