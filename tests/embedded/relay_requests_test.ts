import { deepEqual, equal, ok, throws } from "node:assert/strict";
import fc from "fast-check";
import { PeerPolicy, relayCredentials } from "../../mod/embedded/relay/mod.ts";
import { SocketAddress } from "../../mod/packet/address.ts";
import {
  AttributeType as A,
  decodeStun,
  encodeStun,
  longTermKey,
  Method,
  type StunAttribute,
  type StunMessage,
  verifyIntegrity,
} from "../../mod/stun/mod.ts";
import {
  type HarnessOptions,
  RELAY_V4,
  RELAY_V6,
  RelayHarness,
  seededRandom,
  STAMP_SECRET,
  UNIX_NOW,
} from "./relay_harness.ts";

const address = (text: string) => SocketAddress.parse(text)!;
const CLIENT = address("203.0.113.5:40000");
const PEER = address("198.51.100.7:4000");
const UDP: StunAttribute = [A.REQUESTED_TRANSPORT, 17];
const BOTH: StunAttribute = [A.ADDITIONAL_ADDRESS_FAMILY, 6];
const HOUR = 3_600_000;

function credential(device: string, expiresAt = UNIX_NOW + 86400) {
  const { username, password } = relayCredentials({
    publicKey: device,
    stampSecret: STAMP_SECRET,
    expiresAt,
  });
  return { username, key: longTermKey(username, "firezone", password) };
}
const ALICE = credential("alice"), BOB = credential("bob");

/** A client that speaks raw requests to the relay core. */
class Client {
  readonly relay: RelayHarness;
  readonly random = seededRandom(3);
  now = 1000;
  nonce: string | undefined;

  constructor(
    options: HarnessOptions = {},
    readonly from = CLIENT,
    public user = ALICE,
    relay?: RelayHarness,
  ) {
    this.relay = relay ?? new RelayHarness(options);
  }

  raw(bytes: Uint8Array): StunMessage | undefined {
    const sent = this.relay.fromClient(this.from, [bytes], this.now);
    ok(sent.length <= 1);
    if (!sent[0]) return undefined;
    equal(sent[0].dst.key, this.from.key);
    equal(sent[0].port, 3478);
    equal(sent[0].local, this.from.family === 4 ? RELAY_V4 : RELAY_V6, "from the address it was asked at");
    return decodeStun(sent[0].payload)!;
  }

  /** A signed request with the nonce known so far. */
  request(
    method: number,
    attributes: readonly StunAttribute[],
    transactionId = this.random(12),
  ): StunMessage {
    const answer = this.raw(encodeStun({
      class: "request",
      method,
      transactionId,
      attributes: [
        ...attributes,
        [A.USERNAME, this.user.username],
        [A.REALM, "firezone"],
        ...(this.nonce === undefined ? [] : [[A.NONCE, this.nonce] as const]),
      ],
      integrityKey: this.user.key,
    }))!;
    deepEqual(answer.transactionId, transactionId);
    equal(answer.method, method);
    ok(verifyIntegrity(answer, this.user.key), "every answer is signed with the client's own credential");
    return answer;
  }

  /** ALLOCATE through the challenge. */
  allocate(attributes: readonly StunAttribute[] = [UDP, BOTH]): StunMessage {
    const challenge = this.request(Method.ALLOCATE, attributes);
    if (challenge.errorCode?.code !== 401 && challenge.errorCode?.code !== 438) return challenge;
    this.nonce = challenge.nonce!;
    return this.request(Method.ALLOCATE, attributes);
  }

  bind(channel: number, peer: SocketAddress): number {
    const answer = this.request(Method.CHANNEL_BIND, [[A.XOR_PEER_ADDRESS, peer], [
      A.CHANNEL_NUMBER,
      channel,
    ]]);
    return answer.errorCode?.code ?? 0;
  }

  refresh(...attributes: StunAttribute[]): StunMessage {
    return this.request(Method.REFRESH, [UDP, BOTH, ...attributes]);
  }
}

