/** Handshakes, sessions and their order; what the timers do is in timers_test. */
import assert from "node:assert/strict";
import { InvalidPeerKeyError, MessageType, OPEN_REPLAYED } from "../../mod/wireguard/mod.ts";
import { Endpoint, makeKeys, Pair, seededRandom, UNIX_START } from "./fixture.ts";

Deno.test("an initiation, a response and a confirming keepalive make a session on both sides", () => {
  const pair = new Pair();
  pair.client.tunnel.initiate(0);
  pair.settle();
  assert.deepEqual(pair.log.map((entry) => [entry.from, entry.type, entry.datagram.length]), [
    ["client", MessageType.Initiation, 148],
    ["gateway", MessageType.Response, 92],
    ["client", MessageType.Transport, 32],
  ]);
  assert.deepEqual([pair.client.events, pair.gateway.events], [["established"], ["established"]]);
  assert.ok(pair.send("client", "ping") && pair.send("gateway", "pong"));
  pair.settle();
  assert.deepEqual([pair.gateway.data, pair.client.data], [["ping"], ["pong"]]);
});

Deno.test("the same with a preshared key; with different ones the responder notices nothing, and no session comes", () => {
  const psk = (byte: number) => ({ presharedKey: new Uint8Array(32).fill(byte) });
  const good = Pair.connected({ client: psk(1), gateway: psk(1) });
  assert.ok(good.send("client", "ping"));
  good.settle();
  assert.deepEqual(good.gateway.data, ["ping"]);
  const bad = Pair.connected({ client: psk(1), gateway: psk(2) });
  assert.deepEqual([bad.gateway.outcomes, bad.client.outcomes], [["initiation-accepted"], ["forged"]]);
  assert.ok(!bad.send("client", "ping") && !bad.send("gateway", "pong"));
});

Deno.test("a gateway without a session drops instead of initiating", () => {
  const pair = new Pair();
  assert.equal(pair.gateway.tunnel.sendSession(0), undefined);
  assert.deepEqual(pair.gateway.transmits(), []);
});

Deno.test("a responder has no session to send on before the initiator confirms it", () => {
  const pair = new Pair();
  pair.muted.gateway = true;
  pair.client.tunnel.initiate(0);
  pair.settle();
  assert.ok(!pair.gateway.tunnel.hasSession);
  assert.ok(!pair.send("gateway", "too early"));
});

Deno.test("a responder keeps sending on the old session until something arrives on the new one", () => {
  const pair = Pair.connected();
  const old = pair.gateway.tunnel.sendSession(0)!;
  pair.now = 1000;
  pair.client.tunnel.initiate(pair.now);
  const [initiation] = pair.client.transmits();
  pair.gateway.receive(initiation!, pair.now);
  const [response] = pair.gateway.transmits();
  assert.equal(pair.gateway.tunnel.sendSession(pair.now), old);
  pair.client.receive(response!, pair.now);
  const [keepalive] = pair.client.transmits();
  assert.equal(pair.gateway.tunnel.sendSession(pair.now), old);
  pair.client.receive(pair.gateway.sendOn(old, "on the old one", pair.now), pair.now);
  assert.deepEqual(pair.client.data, ["on the old one"]);
  pair.gateway.receive(keepalive!, pair.now);
  assert.notEqual(pair.gateway.tunnel.sendSession(pair.now), old);
  assert.deepEqual(pair.gateway.events, ["established"], "once, as there was a session all the time");
});

Deno.test("data that was under way on an older session still arrives and does not bring it back", () => {
  const pair = Pair.connected();
  const late = pair.client.send("late", 0)!;
  pair.now = 1000;
  pair.client.tunnel.initiate(pair.now);
  pair.settle();
  const current = pair.gateway.tunnel.sendSession(pair.now);
  pair.gateway.receive(late, pair.now);
  assert.deepEqual(pair.gateway.data, ["late"]);
  assert.equal(pair.gateway.tunnel.sendSession(pair.now), current);
});

