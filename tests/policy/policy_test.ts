import { strict as assert } from "node:assert";
import {
  ALICE,
  Bed,
  BOB,
  cidr,
  dns,
  GATEWAY,
  ICMP,
  internet,
  resourceId,
  tcpPorts,
  udpPorts,
} from "./harness.ts";
import { echo, icmp, other, packet, SYN, tcp, udp, unreachable } from "./packets.ts";

const HOST = "10.0.0.9", HOST6 = "2001:db8::9";
const web = (host = HOST, port = 80) => tcp(ALICE.ipv4, 40000, host, port, SYN);
const webReply = (host = HOST, port = 80) => tcp(host, port, ALICE.ipv4, 40000);

// Sources and own addresses

Deno.test("client and gateway exchange any packet over their tunnel addresses without a matching resource", () => {
  const bed = new Bed();
  bed.grant(ALICE, cidr(1, "10.0.0.0/8", tcpPorts(1)));
  for (const [mine, yours] of [[ALICE.ipv4, GATEWAY.ipv4], [ALICE.ipv6, GATEWAY.ipv6]] as const) {
    for (
      const make of [
        (a: string, b: string) => udp(a, 4000, b, 53535),
        (a: string, b: string) => tcp(a, 4000, b, 22),
        (a: string, b: string) => echo(a, b, 7),
        (a: string, b: string) => other(a, b),
      ]
    ) {
      assert.ok(bed.passes(ALICE, make(mine, yours)));
      assert.ok(bed.delivers(ALICE, make(yours, mine)));
    }
  }
});

Deno.test("a source that is not exactly the client's own tunnel address is prohibited", () => {
  const bed = new Bed();
  bed.grant(ALICE, cidr(1, "0.0.0.0/0"));
  bed.grant(ALICE, cidr(2, "::/0"));
  bed.grant(BOB, cidr(1, "0.0.0.0/0"));
  for (const source of [BOB.ipv4, "10.1.1.1", "0.0.0.0", GATEWAY.ipv4]) {
    assert.equal(bed.send(ALICE, udp(source, 1, HOST, 2)), "prohibited");
    assert.equal(bed.send(ALICE, udp(source, 1, GATEWAY.ipv4, 2)), "prohibited");
  }
  for (const source of [BOB.ipv6, "::", "2001:db8::1"]) {
    assert.equal(bed.send(ALICE, udp(source, 1, HOST6, 2)), "prohibited");
  }
  assert.equal(bed.counters.get("policy_out_refused_spoofed_source"), 11);
  assert.equal(bed.counters.get("policy_answer_prohibited"), 11);
});

Deno.test("multicast from a client is dropped without an answer, whatever the source and the resources", () => {
  const bed = new Bed();
  bed.grant(ALICE, internet(1));
  bed.grant(ALICE, cidr(2, "0.0.0.0/0"));
  assert.equal(bed.send(ALICE, udp(ALICE.ipv4, 1, "224.0.0.251", 5353)), "drop");
  assert.equal(bed.send(ALICE, udp("1.2.3.4", 1, "239.255.255.250", 1900)), "drop");
  assert.equal(bed.send(ALICE, udp(ALICE.ipv6, 1, "ff02::fb", 5353)), "drop");
  assert.equal(bed.counters.get("policy_out_multicast"), 3);
});

Deno.test("ICMP errors from a client are dropped without an answer, also towards the gateway", () => {
  const bed = new Bed();
  bed.grant(ALICE, cidr(1, "10.0.0.0/8"));
  const quoted = udp(HOST, 1, ALICE.ipv4, 2), quoted6 = udp(HOST6, 1, ALICE.ipv6, 2);
  assert.equal(bed.send(ALICE, unreachable(ALICE.ipv4, HOST, quoted)), "drop");
  assert.equal(bed.send(ALICE, unreachable("9.9.9.9", HOST, quoted)), "drop");
  assert.equal(bed.send(ALICE, unreachable(ALICE.ipv4, GATEWAY.ipv4, quoted)), "drop");
  assert.equal(bed.send(ALICE, unreachable(ALICE.ipv6, HOST6, quoted6)), "drop");
  assert.equal(bed.send(ALICE, icmp(ALICE.ipv4, "192.0.2.1", 5, 0, [0, 0, 0, 0], quoted)), "drop");
  assert.equal(bed.counters.get("policy_out_icmp_error"), 5);
});

