/** Every timer of a tunnel, on a virtual clock (spec snownet §4.1, §4.3, §4.4). */
import assert from "node:assert/strict";
import { MessageType } from "../../mod/wireguard/mod.ts";
import { NO_JITTER, Pair } from "./fixture.ts";
import { twinCookieReply } from "./twin.ts";

const { Initiation } = MessageType;
const s = 1000;

Deno.test("polling often does not duplicate an initiation", () => {
  const pair = new Pair();
  pair.muted.client = true;
  pair.client.tunnel.initiate(0);
  for (let now = 0; now < 5 * s; now += 10) {
    pair.client.tunnel.handleTimeout(now);
    pair.client.tunnel.initiate(now);
  }
  assert.equal(pair.client.transmits().length, 1);
});

Deno.test("on a new path an initiation that was lost with the old one is sent again, one that may be on its way is not", () => {
  const pair = new Pair();
  pair.muted.client = true;
  pair.client.tunnel.initiateAnew(0);
  pair.client.tunnel.initiateAnew(199);
  assert.equal(pair.client.transmits().length, 1);
  pair.client.tunnel.initiateAnew(200);
  assert.equal(pair.client.transmits().length, 1);
  pair.advance(19_999);
  assert.deepEqual(pair.client.events, []);
  pair.advance(30 * s);
  assert.deepEqual(pair.client.events, ["expired"], "the attempt began with the first one");
  pair.client.tunnel.close();
  pair.client.tunnel.initiateAnew(60 * s);
});

Deno.test("an unanswered initiation is retried after 5 s each, and given up 20 s after the first", () => {
  const pair = new Pair();
  pair.muted.client = true;
  pair.client.tunnel.initiate(0);
  pair.settle();
  pair.advance(19_999);
  assert.deepEqual(pair.sentAt("client", Initiation), [0, 5 * s, 10 * s, 15 * s]);
  assert.deepEqual(pair.client.events, []);
  pair.advance(60 * s);
  assert.equal(pair.sentAt("client", Initiation).length, 4);
  assert.deepEqual(pair.client.events, ["expired"]);
  assert.equal(pair.client.tunnel.pollTimeout(), undefined);
});

Deno.test("each retry waits up to 333 ms longer, by a uniform random time", () => {
  const waits: number[] = [];
  for (let seed = 0; seed < 40; seed++) {
    const jitter = { timings: { ...NO_JITTER, jitter: 333 } };
    const pair = new Pair({ seed, client: jitter, gateway: jitter });
    pair.muted.client = true;
    pair.client.tunnel.initiate(0);
    pair.settle();
    pair.advance(19_999);
    const sent = pair.sentAt("client", Initiation);
    assert.equal(sent.length, 4);
    for (let i = 1; i < sent.length; i++) waits.push(sent[i]! - sent[i - 1]! - 5 * s);
  }
  assert.ok(waits.every((wait) => wait >= 0 && wait <= 333));
  assert.ok(waits.some((wait) => wait < 60) && waits.some((wait) => wait > 270));
  const mean = waits.reduce((sum, wait) => sum + wait, 0) / waits.length;
  assert.ok(mean > 130 && mean < 200, `mean ${mean}`);
});

Deno.test("a re-key that is never answered expires the tunnel, also with a session that would still live", () => {
  const pair = Pair.connected();
  pair.send("client", "data");
  pair.advance(15 * s);
  pair.muted.gateway = true;
  pair.advance(139_999);
  assert.ok(pair.client.tunnel.hasSession);
  pair.advance(140 * s);
  assert.ok(!pair.client.tunnel.hasSession);
  assert.deepEqual(pair.client.events, ["established", "expired"]);
  assert.equal(pair.client.aead.live, 0);
});

Deno.test("the initiator re-keys at 120 s when it sent data, the responder never by age", () => {
  const pair = Pair.connected();
  pair.send("client", "data");
  pair.send("gateway", "data");
  pair.settle();
  pair.advance(119_999);
  assert.deepEqual(pair.sentAt("client", Initiation), [0]);
  pair.advance(130 * s);
  assert.deepEqual(pair.sentAt("client", Initiation), [0, 120 * s]);
  assert.deepEqual(pair.sentAt("gateway", Initiation), []);
});

Deno.test("the initiator that first sends on a session after 120 s re-keys then", () => {
  const pair = Pair.connected();
  pair.advance(150 * s);
  assert.deepEqual(pair.sentAt("client", Initiation), [0]);
  pair.send("client", "data");
  pair.advance(150 * s + 1);
  assert.deepEqual(pair.sentAt("client", Initiation), [0, 150 * s]);
});

Deno.test("the initiator that only received re-keys at 165 s", () => {
  const pair = Pair.connected();
  pair.advance(100 * s);
  pair.send("gateway", "data");
  pair.advance(164_999);
  assert.deepEqual(pair.sentAt("client", Initiation), [0]);
  pair.advance(165 * s);
  assert.deepEqual(pair.sentAt("client", Initiation), [0, 165 * s]);
});

