import { strict as assert } from "node:assert";
import fc from "fast-check";
import { APP, bedWithApp, map, PROXIES, PROXIES6, REAL, REAL6, received, sent } from "./app_bed.ts";
import { ALICE, Bed, BOB, cidr, dns, GATEWAY, ICMP, internet, tcpPorts } from "./harness.ts";
import {
  ACK,
  echo,
  FIN,
  hex,
  icmp,
  ip,
  other,
  packet,
  read,
  RST,
  SYN,
  tcp,
  toHex,
  udp,
  unreachable,
} from "./packets.ts";

// Vectors

Deno.test("a translated UDP packet and a translated host-unreachable equal the vectors of appendix A", () => {
  const bed = bedWithApp(REAL);
  const out = bed.send(ALICE, hex("45000020000040004011722764400005646000019c400035000cd5f361626364"));
  assert.ok(out instanceof Uint8Array);
  assert.equal(toHex(out), "450000200000400040112a1064400005ac1400649c400035000c8ddc61626364");
  const error = bed.receive(hex(
    "450000380000000040016a6bac140001644000050301d2a000000000" +
      "450000200000400040112a1064400005ac1400649c400035000c8ddc",
  ));
  assert.equal(
    toHex(error!.bytes),
    "450000380000400014019e1f646000016440000503011ab800000000" +
      "450000200000400040112a1064400005646000019c400035000c8ddc",
  );
});

// Translation

Deno.test("packets of every kind and family are translated there and back, with valid checksums", () => {
  const bed = bedWithApp();
  for (
    const [mine, proxy, real] of [[ALICE.ipv4, PROXIES[0]!, REAL], [ALICE.ipv6, PROXIES6[0]!, REAL6]] as const
  ) {
    for (const make of [udp, (a: string, p: number, b: string, q: number) => tcp(a, p, b, q, SYN, "x")]) {
      assert.deepEqual({ ...sent(bed, make(mine, 4000, proxy, 443)), protocol: 0 }, {
        src: mine,
        dst: real,
        protocol: 0,
        srcPort: 4000,
        dstPort: 443,
        valid: true,
      });
      assert.deepEqual({ ...received(bed, make(real, 443, mine, 4000)), protocol: 0 }, {
        src: proxy,
        dst: mine,
        protocol: 0,
        srcPort: 443,
        dstPort: 4000,
        valid: true,
      });
    }
    const ping = sent(bed, echo(mine, proxy, 77));
    assert.deepEqual([ping.dst, ping.srcPort, ping.valid], [real, 77, true]);
    const pong = received(bed, echo(real, mine, 77, true));
    assert.deepEqual([pong.src, pong.srcPort, pong.valid], [proxy, 77, true]);
  }
});

Deno.test("proxies lead cyclically to the addresses of their family, both in numeric order", () => {
  const bed = bedWithApp("172.20.0.30", "172.20.0.9", "172.20.0.10", REAL6);
  const target = (proxy: string) =>
    sent(bed, udp(proxy.includes(":") ? ALICE.ipv6 : ALICE.ipv4, 1, proxy, 2)).dst;
  assert.deepEqual(PROXIES.map(target), ["172.20.0.9", "172.20.0.10", "172.20.0.30", "172.20.0.9"]);
  assert.deepEqual(PROXIES6.map(target), PROXIES6.map(() => REAL6));
});

Deno.test("a family without an address is answered unreachable, an unmapped proxy prohibited", () => {
  const bed = bedWithApp(REAL);
  assert.equal(bed.send(ALICE, udp(ALICE.ipv6, 1, PROXIES6[0]!, 2)), "unreachable");
  assert.equal(bed.send(ALICE, udp(ALICE.ipv4, 1, "100.96.0.9", 2)), "prohibited");
  bed.grant(ALICE, cidr(2, "100.96.0.0/11"));
  assert.equal(bed.send(ALICE, udp(ALICE.ipv4, 1, "100.96.0.9", 2)), "unreachable");
  assert.equal(bed.counters.get("policy_out_refused_unresolved"), 1);
  assert.equal(bed.counters.get("policy_out_refused_no_translation"), 1);
});