// Resources

Deno.test("a CIDR resource opens its network and nothing beside it, in both directions", () => {
  const bed = new Bed();
  bed.grant(ALICE, cidr(1, "10.0.0.0/24"));
  bed.grant(ALICE, cidr(2, "2001:db8::/64"));
  assert.ok(bed.passes(ALICE, web("10.0.0.255")));
  assert.ok(bed.delivers(ALICE, webReply("10.0.0.255")));
  assert.ok(bed.passes(ALICE, udp(ALICE.ipv6, 1, HOST6, 2)));
  assert.ok(bed.delivers(ALICE, udp(HOST6, 2, ALICE.ipv6, 1)));
  assert.ok(bed.passes(ALICE, other(ALICE.ipv4, HOST)));
  assert.ok(bed.delivers(ALICE, other(HOST, ALICE.ipv4)), "what leaves may come back");
  assert.equal(bed.send(ALICE, web("10.0.1.0")), "prohibited");
  assert.equal(bed.send(ALICE, web("9.255.255.255")), "prohibited");
  assert.equal(bed.send(ALICE, udp(ALICE.ipv6, 1, "2001:db8:0:1::", 2)), "prohibited");
  assert.equal(bed.receive(webReply("10.0.1.0")), undefined);
  assert.equal(bed.counters.get("policy_out_refused_no_resource"), 3);
  assert.equal(bed.counters.get("policy_in_refused_no_resource"), 1);
});

Deno.test("filters apply to the destination port outbound and to the source port inbound", () => {
  const bed = new Bed();
  bed.grant(ALICE, cidr(1, "10.0.0.0/24", tcpPorts(80, 81), udpPorts(53)));
  for (const port of [80, 81]) {
    assert.ok(bed.passes(ALICE, web(HOST, port)));
    assert.ok(bed.delivers(ALICE, webReply(HOST, port)));
  }
  assert.ok(bed.passes(ALICE, udp(ALICE.ipv4, 1, HOST, 53)));
  for (const port of [0, 79, 82, 53, 65535]) {
    assert.equal(bed.send(ALICE, web(HOST, port)), "prohibited");
    assert.equal(bed.receive(webReply(HOST, port)), undefined);
  }
  assert.equal(bed.send(ALICE, udp(ALICE.ipv4, 1, HOST, 80)), "prohibited");
  assert.equal(bed.send(ALICE, echo(ALICE.ipv4, HOST, 1)), "prohibited");
  assert.equal(bed.send(ALICE, other(ALICE.ipv4, HOST)), "prohibited");
  assert.deepEqual(
    ["tcp_port", "udp_port", "icmp_filter", "protocol_filter"].map((reason) =>
      bed.counters.get(`policy_out_refused_${reason}`)
    ),
    [5, 1, 1, 1],
  );
});

Deno.test("an ICMP filter permits every ICMP type in both families, and without one other ICMP is refused", () => {
  const bed = new Bed();
  bed.grant(ALICE, cidr(1, "10.0.0.0/8", ICMP));
  bed.grant(ALICE, cidr(2, "2001:db8::/32", ICMP));
  bed.grant(BOB, cidr(3, "10.0.0.0/8", tcpPorts(1)));
  const timestamp = (party: typeof ALICE) => icmp(party.ipv4, HOST, 13, 0, [0, 1, 0, 1], new Uint8Array(12));
  assert.ok(bed.passes(ALICE, echo(ALICE.ipv4, HOST, 1)));
  assert.ok(bed.passes(ALICE, echo(ALICE.ipv6, HOST6, 1)));
  assert.ok(bed.delivers(ALICE, echo(HOST, ALICE.ipv4, 1, true)));
  assert.ok(bed.passes(ALICE, timestamp(ALICE)));
  assert.equal(bed.send(ALICE, web()), "prohibited");
  assert.equal(bed.send(BOB, timestamp(BOB)), "prohibited");
  assert.equal(bed.receive(icmp(HOST, BOB.ipv4, 14, 0, [0, 1, 0, 1], new Uint8Array(12))), undefined);
});