Deno.test("the initiator stops sending on a session at 170 s and then needs a new one; the responder goes on to 180 s", () => {
  const pair = Pair.connected();
  pair.advance(169_999);
  assert.ok(pair.client.tunnel.sendSession(pair.now));
  pair.advance(170_001);
  assert.equal(pair.client.tunnel.sendSession(pair.now), undefined);
  pair.client.tunnel.initiate(pair.now);
  pair.settle();
  assert.ok(pair.client.tunnel.sendSession(pair.now), "re-keyed on a packet");

  const other = Pair.connected();
  other.advance(179_999);
  assert.equal(other.gateway.tunnel.sendSession(180 * s), undefined, "even before handleTimeout");
  assert.ok(other.send("gateway", "with an almost expired session"));
  other.settle();
  assert.deepEqual(other.client.data, ["with an almost expired session"]);
});

Deno.test("sessions are removed at 180 s and their keys freed", () => {
  const pair = Pair.connected();
  const { index } = pair.gateway.tunnel.sendSession(0)!;
  pair.muted.client = true;
  pair.advance(179_999);
  assert.ok(pair.gateway.tunnel.session(index));
  pair.advance(180 * s);
  assert.equal(pair.gateway.tunnel.session(index), undefined);
  assert.equal(pair.gateway.aead.live, 0);
});

Deno.test("an initiator whose session expired starts anew, so that an idle tunnel keeps a session", () => {
  const pair = Pair.connected();
  pair.advance(600 * s);
  assert.deepEqual(pair.sentAt("client", Initiation), [0, 180 * s, 360 * s, 540 * s]);
  assert.deepEqual(pair.sentAt("gateway", Initiation), []);
  assert.ok(pair.client.tunnel.hasSession && pair.gateway.tunnel.hasSession);
  assert.deepEqual(pair.gateway.events, ["established", "established", "established", "established"]);
});

Deno.test("without traffic and without persistent keepalive there is total silence", () => {
  const pair = Pair.connected();
  const before = pair.log.length;
  pair.advance(179_999);
  assert.equal(pair.log.length, before);
});

Deno.test("a responder whose peer vanished stays silent and expires 540 s after the last session", () => {
  const pair = Pair.connected();
  pair.muted.client = true;
  pair.advance(539_999);
  assert.deepEqual(pair.gateway.events, ["established"]);
  pair.advance(540 * s);
  assert.deepEqual(pair.gateway.events, ["established", "expired"]);
  assert.deepEqual(pair.log.filter((entry) => entry.from === "gateway" && entry.at > 0), []);
  assert.equal(pair.gateway.tunnel.pollTimeout(), undefined);
});

Deno.test("a tunnel that never had a session expires 540 s after it was made", () => {
  const pair = new Pair();
  assert.equal(pair.gateway.tunnel.pollTimeout(), 540 * s);
  pair.advance(540 * s);
  assert.deepEqual(pair.gateway.events, ["expired"]);
});

Deno.test("an expired tunnel comes back by its own initiation or by the peer's", () => {
  const pair = new Pair();
  pair.advance(600 * s);
  pair.client.tunnel.initiate(pair.now);
  pair.settle();
  pair.advance(601 * s);
  assert.deepEqual(pair.client.events, ["expired", "established"]);
  assert.deepEqual(pair.gateway.events, ["expired", "established"]);
  assert.ok(pair.send("client", "back") && pair.send("gateway", "again"));
});

Deno.test("who sends data and hears nothing for 15 s initiates, the responder too", () => {
  const pair = Pair.connected();
  pair.advance(30 * s);
  pair.muted.client = true;
  pair.send("gateway", "one");
  pair.advance(34 * s);
  pair.send("gateway", "two");
  pair.advance(44_999);
  assert.deepEqual(pair.sentAt("gateway", Initiation), []);
  pair.advance(45 * s);
  assert.deepEqual(pair.sentAt("gateway", Initiation), [45 * s], "counted from the first unanswered packet");
  pair.advance(64_999);
  assert.deepEqual(pair.gateway.events, ["established"]);
  pair.advance(65 * s);
  assert.deepEqual(pair.gateway.events, ["established", "expired"], "20 s after its own first initiation");
});

Deno.test("anything authentic in time keeps that initiation away, a keepalive too", () => {
  const pair = Pair.connected();
  pair.send("gateway", "data");
  pair.advance(60 * s);
  assert.deepEqual(pair.sentAt("client", MessageType.Transport, true), [0, 10 * s]);
  assert.deepEqual(pair.sentAt("gateway", Initiation), []);
});

