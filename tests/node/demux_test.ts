/** How a node tells datagrams apart, and what strangers can do to it: nothing. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { SocketAddress } from "../../mod/packet/mod.ts";
import {
  AttributeType as A,
  encodeChannelData,
  encodeStun,
  Method,
  shortTermKey,
} from "../../mod/stun/mod.ts";
import { seededRandom } from "../wireguard/fixture.ts";
import { twinInitiate } from "../wireguard/twin.ts";
import { Bed, STRANGER } from "./bed.ts";

/** Bytes of the attribute at the end of a check, which nothing depends on. */
const FINGERPRINT = 8;
const random = seededRandom(11);

/** An initiation whose mac1 is right, by somebody with a key of his own. */
function strangersInitiation(bed: Bed): Uint8Array {
  return twinInitiate(
    {
      staticPrivate: random(32),
      peerPublic: bed.stage.gateway.publicKey.slice(),
      psk: new Uint8Array(32),
      ephemeralPrivate: random(32),
      timestamp: random(12),
      index: 7,
    } as Parameters<typeof twinInitiate>[0],
  ).message;
}

/** An initiation of the real client, which nobody has seen yet. */
function clientsInitiation(bed: Bed): Uint8Array {
  const { tunnel } = bed.stage.client.node.connection("gateway")!;
  tunnel.initiate(bed.stage.world.now);
  return tunnel.pollTransmit()!;
}

/** A connectivity check, by default one that the connection's agent accepts. */
function check(bed: Bed, password?: string, username?: string): Uint8Array {
  const { local, remote } = bed.node.connection("client")!.request;
  return encodeStun({
    class: "request",
    method: Method.BINDING,
    transactionId: random(12),
    attributes: [
      [A.USERNAME, username ?? `${local.ufrag}:${remote.ufrag}`],
      [A.ICE_CONTROLLING, 1n],
      [A.PRIORITY, 1],
    ],
    integrityKey: shortTermKey(password ?? local.password),
    fingerprint: true,
  });
}

/** A sealed text of the client, as it would go over the wire. */
function clientsData(bed: Bed, text: string): Uint8Array {
  const { client } = bed.stage;
  assert.ok(client.send("gateway", text));
  let last: Uint8Array | undefined;
  for (let t = client.pollTransmit(); t; t = client.pollTransmit()) last = t.payload;
  return last!;
}

function relayed(): Bed {
  return new Bed({ clientNat: "symmetric", gatewayNat: "symmetric" });
}

// Order ------------------------------------------------------------------------------------------------------------

Deno.test("an authentic check is answered wherever it comes from, except from a relay's socket, present or former", () => {
  const bed = new Bed({ relays: 2 });
  assert.equal(bed.inject(check(bed))[0]?.dst.key, STRANGER.key);
  assert.deepEqual(bed.inject(check(bed), bed.relayAddress), []);
  bed.node.updateRelays(["relay-1"], [], bed.stage.world.now);
  bed.sent();
  assert.deepEqual(bed.inject(check(bed), bed.relayAddress), [], "late packets of a relay are not a peer's");
  const otherPort = SocketAddress.of(bed.relayAddress.ip, 5000)!;
  assert.equal(bed.inject(check(bed), otherPort)[0]?.dst.key, otherPort.key, "it is the socket that counts");
});

Deno.test("what a relay's socket says by itself goes to the TURN client, also when nobody waits for it", () => {
  const bed = new Bed();
  for (const message of [check(bed), strangersInitiation(bed), Uint8Array.of(0, 1, 0, 0, 5, 5)]) {
    assert.deepEqual(bed.inject(message, bed.relayAddress), []);
  }
  assert.equal(bed.count("drop_stun_unknown_peer"), 0);
});

Deno.test("tunnelled data is told by its index, not by where it comes from, and answers stay on the nominated path", () => {
  const bed = new Bed();
  const sent = bed.inject(clientsData(bed, "roaming"), STRANGER);
  assert.equal(bed.stage.gateway.received.at(-1)?.text, "roaming");
  assert.notEqual(bed.node.connection("client")!.nominated!.remote.key, STRANGER.key);
  for (const { dst } of sent) assert.notEqual(dst.key, STRANGER.key);
});

