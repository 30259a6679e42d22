import { strict as assert } from "node:assert";
import { allocatedByMillion } from "../heap.ts";
import { bedWithApp, PROXIES, PROXIES6, REAL, REAL6 } from "./app_bed.ts";
import { ALICE, cidr } from "./harness.ts";
import { echo, tcp, udp } from "./packets.ts";

const PLAIN = "192.168.9.9", PLAIN6 = "fd99:db8:ffff:ffff::9";

/** One packet of every kind in every direction, with addresses above 2^31, through the policy. */
function pipeline(): () => number {
  const bed = bedWithApp(REAL, REAL6);
  bed.grant(ALICE, cidr(2, "192.168.0.0/16"));
  bed.grant(ALICE, cidr(3, "fd99::/16"));
  const { policy, slab, header } = bed;
  const peer = policy.peerById(ALICE.id)!;
  const outbound = [
    tcp(ALICE.ipv4, 4000, PLAIN, 80),
    udp(ALICE.ipv6, 4000, PLAIN6, 80),
    tcp(ALICE.ipv4, 4000, PROXIES[0]!, 80),
    udp(ALICE.ipv6, 4000, PROXIES6[0]!, 80),
    echo(ALICE.ipv4, PROXIES[1]!, 7),
    tcp(ALICE.ipv4, 4000, "200.200.200.200", 80),
  ];
  const inbound = [
    tcp(PLAIN, 80, ALICE.ipv4, 4000),
    udp(PLAIN6, 80, ALICE.ipv6, 4000),
    tcp(REAL, 80, ALICE.ipv4, 4000),
    udp(REAL6, 80, ALICE.ipv6, 4000),
    echo(REAL, ALICE.ipv4, 7, true),
    tcp("200.200.200.200", 80, ALICE.ipv4, 4000),
  ];
  let now = bed.now;
  return () => {
    now += 1;
    for (const bytes of outbound) {
      slab.bytes.set(bytes, bed.offset);
      header.parse(slab.bytes, bed.offset, bytes.length);
      policy.outbound(peer, header, bed.offset, bytes.length, now);
    }
    for (const bytes of inbound) {
      slab.bytes.set(bytes, bed.offset);
      header.parse(slab.bytes, bed.offset, bytes.length);
      policy.inbound(header, bed.offset, bytes.length, now);
    }
    return outbound.length + inbound.length;
  };
}

Deno.test("a million packets through the policy, plain, translated and refused, allocate nothing", () => {
  const round = pipeline();
  for (let warm = 0; warm < 300_000;) warm += round();
  const allocated = allocatedByMillion(round, 2_000);
  assert.ok(allocated < 1_000_000, `${allocated} bytes for a million packets`);
});
