import { strict as assert } from "node:assert";
import { IpHeader, PARSE_OK } from "../../mod/packet/ip_header.ts";
import { Kernels } from "../../mod/packet/kernels/kernels.ts";
import { Splitter } from "../../mod/packet/splitter.ts";
import {
  GSO_NONE,
  GSO_TCPV4,
  GSO_TCPV6,
  GSO_UDP_L4,
  VNET_HEADER_SIZE,
  VNET_NEEDS_CSUM,
} from "../../mod/packet/vnet.ts";
import { PROXIES, PROXIES6, REAL, REAL6 } from "./app_bed.ts";
import { ALICE, Bed, cidr, dns, resourceId } from "./harness.ts";
import { ACK, ip, PSH, read, tcp, toHex, udp } from "./packets.ts";

const PLAIN = "10.0.0.9", PLAIN6 = "2001:db8::9";
const OUTPUT_STRIDE = 1328;

/** Everything that may come from TUN: resource, family and protocol, as one read of the kernel. */
const READS = ([
  [PLAIN, ALICE.ipv4, PLAIN],
  [PLAIN6, ALICE.ipv6, PLAIN6],
  [REAL, ALICE.ipv4, PROXIES[1]!],
  [REAL6, ALICE.ipv6, PROXIES6[1]!],
] as const).flatMap(([from, to, seenAs]) =>
  (["tcp", "udp"] as const).flatMap((protocol) =>
    [10, 1200, 1201, 9000, 60_000].map((payload) => ({ from, to, seenAs, protocol, payload }))
  )
);

function bedWithFlows(): Bed {
  const bed = new Bed();
  bed.grant(ALICE, cidr(1, "10.0.0.0/8"));
  bed.grant(ALICE, cidr(2, "2001:db8::/64"));
  bed.grant(ALICE, dns(3, "app.example.com"));
  const peer = bed.policy.peerById(ALICE.id)!;
  bed.policy.setupNat(
    peer,
    resourceId(3),
    "app.example.com",
    [REAL, REAL6].map(ip),
    [...PROXIES, ...PROXIES6].map(ip),
  );
  // Four proxies share one address, so that ports change as well.
  for (const make of [tcp, udp]) {
    for (const proxy of PROXIES.slice(0, 2)) bed.send(ALICE, make(ALICE.ipv4, 4000, proxy, 443));
    for (const proxy of PROXIES6.slice(0, 2)) bed.send(ALICE, make(ALICE.ipv6, 4000, proxy, 443));
  }
  return bed;
}

/** What the policy and the splitter make of one read: the policy before the split, or on every packet after it. */
function deliver(bytes: Uint8Array, gsoType: number, policyFirst: boolean): Uint8Array[] {
  const bed = bedWithFlows();
  const { slab, header, policy } = bed;
  const splitter = new Splitter(slab, new Kernels(slab));
  const input = bed.offset + 6, offset = input + VNET_HEADER_SIZE, output = bed.offset + 61_000;
  const v4 = bytes[0]! >> 4 === 4, l4 = v4 ? 20 : 40;
  const isTcp = bytes[v4 ? 9 : 6] === 6;
  slab.bytes.set([VNET_NEEDS_CSUM, gsoType], input);
  [0, 1200, l4, isTcp ? 16 : 6].forEach((value, i) => slab.view.setUint16(input + 2 + 2 * i, value, true));
  slab.bytes.set(bytes, offset);
  // The kernel leaves the pseudo-header sum there; what it is does not matter.
  slab.view.setUint16(offset + l4 + (isTcp ? 16 : 6), 0x1234);

  if (policyFirst) {
    assert.equal(header.parse(slab.bytes, offset, bytes.length), PARSE_OK);
    assert.ok(policy.inbound(header, offset, bytes.length, bed.now));
    assert.equal(policy.deliveredLength, bytes.length);
  }
  const count = splitter.plan(input, VNET_HEADER_SIZE + bytes.length);
  assert.ok(count > 0);
  const packets: Uint8Array[] = [];
  splitter.write(output, OUTPUT_STRIDE);
  for (let i = 0; i < count; i++) {
    const at = output + i * OUTPUT_STRIDE;
    const length = i === count - 1 ? splitter.lastLength : splitter.segmentLength;
    if (!policyFirst) {
      const own = new IpHeader();
      assert.equal(own.parse(slab.bytes, at, length), PARSE_OK);
      assert.ok(policy.inbound(own, at, length, bed.now));
    }
    packets.push(slab.bytes.slice(at, at + length));
  }
  return packets;
}

Deno.test("the policy works once on a super-packet with the same result as on each of its packets", () => {
  for (const { from, to, seenAs, protocol, payload } of READS) {
    const port = seenAs === from ? 4000 : 4001;
    const data = "x".repeat(payload);
    const bytes = protocol === "tcp"
      ? tcp(from, 443, to, port, ACK | PSH, data)
      : udp(from, 443, to, port, data);
    const tcpType = from.includes(":") ? GSO_TCPV6 : GSO_TCPV4;
    const gsoType = payload <= 1200 ? GSO_NONE : protocol === "tcp" ? tcpType : GSO_UDP_L4;
    const once = deliver(bytes, gsoType, true), each = deliver(bytes, gsoType, false);
    const what = `${protocol} ${payload} bytes from ${from}`;
    assert.equal(once.length, Math.ceil(payload / 1200), what);
    assert.deepEqual(once.map(toHex), each.map(toHex), what);
    for (const packet of once) {
      const { src, dst, dstPort, valid } = read(packet);
      assert.deepEqual([src, dst, dstPort, valid], [seenAs, to, 4000, true], what);
    }
  }
});