Deno.test("a keepalive does not wake an idle connection, a packet does", () => {
  const bed = new Bed();
  const connection = bed.node.connection("client")!;
  bed.stage.world.run(22_000);
  assert.equal(connection.state, "idle");
  const heardAt = connection.heardAt;
  bed.stage.world.run(1);
  bed.inject(clientsData(bed, ""));
  assert.equal(connection.state, "idle");
  assert.ok(connection.heardAt > heardAt, "although it is heard");
  bed.inject(clientsData(bed, "hello"));
  assert.equal(connection.state, "connected");
});

Deno.test("data is opened once: a copy, a flipped bit, another index and a cut are refused and counted by reason", () => {
  const bed = new Bed();
  const data = clientsData(bed, "once");
  bed.inject(data);
  const before = bed.stage.gateway.received.length;
  bed.inject(data);
  assert.equal(bed.count("drop_wireguard_replayed"), 1);
  const fresh = clientsData(bed, "twice");
  bed.inject(fresh.with(20, fresh[20]! ^ 1));
  assert.equal(bed.count("drop_wireguard_forged"), 1);
  bed.inject(fresh.with(6, fresh[6]! ^ 1));
  assert.equal(bed.count("drop_wireguard_unknown_index"), 1);
  bed.inject(fresh.subarray(0, fresh.length - 1));
  assert.equal(bed.stage.gateway.received.length, before);
  bed.inject(fresh);
  assert.equal(bed.stage.gateway.received.at(-1)?.text, "twice", "the attempts did it no harm");
});

Deno.test("an initiation is told by the key inside, and its response goes to the nominated path", () => {
  const bed = new Bed();
  const { remote } = bed.node.connection("client")!.nominated!;
  const [response] = bed.inject(clientsInitiation(bed), STRANGER);
  assert.equal(response?.payload[0], 2);
  assert.equal(response?.dst.key, remote.key);
});

Deno.test("ChannelData counts only from a relay, on a bound channel, and with its exact length", () => {
  const bed = relayed();
  const { node } = bed;
  const connection = node.connection("client")!;
  assert.ok(node.prepareSend(connection, bed.stage.world.now));
  const { channel } = node;
  const inner = check(bed);
  const good = encodeChannelData(channel, inner);
  assert.equal(bed.inject(good, bed.relayAddress).length, 1);
  const ignored = (message: Uint8Array, source = bed.relayAddress) => {
    assert.deepEqual(bed.inject(message, source), []);
  };
  ignored(good, STRANGER);
  ignored(encodeChannelData(0x4abc, inner));
  ignored(encodeChannelData(0x5000, inner));
  ignored(new Uint8Array([...good, 0]));
  ignored(good.subarray(0, good.length - 1));
  ignored(good.with(3, good[3]! + 1));
  ignored(good.with(2, 0xff));
  ignored(good.subarray(0, 4));
  ignored(good.subarray(0, 3));
  assert.equal(bed.count("drop_channel_unknown"), 1);
  assert.ok(bed.count("drop_datagram_malformed") >= 5);
});

Deno.test("a STUN answer counts only for a check of ours, and an indication never", () => {
  const bed = new Bed();
  const { remote } = bed.node.connection("client")!.request;
  for (const kind of ["success", "error", "indication"] as const) {
    const message = encodeStun({
      class: kind,
      method: Method.BINDING,
      transactionId: random(12),
      attributes: kind === "success" ? [[A.XOR_MAPPED_ADDRESS, STRANGER]] : [],
      integrityKey: shortTermKey(remote.password),
    });
    assert.deepEqual(bed.inject(message), [], kind);
  }
  assert.equal(bed.count("drop_stun_unknown_peer"), 3);
});

Deno.test("messages for a connection that is gone are dropped without a word", () => {
  const bed = new Bed();
  const messages = [check(bed), clientsInitiation(bed), clientsData(bed, "late")];
  bed.node.close("client");
  for (const message of messages) assert.deepEqual(bed.inject(message), []);
});

// Strangers --------------------------------------------------------------------------------------------------------

Deno.test("who doesn't know our key or a password gets no answer at all", () => {
  const bed = new Bed();
  const { local, remote } = bed.node.connection("client")!.request;
  const initiation = strangersInitiation(bed);
  const messages = [
    check(bed, "not the password 00000"),
    check(bed, undefined, `${local.ufrag}:othr`),
    check(bed, undefined, `othr:${remote.ufrag}`),
    check(bed, undefined, local.ufrag),
    initiation,
    initiation.with(120, initiation[120]! ^ 1), // mac1
    new Uint8Array(148).fill(1, 0, 1),
    new Uint8Array(92).fill(2, 0, 1),
    new Uint8Array(64).fill(3, 0, 1),
    new Uint8Array(32).fill(4, 0, 1),
    new Uint8Array(0),
    Uint8Array.of(0x40, 0, 0, 0),
  ];
  for (const message of messages) assert.deepEqual(bed.inject(message), [], message.toHex());
  assert.ok(bed.stage.exchange(), "and the connection does not care");
});