Deno.test("any covering resource that permits is enough: filters of nested networks are united", () => {
  const bed = new Bed();
  bed.grant(ALICE, cidr(1, "10.0.0.0/8", tcpPorts(22)));
  bed.grant(ALICE, cidr(2, "10.1.0.0/16", tcpPorts(80)));
  assert.ok(bed.passes(ALICE, web("10.1.2.3", 22)));
  assert.ok(bed.passes(ALICE, web("10.1.2.3", 80)));
  assert.ok(bed.passes(ALICE, web("10.2.0.0", 22)));
  assert.equal(bed.send(ALICE, web("10.2.0.0", 80)), "prohibited");
  bed.grant(ALICE, cidr(3, "0.0.0.0/0"));
  assert.ok(bed.passes(ALICE, other(ALICE.ipv4, "10.1.2.3")));
});

Deno.test("removing one of two resources on one network keeps the other's permission", () => {
  const bed = new Bed();
  bed.grant(ALICE, cidr(1, "10.0.0.0/24", tcpPorts(80)));
  bed.grant(ALICE, cidr(2, "10.0.0.0/24", tcpPorts(22)));
  assert.ok(bed.passes(ALICE, web(HOST, 80)) && bed.passes(ALICE, web(HOST, 22)));
  assert.ok(bed.policy.revoke(ALICE.id, resourceId(1)));
  assert.equal(bed.send(ALICE, web(HOST, 80)), "prohibited");
  assert.ok(bed.passes(ALICE, web(HOST, 22)));
});

Deno.test("the grant that let a packet through is the permitting one with the longest prefix, then the larger id", () => {
  const bed = new Bed();
  const [wide, narrow, twin, refusing] = [
    cidr(9, "10.0.0.0/8"),
    cidr(1, "10.0.0.0/24", tcpPorts(80)),
    cidr(2, "10.0.0.0/24", tcpPorts(80)),
    cidr(3, "10.0.0.9/32", tcpPorts(443)),
  ];
  const matched = () => (bed.send(ALICE, web()), bed.policy.matched?.resource.id);
  bed.grant(ALICE, wide);
  assert.equal(matched(), wide.id);
  bed.grant(ALICE, narrow);
  assert.equal(matched(), narrow.id);
  bed.grant(ALICE, twin);
  assert.equal(matched(), twin.id);
  bed.grant(ALICE, refusing);
  assert.equal(matched(), twin.id);
  bed.send(ALICE, udp(ALICE.ipv4, 1, GATEWAY.ipv4, 2));
  assert.equal(bed.policy.matched, undefined);
});

Deno.test("DNS resources don't open CIDR addresses, and CIDR resources don't open proxy addresses", () => {
  const bed = new Bed();
  bed.grant(ALICE, dns(1, "app.example.com"));
  bed.grant(ALICE, cidr(2, "10.0.0.0/24", tcpPorts(80)));
  assert.equal(bed.send(ALICE, web("100.96.0.1")), "prohibited");
  assert.equal(bed.send(ALICE, web(HOST, 443)), "prohibited");
  assert.ok(bed.passes(ALICE, web()));
});

// Internet

