import { equal, ok, throws } from "node:assert/strict";
import { PeerPolicy } from "../../mod/embedded/relay/mod.ts";
import { SocketAddress } from "../../mod/packet/address.ts";
import { AttributeType as A, encodeStun, Method } from "../../mod/stun/mod.ts";
import { RELAY_V4, RELAY_V6, RelayHarness } from "./relay_harness.ts";
import { address, ALICE, BOB, BOTH, CLIENT, credential, PEER, RawClient, UDP } from "./relay_raw_client.ts";

Deno.test("dangerous peers are 403 and counted; ranges can be allowed and others refused", () => {
  const refused = [
    "127.0.0.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "224.0.0.1",
    "239.255.255.255",
    "255.255.255.255",
    "240.0.0.1",
    "192.0.0.1",
    "198.18.0.1",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "fec0::1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001::1",
  ];
  const permitted = [
    "8.8.8.8",
    "198.51.100.7",
    "203.0.113.9",
    "172.32.0.1",
    "100.128.0.1",
    "2001:db8::7",
    "2606:4700::1",
    "64:ff9b::8.8.8.8",
  ];
  const client = new RawClient();
  client.allocate();
  let number = 0x4000;
  for (const ip of refused) equal(client.bind(number++, SocketAddress.of(ip, 4000)!), 403, ip);
  equal(client.relay.counters.get("relay_refused_peers"), refused.length);
  for (const ip of permitted) equal(client.bind(number++, SocketAddress.of(ip, 4000)!), 0, ip);
  equal(
    client.request(Method.CREATE_PERMISSION, [[A.XOR_PEER_ADDRESS, address("10.0.0.1:0")]]).errorCode?.code,
    403,
  );

  const peers = new PeerPolicy({
    allowed: ["10.0.0.0/8", "fd00::/8"],
    refused: ["10.9.0.0/16", "198.51.100.18"],
  });
  const opened = new RawClient({ peers });
  opened.allocate();
  equal(opened.bind(0x4000, address("10.1.2.3:1")), 0);
  equal(opened.bind(0x4001, address("[fd00::1]:1")), 0);
  equal(opened.bind(0x4002, address("10.9.2.3:1")), 403, "refused is stronger");
  equal(opened.bind(0x4003, address("198.51.100.18:443")), 403, "the portal's address");
  equal(opened.bind(0x4004, address("192.168.0.1:1")), 403);
});

Deno.test("of the relay's own addresses only relayed ports can be peers", () => {
  const client = new RawClient();
  client.allocate();
  equal(client.bind(0x4000, address(`${RELAY_V4}:3478`)), 403, "no loop through the listening socket");
  equal(client.bind(0x4001, address(`${RELAY_V4}:22`)), 403);
  equal(client.bind(0x4002, address(`[${RELAY_V6}]:3478`)), 403);
  equal(client.bind(0x4003, address(`${RELAY_V4}:50000`)), 0);
});

Deno.test("other sockets of the relay's host can be allowed by name, its listening port never", () => {
  const client = new RawClient({ peers: new PeerPolicy({ allowed: [RELAY_V4] }) });
  client.allocate();
  equal(client.bind(0x4000, address(`${RELAY_V4}:22`)), 0);
  equal(client.bind(0x4001, address(`${RELAY_V4}:50000`)), 0);
  equal(client.bind(0x4002, address(`${RELAY_V4}:3478`)), 403);
});

Deno.test("the listening port is no peer at any address of the host, whatever is allowed", () => {
  const client = new RawClient({
    peers: new PeerPolicy({ allowed: ["0.0.0.0/0", "::/0"] }),
    localAddresses: ["10.0.0.5", "fd00::5"],
  });
  client.allocate();
  let number = 0x4000;
  const own = ["127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.5", RELAY_V4, "::1", "::", "fd00::5", RELAY_V6];
  for (const ip of own) {
    equal(client.bind(number++, SocketAddress.of(ip, 3478)!), 403, ip);
    equal(client.bind(number++, SocketAddress.of(ip, 3479)!), 0, ip);
  }
  equal(client.bind(number++, SocketAddress.of("10.0.0.6", 3478)!), 0, "somebody else's relay");
});