Deno.test("a replayed initiation is neither answered nor harmful", () => {
  const bed = new Bed();
  const initiation = clientsInitiation(bed);
  assert.equal(bed.inject(initiation).length, 1);
  for (let i = 0; i < 5; i++) assert.deepEqual(bed.inject(initiation), []);
  assert.ok(bed.stage.exchange());
});

Deno.test("spoofed responses and cookies with the right index change nothing", () => {
  const bed = new Bed();
  const { tunnel } = bed.node.connection("client")!;
  tunnel.initiate(bed.stage.world.now);
  const ours = tunnel.pollTransmit()!;
  for (const [type, length, at] of [[2, 92, 8], [3, 64, 4]] as const) {
    const forged = random(length);
    forged.set([type, 0, 0, 0]);
    forged.set(ours.subarray(4, 8), at);
    assert.deepEqual(bed.inject(forged), []);
  }
  assert.ok(bed.stage.exchange());
});

Deno.test("under a flood of initiations strangers get cookies, never more bytes than they sent", () => {
  const bed = new Bed();
  const initiation = strangersInitiation(bed);
  let received = 0, sent = 0, cookies = 0;
  for (let i = 0; i < 1_000; i++) {
    const source = SocketAddress.of(`198.18.${i >> 8}.${i & 255}`, 1_000 + i)!;
    received += initiation.length;
    for (const { dst, payload } of bed.inject(initiation, source)) {
      assert.equal(dst.key, source.key);
      assert.equal(payload[0], 3);
      sent += payload.length;
      cookies++;
    }
  }
  assert.ok(
    cookies > 0,
    "the first ones of a second are looked at, and are nobody's; then there are cookies",
  );
  assert.ok(sent < received / 2);
  bed.stage.world.run(1_500);
  assert.ok(bed.stage.exchange());
});

Deno.test("ten thousand unknown senders of everything leave no trace: no event, no datagram, no timer, no memory", () => {
  const bed = new Bed();
  const messages = [
    check(bed, "not the password 00000"),
    strangersInitiation(bed).fill(0, 116), // without mac1
    new Uint8Array(92).fill(2, 0, 1),
    new Uint8Array(96).fill(4, 0, 1),
    encodeChannelData(0x4000, new Uint8Array(40)),
    random(200),
  ];
  const { gateway } = bed.stage;
  const flood = (senders: number) => {
    for (let i = 0; i < senders; i++) {
      const source = SocketAddress.of(`198.19.${(i >> 8) & 255}.${i & 255}`, 1 + (i % 65_000))!;
      for (const message of messages) assert.equal(bed.inject(message, source).length, 0);
    }
  };
  flood(2_000);
  const events = gateway.events.length, due = gateway.pollTimeout();
  const before = Deno.memoryUsage().heapUsed;
  flood(10_000);
  const growth = Deno.memoryUsage().heapUsed - before;
  assert.equal(gateway.events.length, events);
  assert.equal(gateway.pollTimeout(), due);
  assert.ok(growth < 16 * 1024 * 1024, `${growth} bytes`);
  assert.ok(bed.stage.exchange());
});

Deno.test("a check is for nobody as soon as the last connection with its fragment is gone", () => {
  const bed = new Bed();
  const message = check(bed);
  assert.equal(bed.inject(message)[0]?.dst.key, STRANGER.key);
  bed.node.close("client");
  assert.deepEqual(bed.inject(message), []);
  assert.equal(bed.count("drop_stun_unknown_peer"), 1);
});