Deno.test("BINDING needs no credential and answers with the mapped address only", () => {
  for (const from of [CLIENT, address("[2001:db8:9::9]:40000")]) {
    const answer = new Client({}, from).raw(
      encodeStun({
        class: "request",
        method: Method.BINDING,
        transactionId: new Uint8Array(12),
        attributes: [],
      }),
    )!;
    equal(answer.class, "success");
    equal(answer.xorMappedAddress?.key, from.key);
    equal(answer.raw.length, 20 + 4 + (from.family === 4 ? 8 : 20));
  }
});

Deno.test("the first ALLOCATE without nonce is challenged with a signed 401 that names realm and nonce", () => {
  const answer = new Client().request(Method.ALLOCATE, [UDP, BOTH]);
  equal(answer.errorCode?.code, 401);
  equal(answer.realm, "firezone");
  ok(answer.nonce!.length > 0);
});

Deno.test("the second one gets both families on one port, its own address, and ten minutes", () => {
  const client = new Client();
  const answer = client.allocate();
  equal(answer.class, "success");
  const [v4, v6] = answer.xorRelayedAddresses;
  equal(v4?.ip, RELAY_V4);
  equal(v6?.ip, RELAY_V6);
  equal(v4?.port, v6?.port);
  ok(v4!.port >= 49152);
  deepEqual([...client.relay.openPorts], [[v4!.port, [4, 6]]]);
  equal(answer.xorMappedAddress?.key, CLIENT.key);
  equal(answer.lifetime, 600);
});

Deno.test("a request without username is challenged unsigned, as RFC 8489 says", () => {
  const bytes = encodeStun({
    class: "request",
    method: Method.ALLOCATE,
    transactionId: new Uint8Array(12),
    attributes: [UDP],
  });
  const answer = new Client().raw(bytes)!;
  equal(answer.errorCode?.code, 401);
  equal(answer.hasIntegrity, false);
});

Deno.test("a relay of one family grants what it has", () => {
  const v4 = new Client({ families: [4] }).allocate();
  deepEqual(v4.xorRelayedAddresses.map((a) => a.ip), [RELAY_V4]);
  const v6 = new Client({ families: [6] }, address("[2001:db8:9::9]:40000")).allocate();
  deepEqual(v6.xorRelayedAddresses.map((a) => a.ip), [RELAY_V6]);
});

Deno.test("one family can be requested; an impossible one is 440, contradictory ones are 400", () => {
  const of = (attributes: StunAttribute[], families: (4 | 6)[] = [4, 6]) =>
    new Client({ families }).allocate([UDP, ...attributes]);
  deepEqual(of([]).xorRelayedAddresses.map((a) => a.ip), [RELAY_V4]);
  deepEqual(of([[A.REQUESTED_ADDRESS_FAMILY, 6]]).xorRelayedAddresses.map((a) => a.ip), [RELAY_V6]);
  equal(of([[A.REQUESTED_ADDRESS_FAMILY, 6]], [4]).errorCode?.code, 440);
  equal(of([], [6]).errorCode?.code, 440);
  equal(of([[A.REQUESTED_ADDRESS_FAMILY, 4], BOTH]).errorCode?.code, 400);
  equal(of([[A.ADDITIONAL_ADDRESS_FAMILY, 4]]).errorCode?.code, 400);
});

Deno.test("a transport that is not UDP is 400", () => {
  equal(new Client().allocate([[A.REQUESTED_TRANSPORT, 6]]).errorCode?.code, 400);
  equal(new Client().allocate([]).errorCode?.code, 400);
});

Deno.test("a wrong password is 401 although the nonce is good, and signed with the right one", () => {
  const client = new Client();
  client.nonce = client.request(Method.ALLOCATE, [UDP]).nonce;
  const bytes = encodeStun({
    class: "request",
    method: Method.ALLOCATE,
    transactionId: new Uint8Array(12),
    attributes: [UDP, [A.USERNAME, ALICE.username], [A.REALM, "firezone"], [A.NONCE, client.nonce!]],
    integrityKey: BOB.key,
  });
  const answer = client.raw(bytes)!;
  equal(answer.errorCode?.code, 401);
  ok(verifyIntegrity(answer, ALICE.key));
});

