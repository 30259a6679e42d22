import { deepEqual, equal, ok } from "node:assert/strict";
import fc from "fast-check";
import {
  AttributeType as A,
  encodeStun,
  Method,
  type StunAttribute,
  type StunMessage,
  verifyIntegrity,
} from "../../mod/stun/mod.ts";
import { RELAY_V4, RELAY_V6, UNIX_NOW } from "./relay_harness.ts";
import { address, ALICE, BOB, BOTH, CLIENT, credential, PEER, RawClient, UDP } from "./relay_raw_client.ts";

const HOUR = 3_600_000;

Deno.test("BINDING needs no credential and answers with the mapped address only", () => {
  for (const from of [CLIENT, address("[2001:db8:9::9]:40000")]) {
    const answer = new RawClient({}, from).raw(
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

Deno.test("a client on the relay's own host, behind the same NAT, is mapped to the public address", () => {
  const own = address("192.168.88.2:52625"), outside = `${RELAY_V4}:52625`;
  const client = new RawClient({ localAddresses: [own.ip] }, own);
  const binding = encodeStun({
    class: "request",
    method: Method.BINDING,
    transactionId: new Uint8Array(12),
    attributes: [],
  });
  equal(client.raw(binding)!.xorMappedAddress?.key, outside);
  equal(client.allocate().xorMappedAddress?.key, outside);
});

Deno.test("the first ALLOCATE without nonce is challenged with a signed 401 that names realm and nonce", () => {
  const answer = new RawClient().request(Method.ALLOCATE, [UDP, BOTH]);
  equal(answer.errorCode?.code, 401);
  equal(answer.realm, "firezone");
  ok(answer.nonce!.length > 0);
});

Deno.test("the second one gets both families on one port, its own address, and ten minutes", () => {
  const client = new RawClient();
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
  const answer = new RawClient().raw(bytes)!;
  equal(answer.errorCode?.code, 401);
  equal(answer.hasIntegrity, false);
});

Deno.test("a relay of one family grants what it has", () => {
  const v4 = new RawClient({ families: [4] }).allocate();
  deepEqual(v4.xorRelayedAddresses.map((a) => a.ip), [RELAY_V4]);
  const v6 = new RawClient({ families: [6] }, address("[2001:db8:9::9]:40000")).allocate();
  deepEqual(v6.xorRelayedAddresses.map((a) => a.ip), [RELAY_V6]);
});

Deno.test("one family can be requested; an impossible one is 440, contradictory ones are 400", () => {
  const of = (attributes: StunAttribute[], families: (4 | 6)[] = [4, 6]) =>
    new RawClient({ families }).allocate([UDP, ...attributes]);
  deepEqual(of([]).xorRelayedAddresses.map((a) => a.ip), [RELAY_V4]);
  deepEqual(of([[A.REQUESTED_ADDRESS_FAMILY, 6]]).xorRelayedAddresses.map((a) => a.ip), [RELAY_V6]);
  equal(of([[A.REQUESTED_ADDRESS_FAMILY, 6]], [4]).errorCode?.code, 440);
  equal(of([], [6]).errorCode?.code, 440);
  equal(of([[A.REQUESTED_ADDRESS_FAMILY, 4], BOTH]).errorCode?.code, 400);
  equal(of([[A.ADDITIONAL_ADDRESS_FAMILY, 4]]).errorCode?.code, 400);
});

Deno.test("a transport that is not UDP is 400", () => {
  equal(new RawClient().allocate([[A.REQUESTED_TRANSPORT, 6]]).errorCode?.code, 400);
  equal(new RawClient().allocate([]).errorCode?.code, 400);
});

Deno.test("an even port can be asked for, a pair of ports can't", () => {
  for (let seed = 1; seed <= 10; seed++) {
    const answer = new RawClient({ seed }).allocate([UDP, [A.EVEN_PORT, false]]);
    equal(answer.xorRelayedAddresses[0]!.port % 2, 0);
  }
  equal(new RawClient().allocate([UDP, [A.EVEN_PORT, true]]).errorCode?.code, 508);
});

Deno.test("a wrong password is 401 although the nonce is good, and signed with the right one", () => {
  const client = new RawClient();
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
  const client = new RawClient({}, CLIENT, credential("alice", UNIX_NOW - 1));
  equal(client.allocate().errorCode?.code, 401);
  const valid = new RawClient();
  equal(valid.allocate().class, "success");
  valid.relay.unixNow += 2 * 86400;
  equal(valid.refresh().errorCode?.code, 401, "also for the owner of an allocation");
});

Deno.test("a username that is not expiry and salt is 401, unsigned", () => {
  for (const username of ["alice", "1:2:3", ":", "abc:def", "-1:salt", "99999999999999999999:salt"]) {
    const client = new RawClient();
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
  const client = new RawClient();
  equal(client.allocate().class, "success");
  const elsewhere = new RawClient({}, address("203.0.113.5:40001"), ALICE, client.relay);
  elsewhere.nonce = client.nonce;
  equal(elsewhere.request(Method.ALLOCATE, [UDP]).errorCode?.code, 438);

  client.now += HOUR + 1000;
  const stale = client.refresh();
  equal(stale.errorCode?.code, 438);
  client.nonce = stale.nonce;
  equal(client.refresh().errorCode?.code, 437, "fresh again; the allocation is gone");

  const restarted = new RawClient({ seed: 99 });
  restarted.nonce = client.nonce;
  equal(restarted.request(Method.ALLOCATE, [UDP]).errorCode?.code, 438);
});

Deno.test("a nonce is used up after ten thousand requests, and the next one is given with the refusal", () => {
  const client = new RawClient();
  client.allocate();
  const first = client.nonce!;
  for (let i = 0; i < 10_000; i++) {
    client.now += 1;
    equal(client.refresh().class, "success");
  }
  const stale = client.refresh();
  equal(stale.errorCode?.code, 438);
  ok(stale.nonce !== first);
  client.nonce = stale.nonce;
  equal(client.refresh().class, "success");
  client.nonce = first;
  equal(client.refresh().errorCode?.code, 438, "for good");
});

Deno.test("a second ALLOCATE from the same address is 437, unless it is the first one again", () => {
  const client = new RawClient();
  client.nonce = client.request(Method.ALLOCATE, [UDP, BOTH]).nonce;
  const id = new Uint8Array(12).fill(5);
  const first = client.request(Method.ALLOCATE, [UDP, BOTH], id);
  const again = client.request(Method.ALLOCATE, [UDP, BOTH], id);
  deepEqual(again.xorRelayedAddresses, first.xorRelayedAddresses);
  equal(client.request(Method.ALLOCATE, [UDP, BOTH]).errorCode?.code, 437);
});

Deno.test("one allocation per credential: a new one from elsewhere ends the older", () => {
  const client = new RawClient();
  const port = client.allocate().xorRelayedAddresses[0]!.port;
  const roamed = new RawClient({}, address("203.0.113.77:1234"), ALICE, client.relay);
  const fresh = roamed.allocate().xorRelayedAddresses[0]!.port;
  deepEqual([...client.relay.openPorts.keys()], [fresh]);
  ok(fresh !== port);
  equal(client.refresh().errorCode?.code, 437);
  equal(client.relay.server.allocations, 1);
});

Deno.test("another user on the same address is 441", () => {
  const client = new RawClient();
  client.allocate();
  client.user = BOB;
  equal(client.refresh().errorCode?.code, 441);
  equal(client.request(Method.ALLOCATE, [UDP]).errorCode?.code, 437);
});

Deno.test("a device that restarted with a new key clears what it left behind on its socket", () => {
  const client = new RawClient();
  client.allocate();
  client.user = BOB;
  equal(client.allocate().errorCode?.code, 437);
  equal(client.refresh([A.LIFETIME, 0]).lifetime, 0);
  equal(client.allocate().class, "success");
});

Deno.test("REFRESH extends, within an hour, and with lifetime 0 deletes", () => {
  const client = new RawClient();
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
  const client = new RawClient();
  client.allocate();
  client.relay.server.handleTimeout(client.now + 599_999);
  equal(client.relay.openPorts.size, 1);
  equal(client.relay.server.pollTimeout(), client.now + 600_000);
  client.relay.server.handleTimeout(client.now + 600_000);
  equal(client.relay.openPorts.size, 0);
  equal(client.relay.server.pollTimeout(), undefined);
});

Deno.test("channels: bind, refresh, conflicts by number and by peer, and without allocation", () => {
  const client = new RawClient();
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
  const client = new RawClient();
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
  const client = new RawClient();
  client.allocate();
  equal(client.request(Method.CREATE_PERMISSION, [[A.XOR_PEER_ADDRESS, PEER]]).class, "success");
  equal(client.request(Method.CREATE_PERMISSION, []).errorCode?.code, 400);
  equal(client.relay.server.channels, 0);
});

Deno.test("a FINGERPRINT behind the signature is fine, and missed nowhere", () => {
  const client = new RawClient();
  client.nonce = client.request(Method.ALLOCATE, [UDP]).nonce;
  const answer = client.raw(encodeStun({
    class: "request",
    method: Method.ALLOCATE,
    transactionId: new Uint8Array(12),
    attributes: [UDP, [A.USERNAME, ALICE.username], [A.REALM, "firezone"], [A.NONCE, client.nonce!]],
    integrityKey: ALICE.key,
    fingerprint: true,
  }))!;
  equal(answer.class, "success");
  ok(verifyIntegrity(answer, ALICE.key));
});

Deno.test("channels that have expired leave nothing behind, and neither do allocations", () => {
  const client = new RawClient({ limits: { channelsPerAllocation: 500 } });
  client.allocate();
  equal(client.refresh([A.LIFETIME, 3600]).lifetime, 3600);
  for (let i = 0; i < 500; i++) equal(client.bind(0x4000 + i, address(`198.51.100.7:${1000 + i}`)), 0);
  equal(client.bind(0x4fff, PEER), 508);
  client.relay.server.handleTimeout(client.now + 899_999);
  equal(client.relay.server.channels, 500);
  client.relay.server.handleTimeout(client.now + 901_000);
  equal(client.relay.server.channels, 0);
  client.now += 901_000;
  for (let i = 0; i < 500; i++) equal(client.bind(0x4000 + i, address(`198.51.100.8:${1000 + i}`)), 0);
  client.relay.server.handleTimeout(client.now + HOUR);
  equal(client.relay.server.channels, 0);
  equal(client.relay.server.allocations, 0);
  equal(client.relay.openPorts.size, 0);
  equal(client.relay.server.pollTimeout(), undefined);
});

Deno.test("an unknown method is 400 and an unknown required attribute 420 with its name", () => {
  const client = new RawClient();
  client.allocate();
  equal(client.request(0x0fe, []).errorCode?.code, 400);
  const answer = client.request(Method.REFRESH, [[A.DATA, new Uint8Array(1)]]);
  equal(answer.errorCode?.code, 420);
  equal(answer.errorCode?.reason.length, 17);
  deepEqual([...answer.raw.subarray(20 + 8 + 20, 20 + 8 + 20 + 6)], [
    0,
    A.UNKNOWN_ATTRIBUTES,
    0,
    2,
    0,
    A.DATA,
  ]);
  equal(client.request(Method.REFRESH, [[A.DONT_FRAGMENT]]).class, "success");
});

Deno.test("answers, indications, port 0 and garbage are dropped in silence", () => {
  const client = new RawClient();
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
  const nobody = new RawClient({}, address("203.0.113.5:0"), ALICE, client.relay);
  equal(
    nobody.raw(
      encodeStun({ class: "request", method: 1, transactionId: new Uint8Array(12), attributes: [] }),
    ),
    undefined,
  );
  equal(client.relay.counters.get("relay_malformed"), 6);
});

Deno.test("any bytes are survived, before and after an allocation", () => {
  const client = new RawClient();
  client.allocate();
  fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 100 }), fc.boolean(), (bytes, known) => {
    client.relay.fromClient(known ? CLIENT : PEER, [bytes], client.now);
  }));
});