Deno.test("a name that resolves into the tunnel, to a proxy, to a group or to nothing is unreachable", () => {
  for (const address of [BOB.ipv4, GATEWAY.ipv4, "100.96.0.9", "224.0.0.1", "0.0.0.0"]) {
    const bed = bedWithApp(address);
    assert.equal(bed.send(ALICE, udp(ALICE.ipv4, 1, PROXIES[0]!, 2)), "unreachable", address);
  }
});

Deno.test("filters apply to the proxy address and the server's port, in both directions", () => {
  const bed = new Bed();
  bed.grant(ALICE, dns(1, APP, tcpPorts(443), ICMP));
  map(bed, 1, [REAL]);
  assert.equal(sent(bed, tcp(ALICE.ipv4, 4000, PROXIES[0]!, 443)).dst, REAL);
  assert.equal(bed.send(ALICE, tcp(ALICE.ipv4, 4000, PROXIES[0]!, 80)), "prohibited");
  assert.equal(bed.send(ALICE, udp(ALICE.ipv4, 4000, PROXIES[0]!, 443)), "prohibited");
  assert.ok(bed.receive(tcp(REAL, 443, ALICE.ipv4, 4000)));
  assert.equal(bed.receive(tcp(REAL, 80, ALICE.ipv4, 4000)), undefined);
  assert.equal(
    bed.send(ALICE, tcp(ALICE.ipv4, 4000, REAL, 443)),
    "prohibited",
    "the real address stays closed",
  );
});

Deno.test("the Internet resource does not open the ports of a DNS resource", () => {
  const bed = new Bed();
  bed.grant(ALICE, internet(2));
  bed.grant(ALICE, dns(1, APP, tcpPorts(443)));
  map(bed, 1, ["1.2.3.4"]);
  assert.equal(bed.send(ALICE, tcp(ALICE.ipv4, 4000, PROXIES[0]!, 80)), "prohibited");
  assert.ok(bed.passes(ALICE, tcp(ALICE.ipv4, 5000, "1.2.3.4", 80)));
});

Deno.test("what has no ports can't be translated and is dropped without an answer", () => {
  const bed = bedWithApp();
  assert.equal(bed.send(ALICE, other(ALICE.ipv4, PROXIES[0]!)), "drop");
  assert.equal(
    bed.send(ALICE, icmp(ALICE.ipv4, PROXIES[0]!, 13, 0, [0, 1, 0, 1], new Uint8Array(12))),
    "drop",
  );
  assert.equal(bed.counters.get("policy_out_nat_unsupported"), 2);
});

Deno.test("a UDP datagram without a checksum keeps none, one whose sum becomes zero is sent as ffff", () => {
  const bed = bedWithApp();
  const bare = udp(ALICE.ipv4, 4000, PROXIES[0]!, 53);
  bare[26] = bare[27] = 0;
  const out = bed.send(ALICE, bare) as Uint8Array;
  assert.deepEqual([out[26], out[27]], [0, 0]);
  const payloads = Array.from(
    { length: 90 * 90 },
    (_, i) => String.fromCharCode(32 + i % 90, 32 + Math.floor(i / 90)),
  );
  const isFull = (bytes: Uint8Array) => bytes[26] === 0xff && bytes[27] === 0xff;
  const payload = payloads.find((data) => isFull(udp(ALICE.ipv4, 4000, REAL, 53, data)))!;
  assert.deepEqual(
    bed.send(ALICE, udp(ALICE.ipv4, 4000, PROXIES[0]!, 53, payload)),
    udp(ALICE.ipv4, 4000, REAL, 53, payload),
  );
});

Deno.test("a wrong checksum stays wrong by the same amount", () => {
  const bed = bedWithApp();
  const wrong = tcp(ALICE.ipv4, 4000, PROXIES[0]!, 80);
  wrong[36]! ^= 1;
  assert.equal(read(bed.send(ALICE, wrong) as Uint8Array).valid, false);
});