Deno.test("an expired credential is 401, signed so that the device believes it", () => {
  const client = new Client({}, CLIENT, credential("alice", UNIX_NOW - 1));
  equal(client.allocate().errorCode?.code, 401);
  const valid = new Client();
  equal(valid.allocate().class, "success");
  valid.relay.unixNow += 2 * 86400;
  equal(valid.refresh().errorCode?.code, 401, "also for the owner of an allocation");
});

Deno.test("a username that is not expiry and salt is 401, unsigned", () => {
  for (const username of ["alice", "1:2:3", ":", "abc:def", "-1:salt", "99999999999999999999:salt"]) {
    const client = new Client();
    client.nonce = client.request(Method.ALLOCATE, [UDP]).nonce;
    const answer: StunMessage = client.raw(encodeStun({
      class: "request",
      method: Method.ALLOCATE,
      transactionId: new Uint8Array(12),
      attributes: [UDP, [A.USERNAME, username], [A.REALM, "firezone"], [A.NONCE, client.nonce!]],
      integrityKey: ALICE.key,
    }))!;
    equal(answer.errorCode?.code, 401, username);
    equal(answer.hasIntegrity, false);
  }
});

Deno.test("a nonce is bound to the client's address, goes stale after an hour, and dies with the relay", () => {
  const client = new Client();
  equal(client.allocate().class, "success");
  const elsewhere = new Client({}, address("203.0.113.5:40001"), ALICE, client.relay);
  elsewhere.nonce = client.nonce;
  equal(elsewhere.request(Method.ALLOCATE, [UDP]).errorCode?.code, 438);

  client.now += HOUR + 1000;
  const stale = client.refresh();
  equal(stale.errorCode?.code, 438);
  client.nonce = stale.nonce;
  equal(client.refresh().errorCode?.code, 437, "fresh again; the allocation is gone");

  const restarted = new Client({ seed: 99 });
  restarted.nonce = client.nonce;
  equal(restarted.request(Method.ALLOCATE, [UDP]).errorCode?.code, 438);
});

Deno.test("a second ALLOCATE from the same address is 437, unless it is the first one again", () => {
  const client = new Client();
  client.nonce = client.request(Method.ALLOCATE, [UDP, BOTH]).nonce;
  const id = new Uint8Array(12).fill(5);
  const first = client.request(Method.ALLOCATE, [UDP, BOTH], id);
  const again = client.request(Method.ALLOCATE, [UDP, BOTH], id);
  deepEqual(again.xorRelayedAddresses, first.xorRelayedAddresses);
  equal(client.request(Method.ALLOCATE, [UDP, BOTH]).errorCode?.code, 437);
});

Deno.test("one allocation per credential: a new one from elsewhere ends the older", () => {
  const client = new Client();
  const port = client.allocate().xorRelayedAddresses[0]!.port;
  const roamed = new Client({}, address("203.0.113.77:1234"), ALICE, client.relay);
  const fresh = roamed.allocate().xorRelayedAddresses[0]!.port;
  deepEqual([...client.relay.openPorts.keys()], [fresh]);
  ok(fresh !== port);
  equal(client.refresh().errorCode?.code, 437);
  equal(client.relay.server.allocations, 1);
});

Deno.test("another user on the same address is 441", () => {
  const client = new Client();
  client.allocate();
  client.user = BOB;
  equal(client.refresh().errorCode?.code, 441);
  equal(client.request(Method.ALLOCATE, [UDP]).errorCode?.code, 437);
});

