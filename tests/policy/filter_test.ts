import { strict as assert } from "node:assert";
import fc from "fast-check";
import { CLASS_ICMP, CLASS_OTHER, CLASS_TCP, CLASS_UDP, FilterSet } from "../../mod/policy/filter.ts";
import type { Filter } from "../../mod/policy/types.ts";
import { ALICE, Bed, cidr, ICMP, tcpPorts, udpPorts } from "./harness.ts";
import { echo, other, tcp, udp } from "./packets.ts";

const port = fc.oneof(fc.integer({ min: 0, max: 65535 }), fc.constantFrom(0, 1, 79, 80, 81, 65534, 65535));
const ports = fc.record({
  protocol: fc.constantFrom("tcp" as const, "udp" as const),
  portStart: port,
  portEnd: port,
});
const filter: fc.Arbitrary<Filter> = fc.oneof(ports, fc.constant(ICMP));
const filters = fc.array(filter, { minLength: 1, maxLength: 8 });
const probe = fc.record({ protocol: fc.constantFrom(CLASS_OTHER, CLASS_TCP, CLASS_UDP, CLASS_ICMP), port });

function matches(one: Filter, protocol: number, port: number): boolean {
  if (one.protocol === "icmp") return protocol === CLASS_ICMP;
  return protocol === (one.protocol === "tcp" ? CLASS_TCP : CLASS_UDP) && one.portStart <= port &&
    port <= one.portEnd;
}

Deno.test("a filter set permits exactly what one of its filters matches", () => {
  fc.assert(fc.property(filters, fc.array(probe, { maxLength: 20 }), (list, probes) => {
    const set = new FilterSet(list);
    for (const { protocol, port } of probes) {
      assert.equal(set.permits(protocol, port), list.some((one) => matches(one, protocol, port)));
    }
  }));
});

Deno.test("no filters permit everything, also what is neither TCP, UDP nor ICMP", () => {
  for (const protocol of [CLASS_OTHER, CLASS_TCP, CLASS_UDP, CLASS_ICMP]) {
    assert.ok(new FilterSet([]).permits(protocol, 0) && new FilterSet([]).permits(protocol, 65535));
  }
});

Deno.test("a reversed or impossible range matches nothing, and is not taken for an empty list", () => {
  const set = new FilterSet([tcpPorts(90, 80), tcpPorts(-1, 70000), udpPorts(1.5, 3), tcpPorts(NaN)]);
  for (const value of [0, 1, 2, 80, 85, 90, 65535]) {
    assert.ok(!set.permits(CLASS_TCP, value) && !set.permits(CLASS_UDP, value));
  }
});

Deno.test("overlapping and touching ranges behave as their union", () => {
  const set = new FilterSet([
    tcpPorts(10, 20),
    tcpPorts(15, 30),
    tcpPorts(31, 40),
    tcpPorts(5),
    tcpPorts(0, 65535),
  ]);
  for (const value of [0, 5, 10, 30, 31, 40, 41, 65535]) assert.ok(set.permits(CLASS_TCP, value));
});

function packetOf({ protocol, port }: { protocol: number; port: number }): Uint8Array {
  const host = "10.0.0.9";
  if (protocol === CLASS_TCP) return tcp(ALICE.ipv4, 1234, host, port);
  if (protocol === CLASS_UDP) return udp(ALICE.ipv4, 1234, host, port);
  return protocol === CLASS_ICMP ? echo(ALICE.ipv4, host, port) : other(ALICE.ipv4, host);
}

Deno.test("several resources on one network accept the union of their filters, and removing one takes only its own", () => {
  fc.assert(
    fc.property(
      fc.array(filters, { minLength: 1, maxLength: 4 }),
      fc.array(probe, { maxLength: 10 }),
      (sets, probes) => {
        const bed = new Bed();
        sets.forEach((list, i) => bed.grant(ALICE, cidr(i, "10.0.0.0/24", ...list)));
        for (let removed = 0; removed < sets.length; removed++) {
          const left = sets.slice(removed).flat();
          for (const one of probes) {
            const expected = left.some((f) => matches(f, one.protocol, one.port));
            assert.equal(bed.send(ALICE, packetOf(one)) instanceof Uint8Array, expected);
          }
          bed.policy.revoke(ALICE.id, cidr(removed, "10.0.0.0/24").id);
        }
        assert.equal(bed.policy.peerCount, 0);
      },
    ),
    { numRuns: 50 },
  );
});

Deno.test("a removed resource leaves the permission of the network around it", () => {
  fc.assert(
    fc.property(filters, filters, fc.array(probe, { maxLength: 10 }), (outer, inner, probes) => {
      const bed = new Bed();
      bed.grant(ALICE, cidr(1, "10.0.0.0/8", ...outer));
      bed.grant(ALICE, cidr(2, "10.0.0.9/32", ...inner));
      for (const one of probes) bed.send(ALICE, packetOf(one));
      bed.policy.revoke(ALICE.id, cidr(2, "10.0.0.9/32").id);
      for (const one of probes) {
        const expected = outer.some((f) => matches(f, one.protocol, one.port));
        assert.equal(bed.send(ALICE, packetOf(one)) instanceof Uint8Array, expected);
      }
    }),
    { numRuns: 50 },
  );
});