Deno.test("colliding sources behind one real address get other ports, and answers find back", () => {
  const bed = bedWithApp(REAL);
  const ports = PROXIES.map((proxy) => sent(bed, tcp(ALICE.ipv4, 4000, proxy, 443)).srcPort);
  assert.deepEqual(ports, [4000, 4001, 4002, 4003]);
  PROXIES.forEach((proxy, i) => {
    const back = received(bed, tcp(REAL, 443, ALICE.ipv4, ports[i]!));
    assert.deepEqual([back.src, back.dstPort, back.valid], [proxy, 4000, true]);
  });
  const ids = PROXIES.map((proxy) => sent(bed, echo(ALICE.ipv4, proxy, 7)).srcPort);
  assert.deepEqual(ids, [7, 8, 9, 10]);
  assert.deepEqual(received(bed, echo(REAL, ALICE.ipv4, 9, true)), {
    src: PROXIES[2],
    dst: ALICE.ipv4,
    protocol: 1,
    srcPort: 7,
    dstPort: 7,
    valid: true,
  });
});

Deno.test("two clients use the same proxy address, port and server without meeting", () => {
  const bed = bedWithApp();
  bed.grant(BOB, dns(2, "web.example.org"));
  map(bed, 2, [REAL], { domain: "web.example.org", party: BOB });
  assert.equal(sent(bed, tcp(ALICE.ipv4, 4000, PROXIES[0]!, 443)).srcPort, 4000);
  assert.equal(sent(bed, tcp(BOB.ipv4, 4000, PROXIES[0]!, 443), BOB).srcPort, 4000);
  assert.equal(bed.receive(tcp(REAL, 443, BOB.ipv4, 4000))?.to, BOB.id);
  assert.equal(bed.receive(tcp(REAL, 443, ALICE.ipv4, 4000))?.to, ALICE.id);
});

// Life of sessions

Deno.test("after its time a session's late answer is dropped and not forwarded with the real address", () => {
  const bed = bedWithApp();
  bed.grant(ALICE, cidr(2, "172.16.0.0/12"));
  sent(bed, udp(ALICE.ipv4, 4000, PROXIES[0]!, 53));
  assert.equal(received(bed, udp(REAL, 53, ALICE.ipv4, 4000)).src, PROXIES[0]);
  bed.advance(119_000);
  assert.equal(received(bed, udp(REAL, 53, ALICE.ipv4, 4000)).src, PROXIES[0]);
  bed.advance(119_000);
  assert.equal(received(bed, udp(REAL, 53, ALICE.ipv4, 4000)).src, PROXIES[0], "answers alone keep it alive");
  bed.advance(120_000);
  assert.equal(bed.receive(udp(REAL, 53, ALICE.ipv4, 4000)), undefined);
  assert.equal(bed.receive(unreachable(REAL, ALICE.ipv4, udp(ALICE.ipv4, 4000, REAL, 53))), undefined);
  assert.equal(bed.counters.get("policy_in_nat_session_expired"), 2);
  assert.equal(bed.policy.pollTimeout(), undefined, "no sessions, nothing to do");
});

Deno.test("RST and FIN close a session, the last packets still pass", () => {
  const bed = bedWithApp();
  const out = (port: number, flags: number) => sent(bed, tcp(ALICE.ipv4, port, PROXIES[0]!, 443, flags)).dst;
  const back = (port: number, flags: number) =>
    bed.receive(tcp(REAL, 443, ALICE.ipv4, port, flags)) !== undefined;
  for (const port of [1, 2]) assert.ok(out(port, SYN) && back(port, SYN | ACK));
  assert.ok(out(1, RST) && back(1, ACK), "before the next tick");
  assert.ok(out(2, FIN | ACK) && back(2, FIN | ACK) && out(2, ACK));
  bed.advance(1000);
  assert.ok(!back(1, ACK) && back(2, ACK));
  bed.advance(4000);
  assert.ok(back(2, ACK));
  bed.advance(6000);
  assert.ok(!back(2, ACK));
});