Deno.test("a range that is none is named in the error", () => {
  for (const range of ["10.0.0.0/33", "example", "10.0.0.0/8/8", "10.0.0/8", "fd00::/129", "1.2.3.4/"]) {
    throws(
      () => new PeerPolicy({ allowed: [range] }),
      (error: Error) => error.message.includes(`"${range}"`),
    );
  }
});

Deno.test("quotas: 486 for one source, 508 for the relay, its ports and its channels", () => {
  const relay = new RelayHarness({
    limits: { allocations: 3, allocationsPerSource: 2, channelsPerAllocation: 2 },
  });
  const allocate = (device: string, from: string) => {
    const client = new RawClient({}, address(from), credential(device), relay);
    return client.allocate().errorCode?.code ?? 0;
  };
  equal(allocate("a", "203.0.113.5:1001"), 0);
  equal(allocate("b", "203.0.113.5:1002"), 0);
  equal(allocate("c", "203.0.113.5:1003"), 486);
  equal(allocate("a", "203.0.113.5:1004"), 0, "replaces its own");
  equal(allocate("d", "203.0.113.6:1001"), 0);
  equal(allocate("e", "203.0.113.7:1001"), 508);
  equal(allocate("f", "[2001:db8:9::1]:1"), 508);

  const ports = new RelayHarness({ portRange: [50000, 50001] });
  ports.takenPorts.add(50000);
  equal(
    new RawClient({}, address("203.0.113.5:1"), ALICE, ports).allocate().xorRelayedAddresses[0]?.port,
    50001,
  );
  equal(new RawClient({}, address("203.0.113.6:1"), BOB, ports).allocate().errorCode?.code, 508);

  const channels = new RawClient({ limits: { channelsPerAllocation: 2 } });
  channels.allocate();
  equal(channels.bind(0x4000, address("198.51.100.7:1")), 0);
  equal(channels.bind(0x4001, address("198.51.100.7:2")), 0);
  equal(channels.bind(0x4002, address("198.51.100.7:3")), 508);
});

Deno.test("IPv6 sources count by /64", () => {
  const relay = new RelayHarness({ limits: { allocationsPerSource: 1 } });
  const allocate = (device: string, from: string) =>
    new RawClient({}, address(from), credential(device), relay).allocate().errorCode?.code ?? 0;
  equal(allocate("a", "[2001:db8:9::1]:1"), 0);
  equal(allocate("b", "[2001:db8:9::2]:1"), 486);
  equal(allocate("c", "[2001:db8:9:1::1]:1"), 0);
});

/** BINDING with as much behind it as a device of Firezone sends. */
function binding(software = "snownet; session=" + "0".repeat(64)): Uint8Array {
  return encodeStun({
    class: "request",
    method: Method.BINDING,
    transactionId: new Uint8Array(12),
    attributes: software === "" ? [] : [[A.SOFTWARE, software]],
  });
}

Deno.test("one source gets a bounded number of unproven answers, and others don't suffer", () => {
  const client = new RawClient();
  const answers = (count: number) => {
    let answered = 0;
    for (let i = 0; i < count; i++) if (client.raw(binding())) answered++;
    return answered;
  };
  equal(answers(5000), 2000);
  equal(client.relay.counters.get("relay_limited_sources"), 3000);
  ok(new RawClient({}, address("203.0.113.6:1"), BOB, client.relay).raw(binding()));
  client.now += 1000;
  equal(answers(1000), 500);
});

Deno.test("a source that is flooded with forged requests gets no more than they weigh, and a little", () => {
  const bare = encodeStun({
    class: "request",
    method: Method.ALLOCATE,
    transactionId: new Uint8Array(12),
    attributes: [],
  });
  for (const request of [binding(""), bare]) {
    const client = new RawClient();
    let asked = 0, answered = 0;
    for (let second = 0; second < 10; second++, client.now += 1000) {
      for (let i = 0; i < 1000; i++) {
        asked += request.length;
        answered += client.raw(request)?.raw.length ?? 0;
      }
    }
    ok(answered > 0 && answered <= asked, `${answered} bytes for ${asked}`);
    // Over a short time only what answers exceed requests by counts: 8,000 bytes at once, 2,000 a second.
    const victim = new RawClient();
    let excess = 0;
    for (let i = 0; i < 2000; i++) {
      const answer = victim.raw(request);
      if (answer) excess += answer.raw.length - request.length;
    }
    ok(excess > 7000 && excess <= 8000, `${excess} bytes more than asked with`);
  }
});