Deno.test("eight handshakes whose responses are all lost leave the current session alone", () => {
  const pair = Pair.connected();
  const session = pair.gateway.tunnel.sendSession(0)!;
  pair.muted.gateway = true;
  for (let i = 1; i <= 20; i++) {
    const other = new Endpoint(
      pair.client.keys,
      pair.gateway.keys.publicKey,
      pair.client.random,
      {},
      () => UNIX_START + i * 1000,
    );
    other.tunnel.initiate(i);
    pair.gateway.receive(other.transmits()[0]!, i);
    pair.gateway.transmits();
  }
  assert.equal(pair.gateway.tunnel.sendSession(30), session);
  assert.ok(pair.send("client", "still here"));
  pair.settle();
  assert.deepEqual(pair.gateway.data, ["still here"]);
  assert.ok(pair.gateway.aead.live <= 16, "eight sessions at most");
});

Deno.test("index increments never change the upper 24 bits, and the first index ends in 01", () => {
  const pair = new Pair({ client: { index: 0xffffff } });
  const indices: number[] = [];
  for (let i = 0; i < 300; i++) {
    pair.now = i * 25;
    pair.client.tunnel.initiate(pair.now);
    pair.settle();
    const initiation = pair.log.findLast((entry) => entry.type === MessageType.Initiation)!.datagram;
    indices.push(new DataView(initiation.buffer).getUint32(4, true));
  }
  assert.equal(indices[0], 0xffffff01);
  assert.ok(indices.every((index) => index >>> 8 === 0xffffff));
  assert.ok(new Set(indices).size > 200, "and they keep changing");
});

Deno.test("a replayed or older initiation is refused, and a newer one accepted", () => {
  const pair = new Pair();
  pair.client.tunnel.initiate(0);
  const [first] = pair.client.transmits();
  pair.now = 6000;
  pair.client.tunnel.handleTimeout(6000);
  const [second] = pair.client.transmits();
  pair.gateway.receive(second!, 6000);
  pair.gateway.receive(second!, 6001);
  pair.gateway.receive(first!, 6002);
  assert.deepEqual(pair.gateway.outcomes, ["initiation-accepted", "replayed", "replayed"]);
});

Deno.test("a forged initiation does not spend the timestamp", () => {
  const pair = new Pair();
  const mallory = makeKeys(seededRandom(99));
  const forger = new Endpoint(
    mallory,
    pair.gateway.keys.publicKey,
    seededRandom(98),
    {},
    () => UNIX_START * 2,
  );
  forger.tunnel.initiate(0);
  pair.gateway.receive(forger.transmits()[0]!, 0);
  pair.client.tunnel.initiate(0);
  pair.settle();
  assert.deepEqual(pair.gateway.outcomes, ["wrong-peer", "initiation-accepted"]);
});

Deno.test("a response that nobody asked for, or a second one, changes nothing", () => {
  const pair = new Pair();
  pair.client.tunnel.initiate(0);
  pair.settle();
  const response = pair.log.find((entry) => entry.type === MessageType.Response)!.datagram;
  const session = pair.client.tunnel.sendSession(0);
  pair.client.receive(response, 1);
  assert.deepEqual(pair.client.outcomes, ["response-accepted", "unknown-index"]);
  assert.equal(pair.client.tunnel.sendSession(1), session);
});

Deno.test("a forged response does not cost us the real one", () => {
  const pair = new Pair();
  pair.client.tunnel.initiate(0);
  pair.gateway.receive(pair.client.transmits()[0]!, 0);
  const [response] = pair.gateway.transmits();
  assert.equal(pair.client.tunnel.handleAdmitted(response!.with(50, response![50]! ^ 1), 0), "forged");
  pair.client.receive(response!, 0);
  assert.deepEqual(pair.client.outcomes, ["response-accepted"]);
});