Deno.test("a plain flow to an address takes over from an expired session, and never shares a port with a live one", () => {
  const bed = bedWithApp(REAL);
  bed.grant(ALICE, cidr(2, "172.16.0.0/12"));
  sent(bed, udp(ALICE.ipv4, 4000, PROXIES[0]!, 53));
  bed.advance(60_000);
  assert.equal(bed.receive(udp(REAL, 53, ALICE.ipv4, 4000)), undefined);
  assert.ok(bed.passes(ALICE, udp(ALICE.ipv4, 4000, REAL, 53)));
  assert.ok(bed.delivers(ALICE, udp(REAL, 53, ALICE.ipv4, 4000)));
  assert.equal(sent(bed, udp(ALICE.ipv4, 4000, PROXIES[0]!, 53)).srcPort, 4001, "the plain flow has 4000");
  assert.equal(received(bed, udp(REAL, 53, ALICE.ipv4, 4001)).src, PROXIES[0]);
  sent(bed, udp(ALICE.ipv4, 5000, PROXIES[0]!, 53));
  const plain = sent(bed, udp(ALICE.ipv4, 5000, REAL, 53));
  assert.deepEqual([plain.dst, plain.srcPort, plain.valid], [REAL, 5001, true]);
  assert.deepEqual({ ...received(bed, udp(REAL, 53, ALICE.ipv4, 5001)), protocol: 0 }, {
    src: REAL,
    dst: ALICE.ipv4,
    protocol: 0,
    srcPort: 53,
    dstPort: 5000,
    valid: true,
  });
});

Deno.test("when the ports towards a server are used up, packets are dropped and counted", () => {
  const bed = bedWithApp(REAL);
  const bytes = udp(ALICE.ipv4, 0, PROXIES[0]!, 53);
  for (let port = 1; port <= 65535; port++) {
    bytes.set([port >> 8, port & 255], 20);
    bed.send(ALICE, bytes);
  }
  assert.equal(bed.send(ALICE, udp(ALICE.ipv4, 1, PROXIES[1]!, 53)), "drop");
  assert.equal(bed.counters.get("policy_out_nat_exhausted"), 1);
});

// ICMP errors

Deno.test("errors of any reporter about a translated flow reach the client's socket, with type, code and MTU", () => {
  const bed = bedWithApp(REAL, REAL6);
  sent(bed, udp(ALICE.ipv4, 4000, PROXIES[1]!, 53));
  sent(bed, tcp(ALICE.ipv6, 4000, PROXIES6[1]!, 80));
  const quoted = udp(ALICE.ipv4, 4000, REAL, 53), quoted6 = tcp(ALICE.ipv6, 4000, REAL6, 80);
  for (const reporter of ["192.168.1.1", REAL, GATEWAY.ipv4, BOB.ipv4]) {
    const error =
      bed.receive(icmp(reporter, ALICE.ipv4, 3, 4, [0, 0, 4, 0x78], quoted.subarray(0, 28)))!.bytes;
    assert.deepEqual([...error.subarray(20, 22), ...error.subarray(24, 28)], [3, 4, 0, 0, 4, 0x78]);
    const { src, dst, valid } = read(error);
    assert.deepEqual([src, dst, valid, error[8]], [PROXIES[1], ALICE.ipv4, true, 20]);
    assert.equal(toHex(error.subarray(44, 48)), toHex(ip(PROXIES[1]!)));
  }
  for (const reporter of ["2001:db8:9::1", GATEWAY.ipv6]) {
    const error = bed.receive(icmp(reporter, ALICE.ipv6, 2, 0, [0, 0, 5, 0], quoted6))!.bytes;
    const { src, dst, valid } = read(error);
    assert.deepEqual([src, dst, valid, error[7]], [PROXIES6[1], ALICE.ipv6, true, 20]);
    assert.equal(toHex(error.subarray(72, 88)), toHex(ip(PROXIES6[1]!)));
  }
});