Deno.test("REFRESH extends, within an hour, and with lifetime 0 deletes", () => {
  const client = new Client();
  client.allocate();
  equal(client.refresh().lifetime, 600);
  equal(client.refresh([A.LIFETIME, 1200]).lifetime, 1200);
  equal(client.refresh([A.LIFETIME, 5]).lifetime, 600);
  equal(client.refresh([A.LIFETIME, 99999]).lifetime, 3600);
  equal(client.refresh([A.LIFETIME, 0]).lifetime, 0);
  equal(client.relay.openPorts.size, 0);
  equal(client.relay.server.allocations, 0);
  equal(client.refresh().errorCode?.code, 437);
  equal(client.allocate().class, "success");
});

Deno.test("an allocation ends with its lifetime, and its port is closed", () => {
  const client = new Client();
  client.allocate();
  client.relay.server.handleTimeout(client.now + 599_999);
  equal(client.relay.openPorts.size, 1);
  equal(client.relay.server.pollTimeout(), client.now + 600_000);
  client.relay.server.handleTimeout(client.now + 600_000);
  equal(client.relay.openPorts.size, 0);
  equal(client.relay.server.pollTimeout(), undefined);
});

Deno.test("channels: bind, refresh, conflicts by number and by peer, and without allocation", () => {
  const client = new Client();
  client.nonce = client.request(Method.ALLOCATE, [UDP]).nonce;
  equal(client.bind(0x4000, PEER), 437);
  client.allocate([UDP]);
  const other = address("198.51.100.7:4001");
  equal(client.bind(0x4000, PEER), 0);
  equal(client.bind(0x4000, PEER), 0, "refresh");
  equal(client.bind(0x4000, other), 400, "the number is another peer's");
  equal(client.bind(0x4001, PEER), 400, "the peer has another number");
  equal(client.bind(0x4001, other), 0);
  equal(client.bind(0x4002, address("[2001:db8:7::7]:1")), 443, "no IPv6 was allocated");
  for (const number of [0, 0x3fff, 0x8000, 0xffff]) {
    equal(client.bind(number, address("198.51.100.8:1")), 400);
  }
  equal(client.bind(0x4003, address("198.51.100.8:0")), 400, "port 0");
  equal(client.request(Method.CHANNEL_BIND, [[A.CHANNEL_NUMBER, 0x4004]]).errorCode?.code, 400);
  equal(client.request(Method.CHANNEL_BIND, [[A.XOR_PEER_ADDRESS, PEER]]).errorCode?.code, 400);
});

Deno.test("number and peer of an expired channel stay reserved for five more minutes", () => {
  const client = new Client();
  client.allocate();
  const start = client.now, other = address("198.51.100.7:4001");
  const keepAllocation = () => equal(client.refresh([A.LIFETIME, 3600]).lifetime, 3600);
  keepAllocation();
  equal(client.bind(0x4000, PEER), 0);
  client.now = start + 899_999;
  equal(client.bind(0x4000, other), 400);
  equal(client.bind(0x4001, PEER), 400);
  client.now = start + 900_000;
  equal(client.bind(0x4000, other), 0);
  equal(client.bind(0x4001, PEER), 0);
});

Deno.test("CREATE-PERMISSION succeeds and changes nothing", () => {
  const client = new Client();
  client.allocate();
  equal(client.request(Method.CREATE_PERMISSION, [[A.XOR_PEER_ADDRESS, PEER]]).class, "success");
  equal(client.request(Method.CREATE_PERMISSION, []).errorCode?.code, 400);
  equal(client.relay.server.channels, 0);
});

Deno.test("an unknown method is 400 and an unknown required attribute 420 with its name", () => {
  const client = new Client();
  client.allocate();
  equal(client.request(0x0fe, []).errorCode?.code, 400);
  const answer = client.request(Method.REFRESH, [[A.EVEN_PORT, true]]);
  equal(answer.errorCode?.code, 420);
  equal(client.request(Method.REFRESH, [[A.DONT_FRAGMENT]]).class, "success");
});

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
  const client = new Client();
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
  const opened = new Client({ peers });
  opened.allocate();
  equal(opened.bind(0x4000, address("10.1.2.3:1")), 0);
  equal(opened.bind(0x4001, address("[fd00::1]:1")), 0);
  equal(opened.bind(0x4002, address("10.9.2.3:1")), 403, "refused is stronger");
  equal(opened.bind(0x4003, address("198.51.100.18:443")), 403, "the portal's address");
  equal(opened.bind(0x4004, address("192.168.0.1:1")), 403);
});