Deno.test("the Internet resource opens every public address to every protocol, both ways, and no proxy address", () => {
  const bed = new Bed();
  bed.grant(ALICE, internet(1));
  for (
    const host of [
      "1.1.1.1",
      "0.1.2.3",
      "192.0.2.1",
      "198.18.0.1",
      "100.63.255.255",
      "100.128.0.0",
      "172.32.0.1",
    ]
  ) {
    assert.ok(bed.passes(ALICE, web(host)), host);
    assert.ok(bed.delivers(ALICE, webReply(host)), host);
    assert.ok(bed.passes(ALICE, other(ALICE.ipv4, host)));
    assert.ok(bed.delivers(ALICE, other(host, ALICE.ipv4)));
  }
  for (const host of ["2606:4700::1111", "::2", "fbff::1", "fec0::1", "2001:db8::1"]) {
    assert.ok(bed.passes(ALICE, udp(ALICE.ipv6, 1, host, 2)), host);
    assert.ok(bed.delivers(ALICE, udp(host, 2, ALICE.ipv6, 1)), host);
  }
  assert.equal(bed.send(ALICE, web("100.96.0.1")), "prohibited");
  assert.equal(bed.send(ALICE, udp(ALICE.ipv6, 1, "fd00:2021:1111:8000::1", 2)), "prohibited");
});

Deno.test("the Internet resource never reaches private or special addresses: unreachable, and nothing comes back", () => {
  const bed = new Bed();
  bed.grant(ALICE, internet(1));
  const blocked = [
    ...[
      "10.0.0.0",
      "10.255.255.255",
      "172.16.0.1",
      "172.31.255.255",
      "192.168.0.1",
      "127.0.0.1",
      "169.254.169.254",
    ],
    ...["240.0.0.1", "255.255.255.255"],
  ];
  for (const host of blocked) {
    assert.equal(bed.send(ALICE, web(host)), "unreachable", host);
    assert.equal(bed.receive(webReply(host)), undefined, host);
  }
  for (const host of ["::1", "::ffff:10.0.0.1", "fc00::1", "fd12::1", "fe80::1", "febf::1"]) {
    assert.equal(bed.send(ALICE, udp(ALICE.ipv6, 1, host, 2)), "unreachable", host);
    assert.equal(bed.receive(udp(host, 2, ALICE.ipv6, 1)), undefined, host);
  }
  assert.equal(bed.receive(udp("ff02::1", 2, ALICE.ipv6, 1)), undefined);
  assert.equal(bed.counters.get("policy_out_refused_internet_blocked"), blocked.length + 6);
  assert.equal(bed.counters.get("policy_answer_unreachable"), blocked.length + 6);
});

Deno.test("a private network granted beside the Internet resource obeys its own filters", () => {
  const bed = new Bed();
  bed.grant(ALICE, internet(1));
  bed.grant(ALICE, cidr(2, "10.0.0.0/24", tcpPorts(80)));
  assert.ok(bed.passes(ALICE, web(HOST, 80)));
  assert.equal(bed.send(ALICE, web(HOST, 81)), "prohibited");
  assert.equal(bed.send(ALICE, web("10.0.1.1", 80)), "unreachable");
});

Deno.test("no resource reaches another client through the gateway, in either direction", () => {
  const bed = new Bed();
  bed.grant(ALICE, internet(1));
  bed.grant(ALICE, cidr(2, "100.64.0.0/10"));
  bed.grant(ALICE, cidr(3, "::/0"));
  bed.grant(BOB, internet(1));
  assert.equal(bed.send(ALICE, web(BOB.ipv4)), "prohibited");
  assert.equal(bed.send(ALICE, web(ALICE.ipv4)), "prohibited");
  assert.equal(bed.send(ALICE, udp(ALICE.ipv6, 1, BOB.ipv6, 2)), "prohibited");
  assert.equal(bed.receive(webReply(BOB.ipv4)), undefined);
  assert.equal(bed.receive(udp(BOB.ipv6, 2, ALICE.ipv6, 1)), undefined);
  const quoted = udp(ALICE.ipv4, 1, BOB.ipv4, 2);
  assert.equal(bed.receive(unreachable(BOB.ipv4, ALICE.ipv4, quoted)), undefined);
  assert.equal(bed.counters.get("policy_in_refused_other_client"), 3);
});