Deno.test("the quoted port or id becomes the client's, the quoted checksums stay", () => {
  const bed = bedWithApp(REAL);
  for (const proxy of PROXIES) sent(bed, echo(ALICE.ipv4, proxy, 7));
  const error = bed.receive(unreachable("192.168.1.1", ALICE.ipv4, echo(ALICE.ipv4, REAL, 10)))!.bytes;
  assert.deepEqual([error[52], error[53]], [0, 7]);
  assert.equal(read(error).src, PROXIES[3]);
  const quoted = echo(ALICE.ipv4, REAL, 10);
  assert.deepEqual(error.subarray(38, 40), quoted.subarray(10, 12));
  assert.deepEqual(error.subarray(50, 52), quoted.subarray(22, 24));
});

Deno.test("an error with IPv4 options becomes shorter, one that is too long is cut to the tunnel's MTU", () => {
  const bed = bedWithApp(REAL, REAL6);
  sent(bed, udp(ALICE.ipv4, 4000, PROXIES[0]!, 53));
  sent(bed, udp(ALICE.ipv6, 4000, PROXIES6[0]!, 53));
  const plain = unreachable("192.168.1.1", ALICE.ipv4, udp(ALICE.ipv4, 4000, REAL, 53));
  const options = Uint8Array.from([0x46, ...plain.subarray(1, 20), 1, 1, 1, 1, ...plain.subarray(20)]);
  options[3] = options.length;
  assert.deepEqual(bed.receive(options)?.bytes, bed.receive(plain)?.bytes);
  const long = udp(ALICE.ipv4, 4000, REAL, 53, "x".repeat(1400));
  const cut = bed.receive(icmp("192.168.1.1", ALICE.ipv4, 3, 1, [0, 0, 0, 0], long))!.bytes;
  assert.equal(cut.length, 1280);
  assert.equal((cut[2]! << 8) | cut[3]!, 1280);
  assert.ok(read(cut).valid);
  const long6 = udp(ALICE.ipv6, 4000, REAL6, 53, "x".repeat(1400));
  const cut6 = bed.receive(icmp("2001:db8:9::1", ALICE.ipv6, 1, 0, [0, 0, 0, 0], long6))!.bytes;
  assert.equal(cut6.length, 1280);
  assert.ok(read(cut6).valid);
});

Deno.test("errors with extension headers in front are translated too", () => {
  const bed = bedWithApp(REAL, REAL6);
  sent(bed, udp(ALICE.ipv6, 4000, PROXIES6[0]!, 53));
  const plain = unreachable("2001:db8:9::1", ALICE.ipv6, udp(ALICE.ipv6, 4000, REAL6, 53));
  const extended = packet({
    src: "2001:db8:9::1",
    dst: ALICE.ipv6,
    protocol: 60,
    l4: Uint8Array.of(58, 0, 1, 4, 0, 0, 0, 0, ...plain.subarray(40)),
  });
  assert.deepEqual(bed.receive(extended)?.bytes, bed.receive(plain)?.bytes);
});

// Properties

Deno.test("the answer to a translated packet maps back exactly, for random ports, payloads and neighbours", () => {
  const port = fc.integer({ min: 1, max: 65535 });
  const flow = fc.record({
    proxy: fc.nat(3),
    src: port,
    dst: port,
    v6: fc.boolean(),
    payload: fc.string({ maxLength: 40 }),
  });
  fc.assert(
    fc.property(fc.array(flow, { minLength: 1, maxLength: 20 }), (flows) => {
      const bed = bedWithApp(REAL, REAL6);
      for (const { proxy, src, dst, v6, payload } of flows) {
        const [mine, theirs] = v6 ? [ALICE.ipv6, PROXIES6[proxy]!] : [ALICE.ipv4, PROXIES[proxy]!];
        const out = sent(bed, udp(mine, src, theirs, dst, payload));
        assert.deepEqual([out.dst, out.dstPort, out.valid], [v6 ? REAL6 : REAL, dst, true]);
        const back = bed.receive(udp(out.dst, dst, mine, out.srcPort, payload));
        assert.deepEqual(back?.bytes, udp(theirs, dst, mine, src, payload));
      }
    }),
    { numRuns: 50 },
  );
});