Deno.test("a response that comes after the retry is as good", () => {
  const pair = new Pair();
  pair.client.tunnel.initiate(0);
  pair.gateway.receive(pair.client.transmits()[0]!, 0);
  const [late] = pair.gateway.transmits();
  pair.now = 5000;
  pair.client.tunnel.handleTimeout(5000);
  assert.equal(pair.client.transmits().length, 1);
  pair.client.receive(late!, 5100);
  assert.deepEqual(pair.client.outcomes, ["response-accepted"]);
  assert.ok(pair.client.tunnel.hasSession);
  assert.equal(pair.client.tunnel.pollTimeout(), 180_000 + 5100, "nothing is retried any more");
});

Deno.test("simultaneous initiations give both sides a working session", () => {
  const pair = new Pair({ wire: { latency: 30 } });
  pair.client.tunnel.initiate(0);
  pair.gateway.tunnel.initiate(0);
  pair.settle();
  pair.advance(1000);
  assert.ok(pair.send("client", "a") && pair.send("gateway", "b"));
  pair.advance(2000);
  assert.deepEqual([pair.gateway.data, pair.client.data], [["a"], ["b"]]);
  assert.equal(pair.sentAt("client", 1).length + pair.sentAt("gateway", 1).length, 2);
});

Deno.test("a duplicated transport message is opened once", () => {
  const pair = Pair.connected();
  const datagram = pair.client.send("once", 0)!;
  assert.equal(pair.gateway.receive(datagram, 0), 4);
  assert.equal(pair.gateway.receive(datagram, 0), OPEN_REPLAYED);
});

Deno.test("a session that sent REJECT_AFTER_MESSAGES is not given out any more", () => {
  const pair = Pair.connected();
  const session = pair.gateway.tunnel.sendSession(0)!;
  session.sendCounterHigh = 0xffffffff;
  session.sendCounterLow = 0xffffdffe;
  assert.equal(pair.gateway.tunnel.sendSession(0), session);
  session.sendCounterLow++;
  assert.equal(pair.gateway.tunnel.sendSession(0), undefined);
});

Deno.test("the initiator replaces a session after REKEY_AFTER_MESSAGES, the responder does not", () => {
  const pair = Pair.connected();
  for (const from of ["client", "gateway"] as const) {
    const session = pair[from].tunnel.sendSession(0)!;
    session.sendCounterHigh = 0x10000000;
    assert.ok(pair.send(from, "one more"));
  }
  pair.advance(1);
  assert.deepEqual(pair.sentAt("client", 1), [0, 0]);
  assert.deepEqual(pair.sentAt("gateway", 1), []);
  assert.equal(pair.client.tunnel.sendSession(1)!.sendCounterHigh, 0);
});

Deno.test("a closed tunnel holds no keys and answers nothing", () => {
  const pair = Pair.connected();
  pair.now = 1000;
  pair.client.tunnel.initiate(1000);
  const session = pair.gateway.tunnel.sendSession(1000)!;
  assert.equal(pair.gateway.aead.live, 2);
  pair.gateway.tunnel.close();
  pair.gateway.tunnel.close();
  assert.equal(pair.gateway.aead.live, 0);
  pair.settle();
  assert.deepEqual(pair.gateway.outcomes.at(-1), "closed");
  assert.equal(pair.gateway.tunnel.session(session.index), undefined);
  assert.equal(pair.gateway.tunnel.sendSession(1000), undefined);
  assert.equal(pair.gateway.tunnel.pollTimeout(), undefined);
  pair.gateway.tunnel.initiate(1000);
  pair.gateway.tunnel.handleTimeout(1e9);
  assert.deepEqual(pair.gateway.transmits(), []);
  assert.throws(() => session.seal(0, 0, 0, 0, 1), /closed/);
});

Deno.test("a peer key that is no key is refused with a typed error", () => {
  const random = seededRandom(5);
  const make = (key: Uint8Array) => () => new Endpoint(makeKeys(random), key, random, {}, () => 0);
  assert.throws(make(new Uint8Array(32)), InvalidPeerKeyError);
  assert.throws(make(new Uint8Array(31).fill(9)), InvalidPeerKeyError);
  assert.throws(
    () => new Pair({ client: { presharedKey: new Uint8Array(5) } }),
    /preshared key has 5 bytes/,
  );
});