Deno.test("data received and nothing sent for 10 s is answered by one empty packet", () => {
  const pair = Pair.connected();
  pair.advance(5 * s);
  pair.send("client", "data");
  pair.advance(9 * s);
  pair.send("client", "more");
  pair.advance(100 * s);
  assert.deepEqual(pair.sentAt("gateway", MessageType.Transport, true), [15 * s]);
});

Deno.test("a reply of any kind makes the empty packet unnecessary", () => {
  const pair = Pair.connected();
  pair.send("client", "data");
  pair.advance(9 * s);
  pair.send("gateway", "reply");
  pair.advance(15 * s);
  assert.deepEqual(pair.sentAt("gateway", MessageType.Transport, true), []);
});

Deno.test("keepalives are not answered by keepalives", () => {
  const pair = Pair.connected();
  pair.send("client", "data");
  pair.advance(100 * s);
  assert.equal(pair.sentAt("gateway", MessageType.Transport, true).length, 1);
  assert.deepEqual(pair.sentAt("client", MessageType.Transport, true), [0], "the confirming one only");
});

Deno.test("a persistent keepalive is sent so often after the last packet, and keeps a session up", () => {
  const pair = Pair.connected({ client: { timings: { ...NO_JITTER, persistentKeepalive: 25 * s } } });
  pair.advance(60 * s);
  assert.deepEqual(pair.sentAt("client", MessageType.Transport, true), [0, 25 * s, 50 * s]);
  pair.send("client", "data");
  pair.advance(84_999);
  assert.equal(pair.sentAt("client", MessageType.Transport, true).length, 3);
  pair.advance(85 * s);
  assert.equal(pair.sentAt("client", MessageType.Transport, true).length, 4);
  const fresh = new Pair({ client: { timings: { ...NO_JITTER, persistentKeepalive: 25 * s } } });
  fresh.advance(30 * s);
  assert.deepEqual(fresh.sentAt("client", Initiation), [25 * s], "without a session it asks for one");
});

Deno.test("a cookie is forgotten after 120 s", () => {
  const timings = { ...NO_JITTER, rekeyAttemptTime: 300 * s };
  const pair = new Pair({ client: { timings } });
  pair.muted.client = true;
  pair.client.tunnel.initiate(0);
  pair.settle();
  const reply = twinCookieReply(
    pair.log[0]!.datagram,
    pair.gateway.keys.publicKey,
    new Uint8Array(16).fill(7),
    new Uint8Array(24),
  );
  pair.now = 2 * s;
  pair.client.receive(reply, pair.now);
  pair.advance(130 * s);
  const withMac2 = pair.log.filter((entry) => entry.datagram.subarray(132).some((byte) => byte !== 0));
  assert.deepEqual([withMac2[0]!.at, withMac2.at(-1)!.at], [5 * s, 120 * s]);
});

Deno.test("an initiation of the peer counts as heard, as sent, and as a new session", () => {
  const pair = Pair.connected();
  pair.send("gateway", "unanswered");
  pair.client.received.length = 0;
  pair.advance(8 * s);
  pair.client.tunnel.initiate(pair.now);
  pair.settle();
  pair.muted.client = true;
  pair.advance(539 * s);
  assert.deepEqual(pair.sentAt("gateway", Initiation), [], "rule of 15 s was cleared");
  pair.advance(547_999);
  assert.deepEqual(pair.gateway.events, ["established"]);
  pair.advance(548 * s);
  assert.deepEqual(pair.gateway.events, ["established", "expired"]);
});

Deno.test("a peer's initiation replaces our own attempt: nothing is retried and nothing given up", () => {
  const pair = new Pair();
  pair.muted.gateway = true;
  pair.gateway.tunnel.initiate(0);
  pair.settle();
  pair.now = 2 * s;
  pair.client.tunnel.initiate(pair.now);
  pair.settle();
  pair.muted.client = true;
  pair.advance(100 * s);
  assert.deepEqual(pair.sentAt("gateway", Initiation), [0]);
  assert.deepEqual(pair.gateway.events, []);
});

Deno.test("other timings can be given as a whole profile", () => {
  const timings = { rekeyTimeout: 2 * s, rekeyAttemptTime: 90 * s, keepaliveTimeout: 5 * s, jitter: 0 };
  const pair = Pair.connected({ client: { timings: { ...NO_JITTER, ...timings } } });
  pair.send("gateway", "data");
  pair.advance(6 * s);
  assert.deepEqual(pair.sentAt("client", MessageType.Transport, true), [0, 5 * s]);
  pair.muted.gateway = true;
  pair.client.tunnel.initiate(pair.now);
  pair.settle();
  pair.advance(95_999);
  assert.equal(pair.sentAt("client", Initiation).length, 46);
  assert.deepEqual(pair.client.events, ["established"]);
  pair.advance(96 * s);
  assert.deepEqual(pair.client.events, ["established", "expired"]);
});
