import { strict as assert } from "node:assert";
import fc from "fast-check";
import { PARSE_OK } from "../../mod/packet/ip_header.ts";
import { VERDICT_FORWARD } from "../../mod/policy/verdict.ts";
import { bedWithApp, PROXIES, PROXIES6, REAL, REAL6 } from "./app_bed.ts";
import { ALICE, cidr } from "./harness.ts";
import { echo, icmp, tcp, udp, unreachable } from "./packets.ts";

const MARGIN = 64;
const quoted = udp(ALICE.ipv4, 4000, REAL, 53), quoted6 = udp(ALICE.ipv6, 4000, REAL6, 53);
const SEEDS = [
  tcp(ALICE.ipv4, 4000, PROXIES[0]!, 80),
  udp(ALICE.ipv6, 4000, PROXIES6[0]!, 53),
  echo(ALICE.ipv4, PROXIES[0]!, 7),
  udp(ALICE.ipv4, 4000, "10.0.0.9", 53),
  tcp(REAL, 80, ALICE.ipv4, 4000),
  udp(REAL6, 53, ALICE.ipv6, 4000),
  unreachable("192.168.1.1", ALICE.ipv4, quoted),
  unreachable("2001:db8:9::1", ALICE.ipv6, quoted6),
  icmp("2001:db8:9::1", ALICE.ipv6, 2, 0, [0, 0, 5, 0], quoted6),
];

const noise = fc.uint8Array({ maxLength: 120 });
/** A good packet with a few bytes changed, cut or grown, its lengths put right so that it gets past the parser. */
const mutant = fc.record({
  seed: fc.constantFrom(...SEEDS),
  changes: fc.array(fc.tuple(fc.nat(119), fc.nat(255)), { maxLength: 4 }),
  cut: fc.oneof(fc.constant(0), fc.integer({ min: -20, max: 40 })),
}).map(({ seed, changes, cut }) => {
  const bytes = new Uint8Array(Math.max(1, seed.length - cut));
  bytes.set(seed.subarray(0, bytes.length));
  const v4 = seed[0]! >> 4 === 4, length = v4 ? bytes.length : bytes.length - 40;
  if (bytes.length >= 6) bytes.set([length >> 8, length & 255], v4 ? 2 : 4);
  for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
  return bytes;
});

Deno.test("no bytes from a client or from TUN make the policy throw or write beside the packet", () => {
  const bed = bedWithApp(REAL, REAL6);
  bed.grant(ALICE, cidr(2, "10.0.0.0/8"));
  for (const seed of SEEDS.slice(0, 4)) bed.send(ALICE, seed);
  const peer = bed.policy.peerById(ALICE.id)!;
  const { slab: { bytes: memory }, header, policy, offset } = bed;
  fc.assert(
    fc.property(fc.oneof(noise, mutant, mutant, mutant), fc.boolean(), (bytes, inbound) => {
      memory.fill(0xa5, offset, offset + bytes.length + 2 * MARGIN);
      const at = offset + MARGIN;
      memory.set(bytes, at);
      if (header.parse(memory, at, bytes.length) !== PARSE_OK) return;
      bed.now += 1;
      const forwarded = inbound
        ? policy.inbound(header, at, bytes.length, bed.now) !== undefined
        : policy.outbound(peer, header, at, bytes.length, bed.now) === VERDICT_FORWARD;
      const margins = [
        ...memory.subarray(offset, at),
        ...memory.subarray(at + bytes.length, at + bytes.length + MARGIN),
      ];
      assert.ok(margins.every((byte) => byte === 0xa5), "wrote beside the packet");
      if (!inbound && !forwarded) assert.deepEqual(memory.slice(at, at + bytes.length), bytes);
      if (inbound && forwarded) assert.ok(policy.deliveredLength <= bytes.length);
    }),
    { numRuns: 3000 },
  );
});
