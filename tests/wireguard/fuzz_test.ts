/** Hostile bytes: never a throw, never accepted. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { classify, MessageType } from "../../mod/wireguard/mod.ts";
import { Endpoint, Pair, senderOf, SOURCE } from "./fixture.ts";
import { twinCookieReply } from "./twin.ts";

const ACCEPTED = ["initiation-accepted", "response-accepted", "cookie-accepted"];
const LENGTHS = [0, 31, 32, 64, 92, 148, 200];

const accepted = (end: Endpoint, bytes: Uint8Array) =>
  ACCEPTED.includes(end.tunnel.handleHandshake(bytes, SOURCE, 0)) ||
  ACCEPTED.includes(end.tunnel.handleAdmitted(bytes, 0));

/** Pairs with an initiation, a response and a cookie reply under way to `to`. */
function messagesUnderWay() {
  const forGateway = new Pair();
  forGateway.client.tunnel.initiate(0);
  const initiation = forGateway.client.transmits()[0]!;
  const forClient = new Pair();
  forClient.client.tunnel.initiate(0);
  const own = forClient.client.transmits()[0]!;
  forClient.gateway.receive(own, 0);
  const response = forClient.gateway.transmits()[0]!;
  const cookie = twinCookieReply(
    own,
    forClient.gateway.keys.publicKey,
    new Uint8Array(16).fill(1),
    new Uint8Array(24).fill(2),
  );
  return [
    { to: forGateway.gateway, message: initiation },
    { to: forClient.client, message: response },
    { to: forClient.client, message: cookie },
  ];
}

Deno.test("any bytes to handleHandshake: no throw, nothing accepted", () => {
  const { client, gateway } = new Pair();
  client.tunnel.initiate(0);
  client.transmits();
  const bytes = fc.tuple(
    fc.constantFrom(...LENGTHS),
    fc.integer({ min: 0, max: 5 }),
    fc.uint8Array({ minLength: 200, maxLength: 200 }),
  ).map(([length, type, raw]) => {
    raw.set([type, 0, 0, 0]);
    return raw.slice(0, length);
  });
  fc.assert(
    fc.property(fc.oneof(bytes, fc.uint8Array({ maxLength: 200 })), (message) => {
      for (const end of [client, gateway]) {
        assert.ok(!accepted(end, message));
        assert.equal(senderOf(end.keys, message), undefined);
        assert.equal(end.tunnel.pollTransmit(), undefined, "and nothing is sent back");
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("a handshake message with any bit flipped is not accepted, mac2 apart, which only counts under load", () => {
  for (const { to, message } of messagesUnderWay()) {
    const type = classify(message);
    const end = type === MessageType.CookieReply ? message.length : message.length - 16;
    // Without its MACs a handshake message must not pass either: handleAdmitted skips them on purpose.
    const authenticated = type === MessageType.CookieReply ? end : end - 16;
    for (let bit = 0; bit < end * 8; bit += 3) {
      const flipped = message.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      const context = `type ${type}, bit ${bit}`;
      assert.ok(!ACCEPTED.includes(to.tunnel.handleHandshake(flipped, SOURCE, bit * 1000)), context);
      // The sender's index is not hashed in a handshake; only mac1 covers it.
      const inSenderIndex = type !== MessageType.CookieReply && bit >= 32 && bit < 64;
      if (bit < authenticated * 8 && !inSenderIndex) {
        assert.ok(!ACCEPTED.includes(to.tunnel.handleAdmitted(flipped, 0)), context);
      }
    }
    assert.ok(ACCEPTED.includes(to.tunnel.handleHandshake(message, SOURCE, 1e9)), `type ${type} unharmed`);
  }
});

Deno.test("a transport message with any bit flipped is not delivered", () => {
  const pair = Pair.connected();
  const message = pair.client.send("sixteen bytes!!!", 0)!;
  for (let bit = 0; bit < message.length * 8; bit++) {
    const flipped = message.slice();
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    pair.gateway.receive(flipped, 0);
  }
  assert.deepEqual(pair.gateway.data, []);
  pair.gateway.receive(message, 0);
  assert.deepEqual(pair.gateway.data, ["sixteen bytes!!!"]);
});

Deno.test("a truncated or extended message is not accepted", () => {
  for (const { to, message } of messagesUnderWay()) {
    for (let length = 0; length < message.length; length++) {
      assert.ok(!accepted(to, message.slice(0, length)));
    }
    assert.ok(!accepted(to, Uint8Array.of(...message, 0)));
  }
});

Deno.test("any order of calls on a tunnel: no throw, and a deadline is never behind", () => {
  const call = fc.tuple(
    fc.constantFrom("wait", "initiate", "send", "timeout", "swap", "close"),
    fc.nat(200_000),
  );
  fc.assert(
    fc.property(fc.array(call, { maxLength: 40 }), fc.nat(), (calls, seed) => {
      const pair = new Pair({ seed });
      for (const [name, value] of calls) {
        const side = value % 2 ? "client" : "gateway";
        if (name === "wait") pair.advance(pair.now + value);
        else if (name === "initiate") pair[side].tunnel.initiate(pair.now);
        else if (name === "send") pair.send(side, `${value}`);
        else if (name === "timeout") pair[side].tunnel.handleTimeout(pair.now);
        else if (name === "swap") pair.muted[side] = !pair.muted[side];
        else if (value < 2000) pair[side].tunnel.close();
        pair.settle();
      }
      for (const end of [pair.client, pair.gateway]) {
        end.tunnel.handleTimeout(pair.now);
        assert.ok((end.tunnel.pollTimeout() ?? Infinity) > pair.now);
        end.tunnel.close();
        assert.equal(end.aead.live, 0);
      }
    }),
    { numRuns: 60 },
  );
});