// Inbound

Deno.test("packets from TUN to nobody are dropped by reason", () => {
  const bed = new Bed();
  bed.grant(ALICE, cidr(1, "0.0.0.0/0"));
  bed.grant(ALICE, cidr(2, "::/0"));
  assert.equal(bed.receive(udp(HOST, 1, "100.64.0.99", 2)), undefined);
  assert.equal(bed.receive(udp(HOST6, 1, "fd00:2021:1111::99", 2)), undefined);
  assert.equal(bed.receive(udp(HOST, 1, "192.0.2.1", 2)), undefined);
  assert.equal(bed.receive(udp("fe80::1", 1, "ff02::16", 2)), undefined);
  assert.equal(bed.receive(udp(HOST, 1, "100.96.0.5", 2)), undefined, "low bits as Alice's, another range");
  assert.equal(bed.receive(udp(HOST6, 1, "fd00:2021:1111:8000::5", 2)), undefined);
  assert.equal(bed.counters.get("policy_in_no_peer"), 2);
  assert.equal(bed.counters.get("policy_in_not_to_client"), 4);
});

Deno.test("a packet from TUN that claims a proxy address as its source is dropped", () => {
  const bed = new Bed();
  bed.grant(ALICE, cidr(1, "0.0.0.0/0"));
  bed.grant(ALICE, cidr(2, "::/0"));
  assert.equal(bed.receive(udp("100.96.0.1", 1, ALICE.ipv4, 2)), undefined);
  assert.equal(bed.receive(udp("fd00:2021:1111:8000::1", 1, ALICE.ipv6, 2)), undefined);
});

Deno.test("ICMP errors about a flow pass regardless of filters, from whatever router", () => {
  const bed = new Bed();
  bed.grant(ALICE, cidr(1, "10.0.0.0/24", tcpPorts(80)));
  bed.grant(ALICE, cidr(2, "2001:db8::/64", tcpPorts(80)));
  const quoted = web(), quoted6 = tcp(ALICE.ipv6, 40000, HOST6, 80);
  for (const [type, code] of [[3, 0], [3, 1], [3, 3], [3, 4], [3, 13], [11, 0], [11, 1]] as const) {
    assert.ok(
      bed.delivers(ALICE, icmp("192.168.7.1", ALICE.ipv4, type, code, [0, 0, 5, 0], quoted.subarray(0, 28))),
    );
  }
  for (const [type, code] of [[1, 0], [1, 4], [2, 0], [3, 0]] as const) {
    assert.ok(bed.delivers(ALICE, icmp("2001:db8:7::1", ALICE.ipv6, type, code, [0, 0, 5, 0], quoted6)));
  }
  assert.equal(bed.counters.get("policy_in_icmp_error"), 11);
});

Deno.test("other ICMP messages and errors with an unreadable quote obey the filters", () => {
  const bed = new Bed();
  bed.grant(ALICE, cidr(1, "10.0.0.0/24", tcpPorts(80)));
  bed.grant(BOB, cidr(2, "10.0.0.0/24"));
  const quoted = web();
  const refused: [type: number, body: Uint8Array][] = [
    [5, quoted], // redirect
    [4, quoted], // source quench
    [12, quoted], // parameter problem
    [3, quoted.subarray(0, 23)], // ports cut off
    [3, quoted.subarray(0, 19)],
    [3, new Uint8Array(0)],
    [3, other(ALICE.ipv4, HOST)],
    [3, echo(ALICE.ipv4, HOST, 1, true)],
    [3, tcp(ALICE.ipv6, 1, HOST6, 2)],
  ];
  for (const [type, body] of refused) {
    assert.equal(bed.receive(icmp(HOST, ALICE.ipv4, type, 1, [0, 0, 0, 0], body)), undefined, `type ${type}`);
    assert.ok(
      bed.delivers(BOB, icmp(HOST, BOB.ipv4, type, 1, [0, 0, 0, 0], body)),
      "permit-all lets it through",
    );
  }
});