Deno.test("what a device asks first is longer than the challenge that it draws", () => {
  for (const software of ["snownet", "snownet; session=" + "0".repeat(64)]) {
    const request = encodeStun({
      class: "request",
      method: Method.ALLOCATE,
      transactionId: new Uint8Array(12),
      attributes: [UDP, BOTH, [A.SOFTWARE, software], [A.USERNAME, ALICE.username], [A.REALM, "firezone"]],
      integrityKey: ALICE.key,
    });
    const answer = new RawClient().raw(request)!;
    equal(answer.errorCode?.code, 401);
    ok(answer.raw.length <= request.length, `${answer.raw.length} bytes for ${request.length}`);
  }
});

Deno.test("a credential makes a bounded number of requests, and neighbours of its address don't suffer", () => {
  const client = new RawClient();
  client.allocate();
  const neighbour = new RawClient({}, address("203.0.113.5:40001"), BOB, client.relay);
  neighbour.allocate();
  const refresh = () =>
    encodeStun({
      class: "request",
      method: Method.REFRESH,
      transactionId: client.random(12),
      attributes: [[A.USERNAME, ALICE.username], [A.REALM, "firezone"], [A.NONCE, client.nonce!]],
      integrityKey: ALICE.key,
    });
  let answers = 0;
  for (let i = 0; i < 6000; i++) if (client.raw(refresh())) answers++;
  equal(answers, 4000);
  equal(client.relay.counters.get("relay_limited_credentials"), 2000);
  equal(neighbour.refresh().class, "success");
  client.now += 10;
  ok(client.raw(refresh()), "ten milliseconds later there is room for ten more");
});

Deno.test("a flood of challenges from many addresses is answered up to a limit, and who has a nonce goes on", () => {
  const client = new RawClient();
  client.allocate();
  const request = encodeStun({
    class: "request",
    method: Method.ALLOCATE,
    transactionId: new Uint8Array(12),
    attributes: [UDP, BOTH, [A.USERNAME, BOB.username], [A.REALM, "firezone"]],
    integrityKey: BOB.key,
  });
  let answers = 0;
  for (let i = 0; i < 6000; i++) {
    const from = address(`100.1.${i >> 8}.${i & 255}:1`);
    answers += client.relay.fromClient(from, [request], client.now).length;
  }
  equal(answers, 3999, "one of the burst was the client's own");
  equal(client.relay.counters.get("relay_limited_challenges"), 2001);
  equal(client.refresh().class, "success");
  equal(client.bind(0x4000, PEER), 0);
});

Deno.test("a credential whose new allocation is refused keeps the one that it has", () => {
  const relay = new RelayHarness({ limits: { allocationsPerSource: 1 } });
  const client = new RawClient({}, CLIENT, ALICE, relay);
  client.allocate();
  new RawClient({}, address("203.0.113.6:1"), BOB, relay).allocate();
  const roamed = new RawClient({}, address("203.0.113.6:2"), ALICE, relay);
  equal(roamed.allocate().errorCode?.code, 486);
  equal(client.refresh().class, "success");
});

Deno.test("refusals are counted by reason", () => {
  const client = new RawClient({ limits: { channelsPerAllocation: 0 } });
  const counted = (reason: string) => client.relay.counters.get(`relay_refused_${reason}`);
  client.nonce = client.request(Method.ALLOCATE, [UDP]).nonce;
  equal(counted("requests"), 0, "a challenge is no refusal");
  client.refresh();
  equal(counted("mismatches"), 1);
  client.allocate();
  client.user = BOB;
  client.refresh();
  equal(counted("mismatches"), 2);
  client.user = ALICE;
  client.bind(0x4000, PEER);
  equal(counted("capacity"), 1);
  client.bind(0x4000, address("10.0.0.1:1"));
  equal(counted("peers"), 1);
  client.bind(0x3fff, PEER);
  equal(counted("unsupported"), 1);
  client.user = { ...ALICE, key: BOB.key };
  throws(() => client.refresh(), "the answer is signed with the right key");
  equal(counted("credentials"), 1);
  equal(counted("requests"), 6);
});

Deno.test("a relay without any public address is refused", () => {
  throws(() => new RelayHarness({ families: [] }), /^Error: Cannot start a relay without a public address/);
});