Deno.test("a check whose user name is behind other attributes, or has another remote part, finds its connection or nobody", () => {
  const bed = new Bed();
  const { local, remote } = bed.node.connection("client")!.request;
  const message = encodeStun({
    class: "request",
    method: Method.BINDING,
    transactionId: random(12),
    attributes: [
      [A.PRIORITY, 1],
      [A.SOFTWARE, "four"],
      [A.ICE_CONTROLLING, 1n],
      [A.USERNAME, `${local.ufrag}:${remote.ufrag}`],
    ],
    integrityKey: shortTermKey(local.password),
    fingerprint: true,
  });
  assert.equal(bed.inject(message)[0]?.dst.key, STRANGER.key);
  assert.deepEqual(bed.inject(check(bed, undefined, `${local.ufrag}x:${remote.ufrag}`)), []);
  assert.equal(bed.count("drop_stun_unknown_peer"), 1);
});

Deno.test("beside a flood of everything a client's packets arrive, and it still gets a new session", () => {
  const bed = new Bed();
  const { stage } = bed;
  const flood = [
    check(bed, undefined, "nobody:stranger"),
    check(bed, "not the password 00000"),
    random(148),
    new Uint8Array(96).fill(4, 0, 1),
    encodeStun({ class: "success", method: Method.BINDING, transactionId: random(12), attributes: [] }),
  ];
  const initiation = strangersInitiation(bed);
  const client = stage.client.node.connection("gateway")!;
  const before = client.tunnel.sendSession(stage.world.now);
  let cookies = 0;
  for (let step = 0; step < 25; step++) {
    for (let i = 0; i < 100; i++) {
      const source = SocketAddress.of(`198.20.${step}.${i}`, 1_000 + i)!;
      for (const message of i < 20 ? flood : []) assert.deepEqual(bed.inject(message, source), []);
      for (const { payload } of bed.inject(initiation, source)) cookies += Number(payload[0] === 3);
    }
    if (step === 3) {
      client.tunnel.initiate(stage.world.now);
      client.wakeAt = stage.world.now;
    }
    assert.ok(stage.exchange(), `step ${step}`);
    stage.world.run(300);
  }
  assert.ok(cookies > 0, "the limit was reached");
  const after = client.tunnel.sendSession(stage.world.now);
  assert.ok(after && after !== before, "and the client's handshake came through");
});

// Any bytes --------------------------------------------------------------------------------------------------------

Deno.test("any bytes from any address are survived, and what is not authentic costs its sender more than it causes", () => {
  const bed = relayed();
  const templates = [
    check(bed),
    check(bed, "x"),
    strangersInitiation(bed),
    clientsInitiation(bed),
    clientsData(bed, "some text that is long enough to be cut"),
    encodeChannelData(0x4000, check(bed)),
    encodeChannelData(0x4001, strangersInitiation(bed)),
    encodeStun({ class: "success", method: Method.ALLOCATE, transactionId: random(12), attributes: [] }),
  ];
  const authentic = templates[0]!.subarray(0, -FINGERPRINT);
  const mutated = fc.tuple(
    fc.constantFrom(...templates),
    fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 4 }),
    fc.nat(400),
  ).map(([template, changes, length]) => {
    const copy = template.slice(0, length > 300 ? template.length : length);
    for (const [at, value] of changes) if (at < copy.length) copy[at] = value;
    return copy;
  });
  const anything = fc.oneof(fc.uint8Array({ maxLength: 300 }), mutated);
  const { remote } = bed.node.connection("client")!.nominated!;
  const sources = fc.constantFrom(STRANGER, bed.relayAddress, remote, bed.gatewayAddress);
  fc.assert(
    fc.property(anything, sources, (payload, source) => {
      let caused = 0;
      for (const { dst, payload: answer } of bed.inject(payload, source)) {
        if (dst.equals(STRANGER)) caused += answer.length;
      }
      // A check that no change hit before its integrity is answered and triggers one of ours.
      const isAuthentic = authentic.every((byte, i) => byte === payload[i]);
      assert.ok(isAuthentic || caused <= payload.length, `${caused} bytes for ${payload.length}`);
    }),
    { numRuns: 3_000 },
  );
  bed.stage.world.run(3_000);
  assert.ok(bed.stage.exchange(5_000), "the connection works as before");
});

Deno.test("any addresses are survived, too", () => {
  const bed = new Bed();
  const address = fc.tuple(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(65_535))
    .map(([ip, port]) => SocketAddress.of(ip, port))
    .filter((known) => known !== undefined);
  fc.assert(
    fc.property(address, address, (source, destination) => {
      bed.inject(check(bed), source, destination);
      bed.inject(strangersInitiation(bed), source, destination);
    }),
    { numRuns: 200 },
  );
  bed.stage.world.run(1_500);
  assert.ok(bed.stage.exchange());
});