Deno.test("of the relay's own addresses only relayed ports can be peers", () => {
  const client = new Client();
  client.allocate();
  equal(client.bind(0x4000, address(`${RELAY_V4}:3478`)), 403, "no loop through the listening socket");
  equal(client.bind(0x4001, address(`${RELAY_V4}:22`)), 403);
  equal(client.bind(0x4002, address(`[${RELAY_V6}]:3478`)), 403);
  equal(client.bind(0x4003, address(`${RELAY_V4}:50000`)), 0);
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
    const client = new Client({}, address(from), credential(device), relay);
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
    new Client({}, address("203.0.113.5:1"), ALICE, ports).allocate().xorRelayedAddresses[0]?.port,
    50001,
  );
  equal(new Client({}, address("203.0.113.6:1"), BOB, ports).allocate().errorCode?.code, 508);

  const channels = new Client({ limits: { channelsPerAllocation: 2 } });
  channels.allocate();
  equal(channels.bind(0x4000, address("198.51.100.7:1")), 0);
  equal(channels.bind(0x4001, address("198.51.100.7:2")), 0);
  equal(channels.bind(0x4002, address("198.51.100.7:3")), 508);
});

Deno.test("IPv6 sources count by /64", () => {
  const relay = new RelayHarness({ limits: { allocationsPerSource: 1 } });
  const allocate = (device: string, from: string) =>
    new Client({}, address(from), credential(device), relay).allocate().errorCode?.code ?? 0;
  equal(allocate("a", "[2001:db8:9::1]:1"), 0);
  equal(allocate("b", "[2001:db8:9::2]:1"), 486);
  equal(allocate("c", "[2001:db8:9:1::1]:1"), 0);
});

Deno.test("one source gets a bounded number of unproven answers, and others don't suffer", () => {
  const client = new Client();
  const binding = encodeStun({
    class: "request",
    method: 1,
    transactionId: new Uint8Array(12),
    attributes: [],
  });
  let answers = 0;
  for (let i = 0; i < 1000; i++) if (client.raw(binding)) answers++;
  equal(answers, 400);
  equal(client.relay.counters.get("relay_rate_limited"), 600);
  ok(new Client({}, address("203.0.113.6:1"), BOB, client.relay).raw(binding));
  client.now += 1000;
  answers = 0;
  for (let i = 0; i < 1000; i++) if (client.raw(binding)) answers++;
  equal(answers, 200);
});

Deno.test("answers, indications, port 0 and garbage are dropped in silence", () => {
  const client = new Client();
  const of = (messageClass: "success" | "error" | "indication", method: number = Method.BINDING) =>
    encodeStun({ class: messageClass, method, transactionId: new Uint8Array(12), attributes: [] });
  for (
    const bytes of [
      of("success"),
      of("error"),
      of("indication"),
      of("indication", Method.SEND),
      new Uint8Array(20),
    ]
  ) {
    equal(client.raw(bytes), undefined);
  }
  const nobody = new Client({}, address("203.0.113.5:0"), ALICE, client.relay);
  equal(
    nobody.raw(
      encodeStun({ class: "request", method: 1, transactionId: new Uint8Array(12), attributes: [] }),
    ),
    undefined,
  );
  equal(client.relay.counters.get("relay_malformed"), 6);
});

Deno.test("any bytes are survived, before and after an allocation", () => {
  const client = new Client();
  client.allocate();
  fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 100 }), fc.boolean(), (bytes, known) => {
    client.relay.fromClient(known ? CLIENT : PEER, [bytes], client.now);
  }));
});

Deno.test("a relay without any public address is refused", () => {
  throws(() => new RelayHarness({ families: [] }), /^Error: Cannot start a relay without a public address/);
});