// Control packets

Deno.test("control packets are recognised before every check and from nothing else", () => {
  const bed = new Bed();
  bed.grant(ALICE, cidr(1, "::/0"));
  const control = (src: string, dst: string, protocol: number, length: number) =>
    packet({ src, dst, protocol, l4: new Uint8Array(length), ttl: 0 });
  assert.equal(bed.send(ALICE, control("::", "::", 255, 8)), "control");
  assert.equal(bed.send(ALICE, control("::", "::", 255, 700)), "control");
  assert.equal(bed.send(ALICE, control("::", "::", 255, 7)), "prohibited");
  assert.equal(bed.send(ALICE, control("::", "::", 254, 8)), "prohibited");
  assert.equal(bed.send(ALICE, control(ALICE.ipv6, "::", 255, 8)) instanceof Uint8Array, true);
  assert.equal(bed.send(ALICE, control("::", "::1", 255, 8)), "prohibited");
  assert.equal(bed.receive(control("::", "::", 255, 8)), undefined);
});

Deno.test("ICMP answers are limited per client, generously", () => {
  const bed = new Bed();
  bed.grant(ALICE, cidr(1, "10.0.0.0/24"));
  bed.grant(BOB, cidr(1, "10.0.0.0/24"));
  const refused = web("10.9.9.9");
  let answers = 0;
  for (let i = 0; i < 5000; i++) if (bed.send(ALICE, refused) === "prohibited") answers++;
  assert.equal(answers, 2000);
  assert.equal(bed.counters.get("policy_answer_limited"), 3000);
  assert.equal(bed.send(BOB, tcp(BOB.ipv4, 1, "10.9.9.9", 1)), "prohibited");
  bed.advance(1000);
  answers = 0;
  for (let i = 0; i < 5000; i++) if (bed.send(ALICE, refused) === "prohibited") answers++;
  assert.equal(answers, 1000);
});

Deno.test("fragments never reach the policy, and packets with extension headers are judged by their ports", () => {
  const bed = new Bed();
  bed.grant(ALICE, cidr(1, "10.0.0.0/24"));
  bed.grant(ALICE, cidr(2, "2001:db8::/64", tcpPorts(80)));
  const fragment = web();
  fragment[6] = 0x20;
  assert.equal(bed.send(ALICE, fragment), "drop");
  const extended = (port: number) => {
    const inner = tcp(ALICE.ipv6, 1, HOST6, port).subarray(40);
    return packet({
      src: ALICE.ipv6,
      dst: HOST6,
      protocol: 60,
      l4: Uint8Array.of(6, 0, 1, 4, 0, 0, 0, 0, ...inner),
    });
  };
  assert.ok(bed.passes(ALICE, extended(80)));
  assert.equal(bed.send(ALICE, extended(81)), "prohibited");
});

Deno.test("a verdict about an IPv4 address says nothing about the IPv6 address that begins with the same bytes", () => {
  const bed = new Bed();
  bed.grant(ALICE, cidr(1, "10.0.0.0/24"));
  const twin = "a00:9::";
  for (const port of [0, 80]) assert.ok(bed.passes(ALICE, udp(ALICE.ipv4, 1, HOST, port)));
  assert.ok(bed.passes(ALICE, tcp(ALICE.ipv4, 1, HOST, 0)));
  assert.ok(bed.passes(ALICE, echo(ALICE.ipv4, HOST, 1)));
  assert.ok(bed.passes(ALICE, other(ALICE.ipv4, HOST)));
  for (
    const bytes of [
      udp(ALICE.ipv6, 1, twin, 0),
      udp(ALICE.ipv6, 1, twin, 80),
      tcp(ALICE.ipv6, 1, twin, 0),
      echo(ALICE.ipv6, twin, 1),
      other(ALICE.ipv6, twin),
    ]
  ) {
    assert.equal(bed.send(ALICE, bytes), "prohibited");
  }
});
